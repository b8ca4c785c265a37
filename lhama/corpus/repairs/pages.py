"""Mend text that was cut into pages and lines: join lines to paragraphs and words to words, drop page furniture.

In goes a column of strings, out comes the same with one line per paragraph where a document was hard-wrapped. A
document decides that by itself: many lines of nearly one length are followed by a line that begins with a small letter.
Documents with long lines are not looked at any further, and nothing here makes a Python object per line or word.
"""

from typing import Any

import numba
import numpy as np

from lhama.corpus.repairs.furniture import find_furniture
from lhama.corpus.repairs.hyphens import breaks_words, learn
from lhama.corpus.repairs.lines import COLUMNS, FLAGS, HYPHEN, describe
from lhama.corpus.repairs.marks import find_marks, without_marks
from lhama.corpus.repairs.paragraphs import LEAST, NARROWEST, copy, width_of, write
from lhama.corpus.repairs.strings import Mended, put, spread, strings, take
from lhama.corpus.words import Integers, Texts, cut, looked_at, room, tables, texts_of

NAMES = ("joined_lines", "joined_words", "page_furniture")
"""Line breaks inside paragraphs, words among them that a line's end had broken, lines and marks of pages left out."""

MEAN_LINE = 150  # bytes; a document whose lines are longer is not cut into lines
SAMPLE = 4096  # bytes in which capitals are counted


def mend(column: Any) -> Mended:
    """Mend the pages of every document."""
    column, marks = _without_marks(column)
    data, offsets = texts_of(column)
    feeds = np.zeros(len(column), np.int64)
    _count_feeds(data, offsets, feeds)
    places = np.flatnonzero(feeds)
    counts = np.zeros((len(NAMES), len(places)), np.int64)
    if len(places):
        texts = texts_of(take(column, places))
        out, ends = np.empty(len(texts.data), np.uint8), np.zeros(len(places) + 1, np.int64)
        scratch = _scratch(texts, int(feeds[places].max()) + 1)
        _mend(*(*texts, *tables(), *scratch, out, ends, counts))
        changed = np.flatnonzero(counts.sum(axis=0))
        column = put(column, places[changed], take(strings(out, ends), changed))
    whole = {name: spread(found, places, len(column)) for name, found in zip(NAMES, counts, strict=True)}
    whole["page_furniture"] += marks
    return Mended(column, whole)


def _without_marks(column: Any) -> tuple[Any, Integers]:
    """Take out numbers of pages that stand in brackets inside the text."""
    found = np.zeros(len(column), np.int64)
    find_marks(*texts_of(column), found)
    places = np.flatnonzero(found)
    return put(column, places, without_marks(take(column, places))) if len(places) else column, found


@numba.njit("boolean(uint8[::1], int64, int64)", cache=True, nogil=True)
def _has_capitals(data: Any, begin: int, end: int) -> bool:
    """Say whether most letters of a document's beginning are capitals."""
    capitals, small = 0, 0
    for byte in data[begin : min(end, begin + SAMPLE)]:
        capitals += 0x41 <= byte <= 0x5A
        small += 0x61 <= byte <= 0x7A
    return capitals > small


@numba.njit("int64(uint8[::1], int64, int64)", cache=True, nogil=True)
def _feeds_in(data: Any, begin: int, end: int) -> int:
    """Count line feeds; this loop becomes vector instructions."""
    found = 0
    for byte in data[begin:end]:
        found += byte == 0x0A
    return found


@numba.njit("boolean(uint8[::1], int64, int64)", cache=True, nogil=True)
def _goes_on(data: Any, begin: int, end: int) -> bool:
    """Say whether some lines, not too short, are followed by one that begins with what may be a small letter."""
    found, start = 0, begin
    for at in range(begin, end):
        if data[at] == 0x0A:
            after = at + 1
            while after < end and data[after] == 0x20:
                after += 1
            small = after < end and (0x61 <= data[after] <= 0x7A or data[after] >= 0xC3)
            found += small and at - start >= NARROWEST
            start = at + 1
            if found == LEAST:
                return True
    return False


@numba.njit("void(uint8[::1], int64[::1], int64[::1])", cache=True, nogil=True)
def _count_feeds(data: Any, offsets: Any, feeds: Any) -> None:
    """Count the line feeds of each document that may be hard-wrapped; the others get 0."""
    for number in range(len(offsets) - 1):
        begin, end = offsets[number], offsets[number + 1]
        found = _feeds_in(data, begin, end)
        short = found >= LEAST and end - begin <= found * MEAN_LINE
        if short and (_goes_on(data, begin, end) or _has_capitals(data, begin, end)):
            feeds[number] = found


def _scratch(texts: Texts, most_lines: int) -> tuple[Any, ...]:
    """Make room for what is known of the lines and words of one document, whichever it is."""
    words = room(texts)
    slots = 1 << (2 * len(words.begins)).bit_length()
    per_line = (np.empty(most_lines, np.uint8), np.empty(most_lines, np.uint8))
    return np.empty((most_lines + 1, COLUMNS), np.int64), *per_line, *words, np.empty(slots, np.uint64)


@numba.njit("boolean(int64[:, ::1], int64)", cache=True, nogil=True)
def _has_hyphens(lines: Any, count: int) -> bool:
    found = 0
    for number in range(count):
        found |= lines[number, FLAGS] & HYPHEN
    return found != 0


@numba.njit(
    "void(uint8[::1], int64[::1], uint8[::1], int32[::1], int64[:, ::1], uint8[::1], uint8[::1],"
    " int32[::1], int32[::1], int32[::1], uint8[::1], uint64[::1], uint64[::1], uint64[::1], uint8[::1], int64[::1],"
    " int64[:, ::1])",
    cache=True,
    nogil=True,
)
def _mend(
    data: Any,
    offsets: Any,
    kinds: Any,
    plain: Any,
    lines: Any,
    repeated: Any,
    furniture: Any,
    begins: Any,
    ends: Any,
    lengths: Any,
    word_kinds: Any,
    exact: Any,
    plain_words: Any,
    known: Any,
    out: Any,
    out_ends: Any,
    counts: Any,
) -> None:
    """Write each document into `out`, where it ends into `out_ends`, and count what was done to it."""
    written, letters = 0, np.zeros(2, np.int64)
    for number in range(len(offsets) - 1):
        begin, end = offsets[number], offsets[number + 1]
        count = describe(data, begin, end, kinds, lines, letters)
        capitals = letters[0] > 0 and 5 * letters[1] >= 4 * letters[0]
        width = width_of(lines, count, capitals)
        if width:
            counts[2, number] = find_furniture(data, lines, count, width, repeated, furniture)
            breaks = False
            if _has_hyphens(lines, count):
                breaks = breaks_words(data, lines, count, kinds)
                stop = looked_at(data, begin, end)
                words = cut(data, begin, stop, kinds, plain, begins, ends, lengths, word_kinds, exact, plain_words)
                learn(data, begin, begins, ends, plain_words, words, known)
            found = counts[:, number]
            written = write(
                data, lines, count, width, capitals, furniture, kinds, plain, known, breaks, out, written, found
            )
        else:
            written = copy(data, begin, end, out, written)
        out_ends[number + 1] = written
