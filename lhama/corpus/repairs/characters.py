"""One character after another: what is removed, what is replaced, and what depends on the character before it.

In go bytes and offsets, out come bytes and offsets. Removed are control characters other than line feed and tab,
non-characters, marks of direction and of zero width, soft hyphens, byte order marks and terminal colours. Replaced are
all spaces of a word's width, all ways to end a line, typographic ligatures, and the control characters 0x80 to 0x9F,
which are what the quotation marks and dashes of Windows-1252 become when they are read as Latin-1.
"""

from functools import cache
from typing import Any

import numba
import numpy as np
import numpy.typing as npt

from lhama.corpus.words import LETTER, decode, tables

KEEP, REMOVE, JOINER, SOFT_HYPHEN, LINE, PAGE, RETURN, ESCAPE = range(8)
FIRST_REPLACEMENT = 8

FEED, SPACE = np.uint8(0x0A), np.uint8(0x20)
INVISIBLE = (0x2060, 0x2061, 0x2062, 0x2063, 0x2064, 0xFEFF, 0xFFF9, 0xFFFA, 0xFFFB, 0xFFFC)
"""Word joiner, invisible operators, byte order mark, marks of annotation, and the place of a lost object."""
DIRECTION = (0x061C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x2070))
JOINERS = (0x200B, 0x200C, 0x200D)  # zero-width space, non-joiner, joiner
SPACES = (0x00A0, 0x1680, *range(0x2000, 0x200B), 0x202F, 0x205F)
OTHERS = {
    0x2011: "-",  # a hyphen that does not break
    0xF0B7: "•",  # the bullet of the font Symbol, in text from PDFs
    **dict(zip(range(0xFB00, 0xFB07), ("ff", "fi", "fl", "ffi", "ffl", "st", "st"), strict=True)),
}


@cache
def actions() -> npt.NDArray[np.uint8]:
    """For each code point say what is done to it: one of the constants, or the number of a replacement after them."""
    table = np.zeros(0x110000, np.uint8)
    table[0:0x20] = REMOVE
    table[0x7F] = REMOVE
    table[[0x09, 0x0A]] = KEEP
    table[[0x0B, 0x0C]] = PAGE
    table[0x0D], table[0x1B], table[0xAD] = RETURN, ESCAPE, SOFT_HYPHEN
    table[[0x2028, 0x2029]] = LINE
    table[[*INVISIBLE, *DIRECTION]] = REMOVE
    table[list(JOINERS)] = JOINER
    table[0xFDD0:0xFDF0] = REMOVE
    for plane in range(17):
        table[[(plane << 16) + 0xFFFE, (plane << 16) + 0xFFFF]] = REMOVE
    table[0x80:0xA0] = REMOVE  # five of them mean nothing in Windows-1252 either
    for number, point in enumerate(_replaced()):
        table[point] = FIRST_REPLACEMENT + number
    return table


@cache
def replacements() -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    """Return the replacements in UTF-8, one after the other, and where each begins."""
    texts = [text.encode() for text in _replaced().values()]
    offsets = np.zeros(len(texts) + 1, np.int64)
    np.cumsum([len(text) for text in texts], out=offsets[1:])
    return np.frombuffer(b"".join(texts), np.uint8).copy(), offsets


@cache
def _replaced() -> dict[int, str]:
    lost = {byte: bytes([byte]).decode("windows-1252", "ignore") for byte in range(0x80, 0xA0)}
    return {point: text for point, text in lost.items() if text} | dict.fromkeys(SPACES, " ") | OTHERS


@numba.njit("boolean(int64, int64)", cache=True, nogil=True)
def _needs_joiner(point: int, before: int) -> bool:
    """Say whether a mark of zero width means something after a character: in scripts that join letters, in emoji."""
    return 0x0590 <= before < 0x1E00 or (point == 0x200D and before >= 0x2190)


@numba.njit("int64(uint8[::1], int64, int64, uint8[::1])", cache=True, nogil=True)
def _after_break(data: Any, at: int, end: int, kinds: Any) -> int:
    """Return where a word goes on that a soft hyphen broke at a line's end, or the same place."""
    place, feeds = at, 0
    while place < end and feeds <= 1 and (data[place] == SPACE or data[place] == 0x0D or data[place] == FEED):
        run = place
        while run < end and data[run] == 0x0D:
            run += 1
        if run < end and data[run] == FEED:  # returns before a line feed are part of it
            run += 1
            feeds += 1
        else:
            feeds += run - place
            run += run == place
        place = run
    if feeds == 1 and place < end:
        point, _ = decode(data, place)
        if kinds[point] & LETTER:
            return place
    return at


@numba.njit("int64(uint8[::1], int64, int64)", cache=True, nogil=True)
def _after_escape(data: Any, at: int, end: int) -> int:
    """Return where a terminal's control sequence ends (ECMA-48: ESC [, parameters, a letter), or the same place."""
    if at >= end or data[at] != 0x5B:
        return at
    place = at + 1
    while place < end and 0x20 <= data[place] < 0x40:
        place += 1
    return place + 1 if place < end and 0x40 <= data[place] < 0x7F else at


@numba.njit("int64(int64, uint8[::1], int64, int64, int64, uint8[::1])", cache=True, nogil=True)
def _after(action: int, data: Any, begin: int, at: int, end: int, kinds: Any) -> int:
    """Return where to go on after a character of a document: what belongs to it is skipped with it."""
    if action == SOFT_HYPHEN:
        return _after_break(data, at, end, kinds)
    if action == ESCAPE:
        return _after_escape(data, at, end)
    if action == RETURN:
        if at - 2 >= begin and data[at - 2] == 0x0D:  # then no line feed ends these returns: the first has looked
            return at
        place = at
        while place < end and data[place] == 0x0D:
            place += 1
        return place if place < end and data[place] == FEED else at
    return at


@numba.njit("boolean(int64, uint8[::1], int64, int64, int64)", cache=True, nogil=True)
def _breaks_line(action: int, data: Any, at: int, end: int, last: int) -> bool:
    """Say whether a line feed takes the place of a character; `last` is what was written before it, or a line feed."""
    if action == RETURN:
        return at >= end or data[at] != FEED
    return action == LINE or (action == PAGE and last != FEED)


@numba.njit(
    "void(uint8[::1], int64[::1], uint8[::1], uint8[::1], uint8[::1], int64[::1], uint8[::1], int64[::1], int64[::1])",
    cache=True,
    nogil=True,
)
def _mend(
    data: Any,
    offsets: Any,
    kinds: Any,
    action_of: Any,
    texts: Any,
    begins: Any,
    out: Any,
    ends: Any,
    counts: Any,
) -> None:
    written = 0
    for number in range(len(offsets) - 1):
        before: Any = np.int64(FEED)
        at, end = offsets[number], offsets[number + 1]
        while at < end:
            point, after = decode(data, at)
            action: Any = np.int64(action_of[point])
            if action == KEEP or (action == JOINER and _needs_joiner(point, before)):
                while at < after:
                    out[written] = data[at]
                    written += 1
                    at += 1
                before = point
                continue
            counts[number] += 1
            at = _after(action, data, offsets[number], after, end, kinds)
            if _breaks_line(action, data, at, end, before):
                out[written], before = FEED, np.int64(FEED)
                written += 1
            elif action >= FIRST_REPLACEMENT:
                for place in range(begins[action - FIRST_REPLACEMENT], begins[action - FIRST_REPLACEMENT + 1]):
                    out[written] = texts[place]
                    written += 1
                before = np.int64(SPACE)
        ends[number + 1] = written


def mend_characters(
    data: npt.NDArray[np.uint8],
    offsets: npt.NDArray[np.int64],
    action_of: npt.NDArray[np.uint8],
    texts: npt.NDArray[np.uint8],
    begins: npt.NDArray[np.int64],
    out: npt.NDArray[np.uint8],
    ends: npt.NDArray[np.int64],
    counts: npt.NDArray[np.int64],
) -> None:
    """Write the mended documents into `out`, where each ends into `ends`, and count what was done to each."""
    _mend(data, offsets, tables().kinds, action_of, texts, begins, out, ends, counts)
