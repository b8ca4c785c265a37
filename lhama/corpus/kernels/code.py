"""Tell lines of code from lines of prose by what stands in them, where no block marks them (blocks.py).

In goes a document as words and lines, out come flags for its lines. A mark of code is a curly bracket, =, ->, ::, &&,
||, a tag, a $name, a name_with_underscores, a call(, a backslash before a letter, or a semicolon at the end beside
another mark. A plain word is one of two or more letters between white space and ordinary punctuation. A line is code
where it has a mark and no fewer marks than plain words. Addresses (https://...) count for nothing.

    $total = soma($a, $b);          marks  $ = ( $ $ ;    plain words  -                       code
    Use a função soma() assim:      marks  (              plain words  Use função assim        prose
"""

from typing import Any

import numba
import numpy as np

from lhama.corpus.kernels.blocks import CODE
from lhama.corpus.words import LETTER, NUMBER, WORD

FEWEST = 3  # lines; fewer that only look like code are none: a formula, a smiley, a price
NEAR = 2  # lines; a short line so near to code on both sides is code
FEW_PLAIN = 3
SHORT, GUESSED = 4, 8  # what else a flag tells while lines are weighed
SUSPICIOUS = 2  # signs in a document without which nobody looks at its lines
FEW_WORDS = 8  # a line that has more and no sign of code is prose


@numba.njit("int64(uint8[::1], int64, int64)", cache=True, nogil=True, inline="always")
def count_signs(data: Any, begin: int, end: int) -> Any:
    """Count signs that lines of code have and most lines of prose have not; a loop without a branch, over many bytes.

    They are { } = < _ ` $ \\, a bracket right behind a letter, a colon behind a colon, and -> as well as ();
    """
    ones, twos = data[begin : end - 1], data[begin + 1 : end]
    total: Any = 0
    for start in range(0, len(ones), 80):  # sums of bytes stay below 256
        some: Any = np.uint8(0)
        for at in range(start, min(start + 80, len(ones))):
            one, two = ones[at], twos[at]
            small = one | np.uint8(0x20)
            some += np.uint8((one == 0x7B) | (one == 0x7D) | (one == 0x3D) | (one == 0x3C))
            some += np.uint8((one == 0x5F) | (one == 0x60))
            some += np.uint8(
                (one == 0x24)
                | (one == 0x5C)
                | (two == 0x28) & (small >= 0x61) & (small <= 0x7A)
                | (two == 0x3A) & (one == 0x3A)
                | (two == 0x3E) & (one == 0x2D)
                | (one == two) & (one == 0x26)
            )
        total += np.int64(some)
    if end > begin:
        last = data[end - 1]
        total += (last == 0x7B) | (last == 0x7D) | (last == 0x3D) | (last == 0x60)
    return total


@numba.njit("boolean(uint8[::1], int64, int64, int64)", cache=True, nogil=True, inline="always")
def _letter_at(data: Any, at: int, begin: int, end: int) -> Any:
    """Say whether an ASCII letter or an underscore stands here."""
    if at < begin or at >= end:
        return False
    small = data[at] | 0x20
    return (small >= 0x61 and small <= 0x7A) or data[at] == 0x5F


@numba.njit("boolean(uint8[::1], int64, int64)", cache=True, nogil=True)
def _underscored(data: Any, begin: int, end: int) -> bool:
    """Say whether a word has an underscore between two other characters."""
    inside = 0
    for at in range(begin + 1, end - 1):
        inside += data[at] == 0x5F and data[at - 1] != 0x5F and data[at + 1] != 0x5F
    return inside > 0


@numba.njit("boolean(uint8[::1], int64, int64, int64)", cache=True, nogil=True)
def _sign_of_code(data: Any, at: int, length: int, end: int) -> Any:
    """Say whether a mark that is no word is one of code."""
    sign = data[at]
    before = data[at - 1] if at else np.uint8(0)
    after = data[at + length] if at + length < end else np.uint8(0)
    if sign in (0x7B, 0x7D):  # {12} is a page of an old book
        inside = after if sign == 0x7B else before
        return not 0x30 <= inside <= 0x39
    if length > 1:  # == and ===, then :: && ||
        return (sign == 0x3D and length == 3) or (sign in (0x3D, 0x3A, 0x26, 0x7C) and length == 2)
    if sign == 0x3C:
        return _letter_at(data, at + 1, 0, end) or after in (0x2F, 0x3F, 0x21)
    if sign == 0x24:  # R$ and US$ are money
        return _letter_at(data, at + 1, 0, end) and not _letter_at(data, at - 1, 0, end)
    if sign == 0x2D:
        return after == 0x3E
    return sign == 0x3D or (sign == 0x5C and _letter_at(data, at + 1, 0, end))


@numba.njit("boolean(uint8)", cache=True, nogil=True, inline="always")
def _opens(sign: int) -> bool:
    """Say whether a sign may stand right before a plain word: quotation marks, brackets, * and the end of a tag."""
    return sign >= 0x80 or sign in (0x22, 0x27, 0x28, 0x5B, 0x2A, 0x3E)


@numba.njit("boolean(uint8[::1], int64, int64, int64, int32[::1], int32[::1])", cache=True, nogil=True)
def _is_plain(data: Any, word: int, first: int, last: int, begins: Any, ends: Any) -> bool:
    """Say whether a word of letters stands as words of prose do."""
    if word > first and begins[word] == ends[word - 1] and not _opens(data[begins[word - 1]]):
        return False
    if word + 1 >= last or begins[word + 1] > ends[word]:
        return True
    sign = data[begins[word + 1]]
    if sign in (0x2E, 0x3A, 0x2C, 0x3B):
        return word + 2 >= last or begins[word + 2] > ends[word + 1] or data[begins[word + 2]] == 0x22
    return sign in (0x21, 0x3F, 0x29, 0x5D, 0x3C) or (sign != 0x28 and _opens(sign))


@numba.njit("boolean(uint8[::1], int64, int64, int32[::1], int32[::1], int32[::1])", cache=True, nogil=True)
def is_call(data: Any, word: int, last: int, begins: Any, ends: Any, lengths: Any) -> bool:
    """Say whether a bracket follows a word at once, but not as in "aluno(a)"."""
    if word + 1 >= last or begins[word + 1] > ends[word] or data[begins[word + 1]] != 0x28:
        return False
    if word + 3 >= last or lengths[word + 2] > 2 or data[begins[word + 3]] != 0x29:
        return True
    for at in range(begins[word + 2], ends[word + 2]):
        ending = data[at] == 0x61 or data[at] == 0x65 or data[at] == 0x6F or data[at] == 0x73  # a, e, o, s
        if not ending:
            return True
    return False


@numba.njit(
    "UniTuple(int64, 2)(uint8[::1], int64, int64, int32[::1], int32[::1], int32[::1], uint8[::1])",
    cache=True,
    nogil=True,
)
def weigh_line(data: Any, first: int, last: int, begins: Any, ends: Any, lengths: Any, kinds: Any) -> tuple[int, int]:
    """Count the marks of code and the plain words among the words first to last of a line."""
    marks, plain, address = 0, 0, False
    for word in range(first, last):
        begin, end = begins[word], ends[word]
        if address:
            address = begin == ends[word - 1] and data[begin] != 0x29
            if address:
                continue
        if not kinds[word] & WORD:
            if data[begin] == 0x2F and lengths[word] == 2 and word > first and data[begin - 1] == 0x3A:
                address = True
            else:
                marks += _sign_of_code(data, begin, lengths[word], len(data))
        elif _underscored(data, begin, end) or is_call(data, word, last, begins, ends, lengths):
            marks += 1
        elif kinds[word] & LETTER and not kinds[word] & NUMBER and lengths[word] > 1:
            plain += _is_plain(data, word, first, last, begins, ends)
    if marks and last > first and data[begins[last - 1]] == 0x3B:
        marks += 1
    return marks, plain


@numba.njit("void(int64, int64, uint8[::1])", cache=True, nogil=True)
def _surround(lines: int, near: int, flags: Any) -> None:
    """Make code of the short lines that have code close before and close behind."""
    before = -near - 1
    for line in range(lines):
        if flags[line] & CODE:
            before = line
        elif flags[line] & SHORT and line - before <= near:
            for other in range(line + 1, min(line + near + 1, lines)):
                if flags[other] & CODE:
                    flags[line] |= CODE
                    before = line
                    break


@numba.njit("boolean(uint8[::1], int64, int64, int32[::1], int32[::1])", cache=True, nogil=True)
def is_comment(data: Any, first: int, last: int, begins: Any, lengths: Any) -> bool:
    """Say whether a line of words begins with // or /*."""
    at = begins[first]
    return data[at] == 0x2F and (lengths[first] == 2 or (last > first + 1 and data[at + 1] == 0x2A))


@numba.njit("void(int64, int64, uint8[::1])", cache=True, nogil=True)
def settle(lines: int, found: int, flags: Any) -> None:
    """Decide what the guesses are worth, and make code of the short lines among lines of code."""
    fewest = FEWEST
    for line in range(lines):
        if flags[line] & (CODE | GUESSED) == CODE:
            fewest = 0
    if found < fewest:
        for line in range(lines):
            if flags[line] & GUESSED:
                flags[line] ^= CODE
    _surround(lines, NEAR, flags)
