"""Mend text before anything is measured or judged: what reading, encoding, typesetting and markup left in it.

In goes a column of strings with the steps that are wanted, out comes the column mended, and for each document how often
each thing was done to it. Each step finds by a scan over the bytes which documents concern it; all others pass with
their bytes untouched. Steps are repeated on what they changed until nothing changes any more, so mending twice is the
same as mending once; a document that does not settle comes back as it was.
"""

from collections.abc import Callable
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lhama.corpus.repairs import frontmatter, markup, pages, spaces, unicode
from lhama.corpus.repairs.strings import Mended, put, take
from lhama.corpus.words import Integers

STEPS: dict[str, ModuleType] = {
    "unicode": unicode,
    "front-matter": frontmatter,
    "pages": pages,  # before markup, as long as lines have the width to which they were filled
    "markup": markup,
    "spaces": spaces,
}
"""What can be asked for, in the order in which it is done."""

ROUNDS = 12  # real text settles in two or three; the rest is for &amp;amp;amp;lt;


class Repaired(NamedTuple):
    """The mended column, and for each kind of repair (`kinds`) how often it was made in each document."""

    column: Any
    counts: dict[str, Integers]


def kinds(steps: frozenset[str]) -> tuple[str, ...]:
    """Name the kinds of repair that the steps make."""
    return tuple(name for step, module in STEPS.items() if step in steps for name in module.NAMES)


def repair(column: Any, steps: frozenset[str]) -> Repaired:
    """Mend an Arrow column of strings (valid UTF-8; a null stays null) by the steps named.

    Where nothing was mended the column itself comes back, as large_string. Counts are of all rounds together.
    """
    if unknown := steps - set(STEPS):
        raise ValueError(f"unknown steps: {', '.join(sorted(unknown))}; known: {', '.join(STEPS)}")
    came = pc.cast(column, pa.large_string())
    if isinstance(came, pa.ChunkedArray):
        came = came.combine_chunks()
    counts = {name: np.zeros(len(came), np.int64) for name in kinds(steps)}
    modules = [module for step, module in STEPS.items() if step in steps]
    whole, texts, places = came, came, np.arange(len(came))
    for _ in range(ROUNDS):
        before = texts
        for module in modules:
            texts = _mended(module.mend, texts, counts, places)
        changed = _different(before, texts)
        places, texts = places[changed], take(texts, changed)
        if not len(places):
            return Repaired(whole, counts)
        whole = put(whole, places, texts)
    for found in counts.values():
        found[places] = 0
    return Repaired(put(whole, places, take(came, places)), counts)


def _mended(mend: Callable[[Any], Mended], texts: Any, counts: dict[str, Integers], places: Integers) -> Any:
    """Take one step, and add what it did to what was done to these documents before."""
    mended, found = mend(texts)
    for name, numbers in found.items():
        counts[name][places] += numbers
    return mended


def _different(before: Any, after: Any) -> Integers:
    """List the documents that are not what they were; a null is."""
    if before is after:
        return np.zeros(0, np.int64)
    return np.flatnonzero(pc.fill_null(pc.not_equal(before, after), False).to_numpy(zero_copy_only=False))
