"""What a recipe takes, as plain arithmetic: parameters, operations, speed. Each formula names its source.

`Llama.parameters_by_role` and `Llama.flops_per_token` count the same things on the real network; a test holds them
equal. T is the sequence, V the vocabulary, L the layers, H the heads, D the width of a head.
"""

from __future__ import annotations

import math
from itertools import pairwise

from lhama.plan.fields_model import Model
from lhama.plan.hardware import Accelerator
from lhama.plan.layout import Recipe
from lhama.plan.schedule import phases


def parameters(model: Model, vocabulary: int) -> dict[str, int]:
    """Count the parameters by role and in total; a tied head costs nothing and is counted as embedding."""
    hidden, heads_width = model.hidden_size, model.heads * model.head_width
    key_value_width = model.key_value * model.head_width
    roles = {
        "embedding": vocabulary * hidden,
        "attention": model.layers * hidden * (2 * heads_width + 2 * key_value_width),  # q and o, k and v
        "mlp": model.layers * 3 * hidden * model.intermediate_size,  # gate, up, down of SwiGLU
        "norm": (2 * model.layers + 1) * hidden,
        "head": 0 if model.tied else vocabulary * hidden,
    }
    return roles | {"total": sum(roles.values())}


def flops_per_token(model: Model, vocabulary: int, sequence: int) -> dict[str, int]:
    """Count the operations of one training token, forward and backward, in both conventions people use.

    causal: 6 N + 6 L H D T, attention over the T/2 tokens a causal token sees on average. palm: 6 N + 12 L H D T, the
    PaLM paper's (arXiv 2204.02311, appendix B), which most published utilizations use. N is what multiplies: attention,
    MLP and head, tied or not; the embedding is a look-up.
    """
    roles = parameters(model, vocabulary)
    multiplied = roles["attention"] + roles["mlp"] + vocabulary * model.hidden_size
    attention = 6 * model.layers * model.heads * model.head_width * sequence
    return {"causal": 6 * multiplied + attention, "palm": 6 * multiplied + 2 * attention}


# Utilization that good plain training stacks reach at T = 2,048, in the PaLM convention, by parameters. A100:
# Tucano-160m 45%, -630m 56%, TinyLlama 56%. H100 and H200: nanochat 41-50%, modded-nanogpt's plain trainer 37%, llm.c
# 40-50%. The point at 10M, the small cards and everything between are estimates until a run has measured the machine.
UTILIZATION = {
    "a100": ((10e6, 0.15), (160e6, 0.48), (460e6, 0.52), (1.1e9, 0.57)),
    "h100": ((10e6, 0.10), (160e6, 0.40), (460e6, 0.48), (1.1e9, 0.50)),
    "other": ((10e6, 0.15), (160e6, 0.40), (1.1e9, 0.45)),
}


def expected_utilization(device: Accelerator, count: int) -> float:
    """Return the expected share of the peak for a model of `count` parameters, interpolated over log N."""
    if device.name == "cpu":
        return 1.0  # the table of cores already says what training sustains
    family = {"a100-40": "a100", "a100-80": "a100", "h100": "h100", "h200": "h100"}.get(device.name, "other")
    points = UTILIZATION[family]
    if count <= points[0][0]:
        return points[0][1]
    for (low, share_low), (high, share_high) in pairwise(points):
        if count <= high:
            way = math.log(count / low) / math.log(high / low)
            return share_low + way * (share_high - share_low)
    return points[-1][1]


def precision_on(recipe: Recipe, device: Accelerator) -> str:
    """Return the arithmetic training will use: the recipe's, or bf16 where the device has it."""
    if recipe.train.precision != "auto":
        return recipe.train.precision
    return "bf16" if device.bf16 is not None else "fp32"


def width(precision: str) -> int:
    """Return the bytes of a number in products."""
    return 2 if precision in ("bf16", "fp16") else 4


def token_bytes(vocabulary: int) -> int:
    """Return the bytes of one token on disk and in memory."""
    return 2 if vocabulary <= 1 << 16 else 4


def peak(device: Accelerator, precision: str) -> float:
    """Return the peak FLOP/s of a device for products in a precision that it has."""
    if width(precision) == 2 and device.bf16 is not None:
        return device.bf16  # tensor cores multiply both at one speed
    return device.tf32 if precision == "tf32" and device.tf32 is not None else device.fp32


def training_flops(recipe: Recipe) -> float:
    """Return the operations of the whole run, attention counted as causal."""
    per_token = flops_per_token(recipe.model, recipe.tokens.vocabulary, recipe.tokens.sequence)
    return float(per_token["causal"] * sum(one.steps * one.batch_tokens for one in phases(recipe)))


def expected_seconds(recipe: Recipe, device: Accelerator, precision: str) -> float:
    """Estimate how long training takes on one device that no run has measured."""
    count = parameters(recipe.model, recipe.tokens.vocabulary)["total"]
    return training_flops(recipe) / (peak(device, precision) * expected_utilization(device, count))
