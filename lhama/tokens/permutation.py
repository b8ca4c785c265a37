"""Shuffle without a list: keyed permutations of 0..count-1 that are computed one position at a time.

In go a key and positions, out come the shuffled positions. A Feistel network is a bijection on a power of two whatever
its round function is; positions that fall outside `count` are sent through again until they fall inside ("cycle
walking", Black and Rogaway 2002), so the result is a bijection on any count, in O(1) memory and with O(1) seek.
The mixing function is the finalizer of SplitMix64 (Steele, Lea and Flood 2014), written out here because the random
streams of numpy may change between releases and the order of the data must not.
"""

import hashlib
import json

import numpy as np
from numpy.typing import NDArray

ROUNDS = 8  # a balanced network needs 4 to look random (Luby and Rackoff 1988); ours alternates between unequal halves


def key_of(*parts: str | int) -> int:
    """Return 64 bits that depend on every part and on nothing else."""
    return int.from_bytes(hashlib.sha256(json.dumps(parts).encode()).digest()[:8], "little")


def mix(values: NDArray[np.uint64], key: int) -> NDArray[np.uint64]:
    """Scramble each value with the key (SplitMix64's finalizer; equal inputs give equal outputs on every machine)."""
    z = (values + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15) + np.uint64(key)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    scrambled: NDArray[np.uint64] = z ^ (z >> np.uint64(31))
    return scrambled


def permute(positions: NDArray[np.int64], count: int, key: int) -> NDArray[np.int64]:
    """Map each position in 0..count-1 to its place in the permutation that the key names."""
    bits = max(2, (count - 1).bit_length())
    values = _feistel(positions.astype(np.uint64), bits, key)
    while (outside := values >= np.uint64(count)).any():
        values[outside] = _feistel(values[outside], bits, key)
    return values.astype(np.int64)


def shuffled(count: int, key: int) -> NDArray[np.int64]:
    """Return a whole permutation of a small count at once: positions sorted by their hashes."""
    return np.argsort(mix(np.arange(count, dtype=np.uint64), key), kind="stable").astype(np.int64)


def _feistel(values: NDArray[np.uint64], bits: int, key: int) -> NDArray[np.uint64]:
    low_bits = np.uint64(bits // 2)
    low_mask = np.uint64((1 << (bits // 2)) - 1)
    high_mask = np.uint64((1 << (bits - bits // 2)) - 1)
    low, high = values & low_mask, values >> low_bits
    for number in range(ROUNDS):
        round_key = (key + number * 0xD1B54A32D192ED03) & 0xFFFFFFFFFFFFFFFF
        if number % 2 == 0:
            high = high ^ (mix(low, round_key) & high_mask)
        else:
            low = low ^ (mix(high, round_key) & low_mask)
    joined: NDArray[np.uint64] = (high << low_bits) | low
    return joined
