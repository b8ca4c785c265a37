"""Blocks of code that a document marks as such: fences of Markdown, <pre>, <script>, <style>, PHP, {% highlight %}.

In goes a document in lines, out come flags: the lines from the opening to the closing mark, both included. A block that
is never closed is none, because a forgotten mark must not turn the rest of a document into code; nor is one that begins
and ends within a line, which may be prose about it.
"""

from typing import Any

import numba
import numpy as np

import lhama.corpus.compiled  # noqa: F401 - before any kernel: it says where compiled ones are kept

CODE, TRANSLATED = 1, 2
"""What a line can be beside prose; a line of translated code is both."""
OPENS = ("<pre", "<script", "<style", "<?php", "<?=", "{% highlight", "{% code")
CLOSES = ("</pre", "</script", "</style", "?>", "?>", "{% endhighlight", "{% endcode")
FENCE = len(OPENS)
KINDS = FENCE + 1
LONGEST_MARK = max(map(len, OPENS + CLOSES))


def _letters(marks: tuple[str, ...]) -> Any:
    return np.array([list(mark.encode().ljust(LONGEST_MARK, b"\0")) for mark in marks], np.uint8)


def block_marks() -> tuple[Any, Any]:
    """Return the opening and the closing marks, a row for each, filled up with zeros."""
    return _letters(OPENS), _letters(CLOSES)


@numba.njit("int64(uint8[::1], int64, int64, uint8[:, ::1], int64)", cache=True, nogil=True)
def _mark_at(data: Any, at: int, end: int, marks: Any, kind: int) -> Any:
    """Return the place after a mark of this kind that stands here in any case, or 0."""
    for place in range(marks.shape[1]):
        letter = marks[kind, place]
        if letter == 0:
            return at + place
        if at + place >= end:
            return 0
        byte = data[at + place]
        if byte != letter and (byte < 0x41 or byte > 0x5A or byte + 0x20 != letter):
            return 0
    return at + marks.shape[1]


@numba.njit("UniTuple(int64, 2)(uint8[::1], int64, int64)", cache=True, nogil=True)
def fence_at(data: Any, begin: int, end: int) -> tuple[Any, int]:
    """Return the sign and the length of the fence that a line begins with (0 if none), negative with text behind it."""
    at = begin
    while at < end and (data[at] == 0x20 or data[at] == 0x09):
        at += 1
    if at >= end or (data[at] != 0x60 and data[at] != 0x7E):
        return 0, 0
    sign, start = np.int64(data[at]), at
    while at < end and data[at] == sign:
        at += 1
    length = at - start
    if length < 3:
        return 0, 0
    while at < end and (data[at] == 0x20 or data[at] == 0x09 or data[at] == 0x0D):
        at += 1
    return sign, length if at == end else -length


@numba.njit("int64(uint8[::1], int32[::1], int32[::1], int64, int64, int64, int64)", cache=True, nogil=True)
def _fence_end(data: Any, begins: Any, ends: Any, lines: int, line: int, sign: int, length: int) -> int:
    """Return the line that closes a fence opened before this one, or -1."""
    for other in range(line, lines):
        found, size = fence_at(data, begins[other], ends[other])
        if found == sign and size >= length:
            return other
    return -1


@numba.njit(
    "int64(uint8[::1], int32[::1], int32[::1], int64, int64, int64, uint8[:, ::1], int64)", cache=True, nogil=True
)
def _block_end(data: Any, begins: Any, ends: Any, lines: int, line: int, at: int, closes: Any, kind: int) -> int:
    """Return the line in which the closing mark of a block stands that was opened before data[at], or -1."""
    for other in range(line, lines):
        for place in range(max(at, begins[other]), ends[other]):
            if data[place] == closes[kind, 0] and _mark_at(data, place, ends[other], closes, kind):
                return other
    return -1


@numba.njit(
    "int64(uint8[::1], int32[::1], int32[::1], int64, int64, uint8[:, ::1], uint8[:, ::1], int64[::1])",
    cache=True,
    nogil=True,
)
def _opened_here(data: Any, begins: Any, ends: Any, lines: int, line: int, opens: Any, closes: Any, until: Any) -> int:
    """Return the last line of a block that begins in this one, or -1.

    `until` holds for each kind the line up to which no other mark is looked for: the one where it closes, or all.
    """
    sign, length = fence_at(data, begins[line], ends[line])
    if sign and until[FENCE] < line:
        last = _fence_end(data, begins, ends, lines, line + 1, sign, abs(length))
        if last >= 0:
            return last
        until[FENCE] = lines
    for at in range(begins[line], ends[line]):
        if data[at] != 0x3C and data[at] != 0x7B:
            continue
        for kind in range(FENCE):
            after = _mark_at(data, at, ends[line], opens, kind) if until[kind] < line else 0
            if after:
                last = _block_end(data, begins, ends, lines, line, after, closes, kind)
                if last > line:
                    return last
                until[kind] = line if last == line else lines
    return -1


@numba.njit(
    "void(uint8[::1], int32[::1], int32[::1], int64, uint8[:, ::1], uint8[:, ::1], uint8[::1])",
    cache=True,
    nogil=True,
)
def mark_blocks(data: Any, begins: Any, ends: Any, lines: int, opens: Any, closes: Any, flags: Any) -> None:
    """Set the flags of the lines of all blocks to CODE, of all others to 0."""
    until = np.full(KINDS, -1, np.int64)
    flags[:lines] = 0
    line = 0
    while line < lines:
        last = _opened_here(data, begins, ends, lines, line, opens, closes, until)
        if last >= 0:
            flags[line : last + 1] = CODE
            line = last
        line += 1
