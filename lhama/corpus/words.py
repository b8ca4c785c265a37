"""Cut text into words: the one definition that rules, duplicates, decontamination and classifiers share.

In go the UTF-8 bytes of a document, out come its words as spans with a length, a kind and two hashes. A word is a run
of letters, marks, numbers and underscores, or a run of one and the same other character that is not white space: a
comma is a word, and so is an ellipsis of three dots. Nothing here makes a Python object per document or word; the
kernels are compiled once and cached, release the lock, and start no threads of their own.
"""

import sys
import unicodedata
from functools import cache
from typing import Any, NamedTuple

import numba
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

import lhama.corpus.compiled  # noqa: F401 - before any kernel: it says where compiled ones are kept

Bytes = npt.NDArray[np.uint8]
Integers = npt.NDArray[np.int64]

WORD, LETTER, NUMBER, SPACE, UPPER = 1, 2, 4, 8, 16
"""What a character is; a word has the kinds of all its characters."""
LONGEST_DOCUMENT = 16 << 20  # bytes; of a longer document the first so many are looked at
MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)  # 2^64 divided by the golden ratio, odd
FIRST = np.uint64(0xCBF29CE484222325)  # where a hash begins: any number that is not 0


class Texts(NamedTuple):
    """Documents as two arrays: document i is data[offsets[i] : offsets[i + 1]]."""

    data: Bytes
    offsets: Integers


class Tables(NamedTuple):
    """For each code point what it is, and its plain form: lower case, without accents, each digit a 0."""

    kinds: Bytes
    plain: npt.NDArray[np.int32]


class Words(NamedTuple):
    """Room for the words of one document; `cut` fills its beginning and says how many there are."""

    begins: npt.NDArray[np.int32]
    ends: npt.NDArray[np.int32]
    lengths: npt.NDArray[np.int32]
    kinds: Bytes
    exact: npt.NDArray[np.uint64]
    plain: npt.NDArray[np.uint64]


def texts_of(column: Any) -> Texts:
    """View an Arrow array of strings as bytes and offsets, without a copy where it is large_string already."""
    column = pc.cast(column, pa.large_string())
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
    if not len(column):
        return Texts(np.zeros(0, np.uint8), np.zeros(1, np.int64))
    _, offsets, data = column.buffers()
    start = column.offset
    places = np.frombuffer(offsets, dtype=np.int64)[start : start + len(column) + 1]
    whole = np.asarray(_Viewed(data)) if data is not None and data.size else np.zeros(0, dtype=np.uint8)
    return Texts(whole[places[0] : places[-1]], places - places[0])


class _Viewed:
    """The bytes of an Arrow buffer as an array of the type that kernels are compiled for, whoever owns them.

    Many of Arrow's buffers are read-only, which numba holds for another type of array; no kernel writes into a text.
    """

    def __init__(self, buffer: Any) -> None:
        self._buffer = buffer  # alive as long as the array is
        self.__array_interface__ = {
            "data": (buffer.address, False),
            "shape": (buffer.size,),
            "typestr": "|u1",
            "version": 3,
        }


@cache
def tables() -> Tables:
    """Make the tables from Python's own Unicode data; planes that hold no letters are left at 0."""
    kinds = np.zeros(sys.maxunicode + 1, dtype=np.uint8)
    plain = np.arange(sys.maxunicode + 1, dtype=np.int32)
    for point in (*range(0x40000), *range(0xE0000, 0xE0200)):
        if 0xD800 <= point < 0xE000:
            continue
        character = chr(point)
        kind = _kind(character)
        if kind:
            kinds[point] = kind
            plain[point] = ord(_plain(character))
    return Tables(kinds, plain)


def _kind(character: str) -> int:
    if character.isspace():
        return SPACE
    category = unicodedata.category(character)
    kind = WORD if category[0] in "LMN" or character == "_" else 0
    kind |= LETTER if category[0] == "L" else 0
    kind |= NUMBER if category[0] == "N" else 0
    return kind | (UPPER if category in ("Lu", "Lt") else 0)


def _plain(character: str) -> str:
    """Return one character: the base letter of an accented one in lower case, 0 for a digit."""
    if unicodedata.category(character) == "Nd":
        return "0"
    base = unicodedata.normalize("NFD", character)[0].lower()
    return base if len(base) == 1 else base[0]


def room(texts: Texts) -> Words:
    """Make room for the words of the longest of the documents; none has more words than bytes."""
    longest = int(np.diff(texts.offsets).max(initial=0))
    size = min(longest, LONGEST_DOCUMENT) + 1
    return Words(
        np.empty(size, np.int32),
        np.empty(size, np.int32),
        np.empty(size, np.int32),
        np.empty(size, np.uint8),
        np.empty(size, np.uint64),
        np.empty(size, np.uint64),
    )


@numba.njit("UniTuple(int64, 2)(uint8[::1], int64)", cache=True, nogil=True, inline="always")
def decode(data: Any, at: int) -> Any:
    """Return the code point that begins at a byte of valid UTF-8, and the place of the next one."""
    first = np.int64(data[at])
    if first < 0x80:
        return first, at + 1
    if first < 0xE0:
        return ((first & 0x1F) << 6) | (np.int64(data[at + 1]) & 0x3F), at + 2
    if first < 0xF0:
        middle = (np.int64(data[at + 1]) & 0x3F) << 6
        return ((first & 0x0F) << 12) | middle | (np.int64(data[at + 2]) & 0x3F), at + 3
    upper = ((np.int64(data[at + 1]) & 0x3F) << 12) | ((np.int64(data[at + 2]) & 0x3F) << 6)
    return ((first & 0x07) << 18) | upper | (np.int64(data[at + 3]) & 0x3F), at + 4


@numba.njit("int64(uint8[::1], int64, int64)", cache=True, nogil=True)
def looked_at(data: Any, begin: int, end: int) -> int:
    """Return where to stop in a document: at its end, or at the last whole character of its first 16 MB."""
    stop = min(end, begin + LONGEST_DOCUMENT)
    while begin < stop < end and data[stop] & 0xC0 == 0x80:
        stop -= 1
    return stop


@numba.njit("uint64(uint64)", cache=True, nogil=True, inline="always")
def mixed(value: Any) -> Any:
    """Spread the bits of a hash (the end of MurmurHash3, Appleby 2011)."""
    value = (value ^ (value >> np.uint64(33))) * np.uint64(0xFF51AFD7ED558CCD)
    value = (value ^ (value >> np.uint64(33))) * np.uint64(0xC4CEB9FE1A85EC53)
    return value ^ (value >> np.uint64(33))


@numba.njit(
    "int64(uint8[::1], int64, int64, uint8[::1], int32[::1],"
    " int32[::1], int32[::1], int32[::1], uint8[::1], uint64[::1], uint64[::1])",
    cache=True,
    nogil=True,
)
def cut(
    data: Any,
    begin: int,
    end: int,
    kinds: Any,
    plain_form: Any,
    begins: Any,
    ends: Any,
    lengths: Any,
    word_kinds: Any,
    exact: Any,
    plain: Any,
) -> int:
    """Cut one document, data[begin:end], and return the number of its words; spans count from `begin`."""
    count, at = 0, begin
    while at < end:
        point, after = decode(data, at)
        kind = kinds[point]
        if kind & SPACE:
            at = after
            continue
        start, length, first = at, 0, point
        all_kinds = np.uint8(0)
        one, two = FIRST, FIRST
        is_word = kind & WORD
        while True:
            one = (one ^ np.uint64(point)) * MULTIPLIER
            two = (two ^ np.uint64(plain_form[point])) * MULTIPLIER
            all_kinds |= kind
            length += 1
            at = after
            if at >= end:
                break
            point, after = decode(data, at)
            kind = kinds[point]
            if is_word:
                if not kind & WORD:
                    break
            elif point != first:
                break
        begins[count] = start - begin
        ends[count] = at - begin
        lengths[count] = length
        word_kinds[count] = all_kinds
        exact[count] = mixed(one)
        plain[count] = mixed(two)
        count += 1
    return count


@numba.njit(
    "void(uint8[::1], int64[::1], uint8[::1], int32[::1], int32[::1], int32[::1], int32[::1],"
    " uint8[::1], uint64[::1], uint64[::1], int64[::1])",
    cache=True,
    nogil=True,
)
def _count(
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
    counts: Any,
) -> None:
    for number in range(len(offsets) - 1):
        end = looked_at(data, offsets[number], offsets[number + 1])
        counts[number] = cut(
            data, offsets[number], end, kinds, plain_form, begins, ends, lengths, word_kinds, exact, plain
        )


def counted(texts: Texts) -> Integers:
    """Count the words of each document."""
    counts = np.zeros(len(texts.offsets) - 1, dtype=np.int64)
    _count(*texts, *tables(), *room(texts), counts)
    return counts
