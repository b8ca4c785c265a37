"""A scaling law of one's own: L = E + A / N^alpha + B / D^beta fitted on the finished small runs of a user.

In: runs as points (N parameters, D tokens, L nats a token), all with one vocabulary and one held-out text. Out: the
law, and which of its constants the runs have decided. As Hoffmann et al. 2022 (appendix D.2) and Besiroglu et al. 2024
did, the error is the Huber loss (delta 1e-3) of log L, from many starts; the least is taken. The descent is
Gauss-Newton on weighted squares, which for a Huber loss is exact at its minimum (Huber 1981, section 7.8).
The subtle thing: five constants want six runs at least that differ in size and in tokens independently. With fewer
runs fewer constants are free, and the others are those of Besiroglu et al.: first the exponents, then A over B.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lhama.plan.problem import Problem
from lhama.plan.scaling import LAWS, Law, expected_loss

if TYPE_CHECKING:
    from numpy.typing import NDArray

DELTA = 1e-3  # of log L
LITERATURE = "besiroglu"
EXPONENTS = (0.1, 0.2, 0.3, 0.4, 0.55, 0.7, 0.9)  # of the starts
FLOORS = (0.05, 0.4, 0.7, 0.9)  # of the starts: E as a share of the lowest loss
STARTS, STEPS = 12, 300
FEW: tuple[str, ...] = ("E", "scale")
SOME: tuple[str, ...] = ("E", "A", "B")
ALL: tuple[str, ...] = ("E", "A", "B", "alpha", "beta")
LEAST_TERM = 1e-3  # of the loss: a term below it says that the runs did not show what size or text is worth


@dataclass(frozen=True)
class Point:
    """One finished run."""

    name: str
    parameters: int
    tokens: int
    loss: float


@dataclass(frozen=True)
class Fit:
    """A law, and where its constants come from."""

    law: Law
    free: tuple[str, ...]
    """The constants that the runs decided; `scale` is one factor for A and B together."""
    errors: tuple[float, ...]
    """Predicted minus measured loss of each run, in nats a token."""


@dataclass(frozen=True)
class Forecast:
    """What all runs but the largest say about the largest."""

    fit: Fit
    largest: Point
    predicted: float

    @property
    def error(self) -> float:
        """Return predicted minus measured loss."""
        return self.predicted - self.largest.loss


def fit(points: Sequence[Point]) -> Fit:
    """Fit as many constants as the runs can decide."""
    check(points)
    ways = [ALL, SOME, FEW]
    for free in ways[ways.index(constants(points)) :]:
        found = _fitted(points, free)
        if free == FEW or _teaches(points, found):
            break
    own = Law("fitted on own runs", found.E, found.A, found.B, found.alpha, found.beta)
    errors = tuple(expected_loss(one.parameters, one.tokens, own) - one.loss for one in points)
    return Fit(own, free, errors)


def _fitted(points: Sequence[Point], free: tuple[str, ...]) -> Law:
    """Fit the constants that are free; the others are the literature's."""
    law = LAWS[LITERATURE]
    if free == FEW:
        return _linear(points, law.alpha, law.beta, law.A / law.B)
    if free == SOME:
        return _descend(points, [_linear(points, law.alpha, law.beta)], (0, 1, 2))
    return _descend(points, _starts(points), (0, 1, 2, 3, 4))


def forecast(points: Sequence[Point]) -> Forecast | None:
    """Fit on all runs but the one with the most operations, and predict that one; None with fewer than three runs."""
    ordered = sorted(points, key=lambda one: one.parameters * one.tokens)
    if len({(one.parameters, one.tokens) for one in ordered[:-1]}) < 2:
        return None
    smaller, largest = fit(ordered[:-1]), ordered[-1]
    return Forecast(smaller, largest, expected_loss(largest.parameters, largest.tokens, smaller.law))


def check(points: Sequence[Point]) -> None:
    """Refuse points from which nothing can be fitted."""
    if len({(one.parameters, one.tokens) for one in points}) < 2:
        raise Problem(
            "a law needs two finished runs at least, of different sizes or tokens; six decide all its constants",
            key="--fit",
            remedy="train smaller ones first, and name them all: lhama plan --fit RUN RUN RUN",
        )
    for one in points:
        if not (one.parameters > 0 and one.tokens > 0 and 0 < one.loss < math.inf):
            raise Problem(f"run {one.name} has no size, tokens and loss to fit on", remedy="leave it out")


def constants(points: Sequence[Point]) -> tuple[str, ...]:
    """Say which constants so many runs can decide: all, E with A and B, or E with their common scale."""
    sizes, lengths = {one.parameters for one in points}, {one.tokens for one in points}
    pairs = {(one.parameters, one.tokens) for one in points}
    if len(pairs) < 4 or not _apart(points):
        return FEW
    return ALL if len(pairs) > 5 and min(len(sizes), len(lengths)) > 2 else SOME


def _teaches(points: Sequence[Point], law: Law) -> bool:
    """Tell whether both terms of a law count; else the runs differ in more than size and text, or too little."""
    return all(
        min(law.A * one.parameters**-law.alpha, law.B * one.tokens**-law.beta) > LEAST_TERM * one.loss for one in points
    )


def _apart(points: Sequence[Point]) -> bool:
    """Tell whether sizes and tokens differ independently: else A and B cannot be told from each other."""
    import numpy as np

    logs = np.log([[one.parameters, one.tokens] for one in points])
    deviations = np.sqrt(np.maximum(np.linalg.eigvalsh(np.cov(logs.T)), 0))
    return bool(deviations[0] > 0.1)  # of log N against log D: a tenth, across their common line


def _linear(points: Sequence[Point], alpha: float, beta: float, balance: float | None = None) -> Law:
    """Return the best E, A and B for given exponents by least squares of L / L; with a balance, A is that times B."""
    import numpy as np

    loss = np.array([one.loss for one in points])
    by_size = np.array([one.parameters**-alpha for one in points])
    by_tokens = np.array([one.tokens**-beta for one in points])
    columns = [np.ones_like(loss), by_size, by_tokens] if balance is None else [loss**0, balance * by_size + by_tokens]
    scale = [float(np.max(column)) for column in columns]
    matrix = np.stack([column / largest for column, largest in zip(columns, scale, strict=True)], 1) / loss[:, None]
    solved = _not_negative(matrix, np.ones_like(loss)) / np.array(scale)
    E, A, B = (*solved,) if balance is None else (solved[0], balance * solved[1], solved[1])
    return Law("", float(E), float(A), float(B), alpha, beta)


def _not_negative(matrix: NDArray[Any], target: NDArray[Any]) -> NDArray[Any]:
    """Solve least squares with no negative unknown, by trying every set of unknowns that are not zero."""
    import numpy as np

    count = matrix.shape[1]
    best, least = np.zeros(count), math.inf
    for chosen in range(1, 2**count):
        kept = [place for place in range(count) if chosen >> place & 1]
        part = np.linalg.lstsq(matrix[:, kept], target, rcond=None)[0]
        error = float(np.sum((matrix[:, kept] @ part - target) ** 2))
        if np.all(part >= 0) and error < least * (1 - 1e-12):
            best, least = np.zeros(count), error
            best[kept] = part
    return best


def _starts(points: Sequence[Point]) -> list[Law]:
    """Return the most promising starts of a grid over exponents, with and without a floor."""
    lowest = min(one.loss for one in points)
    found = []
    for alpha in EXPONENTS:
        for beta in EXPONENTS:
            one = _linear(points, alpha, beta)
            found += [one, *(Law("", share * lowest, one.A, one.B, alpha, beta) for share in FLOORS)]
    return sorted(found, key=lambda one: _distance(points, one))[:STARTS]


def _distance(points: Sequence[Point], law: Law) -> float:
    """Return the Huber loss of log L over all runs."""
    import numpy as np

    return _huber(np.log([expected_loss(one.parameters, one.tokens, law) / one.loss for one in points]))


def _huber(errors: NDArray[Any]) -> float:
    """Return the Huber loss of errors, added up."""
    import numpy as np

    far = np.abs(errors)
    return float(np.sum(np.where(far <= DELTA, far**2 / 2, DELTA * (far - DELTA / 2))))


def _descend(points: Sequence[Point], starts: Sequence[Law], free: Sequence[int]) -> Law:
    """Descend from every start and return the law with the least Huber loss."""
    return min((_gauss_newton(points, start, free) for start in starts), key=lambda law: _distance(points, law))


def _gauss_newton(points: Sequence[Point], start: Law, free: Sequence[int]) -> Law:
    """Take damped steps (Levenberg-Marquardt) over log E, log A, log B, alpha, beta; only `free` of them move.

    A and B are taken at the middle of the runs, so that they do not slide along with the exponents.
    """
    import numpy as np

    sizes, tokens = (np.log([getattr(one, name) for one in points]) for name in ("parameters", "tokens"))
    measured, middle = np.log([one.loss for one in points]), (float(sizes.mean()), float(tokens.mean()))
    small = 1e-9 * float(np.exp(measured.min()))
    heights = start.E, start.A * math.exp(-start.alpha * middle[0]), start.B * math.exp(-start.beta * middle[1])
    state = np.array([*(math.log(max(height, small)) for height in heights), start.alpha, start.beta])

    def terms(state: NDArray[Any]) -> NDArray[Any]:
        by_size, by_tokens = state[1] - state[3] * (sizes - middle[0]), state[2] - state[4] * (tokens - middle[1])
        found: NDArray[Any] = np.exp(np.clip(np.stack([np.full_like(sizes, state[0]), by_size, by_tokens]), -50, 50))
        return found

    def slopes(parts: NDArray[Any]) -> NDArray[Any]:
        share = parts / parts.sum(0)
        every = [share[0], share[1], share[2], -share[1] * (sizes - middle[0]), -share[2] * (tokens - middle[1])]
        return np.stack(every, 1)[:, list(free)]

    state = _minimize(state, list(free), lambda at: np.log(terms(at).sum(0)) - measured, lambda at: slopes(terms(at)))
    E, at_size, at_tokens, alpha, beta = (float(value) for value in state)
    A, B = math.exp(min(700, at_size + alpha * middle[0])), math.exp(min(700, at_tokens + beta * middle[1]))
    return Law("", math.exp(E), A, B, alpha, beta)


def _minimize(
    state: NDArray[Any],
    free: list[int],
    errors: Callable[[NDArray[Any]], NDArray[Any]],
    slopes: Callable[[NDArray[Any]], NDArray[Any]],
) -> NDArray[Any]:
    """Minimize the Huber loss of the errors; exponents stay between 0.01 and 2."""
    import numpy as np

    damping, least = 1e-3, _huber(errors(state))
    for _ in range(STEPS):
        values, gradient = errors(state), slopes(state)
        weight = np.minimum(1.0, DELTA / np.maximum(np.abs(values), 1e-300))
        square = gradient.T @ (weight[:, None] * gradient)
        step = np.linalg.lstsq(
            square + damping * (np.diag(np.diag(square)) + 1e-12 * np.eye(len(free))),
            -gradient.T @ (weight * values),
            rcond=None,
        )[0]
        tried = state.copy()
        tried[free] += np.clip(step, -2, 2)
        tried[3:] = np.clip(tried[3:], 0.01, 2.0)
        reached = _huber(errors(tried))
        if reached < least:
            gain, state, least, damping = least - reached, tried, reached, max(damping / 5, 1e-12)
            if gain < 1e-16 * (1 + least):
                break
        else:
            damping *= 4
            if damping > 1e12:
                break
    return state
