"""Bad steps: what counts as one, what is done about it, and the ledger from which a resumed run decides the same.

In: the loss and the norm of the gradient of every step, in order. Out: rows of `incidents.jsonl`, evidence, and one of
three answers: go on, stop (a Problem), or go back (RollBack). A figure that is not finite was noticed on the device
already, and its update not made (optim.py). A spike is a figure more than 6 scaled median absolute deviations above the
median of the last 128 steps (1.4826 MAD estimates a standard deviation and one outlier cannot move it; Rousseeuw &
Croux 1993); a new phase begins a new window, since another mixture has another loss.
The subtle thing: everything here is a function of the figures and of `rollbacks.jsonl`. The window is part of the
checkpoint, `incidents.jsonl` is cut back to it on resume, and `rollbacks.jsonl`, written before a decision is acted on,
is never cut. Going back skips the batches of a span, as Chowdhery et al. 2022 (PaLM, 5.1) did by hand.
"""

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lhama.plan.problem import Problem
from lhama.plan.recipe import Recipe
from lhama.plan.schedule import phase_of
from lhama.record import console
from lhama.record.meter import append_row, keep_until, read_rows

INCIDENTS, ROLLBACKS = "incidents.jsonl", "rollbacks.jsonl"
WINDOW = 128  # steps
FEWEST = 32  # before so many steps there is no median to trust
FACTOR = 6.0
TO_SIGMA = 1.4826  # of a normal distribution
SMALLEST_SCALE = 1e-3  # of the median: figures that hardly vary at all must not make noise a spike
WARN_SECONDS = 60.0


class RollBack(Exception):  # noqa: N818 - nothing failed: it is an answer
    """Go back to a checkpoint before the first skipped step and train past the span."""


@dataclass(frozen=True)
class Span:
    """Steps whose batches are left out, both ends included; the first step of a run is 1."""

    first: int
    last: int


@dataclass
class Guard:
    """Look at every step and answer for the recipe's policies."""

    recipe: Recipe
    folder: Path
    evidence: Callable[[int, float, float], Path]
    losses: list[float] = field(default_factory=list)
    norms: list[float] = field(default_factory=list)
    phase: str = ""
    warned: float = -math.inf

    spans: list[Span] = field(default_factory=list)

    def read_decisions(self) -> None:
        """Read what rollbacks decided before."""
        self.spans = read_spans(self.folder)

    def skips(self, step: int) -> bool:
        """Say whether a rollback decided that this step (the first is 1) is passed without an update."""
        return any(span.first <= step <= span.last for span in self.spans)

    def pass_by(self, step: int) -> None:
        """Count a step whose batch is skipped; its row says why."""
        self._note(step, "skipped", "passed by after a rollback", math.nan, math.nan)

    def examine(self, step: int, loss: float, norm: float) -> bool:
        """Judge a step; return whether it was learned from and counts in the mean loss."""
        finite = math.isfinite(loss) and math.isfinite(norm)
        if not finite:
            self._not_finite(step, loss, norm)
            return False
        self._enter_phase(step)
        what = self._spike(loss, norm) if self.recipe.train.spikes != "ignore" else ""
        if what:
            self._spiked(step, what, loss, norm)
        self.losses = [*self.losses[1 - WINDOW :], loss]
        self.norms = [*self.norms[1 - WINDOW :], norm]
        return True

    def state(self) -> dict[str, Any]:
        """Say what a checkpoint must hold for the same answers after a resume."""
        rollbacks = [[span.first, span.last] for span in self.spans]
        return {"losses": self.losses, "norms": self.norms, "phase": self.phase, "rollbacks": rollbacks}

    def restore(self, step: int, state: Mapping[str, Any]) -> None:
        """Continue after a step with the state of its checkpoint (empty at the beginning, or in older ones)."""
        self.losses, self.norms = list(state.get("losses", [])), list(state.get("norms", []))
        self.phase = str(state.get("phase", ""))
        keep_until(self.folder / INCIDENTS, step)

    def _not_finite(self, step: int, loss: float, norm: float) -> None:
        what = f"at step {step} the loss was {loss} and the norm of the gradient {norm}"
        policy = self.recipe.train.not_finite
        evidence = self.evidence(step, loss, norm)
        remedy = f"look at the batch in {evidence}; if the text is sound, lower train.learning_rate or set train.clip"
        if policy == "stop":
            raise Problem(f"{what}; the update was not made", remedy=remedy)
        self._refuse_too_many(step, what, remedy)
        if policy == "rollback":
            self._roll_back(step, "not_finite", what, loss, norm)
        self._note(step, "not_finite", "skipped", loss, norm)
        console.warn(f"{what}; the update was left out. The batch is in {evidence}.")

    def _spiked(self, step: int, what: str, loss: float, norm: float) -> None:
        policy = self.recipe.train.spikes
        said = f"step {step}: a spike, {what}"
        if policy == "stop":
            evidence = self.evidence(step, loss, norm)
            raise Problem(said, key="train.spikes", remedy=f'look at the batch in {evidence}, or take "record"')
        if policy == "rollback":
            evidence = self.evidence(step, loss, norm)
            self._refuse_too_many(step, said, f"look at the batch in {evidence}, or lower train.learning_rate")
            self._roll_back(step, "spike", said, loss, norm)
        self._note(step, "spike", "recorded", loss, norm)
        if time.monotonic() - self.warned >= WARN_SECONDS:
            self.warned = time.monotonic()
            console.warn(f"{said}. All are listed in {self.folder / INCIDENTS}.")

    def _spike(self, loss: float, norm: float) -> str:
        for name, figure, window in (("loss", loss, self.losses), ("gradient norm", norm, self.norms)):
            if len(window) >= FEWEST and figure > (limit := threshold(window)):
                return f"{name} {figure:.4g} over a limit of {limit:.4g}"
        return ""

    def _enter_phase(self, step: int) -> None:
        phase = phase_of(self.recipe, step - 1).name
        if phase != self.phase:
            self.phase, self.losses, self.norms = phase, [], []

    def _roll_back(self, step: int, kind: str, what: str, loss: float, norm: float) -> None:
        span = Span(max(1, step - self.recipe.train.rollback_steps), step)
        row = {"step": step, "kind": kind, "first": span.first, "last": span.last}
        append_row(self.folder / ROLLBACKS, {**row, "loss": str(loss), "gradient_norm": str(norm)})
        self.read_decisions()
        console.warn(f"{what}. Going back to skip the batches of steps {span.first} to {span.last}.")
        raise RollBack

    def _refuse_too_many(self, step: int, what: str, remedy: str) -> None:
        skipped = [row for row in read_rows(self.folder / INCIDENTS) if row["kind"] == "not_finite"]
        number = len(skipped) + len(self.spans) + 1
        if number > self.recipe.train.incidents_allowed:
            raise Problem(
                f"{what}, which is incident number {number} of this run", key="train.incidents_allowed", remedy=remedy
            )

    def _note(self, step: int, kind: str, action: str, loss: float, norm: float) -> None:
        figures = {"loss": str(loss), "gradient_norm": str(norm)} if kind != "skipped" else {}
        append_row(self.folder / INCIDENTS, {"step": step, "kind": kind, "action": action, **figures})


def threshold(window: list[float]) -> float:
    """Return the figure above which a step is a spike."""
    middle = median(window)
    scale = TO_SIGMA * median([abs(figure - middle) for figure in window])
    return middle + FACTOR * max(scale, SMALLEST_SCALE * abs(middle))


def median(figures: list[float]) -> float:
    """Return the middle figure, or the mean of the two in the middle."""
    ordered = sorted(figures)
    half = len(ordered) // 2
    return ordered[half] if len(ordered) % 2 else (ordered[half - 1] + ordered[half]) / 2


def read_spans(folder: Path) -> list[Span]:
    """Read what was ever decided to be skipped."""
    return [Span(int(row["first"]), int(row["last"])) for row in read_rows(folder / ROLLBACKS)]


def belongs(step: int, state: Mapping[str, Any], decided: list[Span]) -> bool:
    """Say whether a checkpoint lies on the path that was taken: every rollback is known to it, or begins after it."""
    known = state.get("rollbacks", [])
    return all([span.first, span.last] in known or step < span.first for span in decided)
