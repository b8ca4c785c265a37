"""Take away white space that nobody sees: at the ends of lines, in lines of nothing else, and in piles of empty lines.

In goes a column of texts, out comes the column with lines that end where their text ends and with at most one empty
line between two paragraphs. It matters beyond looks: a line of two blanks is a line that repeats, and one with a blank
behind its full stop does not end like a sentence, so that rules about lines misjudge what is left unmended.
"""

from typing import Any

import numba
import numpy as np

from lhama.corpus.repairs.strings import Mended, put, strings
from lhama.corpus.words import texts_of

NAMES = ("spaces",)
"""Lines that were shortened or left out."""
FEED, BLANK, TAB, RETURN = 0x0A, 0x20, 0x09, 0x0D
MOST_FEEDS = 2  # in a row: one empty line between paragraphs


def mend(column: Any) -> Mended:
    """Take the white space of every document that has any to lose."""
    texts = texts_of(column)
    documents = len(column)
    sizes, found = np.zeros(documents, np.int64), np.zeros(documents, np.int64)
    out = np.empty(len(texts.data), np.uint8)
    _mend(*texts, out, sizes, found)
    places = np.flatnonzero(found)
    if not len(places):
        return Mended(column, {"spaces": found})
    offsets = np.zeros(documents + 1, np.int64)
    np.cumsum(sizes, out=offsets[1:])
    mended = strings(out[: offsets[-1]], offsets)
    return Mended(put(column, places, mended.take(places)), {"spaces": found})


@numba.njit("void(uint8[::1], int64[::1], uint8[::1], int64[::1], int64[::1])", cache=True, nogil=True)
def _mend(data: Any, offsets: Any, out: Any, sizes: Any, found: Any) -> None:
    size = 0
    for number in range(len(offsets) - 1):
        first, solid, feeds = size, size, 0  # solid: behind the last byte that is no white space
        for at in range(offsets[number], offsets[number + 1]):
            byte = data[at]
            if byte == FEED:
                found[number] += size > solid + feeds or feeds == MOST_FEEDS  # blanks behind it, or one line too many
                size = solid + feeds
                if feeds == MOST_FEEDS:
                    continue
                out[size] = FEED
                feeds += 1
                size += 1
                continue
            out[size] = byte
            size += 1
            if byte not in (BLANK, TAB, RETURN):
                solid, feeds = size, 0
        if size > solid + feeds:
            found[number] += 1
            size = solid + feeds
        sizes[number] = size - first
