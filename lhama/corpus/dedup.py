"""Decide what needs to know more than one document: names that repeat, copies of held-out text, exact duplicates.

In go the staged rows, out comes `Decisions`: a few sorted arrays of positions. Texts and names stand for themselves by
128 bits of SHA-256 (among 10 billion documents two different ones would meet with a chance of 1.5e-19: n^2 / 2^129).
Groups are decided in slices of the key space, each by the engine, so memory follows the slice and not the corpus.

Names: the first document of a name keeps it, a later one becomes `name@file:line`, again if that is taken, too.
Texts: the first document in the order of sources, files and rows stays; held-out ones come before all others.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from lhama.corpus import engine, heldout
from lhama.corpus.sources import LINE_BITS, LINE_MASK, CorpusSource
from lhama.corpus.staged import Integers, Staged, find

SLICE_ROWS = 16 << 20  # rows decided at once: 400 MB of keys
HELD_OUT = 1 << 62  # subtracted from the position of a held-out document, which puts it before all others


class Places:
    """From a position back to source, file label and line."""

    def __init__(self, sources: tuple[CorpusSource, ...]) -> None:
        self.sources = sources
        self._files = [(source, file) for source in sources for file in source.files]
        self._numbers = np.array([source.number for source, _ in self._files], dtype=np.int64)

    def source_numbers(self, positions: Integers) -> Integers:
        """Say which source each position belongs to."""
        numbers: Integers = self._numbers[positions >> LINE_BITS]
        return numbers

    def label(self, position: int) -> str:
        """Name the file of a position."""
        return self._files[position >> LINE_BITS][1].label

    def line(self, position: int) -> int:
        """Say the line or row of a position."""
        return position & LINE_MASK

    def source(self, position: int) -> CorpusSource:
        """Return the source of a position."""
        return self._files[position >> LINE_BITS][0]


@dataclass(frozen=True)
class Decisions:
    """What the judge needs beside the row itself; positions are sorted."""

    renamed: Integers
    suffixes: Integers
    renamed_heldout: Integers
    repeated: Integers
    original: Integers
    repeats: Integers
    """How many texts of each source came before, whatever else may be the reason to drop them."""


def decide(staged: Staged, places: Places) -> Decisions:
    """Settle the names first, because they choose the held-out documents, then the texts."""
    renamed, suffixes, now_heldout = _rename(staged, places)
    nothing = np.zeros(0, np.int64)
    names_settled = Decisions(renamed, suffixes, now_heldout, nothing, nothing, nothing)

    def texts(part: int, parts: int) -> Iterator[Any]:
        for table in staged.tables(["position", "reason", "heldout", "characters", "key_high", "key_low"]):
            eligible = readable(table) & (table["key_high"].to_numpy() % parts == part)
            order = table["position"].to_numpy() - held_out(table, names_settled) * HELD_OUT
            yield _keys(table["key_high"].to_numpy(), table["key_low"].to_numpy(), order, eligible)

    later = _later(texts, staged.rows)
    order, first = later["order"].to_numpy(), later["first"].to_numpy()
    training = order >= 0
    numbers = places.source_numbers(np.where(training, order, order + HELD_OUT))
    repeats = np.bincount(numbers, minlength=len(places.sources)).astype(np.int64)
    return Decisions(renamed, suffixes, now_heldout, order[training], first[training], repeats)


def readable(table: Any) -> Any:
    """Tell the rows that hold a document with any character."""
    return (table["reason"].to_numpy() == "") & (table["characters"].to_numpy() > 0)


def held_out(table: Any, decisions: Decisions) -> Any:
    """Tell the held-out rows, by the names they have in the end."""
    held = table["heldout"].to_numpy().copy()
    found, where = find(decisions.renamed, table["position"].to_numpy())
    held[found] = decisions.renamed_heldout[where[found]] != 0
    return held & readable(table)


def new_name(name: str, suffixes: int, place: str) -> str:
    """Make a repeated name unique."""
    return name + f"@{place}" * suffixes


def _rename(staged: Staged, places: Places) -> tuple[Integers, Integers, Integers]:
    """Find repeated names within a source and rename all but the first, until none repeats."""
    renamed, suffixes = np.zeros(0, np.int64), np.zeros(0, np.int64)
    keys, held = np.zeros((0, 2), np.int64), np.zeros(0, np.int64)
    while True:
        at, now = renamed, keys

        def names(part: int, parts: int, at: Integers = at, now: Integers = now) -> Iterator[Any]:
            for table in staged.tables(["position", "reason", "characters", "id_high", "id_low"]):
                position = table["position"].to_numpy()
                high, low = table["id_high"].to_numpy().copy(), table["id_low"].to_numpy().copy()
                found, where = find(at, position)
                high[found], low[found] = now[where[found], 0], now[where[found], 1]
                yield _keys(high, low, position, readable(table) & (high % parts == part))

        repeats = _later(names, staged.rows)["order"].to_numpy()
        if not len(repeats):
            return renamed, suffixes, held
        every = np.union1d(renamed, repeats)
        counts = np.isin(every, repeats).astype(np.int64)
        was, where = find(renamed, every)
        counts[was] += suffixes[where[was]]
        renamed, suffixes = every, counts
        keys, held = _digests(staged, places, renamed, suffixes)


def _digests(staged: Staged, places: Places, renamed: Integers, suffixes: Integers) -> tuple[Integers, Integers]:
    digests: list[bytes] = []
    for table in staged.at(renamed, ["id"]):
        for position, name in zip(table["position"].to_pylist(), table["id"].to_pylist(), strict=True):
            place = f"{places.label(position)}:{places.line(position)}"
            unique = new_name(name, int(suffixes[len(digests)]), place)
            digests.append(heldout.digest(places.source(position).name, unique))
    keys = np.frombuffer(b"".join(digest[:16] for digest in digests), dtype=">i8").reshape(-1, 2).astype(np.int64)
    return keys, np.array([heldout.is_held_out(digest) for digest in digests], dtype=np.int64)


def _keys(high: Integers, low: Integers, order: Integers, chosen: Any) -> Any:
    return pa.table({"high": high[chosen], "low": low[chosen], "order": order[chosen]})


def _later(keys: Callable[[int, int], Iterator[Any]], rows: int) -> Any:
    """Decide slice by slice of the key space which rows are not the first of their group."""
    parts = 1 + rows // SLICE_ROWS
    slices = [engine.not_first(pa.concat_tables(keys(part, parts))) for part in range(parts)]
    return pa.concat_tables(slices).sort_by("order")
