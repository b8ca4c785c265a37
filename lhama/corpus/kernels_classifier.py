"""The inner loops of the linear classifier: hash the features of documents, sum their weights, and the slope of both.

In go documents as bytes and offsets, out come bucket numbers or sums for each document. The features of a document
are its words without capitals and accents, its pairs of neighbouring words, and the runs of characters within each
word with a space on both sides; each is a bucket of a table (Weinberger et al. 2009, "Feature Hashing"). A word of
other than letters and digits has no runs. The sums of a document do not depend on the documents around it.
"""

from typing import Any

import numba
import numpy as np

from lhama.corpus.words import FIRST, MULTIPLIER, WORD, cut, decode, mixed

LONGEST_WORD = 60  # characters; of a longer word the first so many have runs
ROOM = 8 * (LONGEST_WORD + 2) + 2  # features of one word, runs of up to eight lengths
PAIR = np.uint64(0x9FB21C651E98DF25)  # odd, to tell the first of a pair from the second
REMEMBERED = 1 << 15  # words whose sums are kept: words repeat, and this still fits into a core's cache


@numba.njit(
    "int64(uint8[::1], int64, int64, uint8, uint64, uint64, int32[::1], int64[::1], int32[::1], int32[::1])",
    cache=True,
    nogil=True,
)
def word_features(
    data: Any,
    begin: int,
    end: int,
    kind: int,
    word: Any,
    before: Any,
    plain_form: Any,
    shape: Any,
    characters: Any,
    buckets: Any,
) -> int:
    """Write the buckets of the features that end with one word, and return their number.

    `shape` holds the bits of a bucket number, the words of the longest feature (0 to 2), and the shortest and the
    longest run of characters; `word` and `before` are the plain hashes of this word and the last, which is 0 at first.
    """
    shift = np.uint64(64 - shape[0])
    count = 0
    if shape[1] > 0:
        buckets[0] = np.int32(mixed(word) >> shift)
        count = 1
    if shape[1] > 1 and before != np.uint64(0):
        buckets[count] = np.int32(mixed(before * PAIR ^ word) >> shift)
        count += 1
    if not kind & WORD or shape[3] == 0:
        return count
    characters[0] = 32
    length, at = 1, begin
    while at < end and length <= LONGEST_WORD:
        point, at = decode(data, at)
        characters[length] = plain_form[point]
        length += 1
    characters[length] = 32
    for last in range(length + 1):
        value = FIRST
        for back in range(min(shape[3], last + 1)):
            value = (value ^ np.uint64(characters[last - back])) * MULTIPLIER
            if back + 1 >= shape[2]:
                buckets[count] = np.int32((value ^ (value >> np.uint64(29))) * MULTIPLIER >> shift)
                count += 1
    return count


@numba.njit("int64(uint8[::1], int64, int64, int64)", cache=True, nogil=True)
def stop(data: Any, begin: int, end: int, most: int) -> int:
    """Return where to stop in a document: at its end, or at a whole character after so many bytes."""
    last = min(end, begin + most)
    while begin < last < end and data[last] & 0xC0 == 0x80:
        last -= 1
    return last


@numba.njit(
    "void(uint8[::1], int64[::1], uint8[::1], int32[::1], int32[::1], int32[::1], int32[::1], uint8[::1],"
    " uint64[::1], uint64[::1], int64[::1], int64, int64[::1], int32[::1], boolean)",
    cache=True,
    nogil=True,
)
def list_features(
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
    shape: Any,
    most: int,
    places: Any,
    listed: Any,
    write: bool,
) -> None:
    """Count the features of each document into places[i + 1], or write them at listed[places[i]:]."""
    characters, buckets = np.empty(LONGEST_WORD + 2, np.int32), np.empty(ROOM, np.int32)
    for number in range(len(offsets) - 1):
        begin = offsets[number]
        end = stop(data, begin, offsets[number + 1], most)
        words = cut(data, begin, end, kinds, plain_form, begins, ends, lengths, word_kinds, exact, plain)
        before: Any = np.uint64(0)
        total = 0
        for word in range(words):
            count = word_features(
                data,
                begin + begins[word],
                begin + ends[word],
                word_kinds[word],
                plain[word],
                before,
                plain_form,
                shape,
                characters,
                buckets,
            )
            before = plain[word]
            if write:
                at = places[number] + total
                listed[at : at + count] = buckets[:count]
            total += count
        if not write:
            places[number + 1] = total


@numba.njit("int64(uint8[::1], int64[::1], int64, int64[::1], int64[::1])", cache=True, nogil=True)
def cut_passages(data: Any, offsets: Any, most: int, firsts: Any, ends: Any) -> int:
    """Cut documents into passages of at most so many bytes, behind a line, a space or at least a whole character.

    Write where each passage ends, and the place of the first one of each document; return how many there are.
    """
    count = 0
    for number in range(len(offsets) - 1):
        firsts[number] = count
        at, end = offsets[number], offsets[number + 1]
        while end - at > most:
            line: Any = 0
            space: Any = 0
            for place in range(at + most // 2, at + most):
                if data[place] == 10:
                    line = place + 1
                elif data[place] == 32:
                    space = place + 1
            at = line if line else space if space else stop(data, at, end, most)
            ends[count] = at
            count += 1
        ends[count] = end
        count += 1
    return count


@numba.njit("float64(int64, int64)", cache=True, nogil=True, inline="always")
def scale(features: int, typical: int) -> float:
    """Return what one feature counts in a document: its vector has about length one, and a long text its mean."""
    if features == 0:
        return 0.0
    return float(1.0 / np.sqrt(features) if features <= typical else np.sqrt(typical) / features)


@numba.njit("void(int32[::1], int64, float32[:, ::1], float64[::1])", cache=True, nogil=True)
def _sum_buckets(buckets: Any, count: int, weights: Any, row: Any) -> None:
    """Sum the weights of some buckets into a row."""
    row[:] = 0.0
    for place in range(count):
        for column in range(weights.shape[1]):
            row[column] += weights[buckets[place], column]


@numba.njit(
    "void(uint8[::1], int64[::1], uint8[::1], int32[::1], int32[::1], int32[::1], int32[::1], uint8[::1],"
    " uint64[::1], uint64[::1], int64[::1], int64, int64, float32[:, ::1], float64[:, ::1])",
    cache=True,
    nogil=True,
)
def sum_texts(
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
    shape: Any,
    most: int,
    typical: int,
    weights: Any,
    sums: Any,
) -> None:
    """Sum the weights of the features of each document, scaled; what a word adds by itself is summed once."""
    characters, buckets = np.empty(LONGEST_WORD + 2, np.int32), np.empty(ROOM, np.int32)
    columns = weights.shape[1]
    shift, none = np.uint64(64 - shape[0]), np.uint64(0)
    known, features = np.zeros(REMEMBERED, np.uint64), np.zeros(REMEMBERED, np.int64)
    summed = np.zeros((REMEMBERED, columns), np.float64)
    for number in range(len(offsets) - 1):
        begin = offsets[number]
        end = stop(data, begin, offsets[number + 1], most)
        words = cut(data, begin, end, kinds, plain_form, begins, ends, lengths, word_kinds, exact, plain)
        before: Any = np.uint64(0)
        total = 0
        row = sums[number]
        for word in range(words):
            value = plain[word]
            slot = value & np.uint64(REMEMBERED - 1)
            if known[slot] != value:
                count = word_features(
                    data,
                    begin + begins[word],
                    begin + ends[word],
                    word_kinds[word],
                    value,
                    none,
                    plain_form,
                    shape,
                    characters,
                    buckets,
                )
                known[slot], features[slot] = value, count
                _sum_buckets(buckets, count, weights, summed[slot])
            for column in range(columns):
                row[column] += summed[slot, column]
            total += features[slot]
            if shape[1] > 1 and before != none:
                bucket = np.int32(mixed(before * PAIR ^ value) >> shift)
                for column in range(columns):
                    row[column] += weights[bucket, column]
                total += 1
            before = value
        row *= scale(total, typical)


@numba.njit("void(int64[::1], int32[::1], float64[::1], float64[:, ::1], float64[:, ::1])", cache=True, nogil=True)
def sum_listed(places: Any, listed: Any, scales: Any, weights: Any, sums: Any) -> None:
    """Sum the weights of listed features for each document, scaled."""
    for number in range(len(scales)):
        row = sums[number]
        row[:] = 0.0
        for at in range(places[number], places[number + 1]):
            for column in range(weights.shape[1]):
                row[column] += weights[listed[at], column]
        row *= scales[number]


@numba.njit("void(int64[::1], int32[::1], float64[::1], float64[:, ::1], float64[:, ::1])", cache=True, nogil=True)
def sum_slopes(places: Any, listed: Any, scales: Any, errors: Any, slopes: Any) -> None:
    """Add the errors of the documents, scaled, to the slopes of the features listed for them."""
    for number in range(len(scales)):
        for column in range(slopes.shape[1]):
            error = errors[number, column] * scales[number]
            for at in range(places[number], places[number + 1]):
                slopes[listed[at], column] += error
