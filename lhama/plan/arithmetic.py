"""What a recipe takes, as plain arithmetic: parameters, operations, memory, disk. Each formula names its source.

`Llama.parameters_by_role` and `Llama.flops_per_token` count the same things on the real network; a test holds them
equal. T is the sequence, V the vocabulary, L the layers, H the heads, D the width of a head.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

from lhama.plan.fields_model import Model
from lhama.plan.hardware import Accelerator
from lhama.plan.layout import Recipe
from lhama.plan.schedule import phases, total_tokens


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


@dataclass(frozen=True)
class Memory:
    """Bytes on one accelerator while training."""

    weights: int
    gradients: int
    moments: int
    compute_copy: int
    activations_per_row: int
    rows: int
    available: int

    @property
    def fixed(self) -> int:
        """Return what does not depend on the rows that go through at once."""
        return self.weights + self.gradients + self.moments + self.compute_copy

    @property
    def total(self) -> int:
        """Return all bytes with the chosen number of rows."""
        return self.fixed + self.rows * self.activations_per_row

    @property
    def fits(self) -> bool:
        """Tell whether training fits with a tenth to spare for the libraries and fragmentation."""
        return self.total <= 0.9 * self.available


def memory(recipe: Recipe, device: Accelerator, precision: str) -> Memory:
    """Count the memory of training, with the recipe's micro-batch or the largest power of two that fits.

    Per parameter 4 bytes each of weight and gradient and 8 of AdamW's two moments (Rajbhandari et al. 2020, ZeRO,
    section 3.1, with 32-bit gradients), and 2 of a bf16 copy; where weights are sharded, accelerators share them all.
    """
    sequence, half = recipe.tokens.sequence, precision in ("bf16", "fp16")
    share = math.ceil(
        parameters(recipe.model, recipe.tokens.vocabulary)["total"] / shards(recipe, precision, device.memory_bytes)
    )
    per_row = _bytes_per_row(recipe, precision)
    fixed = share * _bytes_per_parameter(precision)
    rows_per_step = max(1, recipe.train.batch_tokens // sequence // recipe.hardware.count)
    fitting = max(1, int(0.9 * device.memory_bytes - fixed) // per_row)
    rows = recipe.train.micro_batch or min(rows_per_step, 2 ** int(math.log2(fitting)))
    return Memory(
        weights=4 * share,
        gradients=4 * share,
        moments=8 * share,
        compute_copy=2 * share if half else 0,
        activations_per_row=per_row,
        rows=rows,
        available=device.memory_bytes,
    )


NODE = 8  # accelerators in a usual machine


def shards(recipe: Recipe, precision: str, available: int) -> int:
    """Return over how many accelerators of so many bytes weights, gradients and moments are divided; 1: over none."""
    count, asked = recipe.hardware.count, recipe.train.parallel
    if asked == "ddp" or (asked == "auto" and replicated_fits(recipe, precision, available)):
        return 1
    return min(count, NODE) if asked == "hybrid" else count


def replicated_fits(recipe: Recipe, precision: str, available: int) -> bool:
    """Tell whether each accelerator has room for all of the model and its optimizer, and a micro-batch."""
    fixed = parameters(recipe.model, recipe.tokens.vocabulary)["total"] * _bytes_per_parameter(precision)
    return fixed + (recipe.train.micro_batch or 1) * _bytes_per_row(recipe, precision) <= 0.9 * available


HELD_SHARE = 0.1  # of the memory may go to whole weights and gradients that stay between micro-batches


def held(recipe: Recipe, precision: str, available: int) -> bool:
    """Tell whether sharded training has room to keep whole weights and float32 gradients while a step lasts."""
    width = 2 if precision in ("bf16", "fp16") else 4
    return (width + 4) * parameters(recipe.model, recipe.tokens.vocabulary)["total"] <= HELD_SHARE * available


def _bytes_per_parameter(precision: str) -> int:
    return 18 if precision in ("bf16", "fp16") else 16


def _bytes_per_row(recipe: Recipe, precision: str) -> int:
    width = 2 if precision in ("bf16", "fp16") else 4
    kept = _kept_per_token(recipe.model, recipe.train.gradient_checkpointing) * width
    return recipe.tokens.sequence * (kept + 4 * recipe.tokens.vocabulary // LOGIT_CHUNKS)


# Full-precision logits exist for a part of a row at a time, forward and backward.
LOGIT_CHUNKS = 4


def _kept_per_token(model: Model, checkpointing: str) -> int:
    """Count the numbers that the forward pass keeps for one token until the backward pass (fused attention).

    Per layer: both norms' inputs and outputs (4 d), queries, keys, values and what attention returns, and the SwiGLU's
    gate, up, activated gate and product. Compare Korthikanti et al. 2022, arXiv 2205.05198, section 4.1. Selective
    checkpointing keeps the input, the results of the products and what attention returns; full keeps the input, and all
    of the one layer whose backward pass runs.
    """
    attention = 2 * model.heads * model.head_width + 2 * model.key_value * model.head_width
    layer = 4 * model.hidden_size + attention + 4 * model.intermediate_size
    ends = 2 * model.hidden_size
    if checkpointing == "off":
        return model.layers * layer + ends
    products = attention + 2 * model.hidden_size + 2 * model.intermediate_size if checkpointing == "selective" else 0
    return model.layers * (model.hidden_size + products) + layer + ends


def checkpoints(recipe: Recipe) -> tuple[int, int]:
    """Count the rolling checkpoints that lie on disk at once (one more while saving) and those of the suite."""
    end = total_tokens(recipe)
    suite = end // recipe.train.suite_every if recipe.train.suite_every else 0
    return min(recipe.train.keep, math.ceil(end / (recipe.train.save_every or end))) + 1, suite


def disk(recipe: Recipe) -> dict[str, int]:
    """Count the bytes of the run folder's large parts; the corpus is left out, for its size is not known yet.

    A checkpoint holds 4 bytes a parameter of weights and 8 of moments. Token files hold each distinct token once; the
    plan takes the training tokens as the most they can be when nothing is repeated.
    """
    one = 12 * parameters(recipe.model, recipe.tokens.vocabulary)["total"]
    rolling, suite = checkpoints(recipe)
    width = 2 if recipe.tokens.vocabulary <= 65_536 else 4
    parts = {
        "tokens_at_most": width * total_tokens(recipe),
        "rolling_checkpoints": rolling * one,
        "suite_checkpoints": suite * one,
    }
    return parts | {"total": sum(parts.values())}


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


def peak(device: Accelerator, precision: str) -> float:
    """Return the peak FLOP/s of a device for products in a precision that it has."""
    if precision in ("bf16", "fp16") and device.bf16 is not None:
        return device.bf16  # tensor cores multiply both at one speed
    return device.tf32 if precision == "tf32" and device.tf32 is not None else device.fp32


def training_flops(recipe: Recipe) -> float:
    """Return the operations of the whole run, attention counted as causal."""
    per_token = flops_per_token(recipe.model, recipe.tokens.vocabulary, recipe.tokens.sequence)
    return float(per_token["causal"] * sum(one.steps * one.batch_tokens for one in phases(recipe)))
