"""The limits of a recipe's [budget]: a plan over one of them is refused, with what would fit.

In: a recipe and its bill. Out: nothing, or a Problem that names the limit, all others that are exceeded, the tokens
that would fit and the largest smaller model that would see all of them.
"""

from __future__ import annotations

from lhama.plan.arithmetic import flops_per_token, parameters
from lhama.plan.bill import Bill, bill
from lhama.plan.layout import Recipe
from lhama.plan.problem import Problem
from lhama.plan.schedule import total_tokens
from lhama.plan.shapes import ladder

LIMITS = {"money": "", "hours": "hours", "kwh": "kWh", "kgco2e": "kgCO2e"}


def refuse_over_budget(recipe: Recipe, asked: Bill, throughput: float | None = None) -> None:
    """Refuse a plan over one of the recipe's limits, and say what would fit."""
    limits = recipe.budget
    if limits.money is not None and asked.money is None:
        raise Problem(
            f"cannot be checked: the price of the machine in {limits.currency} is unknown",
            key="budget.money",
            remedy="set hardware.price_per_hour",
        )
    over = sorted(exceeded(recipe, asked))
    if not over:
        return
    share, name = over[0]
    unit = LIMITS[name] or limits.currency
    also = ", ".join(f"budget.{other}" for _, other in over[1:])
    raise Problem(
        f"training takes {asked.of(name):,.4g} {unit} and {getattr(limits, name):,.4g} are allowed"
        + (f" (also over: {also})" if also else ""),
        key=f"budget.{name}",
        remedy=f"{_fewer_tokens(recipe, share)}{_smaller_model(recipe, throughput)}, "
        "or raise the limit, or name a cheaper or faster hardware.accelerator",
    )


def exceeded(recipe: Recipe, asked: Bill) -> list[tuple[float, str]]:
    """Return the limits that a bill is over, each with the share of the training that it allows."""
    found = []
    for name in LIMITS:
        limit, spent = getattr(recipe.budget, name), asked.of(name)
        if limit is not None and spent is not None and spent > limit:
            found.append((limit / spent, name))
    return found


def _fewer_tokens(recipe: Recipe, share: float) -> str:
    wanted, batch = total_tokens(recipe), recipe.train.batch_tokens
    fitting = int(wanted * share) // batch * batch
    if not fitting:
        return "not even one step would fit"
    key = "train.phase" if recipe.train.phase else "train.tokens"
    return f"{fitting:,} of the {wanted:,} tokens would fit ({key})"


def _smaller_model(recipe: Recipe, throughput: float | None) -> str:
    """Name the largest shape of the ladder below the recipe's that sees all tokens within every limit."""
    vocabulary, sequence = recipe.tokens.vocabulary, recipe.tokens.sequence
    count = parameters(recipe.model, vocabulary)["total"]
    per_token = flops_per_token(recipe.model, vocabulary, sequence)["palm"]
    for shape in reversed(ladder()):
        model, size = shape.model, parameters(shape.model, vocabulary)["total"]
        if size >= count:
            continue
        smaller = recipe.model_copy(update={"model": model})
        # A measured speed is of the recipe's own shape: another one is as fast as it has fewer operations.
        ratio = per_token / flops_per_token(model, vocabulary, sequence)["palm"]
        if not exceeded(smaller, bill(smaller, None if throughput is None else throughput * ratio)):
            return (
                f", or all of them with {size / 1e6:,.0f} million parameters (model.hidden_size {model.hidden_size}, "
                f"intermediate_size {model.intermediate_size}, layers {model.layers}, heads {model.heads})"
            )
    return ""
