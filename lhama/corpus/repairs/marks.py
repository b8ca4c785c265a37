"""Numbers of pages in brackets inside the text of old editions: `uma historia escassamente [158] conhecida`.

Numbers in brackets are pages if they count up one by one and a page's worth of text lies between most of them. Notes
and citations come irregularly or end a line, and links of Markdown carry an address.
"""

import re
from typing import Any

import numba
import numpy as np
import pyarrow as pa

from lhama.corpus.repairs.lines import is_digit

LEAST = 3  # numbers; fewer are no evidence
FIRST_PAGE = 2  # notes begin with 1, and arrays with 0
PAGE = (400, 6000)  # bytes from one to the next, four times in five
MARK = re.compile(r"\[\d{1,4}\]([ \t]*\n?)")


@numba.njit("int64(uint8[::1], int64, int64)", cache=True, nogil=True)
def _number_at(data: Any, at: int, end: int) -> int:
    """Return the number of a mark whose bracket opens at a place, or -1."""
    value: Any = 0
    place = at + 1
    while place < end and place < at + 5 and is_digit(data[place]):
        value = 10 * value + np.int64(data[place]) - 0x30
        place += 1
    if place == at + 1 or place >= end or data[place] != 0x5D:
        return -1
    if place + 1 < end and data[place + 1] in (0x28, 0x3A, 0x5B):  # ( : [ belong to a link
        return -1
    return int(value)


@numba.njit("boolean(uint8[::1], int64, int64, int64)", cache=True, nogil=True)
def _ends_line(data: Any, begin: int, at: int, end: int) -> bool:
    """Say whether a mark ends a line that has more than the mark: so do notes to titles."""
    while at < end and data[at] != 0x5D:
        at += 1
    after = at + 1
    while after < end and data[after] == 0x20:
        after += 1
    while at > begin and data[at] != 0x5B:
        at -= 1
    return (after >= end or data[after] == 0x0A) and at > begin and data[at - 1] != 0x0A


@numba.njit("boolean(uint8[::1], int64, int64)", cache=True, nogil=True)
def _has_brackets(data: Any, begin: int, end: int) -> bool:
    found = 0
    for byte in data[begin:end]:
        found += byte == 0x5B
    return found >= LEAST


@numba.njit("void(uint8[::1], int64[::1], int64[::1])", cache=True, nogil=True)
def find_marks(data: Any, offsets: Any, found: Any) -> None:
    """Count the marks of each document in which they are numbers of pages; the others get 0."""
    for number in range(len(offsets) - 1):
        begin, end = offsets[number], offsets[number + 1]
        marks, spaced, notes, last, where, rising = 0, 0, 0, 0, 0, True
        if not _has_brackets(data, begin, end):
            continue
        for at in range(begin, end):
            if data[at] != 0x5B or (at > begin and data[at - 1] == 0x5D):
                continue
            value = _number_at(data, at, end)
            if value < 0:
                continue
            if marks:
                rising &= value == last + 1
                spaced += PAGE[0] <= at - where <= PAGE[1]
            if not rising or value < FIRST_PAGE:
                rising = False
                break
            marks += 1
            notes += _ends_line(data, begin, at, end)
            last, where = value, at
        pages = rising and marks >= LEAST and 5 * spaced >= 4 * (marks - 1) and 2 * notes < marks
        found[number] = marks if pages else 0


def _rest(found: re.Match[str]) -> str:
    """Return what stays of a mark and the white space behind it.

    Nothing of a mark that begins the document or has a line to itself; no second space between two words.
    """
    before, after = found.string[max(0, found.start() - 1) : found.start()], found[1]
    alone = before == "\n" and (after.endswith("\n") or found.end() == len(found.string))
    if not before or alone:
        return ""
    return after.removeprefix(" ") if before.isspace() else after


def without_marks(column: Any) -> Any:
    """Take the marks out of documents in which they are numbers of pages."""
    return pa.array([MARK.sub(_rest, text) for text in column.to_pylist()], pa.large_string())
