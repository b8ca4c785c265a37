"""Find the phrases of C4 in a line, whatever their case, in one walk over its bytes.

In go phrases, out comes a machine (Aho and Corasick 1975) as two tables: the class of each byte and the state after
each class. Bytes that no phrase has share a class, so the machine fits into the fastest memory.
"""

import tomllib
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any, NamedTuple

import numba
import numpy as np

from lhama.corpus.words import Bytes

SCRIPT, LOREM, POLICY, CURLY = 1, 2, 4, 8
STRETCH, LONGEST = 256, 16  # bytes
MOST_STATES = 256  # a state is a byte
PHRASES = {
    "javascript": SCRIPT,
    "lorem ipsum": LOREM,
    "{": CURLY,
    "terms of use": POLICY,
    "privacy policy": POLICY,
    "cookie policy": POLICY,
    "uses cookies": POLICY,
    "use of cookies": POLICY,
    "use cookies": POLICY,
}
"""What C4 looks for (Raffel et al. 2020, section 2.2; the policies are in its code only)."""
KELVIN = "\u212a"  # the only other character whose lower case is a letter of these phrases


class Machine(NamedTuple):
    """state = moves[state, classes[byte]]; found[state] holds the bits of what ends there."""

    classes: Bytes
    moves: Bytes
    found: Bytes


@cache
def machine() -> Machine:
    """Build the machine for PHRASES."""
    return machine_for(PHRASES)


@cache
def policies(language: str) -> Machine:
    """Build the machine for how a language (ISO 639-1) speaks of privacy and cookies; without a list it finds nothing.

    The phrases stand in languages/*.toml, in small letters without accents: only ASCII has cases here, and "tica de
    privacidade" is in every way to write "política".
    """
    listed = files("lhama.corpus.languages") / f"{language}.toml"
    table = tomllib.loads(listed.read_text(encoding="utf-8")) if listed.is_file() else {}
    return machine_for(dict.fromkeys(table.get("policies", ()), POLICY))


def machine_for(phrases: Mapping[str, int]) -> Machine:
    """Build the machine for phrases, each with its bit."""
    spelled = {phrase.encode(): bit for phrase, bit in phrases.items()}
    spelled |= {phrase.replace("k", KELVIN).encode(): bit for phrase, bit in phrases.items()}
    letters = sorted({byte for phrase in spelled for byte in phrase})
    classes = np.zeros(256, np.uint8)
    for number, letter in enumerate(letters, 1):
        classes[letter] = classes[ord(chr(letter).upper()) if letter < 128 else letter] = number
    starts = sorted({b"", *(phrase[:size] for phrase in spelled for size in range(len(phrase) + 1))})
    if len(starts) > MOST_STATES:
        raise ValueError(f"{len(phrases)} phrases need {len(starts)} states, and there are {MOST_STATES}")
    state_of = {start: state for state, start in enumerate(starts)}
    moves = np.zeros((len(starts), len(letters) + 1), np.uint8)
    found = np.zeros(len(starts), np.uint8)
    for start, state in state_of.items():
        ends = [start[size:] for size in range(len(start) + 1)]
        found[state] = sum({spelled[end] for end in ends if end in spelled})
        for number, letter in enumerate(letters, 1):
            # The longest end of what was read that begins a phrase.
            longer = (state_of.get(end + bytes([letter])) for end in ends)
            moves[state, number] = next((other for other in longer if other is not None), 0)
    return Machine(classes, moves, found)


@numba.njit("int64(uint8[::1], int64, int64, uint8[::1], uint8[:, ::1], uint8[::1])", cache=True, nogil=True)
def phrases_in(data: Any, begin: int, end: int, classes: Any, moves: Any, found: Any) -> Any:
    """Return the bits of all phrases in a span."""
    state, bits = np.uint8(0), np.uint8(0)
    for byte in data[begin:end]:
        state = moves[state, classes[byte]]
        bits |= found[state]
    return np.int64(bits)


@numba.njit("boolean(uint8[::1], int64, int64)", cache=True, nogil=True, inline="always")
def has_bracket(data: Any, begin: int, end: int) -> Any:
    """Say whether an opening square bracket is in a span."""
    found = np.uint8(0)
    for byte in data[begin:end]:
        found |= byte == 0x5B
    return found != 0


@numba.njit("int64(uint8[::1], int64, int64, uint8[::1], uint8[:, ::1], uint8[::1])", cache=True, nogil=True)
def find_phrases(data: Any, begin: int, end: int, classes: Any, moves: Any, found: Any) -> int:
    """Return the bits of all phrases in a span, faster than `phrases_in`.

    Each phrase is a curly bracket or has letters that seldom meet in other text: jav, psu, cy, ok, or "of ". Stretches
    without them, nearly all, are passed over by a loop without a branch, many bytes at a time.
    """
    bits, small = 0, np.uint8(0x20)
    for start in range(begin, end, STRETCH):
        stop = min(start + STRETCH, end)
        sign = np.uint8((data[stop - 1] == 0x7B) | (data[max(begin, stop - 2)] == 0x7B))
        size = min(stop, end - 2) - start
        ones, twos, threes = data[start : start + size], data[start + 1 : stop + 1], data[start + 2 : stop + 2]
        for at in range(size):
            one, two, three = ones[at] | small, twos[at] | small, threes[at] | small
            sign |= (one == 0x6A) & (two == 0x61) & (three == 0x76)
            sign |= (one == 0x70) & (two == 0x73) & (three == 0x75)
            sign |= (one == 0x6F) & ((two == 0x66) & (three == 0x20) | (two == 0x6B) | (two == 0xE2))
            sign |= (one == 0x63) & (two == 0x79)
            sign |= one == 0x7B
        if sign:
            bits |= phrases_in(data, max(begin, start - LONGEST), min(stop + LONGEST, end), classes, moves, found)
    return bits
