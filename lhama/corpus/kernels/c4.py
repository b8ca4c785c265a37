"""The rules of C4 about lines, and what they leave of a document (Raffel et al. 2020, section 2.2).

In go a line as a span of words, out comes what becomes of it: kept, or the first rule that takes it out. The order of
the rules is that of the reference code and of datatrove, because a document falls over "lorem ipsum" or a curly
bracket only in a line that came so far. A sentence is begun by each word that follows white space after a mark that
ends sentences (an ellipsis does not); every line with a word has at least one.
"""

from typing import Any

import numba
import numpy as np

from lhama.corpus.kernels.characters import TERMINAL
from lhama.corpus.kernels.phrases import CURLY, LOREM, POLICY, SCRIPT, find_phrases, has_bracket
from lhama.corpus.words import WORD, decode

KEPT, LONG_WORD, NO_TERMINAL, FEW_WORDS, JAVASCRIPT, PRIVACY = 0, 1, 2, 3, 4, 5
VERDICTS = 6
OPEN, CLOSE, ZERO, STOP = 0x5B, 0x5D, 0x30, 0x2E
EDIT = np.array(list(b"edit]"), np.uint8)
NEEDED = np.array(list(b"citation needed]"), np.uint8)


@numba.njit("int64(uint8[::1], int64, int64, Array(uint8, 1, 'C', True))", cache=True, nogil=True)
def _after(data: Any, at: int, end: int, mark: Any) -> int:
    """Return the place after a mark that stands here, or 0."""
    if at + len(mark) > end:
        return 0
    for place in range(len(mark)):
        if data[at + place] != mark[place]:
            return 0
    return at + len(mark)


@numba.njit("int64(uint8[::1], int64, int64, int32[::1], uint8[::1])", cache=True, nogil=True)
def without_citations(data: Any, begin: int, end: int, plain: Any, other: Any) -> int:
    """Copy a line without `[12]`, `[]`, `[edit]` and `[citation needed]`, and return its length."""
    size, at = 0, begin
    while at < end:
        if data[at] == OPEN:
            after = at + 1
            while after < end and data[after] != CLOSE:
                point, following = decode(data, after)
                if plain[point] != ZERO:
                    break
                after = following
            if after < end and data[after] == CLOSE:
                at = after + 1
                continue
            named = max(_after(data, at + 1, end, EDIT), _after(data, at + 1, end, NEEDED))
            if named:
                at = named
                continue
        other[size] = data[at]
        size += 1
        at += 1
    return size


@numba.njit("boolean(uint8[::1], int64, int64)", cache=True, nogil=True, inline="always")
def ends_well(data: Any, begin: int, end: int) -> bool:
    """Say whether a line ends with . ? ! or a straight quotation mark, and not with three full stops."""
    if begin == end:
        return False
    last = data[end - 1]
    if last == 0x2E:
        return end - begin < 3 or data[end - 2] != 0x2E or data[end - 3] != 0x2E
    return last in (0x3F, 0x21, 0x22, 0x27)


@numba.njit(
    "UniTuple(int64, 2)(int64, int64, int32[::1], int32[::1], int32[::1])", cache=True, nogil=True, inline="always"
)
def count_parts(first: int, last: int, begins: Any, ends: Any, lengths: Any) -> tuple[int, int]:
    """Count what white space parts in a line of words, and the characters of the longest part."""
    parts: Any = 1
    part: Any = np.int64(lengths[first])
    longest: Any = part
    for word in range(first + 1, last):
        joined = np.int64(begins[word] == ends[word - 1])  # arithmetic: a branch here would be guessed wrong too often
        parts += 1 - joined
        part = part * joined + lengths[word]
        longest = max(longest, part)
    return parts, longest


@numba.njit("boolean(uint8[::1], int64, int64, uint8)", cache=True, nogil=True, inline="always")
def ends_sentence(data: Any, at: int, length: int, kind: int) -> bool:
    """Say whether a word is a mark that ends sentences: two full stops and more do not."""
    return kind & TERMINAL != 0 and (data[at] != STOP or length == 1)


@numba.njit(
    "int64(uint8[::1], int64, int64, int32[::1], int32[::1], int32[::1], uint8[::1])",
    cache=True,
    nogil=True,
    inline="always",
)
def count_sentences(data: Any, first: int, last: int, begins: Any, ends: Any, lengths: Any, kinds: Any) -> int:
    """Count the sentences of a line of words."""
    sentences, word = 1, first
    while word < last:
        if not ends_sentence(data, begins[word], lengths[word], kinds[word]):
            word += 1
            continue
        mark, apart = word, False
        word += 1
        while word < last:
            apart = apart or begins[word] > ends[word - 1]
            if kinds[word] & WORD:
                sentences += apart
                if apart or mark == word - 1:  # as in 3.5
                    break
            elif ends_sentence(data, begins[word], lengths[word], kinds[word]):
                break
            word += 1
    return sentences


@numba.njit(
    "UniTuple(int64, 3)(uint8[::1], int64, int64, int32[::1], int32[::1], int32[::1], uint8[::1],"
    " int32[::1], uint8[::1], uint8[::1], uint8[:, ::1], uint8[::1], int64[::1], boolean)",
    cache=True,
    nogil=True,
    inline="always",
)
def judge_line(
    data: Any,
    first: int,
    last: int,
    begins: Any,
    ends: Any,
    lengths: Any,
    word_kinds: Any,
    plain: Any,
    other: Any,
    classes: Any,
    moves: Any,
    found: Any,
    settings: Any,
    brackets: bool,
) -> tuple[int, int, int]:
    """Judge the line of words first to last; return its verdict, its sentences, and the phrases in it.

    `settings` are the fields of `LineRules`; `other` is room for a line; `brackets` says whether there may be any [.
    """
    if first == last:
        return NO_TERMINAL if settings[0] else FEW_WORDS if settings[1] else KEPT, 0, 0
    begin: Any = np.int64(begins[first])
    end: Any = np.int64(ends[last - 1])
    parts, longest = count_parts(first, last, begins, ends, lengths)
    if longest > settings[2]:
        return LONG_WORD, 0, 0
    cited = settings[5] and brackets and has_bracket(data, begin, end)
    size = without_citations(data, begin, end, plain, other) if cited else 0
    ended = settings[0] == 0 or (ends_well(other, 0, size) if cited else ends_well(data, begin, end))
    if not ended or parts < settings[1]:
        return FEW_WORDS if ended else NO_TERMINAL, 0, 0
    if cited:
        phrases = find_phrases(other, 0, size, classes, moves, found)
    else:
        phrases = find_phrases(data, begin, end, classes, moves, found)
    if phrases & SCRIPT and settings[3]:
        return JAVASCRIPT, 0, phrases & LOREM
    if phrases & POLICY and settings[4]:
        return PRIVACY, 0, phrases & (LOREM | CURLY)
    sentences = count_sentences(data, first, last, begins, ends, lengths, word_kinds)
    return KEPT, sentences, phrases & (LOREM | CURLY)
