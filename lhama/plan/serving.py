"""The size for a model that will be used a lot, training and use together: Sardana et al. 2024, arXiv 2401.00448.

In: the loss that is wanted and the tokens that the model will read and write in its life. Out: the size and the
training tokens with the fewest operations for both, 6 N D + 2 N S. The more it is used, the smaller and the longer
trained it should be. The subtle thing: laws fitted near 20 tokens a parameter promise too much of very long training
(their abstract), so an answer of thousands of tokens a parameter is a direction, not a number.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from lhama.plan.repetition import lowest
from lhama.plan.scaling import Law, law_of


@dataclass(frozen=True)
class Served:
    """A size, its training tokens, and what training and serving take together."""

    parameters: float
    tokens: float
    flops: float


def tokens_to_reach(loss: float, parameters: float, law: str | Law = "besiroglu") -> float:
    """Return the tokens after which a size reaches a loss; infinite where it never does."""
    one = law_of(law)
    left = loss - one.E - one.A / math.pow(parameters, one.alpha)
    return math.inf if left <= 0 else math.pow(one.B / left, 1 / one.beta)


def best_served(loss: float, served: float, law: str | Law = "besiroglu") -> Served:
    """Return the size that reaches a loss with the fewest operations, `served` tokens of use included."""
    one = law_of(law)
    smallest = math.pow(one.A / (loss - one.E), 1 / one.alpha)  # that reaches it, with endless text

    def operations(logarithm: float) -> float:
        parameters = math.exp(logarithm)
        return parameters * (6 * tokens_to_reach(loss, parameters, one) + 2 * served)

    # A little above the smallest size: nearer, the tokens of training are infinite.
    found = lowest(operations, math.log(smallest * (1 + 1e-9)), math.log(smallest * 1e6))
    parameters = math.exp(found)
    return Served(parameters, tokens_to_reach(loss, parameters, one), operations(found))
