"""Decide what needs to know more than one document: copies of held-out text, duplicates, domains, repeated lines.

In go the staged rows, out comes `Decisions`. The decisions come one after the other, each among the documents that the
ones before have left: equal texts, nearly equal ones, documents most of which stands in another one, documents beyond
a domain's cap, lines that stand in many documents. The first document in the order of sources, files and rows stays;
held-out ones come before all others and stay, but for those that stand in a longer training document (contained.py).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow.compute as pc

from lhama.corpus.decisions import HELD_OUT, Decisions, Later, Names, held_out
from lhama.corpus.domains import beyond_cap
from lhama.corpus.judging import KEPT, Judging, alone, readable
from lhama.corpus.keys import key_columns, later_of
from lhama.corpus.places import Places
from lhama.corpus.records import unpacked
from lhama.corpus.renaming import settle_names
from lhama.corpus.staged import Integers, Staged, find
from lhama.record import console

if TYPE_CHECKING:
    from lhama.corpus.boilerplate import Repeated

SAMPLE_BYTES = 48  # of text for each sampled run, about
LINE_BYTES = 128  # of text for each line that is long enough to count, about


def decide(staged: Staged, places: Places, judging: Judging, scratch: Path) -> Decisions:
    """Take all decisions that the recipe asks for; `scratch` is a folder that may be made and is taken away."""
    names = settle_names(staged, places, scratch)
    standing = _Standing(staged, places, judging, names)
    later = [_exact(standing, judging.exact, scratch)]
    groups = leaving = None
    if judging.near:
        console.say(f"Looking for near duplicates: {_recall(judging)}.")
        near, groups = _near(standing, judging.near, scratch)
        later.append(near)
    if judging.contained is not None:
        console.say("Looking for documents that stand in others.")
        more, leaving = _contained(standing, judging.contained, scratch)
        later += more
    if any(source.domain_cap is not None for source in judging.sources):
        later.append(_capped(standing, judging, scratch))
    lines = None
    if judging.repeated_lines is not None:
        console.say("Looking for lines that repeat.")
        lines = _repeated_lines(standing, judging.repeated_lines, scratch)
        later.append(_hollow(standing, lines))
    return Decisions(names, tuple(later), lines, _repeats(standing, places, scratch), groups, leaving)


class _Standing:
    """The documents that stand so far: not dropped by themselves, nor by a decision."""

    def __init__(self, staged: Staged, places: Places, judging: Judging, names: Names) -> None:
        self.rows = staged.rows
        self.bytes = 0
        self._staged, self._places = staged, places
        self._held: list[Any] = []
        self._stand: list[Any] = []
        for table in staged.tables([*judging.columns, "clean_bytes"]):
            numbers = places.source_numbers(table["position"].to_numpy())
            held = held_out(table, names)
            self._held.append(held)
            self._stand.append(held | (alone(table, judging, numbers) == KEPT))
            self.bytes += pc.sum(table["clean_bytes"]).as_py() or 0

    def tables(self, *columns: str) -> Iterator[tuple[Any, Integers, Any]]:
        """Yield tables with the order of each row and whether it stands."""
        wanted = ["position", *columns]
        for table, held, stand in zip(self._staged.tables(wanted), self._held, self._stand, strict=True):
            yield table, table["position"].to_numpy() - held * HELD_OUT, stand

    def numbers(self, positions: Integers) -> Integers:
        """Say which source each position belongs to."""
        return self._places.source_numbers(positions)

    def strike(self, reason: str, of_heldout: str, dropped: Integers, originals: Integers) -> Later:
        """Drop the training documents among these orders, each for another one that stays."""
        training = dropped >= 0
        later = Later(reason, of_heldout, dropped[training], originals[training])
        self._fall(later.positions)
        return later

    def drop(self, reason: str, positions: Integers) -> Later:
        """Drop documents for which no other one stands."""
        self._fall(positions)
        return Later(reason, reason, positions)

    def _fall(self, positions: Integers) -> None:
        for place, (table, _, stand) in enumerate(self.tables()):
            dropped = find(positions, table["position"].to_numpy())[0]
            self._stand[place] = stand & (self._held[place] | ~dropped)


def _exact(standing: _Standing, drop: bool, scratch: Path) -> Later:
    """Find the texts that came before; copies of held-out ones go in any case."""

    def texts() -> Iterator[Any]:
        for table, order, stand in standing.tables("key_high", "key_low"):
            yield key_columns(table["key_high"].to_numpy(), table["key_low"].to_numpy(), order, stand)

    found = later_of(texts(), standing.rows, scratch)
    order, first = found["order"].to_numpy(), found["first"].to_numpy()
    chosen = (order >= 0) & (drop | (first < 0))
    return standing.strike("exact_duplicate", "copy_of_heldout", order[chosen], first[chosen])


def _repeats(standing: _Standing, places: Places, scratch: Path) -> Integers:
    """Count by source the texts that came before, whatever else may be the reason to drop them."""

    def texts() -> Iterator[Any]:
        for table, order, _ in standing.tables("reason", "characters", "key_high", "key_low"):
            yield key_columns(table["key_high"].to_numpy(), table["key_low"].to_numpy(), order, readable(table))

    order = later_of(texts(), standing.rows, scratch)["order"].to_numpy()
    numbers = places.source_numbers(np.where(order >= 0, order, order + HELD_OUT))
    return np.bincount(numbers, minlength=len(places.sources)).astype(np.int64)


def _recall(judging: Judging) -> str:
    from lhama.corpus.minhash import expected_recall

    shares = (0.7, 0.8, 0.9)
    found = ", ".join(f"{expected_recall(share, judging.near, judging.near_rows):.0%}" for share in shares)
    return f"of pairs with a similarity of {', '.join(map(str, shares))} it finds {found}"


def _near(standing: _Standing, bands: int, scratch: Path) -> tuple[Later, dict[int, int]]:
    from lhama.corpus.minhash import keys_of
    from lhama.corpus.near import group

    def parts() -> Iterator[Any]:
        for table, order, stand in standing.tables("near"):
            yield order[stand], keys_of(table["near"])[stand]

    clusters = group(parts(), standing.rows, bands, scratch)
    later = standing.strike("near_duplicate", "near_copy_of_heldout", clusters.dropped, clusters.original)
    return later, clusters.histogram()


def _contained(standing: _Standing, share: float, scratch: Path) -> tuple[list[Later], Later]:
    """Find documents that stand in others; of a held-out one in a training one, the smaller goes."""
    from lhama.corpus.contained import contained

    def parts() -> Iterator[Any]:
        for table, order, stand in standing.tables("samples"):
            documents, (keys,) = unpacked(table["samples"], (np.uint64,))
            chosen = stand[documents]
            yield keys[chosen], order[documents[chosen]]

    found = contained(parts(), standing.bytes // SAMPLE_BYTES, scratch, share)
    later = [
        standing.strike("contained", "near_copy_of_heldout", *found.dropped),
        standing.strike("holds_heldout", "holds_heldout", *found.holding),
    ]
    leaving, holders = found.leaving
    return later, Later("heldout_in_training", "heldout_in_training", leaving + HELD_OUT, holders)


def _capped(standing: _Standing, judging: Judging, scratch: Path) -> Later:
    """Drop the documents of a domain that come after as many as its source may have of each."""
    beyond = [np.zeros(0, np.int64)]
    for number, source in enumerate(judging.sources):
        if source.domain_cap is None:
            continue

        def rows(number: int = number) -> Iterator[Any]:
            for table, order, stand in standing.tables("domain"):
                chosen = stand & (order >= 0) & (standing.numbers(table["position"].to_numpy()) == number)
                yield table["domain"].to_numpy().view(np.uint64)[chosen], order[chosen]

        beyond.append(beyond_cap(rows(), standing.rows, source.domain_cap, scratch))
    return standing.drop("domain_full", np.sort(np.concatenate(beyond)))


def _repeated_lines(standing: _Standing, more_than: int, scratch: Path) -> Repeated:
    from lhama.corpus.boilerplate import repeated

    def parts() -> Iterator[Any]:
        for table, order, stand in standing.tables("lines"):
            documents, (keys, sizes, words) = unpacked(table["lines"], (np.uint64, np.int64, np.int64))
            chosen = stand[documents] & (order[documents] >= 0)
            yield keys[chosen], order[documents[chosen]], sizes[chosen], words[chosen]

    return repeated(parts(), standing.bytes // LINE_BYTES, scratch, more_than)


def _hollow(standing: _Standing, lines: Repeated) -> Later:
    """Drop the documents that are hardly more than repeated lines."""
    from lhama.corpus.boilerplate import emptied

    hollow = [np.zeros(0, np.int64)]
    for table, order, stand in standing.tables("clean_bytes"):
        found, where = find(lines.orders, order)
        losing = np.flatnonzero(found & stand)
        sizes = table["clean_bytes"].to_numpy()[losing]
        hollow.append(order[losing][emptied(sizes, lines.taken[where[losing], 0])])
    return standing.drop("boilerplate", np.sort(np.concatenate(hollow)))
