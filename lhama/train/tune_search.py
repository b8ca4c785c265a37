"""The search of `lhama tune`: one factor after the other, in the order of what each is usually worth; the better stays.

In: a way to measure settings, the seconds there are, and what may be changed. Out: rows, one for each probe. Greedy:
each probe changes one thing of the best settings so far, so n factors cost about 2 n probes and not 2^n. The subtle
thing is what "better" means: less time for the whole run, compilation included, at the same loss. A row whose losses
leave the tolerance of its kind, or which gives another result by its nature (precision), is shown and never kept.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any, Literal

from lhama.train.tune_job import MEMORY

Settings = dict[str, Any]
Answer = dict[str, Any]
Kind = Literal["same", "rounding", "other"]

MARGIN = 0.02  # a gain below this is noise
FIRST_COMPILATION = 60.0  # seconds that compiling is taken to need until it was seen (two cores: docs/log.md)
CAUTION = 1.25  # on how long a probe will take

# How far losses (nats a token) and gradient norms (relative) of the compared steps may be from the first row's. The
# same operations on the same numbers give the same; another order of sums differs by rounding, which grows from step to
# step; docs/log.md has what was seen.
TOLERANCE = {"fp32": (2e-3, 2e-2), "tf32": (1e-2, 5e-2), "bf16": (2e-2, 0.1), "fp16": (2e-2, 0.1)}
OTHER = (5e-2, 0.3)  # of another precision


@dataclass(frozen=True)
class Change:
    """One thing to try: settings over the best so far, or variables of the environment."""

    factor: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    variables: Mapping[str, str] = field(default_factory=dict)
    kind: Kind = "rounding"
    """What it may do to the loss: nothing, rounding, or more, in which case it is never kept."""
    label: str = ""

    @property
    def name(self) -> str:
        """Say what is changed, as a person would type it."""
        return self.label or ", ".join(f"{key.removeprefix('train.')} {value}" for key, value in self.settings.items())

    @property
    def keepable(self) -> bool:
        """Tell whether training could take it over: variables belong to whoever starts it."""
        return self.kind != "other" and not self.variables


@dataclass(frozen=True)
class Factor:
    """Changes of one thing: alternatives, or steps in one direction that end where one is not better."""

    changes: tuple[Change, ...]
    climbing: bool = False
    otherwise: bool = False
    """Only to be tried where the factor before it found nothing better."""


@dataclass
class Row:
    """A probe and what came of it."""

    change: Change
    settings: Settings
    answer: Answer
    seconds: float
    """How long the probe took."""
    base: Row | None = None
    """The row that this one differs from in one thing."""
    tokens_per_second: float | None = None
    waiting: float = 0.0
    """Seconds before the first step, compilation included."""
    run_seconds: float | None = None
    """How long the whole run would take like this, with the shortest wait of the rows that compile as this one does."""
    loss_distance: float | None = None
    norm_distance: float | None = None
    tolerance: tuple[float, float] = (0.0, 0.0)

    @property
    def same_loss(self) -> bool:
        """Tell whether the losses are those of the first row, within the tolerance."""
        if self.loss_distance is None or self.norm_distance is None:
            return False
        return self.loss_distance <= self.tolerance[0] and self.norm_distance <= self.tolerance[1]


class Search:
    """Probe, compare, keep what is better, and stop in time."""

    def __init__(
        self,
        measure: Callable[[Settings, Mapping[str, str], float], tuple[Answer, float]],
        left: Callable[[], float],
        run_tokens: int,
        batch_tokens: int,
        tell: Callable[[Row], None] = lambda row: None,
    ) -> None:
        """Measure with a function of settings, variables and the most seconds; `left` says how many there are."""
        self._measure, self._left, self._tell = measure, left, tell
        self._all = left()
        self._run_tokens, self._batch_tokens = run_tokens, batch_tokens
        self.rows: list[Row] = []
        self.skipped: list[str] = []
        self.best: Row | None = None
        self._found = False  # something better, by the factor before

    def start(self, ladder: Sequence[Change]) -> Row | None:
        """Take the first of some settings that fits the memory; all else is compared with it."""
        for change in ladder:
            row = self._probe(change, dict(change.settings), {}, self._left())
            if row.answer.get("error", "").startswith(MEMORY):
                continue
            if row.tokens_per_second is not None:
                self.best = row
            return self.best
        return None

    def explore(self, factor: Factor) -> None:
        """Try the changes of one factor: all of them, or each beyond the one before it while that was better."""
        if factor.otherwise and self._found:
            return
        self._found = False
        for change in factor.changes:
            better = self.try_one(change)
            self._found |= better
            if not better and factor.climbing:
                return

    def try_one(self, change: Change) -> bool:
        """Probe one change and keep it if it is better; say whether it was. What would not end in time is not begun."""
        assert self.best is not None
        needed = self._estimate(change)
        if needed + self._reserve() > self._left():
            self.skipped.append(change.name)
            return False
        settings = self.best.settings | dict(change.settings)
        row = self._probe(change, settings, change.variables, min(3 * needed, self._left()))
        if not (change.keepable and row.same_loss and row.run_seconds is not None):
            return False
        assert self.best.run_seconds is not None
        if row.run_seconds > self.best.run_seconds * (1 - MARGIN):
            return False
        self.best = row
        return True

    def _reserve(self) -> float:
        """Return the seconds to leave over for the second round, which is worth a quarter of all time and no more."""
        assert self.best is not None
        second = CAUTION * (self.first.seconds + (self.best.seconds if self.best is not self.first else 0.0))
        return second if second <= self._all / 4 else 0.0

    def repeat(self) -> float | None:
        """Measure the first settings and the best once more; return how much the machine changed meanwhile.

        The drift is the speed of the first settings now over their speed at the beginning. Where the best is not better
        than the first in this second round, the first is the best after all.
        """
        first, best = self.first, self.best
        assert best is not None
        if CAUTION * (first.seconds + (best.seconds if best is not first else 0)) > self._left():
            return None
        again = self._again(first)
        if again is None or first.tokens_per_second is None:
            return None
        drift = again / first.tokens_per_second
        if best is not first:
            second = self._again(best)
            if second is not None and second <= again:
                self.best = best = first
        for row in (first, best):
            self._figure(row)
        return drift

    @property
    def first(self) -> Row:
        """The row that all others are compared with."""
        return next(row for row in self.rows if row.tokens_per_second is not None)

    def _again(self, row: Row) -> float | None:
        """Measure a row once more; both rounds count in its figures. Return the speed of the second round alone."""
        answer, _ = self._measure(row.settings, row.change.variables, self._left())
        if "error" in answer:
            return None
        ready = min(row.answer["ready_seconds"], answer["ready_seconds"])
        row.answer = row.answer | {"timed": [*row.answer["timed"], *answer["timed"]], "ready_seconds": ready}
        return speed(answer["timed"], answer["batch_tokens"], self._batch_tokens)

    def _probe(self, change: Change, settings: Settings, variables: Mapping[str, str], limit: float) -> Row:
        answer, seconds = self._measure(settings, variables, limit)
        row = Row(change, settings, answer, seconds, self.best)
        self.rows.append(row)
        if "error" not in answer:
            self._figure(row)
        self._tell(row)
        return row

    def _figure(self, row: Row) -> None:
        answer = row.answer
        row.tokens_per_second = speed(answer["timed"], answer["batch_tokens"], self._batch_tokens)
        step = median(one["seconds"] for one in answer["timed"])
        row.waiting = max(0.0, answer["ready_seconds"] - len(answer["compared"]) * step)
        self._expect_runs()
        # What changes no bit is compared with what it was changed from, all else with the first row.
        other = row.base if row.change.kind == "same" and row.base is not None else self.first
        row.loss_distance, row.norm_distance = distances(other.answer, answer)
        row.tolerance = tolerance(row.change.kind, answer["device"]["precision"], answer["device"]["kind"])

    def _expect_runs(self) -> None:
        """Say how long the run would take like each row: what one probe compiled, training and other probes find there.

        So a row is not called slow because it was the first to compile its steps, nor another fast because it was not.
        """
        figured = [row for row in self.rows if row.tokens_per_second is not None]
        for row in figured:
            waiting = min(other.waiting for other in figured if _compiled(other) == _compiled(row))
            assert row.tokens_per_second is not None
            row.run_seconds = self._run_tokens / row.tokens_per_second + waiting

    def _estimate(self, change: Change) -> float:
        """Say how long a probe will take, by those before it; compiled ones take longer."""
        assert self.best is not None
        compiled = change.settings.get("train.compile", "on" if _compiled(self.best) else "off") == "on"
        alike = [row.seconds for row in self.rows if _compiled(row) == compiled and "error" not in row.answer]
        if alike:
            return CAUTION * max(alike)
        return CAUTION * self.best.seconds + (FIRST_COMPILATION if compiled else 0.0)


def _compiled(row: Row) -> bool:
    return bool(row.answer.get("device", {}).get("compile"))


def speed(timed: Sequence[Mapping[str, float]], probed: int, batch_tokens: int) -> float:
    """Return tokens a second of whole steps, from steps that may be shorter: the update comes once a step."""
    update = median(one["update"] for one in timed)
    work = median(one["seconds"] - one["update"] for one in timed)
    return batch_tokens / (work * batch_tokens / probed + update)


def distances(first: Answer, other: Answer) -> tuple[float, float]:
    """Return how far losses are apart at most, and norms of the gradient relatively, over the steps both made."""
    steps = [[*answer["compared"], *answer["timed"][: least_timed(first, other)]] for answer in (first, other)]
    losses, norms = [0.0], [0.0]
    for one, two in zip(*steps, strict=False):
        losses.append(abs(one["loss"] - two["loss"]))
        norms.append(abs(one["norm"] - two["norm"]) / max(one["norm"], 1e-12))
    return max(losses), max(norms)


def least_timed(first: Answer, other: Answer) -> int:
    """Count the timed steps that are compared, too: as few as every probe makes, since rounding grows with steps."""
    return min(3, len(first["timed"]), len(other["timed"]))


def tolerance(kind: Kind, precision: str, device: str) -> tuple[float, float]:
    """Return how far loss and norm may be from the first row's; a GPU adds up in no fixed order."""
    if kind == "other":
        return OTHER
    return (0.0, 0.0) if kind == "same" and device == "cpu" else TOLERANCE[precision]
