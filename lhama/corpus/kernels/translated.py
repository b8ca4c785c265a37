"""Find program code that a machine translated word by word, as in `importar torch` or `para i em intervalo(10):`.

In go the words of a line and what roles words of a language can play (languages/*.toml), out comes a yes or no. One
telling line is enough, because nobody writes so, but each needs the shape of code beside its words: a bracket right
behind a call, a colon at the end, a module's name behind an import (the paper on TeenyTinyLlama, footnote 12).
"""

from typing import Any

import numba
import numpy as np

from lhama.corpus.kernels.code import is_call
from lhama.corpus.words import WORD

IMPORT, MODULE, FROM, FOR, IN, CALL, HEAD, RETURN, VALUE, ALONE = (1 << bit for bit in range(10))
ROLES = {
    "import": IMPORT,
    "module": MODULE,
    "from": FROM,
    "for": FOR,
    "in": IN,
    "call": CALL,
    "head": HEAD,
    "return": RETURN,
    "value": VALUE,
    "alone": ALONE,
}
"""What the words of a language stand for: those that import, names of modules, calls that were renamed (print), heads
of blocks (if, def, class), constants (True), and heads that stand alone (else, try)."""
LONGEST_LINE, SHORT_LINE = 40, 7  # words; what is longer is prose
COLON, CURLY, EQUALS, PLUS, DOT, OPEN, CLOSE = 0x3A, 0x7B, 0x3D, 0x2B, 0x2E, 0x28, 0x29


@numba.njit("int64(uint64, uint64[::1], int64[::1])", cache=True, nogil=True, inline="always")
def role_of(word: Any, hashes: Any, roles: Any) -> int:
    """Return the roles of a word; `hashes` has each at its last bits."""
    slot = word & np.uint64(len(hashes) - 1)
    return roles[slot] if hashes[slot] == word else 0


@numba.njit(
    "boolean(uint8[::1], int64, int64, int32[::1], int32[::1], uint64[::1], uint64[::1], int64[::1])",
    cache=True,
    nogil=True,
)
def _imports(data: Any, first: int, last: int, begins: Any, ends: Any, exact: Any, hashes: Any, roles: Any) -> bool:
    """Say whether a line is `importar torch`, `importar a.b como c` or `de a.b importar c`."""
    role = role_of(exact[first], hashes, roles)
    if role & IMPORT and first + 1 < last:
        dotted = first + 3 < last and data[begins[first + 2]] == DOT and begins[first + 3] == ends[first + 1] + 1
        return dotted or role_of(exact[first + 1], hashes, roles) & MODULE != 0
    if not role & FROM:
        return False
    word = first + 1
    while word < last and (data[begins[word]] == DOT or word == first + 1 or data[begins[word - 1]] == DOT):
        word += 1
    return word > first + 1 and word + 1 < last and role_of(exact[word], hashes, roles) & IMPORT != 0


@numba.njit(
    "boolean(uint8[::1], int64, int64, int32[::1], int32[::1], int32[::1], uint8[::1], uint64[::1], uint64[::1],"
    " int64[::1])",
    cache=True,
    nogil=True,
)
def is_translated(
    data: Any,
    first: int,
    last: int,
    begins: Any,
    ends: Any,
    lengths: Any,
    kinds: Any,
    exact: Any,
    hashes: Any,
    roles: Any,
) -> bool:
    """Say whether the words first to last of a line are translated code."""
    if last - first > LONGEST_LINE or first == last:
        return False
    if _imports(data, first, last, begins, ends, exact, hashes, roles):
        return True
    role = role_of(exact[first], hashes, roles)
    sign = data[begins[last - 1]]
    block = sign in (COLON, CURLY)
    if role & ALONE and block and last == first + 2:
        return True
    signs = 0
    for word in range(first, last):
        one = role_of(exact[word], hashes, roles)
        called = kinds[word] & WORD != 0 and is_call(data, word, last, begins, ends, lengths)
        ends_line = 0 < word - first <= SHORT_LINE and word + 1 == last
        if (one & CALL and called) or (one & VALUE and ends_line and data[begins[word - 1]] == EQUALS):
            return True
        signs += called or data[begins[word]] == EQUALS or data[begins[word]] == PLUS
    loops = role & FOR and last - first > 3 and (signs or lengths[first + 1] == 1)
    if block and ((loops and role_of(exact[first + 2], hashes, roles) & IN) or (role & HEAD and signs)):
        return True
    return role & RETURN != 0 and signs > 0 and (sign == CLOSE or last - first <= 6)
