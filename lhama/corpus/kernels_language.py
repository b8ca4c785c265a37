"""The inner loops of language identification: sample a document, walk an automaton over it, sum, and weigh.

In go documents as bytes and offsets and a model as arrays (`language.py` tells which), out come the place of the
likeliest language and two probabilities for each document. All is exact: the same sums as a walk over the sample from
its first byte to its last.
"""

from typing import Any

import numba
import numpy as np

from lhama.corpus.words import decode

WINDOW = 384  # bytes; twice as many change no verdict on prose and cost twice the time
WINDOWS = 3
LANES = 4
STEPS = 512  # to a nat
RUN_IN = 8  # bytes; the automaton forgets what lies further back


@numba.njit("int64(uint8[::1], int64, int64)", cache=True, nogil=True)
def _window_begin(data: Any, at: int, end: int) -> int:
    """Return where a window that should begin at a place begins: after the next space, or at a whole character."""
    for place in range(at, min(at + 32, end)):
        if data[place] == 32 or data[place] == 10:
            return place + 1
    while at < end and data[at] & 0xC0 == 0x80:
        at += 1
    return at


@numba.njit("int64(uint8[::1], int64, int64, uint8[::1])", cache=True, nogil=True)
def _sample(data: Any, begin: int, end: int, room: Any) -> int:
    """Write the windows of a document into the room, a line each, and return their length."""
    windows = 1 if end - begin <= WINDOWS * WINDOW else WINDOWS
    size = 0
    for window in range(windows):
        at, stop = begin, end
        if windows > 1:
            stop = begin + WINDOW + (end - begin - WINDOW) * window // (windows - 1)
            at = _window_begin(data, stop - WINDOW, stop) if window else begin
            while stop < end and data[stop] & 0xC0 == 0x80:
                stop -= 1
        if window:
            room[size] = 10
            size += 1
        for place in range(at, stop):
            room[size] = data[place]
            size += 1
    return size


@numba.njit("boolean(uint8[::1], int64, uint8[::1])", cache=True, nogil=True)
def _mostly_capitals(room: Any, size: int, kinds: Any) -> bool:
    balance, at = 0, 0
    while at < size:
        point, at = decode(room, at)
        if point < len(kinds):
            balance += (kinds[point] == 1) - (kinds[point] == 2)
    return balance > 0


@numba.njit("int64(uint8[::1], int64, int32[::1], uint8[::1])", cache=True, nogil=True)
def _lowered(room: Any, size: int, lower: Any, other: Any) -> int:
    """Write a sample in lower case into the other room and return its length."""
    count, at = 0, 0
    while at < size:
        point, at = decode(room, at)
        if point < len(lower):
            point = int(lower[point])
        if point < 0x80:
            other[count] = point
            count += 1
            continue
        following = 1 if point < 0x800 else 2 if point < 0x10000 else 3
        other[count] = ((0xFF00 >> (following + 1)) & 0xFF) | (point >> (6 * following))
        for place in range(following):
            other[count + 1 + place] = 0x80 | ((point >> (6 * (following - 1 - place))) & 0x3F)
        count += 1 + following
    return count


@numba.njit("int64(uint8[::1], int64, uint32[::1], uint16[::1], int32[::1], int32[::1])", cache=True, nogil=True)
def _walk(room: Any, size: int, following: Any, row_of: Any, counts: Any, touched: Any) -> int:
    """Count how often the automaton comes through each state, and return through how many different ones.

    Each step waits for memory, so four parts of the sample are walked at once, each with a run-in.
    """
    found = 0
    part = (size + LANES - 1) // LANES
    states = np.zeros(LANES, np.int64)
    for step in range(-RUN_IN, part):
        for lane in range(LANES):
            place = lane * part + step
            if place < 0 or place >= size:
                continue
            state = np.int64(following[(np.int64(row_of[states[lane]]) << 8) + np.int64(room[place])])
            states[lane] = state
            if step >= 0:
                if counts[state] == 0:
                    touched[found] = state
                    found += 1
                counts[state] += 1
    return found


@numba.njit("int64(float32[::1], float32, int64[::1])", cache=True, nogil=True)
def _softmax(sums: Any, temperature: Any, same: Any) -> int:
    """Turn sums into probabilities, one for each language, and return the place of the largest."""
    highest = sums.max()
    total = np.float32(0.0)
    for column in range(len(sums)):
        sums[column] = np.exp((sums[column] - highest) / temperature)
        total += sums[column]
    for column in range(len(sums)):
        sums[column] /= total
        if same[column] != column:
            sums[same[column]] += sums[column]
            sums[column] = np.float32(0.0)
    return int(np.argmax(sums))


@numba.njit("int64(int32[::1], int32[::1], int64, int32[::1], int32[::1])", cache=True, nogil=True)
def _gather(counts: Any, touched: Any, found: int, feature_of: Any, times: Any) -> int:
    """Turn counts of states into counts of features, which several states may share, and forget the former."""
    features = 0
    for place in range(found):
        state = touched[place]
        feature = feature_of[state]
        if feature >= 0:
            if times[feature] == 0:
                touched[features] = feature
                features += 1
            times[feature] += counts[state]
        counts[state] = 0
    return features


@numba.njit(
    "void(int32[::1], int32[::1], int64, int16[:, ::1], float32[::1], float32[::1])",
    cache=True,
    nogil=True,
)
def _sum(times: Any, touched: Any, features: int, weights: Any, priors: Any, sums: Any) -> None:
    """Sum what the features say for each language, and forget their counts."""
    sums[:] = np.float32(0.0)
    for place in range(features):
        feature = touched[place]
        often = np.log1p(np.float32(times[feature]))
        times[feature] = 0
        for column in range(len(sums)):
            sums[column] += often * np.float32(weights[feature, column])
    for column in range(len(sums)):
        sums[column] = sums[column] / np.float32(STEPS) + priors[column]


@numba.njit(
    "void(uint8[::1], int64[::1], uint32[::1], uint16[::1], int32[::1], int16[:, ::1], float32[::1], uint8[::1],"
    " int32[::1], int64[::1], int64, int64[::1], float32[::1], float32[::1])",
    cache=True,
    nogil=True,
)
def identify_all(
    data: Any,
    offsets: Any,
    following: Any,
    row_of: Any,
    feature_of: Any,
    weights: Any,
    priors: Any,
    kinds: Any,
    lower: Any,
    same: Any,
    wanted: int,
    best: Any,
    scores: Any,
    chances: Any,
) -> None:
    longest = WINDOWS * (WINDOW + 1)
    room, other = np.empty(longest, np.uint8), np.empty(2 * longest, np.uint8)
    counts, times = np.zeros(len(row_of), np.int32), np.zeros(len(weights), np.int32)
    touched = np.empty(2 * longest, np.int32)
    sums = np.empty(len(priors), np.float32)
    for number in range(len(offsets) - 1):
        size = _sample(data, offsets[number], offsets[number + 1], room)
        if _mostly_capitals(room, size, kinds):
            size = _lowered(room, size, lower, other)
            found = _walk(other, size, following, row_of, counts, touched)
        else:
            found = _walk(room, size, following, row_of, counts, touched)
        features = _gather(counts, touched, found, feature_of, times)
        if not features:
            best[number] = len(priors)
            continue
        _sum(times, touched, features, weights, priors, sums)
        best[number] = _softmax(sums, np.float32(np.sqrt(size)), same)
        scores[number] = sums[best[number]]
        chances[number] = sums[wanted]
