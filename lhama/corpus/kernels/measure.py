"""Measure documents for every rule in one go: cut the words once, then count, line by line and run by run.

In go bytes and offsets, out comes a column of numbers for each measurement. Shares are 0 where there is nothing to
share. Of a document longer than 16 MB the first 16 MB are looked at. The scratch arrays are as long as the longest
document of the batch; a page of them that no document reaches takes no memory.
"""

from collections.abc import Iterable
from functools import cache
from typing import Any, NamedTuple

import numba
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from lhama.corpus.kernels import c4, lines, quality
from lhama.corpus.kernels.characters import character_kinds
from lhama.corpus.kernels.lines import count_lines, count_paragraphs, split_breaks, split_feeds
from lhama.corpus.kernels.phrases import machine
from lhama.corpus.kernels.quality import count_breaks, count_known, count_words
from lhama.corpus.kernels.repetition import measure_runs, slots_for
from lhama.corpus.words import Texts, cut, looked_at, room, tables, texts_of

COUNTS = ("rule_words", "stop_words", "stop_words_any_case", "sentences", "lorem_ipsum_lines", "curly_bracket_lines")
SHARES = (
    *(
        "word_length",
        "hashes",
        "ellipses",
        "bullet_lines",
        "ellipsis_lines",
        "alpha_words",
        "alpha_parts",
        "upper_words",
    ),
    *("dup_paragraphs", "dup_paragraph_chars", "dup_lines", "dup_line_chars"),
    *("top_2_gram_chars", "top_3_gram_chars", "top_4_gram_chars"),
    *(f"dup_{size}_gram_chars" for size in range(5, 11)),
    *("punctuated_lines", "short_lines", "dup_full_line_chars", "line_feeds"),
)
MEASURES = {name: pa.int32() for name in COUNTS} | {name: pa.float32() for name in SHARES}
"""What `measure_texts` gives for each document: counts, then shares from 0 to 1 (word_length in characters)."""

RUNS = 9
WORDS = "Tuple((int32[::1], int32[::1], int32[::1], uint8[::1], uint64[::1], uint64[::1]))"
"""The type of a `Words` of words.py, for the signatures of kernels."""


class LineRules(NamedTuple):
    """Which rules of C4 about lines are on; a number is 0 where the rule is off."""

    terminal: bool = True
    """A line ends with . ? ! or a quotation mark, and not with three full stops."""
    words: int = 3
    """A line has at least so many words, as white space parts them."""
    longest: int = 1000
    """No such word has more characters."""
    javascript: bool = True
    """A line does not speak of JavaScript."""
    policy: bool = True
    """Nor of privacy, cookies and terms of use."""
    citations: bool = True
    """[1] and [edit] are taken out of the lines that stay."""

    def settings(self) -> npt.NDArray[np.int64]:
        """Return the fields as the kernels read them."""
        return np.array([*self[:2], self.longest or np.iinfo(np.int64).max, *self[3:]], np.int64)


ALL_LINES = LineRules()
"""All rules about lines, with the numbers of C4."""


class Known(NamedTuple):
    """Words to look for: hash tables of their exact and their plain forms, 0 where free."""

    exact: npt.NDArray[np.uint64]
    plain: npt.NDArray[np.uint64]


def known_hashes(words: tuple[str, ...]) -> dict[int, int]:
    """Return the exact and the plain hash of each word; of one that the cutter would part, those of its first part."""
    texts = texts_of(pa.array(words, pa.large_string()))
    place = room(texts)
    hashes = {}
    for begin, end in zip(texts.offsets[:-1], texts.offsets[1:], strict=True):
        if cut(texts.data, begin, end, *tables(), *place):
            hashes[int(place.exact[0])] = int(place.plain[0])
    return hashes


def hash_table(hashes: Iterable[int]) -> npt.NDArray[np.uint64]:
    """Put each hash at the place that its last bits name, in a table so large that no two share one."""
    values, size = set(hashes), 1
    while len({value % size for value in values}) < len(values):
        size *= 2
    table = np.zeros(size, np.uint64)
    for value in values:
        table[value % size] = value
    return table


@cache
def known_words(words: tuple[str, ...]) -> Known:
    """Make the hash tables of some words."""
    hashes = known_hashes(words)
    return Known(hash_table(hashes), hash_table(hashes.values()))


@numba.njit("float32(int64, int64)", cache=True, nogil=True, inline="always")
def share(part: int, whole: int) -> Any:
    """Divide; nothing of nothing is 0."""
    return np.float32(part / whole) if whole else np.float32(0)


@numba.njit("void(int64[::1], int64[::1], int64[::1], int64[::1], int32[::1], float32[::1])", cache=True, nogil=True)
def _write(words: Any, breaks: Any, feeds: Any, runs: Any, counts: Any, shares: Any) -> None:
    """Turn what was counted in one document into its measurements, in the order of COUNTS and SHARES."""
    every, spoken, characters = words[quality.WORD_COUNTS], words[quality.SPEAKING], feeds[lines.CHARACTERS]
    counts[0], counts[3] = spoken, breaks[quality.SENTENCES]
    counts[4], counts[5] = breaks[quality.LOREM_LINES], breaks[quality.CURLY_LINES]
    split = 0
    for verdict in range(c4.VERDICTS):
        split += breaks[quality.VERDICT_LINES + verdict]
    shares[0] = share(words[quality.SPEAKING_CHARACTERS], spoken)
    shares[1] = share(words[quality.HASHES], every)
    shares[2] = share(words[quality.ELLIPSES], every)
    shares[3] = share(breaks[quality.BULLETS], split)
    shares[4] = share(breaks[quality.ENDED_BY_ELLIPSIS], split)
    shares[5] = share(words[quality.LETTERED], every)
    shares[6] = share(words[quality.LETTERED_PARTS], words[quality.PARTS])
    shares[7] = share(words[quality.CAPITALS], words[quality.CASED])
    shares[8] = share(feeds[lines.REPEATED_PARAGRAPHS], feeds[lines.PARAGRAPHS])
    shares[9] = share(feeds[lines.REPEATED_PARAGRAPH_CHARACTERS], characters)
    shares[10] = share(feeds[lines.REPEATED_LINES], feeds[lines.ELEMENTS])
    shares[11] = share(feeds[lines.REPEATED_LINE_CHARACTERS], characters)
    for run in range(RUNS):
        shares[12 + run] = share(runs[run], characters)
    shares[12 + RUNS] = share(feeds[lines.ENDED], feeds[lines.FULL])
    shares[13 + RUNS] = share(feeds[lines.SHORT], feeds[lines.FULL])
    shares[14 + RUNS] = share(feeds[lines.FULL_REPEATED_CHARACTERS], characters - feeds[lines.FEEDS])
    shares[15 + RUNS] = share(feeds[lines.FEEDS], every)


@numba.njit(
    "void(uint8[::1], int64[::1], uint8[::1], int32[::1],"
    f" {WORDS},"
    " UniTuple(int32[::1], 6), Tuple((uint64[::1], uint8[::1], uint8[::1])),"
    " Tuple((uint8[::1], uint8[:, ::1], uint8[::1])),"
    " UniTuple(uint64[::1], 2), int64[::1], int32[:, ::1], float32[:, ::1])",
    cache=True,
    nogil=True,
)
def _measure(
    data: Any,
    offsets: Any,
    kinds: Any,
    plain: Any,
    words: Any,
    scratch: Any,
    more: Any,
    phrases: Any,
    known: Any,
    settings: Any,
    counts: Any,
    shares: Any,
) -> None:
    begins, ends, lengths, word_kinds, exact, plain_hashes = words
    table, numbers, others, often, places, sums = scratch
    hashes, other, marks = more
    classes, moves, found = phrases
    of_words, of_breaks = np.zeros(quality.WORD_COUNTS + 1, np.int64), np.zeros(quality.BREAK_COUNTS, np.int64)
    of_feeds, of_runs = np.zeros(lines.LINE_COUNTS, np.int64), np.zeros(RUNS, np.int64)
    seen, seen_plain = np.zeros(len(known[0]), np.uint8), np.zeros(len(known[1]), np.uint8)
    for document in range(len(offsets) - 1):
        end = looked_at(data, offsets[document], offsets[document + 1])
        text = data[offsets[document] : end]
        size = len(text)
        of_words[:], of_breaks[:], of_feeds[:] = 0, 0, 0
        count = cut(text, 0, size, kinds, plain, begins, ends, lengths, word_kinds, exact, plain_hashes)
        first: Any = np.int64(begins[0]) if count else 0
        last: Any = np.int64(ends[count - 1]) if count else 0
        of_words[quality.WORD_COUNTS] = count
        count_words(text, count, begins, ends, lengths, word_kinds, sums, of_words)
        # The arrays that number runs of words later hold the places of lines first.
        breaks = split_breaks(text, numbers, others)
        count_breaks(
            *(text, count, begins, ends, lengths, word_kinds, breaks, numbers, others, plain, other),
            *(classes, moves, found, settings, of_words[quality.BRACKETS] > 0, of_breaks),
        )
        pieces = split_feeds(text, breaks, numbers, often, places)
        count_lines(text, often, places, pieces, kinds, table, hashes, of_feeds)
        count_paragraphs(text, first, last, often, places, pieces, table, hashes, of_feeds)
        counts[document, 1] = counts[document, 2] = count_known(exact, count, known[0], seen)
        if 2 * of_words[quality.CAPITALS] > of_words[quality.CASED]:
            counts[document, 2] = count_known(plain_hashes, count, known[1], seen_plain)
        measure_runs(exact, count, table, marks, numbers, others, often, places, sums, of_runs)
        _write(of_words, of_breaks, of_feeds, of_runs, counts[document], shares[document])


def measure_texts(texts: Texts, stop_words: tuple[str, ...] = (), rules: LineRules = ALL_LINES) -> dict[str, Any]:
    """Return an array for each of MEASURES, with a number for each document."""
    documents = len(texts.offsets) - 1
    place = room(texts)
    size = len(place.begins)
    table = np.empty(slots_for(size), np.int32)
    scratch = (table, *(np.empty(size, np.int32) for _ in range(4)), np.empty(size + 1, np.int32))
    counts = np.zeros((documents, len(COUNTS)), np.int32)
    shares = np.zeros((documents, len(SHARES)), np.float32)
    _measure(
        *(texts.data, texts.offsets, character_kinds(), tables().plain, tuple(place), scratch),
        (np.empty(size, np.uint64), np.empty(size, np.uint8), np.empty(2 * len(table), np.uint8)),
        *(tuple(machine()), tuple(known_words(stop_words)), rules.settings(), counts, shares),
    )
    columns: dict[str, Any] = {name: counts[:, number].copy() for number, name in enumerate(COUNTS)}
    return columns | {name: shares[:, number].copy() for number, name in enumerate(SHARES)}
