"""Fingerprints by which nearly equal documents meet: MinHash over runs of words, in bands (Broder 1997; LSH).

In go documents, out comes a row of 64-bit keys for each, one a band. Two documents whose runs of words have the
Jaccard similarity s share the key of a band with probability s^rows, and at least one key with 1 - (1 - s^rows)^bands.
Words are compared in their plain form (lower case, no accents, each digit a 0), punctuation is left out, as in
datatrove's signatures. A document with fewer words than a run has a single run, itself; one without words has no key.

A run of words is hashed once, by a polynomial whose value is then mixed; each of the bands * rows permutations is
x -> a * x + b modulo 2^32 with an odd a, which is one-to-one, so that each run is the smallest with the same chance.
"""

from functools import cache
from typing import Any, NamedTuple

import numba
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from lhama.corpus.words import MULTIPLIER, WORD, Texts, cut, looked_at, mixed, room, tables

Keys = npt.NDArray[np.uint64]
NO_KEY = np.uint64(0)
"""What stands in every band of a document without words; it meets nobody."""
LARGEST = np.uint32(0xFFFFFFFF)


class Permutations(NamedTuple):
    """x -> multipliers[i] * x + increments[i] modulo 2^32."""

    multipliers: npt.NDArray[np.uint32]
    increments: npt.NDArray[np.uint32]


def signatures(texts: Texts, bands: int = 14, rows: int = 8, words: int = 5) -> Keys:
    """Return the keys of each document, an array of (documents, bands); of 16 MB and more the first 16 MB count."""
    keys = np.zeros((len(texts.offsets) - 1, bands), dtype=np.uint64)
    held = room(texts)
    runs = np.empty(len(held.plain), np.uint32)
    _sign(*texts, *tables(), *held, runs, *permutations(bands * rows), words, keys)
    return keys


def as_column(keys: Keys) -> Any:
    """Return the keys as an Arrow column of fixed_size_binary, 8 bytes a band."""
    return pa.FixedSizeBinaryArray.from_buffers(
        pa.binary(8 * keys.shape[1]), len(keys), [None, pa.py_buffer(np.ascontiguousarray(keys, dtype="<u8"))]
    )


def keys_of(column: Any) -> Keys:
    """Return the keys that `as_column` made a column of, without a copy."""
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
    width = column.type.byte_width
    values = np.frombuffer(
        column.buffers()[1], dtype="<u8", count=len(column) * width // 8, offset=column.offset * width
    )
    return values.reshape(len(column), width // 8)


def expected_recall(similarity: float, bands: int = 14, rows: int = 8) -> float:
    """Return the probability that two documents of a Jaccard similarity share a key: 1 - (1 - s^rows)^bands."""
    return float(1.0 - (1.0 - similarity**rows) ** bands)


def recall_table(bands: int = 14, rows: int = 8) -> list[tuple[float, float]]:
    """List the expected recall at similarities from 0.5 to 1."""
    return [(tenths / 20, expected_recall(tenths / 20, bands, rows)) for tenths in range(10, 21)]


@cache
def permutations(count: int) -> Permutations:
    """Make so many permutations from a fixed sequence of numbers, the same on every machine."""
    with np.errstate(over="ignore"):
        numbers = [int(mixed(np.uint64(number) * MULTIPLIER)) for number in range(1, count + 1)]
    multipliers = np.array([number & 0xFFFFFFFF | 1 for number in numbers], np.uint32)
    return Permutations(multipliers, np.array([number >> 32 for number in numbers], np.uint32))


@numba.njit("int64(int64, uint8[::1], uint64[::1])", cache=True, nogil=True)
def keep_words(count: int, word_kinds: Any, hashes: Any) -> int:
    """Move the hashes of real words to the front, leaving punctuation out, and return how many there are."""
    kept = 0
    for number in range(count):
        if word_kinds[number] & WORD:
            hashes[kept] = hashes[number]
            kept += 1
    return kept


@numba.njit("int64(uint64[::1], int64, int64, uint32[::1])", cache=True, nogil=True)
def hash_runs(hashes: Any, count: int, words: int, runs: Any) -> int:
    """Hash each run of so many words into 32 bits, and return how many runs there are."""
    if not count:
        return 0
    size = min(words, count)
    leaving = np.uint64(1)  # MULTIPLIER^size, by which the word that leaves the run was multiplied so far
    value = np.uint64(0)
    for number in range(size):
        leaving *= MULTIPLIER
        value = value * MULTIPLIER + hashes[number]
    runs[0] = np.uint32(mixed(value) >> np.uint64(32))
    for number in range(size, count):
        value = value * MULTIPLIER + hashes[number] - leaving * hashes[number - size]
        runs[number - size + 1] = np.uint32(mixed(value) >> np.uint64(32))
    return count - size + 1


@numba.njit("void(uint32[::1], int64, uint32[::1], uint32[::1], uint32[::1])", cache=True, nogil=True)
def find_minima(runs: Any, count: int, multipliers: Any, increments: Any, minima: Any) -> None:
    """Find the smallest value of each permutation over all runs, four at a time to spare memory traffic."""
    minima[:] = LARGEST
    whole = count - count % 4
    for at in range(0, whole, 4):
        first, second, third, fourth = runs[at], runs[at + 1], runs[at + 2], runs[at + 3]
        for number in range(len(minima)):
            a, b = multipliers[number], increments[number]
            one = min(np.uint32(a * first + b), np.uint32(a * second + b))
            two = min(np.uint32(a * third + b), np.uint32(a * fourth + b))
            minima[number] = min(minima[number], one, two)
    for at in range(whole, count):
        for number in range(len(minima)):
            value = np.uint32(multipliers[number] * runs[at] + increments[number])
            minima[number] = min(minima[number], value)


@numba.njit("void(uint32[::1], uint64[::1])", cache=True, nogil=True)
def mix_bands(minima: Any, keys: Any) -> None:
    """Mix the minima of each band, and its number, into one key that is not 0."""
    rows = len(minima) // len(keys)
    for band in range(len(keys)):
        value = np.uint64(band + 1)
        for row in range(band * rows, band * rows + rows):
            value = mixed(value * MULTIPLIER ^ np.uint64(minima[row]))
        keys[band] = max(value, np.uint64(1))


@numba.njit(
    "void(uint8[::1], int64[::1], uint8[::1], int32[::1], int32[::1], int32[::1], int32[::1],"
    " uint8[::1], uint64[::1], uint64[::1], uint32[::1], uint32[::1], uint32[::1], int64, uint64[:, ::1])",
    cache=True,
    nogil=True,
)
def _sign(
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
    runs: Any,
    multipliers: Any,
    increments: Any,
    words: int,
    keys: Any,
) -> None:
    minima = np.empty(len(multipliers), np.uint32)
    for number in range(len(offsets) - 1):
        begin = offsets[number]
        end = looked_at(data, begin, offsets[number + 1])
        found = cut(data, begin, end, kinds, plain_form, begins, ends, lengths, word_kinds, exact, plain)
        count = hash_runs(plain, keep_words(found, word_kinds, plain), words, runs)
        if count:
            find_minima(runs, count, multipliers, increments, minima)
            mix_bands(minima, keys[number])
