"""The inner loop of telling varieties apart: count cues in documents, words from a table and a few patterns.

In go documents as bytes and offsets and a table of words by their hash, out comes a row of counts for each document.
`variety.py` says what the cues mean. The words are those of `words.cut`.
"""

from typing import Any

import numba
import numpy as np

from lhama.corpus.words import LETTER, NUMBER, cut

LOOKED_AT = 1 << 14  # bytes; the first so many of a document are enough to tell its variety
POSSESSIVE, ARTICLE, NOT_BARE, PROGRESSIVE, OBJECT, STOP, MONTH, DAY = 1, 2, 4, 8, 16, 32, 64, 128
CAPITAL, TO_HAVE, SHALL, TO, IN, OF, THAT, ONE, EITHER_ACCENT = 256, 512, 1024, 2048, 4096, 8192, 16384, 32768, 65536
"""What a word can be besides a member of a group; EITHER_ACCENT has its accent in both varieties."""
REACHING = PROGRESSIVE | TO | OF | THAT  # what a next word of any kind may complete
ROLES = 8  # bits to the left of a group's number

STRUCTURES = (
    "european.accent_before_nasal",
    "brazilian.accent_before_nasal",
    "brazilian.trema",
    "brazilian.accent_in_eia",
    "european.first_plural_in_amos",
    "european.progressive_infinitive",
    "brazilian.progressive_gerund",
    "european.possessive_with_article",
    "brazilian.possessive_without_article",
    "european.date_with_a",
    "brazilian.date_with_em_or_dia",
    "european.ter_de",
    "brazilian.ter_que",
    "european.month_in_capitals",
    "brazilian.object_begins_sentence",
    "european.hyphen_before_de",
    "brazilian.em_um",
)
"""The cues that are no words, in the order of their columns behind the groups."""


@numba.njit("int32(uint64, uint64[::1], int32[::1])", cache=True, nogil=True, inline="always")
def found(key: Any, keys: Any, values: Any) -> Any:
    """Return what the table says of a word by its hash, 0 for nothing."""
    mask = np.uint64(len(keys) - 1)
    place = key & mask
    while keys[place] != np.uint64(0):
        if keys[place] == key:
            return values[place]
        place = (place + np.uint64(1)) & mask
    return np.int32(0)


@numba.njit("boolean(uint8[::1], int64, int64)", cache=True, nogil=True, inline="always")
def _is_vowel(data: Any, at: int, end: int) -> bool:
    """Say whether a vowel begins at a byte, with or without an accent."""
    if at >= end:
        return False
    if data[at] | 0x20 in (97, 101, 105, 111, 117):
        return True
    return bool(data[at] == 0xC3) and at + 1 < end and data[at + 1] | 0x20 not in (0xA7, 0xB1)


@numba.njit("void(uint8[::1], int64, int64, boolean, int32[::1], int64)", cache=True, nogil=True)
def _accents(data: Any, begin: int, end: int, either: bool, counts: Any, first: int) -> None:
    """Count the cues within one word; the letters of Portuguese with accents are all 0xC3 and one more byte."""
    for at in range(begin, end - 1):
        if data[at] != 0xC3:
            continue
        letter, after = data[at + 1] | 0x20, at + 2
        following = data[after] | 0x20 if after < end else 0
        if letter in (0xA9, 0xB3, 0xAA, 0xB4) and following in (109, 110) and _is_vowel(data, after + 1, end):
            counts[first + (0 if letter in (0xA9, 0xB3) else 1)] += 0 if either else 1
        elif letter == 0xBC and at > begin and data[at - 1] | 0x20 in (103, 113):
            if following in (101, 105, 0xE3):
                counts[first + 2] += 1
        elif letter == 0xA9 and following == 105 and after + 1 < end and data[after + 1] | 0x20 == 97:
            if end - after == 2 or (end - after == 3 and data[after + 2] | 0x20 == 115):
                counts[first + 3] += 1
        elif letter == 0xA1 and at - begin >= 3 and end - after == 3 and following == 109:
            counts[first + 4] += 1 if data[after + 1] | 0x20 == 111 and data[after + 2] | 0x20 == 115 else 0


@numba.njit("boolean(uint8[::1], int64, int64)", cache=True, nogil=True, inline="always")
def _is_infinitive(data: Any, begin: int, end: int) -> bool:
    return end - begin >= 3 and bool(data[end - 1] == 114) and data[end - 2] in (97, 101, 105)


@numba.njit("boolean(uint8[::1], int64, int64)", cache=True, nogil=True, inline="always")
def _is_gerund(data: Any, begin: int, end: int) -> bool:
    return end - begin > 4 and bool(data[end - 3] == 110) and bool(data[end - 2] == 100) and bool(data[end - 1] == 111)


@numba.njit("boolean(uint8[::1], int64, int32[::1], int32[::1], int64)", cache=True, nogil=True, inline="always")
def _is_joined(data: Any, begin: int, begins: Any, ends: Any, word: int) -> bool:
    """Say whether a hyphen joins a word to the one before it."""
    if word < 2 or begins[word] != ends[word - 1] or begins[word - 1] != ends[word - 2]:
        return False
    return bool(data[begin + begins[word - 1]] == 45 and ends[word - 1] - begins[word - 1] == 1)


@numba.njit(
    "void(uint8[::1], int64, int32[::1], int32[::1], uint8[::1], int32[::1], int64, int32[::1], int64)",
    cache=True,
    nogil=True,
)
def _structures(
    data: Any, begin: int, begins: Any, ends: Any, kinds: Any, roles: Any, word: int, counts: Any, first: int
) -> None:
    """Count the cues that end with one word and reach back over those before it."""
    role = roles[word]
    before = roles[word - 1] if word > 0 else np.int32(0)
    earlier = roles[word - 2] if word > 1 else np.int32(0)
    if role & POSSESSIVE:
        counts[first + 7] += 1 if before & ARTICLE else 0
        is_bare = word > 0 and kinds[word - 1] & LETTER and not before & (ARTICLE | NOT_BARE)
        counts[first + 8] += 1 if is_bare else 0
    if role & MONTH and before & OF:
        counts[first + 13] += 1 if role & CAPITAL else 0
        if word > 2 and kinds[word - 2] & NUMBER:
            is_range = word > 3 and (kinds[word - 4] & NUMBER or roles[word - 4] & MONTH)
            counts[first + 9] += 1 if roles[word - 3] & TO and not is_range else 0
            counts[first + 10] += 1 if roles[word - 3] & (IN | DAY) else 0
    if role & OBJECT and role & CAPITAL and before & STOP:
        counts[first + 14] += 1
    if role & OF and earlier & SHALL and _is_joined(data, begin, begins, ends, word):
        counts[first + 15] += 1
    if role & ONE and before & IN:
        counts[first + 16] += 1
    start, end = begin + begins[word], begin + ends[word]
    if before & PROGRESSIVE and _is_gerund(data, start, end):
        counts[first + 6] += 1
    if (before & (TO | OF | THAT)) and (earlier & (PROGRESSIVE | TO_HAVE)) and _is_infinitive(data, start, end):
        counts[first + 5] += 1 if before & TO and earlier & PROGRESSIVE else 0
        counts[first + 11] += 1 if before & OF and earlier & TO_HAVE else 0
        counts[first + 12] += 1 if before & THAT and earlier & TO_HAVE else 0


@numba.njit(
    "void(uint8[::1], int64[::1], uint8[::1], int32[::1], int32[::1], int32[::1], int32[::1], uint8[::1],"
    " uint64[::1], uint64[::1], uint64[::1], int32[::1], int32[::1], int64, int32[:, ::1], int64[::1])",
    cache=True,
    nogil=True,
)
def count_cues(
    data: Any,
    offsets: Any,
    kinds: Any,
    plain_form: Any,
    begins: Any,
    ends: Any,
    lengths: Any,
    word_kinds: Any,
    exact: Any,
    plain: Any,
    keys: Any,
    values: Any,
    roles: Any,
    groups: int,
    counts: Any,
    words: Any,
) -> None:
    """Count the cues of each document into its row: groups first, then STRUCTURES; and its words."""
    for number in range(len(offsets) - 1):
        begin = offsets[number]
        end = min(offsets[number + 1], begin + LOOKED_AT)
        while begin < end < offsets[number + 1] and data[end] & 0xC0 == 0x80:
            end -= 1
        many = cut(data, begin, end, kinds, plain_form, begins, ends, lengths, word_kinds, exact, plain)
        row = counts[number]
        for word in range(many):
            value = found(exact[word], keys, values)
            roles[word] = value >> ROLES
            group = value & ((1 << ROLES) - 1)
            if group:
                row[group - 1] += 1
            if ends[word] - begins[word] > lengths[word]:
                either = roles[word] & EITHER_ACCENT != 0
                _accents(data, begin + begins[word], begin + ends[word], either, row, groups)
            if roles[word] or (word > 0 and roles[word - 1] & REACHING):
                _structures(data, begin, begins, ends, word_kinds, roles, word, row, groups)
        words[number] = many


@numba.njit(
    "void(uint8[::1], int64[::1], uint8[::1], int32[::1], int32[::1], int32[::1], int32[::1], uint8[::1],"
    " uint64[::1], uint64[::1], uint64[::1])",
    cache=True,
    nogil=True,
)
def hash_words(
    data: Any,
    offsets: Any,
    kinds: Any,
    plain_form: Any,
    begins: Any,
    ends: Any,
    lengths: Any,
    word_kinds: Any,
    exact: Any,
    plain: Any,
    hashes: Any,
) -> None:
    """Hash documents of one word each, as `cut` does it."""
    for number in range(len(hashes)):
        cut(
            data,
            offsets[number],
            offsets[number + 1],
            kinds,
            plain_form,
            begins,
            ends,
            lengths,
            word_kinds,
            exact,
            plain,
        )
        hashes[number] = exact[0]
