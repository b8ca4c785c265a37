"""A hyphen at the end of a line: is it the word's own, or did it only break the word?

The document itself is asked first: it may have the whole word elsewhere, with or without a hyphen. If it has neither,
Portuguese pronouns keep their hyphen behind what can be a verb form (acompanhá-la, repele-se). So do, in a document
that does not otherwise break words, two parts that look like words (norte-americano) or that it has both (bom-bocado).
All else is joined (sacrifí-cio).
"""

from typing import Any

import numba
import numpy as np

from lhama.corpus.repairs.lines import BEGIN, END, FLAGS, HYPHEN, LOWER
from lhama.corpus.words import FIRST, LETTER, MULTIPLIER, decode, mixed

TIED = np.uint64(0x9E3779B97F4A7C15)
ACCENTED = (0xE1, 0xE2, 0xE9, 0xEA, 0xED, 0xF3, 0xF4, 0xFA)  # áâéêíóôú
VOWELS = (0x61, 0x65, 0x69, 0x6F, 0x75)
LAST_LETTERS = (0x61, 0x65, 0x6F, 0x6C, 0x6D, 0x72, 0x73, 0x7A)  # a e o l m r s z end Portuguese words
PRONOUNS = np.array(
    [int.from_bytes(word.encode()) for word in ("me", "te", "se", "lhe", "lhes", "nos", "vos", "o", "a", "os", "as")],
    np.int64,
)
"""Each as one number, its first byte the highest."""
AFTER_ACCENT = np.array([int.from_bytes(word.encode()) for word in ("lo", "la", "los", "las")], np.int64)
AFTER_NASAL = np.array([int.from_bytes(word.encode()) for word in ("no", "na", "nos", "nas")], np.int64)
SUFFIX = int.from_bytes(b"mente")
PARTS = 4  # letters of each of two words that may be a compound


@numba.njit("uint64(uint8[::1], int64, int64, int32[::1], uint64)", cache=True, nogil=True)
def _hash(data: Any, begin: int, end: int, plain: Any, value: Any) -> Any:
    """Go on with the hash of a word's plain form, as words.cut makes it, over data[begin:end]."""
    at = begin
    while at < end:
        point, at = decode(data, at)
        value = (value ^ np.uint64(plain[point])) * MULTIPLIER
    return value


@numba.njit("boolean(uint64, uint64[::1])", cache=True, nogil=True)
def _is_known(value: Any, table: Any) -> bool:
    mask = np.uint64(len(table) - 1)
    slot = value & mask
    while table[slot]:
        if table[slot] == value:
            return True
        slot = (slot + np.uint64(1)) & mask
    return False


@numba.njit("void(uint64, uint64[::1])", cache=True, nogil=True)
def _add(value: Any, table: Any) -> None:
    mask = np.uint64(len(table) - 1)
    slot = value & mask
    while table[slot] and table[slot] != value:
        slot = (slot + np.uint64(1)) & mask
    table[slot] = value


@numba.njit("uint64(uint64, uint64)", cache=True, nogil=True)
def _pair(first: Any, second: Any) -> Any:
    """Hash two words that a hyphen ties; never 0."""
    return mixed(first * MULTIPLIER ^ second ^ TIED) | np.uint64(1)


@numba.njit("boolean(uint8[::1], int64, int32[::1], int32[::1], int64)", cache=True, nogil=True)
def _ties(data: Any, begin: int, begins: Any, ends: Any, number: int) -> bool:
    """Say whether a single hyphen follows a word at once, and behind it another word, on this line or the next."""
    middle = begin + begins[number + 1]
    if begins[number + 1] != ends[number] or ends[number + 1] != begins[number + 1] + 1 or data[middle] != 0x2D:
        return False
    feeds = 0
    for at in range(middle + 1, begin + begins[number + 2]):
        feeds += data[at] == 0x0A
    return feeds > 0 or begins[number + 2] == ends[number + 1]


@numba.njit("void(uint8[::1], int64, int32[::1], int32[::1], uint64[::1], int64, uint64[::1])", cache=True, nogil=True)
def learn(data: Any, begin: int, begins: Any, ends: Any, plain: Any, words: int, table: Any) -> None:
    """Fill the table with the words of a document and its hyphenated pairs; words cut by a line's end are left out."""
    table[:] = np.uint64(0)
    for number in range(words):
        before = number >= 2 and _ties(data, begin, begins, ends, number - 2)
        after = number + 2 < words and _ties(data, begin, begins, ends, number)
        is_cut = before and begins[number] > ends[number - 1]
        is_cut |= after and begins[number + 2] > ends[number + 1]
        if is_cut:
            continue
        _add(plain[number] | np.uint64(1), table)
        if before:
            _add(_pair(plain[number - 2], plain[number]), table)


@numba.njit("UniTuple(int64, 3)(uint8[::1], int64, int64, uint8[::1])", cache=True, nogil=True)
def _word_before(data: Any, start: int, end: int, kinds: Any) -> tuple[int, int, int]:
    """Return where the word begins that ends at `end`, how many letters it has, and the last of them."""
    first, letters, last = end, 0, 0
    while first > start:
        place = first - 1
        while place > start and data[place] & 0xC0 == 0x80:
            place -= 1
        point, _ = decode(data, place)
        if not kinds[point] & LETTER:
            break
        last = point if letters == 0 else last
        first, letters = place, letters + 1
    return first, letters, last


@numba.njit("UniTuple(int64, 3)(uint8[::1], int64, int64, uint8[::1])", cache=True, nogil=True)
def _word_after(data: Any, begin: int, end: int, kinds: Any) -> tuple[int, int, int]:
    """Return where the word ends that begins at `begin`, how many letters it has, and its bytes as one number."""
    at, letters, value = begin, 0, 0
    while at < end:
        point, after = decode(data, at)
        if not kinds[point] & LETTER:
            break
        value = (value << 8 | point) & 0xFFFFFFFFFF if point < 0x80 else -1
        at, letters = after, letters + 1
    return at, letters, value if letters <= 5 else -1


@numba.njit("boolean(uint8[::1], int64, int64, int64, int64)", cache=True, nogil=True)
def _is_pronoun(data: Any, end: int, letters: int, last: int, value: int) -> bool:
    """Say whether a word is a pronoun that can follow the verb form which ends at `end`."""
    if value in AFTER_ACCENT:
        return last in ACCENTED or (last == 0x69 and letters >= 4)
    nasal = last == 0x6D or (letters >= 2 and data[end - 1] == 0x6F and data[end - 2] in (0xA3, 0xB5))
    if value in AFTER_NASAL and nasal:
        return True
    return value in PRONOUNS and (nasal or last in (0x72, 0x7A) or last in VOWELS or last in ACCENTED)


@numba.njit("boolean(int64, int64, int64, int64)", cache=True, nogil=True)
def _is_compound(letters: int, last: int, more_letters: int, value: int) -> bool:
    """Say whether two parts look like words, by their length and the last letter of the first."""
    return letters >= PARTS and more_letters >= PARTS and last | 0x20 in LAST_LETTERS and value != SUFFIX


@numba.njit("boolean(uint8[::1], int64[:, ::1], int64, uint8[::1])", cache=True, nogil=True)
def breaks_words(data: Any, lines: Any, count: int, kinds: Any) -> bool:
    """Say whether a document breaks words: two lines or more, and one in a hundred, end in what is no word."""
    found, all_lines = 0, 0
    for number in range(count - 1):
        if lines[number, BEGIN] == lines[number, END]:
            continue
        all_lines += 1
        if lines[number, FLAGS] & HYPHEN and lines[number + 1, FLAGS] & LOWER:
            middle = lines[number, END] - 1
            _, letters, last = _word_before(data, lines[number, BEGIN], middle, kinds)
            _, more, value = _word_after(data, lines[number + 1, BEGIN], lines[number + 1, END], kinds)
            whole = _is_pronoun(data, middle, letters, last, value) or _is_compound(letters, last, more, value)
            found += not whole
    return found >= 2 and 100 * found >= all_lines


@numba.njit(
    "boolean(uint8[::1], int64, int64, int64, int64, uint8[::1], int32[::1], uint64[::1], boolean)",
    cache=True,
    nogil=True,
)
def keeps_hyphen(
    data: Any, start: int, middle: int, begin: int, end: int, kinds: Any, plain: Any, table: Any, breaks: bool
) -> bool:
    """Say whether the hyphen at `middle`, the end of a line, stays before the line that begins at `begin`."""
    first, letters, last_letter = _word_before(data, start, middle, kinds)
    last, more_letters, value = _word_after(data, begin, end, kinds)
    one = _hash(data, first, middle, plain, FIRST)
    whole = mixed(_hash(data, begin, last, plain, one)) | np.uint64(1)
    former, latter = mixed(one), mixed(_hash(data, begin, last, plain, FIRST))
    if _is_known(_pair(former, latter), table):
        return True
    if _is_known(whole, table):
        return False
    if _is_pronoun(data, middle, letters, last_letter, value):
        return True
    if breaks:
        return False
    both = _is_known(former | np.uint64(1), table) and _is_known(latter | np.uint64(1), table)
    return both or _is_compound(letters, last_letter, more_letters, value)
