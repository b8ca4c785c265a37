"""Lines and paragraphs: how many repeat, how they begin and end, how long they are.

In goes a document, out come counts of its lines. Three filters mean three things by a line, and each keeps its own:
Gopher's repetition splits at runs of line feeds, FineWeb at each line feed and forgets blank lines, Gopher's quality
and C4 at everything that Python's `splitlines` breaks at. Equal lines are found by 64-bit hashes of their bytes.
"""

from typing import Any

import numba
import numpy as np

from lhama.corpus.kernels.characters import TERMINAL
from lhama.corpus.kernels.repetition import slots_for
from lhama.corpus.words import FIRST, MULTIPLIER, SPACE, decode, mixed

SHORT_LINE = 30  # characters; FineWeb
FEED = np.uint8(10)
ONES = np.uint64(0x0101010101010101)

REPEATED_LINES, REPEATED_LINE_CHARACTERS, ELEMENTS = 0, 1, 2
FULL, ENDED, SHORT, FULL_REPEATED_CHARACTERS, FEEDS = 3, 4, 5, 6, 7
PARAGRAPHS, REPEATED_PARAGRAPHS, REPEATED_PARAGRAPH_CHARACTERS, CHARACTERS = 8, 9, 10, 11
LINE_COUNTS = 12


@numba.njit("uint64(uint8[::1], uint64)", cache=True, nogil=True, inline="always")
def eight_bytes(data: Any, at: Any) -> Any:
    """Read eight bytes as a number, the first one lowest; there must be so many."""
    piece = np.uint64(data[at])
    for byte in range(1, 8):
        piece |= np.uint64(data[at + np.uint64(byte)]) << np.uint64(8 * byte)
    return piece


@numba.njit("uint64(uint8[::1], int64, int64)", cache=True, nogil=True, inline="always")
def hash_bytes(data: Any, begin: int, end: int) -> Any:
    """Hash a span, eight bytes at a time."""
    value = FIRST ^ np.uint64(end - begin)
    at, stop, last = np.uint64(begin), np.uint64(end), np.uint64(8)
    while at + last <= stop:
        value = (value ^ eight_bytes(data, at)) * MULTIPLIER
        value ^= value >> np.uint64(32)
        at += last
    piece = np.uint64(0)
    while at < stop:
        piece = piece << np.uint64(8) | np.uint64(data[at])
        at += np.uint64(1)
    return mixed((value ^ piece) * MULTIPLIER)


@numba.njit("int64(uint8[::1], int64, int64)", cache=True, nogil=True, inline="always")
def characters_in(data: Any, begin: int, end: int) -> int:
    """Count the characters of a span: its bytes that do not continue one."""
    count = 0
    for byte in data[begin:end]:
        count += (byte & 0xC0) != 0x80
    return count


@numba.njit("boolean(uint64[::1], int64, int32[::1], int64)", cache=True, nogil=True, inline="always")
def _seen(hashes: Any, number: int, table: Any, slots: int) -> bool:
    """Say whether the hash of this number is that of an earlier one, and remember it if not."""
    mask = np.uint64(slots - 1)
    slot = hashes[number] & mask
    while table[slot]:
        if hashes[table[slot] - 1] == hashes[number]:
            return True
        slot = (slot + np.uint64(1)) & mask
    table[slot] = number + 1
    return False


@numba.njit("UniTuple(int64, 2)(uint8[::1], int64, int64)", cache=True, nogil=True, inline="always")
def next_break(data: Any, at: int, end: int) -> tuple[int, int]:
    """Return where the line that begins here ends, and where the next one begins, as `str.splitlines` has it."""
    while at < end:
        # Eight bytes at once are passed over where none is below 32, C2 or E2 (Anderson's bit twiddling hacks).
        while at + 8 <= end:
            piece = eight_bytes(data, np.uint64(at))
            low = (piece - ONES * np.uint64(0x20)) & ~piece
            c2, e2 = piece ^ ONES * np.uint64(0xC2), piece ^ ONES * np.uint64(0xE2)
            if (low | (c2 - ONES) & ~c2 | (e2 - ONES) & ~e2) & ONES * np.uint64(0x80):
                break
            at += 8
        for place in range(at, min(at + 8, end)):
            byte = data[place]
            if byte < 32:
                if 10 <= byte <= 13 or 28 <= byte <= 30:
                    both = byte == 13 and place + 1 < end and data[place + 1] == FEED
                    return place, place + (2 if both else 1)
            elif byte == 0xC2:
                if data[place + 1] == 0x85:
                    return place, place + 2
            elif byte == 0xE2 and data[place + 1] == 0x80 and 0xA8 <= data[place + 2] <= 0xA9:
                return place, place + 3
        at += 8
    return end, end


@numba.njit("int64(uint8[::1], int32[::1], int32[::1])", cache=True, nogil=True)
def split_breaks(data: Any, begins: Any, ends: Any) -> int:
    """Split at all line breaks and return how many lines there are; begins has one more, where the next would be."""
    count, at = 0, 0
    while at < len(data):
        begins[count] = at
        stop, at = next_break(data, at, len(data))
        ends[count] = stop
        count += 1
    begins[count] = at
    return count


@numba.njit("int64(uint8[::1], int64, int32[::1], int32[::1], int32[::1])", cache=True, nogil=True)
def split_feeds(data: Any, breaks: int, after: Any, begins: Any, ends: Any) -> int:
    """Split at runs of line feeds, as `re.split("\\n+")` does; `after` is where the lines of `split_breaks` begin."""
    count, begin = 0, 0
    for number in range(1, breaks + 1):
        stop = after[number] - 1
        if data[stop] != FEED:
            continue
        if stop > begin or stop == 0:
            begins[count], ends[count] = begin, stop
            count += 1
        begin = stop + 1
    begins[count], ends[count] = begin, len(data)
    return count + 1


@numba.njit("boolean(uint8[::1], int64, int64, uint8[::1])", cache=True, nogil=True, inline="always")
def _blank(data: Any, begin: int, end: int, kinds: Any) -> bool:
    at = begin
    while at < end:
        point, at = decode(data, at)
        if not kinds[point] & SPACE:
            return False
    return True


@numba.njit("boolean(uint8[::1], int64, int64, uint8[::1])", cache=True, nogil=True, inline="always")
def _ended(data: Any, begin: int, end: int, kinds: Any) -> Any:
    """Say whether the last character of a line ends a sentence."""
    at = end - 1
    while at > begin and data[at] & 0xC0 == 0x80:
        at -= 1
    point, _ = decode(data, at)
    return kinds[point] & TERMINAL != 0


@numba.njit(
    "void(uint8[::1], int32[::1], int32[::1], int64, uint8[::1], int32[::1], uint64[::1], int64[::1])",
    cache=True,
    nogil=True,
)
def count_lines(
    data: Any, begins: Any, ends: Any, lines: int, kinds: Any, table: Any, hashes: Any, counts: Any
) -> None:
    """Count the pieces of `split_feeds`: all of them for Gopher, and those that are not blank for FineWeb."""
    slots = slots_for(lines)
    table[:slots] = 0
    for line in range(lines):
        begin, end = begins[line], ends[line]
        length = characters_in(data, begin, end)
        counts[CHARACTERS] += length
        hashes[line] = hash_bytes(data, begin, end)
        repeated = _seen(hashes, line, table, slots)
        if repeated:
            counts[REPEATED_LINES] += 1
            counts[REPEATED_LINE_CHARACTERS] += length
        if line:
            counts[FEEDS] += begin - ends[line - 1]
        if not _blank(data, begin, end, kinds):
            counts[FULL] += 1
            counts[ENDED] += _ended(data, begin, end, kinds)
            counts[SHORT] += length <= SHORT_LINE
            counts[FULL_REPEATED_CHARACTERS] += length if repeated else 0
    counts[ELEMENTS] = lines
    counts[CHARACTERS] += counts[FEEDS]


@numba.njit(
    "void(uint8[::1], int64, int64, int32[::1], int32[::1], int64, int32[::1], uint64[::1], int64[::1])",
    cache=True,
    nogil=True,
)
def count_paragraphs(
    data: Any, first: int, last: int, begins: Any, ends: Any, lines: int, table: Any, hashes: Any, counts: Any
) -> None:
    """Count the paragraphs of data[first:last], the document without its outer white space.

    A paragraph ends where two or more line feeds follow each other, as `re.split("\\n{2,}")` has it.
    """
    count, begin = 0, first
    slots = slots_for(lines)
    table[:slots] = 0
    for line in range(lines):
        last_one = line + 1 == lines or ends[line] >= last
        if not last_one and (begins[line + 1] <= first or begins[line + 1] - ends[line] < 2):
            continue
        end = last if last_one else ends[line]
        hashes[count] = hash_bytes(data, begin, end)
        if _seen(hashes, count, table, slots):
            counts[REPEATED_PARAGRAPHS] += 1
            counts[REPEATED_PARAGRAPH_CHARACTERS] += characters_in(data, begin, end)
        count += 1
        if last_one:
            break
        begin = begins[line + 1]
    counts[PARAGRAPHS] = count


@numba.njit("boolean(uint8[::1], int64)", cache=True, nogil=True, inline="always")
def bullet(data: Any, at: int) -> Any:
    """Say whether a word is a hyphen or begins with a bullet."""
    if data[at] == 0x2D:
        return True
    return data[at] == 0xE2 and data[at + 1] == 0x80 and data[at + 2] == 0xA2


@numba.njit("boolean(uint8[::1], int64, int64)", cache=True, nogil=True, inline="always")
def ellipsis(data: Any, at: int, length: int) -> Any:
    """Say whether a word is three or more full stops, or ends with the character for them."""
    if data[at] == 0x2E:
        return length >= 3
    return data[at] == 0xE2 and data[at + 1] == 0x80 and data[at + 2] == 0xA6
