"""Which loss to expect of N parameters after D tokens, and the best N and D for a number of operations.

The law is L = E + A / N^alpha + B / D^beta with C = 6 N D (Hoffmann et al. 2022, arXiv 2203.15556, approach 3, all
parameters counted). Besiroglu et al. 2024 (arXiv 2404.10102) refitted it, because the published constants were rounded
and do not agree with that paper's own other approaches: the refit is our default. All were measured on English web
text with their own tokenizers, so only differences between two expected losses mean something for another corpus.
Text that is repeated is worth less than new text: repetition.py. A model that is used a lot should be smaller:
serving.py.
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
    # The same fit with the digits of the paper's TeX source, which Besiroglu et al. quote: only these reproduce its
    # prediction of 40 billion parameters for Gopher's operations. The rounded ones say 32.
    "hoffmann-digits": Law(
        "Hoffmann et al. 2022, approach 3, all digits",
        math.exp(0.5267228),
        math.exp(6.0073404),
        math.exp(6.0179186),
        0.33917084,
        0.2849083,
    ),
    "besiroglu": Law("Besiroglu et al. 2024, refit", 1.817, 482.01, 2085.43, 0.3478, 0.3658),
    # The law of Muennighoff et al. 2023 (arXiv 2305.16264) for text that is not repeated, fitted on C4.
    "muennighoff": Law(
        "Muennighoff et al. 2023",
        math.exp(0.6254804),
        math.exp(6.255414),
        math.exp(7.3049974),
        0.3526596,
        0.3526596,
    ),
}


# Hoffmann et al. measured models from 70M parameters up; far below, the law promises less than guessing does.
SMALLEST_PARAMETERS, FEWEST_TOKENS = 50e6, 5e8


@dataclass(frozen=True)
class Best:
    """The compute-optimal size for a number of operations."""

    parameters: float
    tokens: float
    loss: float


def law_of(law: str | Law) -> Law:
    """Return a law by its name; one that was fitted on own runs is taken as it is."""
    if isinstance(law, Law):
        return law
    if law not in LAWS:
        raise Problem(f"no scaling law is named {law!r}", remedy=f"choose one of: {', '.join(LAWS)}")
    return LAWS[law]


def in_range(parameters: float, tokens: float) -> bool:
    """Tell whether a run is near enough to what the laws were measured on."""
    return parameters >= SMALLEST_PARAMETERS and tokens >= FEWEST_TOKENS


def expected_loss(parameters: float, tokens: float, law: str | Law = "besiroglu") -> float:
    """Return the loss in nats per token that the law expects."""
    one = law_of(law)
    return one.E + one.A / math.pow(parameters, one.alpha) + one.B / math.pow(tokens, one.beta)


def best_tokens(parameters: float, law: str | Law = "besiroglu") -> float:
    """Return the tokens for which this size is compute-optimal: both terms fall alike when N grows and D shrinks."""
    one = law_of(law)
    return math.pow(one.beta * one.B * parameters**one.alpha / (one.alpha * one.A), 1 / one.beta)


def best_parameters(tokens: float, law: str | Law = "besiroglu") -> float:
    """Return the size for which so many tokens are compute-optimal: best_tokens turned around."""
    one = law_of(law)
    return math.pow(one.alpha * one.A * tokens**one.beta / (one.beta * one.B), 1 / one.alpha)


def best(flops: float, law: str | Law = "besiroglu") -> Best:
    """Return the size and tokens with the lowest expected loss for C = 6 N D operations."""
    one = law_of(law)
    exponents = one.alpha + one.beta
    G = math.pow(one.alpha * one.A / (one.beta * one.B), 1 / exponents)
    parameters = G * math.pow(flops / 6, one.beta / exponents)
    tokens = flops / 6 / parameters
    return Best(parameters, tokens, expected_loss(parameters, tokens, law))
