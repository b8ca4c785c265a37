"""What repeated text is worth: the data-constrained law of Muennighoff et al. 2023 (arXiv 2305.16264, section 3.2).

In: N parameters, D tokens of training and U tokens of text. Out: the loss to expect. Text that is read R_D more times
counts as U + U r (1 - exp(-R_D / r)) tokens with r = 15.39: four times are worth 3.7 times new text, and no number of
times is worth more than 16.4. Parameters beyond those that U would best train fade likewise, with r = 5.31.
The subtle thing: the constants of repetition were fitted together with that paper's own law for new text; with the
refit's law, which is our default elsewhere, they are put on another ground, as both say about 20 tokens a parameter.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from lhama.plan.scaling import Best, Law, best, best_parameters, expected_loss

REPEATED_TOKENS = 15.387756  # R_D*: after so many repetitions one more is worth 1/e of new text
EXCESS_PARAMETERS = 5.309743  # R_N*: the same for parameters beyond the best number


def fading(unique: float, repetitions: float, constant: float) -> float:
    """Return what `unique` is worth when it comes again and again: equation 5 of the paper."""
    return unique + unique * constant * -math.expm1(-repetitions / constant)


def effective_tokens(tokens: float, unique: float) -> float:
    """Return how many tokens of new text would teach as much as these of a text that has `unique`."""
    if tokens <= unique:
        return tokens
    return fading(unique, tokens / unique - 1, REPEATED_TOKENS)


def effective_parameters(parameters: float, unique: float, law: str | Law = "besiroglu") -> float:
    """Return how many parameters would learn as much from so much text if none of them were too many."""
    useful = min(parameters, best_parameters(unique, law))
    return fading(useful, parameters / useful - 1, EXCESS_PARAMETERS)


def constrained_loss(parameters: float, tokens: float, unique: float, law: str | Law = "besiroglu") -> float:
    """Return the loss in nats per token after so many tokens of a text that has `unique`."""
    text = min(tokens, unique)
    return expected_loss(effective_parameters(parameters, text, law), effective_tokens(tokens, text), law)


def best_constrained(flops: float, unique: float, law: str | Law = "besiroglu") -> Best:
    """Return the best size and tokens for C = 6 N D operations where the text has only `unique` tokens.

    No closed form is known; the loss has one minimum over log N, which halving the interval finds.
    """
    start = best(flops, law).parameters

    def loss(logarithm: float) -> float:
        parameters = math.exp(logarithm)
        return constrained_loss(parameters, flops / 6 / parameters, unique, law)

    parameters = math.exp(lowest(loss, math.log(start / 1e3), math.log(start * 10)))
    tokens = flops / 6 / parameters
    return Best(parameters, tokens, constrained_loss(parameters, tokens, unique, law))


def lowest(function: Callable[[float], float], low: float, high: float) -> float:
    """Return where a function with one minimum between two points is lowest, by golden sections (Kiefer 1953)."""
    ratio = (math.sqrt(5) - 1) / 2
    for _ in range(100):
        left, right = high - ratio * (high - low), low + ratio * (high - low)
        if function(left) < function(right):
            high = right
        else:
            low = left
    return (low + high) / 2
