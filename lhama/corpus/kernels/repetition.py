"""How much of a document its repeated runs of words take: the n-gram rules of Gopher (Rae et al. 2021, table A1).

In go the hashes and lengths of a document's words, out come nine numbers of characters. Pairs of words are numbered by
where they first stand, then runs of three by the number of the pair they begin with and their last word, and so on up
to ten. A run can repeat only where both shorter runs inside it do, so that each step looks at fewer places than the one
before. Nothing but the hash of a single word (64 bits) can be mistaken for another one.

    words            a  b  c  d  a  b  c  e
    pairs            0  1  .  .  0  1  .  .      numbered where they come more than once
    runs of three    0  .  .  .  0  .  .  .      numbered by (0, c): one run, at 0 and 4
"""

from typing import Any

import numba
import numpy as np

from lhama.corpus.words import MULTIPLIER

SHORTEST_TOP, LONGEST_TOP, LONGEST = 2, 4, 10


@numba.njit("int64(int64)", cache=True, nogil=True)
def slots_for(entries: int) -> int:
    """Return the size of a hash table that is at most half full: a power of two."""
    slots = 2
    while slots < 2 * entries:
        slots *= 2
    return slots


@numba.njit("int64(uint64[::1], int64, uint8[::1], int32[::1], int32[::1])", cache=True, nogil=True)
def likely_pairs(exact: Any, count: int, often: Any, slots: Any, places: Any) -> int:
    """List the places of pairs of words that may come more than once: all that do, and a few that do not.

    Each pair leaves a mark in a slot of its hash, without a branch: a slot is 0, 1 after one pair, more after two.
    """
    size = 2 * slots_for(count)
    shift = np.uint64(64)
    while size >> (np.uint64(64) - shift) > 1:
        shift -= np.uint64(1)
    often[:size] = 0
    for place in range(count - 1):
        slot = ((exact[place] ^ (exact[place] >> np.uint64(29))) + exact[place + 1]) * MULTIPLIER >> shift
        slots[place] = slot
        often[slot] = often[slot] << np.uint8(1) | np.uint8(1)
    found = 0
    for place in range(count - 1):
        places[found] = place
        found += often[slots[place]] > 1
    return found


@numba.njit("void(int32[::1], int64, uint64[::1], int32[::1], int32[::1], int32[::1])", cache=True, nogil=True)
def number_pairs(places: Any, found: int, exact: Any, table: Any, numbers: Any, often: Any) -> None:
    """Number each of these pairs of words by the place where it first stands, and count there how often it comes."""
    slots = slots_for(found)
    table[:slots] = 0
    mask = np.uint64(slots - 1)
    for index in range(found):
        place = places[index]
        left, right = exact[place], exact[place + 1]
        slot = (left + (right >> np.uint64(7))) & mask
        while True:
            first = table[slot] - 1
            if first < 0:
                table[slot] = place + 1
                numbers[place] = place
                often[place] = 1
                break
            if exact[first] == left and exact[first + 1] == right:
                numbers[place] = first
                often[first] += 1
                break
            slot = (slot + np.uint64(1)) & mask


@numba.njit("int64(int32[::1], int64, int32[::1], int32[::1])", cache=True, nogil=True)
def repeating(places: Any, found: int, numbers: Any, often: Any) -> int:
    """Keep of the places those whose run comes more than once, and return how many there are."""
    kept = 0
    for index in range(found):
        place = places[index]
        places[kept] = place
        kept += often[numbers[place]] > 1
    return kept


@numba.njit(
    "int64(int32[::1], int64, uint64[::1], int64, int32[::1], int32[::1], int32[::1], int32[::1])",
    cache=True,
    nogil=True,
)
def number_longer(
    places: Any, found: int, exact: Any, size: int, shorter: Any, table: Any, numbers: Any, often: Any
) -> int:
    """Number the runs that have a word more than `size`, where both runs of that size in them repeat.

    Most of them go on as the first of the shorter run does, and then it is also the first of the longer one. The others
    are found by that first place and the last word. Returns how many places were looked at.
    """
    kept = 0
    for index in range(found - 1):
        place = places[index]
        places[kept] = place
        kept += places[index + 1] == place + 1
    slots = slots_for(kept)
    table[:slots] = 0
    mask = np.uint64(slots - 1)
    for index in range(kept):
        place = places[index]
        left, last = shorter[place], exact[place + size]
        if left == place:
            numbers[place] = place
            often[place] = 1
            continue
        if exact[left + size] == last:
            numbers[place] = left
            often[left] += 1
            continue
        slot = (last + np.uint64(left) * MULTIPLIER) >> np.uint64(32) & mask
        while True:
            first = table[slot] - 1
            if first < 0:
                table[slot] = place + 1
                numbers[place] = place
                often[place] = 1
                break
            if shorter[first] == left and exact[first + size] == last:
                numbers[place] = first
                often[first] += 1
                break
            slot = (slot + np.uint64(1)) & mask
    return kept


@numba.njit("int64(int32[::1], int64, int32[::1], int32[::1], int32[::1], int64, int64)", cache=True, nogil=True)
def top_characters(places: Any, found: int, numbers: Any, often: Any, sums: Any, size: int, count: int) -> Any:
    """Return the characters of the commonest run, spaces between its words included; of equals the first counts."""
    if count < size:
        return 0
    best: Any = 0
    most: Any = 1
    for index in range(found):
        place = places[index]
        if numbers[place] == place and often[place] > most:
            best, most = place, np.int64(often[place])
    return (sums[best + size] - sums[best] + size - 1) * most


@numba.njit("UniTuple(int64, 2)(int32[::1], int64, int32[::1], int32[::1], int32[::1], int64)", cache=True, nogil=True)
def repeated_characters(places: Any, found: int, numbers: Any, often: Any, sums: Any, size: int) -> tuple[int, int]:
    """Walk the document once: a run seen before adds its characters and is jumped over, another one is remembered.

    Keeps of the places those whose run comes more than once, as `repeating` does, and returns how many, too.
    """
    total, after, kept = 0, 0, 0
    for index in range(found):
        place = places[index]
        first = numbers[place]
        times = often[first]
        places[kept] = place
        kept += times != 1
        if times != 1 and place >= after:
            if times < 0:
                total += sums[place + size] - sums[place]
                after = place + size
            else:
                often[first] = -times
    return total, kept


@numba.njit(
    "void(uint64[::1], int64, int32[::1], uint8[::1], int32[::1], int32[::1], int32[::1], int32[::1], int32[::1],"
    " int64[::1])",
    cache=True,
    nogil=True,
)
def measure_runs(
    exact: Any,
    count: int,
    table: Any,
    marks: Any,
    numbers: Any,
    others: Any,
    often: Any,
    places: Any,
    sums: Any,
    characters: Any,
) -> None:
    """Write the characters of the top run of 2, 3 and 4 words, then of the repeated runs of 5 to 10 words.

    `sums` are the sums of the lengths of all words before each; the other arrays are scratch.
    """
    characters[:] = 0
    found = likely_pairs(exact, count, marks, numbers, places)
    number_pairs(places, found, exact, table, others, often)
    for size in range(SHORTEST_TOP, LONGEST + 1):
        numbers, others = others, numbers
        if size <= LONGEST_TOP:
            found = repeating(places, found, numbers, often)
            characters[size - 2] = top_characters(places, found, numbers, often, sums, size, count)
        else:
            characters[size - 2], found = repeated_characters(places, found, numbers, often, sums, size)
        found = number_longer(places, found, exact, size, numbers, table, others, often)
