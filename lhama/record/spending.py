"""What training had taken when it reached a step: seconds, electricity, carbon and money, to each checkpoint.

In: a run's ledgers and the rows of its metrics.jsonl. Out: for any step the sums up to there. A row of the ledger ends
at a moment, and metrics.jsonl says at which moment a step was reached; within a row the draw is taken for even. Work
that was done twice counts where it was done: on the way to the step that was reached in the end. What was trained and
then set aside by `--again` is in the run's totals, but on the way to no step.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from datetime import datetime
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lhama.plan.problem import Problem
from lhama.plan.schedule import tokens_after
from lhama.record.energy import JOULES_PER_KWH, LEDGER, price_per_hour
from lhama.record.files import read_json
from lhama.record.manifest import MANIFEST
from lhama.record.meter import read_rows, without_lost

if TYPE_CHECKING:
    from lhama.plan.recipe import Recipe

Json = dict[str, Any]

AMOUNTS = ("seconds", "kwh", "kgco2e")


class Ledger:
    """The rows of one energy.jsonl as sums over time."""

    def __init__(self, rows: Sequence[Json]) -> None:
        timed = sorted((moment, row) for row in rows if (moment := _moment(row)) is not None)
        self._ends = [moment for moment, _ in timed]
        self._spans = [max(float(row.get("seconds") or 0.0), 1e-9) for _, row in timed]
        self._amounts = {name: [float(row.get(name) or 0.0) for _, row in timed] for name in AMOUNTS}
        self._sums = {name: [0.0, *accumulate(values)] for name, values in self._amounts.items()}
        self.metered = any(row.get("kwh") is not None for _, row in timed)

    def until(self, moment: float, name: str) -> float:
        """Add up to a moment; the row that it falls into counts in part."""
        whole = bisect_right(self._ends, moment)
        if whole == len(self._ends):
            return self._sums[name][whole]
        part = 1 - (self._ends[whole] - moment) / self._spans[whole]
        return self._sums[name][whole] + max(0.0, part) * self._amounts[name][whole]


class Spending:
    """What training had taken at a step."""

    def __init__(
        self, ledgers: Sequence[Sequence[Json]], metrics: Sequence[Json], price: float | None, currency: str = "USD"
    ) -> None:
        self._price, self.currency = price, currency
        books = [Ledger(rows) for rows in ledgers]
        reached = {
            int(row["step"]): moment
            for row in without_lost(metrics)
            if isinstance(row.get("step"), int) and (moment := _moment(row)) is not None
        }
        self._steps = [0, *sorted(reached)]
        self._sums = {
            name: [0.0, *(sum(book.until(reached[step], name) for book in books) for step in self._steps[1:])]
            for name in AMOUNTS
        }
        self._metered = any(book.metered for book in books)

    @classmethod
    def read(cls, run_folder: Path, metrics: Sequence[Json]) -> Spending:
        """Read the ledger of each machine that took part in a run's training; its `metrics` were read by the caller."""
        train = run_folder / "train"
        ledgers = [read_rows(path) for path in (train / LEDGER, *sorted(train.glob(f"node-*/{LEDGER}")))]
        return cls(ledgers, metrics, *price_per_hour(run_folder))

    @property
    def newest(self) -> int:
        """The last step whose moment is known; 0 where none is."""
        return self._steps[-1]

    def at(self, step: int) -> Json:
        """Say what was taken up to a step; None for each figure where it is not known."""
        if not self.newest:
            return dict.fromkeys(("seconds", "kwh", "joules", "kgco2e", "money"))
        found: Json = {name: self._between(step, self._sums[name]) for name in AMOUNTS}
        if not self._metered:
            found |= {"kwh": None, "kgco2e": None}
        found["joules"] = None if found["kwh"] is None else found["kwh"] * JOULES_PER_KWH
        found["money"] = None if self._price is None else found["seconds"] / 3600 * self._price
        return found

    def share(self, step: int) -> float | None:
        """Say which part of all that was taken up to the newest step was taken up to this one: of energy, else time."""
        basis = "kwh" if self._metered else "seconds"
        whole = self.at(self.newest)[basis]
        return float(self.at(step)[basis] / whole) if whole else None

    def _between(self, step: int, sums: Sequence[float]) -> float:
        position = bisect_left(self._steps, step)
        if position == len(self._steps) or self._steps[position] == step or position == 0:
            return sums[min(position, len(sums) - 1)]
        early, late = self._steps[position - 1], self._steps[position]
        return sums[position - 1] + (sums[position] - sums[position - 1]) * (step - early) / (late - early)


def checkpoints(recipe: Recipe, run_folder: Path, spending: Spending) -> list[Json]:
    """List the checkpoints that are there, in order, each with what training had taken when it was made."""
    found = []
    for path in sorted(run_folder.glob(f"train/step-*/{MANIFEST}")):
        try:
            manifest = read_json(path)
            step = int(manifest["step"])
        except (Problem, KeyError, TypeError, ValueError):  # damaged, or dropped while we look
            continue
        row = {"checkpoint": path.parent.name, "step": step, "tokens": tokens_after(recipe, step)}
        row |= {"suite": bool(manifest.get("suite")), **spending.at(step), "share": spending.share(step)}
        found.append(row)
    return sorted(found, key=lambda row: int(row["step"]))


def _moment(row: Json) -> float | None:
    """Read when a row was written, in seconds since 1970."""
    try:
        return datetime.fromisoformat(row["time"]).timestamp()
    except (KeyError, TypeError, ValueError):
        return None
