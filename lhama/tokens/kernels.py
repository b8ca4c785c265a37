"""Bytes in, ids out: cut the text, look each part up among those seen before, merge only what is new.

In go the bytes of documents and `merges.Tables`, out come their ids with `<s>` and `</s>`. A part that was merged once
is kept with its ids in a cache of fixed size, whose entries fill one line of the processor's own cache: up to 30 bytes
of text, its length, the number of ids and up to 8 ids. An entry is found by its exact bytes, so the cache can change
no id. Merging takes n log n steps for n characters, so a megabyte without a space is no trouble.
The kernels release the lock and start no threads of their own; each thread brings its own cache and room.
"""

from typing import Any

import numba
import numpy as np

from lhama.corpus.words import decode, mixed
from lhama.tokens.merges import PREFIX, PREFIX_IF_NONE

ENTRY = 8  # words of 64 bits: four of text, length and count, four of two ids each
LONGEST_KEY, MOST_IDS = 30, 8
WAYS = 4  # entries where a part may be; when all are taken they give way by turns
COUNT_SHIFT, LENGTH_SHIFT = np.uint64(48), np.uint64(56)
WITHOUT_COUNT = np.uint64(0xFF00FFFFFFFFFFFF)
LOW = np.uint64(0xFFFFFFFF)
HALF = np.uint64(32)
NOTHING = np.uint64(0xFFFFFFFFFFFFFFFF)
GOLD = np.uint64(0x9E3779B97F4A7C15)  # 2^64 divided by the golden ratio
SLACK = 16  # bytes of room beyond a text, ids of room beyond those of a document
SHORT = 256  # characters for which there is room at hand; a longer part brings its own

TABLES = "Tuple((uint8[::1], int32[::1], uint64[::1], int32[::1], int32[::1], int64))"
WORK = "Tuple((int32[::1], int32[::1], int32[::1], int32[::1], uint64[::1], uint64[::1]))"


@numba.njit(f"{WORK}(int64)", cache=True, nogil=True)
def work(size: int) -> Any:
    """Make room for merging: of each character what comes next and before, its symbol, its first byte and what it
    makes with the next; and a heap of pairs."""
    after, before = np.empty(size + 1, np.int32), np.empty(size + 1, np.int32)
    symbols, first = np.empty(size + 1, np.int32), np.empty(size + 1, np.int32)
    return after, before, symbols, first, np.empty(size + 1, np.uint64), np.empty(2 * size + 2, np.uint64)


@numba.njit("uint64(uint64[::1], int64, int64)", cache=True, nogil=True)
def _result(pairs: Any, left: int, right: int) -> Any:
    """Return rank and symbol that a pair of symbols becomes, or NOTHING."""
    if left < 0 or right < 0:
        return NOTHING
    key = (np.uint64(left) << HALF) | np.uint64(right)
    last = np.uint64(len(pairs) // 2 - 1)
    slot = ((key * GOLD) >> HALF) & last
    while pairs[slot + slot] != key:
        if pairs[slot + slot] == NOTHING:
            return NOTHING
        slot = (slot + np.uint64(1)) & last
    return pairs[slot + slot + np.uint64(1)]


@numba.njit("int64(uint64[::1], int64, uint64)", cache=True, nogil=True)
def _push(heap: Any, size: int, value: Any) -> int:
    """Put a value into a heap with the smallest on top; return its new size."""
    at = size
    while at > 0:
        parent = (at - 1) >> 1
        if heap[parent] <= value:
            break
        heap[at] = heap[parent]
        at = parent
    heap[at] = value
    return size + 1


@numba.njit("int64(uint64[::1], int64)", cache=True, nogil=True)
def _pop(heap: Any, size: int) -> int:
    """Take the top away, which the caller has read; return the new size."""
    size -= 1
    value = heap[size]
    at = 0
    while True:
        child = 2 * at + 1
        if child >= size:
            break
        if child + 1 < size and heap[child + 1] < heap[child]:
            child += 1
        if heap[child] >= value:
            break
        heap[at] = heap[child]
        at = child
    heap[at] = value
    return size


@numba.njit(f"int64(uint8[::1], int64, int64, int32[::1], {WORK})", cache=True, nogil=True)
def _split(room: Any, begin: int, end: int, characters: Any, space: Any) -> int:
    """Write the characters of room[begin:end] as symbols; return their number."""
    after, before, symbols, first, _, _ = space
    count, at = 0, begin
    while at < end:
        point, following = decode(room, at)
        symbols[count] = characters[point]
        first[count] = at
        before[count] = count - 1
        after[count] = count + 1
        count += 1
        at = following
    first[count] = end
    return count


@numba.njit(f"int64(uint8[::1], int64, {TABLES}, {WORK}, uint32[::1], int64)", cache=True, nogil=True)
def _write(room: Any, count: int, tables: Any, space: Any, out: Any, place: int) -> int:
    """Write the ids of the symbols that are left; a character without a piece becomes its bytes."""
    ids, byte_ids = tables[3], tables[4]
    after, _, symbols, first, _, _ = space
    at = 0
    while at < count:
        symbol = symbols[at]
        if symbol >= 0 and ids[symbol] >= 0:
            out[place] = ids[symbol]
            place += 1
        else:
            for byte in range(first[at], first[at + 1]):
                out[place] = byte_ids[room[byte]]
                place += 1
        at = after[at]
    return place


@numba.njit("int64(uint64[::1], int32[::1], int64, int64, uint64[::1], uint64[::1], int64)", cache=True, nogil=True)
def _offer(pairs: Any, symbols: Any, left: Any, right: Any, makes: Any, heap: Any, size: int) -> int:
    """Look up what a pair makes, and put it into the heap if that is anything; return the heap's new size."""
    makes[left] = _result(pairs, symbols[left], symbols[right])
    return _push(heap, size, (makes[left] & ~LOW) | np.uint64(left)) if makes[left] != NOTHING else size


@numba.njit(f"int64(uint8[::1], int64, int64, {TABLES}, {WORK}, uint32[::1], int64)", cache=True, nogil=True)
def _merge(room: Any, begin: int, end: int, tables: Any, space: Any, out: Any, place: int) -> int:
    """Merge room[begin:end], write its ids to out[place:] and return the next place."""
    if end - begin > SHORT:
        space = work(end - begin)
    _, characters, pairs, _, _, _ = tables
    after, before, symbols, _, makes, heap = space
    count = _split(room, begin, end, characters, space)
    size = 0
    for number in range(count - 1):
        size = _offer(pairs, symbols, number, number + 1, makes, heap, size)
    makes[count - 1] = NOTHING
    while size > 0:
        best = heap[0]
        size = _pop(heap, size)
        left = np.int64(best & LOW)
        if (makes[left] >> HALF) != (best >> HALF):  # one of the two symbols has changed since
            continue
        symbols[left] = np.int32(makes[left] & LOW)
        right = after[left]
        following, previous = after[right], before[left]
        after[left] = following
        makes[left] = makes[right] = NOTHING
        if following < count:
            before[following] = left
            size = _offer(pairs, symbols, left, following, makes, heap, size)
        if previous >= 0:
            size = _offer(pairs, symbols, previous, left, makes, heap, size)
    return _write(room, count, tables, space, out, place)


@numba.njit("boolean(uint8[::1], int64, int64)", cache=True, nogil=True)
def _begins_with_space(data: Any, begin: int, end: int) -> Any:
    """Look for a space or U+2581."""
    mark = end - begin >= 3 and data[begin] == 0xE2 and data[begin + 1] == 0x96 and data[begin + 2] == 0x81
    return mark or data[begin] == 32


@numba.njit("int64(uint8[::1], int64, int64, uint8[::1], int64)", cache=True, nogil=True)
def _load(data: Any, begin: int, end: int, room: Any, prefix: int) -> int:
    """Copy a document into the room, U+2581 as a space; return its length there."""
    to = 0
    if begin < end and (prefix == PREFIX or (prefix == PREFIX_IF_NONE and not _begins_with_space(data, begin, end))):
        room[0] = 32
        to = 1
    for at in range(begin, end):
        byte = data[at]
        room[to] = byte
        to += 1
        if byte == 0x81 and at - begin >= 2 and data[at - 1] == 0x96 and data[at - 2] == 0xE2:
            to -= 2
            room[to - 1] = 32
    return to


@numba.njit("uint64(uint64[::1], int64, int64)", cache=True, nogil=True)
def _word(words: Any, at: int, length: int) -> Any:
    """Return the first `length` bytes, 8 at most, from any place of the room; the others are zero."""
    shift = np.uint64((at & 7) << 3)
    word = (words[at >> 3] >> shift) | ((words[(at >> 3) + 1] << np.uint64(1)) << (np.uint64(63) - shift))
    return word if length >= 8 else word & (NOTHING >> np.uint64(64 - 8 * length))


@numba.njit("UniTuple(uint64, 4)(uint64[::1], int64, int64)", cache=True, nogil=True)
def _key(words: Any, begin: int, length: int) -> Any:
    """Return a part's bytes and its length as the first four words of its entry, but for the count."""
    one = _word(words, begin, length)
    two = _word(words, begin + 8, length - 8) if length > 8 else np.uint64(0)
    three = _word(words, begin + 16, length - 16) if length > 16 else np.uint64(0)
    four = _word(words, begin + 24, length - 24) if length > 24 else np.uint64(0)
    return one, two, three, four | (np.uint64(length) << LENGTH_SHIFT)


@numba.njit("int64(uint64[::1], UniTuple(uint64, 4))", cache=True, nogil=True)
def _set_of(cache: Any, key: Any) -> Any:
    """Return where the entries begin among which a part may be."""
    one, two, three, four = key
    rest = mixed(two ^ (three * GOLD) ^ four)
    hashed = mixed(one ^ rest)
    return np.int64(hashed & np.uint64(len(cache) // (ENTRY * WAYS) - 1)) * (ENTRY * WAYS)


@numba.njit(
    "int64(uint64[::1], uint64[::1], int64, int64, uint32[::1], int64)", cache=True, nogil=True, forceinline=True
)
def _recall(words: Any, cache: Any, begin: int, length: int, out: Any, place: int) -> Any:
    """Write the ids of a part that is in the cache and return their number; 0 where it is not."""
    key = _key(words, begin, length)
    base = _set_of(cache, key)
    one, two, three, four = key
    for at in range(base, base + ENTRY * WAYS, ENTRY):
        told = cache[at + 3]
        if cache[at] == one and (told & WITHOUT_COUNT) == four and cache[at + 1] == two and cache[at + 2] == three:
            for pair in range(MOST_IDS // 2):  # all of them: what is too much is written over by the next part
                both = cache[at + 4 + pair]
                out[place + 2 * pair] = np.uint32(both & LOW)
                out[place + 2 * pair + 1] = np.uint32(both >> HALF)
            return np.int64((told >> COUNT_SHIFT) & np.uint64(0xFF))
        if told == 0:
            return 0
    return 0


@numba.njit(
    "void(uint64[::1], uint64[::1], int64[::1], int64, int64, uint32[::1], int64, int64)", cache=True, nogil=True
)
def _keep(words: Any, cache: Any, misses: Any, begin: int, length: int, out: Any, place: int, count: int) -> None:
    """Put a part and its ids into the cache, in place of nothing or of what was there by turns."""
    misses[0] += 1
    if length > LONGEST_KEY or count > MOST_IDS:
        return
    key = _key(words, begin, length)
    base = _set_of(cache, key)
    victim = base + (misses[0] & (WAYS - 1)) * ENTRY
    for at in range(base, base + ENTRY * WAYS, ENTRY):
        if cache[at + 3] == 0:
            victim = at
            break
    cache[victim], cache[victim + 1], cache[victim + 2] = key[0], key[1], key[2]
    cache[victim + 3] = key[3] | (np.uint64(count) << COUNT_SHIFT)
    for pair in range(MOST_IDS // 2):
        low, high = np.uint64(out[place + 2 * pair]), np.uint64(out[place + 2 * pair + 1])
        cache[victim + 4 + pair] = low | (high << HALF)


@numba.njit(
    f"int64(uint8[::1], int64[::1], int64, int64, {TABLES}, uint8[::1], uint64[::1], {WORK}, uint64[::1], int64[::1],"
    " uint32[::1], int64[::1])",
    cache=True,
    nogil=True,
)
def encode(
    data: Any,
    offsets: Any,
    bos: int,
    eos: int,
    tables: Any,
    room: Any,
    words: Any,
    space: Any,
    cache: Any,
    misses: Any,
    out: Any,
    lengths: Any,
) -> int:
    """Write `<s> ... </s>` of every document to `out` and its length to `lengths`; return how much was written.

    `words` is the room seen as 64-bit words; the room holds the longest document and SLACK bytes, `out` as many ids as
    there are bytes and 3 more per document, and SLACK.
    """
    joined, prefix = tables[0], tables[5]
    place = 0
    for number in range(len(lengths)):
        start = place
        out[place] = bos
        place += 1
        end = _load(data, offsets[number], offsets[number + 1], room, prefix)
        at = 0
        while at < end:
            begin = at
            at += 1
            while at < end and joined[(np.int64(room[at - 1]) << 8) | np.int64(room[at])]:
                at += 1
            count = _recall(words, cache, begin, at - begin, out, place) if at - begin <= LONGEST_KEY else 0
            if count == 0:
                count = _merge(room, begin, at, tables, space, out, place) - place
                _keep(words, cache, misses, begin, at - begin, out, place, count)
            place += count
        out[place] = eos
        place += 1
        lengths[number] = place - start
    return place
