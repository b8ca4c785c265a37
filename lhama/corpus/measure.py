"""Measure a column of texts at once: what the rules judge and the report counts.

In goes an Arrow array of texts, out comes a struct array of the same length. The key is the first 128 bits of the
SHA-256 of the text as training would see it, U+2581 (SentencePiece's own mark for a space) replaced by a space. Texts
are hashed and their words counted over Arrow's buffers, without a Python string per document.
"""

import hashlib
import itertools
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

MARK = "\u2581"
FIELDS = {
    "bytes": pa.int64(),
    "characters": pa.int64(),
    "words": pa.int64(),
    "marks": pa.int64(),
    "key_high": pa.int64(),
    "key_low": pa.int64(),
}
Bytes = npt.NDArray[np.uint8]
Integers = npt.NDArray[np.int64]


def measure(texts: Any) -> Any:
    """Return bytes, characters without outer white space, words, marks and key of each text."""
    texts = pc.cast(texts, pa.large_string())
    size = pc.binary_length(texts)
    marks = pc.count_substring(texts, MARK)
    if pc.max(marks).as_py():
        texts = without_marks(texts)
    characters = pc.utf8_length(pc.utf8_trim_whitespace(texts))
    offsets, data = _buffers(texts)
    keys = _keys(offsets, data)
    columns = (size, characters, pa.array(_words(offsets, data)), marks, pa.array(keys[:, 0]), pa.array(keys[:, 1]))
    cast = [pc.cast(column, kind) for column, kind in zip(columns, FIELDS.values(), strict=True)]
    return pa.StructArray.from_arrays(cast, list(FIELDS))


def without_marks(texts: Any) -> Any:
    """Replace each U+2581 by the space it stands for: `decode(encode(text)) == text` cannot hold with it."""
    return pc.replace_substring(texts, MARK, " ")


def _buffers(texts: Any) -> tuple[Integers, Bytes]:
    _, offsets, data = texts.buffers()
    start = texts.offset
    places = np.frombuffer(offsets, dtype=np.int64)[start : start + len(texts) + 1]
    whole = np.frombuffer(data, dtype=np.uint8) if data is not None else np.zeros(0, dtype=np.uint8)
    return places - places[0], whole[places[0] : places[-1]]


def _keys(offsets: Integers, data: Bytes) -> Integers:
    view, places = memoryview(data.data), offsets.tolist()
    digests = (hashlib.sha256(view[begin:end]).digest()[:16] for begin, end in itertools.pairwise(places))
    return np.frombuffer(b"".join(digests), dtype=">i8").reshape(-1, 2).astype(np.int64)


def _words(offsets: Integers, data: Bytes) -> Integers:
    """Count runs without ASCII white space; a run that crosses into the next document begins anew there."""
    space = (data == 32) | ((data >= 9) & (data <= 13))
    before = np.empty_like(space)
    before[1:] = space[:-1]
    firsts = offsets[:-1]
    before[firsts[firsts < len(data)]] = True
    begins = np.flatnonzero(before & ~space)
    places = np.searchsorted(begins, offsets)
    return np.diff(places)
