"""A recipe's plan before anything is spent: does it fit, how long, what money, electricity, carbon, disk, which loss.

In goes a recipe and, where there is one, a measured throughput; out comes a dict that goes to plan.json as it is, with
machine-readable parts and, under "tables", the same in plain words. A recipe over a limit of its [budget] is refused
with what would fit. Only training is counted: the other stages run on processors and take a small part of it.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from lhama.plan.arithmetic import (
    flops_per_token,
    parameters,
    peak,
    precision_on,
    training_flops,
)
from lhama.plan.bill import bill, price_per_hour, watts
from lhama.plan.communication import NETWORKS, scaling
from lhama.plan.disk import disk
from lhama.plan.hardware import Accelerator, accelerator
from lhama.plan.layout import Recipe
from lhama.plan.limits import refuse_over_budget
from lhama.plan.memory import Memory, memory
from lhama.plan.plan_text import tables
from lhama.plan.repetition import constrained_loss, effective_tokens
from lhama.plan.scaling import LAWS, best, best_tokens, expected_loss, in_range
from lhama.plan.schedule import phases, total_steps, total_tokens
from lhama.plan.serving import best_served

__all__ = ["flops_per_token", "memory", "parameters", "plan"]


def plan(recipe: Recipe, throughput: float | None = None) -> dict[str, Any]:
    """Plan a recipe, and refuse it where it is over its budget; throughput is in measured tokens per second."""
    device = accelerator(recipe.hardware.accelerator)
    precision = precision_on(recipe, device)
    room = memory(recipe, device, precision)
    asked = bill(recipe, throughput)
    refuse_over_budget(recipe, asked, throughput)
    grid, grid_source = recipe.hardware.grid
    planned: dict[str, Any] = {
        "recipe": recipe.name,
        "machine": {
            "accelerator": device.name,
            "label": device.label,
            "count": recipe.hardware.count,
            "precision": precision,
            "peak_flops_per_second": peak(device, precision) * recipe.hardware.count,
            "price_per_hour": price_per_hour(recipe, device),
            "watts": watts(recipe, device),
            "grid_gco2e_per_kwh": grid,
            "grid_source": grid_source,
        },
        "model": _model(recipe),
        "training": _training(recipe),
        "memory": _memory(room),
        "time": {
            "tokens_per_second": asked.tokens_per_second,
            "source": asked.source,
            "utilization": asked.utilization,
            "scaling_efficiency": asked.efficiency,
            "hours": asked.hours,
        },
        "energy": {"kwh": asked.kwh, "kgco2e": asked.kgco2e},
        "money": {"amount": asked.money, "currency": recipe.budget.currency},
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
        "activations_per_row": room.activations_per_row,
        "rows_at_once": room.rows,
        "logits": room.logits,
        "snapshot": room.snapshot,
        "tokens": room.tokens,
        "program": room.program,
        "total": room.total,
        "available": room.available,
        "fits": room.fits,
    }


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
    found["repeated"] = _repeated(count, tokens, recipe.budget.tokens_available)
    found["served"] = _served(count, tokens, recipe.budget.tokens_served)
    for name in ("hoffmann", "besiroglu"):
        law, ideal = LAWS[name], best(6.0 * count * tokens, name)
        found[name] = {
            "law": law.name,
            "nats_per_token": expected_loss(count, tokens, name),
            "best_tokens_for_this_size": best_tokens(count, name),
            "best_parameters_for_this_compute": ideal.parameters,
            "best_tokens_for_this_compute": ideal.tokens,
            "nats_per_token_there": ideal.loss,
        }
    return found


def _repeated(count: int, tokens: int, unique: int | None) -> dict[str, float] | None:
    """Return what text that is read several times is worth; None where it is not repeated or not counted."""
    if unique is None or tokens <= unique:
        return None
    return {
        "tokens_available": unique,
        "epochs": tokens / unique,
        "worth_tokens": effective_tokens(tokens, unique),
        "nats_per_token": constrained_loss(count, tokens, unique),
    }


def _served(count: int, tokens: int, served: int | None) -> dict[str, float] | None:
    """Return the size that would reach the same loss with the fewest operations over the model's life."""
    if served is None:
        return None
    found = best_served(expected_loss(count, tokens), served)
    return {
        "tokens_served": served,
        "parameters": found.parameters,
        "tokens": found.tokens,
        "share_of_operations": found.flops / (count * (6.0 * tokens + 2.0 * served)),
    }
