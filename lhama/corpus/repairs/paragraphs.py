"""Join the lines of a hard-wrapped document to paragraphs.

In go described lines, out come the document's bytes. Two lines are joined if the next word would not have fit on the
first, as in every text that is filled greedily up to a width; so verse, speech, lists, tables, headings and code keep
their lines. What is not joined is copied as it is, the spaces at its end included.
"""

from typing import Any

import numba
import numpy as np

from lhama.corpus.repairs.hyphens import keeps_hyphen
from lhama.corpus.repairs.lines import (
    BEGIN,
    BLANK,
    CHARACTERS,
    CODE,
    END,
    FIRST,
    FLAGS,
    HYPHEN,
    LETTERED,
    LOWER,
    MARKED,
    NUMBER,
    OPEN,
    START,
    TABLE,
    TERMINAL,
)

NARROWEST, WIDEST = 40, 130  # characters of a line; what is narrower may be verse
LEAST = 3  # lines that surely go on; fewer are no evidence


@numba.njit("int64(int64[:, ::1], int64, boolean)", cache=True, nogil=True)
def width_of(lines: Any, count: int, capitals: bool) -> int:
    """Return the width to which a document's lines were filled, or 0 where they were not.

    Lines surely go on that are followed by a small letter (in a document in capitals: by a letter, without a stop).
    A sixth of the lines must be such, and two thirds of those nearly as long as the longest but a tenth.
    """
    lengths = np.zeros(WIDEST + 1, np.int64)
    sure, adjacent = 0, 0
    for number in range(count - 1):
        this, following = lines[number, FLAGS], lines[number + 1, FLAGS]
        if (this | following) & (BLANK | CODE | TABLE | NUMBER):
            continue
        adjacent += 1
        goes_on = following & (LETTERED if capitals else LOWER) and not following & MARKED
        ends_open = this & (OPEN | HYPHEN) if capitals else not this & TERMINAL
        if goes_on and ends_open and NARROWEST <= lines[number, CHARACTERS] <= WIDEST:
            lengths[lines[number, CHARACTERS]] += 1
            sure += 1
    if sure < LEAST or 6 * sure < adjacent:
        return 0
    width, seen = WIDEST, lengths[WIDEST]
    while 10 * seen < sure:
        width -= 1
        seen += lengths[width]
    near = 0
    for length in range(3 * width // 4, WIDEST + 1):
        near += lengths[length]
    return width if 3 * near >= 2 * sure else 0


@numba.njit("boolean(int64[:, ::1], int64)", cache=True, nogil=True)
def _parts_by_blank(lines: Any, count: int) -> bool:
    """Say whether blank lines part paragraphs: then a sentence hardly ever ends a short line before a long one."""
    blank, none = 0, 0
    for number in range(count - 1):
        if lines[number, FLAGS] & TERMINAL:
            following = lines[number + 1, FLAGS]
            if following & BLANK:
                blank += 1
            elif following & LETTERED and not following & LOWER:
                none += 2 * lines[number, CHARACTERS] < lines[number + 1, CHARACTERS]
    return blank >= 2 and blank >= 4 * none


@numba.njit("boolean(int64[:, ::1], int64, int64, int64, int64, boolean, boolean)", cache=True, nogil=True)
def _joins(lines: Any, number: int, following: int, blanks: int, width: int, capitals: bool, by_blank: bool) -> bool:
    """Say whether a line goes on in a following one, from which so many blank lines part it."""
    this, other = lines[number, FLAGS], lines[following, FLAGS]
    # The first line of a paragraph is indented, and so is what is set apart.
    deeper = lines[following, BEGIN] - lines[following, START] > lines[number, BEGIN] - lines[number, START] + 1
    if deeper or (this | other) & (CODE | TABLE | NUMBER) or other & MARKED:
        return False
    # The first word would not have fit; a twentieth of the width is for letters that differ in width.
    full = 20 * (lines[number, CHARACTERS] + 1 + lines[following, FIRST]) >= 19 * width
    small, open_end = other & LOWER, this & (OPEN | HYPHEN)
    if blanks:  # only the end of a page parts a sentence so
        whole = other & TERMINAL or 5 * lines[following, CHARACTERS] >= 3 * width
        return bool(small and open_end and full and whole and blanks <= 3)
    if small and not this & TERMINAL:
        return bool(5 * lines[number, CHARACTERS] >= 3 * width)
    if not other & LETTERED:  # a digit, a quotation mark
        return bool(full and this & OPEN and not capitals)
    return bool(full and (small or open_end or (by_blank and this & TERMINAL)))


@numba.njit("int64(uint8[::1], int64, int64, uint8[::1], int64)", cache=True, nogil=True)
def copy(data: Any, begin: int, end: int, out: Any, written: int) -> int:
    """Copy data[begin:end] and return where the copy ends."""
    for at in range(begin, end):
        out[written] = data[at]
        written += 1
    return written


@numba.njit("int64(uint8[::1], int64[:, ::1], int64, int64, uint8[::1], uint8[::1], int64)", cache=True, nogil=True)
def _copy_gap(data: Any, lines: Any, first: int, following: int, furniture: Any, out: Any, written: int) -> int:
    """Copy what lies between the texts of two lines as it is, furniture left out; line -1 is the document's begin."""
    if first >= 0:
        written = copy(data, lines[first, END], lines[first + 1, START], out, written)
    for number in range(first + 1, following):
        if not furniture[number]:
            written = copy(data, lines[number, START], lines[number + 1, START], out, written)
    return copy(data, lines[following, START], lines[following, BEGIN], out, written)


@numba.njit(
    "int64(uint8[::1], int64[:, ::1], int64, int64, boolean, uint8[::1], uint8[::1], int32[::1], uint64[::1], boolean,"
    " uint8[::1], int64, int64[:])",
    cache=True,
    nogil=True,
)
def write(
    data: Any,
    lines: Any,
    count: int,
    width: int,
    capitals: bool,
    furniture: Any,
    kinds: Any,
    plain: Any,
    known: Any,
    breaks: bool,
    out: Any,
    written: int,
    counts: Any,
) -> int:
    """Write a document joined, count joined lines and words, and return where it ends; line `count` is its end."""
    last, blanks, by_blank = -1, 0, _parts_by_blank(lines, count)
    for number in range(count):
        if furniture[number]:
            continue
        if lines[number, FLAGS] & BLANK:
            blanks += 1
            continue
        begin, end = lines[number, BEGIN], lines[number, END]
        if last < 0 or not _joins(lines, last, number, blanks, width, capitals, by_blank):
            written = _copy_gap(data, lines, last, number, furniture, out, written)
        elif lines[last, FLAGS] & HYPHEN:
            small, middle = capitals or lines[number, FLAGS] & LOWER, lines[last, END] - 1
            if small and not keeps_hyphen(data, lines[last, BEGIN], middle, begin, end, kinds, plain, known, breaks):
                written -= 1
            counts[0] += 1
            counts[1] += 1
        else:
            if data[begin] not in (0x21, 0x29, 0x2C, 0x2E, 0x3A, 0x3B, 0x3F):  # no space before !),.:;?
                out[written] = 0x20
                written += 1
            counts[0] += 1
        written = copy(data, begin, end, out, written)
        last, blanks = number, 0
    return _copy_gap(data, lines, last, count, furniture, out, written)
