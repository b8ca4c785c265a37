"""The order in which training sees the tokens, as arithmetic: batch n is a function of (seed, n) and of nothing else.

In go the tokens folder, the phases and a step, out come rows of T+1 ids. Three closed forms make the order. A phase
is cut into periods of 4,096 rows, of which each source has its quota by largest remainder. The rows of a period are in
an order that hashing (seed, phase, period) gives. The k-th row that a source gives at all is row `permutation(k mod
rows)` of its epoch `k div rows`. So any step is found at once, from any number of processes, and a source goes on in
the next phase where it stopped in the last; the position to save is the step's number.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from lhama.plan.problem import Problem
from lhama.plan.schedule import Phase
from lhama.tokens.pack import Piece, Rows, open_rows, target_places
from lhama.tokens.permutation import key_of, permute, shuffled
from lhama.tokens.streams import Ids, Local, Readable, Span, Streams

PERIOD = 4096  # rows over which the mixture is exact: about 8 million tokens at T = 2,048
IGNORED = -100  # the target that PyTorch's cross entropy leaves out
MAPPED = Local()


class Row(NamedTuple):
    """One row of a batch: which source, in which of its epochs, and its number in the source's row index."""

    source: str
    epoch: int
    row: int


@dataclass(frozen=True)
class Batch:
    """Rows for one step: `tokens` (n, T+1) padded with <pad>, `targets` (n, T) with -100 where nothing is asked."""

    tokens: NDArray[np.int64]
    targets: NDArray[np.int64]
    lengths: NDArray[np.int64]
    source: NDArray[np.int64]


@dataclass(frozen=True)
class Source:
    """One source's tokens: the stream, its rows and where its documents begin."""

    name: str
    tokens: int
    stream: Readable
    rows: Rows
    documents: NDArray[np.int64]


@dataclass(frozen=True)
class HeldOut:
    """The held-out documents of a source: document k is `stream[offsets[k]:offsets[k+1]]` and `bytes[k]` of text."""

    source: str
    stream: Ids
    offsets: NDArray[np.int64]
    bytes: NDArray[np.int64]


def read_index(folder: Path) -> dict[str, Any]:
    """Read tokens.json, the table of contents of a tokens folder."""
    path = folder / "tokens.json"
    try:
        index: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise Problem(f"there are no tokens in {folder}", remedy="make them with `lhama tokens RECIPE`") from None
    except ValueError as error:
        raise Problem(f"{path} is damaged: {error}", remedy="make the tokens anew with `--again tokens`") from None
    return index


def heldout(folder: Path) -> list[HeldOut]:
    """Open the held-out documents of every source that has any, for bits per byte."""
    found = []
    for entry in read_index(folder)["sources"]:
        place = folder / entry["folder"]
        if entry["heldout"]["documents"]:
            found.append(
                HeldOut(
                    entry["name"],
                    np.load(place / "heldout-stream-00000.npy", mmap_mode="r", allow_pickle=False),
                    np.load(place / "heldout-documents.npy", allow_pickle=False),
                    np.load(place / "heldout-bytes.npy", allow_pickle=False),
                )
            )
    return found


def quotas(weights: Mapping[str, int | float], at_least_one: bool) -> dict[str, int]:
    """Share the rows of a period by largest remainder; ties go to the source that is named first."""
    total = sum(Fraction(weight) for weight in weights.values())
    ideal = {name: Fraction(weight) * PERIOD / total for name, weight in weights.items()}
    shares = {name: max(int(at_least_one), int(share)) for name, share in ideal.items()}
    while (excess := sum(shares.values()) - PERIOD) != 0:
        sign = 1 if excess > 0 else -1
        movable = [name for name in shares if sign < 0 or shares[name] > int(at_least_one)]
        shares[max(movable, key=lambda name: sign * (shares[name] - ideal[name]))] -= sign
    return shares


class Loader:
    """Fetch the rows of any step, whole or in part; `streams` says where the ids lie and changes nothing else."""

    def __init__(
        self, folder: Path, phases: Sequence[Phase], sequence: int, packing: str, seed: int, streams: Streams = MAPPED
    ) -> None:
        index = read_index(folder)
        self._streams = streams
        self.sequence = sequence
        self.seed = seed
        self.phases = tuple(phases)
        self.pad: int = index["pad"]
        self._table = {
            entry["name"]: _open(folder, entry, index["dtype"], sequence, packing, streams) for entry in usable(index)
        }
        if not self._table:
            raise Problem(f"no source in {folder} has training tokens", remedy="look at the corpus report")
        self.sources = tuple(self._table)
        self._quotas = [self._quota(phase) for phase in self.phases]
        self._starts = self._phase_starts()
        self._period = lru_cache(maxsize=4)(self._make_period)

    def tokens_of(self, source: str) -> int:
        """Return how many training tokens a source has."""
        return self._table[source].tokens

    def source(self, name: str) -> Source:
        """Return a source's stream, rows and document offsets."""
        return self._table[name]

    def epochs(self, step: int) -> dict[str, float]:
        """Return how many times each source has been seen before this step."""
        given = self._given(step)
        return {name: int(given[i]) / self._table[name].rows.count for i, name in enumerate(self.sources)}

    def rows(self, step: int) -> list[Row]:
        """Return the rows of a step in their order, without reading a token."""
        number, phase = self._phase_of(step)
        per_step = phase.batch_tokens // self.sequence
        first = (step - phase.first_step) * per_step
        chosen: list[tuple[int, int]] = []
        while len(chosen) < per_step:
            period, slot = divmod(first + len(chosen), PERIOD)
            order, ranks = self._period(number, period)
            stop = min(PERIOD, slot + per_step - len(chosen))
            given = self._starts[number] + period * self._quotas[number]
            chosen += [(int(order[i]), int(given[order[i]] + ranks[i])) for i in range(slot, stop)]
        return self._resolve(chosen)

    def batch(self, step: int, first: int = 0, count: int | None = None) -> Batch:
        """Read rows first..first+count-1 of a step: a micro-batch, or one process's share."""
        rows = self.rows(step)[first:]
        rows = rows if count is None else rows[:count]
        tokens = np.empty((len(rows), self.sequence + 1), dtype=np.int64)
        targets = np.full((len(rows), self.sequence), IGNORED, dtype=np.int64)
        lengths = np.zeros(len(rows), dtype=np.int64)
        share = Fraction(first, self.rows_of(step)), Fraction(len(rows), self.rows_of(step))
        with self._streams.turn(step, share, lambda other: self.spans(other, *share)):
            for i, row in enumerate(rows):
                source = self._table[row.source]
                pieces = source.rows.pieces(row.row)
                for (start, length), (begin, end) in zip(pieces, target_places(pieces), strict=True):
                    tokens[i, begin : end + 1] = source.stream.read(start, start + length)
                    targets[i, begin:end] = tokens[i, begin + 1 : end + 1]
                lengths[i] = end + 1
                tokens[i, end + 1 :] = self.pad
        numbers = [self.sources.index(row.source) for row in rows]
        return Batch(tokens, targets, lengths, np.array(numbers, dtype=np.int64))

    def spans(self, step: int, begin: Fraction, share: Fraction) -> list[Span]:
        """Return where the ids lie that a process reads at a step: its share of the rows, from `begin` on."""
        count = self.rows_of(step)
        first = int(begin * count)
        rows = self.rows(step)[first : first + int(share * count)]
        return [(row.source, start, start + length) for row in rows for start, length in self.pieces(row)]

    def close(self) -> None:
        """Let go of what the streams hold open."""
        self._streams.close()

    def pieces(self, row: Row) -> list[Piece]:
        """Return where in the source's stream a row's tokens lie."""
        return self._table[row.source].rows.pieces(row.row)

    def _resolve(self, chosen: list[tuple[int, int]]) -> list[Row]:
        groups: dict[tuple[int, int], list[int]] = {}
        for i, (source, position) in enumerate(chosen):
            groups.setdefault((source, position // self._table[self.sources[source]].rows.count), []).append(i)
        rows: list[Row] = [Row("", 0, 0)] * len(chosen)
        for (source, epoch), members in groups.items():
            name = self.sources[source]
            count = self._table[name].rows.count
            positions = np.array([chosen[i][1] % count for i in members], dtype=np.int64)
            places = permute(positions, count, key_of("rows", self.seed, name, epoch))
            for i, place in zip(members, places.tolist(), strict=True):
                rows[i] = Row(name, epoch, place)
        return rows

    def rows_of(self, step: int) -> int:
        """Count the rows of a step."""
        return self._phase_of(step)[1].batch_tokens // self.sequence

    def _phase_of(self, step: int) -> tuple[int, Phase]:
        for number, phase in enumerate(self.phases):
            if phase.first_step <= step < phase.first_step + phase.steps:
                return number, phase
        raise IndexError(f"step {step} is in none of the phases")

    def _quota(self, phase: Phase) -> NDArray[np.int64]:
        if phase.mixture is None:
            if len(self.sources) > PERIOD:
                raise Problem(f"{len(self.sources)} sources are more than the {PERIOD} rows over which they are mixed")
            shares = quotas({name: self.tokens_of(name) for name in self.sources}, at_least_one=True)
        else:
            shares = self._explicit(phase.name, self._without_groups(phase))
        return np.array([shares.get(name, 0) for name in self.sources], dtype=np.int64)

    def _without_groups(self, phase: Phase) -> dict[str, float]:
        """Share the weight of `@text` and the like among the sources that hold it, by tokens, but for those named."""
        asked = phase.mixture or {}
        weights = {name: weight for name, weight in asked.items() if not name.startswith("@")}
        for group in (name for name in asked if name.startswith("@")):
            members = [
                name for name in self.sources if name not in asked and phase.contents.get(name, "text") == group[1:]
            ]
            if not members and asked[group] > 0:
                key = f"train.phase {phase.name!r}, mixture"
                raise Problem(f"no source with training tokens is left for {group}", key=key, remedy="leave it out")
            total = sum(self.tokens_of(name) for name in members)
            weights |= {name: asked[group] * self.tokens_of(name) / total for name in members}
        return weights

    def _explicit(self, phase: str, mixture: Mapping[str, float]) -> dict[str, int]:
        key = f"train.phase {phase!r}, mixture"
        for name in mixture:
            if name not in self._table:
                have = ", ".join(self.sources)
                raise Problem(f"source {name!r} has no training tokens", key=key, remedy=f"those that have: {have}")
        weights = {name: weight for name, weight in mixture.items() if weight > 0}
        if not weights:
            raise Problem("no source has a weight above zero", key=key, remedy="give at least one source a weight")
        shares = quotas(weights, at_least_one=False)
        for name, share in shares.items():
            if share == 0:
                least = sum(weights.values()) / PERIOD
                raise Problem(
                    f"source {name!r} with weight {weights[name]:g} would get no row of {PERIOD}",
                    key=key,
                    remedy=f"give it {least:.2g} or more, or leave it out",
                )
        return shares

    def _make_period(self, phase: int, period: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return, for each slot of a period, its source and how many slots of that source come before it."""
        quota = self._quotas[phase]
        order = np.repeat(np.arange(len(quota)), quota)[shuffled(PERIOD, key_of("period", self.seed, phase, period))]
        ranks = np.empty(PERIOD, dtype=np.int64)
        ranks[np.argsort(order, kind="stable")] = np.concatenate([np.arange(share) for share in quota])
        return order, ranks

    def _consumed(self, phase: int, rows: int) -> NDArray[np.int64]:
        periods, rest = divmod(rows, PERIOD)
        order, _ = self._make_period(phase, periods)
        return periods * self._quotas[phase] + np.bincount(order[:rest], minlength=len(self.sources))

    def _phase_starts(self) -> list[NDArray[np.int64]]:
        starts = [np.zeros(len(self.sources), dtype=np.int64)]
        for number, phase in enumerate(self.phases):
            rows = phase.steps * (phase.batch_tokens // self.sequence)
            starts.append(starts[-1] + self._consumed(number, rows))
        return starts

    def _given(self, step: int) -> NDArray[np.int64]:
        for number, phase in enumerate(self.phases):
            if phase.first_step <= step < phase.first_step + phase.steps:
                rows = (step - phase.first_step) * (phase.batch_tokens // self.sequence)
                return self._starts[number] + self._consumed(number, rows)
        return self._starts[-1]


def usable(index: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the entries of tokens.json that have something to train on, in their order."""
    return [entry for entry in index["sources"] if entry["tokens"] > 1]


def _open(folder: Path, entry: Mapping[str, Any], dtype: str, sequence: int, packing: str, streams: Streams) -> Source:
    place = folder / entry["folder"]
    stream = streams.open(entry["name"], place, entry["streams"], dtype)
    documents: NDArray[np.int64] = np.load(place / "documents.npy", mmap_mode="r", allow_pickle=False)
    rows = open_rows(place, entry["tokens"], sequence, packing)
    return Source(entry["name"], entry["tokens"], stream, rows, documents)
