"""Take out remains of markup: tags, entities, comments and scripts of HTML, links of Markdown and of wikis, templates.

In goes a column of strings, out comes the same as plain text and Markdown. A scan over the bytes finds the documents
that have anything like it; hypertext.py reads those, and no other becomes a Python string.
"""

from typing import Any

import numba
import numpy as np
import pyarrow as pa

from lhama.corpus.repairs.hypertext import plain
from lhama.corpus.repairs.strings import Mended, put
from lhama.corpus.words import texts_of

NAMES = ("tags", "entities", "links")
"""Tags, comments, scripts and templates; entities; links, images and lists of addresses."""

STRETCH = 256  # bytes looked at in one go
LONGEST_ENTITY = 33  # bytes from & to ;
LONGEST_CODE = 1 << 16  # bytes; of a longer block the scan does not look for the end


def mend(column: Any) -> Mended:
    """Take the markup out of every document."""
    texts = texts_of(column)
    found = np.zeros(len(column), np.bool_)
    _look(*texts, found)
    counts = np.zeros((len(NAMES), len(column)), np.int64)
    places, mended = [], []
    for place in np.flatnonzero(found).tolist():
        text = column[place].as_py()
        new, numbers = plain(text)
        if new != text:
            places.append(place)
            mended.append(new)
            counts[:, place] = numbers
    where = np.array(places, np.int64)
    column = put(column, where, pa.array(mended, pa.large_string()))
    return Mended(column, dict(zip(NAMES, counts, strict=True)))


@numba.njit("boolean(uint8)", cache=True, nogil=True, inline="always")
def _is_letter(byte: Any) -> bool:
    return bool(0x61 <= byte | 0x20 <= 0x7A)


@numba.njit("boolean(uint8[::1], int64, int64)", cache=True, nogil=True)
def _is_entity(data: Any, at: int, end: int) -> bool:
    """Say whether an entity may begin at an ampersand."""
    for place in range(at + 1, min(end, at + LONGEST_ENTITY)):
        byte = data[place]
        if byte == 0x3B:
            return place > at + 2
        if not (_is_letter(byte) or 0x30 <= byte <= 0x39 or byte == 0x23):
            return False
    return False


@numba.njit("boolean(uint8[::1], int64, int64)", cache=True, nogil=True)
def _opens(data: Any, at: int, end: int) -> bool:
    """Say whether markup may begin at one of < & [ ] {: as in <p </ <! ]( ][ ]:_ [[ [!i [ht [// {% {{<."""
    byte = data[at]
    following = data[at + 1] if at + 1 < end else np.uint8(0)
    third = data[at + 2] if at + 2 < end else np.uint8(0)
    if byte == 0x26:
        return _is_entity(data, at, end)
    if byte == 0x3C:
        return _is_letter(following) or following in (0x21, 0x2F)
    if byte == 0x5D:
        return following in (0x28, 0x5B) or (following == 0x3A and third in (0x20, 0x09, 0x2F, 0x3C, 0x68))
    if byte == 0x5B:
        return following == 0x5B or (following, third | 0x20) in ((0x21, 0x69), (0x68, 0x74), (0x2F, 0x2F))
    return following == 0x25 or (following == 0x7B and third in (0x25, 0x3C))


@numba.njit("int64(uint8[::1], int64, int64)", cache=True, nogil=True)
def _after_code(data: Any, at: int, end: int) -> int:
    """Return where a code span or a fenced block ends that begins at a backtick, or where its backticks do."""
    run = at
    while run < end and data[run] == 0x60:
        run += 1
    length, place, feeds = run - at, run, 0
    end = min(end, run + LONGEST_CODE)
    while place < end:
        if data[place] == 0x60:
            close = place
            while close < end and data[close] == 0x60:
                close += 1
            if close - place == length:
                return close
            place = close
            continue
        feeds = feeds + 1 if data[place] == 0x0A else 0
        if feeds == 2 and length < 3:
            break  # a span does not go beyond its paragraph
        place += 1
    return run


@numba.njit("boolean(uint8[::1], int64, int64)", cache=True, nogil=True)
def _has_sign(data: Any, begin: int, end: int) -> bool:
    """Say whether one of the bytes & < [ ] { ` is there; this loop becomes vector instructions."""
    found = False
    for byte in data[begin:end]:
        found |= (byte == 0x26) | (byte == 0x3C) | (byte == 0x5B) | (byte == 0x5D) | (byte == 0x7B) | (byte == 0x60)
    return found


@numba.njit("void(uint8[::1], int64[::1], boolean[::1])", cache=True, nogil=True)
def _look(data: Any, offsets: Any, found: Any) -> None:
    """Say for each document whether there may be markup outside its code."""
    for number in range(len(offsets) - 1):
        at, end = offsets[number], offsets[number + 1]
        while at < end and not found[number]:
            stop = min(end, at + STRETCH)
            if _has_sign(data, at, stop):
                while at < stop and not found[number]:
                    if data[at] == 0x60:
                        at = _after_code(data, at, end)
                        continue
                    found[number] = data[at] in (0x26, 0x3C, 0x5B, 0x5D, 0x7B) and _opens(data, at, end)
                    at += 1
            at = max(at, stop)
