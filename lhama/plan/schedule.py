"""The training run as arithmetic: which step is in which phase, how many tokens it has seen, at what rate it learns.

Everything is a closed form of the recipe and one number, so a resumed run knows all of it from its step alone.
Steps count from 0: `tokens_after(recipe, n)` is what a model has seen once n steps are done. A step trains on
batch_tokens // sequence rows of `sequence` targets. Cosine: Loshchilov & Hutter 2017; warm-up-stable-decay: Hu et al.
2024 (MiniCPM), with the 1-sqrt form of Haegele et al. 2024.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lhama.plan.layout import Recipe


@dataclass(frozen=True)
class Phase:
    """One stretch of training; the steps first_step ... first_step + steps - 1 belong to it."""

    name: str
    tokens: int
    batch_tokens: int
    mixture: Mapping[str, float] | None
    first_step: int
    steps: int
    first_token: int
    learning_rate: float
    contents: Mapping[str, str] = field(default_factory=dict)
    """What each source holds: text, instruct or code."""


def phases(recipe: Recipe) -> tuple[Phase, ...]:
    """Lay the phases of a recipe one after the other; without any, the run is one phase named main."""
    train = recipe.train
    asked = [
        (one.name, one.tokens, one.batch_tokens or train.batch_tokens, one.mixture, one.learning_rate)
        for one in train.phase
    ] or [("main", train.horizon, train.batch_tokens, None, None)]
    laid: list[Phase] = []
    first_step = first_token = 0
    for name, tokens, batch, mixture, rate in asked:
        steps = math.ceil(tokens / batch)
        peak = train.learning_rate if rate is None else rate
        laid.append(Phase(name, tokens, batch, mixture, first_step, steps, first_token, peak, recipe.contents))
        first_step += steps
        first_token += steps * batch
    return tuple(laid)


def total_steps(recipe: Recipe) -> int:
    """Count the optimizer steps of the whole run."""
    last = phases(recipe)[-1]
    return last.first_step + last.steps


def total_tokens(recipe: Recipe) -> int:
    """Count the tokens the run trains on: the recipe's, rounded up to whole steps in each phase."""
    last = phases(recipe)[-1]
    return last.first_token + last.steps * last.batch_tokens


def phase_of(recipe: Recipe, step: int) -> Phase:
    """Return the phase of a step; a step past the end belongs to the last one."""
    laid = phases(recipe)
    return next((one for one in laid if step < one.first_step + one.steps), laid[-1])


def tokens_after(recipe: Recipe, step: int) -> int:
    """Count the tokens seen once `step` steps are done."""
    one = phase_of(recipe, step)
    return one.first_token + min(step - one.first_step, one.steps) * one.batch_tokens


def learning_rate(recipe: Recipe, tokens_seen: int) -> float:
    """Return the rate once so many tokens are seen: 0 at the very beginning of a warm-up, the final one at the end."""
    train, laid = recipe.train, phases(recipe)
    total = laid[-1].first_token + laid[-1].steps * laid[-1].batch_tokens
    # A boundary belongs to the phase it ends: a rate asked for after a step is that step's rate.
    current = next((one for one in laid if tokens_seen <= one.first_token + one.steps * one.batch_tokens), laid[-1])
    return current.learning_rate * _shape(recipe, min(tokens_seen, total), total, train.warmup_tokens)


def _shape(recipe: Recipe, seen: int, total: int, warmup: int) -> float:
    """Return the rate as a fraction of its peak."""
    train = recipe.train
    floor = train.final_learning_rate_fraction
    if seen < warmup:
        return seen / warmup
    if train.schedule == "constant":
        return 1.0
    if train.schedule == "cosine":
        progress = (seen - warmup) / max(1, total - warmup)
        return floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * progress))
    decay = train.decay_tokens or 1
    progress = max(0.0, (seen - (total - decay)) / decay)
    fall = math.sqrt(progress) if train.decay_shape == "1-sqrt" else progress
    return 1 - (1 - floor) * fall


def crosses(every: int | None, before: int, after: int) -> bool:
    """Tell whether a multiple of `every` lies in (before, after]; absent or 0 means never."""
    return bool(every) and before // (every or 1) != after // (every or 1)
