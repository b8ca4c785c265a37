"""Page furniture: numbers of pages, headers and footers that came with the text of a page.

In go the described lines of a document that is cut into lines, out comes which of them are furniture. The evidence is
that they stand where text goes on: behind a line that is not the end of a sentence and before one that begins with a
small letter. A header must be there three times, its digits aside, and mostly in such places.
"""

from typing import Any

import numba
import numpy as np

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
    TABLE,
    TERMINAL,
    is_digit,
    page_number,
)
from lhama.corpus.words import FIRST as SEED
from lhama.corpus.words import MULTIPLIER, mixed

SHORTEST_HEADER, LONGEST_HEADER = 4, 80  # characters
OFTEN = 3  # a line that is there less often is no header
PAGE = 12  # lines, at least
REACH = 4  # lines of furniture that can stand together


@numba.njit("uint64(uint8[::1], int64, int64)", cache=True, nogil=True)
def _hash_line(data: Any, begin: int, end: int) -> Any:
    """Hash a line in which every number is the same; never 0."""
    value, digit = SEED, False
    for at in range(begin, end):
        if is_digit(data[at]):
            if digit:
                continue
            digit = True
            value = (value ^ np.uint64(0x30)) * MULTIPLIER
        else:
            digit = False
            value = (value ^ np.uint64(data[at])) * MULTIPLIER
    return mixed(value) | np.uint64(1)


@numba.njit("boolean(int64[:, ::1], int64)", cache=True, nogil=True, inline="always")
def _is_prose(lines: Any, number: int) -> bool:
    return not lines[number, FLAGS] & (BLANK | CODE | TABLE | NUMBER)


@numba.njit("boolean(int64[:, ::1], int64, int64, int64)", cache=True, nogil=True, inline="always")
def _is_full(lines: Any, before: int, after: int, width: int) -> bool:
    """Say whether the first word of a later line would not have fit on an earlier one, but for a fifth of the width."""
    return bool(5 * (lines[before, CHARACTERS] + 1 + lines[after, FIRST]) >= 4 * width)


@numba.njit("int64(int64[:, ::1], int64, int64, int64, uint8[::1])", cache=True, nogil=True)
def _neighbour(lines: Any, count: int, number: int, step: int, repeated: Any) -> int:
    """Return the nearest line before or after that is neither blank nor perhaps furniture itself, or -1."""
    passed, at = 0, number + step
    while 0 <= at < count and passed < REACH:
        if not lines[at, FLAGS] & BLANK:
            if not lines[at, FLAGS] & NUMBER and not repeated[at]:
                return at
            passed += 1
        at += step
    return -1


@numba.njit("boolean(int64[:, ::1], int64, int64, int64, uint8[::1])", cache=True, nogil=True)
def _interrupts(lines: Any, count: int, number: int, width: int, repeated: Any) -> bool:
    """Say whether a line stands in the middle of a sentence, behind a full line."""
    before = _neighbour(lines, count, number, -1, repeated)
    after = _neighbour(lines, count, number, 1, repeated)
    if before < 0 or after < 0 or not (_is_prose(lines, before) and _is_prose(lines, after)):
        return False
    goes_on = lines[after, FLAGS] & LOWER and not lines[after, FLAGS] & MARKED
    return _is_full(lines, before, after, width) and goes_on and (lines[before, FLAGS] & (OPEN | HYPHEN)) != 0


@numba.njit("void(uint8[::1], int64[:, ::1], int64, int64[::1], int64[::1])", cache=True, nogil=True)
def _find_repeated(data: Any, lines: Any, count: int, first: Any, times: Any) -> None:
    """For each short line say where it stands first (-1: it is none), and there how often it does.

    A table of twice as many slots finds equal lines by their hash: numba's own sort takes seconds to compile.
    """
    slots = 16
    while slots < 2 * count:
        slots *= 2
    hashes, firsts = np.zeros(slots, np.uint64), np.zeros(slots, np.int64)
    mask = np.uint64(slots - 1)
    for number in range(count):
        row = lines[number]
        short = SHORTEST_HEADER <= row[CHARACTERS] <= LONGEST_HEADER
        first[number], times[number] = -1, 0
        if not short or row[FLAGS] & (BLANK | CODE | NUMBER | LOWER):
            continue
        value = _hash_line(data, row[BEGIN], row[END])
        slot = value & mask
        while hashes[slot] and hashes[slot] != value:
            slot = (slot + np.uint64(1)) & mask
        if not hashes[slot]:
            hashes[slot], firsts[slot] = value, number
        first[number] = firsts[slot]
        times[first[number]] += 1


@numba.njit("void(uint8[::1], int64[:, ::1], int64, int64, uint8[::1], uint8[::1])", cache=True, nogil=True)
def _find_headers(data: Any, lines: Any, count: int, width: int, repeated: Any, furniture: Any) -> None:
    """Mark lines that are there often, and all of those that are far apart and mostly interrupt a sentence."""
    first, times = np.empty(count, np.int64), np.empty(count, np.int64)
    _find_repeated(data, lines, count, first, times)
    last, inside = np.zeros(count, np.int64), np.zeros(count, np.int64)
    for number in range(count):
        repeated[number] = first[number] >= 0 and times[first[number]] >= OFTEN
    for number in range(count):
        if repeated[number]:
            last[first[number]] = number
            inside[first[number]] += _interrupts(lines, count, number, width, repeated)
    for number in range(count):
        one = first[number]
        if repeated[number] and last[one] - one >= PAGE * (times[one] - 1):
            furniture[number] = 2 * inside[one] > times[one]


@numba.njit("boolean(int64[:, ::1], int64, int64, int64, uint8[::1])", cache=True, nogil=True)
def _is_page_number(lines: Any, count: int, number: int, width: int, repeated: Any) -> bool:
    """Say of a line with nothing but a number whether it is a page's: it opens or ends the document, or parts text."""
    before, after = number - 1, number + 1
    while before >= 0 and lines[before, FLAGS] & BLANK:
        before -= 1
    while after < count and lines[after, FLAGS] & BLANK:
        after += 1
    if after == count:
        return before >= 0 and _is_prose(lines, before)
    long = _is_prose(lines, after) and 5 * lines[after, CHARACTERS] >= 3 * width
    if before < 0:
        return after == number + 1 and long
    ended = _is_prose(lines, before) and (lines[before, FLAGS] & TERMINAL or _is_full(lines, before, after, width))
    between = before == number - 1 and after == number + 1 and long and ended
    return between or _interrupts(lines, count, number, width, repeated)


@numba.njit("void(uint8[::1], int64[:, ::1], int64, int64, uint8[::1])", cache=True, nogil=True)
def _go_on(data: Any, lines: Any, count: int, step: int, furniture: Any) -> None:
    """Mark the numbers between lines of prose that count on from one that is marked, forward (1) or backward (-1)."""
    expected, at = -1, 0 if step > 0 else count - 1
    while 0 <= at < count:
        if lines[at, FLAGS] & NUMBER:
            value = page_number(data, lines[at, BEGIN], lines[at, END])
            beside = at + 1 < count and lines[at + 1, FLAGS] & LETTERED and _is_prose(lines, at + 1)
            if value == expected and beside:
                furniture[at] = 1
            if furniture[at]:
                expected = value + step
        at += step


@numba.njit("int64(uint8[::1], int64[:, ::1], int64, int64, uint8[::1], uint8[::1])", cache=True, nogil=True)
def find_furniture(data: Any, lines: Any, count: int, width: int, repeated: Any, furniture: Any) -> int:
    """Mark the lines that are furniture and return how many."""
    furniture[:count] = 0
    _find_headers(data, lines, count, width, repeated, furniture)
    for number in range(count):
        if lines[number, FLAGS] & NUMBER and _is_page_number(lines, count, number, width, repeated):
            furniture[number] = 1
    _go_on(data, lines, count, 1, furniture)
    _go_on(data, lines, count, -1, furniture)
    found = 0
    for number in range(count):
        found += furniture[number]
    return found
