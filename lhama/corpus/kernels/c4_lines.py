"""Take out the lines that C4 would not keep, and count them by rule.

In go documents, out come documents of the lines that stay, each without outer white space and citations, and for each
rule how many lines it took. Besides C4's English phrases about cookies and privacy those of the text's own language
count. Nothing is cut off a long document; of a line beyond 16 MB the first 16 MB are judged.
"""

from typing import Any

import numba
import numpy as np
import numpy.typing as npt

from lhama.corpus.kernels.c4 import KEPT, PRIVACY, VERDICTS, judge_line, without_citations
from lhama.corpus.kernels.characters import character_kinds
from lhama.corpus.kernels.lines import FEED, next_break
from lhama.corpus.kernels.measure import ALL_LINES, WORDS, LineRules
from lhama.corpus.kernels.phrases import machine, phrases_in, policies
from lhama.corpus.words import SPACE, Texts, cut, decode, looked_at, room, tables

REMOVED = ("long_word_lines", "no_terminal_lines", "few_words_lines", "javascript_lines", "policy_lines")
"""The rules that take lines out, in the order in which they are asked."""
PHRASES = "UniTuple(Tuple((uint8[::1], uint8[:, ::1], uint8[::1])), 2)"


@numba.njit("UniTuple(int64, 2)(uint8[::1], int64, int64, uint8[::1])", cache=True, nogil=True)
def stripped(data: Any, begin: int, end: int, kinds: Any) -> tuple[int, int]:
    """Return a span without its outer white space."""
    at, first, last = begin, -1, begin
    while at < end:
        point, after = decode(data, at)
        if not kinds[point] & SPACE:
            first = at if first < 0 else first
            last = after
        at = after
    return (first, last) if first >= 0 else (begin, begin)


@numba.njit(
    "int64(uint8[::1], uint8[::1], int32[::1],"
    f" {WORDS},"
    f" {PHRASES}, uint8[::1], int64[::1], uint8[::1], int64, int32[::1])",
    cache=True,
    nogil=True,
)
def _keep_lines(
    data: Any,
    kinds: Any,
    plain: Any,
    words: Any,
    phrases: Any,
    other: Any,
    settings: Any,
    out: Any,
    size: int,
    removed: Any,
) -> int:
    """Write the lines of one document that stay from out[size] on, and return where they end."""
    begins, ends, lengths, word_kinds, exact, plain_hashes = words
    classes, moves, found = phrases[0]
    start, at, kept = size, 0, 0
    while at < len(data):
        line = at
        stop, at = next_break(data, at, len(data))
        count = cut(
            *(data, line, looked_at(data, line, stop), kinds, plain),
            *(begins, ends, lengths, word_kinds, exact, plain_hashes),
        )
        text = data[line:stop]
        verdict, _, _ = judge_line(
            text, 0, count, begins, ends, lengths, word_kinds, plain, other, classes, moves, found, settings, True
        )
        if verdict == KEPT and settings[4] and len(phrases[1][2]) > 1 and phrases_in(text, 0, len(text), *phrases[1]):
            verdict = PRIVACY
        if verdict != KEPT:
            removed[verdict - 1] += 1
            continue
        if kept:
            out[size] = FEED
            size += 1
        kept += 1
        first, last = stripped(text, 0, len(text), kinds)
        if settings[5]:
            size += without_citations(text, first, last, plain, out[size:])
        else:
            out[size : size + last - first] = text[first:last]
            size += last - first
    first, last = stripped(out, start, size, kinds)
    for byte in range(last - first):
        out[start + byte] = out[first + byte]
    return start + last - first


@numba.njit(
    "void(uint8[::1], int64[::1], uint8[::1], int32[::1],"
    f" {WORDS},"
    f" {PHRASES}, uint8[::1], int64[::1], uint8[::1], int64[::1], int32[:, ::1])",
    cache=True,
    nogil=True,
)
def _remove(
    data: Any,
    offsets: Any,
    kinds: Any,
    plain: Any,
    words: Any,
    phrases: Any,
    other: Any,
    settings: Any,
    out: Any,
    places: Any,
    removed: Any,
) -> None:
    size = 0
    for document in range(len(offsets) - 1):
        text = data[offsets[document] : offsets[document + 1]]
        size = _keep_lines(text, kinds, plain, words, phrases, other, settings, out, size, removed[document])
        places[document + 1] = size


def remove_lines(
    texts: Texts, rules: LineRules = ALL_LINES, language: str = "en"
) -> tuple[Texts, dict[str, npt.NDArray[np.int32]]]:
    """Return the documents without the lines that the rules take out, and for each of REMOVED the lines it took."""
    documents = len(texts.offsets) - 1
    longest = int(np.diff(texts.offsets).max(initial=0))
    out, places = np.empty(len(texts.data), np.uint8), np.zeros(documents + 1, np.int64)
    removed = np.zeros((documents, VERDICTS - 1), np.int32)
    _remove(
        *(texts.data, texts.offsets, character_kinds(), tables().plain, tuple(room(texts))),
        (tuple(machine()), tuple(policies(language))),
        *(np.empty(longest, np.uint8), rules.settings(), out, places, removed),
    )
    counts = {name: np.ascontiguousarray(removed[:, number]) for number, name in enumerate(REMOVED)}
    return Texts(out[: places[-1]], places), counts
