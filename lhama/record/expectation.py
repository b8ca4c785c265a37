"""Is my loss normal? What a run's own curve lets one expect of its newest rows, and where it will end.

In: the rows of loss.jsonl and the size of the vocabulary. Out: a verdict with a band and a sentence. The curve is
L = E + A x D^-beta, fitted on the rows before the newest ones, since losses of other corpora and vocabularies say
nothing here: only the fall between two points is set beside the scaling law, and only where the law was measured. One
landmark holds for all: a model that knows nothing is at ln(vocabulary), which is what guessing evenly costs.
The band is as wide as the rows scatter; the decay of the learning rate brings a loss below it, which is no fault.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from lhama.plan.scaling import expected_loss, in_range

Json = dict[str, Any]

FEWEST = 12  # rows that a curve is fitted on
NEWEST = 0.1  # the share of the rows that is judged by the rows before
FROM = 0.15  # the curve is fitted from this share of the tokens on: the first steps fall by another law
# Tuned on two real runs: docs/log.md 2026-11-21, "is my loss normal?"
WIDTH, NARROWEST = 3.0, 0.03  # half the band: so many standard errors, and at least this share of the loss
JUMP = 8.0  # a single row so many standard deviations above the curve is a spike
FORESEEN = 0.3  # the end is foreseen once this share of the tokens is seen
FLAT = 0.003  # a loss that fell by less over half of the tokens stands still


@dataclass(frozen=True)
class Curve:
    """L = E + A x (D / scale)^-beta, and how far the rows lie from it."""

    E: float
    A: float
    beta: float
    scale: float
    scatter: float

    def at(self, tokens: float) -> float:
        """Return the loss that the curve has after so many tokens."""
        return float(self.E + self.A * (tokens / self.scale) ** -self.beta)


def expectation(losses: Sequence[Json], vocabulary: int, total_tokens: int, parameters: float | None = None) -> Json:
    """Judge the newest rows of a run by the rows before them."""
    known = [(row["tokens"], row["loss"]) for row in losses if row.get("tokens") and row.get("loss") is not None]
    count = max(1, min(50, round(len(known) * NEWEST)))
    found: Json = dict.fromkeys(("loss", "low", "high", "at_the_end", "law_fall", "fall"))
    found |= {"verdict": "too early", "guessing": math.log(vocabulary)}
    found["ended"] = bool(known) and known[-1][0] >= total_tokens
    if not known or losses[-1].get("loss") is None:
        found["verdict"] = "not finite" if losses and losses[-1].get("loss") is None else "too early"
        return found | {"words": _words(found)}
    found["loss"] = fmean(loss for _, loss in known[-count:])
    newest = fmean(tokens for tokens, _ in known[-count:])
    curve = _fit([row for row in known[:-count] if row[0] >= FROM * known[-1][0]])
    if curve is None:
        return found | {"words": _words(found)}
    middle = curve.at(newest)
    half = max(WIDTH * curve.scatter / math.sqrt(count), NARROWEST * middle)
    found |= {"low": middle - half, "high": middle + half, "fall": curve.at(newest / 2) - middle}
    if FORESEEN * total_tokens <= known[-1][0] < total_tokens:
        found["at_the_end"] = curve.at(total_tokens)
    if parameters and in_range(parameters, newest / 2):
        found["law_fall"] = expected_loss(parameters, newest / 2) - expected_loss(parameters, newest)
    jumped = known[-1][1] - curve.at(known[-1][0]) > max(JUMP * curve.scatter, half)
    found["verdict"] = _verdict(found, jumped)
    return found | {"words": _words(found)}


def _fit(rows: Sequence[tuple[float, float]]) -> Curve | None:
    """Fit the curve twice, the second time without the rows that lie far off; None for too few rows."""
    import numpy as np

    if len(rows) < FEWEST:
        return None
    tokens, losses = (np.array(one, dtype=float) for one in zip(*rows, strict=True))
    curve = _least_squares(tokens, losses)
    off = np.abs(losses - np.array([curve.at(one) for one in tokens]))
    near = off <= max(4 * curve.scatter, 1e-9)
    return curve if near.all() or near.sum() < FEWEST else _least_squares(tokens[near], losses[near])


def _least_squares(tokens: Any, losses: Any) -> Curve:
    """Try exponents; for each, E and A are a straight line's. The scatter is the median's, which no outlier moves."""
    import numpy as np

    scale = float(tokens.max())
    best: tuple[float, Curve] | None = None
    for beta in np.geomspace(0.05, 1.5, 30):
        x = (tokens / scale) ** -beta
        slope, offset = np.polyfit(x, losses, 1)
        A, E = float(slope), float(offset)
        if A <= 0:  # it does not fall
            A, E = 0.0, float(losses.mean())
        elif E < 0:  # no loss does
            A, E = float((x * losses).sum() / (x**2).sum()), 0.0
        off = losses - (E + A * x)
        squares = float((off**2).sum())
        if best is None or squares < best[0]:
            scatter = 1.4826 * float(np.median(np.abs(off)))  # of a normal distribution, the standard deviation
            best = squares, Curve(E, A, float(beta), scale, scatter)
    assert best is not None
    return best[1]


def _verdict(found: Json, jumped: bool) -> str:
    loss = found["loss"]
    if loss >= found["guessing"]:
        return "not learning"
    if loss > found["high"] or jumped:
        return "high"
    if loss < found["low"]:
        return "low"
    return "flat" if found["fall"] < FLAT * loss else "normal"


def _words(found: Json) -> str:
    """Say the verdict and what it means."""
    verdict, loss = found["verdict"], found["loss"]
    if verdict == "not finite":
        return "no: the newest loss is no number; the batch that did it is kept beside loss.jsonl"
    if verdict == "too early":
        even = f"guessing evenly costs {found['guessing']:.2f}"
        if loss is None:
            return f"too early to say; {even}"
        return (
            f"too early to say; {even}, so {'something is learned' if loss < found['guessing'] else 'not yet learned'}"
        )
    band = f"{found['low']:.2f} to {found['high']:.2f}"
    advice = ": a spike passes; if it stays, lower train.learning_rate"
    if found["ended"]:
        advice = " at the end; what the run reached, the held-out text says"
    return {
        "normal": f"normal: {loss:.2f} of late, and its own curve leads to {band}",
        "low": f"good: {loss:.2f} of late, below the {band} of its own curve, as when the learning rate decays",
        "high": f"above the {band} of its own curve{advice}",
        "flat": f"it stands still: {found['fall']:.3f} lower than at half of the tokens",
        "not learning": f"no: guessing evenly costs {found['guessing']:.2f}; see train.learning_rate and the text",
    }[verdict] + _law(found)


def _law(found: Json) -> str:
    if found["law_fall"] is None:
        return ""
    return f"; fell by {found['fall']:.2f} since half of the tokens (law for English: {found['law_fall']:.2f})"
