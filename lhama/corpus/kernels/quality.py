"""What the words of a document are, and how the lines that they stand in begin and end: Gopher's quality rules.

In go the words of a document as `words.cut` leaves them, out come counts. Words in capitals are counted too, because
a text that shouts is judged on purpose and not by accident (docs/rules.md).
"""

from typing import Any

import numba
import numpy as np

from lhama.corpus.kernels.c4 import VERDICTS, judge_line
from lhama.corpus.kernels.characters import LOWER, SPEAKS
from lhama.corpus.kernels.lines import bullet, ellipsis
from lhama.corpus.kernels.phrases import CURLY, LOREM
from lhama.corpus.words import LETTER, UPPER

SPEAKING, SPEAKING_CHARACTERS, LETTERED, HASHES, ELLIPSES, CASED, CAPITALS, BRACKETS = 0, 1, 2, 3, 4, 5, 6, 7
PARTS, LETTERED_PARTS = 8, 9
WORD_COUNTS = 10
BULLETS, ENDED_BY_ELLIPSIS, SENTENCES, LOREM_LINES, CURLY_LINES = 0, 1, 2, 3, 4
VERDICT_LINES = 5
BREAK_COUNTS = VERDICT_LINES + VERDICTS


@numba.njit(
    "void(uint8[::1], int64, int32[::1], int32[::1], int32[::1], uint8[::1], int32[::1], int64[::1])",
    cache=True,
    nogil=True,
)
def count_words(
    data: Any, count: int, begins: Any, ends: Any, lengths: Any, kinds: Any, sums: Any, counts: Any
) -> None:
    """Count words by kind, and what white space parts; sum up the lengths of words, word by word."""
    total, speaking, spoken, lettered, cased, capitals = 0, 0, 0, 0, 0, 0
    hashes, stops, brackets = 0, 0, 0
    parts, lettered_parts, has_letter, before = 0, 0, 0, -1
    sums[0] = 0
    for word in range(count):
        kind: Any = np.int64(kinds[word])
        length: Any = np.int64(lengths[word])
        first = data[begins[word]]
        total += length
        sums[word + 1] = total
        says, low = kind // SPEAKS & 1, kind // LOWER & 1
        speaking += says
        spoken += says * length
        letter = kind // LETTER & 1
        lettered += letter
        joined: Any = np.int64(begins[word] == before)
        before = ends[word]
        parts += 1 - joined
        has_letter &= joined
        lettered_parts += letter & (1 - has_letter)
        has_letter |= letter
        in_case = (low | kind // UPPER & 1) & (length > 1)
        cased += in_case
        capitals += in_case & (1 - low)
        hashes += (first == 0x23) * length
        stops += (first == 0x2E) * (length // 3)
        brackets += first == 0x5B
        if first == 0xE2 and ellipsis(data, begins[word], length):
            stops += length
    counts[HASHES], counts[ELLIPSES], counts[BRACKETS] = hashes, stops, brackets
    counts[SPEAKING], counts[SPEAKING_CHARACTERS], counts[LETTERED] = speaking, spoken, lettered
    counts[CASED], counts[CAPITALS] = cased, capitals
    counts[PARTS], counts[LETTERED_PARTS] = parts, lettered_parts


@numba.njit("int64(uint64[::1], int64, uint64[::1], uint8[::1])", cache=True, nogil=True)
def count_known(hashes: Any, count: int, known: Any, seen: Any) -> int:
    """Count how many different known words occur; `known` has each hash at its last bits, and none shares them."""
    mask = np.uint64(len(known) - 1)
    seen[:] = 0
    for word in range(count):
        slot = hashes[word] & mask
        seen[slot] |= known[slot] == hashes[word]
    total = 0
    for slot in range(len(known)):
        total += seen[slot]
    return total


@numba.njit(
    "void(uint8[::1], int64, int32[::1], int32[::1], int32[::1], uint8[::1], int64, int32[::1], int32[::1],"
    " int32[::1], uint8[::1], uint8[::1], uint8[:, ::1], uint8[::1], int64[::1], boolean, int64[::1])",
    cache=True,
    nogil=True,
)
def count_breaks(
    data: Any,
    count: int,
    begins: Any,
    ends: Any,
    lengths: Any,
    kinds: Any,
    lines: int,
    line_begins: Any,
    line_ends: Any,
    plain: Any,
    other: Any,
    classes: Any,
    moves: Any,
    found: Any,
    settings: Any,
    brackets: bool,
    counts: Any,
) -> None:
    """Walk the lines of `split_breaks` together with the words in them: bullets, ellipses and the rules of C4."""
    word = 0
    for line in range(lines):
        first = word
        while word < count and begins[word] < line_ends[line]:
            word += 1
        if word > first:
            counts[BULLETS] += bullet(data, begins[first])
            counts[ENDED_BY_ELLIPSIS] += ellipsis(data, begins[word - 1], lengths[word - 1])
        verdict, sentences, phrases = judge_line(
            data, first, word, begins, ends, lengths, kinds, plain, other, classes, moves, found, settings, brackets
        )
        counts[VERDICT_LINES + verdict] += 1
        counts[SENTENCES] += sentences
        counts[LOREM_LINES] += phrases & LOREM != 0
        counts[CURLY_LINES] += phrases & CURLY != 0
