"""Which loss to expect of N parameters after D tokens, and the best N and D for a number of operations.

The law is L = E + A / N^alpha + B / D^beta with C = 6 N D (Hoffmann et al. 2022, arXiv 2203.15556, approach 3, all
parameters counted). Besiroglu et al. 2024 (arXiv 2404.10102) refitted it, because the published constants were rounded
and do not agree with that paper's own other approaches: the refit is our default. Both were measured on English web
text with their own tokenizers, so only differences between two expected losses mean something for another corpus.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from lhama.plan.problem import Problem


@dataclass(frozen=True)
class Law:
    """The five constants of the law, losses in nats per token."""

    name: str
    E: float
    A: float
    B: float
    alpha: float
    beta: float


LAWS = {
    "hoffmann": Law("Hoffmann et al. 2022, approach 3", 1.69, 406.4, 410.7, 0.34, 0.28),
    "besiroglu": Law("Besiroglu et al. 2024, refit", 1.817, 482.01, 2085.43, 0.3478, 0.3658),
}


# Hoffmann et al. measured models from 70M parameters up; far below, the law promises less than guessing does.
SMALLEST_PARAMETERS, FEWEST_TOKENS = 50e6, 5e8


@dataclass(frozen=True)
class Best:
    """The compute-optimal size for a number of operations."""

    parameters: float
    tokens: float
    loss: float


def _law(name: str) -> Law:
    if name not in LAWS:
        raise Problem(f"no scaling law is named {name!r}", remedy=f"choose one of: {', '.join(LAWS)}")
    return LAWS[name]


def in_range(parameters: float, tokens: float) -> bool:
    """Tell whether a run is near enough to what the laws were measured on."""
    return parameters >= SMALLEST_PARAMETERS and tokens >= FEWEST_TOKENS


def expected_loss(parameters: float, tokens: float, law: str = "besiroglu") -> float:
    """Return the loss in nats per token that the law expects."""
    one = _law(law)
    return one.E + one.A / math.pow(parameters, one.alpha) + one.B / math.pow(tokens, one.beta)


def best_tokens(parameters: float, law: str = "besiroglu") -> float:
    """Return the tokens for which this size is compute-optimal: both terms fall alike when N grows and D shrinks."""
    one = _law(law)
    return math.pow(one.beta * one.B * parameters**one.alpha / (one.alpha * one.A), 1 / one.beta)


def best(flops: float, law: str = "besiroglu") -> Best:
    """Return the size and tokens with the lowest expected loss for C = 6 N D operations."""
    one = _law(law)
    exponents = one.alpha + one.beta
    G = math.pow(one.alpha * one.A / (one.beta * one.B), 1 / exponents)
    parameters = G * math.pow(flops / 6, one.beta / exponents)
    tokens = flops / 6 / parameters
    return Best(parameters, tokens, expected_loss(parameters, tokens, law))
