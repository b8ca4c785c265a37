"""Take passages out of documents: what boilerplate and decontamination have in common.

In go documents as bytes and offsets and the spans to take out of them, out come the documents without them, as fresh
bytes and offsets, and how much each has lost. No Python object stands for a document or a span.
"""

from typing import Any, NamedTuple

import numba
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from lhama.corpus.words import Texts

Integers = npt.NDArray[np.int64]
LEAST_LEFT = 200  # bytes; what is less is not worth reading when the rest of a document was taken out


class Spans(NamedTuple):
    """Spans of bytes, each counted from the beginning of its document; sorted by document, then by begin."""

    documents: Integers
    begins: Integers
    ends: Integers


def take_out(texts: Texts, spans: Spans) -> tuple[Texts, Integers]:
    """Return the documents without these spans, which may overlap, and the bytes that each has lost."""
    left = np.empty(len(texts.data), np.uint8)
    offsets = np.empty(len(texts.offsets), np.int64)
    _take_out(*texts, *spans, left, offsets)
    return Texts(left[: offsets[-1]], offsets), np.diff(texts.offsets) - np.diff(offsets)


def column_of(texts: Texts) -> Any:
    """Return documents as an Arrow array of large_string, without a copy."""
    offsets, data = pa.py_buffer(texts.offsets), pa.py_buffer(texts.data)
    return pa.LargeStringArray.from_buffers(len(texts.offsets) - 1, offsets, data)


@numba.njit(
    "void(uint8[::1], int64[::1], int64[::1], int64[::1], int64[::1], uint8[::1], int64[::1])",
    cache=True,
    nogil=True,
)
def _take_out(data: Any, offsets: Any, documents: Any, begins: Any, ends: Any, left: Any, new_offsets: Any) -> None:
    span, size = 0, 0
    new_offsets[0] = 0
    for number in range(len(offsets) - 1):
        begin, end = offsets[number], offsets[number + 1]
        while span < len(documents) and documents[span] == number:
            stop = offsets[number] + begins[span]
            if stop > begin:
                left[size : size + stop - begin] = data[begin:stop]
                size += stop - begin
            begin = max(begin, offsets[number] + ends[span])
            span += 1
        left[size : size + end - begin] = data[begin:end]
        size += end - begin
        new_offsets[number + 1] = size
