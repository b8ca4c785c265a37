"""Mend characters: composed forms (NFC), text decoded with the wrong table, invisible and control characters.

In goes a column of strings, out comes the same with one way to write each thing: lines end with a line feed, words are
parted by ordinary spaces, an accented letter is one character. A scan over the bytes finds the documents that have
something to mend; the kernel of characters.py mends single characters, ftfy (Speer 2019) puts right what is left of
UTF-8 that was read as Windows-1252 and the like, line by line, and Python's own tables compose letters.
"""

import unicodedata
from functools import cache
from typing import Any

import numba
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from lhama.corpus.repairs.characters import actions, mend_characters, replacements
from lhama.corpus.repairs.strings import Mended, put, spread, strings, take
from lhama.corpus.words import Integers, decode, texts_of

NAMES = ("mojibake", "characters", "composed")
"""Lines decoded anew, characters removed or replaced, documents brought into NFC."""

CHARACTERS, MOJIBAKE, COMPOSE = 1, 2, 4
STRETCH = 64  # bytes looked at in one go
ROLES = 0x2600  # code points above have no role in text that was decoded with a table of 256 characters
LEAD_2, LEAD_3, LEAD_4, CONTINUATION = 0, 8, 16, 24
ALL_LEADS = (*range(0xC2, 0xF5),)
LATIN_LEADS = (0xC2, 0xC3, 0xE2)  # of accented letters, signs, and quotation marks
TABLES = {
    "latin-1": ALL_LEADS,
    "windows-1252": ALL_LEADS,
    "windows-1250": LATIN_LEADS,
    "windows-1251": (*LATIN_LEADS, 0xD0, 0xD1),
    "windows-1254": LATIN_LEADS,
    "macroman": LATIN_LEADS,
    "cp437": LATIN_LEADS,
}
"""Tables with which UTF-8 is read by mistake, and the first bytes of UTF-8 that are looked for in each."""


def mend(column: Any) -> Mended:
    """Mend the characters of every document."""
    texts = texts_of(column)
    found = np.zeros(len(column), np.uint8)
    _look(*texts, actions(), _roles(), _composing(), found)
    column, lines = _decode_anew(column, np.flatnonzero(found & MOJIBAKE))
    column, characters = _mend_characters(column, np.flatnonzero(found))
    column, composed = _compose(column, np.flatnonzero(found & (COMPOSE | MOJIBAKE)))
    return Mended(column, dict(zip(NAMES, (lines, characters, composed), strict=True)))


def _mend_characters(column: Any, places: Integers) -> tuple[Any, Integers]:
    if len(places) == 0:
        return column, np.zeros(len(column), np.int64)
    data, offsets = texts_of(take(column, places))
    room = np.empty(len(data) + len(data) // 2, np.uint8)  # a lost quotation mark of 2 bytes becomes one of 3
    ends, counts = np.zeros(len(places) + 1, np.int64), np.zeros(len(places), np.int64)
    mend_characters(data, offsets, actions(), *replacements(), room, ends, counts)
    changed = np.flatnonzero(counts)
    mended = take(strings(room, ends), changed)
    return put(column, places[changed], mended), spread(counts, places, len(column))


def _decode_anew(column: Any, places: Integers) -> tuple[Any, Integers]:
    """Let ftfy judge each line of the documents in which the scan saw a sign of UTF-8 that was decoded wrongly."""
    counts = np.zeros(len(column), np.int64)
    if len(places) == 0:
        return column, counts
    from ftfy import fix_encoding

    mended = []
    for place in places.tolist():
        lines = column[place].as_py().split("\n")
        for number, line in enumerate(lines):
            if not line.isascii() and (better := fix_encoding(line)) != line:
                lines[number] = better
                counts[place] += 1
        mended.append("\n".join(lines))
    changed = counts[places] > 0
    kept = [text for text, new in zip(mended, changed, strict=True) if new]
    return put(column, places[changed], pa.array(kept, pa.large_string())), counts


def _compose(column: Any, places: Integers) -> tuple[Any, Integers]:
    counts = np.zeros(len(column), np.int64)
    mended = []
    for place in places.tolist():
        text = column[place].as_py()
        if not unicodedata.is_normalized("NFC", text):
            mended.append(unicodedata.normalize("NFC", text))
            counts[place] = 1
    return put(column, np.flatnonzero(counts), pa.array(mended, pa.large_string())), counts


@cache
def _composing() -> npt.NDArray[np.uint8]:
    """Say which code points can stand in a text that is not in NFC (Unicode's NFC_Quick_Check is not Yes)."""
    found = np.zeros(0x110000, np.uint8)
    assigned = (range(0x300, 0x3400), range(0xA000, 0x20000), range(0x2F800, 0x2FA20), range(0xE0100, 0xE01F0))
    for point in (point for part in assigned for point in part):
        character = chr(point)
        if unicodedata.combining(character) or not unicodedata.is_normalized("NFC", character):
            found[point] = 1
        parts = unicodedata.decomposition(character).split()
        if len(parts) == 2 and not parts[0].startswith("<"):
            found[int(parts[1], 16)] = 1
    found[0xD800:0xE000] = 0
    found[0x1161:0x1176] = found[0x11A8:0x11C3] = 1  # Hangul vowels and final consonants compose by rule
    return found


@cache
def _roles() -> npt.NDArray[np.uint32]:
    """For each character say in which tables it is the first, or a later, byte of a sequence of UTF-8."""
    roles = np.zeros(ROLES, np.uint32)
    for number, (name, leads) in enumerate(TABLES.items()):
        for byte in range(0x80, 0xF5):
            character = bytes([byte]).decode(name, "ignore") or chr(byte)  # what a table lacks is read as Latin-1
            point = ord(character)
            if point >= ROLES:
                continue
            if byte < 0xC0:
                roles[point] |= np.uint32(1 << (CONTINUATION + number))
            elif byte in leads:
                length = LEAD_2 if byte < 0xE0 else LEAD_3 if byte < 0xF0 else LEAD_4
                roles[point] |= np.uint32(1 << (length + number))
    return roles


@numba.njit("boolean(uint8[::1], int64, int64, uint32[::1])", cache=True, nogil=True)
def _is_misread(data: Any, at: int, end: int, roles: Any) -> bool:
    """Say of a character that may be a first byte of UTF-8 whether as many later bytes follow as it announces."""
    first, after = decode(data, at)
    possible = np.int64(roles[first]) & 0xFFFFFF
    if first in (0xC2, 0xC3) and after < end and data[after] == 0x20:
        # The second byte of a small a with grave is a space that does not break, and has often become a plain one.
        # Capitals that stand apart are no such case.
        following = data[after + 1] if after + 1 < end else np.uint8(0x20)
        before = data[at - 1] if at else np.uint8(0x20)
        small = following <= 0x20 or 0x61 <= following <= 0x7A
        return bool(0x61 <= before <= 0x7A or (before <= 0x20 and small))
    while possible and after < end and data[after] >= 0x80:
        point, after = decode(data, after)
        if first == 0xE2 and point == 0x20AC:  # of a quotation mark, even where its last byte was lost
            return True
        later = np.int64(roles[point]) >> CONTINUATION if point < ROLES else 0
        possible &= later * 0x010101
        if possible & 0xFF:
            return True
        possible >>= 8  # a character that needs three bytes now needs as many as one of two did before
    return False


@numba.njit("int64(uint8[::1], int64, int64)", cache=True, nogil=True)
def _stretch(data: Any, at: int, end: int) -> int:
    """Return where a stretch of whole characters ends."""
    stop = min(end, at + STRETCH)
    while stop < end and data[stop] & 0xC0 == 0x80:
        stop += 1
    return stop


@numba.njit("boolean(uint8[::1], int64, int64)", cache=True, nogil=True)
def _is_plain(data: Any, at: int, stop: int) -> bool:
    """Say whether a stretch has only printable ASCII, line feeds, tabs, and small letters of Latin-1.

    Nothing is mended in such a stretch: each wrong reading of UTF-8 has a capital or a sign in it. This loop becomes
    vector instructions.
    """
    found = False
    for byte in data[at:stop]:
        control = (byte < 0x20) & (byte != 0x0A) & (byte != 0x09)
        capital = (byte >= 0x80) & (byte < 0xA0)  # behind 0xC3, the only first byte that passes
        found |= control | capital | (byte == 0x7F) | (byte == 0xC2) | (byte >= 0xC4)
    return not found


@numba.njit("int64(uint8[::1], int64, int64, int64, uint8[::1], uint32[::1], uint8[::1])", cache=True, nogil=True)
def _signs(data: Any, at: int, stop: int, end: int, action_of: Any, roles: Any, composing: Any) -> int:
    """Return what there may be to mend in a stretch."""
    what = 0
    while at < stop:
        if data[at] < 0x80:
            what |= CHARACTERS if action_of[data[at]] else 0
            at += 1
            continue
        point, after = decode(data, at)
        what |= CHARACTERS if action_of[point] else 0
        what |= COMPOSE if composing[point] else 0
        if point < ROLES and roles[point] and _is_misread(data, at, end, roles):
            what |= MOJIBAKE
        at = after
    return what


@numba.njit("void(uint8[::1], int64[::1], uint8[::1], uint32[::1], uint8[::1], uint8[::1])", cache=True, nogil=True)
def _look(data: Any, offsets: Any, action_of: Any, roles: Any, composing: Any, found: Any) -> None:
    """Say for each document what there may be to mend in it."""
    for number in range(len(offsets) - 1):
        at, end, what = offsets[number], offsets[number + 1], 0
        while at < end:
            stop = _stretch(data, at, end)
            if not _is_plain(data, at, stop):
                what |= _signs(data, at, stop, end, action_of, roles, composing)
            at = stop
        found[number] = what
