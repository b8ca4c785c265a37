"""Take out the lines that stand in many documents of a source: mastheads, licences, navigation, footers.

In go documents, out come records of a fixed size, one for each line of LEAST_WORDS words and more (a paragraph is a
line where text is not wrapped); counted over a source they tell which lines repeat, and those leave every document but
the first. A line is compared by the hash of its words in their plain form (lower case, no accents, each digit a 0),
punctuation and white space left out, so that "Page 12 of 30 ..." is one line and a table's ruler is none.

Short lines repeat because people repeat themselves: the ingredients of recipes, `— Não sei, disse ela.`, the formulas
of an epic. So a line needs some words to count, and more documents than a writer would say it in.
"""

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import numba
import numpy as np
import numpy.typing as npt

from lhama.corpus.records import sliced, slices_for
from lhama.corpus.spans import LEAST_LEFT, Spans, take_out
from lhama.corpus.words import FIRST, MULTIPLIER, WORD, Texts, cut, looked_at, mixed, room, tables

Integers = npt.NDArray[np.int64]
Keys = npt.NDArray[np.uint64]

LEAST_WORDS = 8
"""Swept 4-10 over 22 sources: at 8 the repeated lines of recipes, letters and verse stay, and mastheads go."""
MORE_THAN = 10
"""Documents of a source; fewer may hold a line for reasons of their own, such as a quotation."""
SLICE_LINES = 4 << 20  # lines decided at once: about 300 MB while they are sorted
FEED = np.uint8(10)


class Lines(NamedTuple):
    """Lines of a batch of documents: key, number of the document in the batch, the line's bytes with its end, and how
    many runs without ASCII white space it has, which is what the corpus counts as words."""

    keys: Keys
    documents: Integers
    begins: Integers
    ends: Integers
    words: Integers

    @property
    def sizes(self) -> Integers:
        """Return how many bytes a document loses with each line."""
        return self.ends - self.begins


Record = tuple[Keys, Integers, Integers, Integers]
"""Keys of lines, orders of their documents, bytes, words."""
KINDS = (np.uint64, np.int64, np.int64, np.int64)


class Repeated(NamedTuple):
    """What is taken out: lines by their sorted keys, and documents by their sorted orders."""

    keys: Keys
    first: Integers
    """The order of the document that keeps the line."""
    counts: Integers
    """In how many documents the line stands."""
    orders: Integers
    taken: Integers
    """How many bytes and words this document loses: an array of (documents, 2)."""


class Shortened(NamedTuple):
    """Documents without repeated lines, and how many lines and bytes each has lost."""

    texts: Texts
    lines: Integers
    taken: Integers


def lines_of(texts: Texts, source: str, least_words: int = LEAST_WORDS) -> Lines:
    """Return the lines that count; keys of different sources never meet. Of a line the first 16 MB are looked at."""
    most = int(np.count_nonzero(texts.data == FEED)) + len(texts.offsets) - 1
    keys, documents = np.empty(most, np.uint64), np.empty(most, np.int64)
    begins, ends, words = np.empty(most, np.int64), np.empty(most, np.int64), np.empty(most, np.int64)
    salt = np.uint64(int.from_bytes(hashlib.sha256(source.encode()).digest()[:8], "big"))
    found = _find_lines(*texts, *tables(), *room(texts), salt, least_words, keys, documents, begins, ends, words)
    return Lines(keys[:found], documents[:found], begins[:found], ends[:found], words[:found])


def repeated(
    parts: Iterable[Record], lines: int, scratch: Path, more_than: int = MORE_THAN, slice_lines: int = SLICE_LINES
) -> Repeated:
    """Count about so many lines and return those that stand in more documents than allowed.

    This goes slice by slice of the key space; memory follows the slice, the different repeated lines, and the
    documents that lose one.
    """
    with sliced(parts, KINDS, slices_for(lines, slice_lines), scratch) as pieces:
        return joined(
            [
                repeated_among(keys, orders, np.stack([sizes, words], axis=1), more_than)
                for keys, orders, sizes, words in pieces
            ]
        )


def repeated_among(keys: Keys, orders: Integers, sizes: Integers, more_than: int = MORE_THAN) -> Repeated:
    """Decide about all lines of one slice; `sizes` has the bytes and words of each."""
    if not len(keys):
        return Repeated(keys, orders, orders, orders, sizes)
    by_key = np.lexsort((orders, keys))
    keys, orders, sizes = keys[by_key], orders[by_key], sizes[by_key]
    begins = np.flatnonzero(np.append(True, keys[1:] != keys[:-1]))
    group = np.repeat(np.arange(len(begins)), np.diff(np.append(begins, len(keys))))
    another = np.append(True, orders[1:] != orders[:-1])  # a line that stands twice in a document counts once
    another[begins] = True
    counts = np.add.reduceat(another.astype(np.int64), begins)
    many = counts > more_than
    lost = many[group] & (orders != orders[begins][group])
    return Repeated(keys[begins][many], orders[begins][many], counts[many], *_summed(orders[lost], sizes[lost]))


def joined(slices: list[Repeated]) -> Repeated:
    """Put the decisions of all slices together."""
    keys, first, counts, orders, taken = (np.concatenate(column) for column in zip(*slices, strict=True))
    by_key = np.argsort(keys)
    return Repeated(keys[by_key], first[by_key], counts[by_key], *_summed(orders, taken))


def without(
    texts: Texts, orders: Integers, source: str, decided: Repeated, least_words: int = LEAST_WORDS
) -> Shortened:
    """Take the repeated lines out of documents of a source; the first document of each keeps it."""
    lines = lines_of(texts, source, least_words)
    if not len(decided.keys):
        nothing = np.zeros(len(texts.offsets) - 1, np.int64)
        return Shortened(texts, nothing, nothing)
    place = np.minimum(np.searchsorted(decided.keys, lines.keys), len(decided.keys) - 1)
    lost = (decided.keys[place] == lines.keys) & (decided.first[place] != orders[lines.documents])
    spans = Spans(lines.documents[lost], lines.begins[lost], lines.ends[lost])
    left, taken = take_out(texts, spans)
    return Shortened(left, np.bincount(spans.documents, minlength=len(taken)).astype(np.int64), taken)


def emptied(sizes: Integers, taken: Integers) -> npt.NDArray[np.bool_]:
    """Tell the documents that were hardly more than repeated lines, from the bytes they had and those they lose."""
    hollow: npt.NDArray[np.bool_] = (taken > 0) & (sizes - taken < LEAST_LEFT)
    return hollow


def most_frequent(decided: Repeated, number: int = 20) -> list[tuple[int, int, int]]:
    """List (key, documents, order of the first) of the lines in most documents; `spelled` has their words."""
    most = np.lexsort((decided.keys, -decided.counts))[:number]
    return [(int(decided.keys[at]), int(decided.counts[at]), int(decided.first[at])) for at in most]


def spelled(texts: Texts, source: str, keys: Iterable[int], least_words: int = LEAST_WORDS) -> dict[int, str]:
    """Return the words of those lines, by key, that stand in these documents."""
    lines = lines_of(texts, source, least_words)
    found: dict[int, str] = {}
    for at in np.flatnonzero(np.isin(lines.keys, np.array(sorted(keys), np.uint64))):
        start = texts.offsets[lines.documents[at]]
        line = texts.data[start + lines.begins[at] : start + lines.ends[at]]
        found.setdefault(int(lines.keys[at]), line.tobytes().decode().strip())
    return found


def _summed(orders: Integers, sizes: Integers) -> tuple[Integers, Integers]:
    """Sum the sizes of each order."""
    losing, place = np.unique(orders, return_inverse=True)
    taken = np.zeros((len(losing), 2), np.int64)
    np.add.at(taken, place, sizes)
    return losing, taken


@numba.njit("int64(uint8[::1], int64, int64)", cache=True, nogil=True)
def _runs(data: Any, begin: int, end: int) -> int:
    """Count the runs without ASCII white space."""
    found, space = 0, True
    for at in range(begin, end):
        here = data[at] == 32 or 9 <= data[at] <= 13
        found += space and not here
        space = here
    return found


@numba.njit(
    "int64(uint8[::1], int64[::1], uint8[::1], int32[::1], int32[::1], int32[::1], int32[::1], uint8[::1],"
    " uint64[::1], uint64[::1], uint64, int64, uint64[::1], int64[::1], int64[::1], int64[::1], int64[::1])",
    cache=True,
    nogil=True,
)
def _find_lines(
    data: Any,
    offsets: Any,
    kinds: Any,
    plain_form: Any,
    word_begins: Any,
    word_ends: Any,
    lengths: Any,
    word_kinds: Any,
    exact: Any,
    plain: Any,
    salt: Any,
    least_words: int,
    keys: Any,
    documents: Any,
    begins: Any,
    ends: Any,
    runs: Any,
) -> int:
    count = 0
    for number in range(len(offsets) - 1):
        begin, end = offsets[number], offsets[number + 1]
        while begin < end:
            after = begin
            while after < end and data[after] != FEED:
                after += 1
            after = min(after + 1, end)
            stop = looked_at(data, begin, after)
            words = cut(data, begin, stop, kinds, plain_form, word_begins, word_ends, lengths, word_kinds, exact, plain)
            value, real = FIRST ^ salt, 0
            for word in range(words):
                if word_kinds[word] & WORD:
                    value = (value ^ plain[word]) * MULTIPLIER
                    value ^= value >> np.uint64(32)
                    real += 1
            if real >= least_words:
                keys[count], documents[count] = mixed(value), number
                begins[count], ends[count] = begin - offsets[number], after - offsets[number]
                runs[count] = _runs(data, begin, after)
                count += 1
            begin = after
    return count
