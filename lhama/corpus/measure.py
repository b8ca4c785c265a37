"""Measure a column of texts at once: what every corpus counts, whatever the recipe asks for.

In go two Arrow arrays, the texts as they came and as training would see them; out comes a column of numbers for each
measurement. The key is the first 128 bits of the SHA-256 of the clean text. Texts are hashed and counted over Arrow's
buffers, without a Python string per document.
"""

import hashlib
import itertools
from typing import Any

import numba
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from lhama.corpus.words import SPACE, Integers, decode, tables, texts_of

MARK = "\u2581"
POINT = 0x2581
FIELDS = {
    "bytes": pa.int64(),
    "characters": pa.int64(),
    "words": pa.int64(),
    "marks": pa.int64(),
    "clean_bytes": pa.int64(),
    "clean_characters": pa.int64(),
    "clean_words": pa.int64(),
    "key_high": pa.int64(),
    "key_low": pa.int64(),
}


def measure(came: Any, clean: Any, changed: npt.NDArray[np.intp]) -> dict[str, Any]:
    """Return bytes, characters without outer white space, words and marks of each text, and the clean text's key.

    Both are large_string arrays without nulls, equal but for the documents at `changed`; only these are measured twice.
    """
    raw = cleaned = _sizes(came)
    if len(changed):
        cleaned = [column.copy() for column in raw]
        for column, values in zip(cleaned, _sizes(clean.take(pa.array(changed))), strict=True):
            column[changed] = values
    keys = _keys(clean)
    columns = (*raw, *cleaned[:3], keys[:, 0], keys[:, 1])
    return {name: pc.cast(pa.array(column), kind) for (name, kind), column in zip(FIELDS.items(), columns, strict=True)}


def without_marks(texts: Any) -> Any:
    """Replace each U+2581 by the space it stands for: `decode(encode(text)) == text` cannot hold with it.

    An array without a mark is returned as it is.
    """
    if MARK.encode() not in texts_of(texts).data.tobytes():  # one quick search of all bytes; hardly any text has one
        return texts
    return pc.replace_substring(texts, MARK, " ")


def _sizes(column: Any) -> list[Integers]:
    """Return bytes, characters, words and marks of each text."""
    texts = texts_of(column)
    found = np.empty((3, len(column)), np.int64)
    _count(*texts, tables().kinds, found)
    return [np.diff(texts.offsets), *found]


def _keys(column: Any) -> Integers:
    data, offsets = texts_of(column)
    view, places = memoryview(data.data), offsets.tolist()
    digests = (hashlib.sha256(view[begin:end]).digest()[:16] for begin, end in itertools.pairwise(places))
    return np.frombuffer(b"".join(digests), dtype=">i8").reshape(-1, 2).astype(np.int64)


@numba.njit("void(uint8[::1], int64[::1], uint8[::1], int64[:, ::1])", cache=True, nogil=True)
def _count(data: Any, offsets: Any, kinds: Any, found: Any) -> None:
    """Count characters from the first to the last that is no white space, runs without ASCII white space, and marks."""
    for number in range(len(offsets) - 1):
        characters, solid, words, marks, apart = 0, 0, 0, 0, True
        at, end = offsets[number], offsets[number + 1]
        while at < end:
            byte = data[at]
            if byte < 0x80:
                at += 1
                white = byte == 32 or 9 <= byte <= 13
                words += apart and not white
                apart = white
                white |= 0x1C <= byte <= 0x1F
            else:
                point, at = decode(data, at)
                white = kinds[point] & SPACE != 0
                words += apart
                apart = False
                marks += point == POINT
            characters += characters > 0 or not white
            if not white:
                solid = characters
        found[0, number], found[1, number], found[2, number] = solid, words, marks
