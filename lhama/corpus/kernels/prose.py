"""Part documents into prose and code, line by line: the walk that puts blocks.py, code.py and translated.py together.

In go bytes and offsets, out come the bytes of the prose with their offsets, and for each document how many bytes of its
lines are code and how many lines are translated code.
"""

from typing import Any

import numba
import numpy as np

from lhama.corpus.kernels.blocks import CODE, TRANSLATED, mark_blocks
from lhama.corpus.kernels.code import (
    FEW_PLAIN,
    FEW_WORDS,
    GUESSED,
    SHORT,
    SUSPICIOUS,
    count_signs,
    is_comment,
    settle,
    weigh_line,
)
from lhama.corpus.kernels.lines import FEED
from lhama.corpus.kernels.measure import WORDS
from lhama.corpus.kernels.translated import is_translated
from lhama.corpus.words import cut, looked_at


@numba.njit("int64(uint8[::1], int32[::1], int32[::1])", cache=True, nogil=True)
def split_plain(data: Any, begins: Any, ends: Any) -> int:
    """Split at each line feed and return how many lines there are: one more than line feeds."""
    count = 0
    begins[0] = 0
    for at in range(len(data)):
        if data[at] == FEED:
            ends[count] = at
            count += 1
            begins[count] = at + 1
    ends[count] = len(data)
    return count + 1


@numba.njit(
    f"int64(uint8[::1], uint8[::1], int32[::1], {WORDS}, int32[::1], int32[::1], uint8[::1], uint8[:, ::1],"
    " uint8[:, ::1], uint64[::1], int64[::1])",
    cache=True,
    nogil=True,
)
def flag_lines(
    text: Any,
    kinds: Any,
    plain: Any,
    words: Any,
    line_begins: Any,
    line_ends: Any,
    flags: Any,
    opens: Any,
    closes: Any,
    hashes: Any,
    roles: Any,
) -> int:
    """Write what each line of a document is (CODE, TRANSLATED) and return how many lines there are."""
    begins, ends, lengths, word_kinds, exact, plain_hashes = words
    count = cut(text, 0, len(text), kinds, plain, begins, ends, lengths, word_kinds, exact, plain_hashes)
    lines = split_plain(text, line_begins, line_ends)
    mark_blocks(text, line_begins, line_ends, lines, opens, closes, flags)
    word, found = 0, 0
    for line in range(lines):
        first = word
        while word < count and begins[word] < line_ends[line]:
            word += 1
        if word == first or flags[line] & CODE:
            continue
        signs = count_signs(text, line_begins[line], line_ends[line])
        if not signs and word - first > FEW_WORDS:
            continue
        if is_translated(text, first, word, begins, ends, lengths, word_kinds, exact, hashes, roles):
            flags[line] |= CODE | TRANSLATED
            continue
        marks, common = weigh_line(text, first, word, begins, ends, lengths, word_kinds)
        if marks and marks >= common:
            flags[line] |= CODE | GUESSED
            found += 1
        if common <= FEW_PLAIN or is_comment(text, first, word, begins, lengths):
            flags[line] |= SHORT
    settle(lines, found, flags)
    return lines


@numba.njit(
    f"void(uint8[::1], int64[::1], uint8[::1], int32[::1], {WORDS}, int32[::1], int32[::1], uint8[::1],"
    " Tuple((uint8[:, ::1], uint8[:, ::1])), Tuple((uint64[::1], int64[::1])), uint8[::1], int64[::1],"
    " float32[::1], int32[::1])",
    cache=True,
    nogil=True,
)
def part_documents(
    data: Any,
    offsets: Any,
    kinds: Any,
    plain: Any,
    words: Any,
    line_begins: Any,
    line_ends: Any,
    flags: Any,
    marks: Any,
    roles: Any,
    out: Any,
    places: Any,
    code_share: Any,
    translated: Any,
) -> None:
    """Write the prose of all documents, where each one ends, its share of code and its lines of translated code."""
    size = 0
    for document in range(len(offsets) - 1):
        text = data[offsets[document] : looked_at(data, offsets[document], offsets[document + 1])]
        code, all_bytes, lines = 0, 0, 0
        if count_signs(text, 0, len(text)) >= SUSPICIOUS:
            lines = flag_lines(
                text, kinds, plain, words, line_begins, line_ends, flags, marks[0], marks[1], roles[0], roles[1]
            )
        for line in range(lines):
            length = line_ends[line] - line_begins[line]
            all_bytes += length
            code += length if flags[line] & CODE else 0
            translated[document] += flags[line] & TRANSLATED != 0
        if code:
            code_share[document] = np.float32(code / all_bytes)
            for line in range(lines):
                if not flags[line] & CODE:
                    stop = min(line_ends[line] + 1, len(text))
                    length = stop - line_begins[line]
                    out[size : size + length] = text[line_begins[line] : stop]
                    size += length
        else:
            out[size : size + len(text)] = text
            size += len(text)
        places[document + 1] = size
