"""The inner loops of decontamination: fill the table of word runs, look documents up in it, widen what was found.

In go documents as bytes and offsets; `decontaminate.py` says what a hit is. A run of words is known by a polynomial of
its words' hashes and by its length. Each place of a document is first asked of a small set of bits, which knows how the
runs of all tests begin and fits into the fastest memory; so nearly every place costs one look.
"""

from typing import Any

import numba
import numpy as np

from lhama.corpus.words import LETTER, MULTIPLIER, WORD, cut, looked_at, mixed

FEED, TAB, RETURN, BLANK = np.uint8(10), np.uint8(9), np.uint8(13), np.uint8(32)
DOCUMENT, BEGIN, END, ITEM = 0, 1, 2, 3
"""The columns of what was found."""
ONE = np.uint64(1)


@numba.njit("int64(int64, uint8[::1], int32[::1], int32[::1], uint64[::1])", cache=True, nogil=True)
def _keep_words(count: int, word_kinds: Any, begins: Any, ends: Any, hashes: Any) -> int:
    """Move real words to the front, leaving punctuation out, and return how many there are."""
    kept = 0
    for number in range(count):
        if word_kinds[number] & WORD:
            word_kinds[kept] = word_kinds[number]
            begins[kept], ends[kept], hashes[kept] = begins[number], ends[number], hashes[number]
            kept += 1
    return kept


@numba.njit("uint64(uint64, int64)", cache=True, nogil=True, inline="always")
def _key(value: Any, length: int) -> Any:
    """Return what a run of so many words is known by; never 0."""
    return max(mixed(value + np.uint64(length) * MULTIPLIER), ONE)


@numba.njit("int32(uint64, uint64[::1], int32[::1])", cache=True, nogil=True, inline="always")
def _item_of(key: Any, keys: Any, items: Any) -> Any:
    """Return the item that has a run, or -1."""
    mask = np.uint64(len(keys) - 1)
    slot = key & mask
    while keys[slot]:
        if keys[slot] == key:
            return items[slot]
        slot = (slot + ONE) & mask
    return np.int32(-1)


@numba.njit("void(uint64, int32, uint64[::1], int32[::1])", cache=True, nogil=True)
def _remember(key: Any, item: Any, keys: Any, items: Any) -> None:
    """Put a run into the table unless it is there: the first item keeps it."""
    mask = np.uint64(len(keys) - 1)
    slot = key & mask
    while keys[slot]:
        if keys[slot] == key:
            return
        slot = (slot + ONE) & mask
    keys[slot], items[slot] = key, item


@numba.njit("uint64(uint64[::1], int64, int64)", cache=True, nogil=True, inline="always")
def _value(hashes: Any, begin: int, length: int) -> Any:
    """Return the polynomial of a run of words."""
    value = np.uint64(0)
    for number in range(begin, begin + length):
        value = value * MULTIPLIER + hashes[number]
    return value


@numba.njit("boolean(uint8[::1], int64, int64)", cache=True, nogil=True)
def _says_something(word_kinds: Any, begin: int, length: int) -> bool:
    """Say whether at least half of the words have a letter: all rows of numbers look alike, because digits are 0."""
    letters = 0
    for number in range(begin, begin + length):
        letters += 1 if word_kinds[number] & LETTER else 0
    return 2 * letters >= length


@numba.njit("uint64(uint64, int64)", cache=True, nogil=True, inline="always")
def _bit(value: Any, bytes_of_bits: int) -> Any:
    """Return which bit stands for the beginning of a run."""
    return (value * MULTIPLIER) >> np.uint64(20) & np.uint64(bytes_of_bits * 8 - 1)


@numba.njit(
    "int64(uint8[::1], int64[::1], boolean[::1], uint8[::1], int32[::1], int32[::1], int32[::1], int32[::1],"
    " uint8[::1], uint64[::1], uint64[::1], int64, int64, uint64[::1], int32[::1], uint8[::1], uint8[::1])",
    cache=True,
    nogil=True,
)
def fill(
    data: Any,
    offsets: Any,
    answers: Any,
    kinds: Any,
    plain_form: Any,
    begins: Any,
    ends: Any,
    lengths: Any,
    word_kinds: Any,
    exact: Any,
    plain: Any,
    words: int,
    prefix: int,
    keys: Any,
    items: Any,
    bits: Any,
    known: Any,
) -> int:
    """Put the runs of all items into the table, and return how many items have one."""
    filled = 0
    for number in range(len(offsets) - 1):
        stop = looked_at(data, offsets[number], offsets[number + 1])
        count = cut(data, offsets[number], stop, kinds, plain_form, begins, ends, lengths, word_kinds, exact, plain)
        count = _keep_words(count, word_kinds, begins, ends, plain)
        if not count or (count < words and answers[number]):
            continue
        length, some = min(count, words), False
        for begin in range(count - length + 1):
            if not _says_something(word_kinds, begin, length):
                continue
            some = True
            _remember(_key(_value(plain, begin, length), length), np.int32(number), keys, items)
            if length >= prefix:
                bit = _bit(_value(plain, begin, prefix), len(bits))
                bits[bit >> np.uint64(3)] |= np.uint8(1 << (bit & np.uint64(7)))
        if some:
            known[length] = 1
            filled += 1
    return filled


@numba.njit(
    "int64(uint64[::1], int64, int32[::1], int32[::1], int64, int64, int64, int64, uint64[::1], int32[::1],"
    " uint8[::1], uint8[::1], int64[:, ::1])",
    cache=True,
    nogil=True,
)
def _hits(
    plain: Any,
    count: int,
    begins: Any,
    ends: Any,
    document: int,
    shift: int,
    words: int,
    prefix: int,
    keys: Any,
    items: Any,
    bits: Any,
    known: Any,
    found: Any,
) -> int:
    """Write the hits among some words, with the longest run at each place; overlapping ones of an item are one."""
    hits = 0
    leaving = ONE
    for _ in range(prefix):
        leaving *= MULTIPLIER
    start = _value(plain, 0, prefix - 1)
    for at in range(count - prefix + 1):
        start = start * MULTIPLIER + plain[at + prefix - 1]
        if at:
            start -= leaving * plain[at - 1]
        bit = _bit(start, len(bits))
        if not bits[bit >> np.uint64(3)] >> (bit & np.uint64(7)) & ONE:
            continue
        value, longest, item = start, 0, np.int32(-1)
        for length in range(prefix, min(words, count - at) + 1):
            if length > prefix:
                value = value * MULTIPLIER + plain[at + length - 1]
            if known[length]:
                one = _item_of(_key(value, length), keys, items)
                if one >= 0:
                    longest, item = length, one
        if not longest:
            continue
        begin, end = shift + begins[at], shift + ends[at + longest - 1]
        if hits and found[hits - 1, ITEM] == item and found[hits - 1, END] >= begin:
            found[hits - 1, END] = max(end, found[hits - 1, END])
        else:
            found[hits, DOCUMENT], found[hits, BEGIN] = document, begin
            found[hits, END], found[hits, ITEM] = end, item
            hits += 1
    return hits


@numba.njit(
    "int64[:, ::1](uint8[::1], int64[::1], uint8[::1], int32[::1], int32[::1], int32[::1], int32[::1],"
    " uint8[::1], uint64[::1], uint64[::1], int64, int64, uint64[::1], int32[::1], uint8[::1], uint8[::1])",
    cache=True,
    nogil=True,
)
def find_runs(
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
    words: int,
    prefix: int,
    keys: Any,
    items: Any,
    bits: Any,
    known: Any,
) -> Any:
    """Return (document, begin, end, item) of every hit; a document of any length is looked at in pieces of 16 MB."""
    found, hits = np.empty((1024, 4), np.int64), 0
    for number in range(len(offsets) - 1):
        first, end = offsets[number], offsets[number + 1]
        begin = first
        while begin < end:
            stop = looked_at(data, begin, end)
            count = cut(data, begin, stop, kinds, plain_form, begins, ends, lengths, word_kinds, exact, plain)
            broken = begins[count - 1] if stop < end and count else np.int32(stop - begin)
            count = _keep_words(count - (1 if stop < end and count else 0), word_kinds, begins, ends, plain)
            if hits + count > len(found):
                more = np.empty((2 * (hits + count), 4), np.int64)
                more[:hits] = found[:hits]
                found = more
            if count >= prefix:
                hits += _hits(
                    plain,
                    count,
                    begins,
                    ends,
                    number,
                    begin - first,
                    words,
                    prefix,
                    keys,
                    items,
                    bits,
                    known,
                    found[hits:],
                )
            elif count and begin == first and stop == end and known[count]:
                item = _item_of(_key(_value(plain, 0, count), count), keys, items)
                if item >= 0:
                    found[hits, DOCUMENT], found[hits, BEGIN] = number, 0
                    found[hits, END], found[hits, ITEM] = end - first, item
                    hits += 1
            if stop == end:
                break
            # A run may go on in the next piece: begin there with the last words of this one, the broken one included.
            again = begins[count - words + 1] if count >= words else broken
            begin += again if again > 0 else stop - begin
    return found[:hits].copy()


@numba.njit("boolean(uint8[::1], int64, int64)", cache=True, nogil=True)
def _after_sentence(data: Any, first: int, at: int) -> bool:
    """Say whether data[first:at], white space and closing signs aside, ends with . ! ? or an ellipsis."""
    while at > first and data[at - 1] in (BLANK, TAB, RETURN):
        at -= 1
    while at > first:
        byte = data[at - 1]
        if byte in (46, 33, 63):
            return True
        if byte in (34, 39, 41, 93):  # " ' ) ]
            at -= 1
        elif byte == 0xBB and at - 1 > first and data[at - 2] == 0xC2:  # »
            at -= 2
        elif at - 2 > first and data[at - 3] == 0xE2 and data[at - 2] == 0x80 and byte in (0x99, 0x9D, 0xA6):
            if byte == 0xA6:  # …
                return True
            at -= 3  # a closing quotation mark
        else:
            return False
    return False


@numba.njit("int64(uint8[::1], int64, int64, int64)", cache=True, nogil=True)
def _left(data: Any, first: int, begin: int, margin: int) -> int:
    """Return where the sentence or line of `begin` begins, or the farthest beginning of a word within the margin."""
    lowest, word, at = max(first, begin - margin), begin, begin
    while at > lowest:
        byte = data[at - 1]
        if byte == FEED:
            return at
        if byte in (BLANK, TAB, RETURN):
            if _after_sentence(data, first, at - 1):
                return at
            word = at
        at -= 1
    return at if at == first else word


@numba.njit("int64(uint8[::1], int64, int64, int64)", cache=True, nogil=True)
def _right(data: Any, end: int, last: int, margin: int) -> int:
    """Return where the sentence or line of `end` ends, or the farthest end of a word within the margin."""
    highest, word, at = min(last, end + margin), end, end
    while at < highest:
        byte = data[at]
        if byte == FEED:
            return at
        if byte in (BLANK, TAB, RETURN):
            if at > end and _after_sentence(data, end, at):
                return at
            word = at
        at += 1
    return at if at == last else word


@numba.njit("void(uint8[::1], int64[::1], int64[::1], int64[::1], int64[::1], int64)", cache=True, nogil=True)
def widen(data: Any, offsets: Any, documents: Any, begins: Any, ends: Any, margin: int) -> None:
    """Widen spans to whole sentences or lines, and over the white space that would be left twice."""
    for span in range(len(documents)):
        first, last = offsets[documents[span]], offsets[documents[span] + 1]
        begin = _left(data, first, first + begins[span], margin)
        end = _right(data, first + ends[span], last, margin)
        if (begin == first or data[begin - 1] == FEED) and end < last and data[end] == FEED:
            end += 1
        else:
            while end < last and data[end] in (BLANK, TAB, RETURN):
                end += 1
        begins[span], ends[span] = begin - first, end - first
