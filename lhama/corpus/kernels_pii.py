"""Find the places of a text that may hold personal data, so that nothing slow looks at the rest.

In go bytes and offsets, out come spans: around each @ between letters, around each run of digits that is long enough
for a telephone or has the shape of an address of the internet, around what is written like a CNPJ with letters. A
stretch of text without digits and signs costs a few vector instructions.
"""

from typing import Any

import numba

from lhama.corpus.repairs.lines import is_digit

MAIL, NUMBER, LETTERS, COLONS = 1, 2, 4, 8
"""What may be in a span: an e-mail address; numbers; a CNPJ with letters; an IPv6 address."""
STRETCH = 64  # bytes looked at in one go
LONGEST = 32  # bytes in which the first eight digits of a number stand
FEWEST = 6  # digits of an IPv4 address that is no section's number
LOCAL = 10  # bytes of a telephone without its area code
SHORT = 8  # digits of a telephone without its area code
LONG = 10  # digits of a telephone with its area code
LONGEST_NAME, LONGEST_HOST = 80, 255  # bytes before and after an @
WORD = 28  # bytes in which a word announces a telephone
GAP = 4  # separators between two digits of one number


@numba.njit("boolean(uint8)", cache=True, nogil=True, inline="always")
def _is_word(byte: Any) -> bool:
    """Say whether a byte is of a letter or digit; all beyond ASCII counts."""
    return bool(is_digit(byte) or 0x61 <= byte | 0x20 <= 0x7A or byte >= 0x80)


@numba.njit("boolean(uint8)", cache=True, nogil=True, inline="always")
def _is_hex(byte: Any) -> bool:
    return bool(is_digit(byte) or 0x61 <= byte | 0x20 <= 0x66)


@numba.njit("boolean(uint8[::1], int64, int64, int64)", cache=True, nogil=True)
def _is_worth_it(data: Any, at: int, stop: int, far: int) -> bool:
    """Say whether anything may begin in a stretch; these loops become vector instructions."""
    sign = False
    for byte in data[at:stop]:
        sign |= (byte == 0x40) | (byte == 0x4A)
    digits, slashes, dashes, colons = 0, 0, 0, 0
    for byte in data[at:far]:
        digits += (byte >= 0x30) & (byte <= 0x39)
        slashes += byte == 0x2F
        dashes += byte == 0x2D
        colons += byte == 0x3A
    return bool(sign or digits >= FEWEST or (slashes and dashes) or colons >= 2)


@numba.njit("UniTuple(int64, 2)(uint8[::1], int64, int64, int64)", cache=True, nogil=True)
def _mail(data: Any, begin: int, at: int, end: int) -> tuple[int, int]:
    """Return the span around an @, or an empty one."""
    first, last, dots = at, at + 1, 0
    while first > begin and at - first < LONGEST_NAME:
        byte = data[first - 1]
        if not (_is_word(byte) or byte in (0x2E, 0x5F, 0x25, 0x2B, 0x2D)):
            break
        first -= 1
    while last < end and last - at < LONGEST_HOST:
        byte = data[last]
        if not (_is_word(byte) or byte in (0x2E, 0x2D)):
            break
        dots += byte == 0x2E
        last += 1
    return (first, last) if first < at and dots else (at, at)


@numba.njit("boolean(int64, int64)", cache=True, nogil=True)
def _is_shaped(before: int, group: int) -> bool:
    """Say whether two groups of digits, the first perhaps not yet whole, may stand in a telephone, CPF, CNPJ or card.

    So do no dates (2, 2, 4), numbers of proceedings (7, 2, 4, 1, 2, 4) and hardly any others.
    """
    if group >= 8:
        return True
    if group == 4:
        return 4 <= before <= 5 or before == 8
    return before == group == 3 or (before == 4 and group == 6) or (before == 9 and group == 2)


@numba.njit("UniTuple(int64, 4)(uint8[::1], int64, int64)", cache=True, nogil=True)
def _run(data: Any, at: int, end: int) -> tuple[int, int, int, int]:
    """Follow a run of digits and the signs that stand in numbers; return its end and its digits, and count groups.

    First those that single dots part, as in 10.0.0.1, then the pairs that tell something. A small x may stand behind a
    zero: 0xx11 leaves the choice of the carrier to who dials.
    """
    last, digits, parts, most, shaped = at, 0, 1, 1, 0
    before, group, gap, place = 0, 0, 0, at
    while place < end and gap <= GAP:
        byte = data[place]
        if is_digit(byte):
            if gap:
                shaped += _is_shaped(before, group)
                parts = parts + 1 if gap == 1 and data[place - 1] == 0x2E and group <= 3 else 1
                most = max(most, parts)
                before, group = group, 0
            last, digits, group, gap = place + 1, digits + 1, group + 1, 0
        elif byte in (0x20, 0x28, 0x29, 0x2B, 0x2D, 0x2E, 0x2F) or (
            byte in (0x58, 0x78) and data[place - 1] in (0x30, 0x58, 0x78)
        ):
            gap += 1
        else:
            break
        place += 1
    return last, digits, most, shaped + _is_shaped(before, group)


@numba.njit("boolean(uint8[::1], int64, int64, int64)", cache=True, nogil=True)
def _is_local(data: Any, begin: int, at: int, last: int) -> bool:
    """Say whether a run is a telephone without an area code: four or five digits, perhaps a sign, and four digits.

    Before it there must be two letters of one of the words that announce it: tel, cel, fone, fax, zap, ligue, contato.
    """
    sign = last - 5
    if not 8 <= last - at <= LOCAL:
        return False
    for place in range(at, last):
        if not is_digit(data[place]) and (place != sign or data[place] == 0x2F):
            return False
    for place in range(max(begin, at - WORD), at - 1):
        one, two = data[place] | 0x20, data[place + 1] | 0x20
        if (one, two) in ((0x65, 0x6C), (0x66, 0x6F), (0x66, 0x61), (0x61, 0x70), (0x69, 0x67), (0x74, 0x61)):
            return True
    return False


@numba.njit("UniTuple(int64, 2)(uint8[::1], int64, int64)", cache=True, nogil=True)
def _colons(data: Any, at: int, end: int) -> tuple[int, int]:
    """Return the end of a run of hexadecimal digits and colons, and how many colons it has."""
    colons, last = 0, at
    while last < end and (_is_hex(data[last]) or data[last] == 0x3A):
        colons += data[last] == 0x3A
        last += 1
    return last, colons


@numba.njit("boolean(uint8[::1], int64, int64, int64)", cache=True, nogil=True)
def _is_registered(data: Any, begin: int, at: int, end: int) -> bool:
    """Say whether a slash stands where a CNPJ has it: before four letters or digits, a hyphen and two digits."""
    if at + 8 > end or at - 10 < begin or data[at + 5] != 0x2D:
        return False
    inside = is_digit(data[at + 6]) and is_digit(data[at + 7])
    for place in range(at + 1, at + 5):
        inside = inside and _is_word(data[place])
    return inside


@numba.njit("UniTuple(int64, 3)(uint8[::1], int64, int64, int64)", cache=True, nogil=True)
def _number(data: Any, begin: int, at: int, end: int) -> tuple[int, int, int]:
    """Return what may begin at a digit (0: nothing) and its span; for nothing, the end is where to look on."""
    if data[at] in (0x32, 0x33) and at + 4 < end and data[at + 4] == 0x3A:
        last, colons = _colons(data, at, end)
        if colons >= 2:
            return COLONS, at, last
    last, digits, parts, shaped = _run(data, at, end)
    if (digits >= LONG and shaped) or (digits >= FEWEST and parts >= 4) or _is_local(data, begin, at, last):
        return NUMBER, at, last
    if digits >= SHORT and not shaped and parts < 4:
        # What begins later in this run has no other groups, so only its end can be something. Without this a table
        # of single digits would be followed from each of them.
        place = max(at + 1, last - LOCAL)
        while place < last and is_digit(data[place]) and is_digit(data[place - 1]):
            place += 1
        return 0, at, place
    place = at
    if digits < SHORT:  # no part of it is anything, but for a slash in a CNPJ with letters
        while place < last and data[place] != 0x2F:
            place += 1
        return 0, at, place
    while place < end and is_digit(data[place]):
        place += 1
    return 0, at, place


@numba.njit("UniTuple(int64, 3)(uint8[::1], int64, int64, int64)", cache=True, nogil=True)
def _candidate(data: Any, begin: int, at: int, end: int) -> tuple[int, int, int]:
    """Return what may be at a place (0: nothing) and its span; for nothing, the end is where to look on."""
    byte = data[at]
    if is_digit(byte):
        return _number(data, begin, at, end)
    if byte == 0x40:
        first, last = _mail(data, begin, at, end)
        return (MAIL if last > first else 0), first, max(last, at + 1)
    if byte == 0x2F and _is_registered(data, begin, at, end):
        return LETTERS, at - 10, at + 8
    # Behind the word CNPJ there may be one with letters.
    named = byte == 0x4A and at - 3 >= begin and data[at - 1] == 0x50 and data[at - 2] == 0x4E and data[at - 3] == 0x43
    return (LETTERS, at + 1, min(end, at + 48)) if named else (0, at, at + 1)


@numba.njit("int64(uint8[::1], int64[::1], int64[:, ::1])", cache=True, nogil=True)
def find_candidates(data: Any, offsets: Any, spans: Any) -> int:
    """Fill rows (document, what, begin, end), in order, and return how many; there is a row for every two bytes."""
    count = 0
    for number in range(len(offsets) - 1):
        begin, end = offsets[number], offsets[number + 1]
        at, done = begin, begin
        while at < end:
            stop = min(end, at + STRETCH)
            if _is_worth_it(data, at, stop, min(end, stop + LONGEST)):
                place = max(at, done)
                while place < stop:
                    if not is_digit(data[place]) and data[place] not in (0x2F, 0x40, 0x4A):
                        place += 1
                        continue
                    what, first, last = _candidate(data, begin, place, end)
                    if what:
                        spans[count, 0], spans[count, 1], spans[count, 2], spans[count, 3] = number, what, first, last
                        count += 1
                    # What is named or written like a CNPJ with letters may be a number as well, and one may follow
                    # behind an address by a hyphen.
                    place = place + 1 if what in (LETTERS, MAIL) else max(place + 1, last)
                done = place
            at = stop
    return count
