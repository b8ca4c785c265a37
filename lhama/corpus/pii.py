"""Mask personal data: e-mail and IP addresses, Brazilian telephones, CPF, CNPJ and card numbers.

In goes a column of strings, out comes the same with reserved values in their place, and how many of each kind every
document had. Documents without a candidate keep their bytes; around the candidates that kernels_pii.py finds,
pii_patterns.py decides. A value that is put in is one that nobody has, written as the real ones are, so that a model
still learns where such things stand.
"""

from collections.abc import Iterator
from itertools import groupby
from operator import itemgetter
from typing import Any, Literal, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lhama.corpus.kernels_pii import COLONS, LETTERS, MAIL, NUMBER, find_candidates
from lhama.corpus.pii_patterns import (
    find_addresses,
    find_cards,
    find_companies,
    find_long_addresses,
    find_mails,
    find_persons,
    find_phones,
)
from lhama.corpus.repairs.strings import put
from lhama.corpus.words import Integers, texts_of

KINDS = ("email", "ip", "phone", "cpf", "cnpj", "card")

FINDERS = (
    ("email", MAIL, find_mails),
    ("ip", COLONS, find_long_addresses),
    ("ip", NUMBER, find_addresses),
    ("cnpj", NUMBER | LETTERS, find_companies),
    ("cpf", NUMBER, find_persons),
    ("card", NUMBER, find_cards),
    ("phone", NUMBER, find_phones),
)
"""What is looked for, in this order, in which candidates."""

BEFORE, AFTER = 40, 8  # bytes around a candidate that say what it is
ROUNDS = 8  # a masked value may uncover what touched it


class Masked(NamedTuple):
    """The column without personal data, and for each of KINDS how many every document had."""

    column: Any
    counts: dict[str, Integers]


def mask(column: Any, action: Literal["mask", "drop"] = "mask") -> Masked:
    """Mask the personal data of an Arrow column of strings (valid UTF-8; a null stays null).

    With `drop` the text stays as it is and is only counted: whoever asks takes the documents out.
    """
    came = pc.cast(column, pa.large_string())
    if isinstance(came, pa.ChunkedArray):
        came = came.combine_chunks()
    counts = {name: np.zeros(len(came), np.int64) for name in KINDS}
    whole, texts, places = came, came, np.arange(len(came))
    for _ in range(ROUNDS):
        changed, masked = _mask_once(texts, places, counts)
        if not len(changed) or action == "drop":
            break
        places, texts = places[changed], pa.array(masked, pa.large_binary()).cast(pa.large_string())
        whole = put(whole, places, texts)
    return Masked(whole, counts)


def _mask_once(texts: Any, places: Integers, counts: dict[str, Integers]) -> tuple[Integers, list[bytes]]:
    """Return which documents hold personal data, and these documents masked; count it at their places."""
    data, offsets = texts_of(texts)
    spans = np.empty((len(data) // 2 + 1, 4), np.int64)  # `@.@.` has as many; what is not written costs nothing
    rows = spans[: find_candidates(data, offsets, spans)].tolist()
    changed, masked = [], []
    for number, candidates in groupby(rows, key=itemgetter(0)):
        begin, end = int(offsets[number]), int(offsets[number + 1])
        pieces, at, found = [], begin, 0
        for first, last, what in _windows(candidates, begin, end):
            pieces.append(data[at:first].tobytes())
            window, seen = _mask_window(data[first:last].tobytes(), what)
            for name in seen:
                counts[name][places[number]] += 1
            found += len(seen)
            pieces.append(window)
            at = last
        if found:
            changed.append(number)
            masked.append(b"".join((*pieces, data[at:end].tobytes())))
    return np.array(changed, np.int64), masked


def _windows(candidates: Iterator[list[int]], begin: int, end: int) -> Iterator[tuple[int, int, int]]:
    """Yield the surroundings of candidates, those that touch as one, with all that may be in them."""
    first, last, what = -1, -1, 0
    for _, kind, start, stop in candidates:
        start, stop = max(begin, start - BEFORE), min(end, stop + AFTER)  # noqa: PLW2901 - the same span, wider
        if start <= last:
            first, last, what = min(first, start), max(last, stop), what | kind
            continue
        if what:
            yield first, last, what
        first, last, what = start, stop, kind
    if what:
        yield first, last, what


def _mask_window(window: bytes, what: int) -> tuple[bytes, list[str]]:
    """Return a piece of text masked, and the kind of each thing that was in it."""
    seen = []
    for name, signs, find in FINDERS:
        pieces, at = [], 0
        for begin, end, new in sorted(find(window)) if what & signs else ():
            if begin >= at:
                pieces += [window[at:begin], new]
                at = end
                seen.append(name)
        window = b"".join((*pieces, window[at:]))
    return window, seen
