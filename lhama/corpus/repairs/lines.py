"""What a line of text looks like: how long it is, how it begins and ends, whether it is prose at all.

In goes a document, out comes a table with a row of numbers for each line, from which pages.py tells where a paragraph
was cut into lines and where a line ends because its author ended it. Lists, tables, headings, quotations and code are
recognised by their first characters and by what only programs write.
"""

from typing import Any

import numba
import numpy as np

from lhama.corpus.words import LETTER, UPPER, decode

START, BEGIN, END, CHARACTERS, FIRST, FLAGS = range(6)
"""Where the line starts, where its text begins and ends (spaces left out), how many characters the text and its first
word have, and what it is."""
COLUMNS = 6

BLANK, LOWER, LETTERED, MARKED, CODE, TABLE, TERMINAL, OPEN, HYPHEN, NUMBER = (1 << bit for bit in range(10))
"""Nothing there; begins with a small letter; with a letter; with the mark of a list, a speech, a heading or a
quotation; a program's; in columns; ends as sentences do; ends with a letter or comma; with a hyphen after a letter;
a number and nothing else."""

FEED, SPACE, TAB, HYPHEN_MINUS = 0x0A, 0x20, 0x09, 0x2D
MARKS = (
    0x23,
    0x2A,
    0x2B,
    0x2D,
    0x3E,
    0x7C,
    0xA7,
    0xB7,
    0x2013,
    0x2014,
    0x2015,
    0x2022,
    0x25AA,
    0x25CF,
)  # #*+->|§·–—―•▪●
CLOSING = (0x22, 0x27, 0x29, 0x2A, 0x5D, 0x5F, 0xBB, 0x2019, 0x201D)  # "')*]_»’”
STOPS = (0x21, 0x2E, 0x3A, 0x3F, 0x2026)  # !.:?…
MANY = 1 << 30


@numba.njit("boolean(uint8)", cache=True, nogil=True, inline="always")
def is_digit(byte: Any) -> bool:
    """Say whether a byte is one of 0 to 9."""
    return bool(0x30 <= byte <= 0x39)


@numba.njit("boolean(uint8[::1], int64, int64)", cache=True, nogil=True)
def _is_labelled(data: Any, begin: int, end: int) -> bool:
    """Say whether a line begins with `key:`, `key =`, or `[label]:`."""
    at = begin
    if data[begin] == 0x5B:
        while at < end and data[at] != 0x5D:
            at += 1
        return bool(at + 1 < end and data[at + 1] == 0x3A)
    while at < end and data[at] > SPACE and data[at] != 0x3A:
        at += 1
    if at in (begin, end):
        return False
    if data[at] == 0x3A:
        return bool(at + 1 == end or data[at + 1] == SPACE)
    return bool(at + 2 < end and data[at + 1] == 0x3D and data[at + 2] == SPACE)


@numba.njit("boolean(uint8[::1], int64, int64)", cache=True, nogil=True)
def _is_marked(data: Any, begin: int, end: int) -> bool:
    """Say whether a line begins with a mark: a dash, a bullet, a label, a tag, an image, `12.`, `3)`, `a)`, `IV -`."""
    point, after = decode(data, begin)
    opens = point in (0x21, 0x3C) and after < end and data[after] not in (SPACE, 0x2E)
    if opens or point in MARKS or _is_labelled(data, begin, end):
        return True
    at = begin
    while at < end and at < begin + 6 and is_digit(data[at]):
        at += 1
    if at == begin:  # a single letter, or a Roman number
        at = after if after < end and data[after] in (0x29, 0x2E) else begin
        while at < end and at < begin + 8 and data[at] in (0x49, 0x56, 0x58, 0x4C, 0x43):
            at += 1
    if at == begin or at >= end:
        return False
    point, after = decode(data, at)
    if point == SPACE and after < end:
        point, after = decode(data, after)
        return point in (0x2D, 0x2013, 0x2014)
    return point in (0x29, 0x2E, 0xAA, 0xB0, 0xBA)


@numba.njit("boolean(uint8, uint8, uint8)", cache=True, nogil=True)
def _is_code(before: Any, byte: Any, after: Any) -> bool:
    """Say whether two characters belong to a program: -> => /> ?> == :: // </ <? &l &g and $name."""
    if after == 0x3E:
        return byte in (0x2D, 0x3D, 0x2F, 0x3F)
    if byte == 0x3C:
        return after in (0x2F, 0x3F)
    if byte == 0x26:
        return after in (0x67, 0x6C)
    if byte == 0x24:
        return bool(0x61 <= after | 0x20 <= 0x7A)
    return bool(byte == after and (byte in (0x3A, 0x3D) or (byte == 0x2F and before != 0x3A)))


@numba.njit("int64(uint8[::1], int64, int64)", cache=True, nogil=True)
def _foreign(data: Any, begin: int, end: int) -> int:
    """Return CODE or TABLE if a line has what prose does not have, or 0."""
    found, assigns, path, spaced, before = 0, False, False, False, np.uint8(0)
    for at in range(begin, end - 1):
        byte = data[at]
        if byte >= 0x80 or 0x61 <= byte | 0x20 <= 0x7A:
            before = byte
            continue
        after = data[at + 1]
        if byte == SPACE:
            found |= after == SPACE and at + 2 < end and data[at + 2] == SPACE
        elif _is_code(before, byte, after):
            return CODE
        elif byte in (TAB, 0x7C):
            found = 1
        elif byte == after and byte in (0x2E, 0x5F) and at + 4 < end:
            found |= data[at + 2] == byte and data[at + 3] == byte and data[at + 4] == byte
        assigns |= byte == 0x3D
        spaced |= byte == SPACE
        path |= byte == 0x5C and 0x61 <= after | 0x20 <= 0x7A  # c:\x, App\Model
        before = byte
    last = data[end - 1]
    ends = last == 0x3B and (assigns or (end - begin > 1 and data[end - 2] == 0x29))
    comment = end - begin > 1 and data[begin] == 0x2F and data[begin + 1] == 0x2A
    if ends or comment or (path and (assigns or not spaced)) or last in (0x7B, 0x7D):
        return CODE
    return TABLE if found or last == 0x7C else 0


@numba.njit("int64(uint8[::1], int64, int64)", cache=True, nogil=True)
def page_number(data: Any, begin: int, end: int) -> int:
    """Return the number that a line is, of up to four digits, in brackets perhaps; 0 if it is none, or a year."""
    while begin < end and data[begin] in (0x20, 0x28, 0x2D, 0x5B):
        begin += 1
    while begin < end and data[end - 1] in (0x20, 0x29, 0x2D, 0x2E, 0x5D):
        end -= 1
    value: Any = 0
    for at in range(begin, end):
        if not is_digit(data[at]) or at == begin + 4:
            return 0
        value = 10 * value + np.int64(data[at]) - 0x30
    return 0 if 1400 <= value <= 2100 else int(value)


@numba.njit("int64(uint8[::1], int64, int64, uint8[::1])", cache=True, nogil=True)
def _ending(data: Any, begin: int, end: int, kinds: Any) -> int:
    """Return TERMINAL, OPEN, HYPHEN, or 0."""
    at, last, before = end, 0, 0
    while at > begin:
        place = at - 1
        while place > begin and data[place] & 0xC0 == 0x80:
            place -= 1
        point, _ = decode(data, place)
        if last == 0 and point in CLOSING:
            at = place
            continue
        if last:
            before = point
            break
        last, at = point, place
    if last in STOPS:
        return TERMINAL
    if last == 0x2C or (last and kinds[last] & LETTER):
        return OPEN
    whole = last == 0x2D and data[end - 1] == HYPHEN_MINUS
    return HYPHEN if whole and before and kinds[before] & LETTER else 0


@numba.njit("int64(uint8[::1], int64, int64, uint8[::1])", cache=True, nogil=True)
def _beginning(data: Any, begin: int, end: int, kinds: Any) -> int:
    """Return MARKED, LETTERED and LOWER, as far as they hold; only scripts with two cases have small letters."""
    found = MARKED if _is_marked(data, begin, end) else 0
    point, _ = decode(data, begin)
    if kinds[point] & LETTER:
        cased = point < 0x0590 or 0x1E00 <= point < 0x2000
        found |= LETTERED | (LOWER if cased and not kinds[point] & UPPER else 0)
    return found


@numba.njit("int64(uint8[::1], int64, int64)", cache=True, nogil=True)
def _verbatim(data: Any, at: int, end: int) -> int:
    """Return 1 where <pre begins, -1 where </pre does, else 0."""
    place = at + 1
    if place < end and data[place] == 0x2F:
        place += 1
    if (
        place + 3 > end
        or data[place] | 0x20 != 0x70
        or data[place + 1] | 0x20 != 0x72
        or data[place + 2] | 0x20 != 0x65
    ):
        return 0
    return 1 if place == at + 1 else -1


@numba.njit("int64(uint8[::1], int64, int64, uint8[::1], int64[:, ::1], int64[::1])", cache=True, nogil=True)
def describe(data: Any, begin: int, end: int, kinds: Any, lines: Any, letters: Any) -> int:
    """Fill a row for each line of data[begin:end]; count letters and capitals; return the rows.

    One more row than these stands for the end of the document.
    """
    count, start, fenced, verbatim = 0, begin, False, 0
    all_letters, capitals = 0, 0
    while start < end:
        at, first, last, seen, characters, word = start, -1, start, 0, 0, MANY
        while at < end and data[at] != FEED:
            point, after = decode(data, at)
            if point > 0x20 and point != 0xA0:
                first = at if first < 0 else first
                last = after
                seen += 1
                characters = seen
            elif first >= 0:
                word = min(word, characters)
                seen += 1
            if point == 0x3C:
                turn = _verbatim(data, at, end)
                verbatim = turn if turn else verbatim
            all_letters += (kinds[point] & LETTER) != 0
            capitals += (kinds[point] & UPPER) != 0
            at = after
        row = lines[count]
        row[START], row[FLAGS], row[FIRST], row[CHARACTERS] = start, BLANK, 0, 0
        row[BEGIN] = row[END] = start
        if first >= 0:
            row[BEGIN], row[END], row[CHARACTERS], row[FIRST] = first, last, characters, min(word, characters)
            fence = (
                last - first >= 3 and data[first] in (0x60, 0x7E) and data[first] == data[first + 1] == data[first + 2]
            )
            fenced ^= fence
            flags = CODE if fence or fenced or verbatim > 0 else _foreign(data, first, last)
            flags |= _beginning(data, first, last, kinds) | _ending(data, first, last, kinds)
            row[FLAGS] = flags | (NUMBER if page_number(data, first, last) else 0)
        count += 1
        start = at + 1
    lines[count, START] = lines[count, BEGIN] = lines[count, END] = end
    lines[count, FLAGS] = BLANK
    letters[0], letters[1] = all_letters, capitals
    return count
