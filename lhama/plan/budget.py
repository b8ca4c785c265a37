"""A recipe's plan before anything is spent: does it fit, how long, what money, electricity, carbon, disk, which loss.

In goes a recipe and, where there is one, a measured throughput; out comes a dict that goes to plan.json as it is, with
machine-readable parts and, under "tables", the same in plain words. A recipe over a limit of its [budget] is refused
with what would fit. Only training is counted: the other stages run on processors and take a small part of it.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from lhama.plan.arithmetic import (
    Memory,
    disk,
    expected_utilization,
    flops_per_token,
    memory,
    parameters,
    peak,
    precision_on,
    training_flops,
)
from lhama.plan.communication import NETWORKS, scaling
from lhama.plan.hardware import Accelerator, accelerator, grid_factor
from lhama.plan.layout import Recipe
from lhama.plan.plan_text import tables
from lhama.plan.problem import Problem
from lhama.plan.scaling import LAWS, best, best_tokens, expected_loss, in_range
from lhama.plan.schedule import phases, total_steps, total_tokens

__all__ = ["flops_per_token", "memory", "parameters", "plan"]


@dataclass(frozen=True)
class Bill:
    """What training takes; None where a price is unknown."""

    tokens_per_second: float
    source: str
    utilization: float
    hours: float
    kwh: float
    kgco2e: float
    money: float | None


def plan(recipe: Recipe, throughput: float | None = None) -> dict[str, Any]:
    """Plan a recipe, and refuse it where it is over its budget; throughput is in measured tokens per second."""
    device = accelerator(recipe.hardware.accelerator)
    precision = precision_on(recipe, device)
    room = memory(recipe, device, precision)
    bill = _bill(recipe, device, precision, throughput)
    _refuse_over_budget(recipe, bill)
    grid, grid_source = _grid(recipe)
    planned: dict[str, Any] = {
        "recipe": recipe.name,
        "machine": {
            "accelerator": device.name,
            "label": device.label,
            "count": recipe.hardware.count,
            "precision": precision,
            "peak_flops_per_second": peak(device, precision) * recipe.hardware.count,
            "price_per_hour": _price(recipe, device),
            "watts": _watts(recipe, device),
            "grid_gco2e_per_kwh": grid,
            "grid_source": grid_source,
        },
        "model": _model(recipe),
        "training": _training(recipe),
        "memory": _memory(room),
        "time": {
            "tokens_per_second": bill.tokens_per_second,
            "source": bill.source,
            "utilization": bill.utilization,
            "hours": bill.hours,
        },
        "energy": {"kwh": bill.kwh, "kgco2e": bill.kgco2e},
        "money": {"amount": bill.money, "currency": recipe.budget.currency},
        "disk": disk(recipe),
        "loss": _loss(recipe),
        "scaling": _scaling(recipe, device, precision, throughput),
        "budget": recipe.budget.model_dump(mode="json", exclude={"currency"}),
    }
    return planned | {"tables": tables(planned)}


def _model(recipe: Recipe) -> dict[str, Any]:
    vocabulary, sequence = recipe.tokens.vocabulary, recipe.tokens.sequence
    return {
        "parameters": parameters(recipe.model, vocabulary),
        "flops_per_token": flops_per_token(recipe.model, vocabulary, sequence),
        "vocabulary": vocabulary,
        "sequence": sequence,
    }


def _training(recipe: Recipe) -> dict[str, Any]:
    count = parameters(recipe.model, recipe.tokens.vocabulary)["total"]
    return {
        "tokens": total_tokens(recipe),
        "steps": total_steps(recipe),
        "batch_tokens": recipe.train.batch_tokens,
        "rows_per_step": recipe.train.batch_tokens // recipe.tokens.sequence,
        "tokens_per_parameter": total_tokens(recipe) / count,
        "flops": training_flops(recipe),
        "phases": [
            {
                "name": one.name,
                "tokens": one.steps * one.batch_tokens,
                "steps": one.steps,
                "batch_tokens": one.batch_tokens,
                "mixture": dict(one.mixture) if one.mixture else None,
                "learning_rate": one.learning_rate,
            }
            for one in phases(recipe)
        ],
    }


def _memory(room: Memory) -> dict[str, Any]:
    return {
        "weights": room.weights,
        "gradients": room.gradients,
        "moments": room.moments,
        "compute_copy": room.compute_copy,
        "activations": room.rows * room.activations_per_row,
        "rows_at_once": room.rows,
        "total": room.total,
        "available": room.available,
        "fits": room.fits,
    }


def _bill(recipe: Recipe, device: Accelerator, precision: str, throughput: float | None) -> Bill:
    """Turn tokens into hours, hours into kilowatt hours, and those into carbon and money."""
    hardware, vocabulary = recipe.hardware, recipe.tokens.vocabulary
    count = parameters(recipe.model, vocabulary)["total"]
    per_token = flops_per_token(recipe.model, vocabulary, recipe.tokens.sequence)["palm"]
    # 1) speed: measured, or the share of the peak that good stacks reach for this size
    everything = peak(device, precision) * hardware.count
    if throughput is None:
        rate, source = everything * expected_utilization(device, count) / per_token, "expected"
    else:
        rate, source = throughput, "measured"
    # 2) hours = tokens / speed
    hours = total_tokens(recipe) / rate / 3600
    # 3) kWh = (accelerators + host) x hours x PUE; 4) carbon = kWh x the grid's factor; 5) money = hours x price
    kwh = sum(_watts(recipe, device).values()) / 1000 * hours * hardware.pue
    price = _price(recipe, device)
    return Bill(
        tokens_per_second=rate,
        source=source,
        utilization=rate * per_token / everything,
        hours=hours,
        kwh=kwh,
        kgco2e=kwh * _grid(recipe)[0] / 1000,
        money=None if price is None else price * hardware.count * hours,
    )


def _watts(recipe: Recipe, device: Accelerator) -> dict[str, float]:
    """Return the draw of all accelerators and of their hosts: the recipe's numbers, or the table's."""
    hardware = recipe.hardware
    busy = device.watts if hardware.watts is None else hardware.watts
    host = device.host_watts if hardware.host_watts is None else hardware.host_watts
    return {"accelerators": busy * hardware.count, "host": host * hardware.count}


def _price(recipe: Recipe, device: Accelerator) -> float | None:
    """Return the price of one accelerator for an hour; the table speaks USD and nothing is converted."""
    if recipe.hardware.price_per_hour is not None:
        return recipe.hardware.price_per_hour
    return device.price_per_hour if recipe.budget.currency == "USD" else None


def _grid(recipe: Recipe) -> tuple[float, str]:
    if recipe.hardware.grid_gco2e_per_kwh is not None:
        return recipe.hardware.grid_gco2e_per_kwh, "the recipe"
    return grid_factor(recipe.hardware.country)


def _scaling(recipe: Recipe, device: Accelerator, precision: str, throughput: float | None) -> list[dict[str, Any]]:
    """Return what machines of 8 would do with the same batch; nothing for a device whose network is unknown."""
    if device.name not in NETWORKS:
        return []
    rate = None if throughput is None else throughput / recipe.hardware.count
    return [asdict(scaling(recipe, device, precision, count, rate)) for count in (8, 64, 512)]


def _loss(recipe: Recipe) -> dict[str, Any]:
    """Return what the laws expect, and the size and tokens that the same operations would best be spent on."""
    count, tokens = parameters(recipe.model, recipe.tokens.vocabulary)["total"], total_tokens(recipe)
    found: dict[str, Any] = {"in_range": in_range(count, tokens)}
    for name, law in LAWS.items():
        ideal = best(6.0 * count * tokens, name)
        found[name] = {
            "law": law.name,
            "nats_per_token": expected_loss(count, tokens, name),
            "best_tokens_for_this_size": best_tokens(count, name),
            "best_parameters_for_this_compute": ideal.parameters,
            "best_tokens_for_this_compute": ideal.tokens,
            "nats_per_token_there": ideal.loss,
        }
    return found


def _refuse_over_budget(recipe: Recipe, bill: Bill) -> None:
    """Refuse a plan over one of the recipe's limits, and say how many tokens would fit."""
    limits = recipe.budget
    if limits.money is not None and bill.money is None:
        raise Problem(
            f"cannot be checked: the price of the machine in {limits.currency} is unknown",
            key="budget.money",
            remedy="set hardware.price_per_hour",
        )
    wanted = {"money": bill.money or 0.0, "hours": bill.hours, "kwh": bill.kwh, "kgco2e": bill.kgco2e}
    units = {"money": limits.currency, "hours": "hours", "kwh": "kWh", "kgco2e": "kgCO2e"}
    allowed: dict[str, float | None] = {name: getattr(limits, name) for name in wanted}
    over = [(limit / wanted[name], name, limit) for name, limit in allowed.items() if limit and wanted[name] > limit]
    if not over:
        return
    share, name, limit = min(over)
    batch = recipe.train.batch_tokens
    fitting = int(total_tokens(recipe) * share) // batch * batch
    also = ", ".join(f"budget.{other}" for _, other, _ in sorted(over)[1:])
    raise Problem(
        f"training takes {wanted[name]:,.4g} {units[name]} and {limit:,.4g} are allowed"
        + (f" (also over: {also})" if also else ""),
        key=f"budget.{name}",
        remedy=f"{fitting:,} of the {total_tokens(recipe):,} tokens would fit (train.tokens), "
        "or raise the limit, or name a cheaper or faster hardware.accelerator",
    )
