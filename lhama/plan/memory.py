"""The memory of training by part: a recipe, a device and a precision go in; bytes come out, and the rows that fit.

docs/tune.md compares it with measured peaks. The subtle thing: what is kept for the backward pass depends on how steps
are computed, so this follows the network's own decisions (computing.py): compiled or not, attention in blocks or not,
how many logits at once. T is the sequence.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from lhama.plan.arithmetic import expected_seconds, parameters, token_bytes, width
from lhama.plan.computing import BLOCK, LONGEST, WORTH_COMPILING, tokens_with_logits
from lhama.plan.hardware import Accelerator
from lhama.plan.layout import Recipe
from lhama.plan.schedule import total_tokens


@dataclass(frozen=True)
class Memory:
    """Bytes at the peak of training, by part: of one accelerator, or of the process that trains on a processor."""

    weights: int
    """Masters in 32 bits."""
    gradients: int
    moments: int
    compute_copy: int
    activations_per_row: int
    rows: int
    available: int
    logits: int = 0
    """What the loss needs: logits of a slice of tokens and the head's gradient. Or, where that is more, what the end of
    the backward pass needs beyond the room of the rows: the gradients of all weights as the products gave them."""
    program: int = 0
    """The interpreter, torch and what its kernels keep; an accelerator's own is in the tenth that is left free."""
    snapshot: int = 0
    """The copy that a thread writes to the disk; of an accelerator it is in the host's memory."""
    tokens: int = 0
    """Token files in memory, at most; of an accelerator they are in the host's memory."""

    @property
    def fixed(self) -> int:
        """Return what does not depend on the rows that go through at once."""
        return self.weights + self.gradients + self.moments + self.compute_copy

    @property
    def beside(self) -> int:
        """Return what neither the network's size nor the rows decide about alone."""
        return self.logits + self.program + self.snapshot + self.tokens

    @property
    def total(self) -> int:
        """Return all bytes with the chosen number of rows."""
        return self.fixed + self.beside + self.rows * self.activations_per_row

    @property
    def fits(self) -> bool:
        """Tell whether training fits with a tenth to spare for the libraries and fragmentation."""
        return self.total <= 0.9 * self.available


def memory(recipe: Recipe, device: Accelerator, precision: str) -> Memory:
    """Count the memory of training, with the recipe's micro-batch or the largest power of two that fits.

    Per parameter 4 bytes each of weight and gradient and 8 of AdamW's two moments (Rajbhandari et al. 2020, ZeRO,
    section 3.1, with 32-bit gradients), and 2 of a bf16 copy; where weights are sharded, accelerators share them all.
    On a processor it is the whole process (docs/tune.md compares with measured peaks).
    """
    count, on_cpu = parameters(recipe.model, recipe.tokens.vocabulary)["total"], device.name == "cpu"
    share = math.ceil(count / shards(recipe, precision, device.memory_bytes))
    way = Way.of(recipe, device, precision)
    per_row = _bytes_per_row(recipe, way)
    beside = {
        "program": (PROGRAM_COMPILED if way.compiled else PROGRAM) if on_cpu else 0,
        "snapshot": 12 * count if on_cpu and recipe.train.save_in_background else 0,
        "tokens": _tokens_in_memory(recipe, device) if on_cpu else 0,
    }
    fixed = share * _bytes_per_parameter(precision)
    rows_per_step = max(1, recipe.train.batch_tokens // recipe.tokens.sequence // recipe.hardware.count)
    room = 0.9 * device.memory_bytes - fixed - sum(beside.values())
    fitting = max(1, int(room - _bytes_beside_rows(recipe, way, 1)) // per_row)
    most = min(rows_per_step, 2 ** int(math.log2(fitting)))
    if on_cpu:
        most = min(most, max(1, TOKENS_AT_ONCE // recipe.tokens.sequence))
    rows = recipe.train.micro_batch or most
    return Memory(
        weights=4 * share,
        # A compiled backward pass hands over all gradients at once, and malloc has not joined up what it freed by then.
        gradients=(4 + (way.width if on_cpu and way.compiled else 0)) * share,
        moments=8 * share,
        compute_copy=2 * share if way.width == 2 else 0,
        activations_per_row=per_row,
        rows=rows,
        available=device.memory_bytes,
        logits=_bytes_beside_rows(recipe, way, rows),
        **beside,
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
    way = Way(width(precision), compiled=True, on_cpu=False)
    rows = recipe.train.micro_batch or 1
    return fixed + rows * _bytes_per_row(recipe, way) + _bytes_beside_rows(recipe, way, rows) <= 0.9 * available


HELD_SHARE = 0.1  # of the memory may go to whole weights and gradients that stay between micro-batches


def held(recipe: Recipe, precision: str, available: int) -> bool:
    """Tell whether sharded training has room to keep whole weights and float32 gradients while a step lasts."""
    return (width(precision) + 4) * parameters(recipe.model, recipe.tokens.vocabulary)[
        "total"
    ] <= HELD_SHARE * available


def _bytes_per_parameter(precision: str) -> int:
    return 16 + (2 if width(precision) == 2 else 0)


TOKENS_AT_ONCE = 4096  # on a processor: more no longer fits the caches, fewer waste the matrix units (docs/log.md)
# Of a process on a processor: what it holds before a model is built (326 MB), and kernels once they ran; with what
# compilation leaves behind. Measured with torch 2.13 (docs/log.md, 2026-11-21).
PROGRAM, PROGRAM_COMPILED = 356_000_000, 550_000_000
# What malloc holds for each byte that uncompiled steps keep on a processor: freed memory stays in the heap for the next
# step (train/allocator.py), and blocks of many sizes leave gaps. Same measurements; compiled steps have few blocks.
HEAP = 1.71


@dataclass(frozen=True)
class Way:
    """How steps are computed, as far as memory depends on it."""

    width: int
    """Bytes of a number in products."""
    compiled: bool
    on_cpu: bool

    @classmethod
    def of(cls, recipe: Recipe, device: Accelerator, precision: str) -> Way:
        """Decide as training will; an accelerator's steps are taken for compiled unless the recipe says off."""
        asked = recipe.train.compile
        if device.name != "cpu":
            return cls(width(precision), compiled=asked != "off", on_cpu=False)
        long = expected_seconds(recipe, device, precision) >= WORTH_COMPILING
        return cls(width(precision), asked == "on" or (asked == "auto" and long), on_cpu=True)


def _bytes_per_row(recipe: Recipe, way: Way) -> int:
    """Count what a row takes until the backward pass is done."""
    kept = _kept_per_token(recipe, way)
    if way.on_cpu and not way.compiled:
        # In the backward pass of a layer the gradients of the SwiGLU's parts stand beside what is kept.
        kept = int(HEAP * kept) + 8 * way.width * recipe.model.intermediate_size
    return recipe.tokens.sequence * kept


def _kept_per_token(recipe: Recipe, way: Way) -> int:
    """Count the bytes that the forward pass keeps for one token until the backward pass.

    Compare Korthikanti et al. 2022, arXiv 2205.05198, section 4.1. Selective checkpointing keeps the input, the results
    of the products and what attention returns; full keeps the input, and all of the one layer whose backward pass runs.
    """
    model, how = recipe.model, recipe.train.gradient_checkpointing
    query, shared = model.heads * model.head_width, model.key_value * model.head_width
    layer = _layer_kept_per_token(recipe, way)
    ends = 2 * model.hidden_size * way.width
    if how == "off":
        return model.layers * layer + ends
    products = 2 * (query + shared) + 2 * model.hidden_size + 2 * model.intermediate_size if how == "selective" else 0
    if products and way.compiled and not way.on_cpu:
        products -= model.hidden_size  # what down gives is the next layer's input
    return model.layers * (model.hidden_size + products) * way.width + layer + ends


def _layer_kept_per_token(recipe: Recipe, way: Way) -> int:
    """Count the bytes that one layer keeps for one token.

    Compiled: both norms' inputs and outputs (4 d), queries, keys, values and what attention returns, queries and keys
    once more as they were turned, and the SwiGLU's gate, up and product. Not compiled, norms keep their input and its
    quotient in 32 bits beside their output, and the activated gate is kept, too. Attention in blocks keeps
    probabilities, in 32 bits and in bf16.
    """
    model, wide, T = recipe.model, way.width, recipe.tokens.sequence
    query, shared = model.heads * model.head_width, model.key_value * model.head_width
    attention, swiglu = (3 * query + 3 * shared) * wide + 4 * model.heads, 3 * model.intermediate_size * wide
    if not way.compiled:
        return 2 * (8 + wide) * model.hidden_size + attention + swiglu + model.intermediate_size * wide
    if not way.on_cpu:
        return 4 * model.hidden_size * wide + attention + swiglu
    blocks = wide == 2 and BLOCK < T <= LONGEST and recipe.train.attention == "auto"
    probabilities = (T + BLOCK) // 2 * model.heads * (4 + wide) if blocks else 0
    return (4 * model.hidden_size + 2 * query + 3 * shared) * wide + probabilities + swiglu


SWIGLU_GRADIENTS = 6  # numbers of intermediate size that the backward pass of an uncompiled SwiGLU makes for a token


def _bytes_beside_rows(recipe: Recipe, way: Way, rows: int) -> int:
    """Count what the worst of three moments takes beyond what the rows keep.

    They are the loss, the gradients of the last layer, and those of the first: there the rows need little any more, but
    the gradients of all weights are there, which are added to the sums in 32 bits once the backward pass is over. (A
    compiled step on a processor counts them among the gradients; its uncompiled rows include the last layer's.)
    """
    loss = _bytes_of_loss(recipe, way, rows)
    if way.on_cpu and way.compiled:
        return loss
    tokens, weights = rows * recipe.tokens.sequence, parameters(recipe.model, recipe.tokens.vocabulary)["total"]
    made = 0 if way.compiled else SWIGLU_GRADIENTS * recipe.model.intermediate_size * way.width
    layer = recipe.model.hidden_size * way.width + _layer_kept_per_token(recipe, way) + made
    first = weights * way.width + tokens * layer - rows * _bytes_per_row(recipe, way)
    return max(loss, first, 0 if way.on_cpu else tokens * made)


def _bytes_of_loss(recipe: Recipe, way: Way, rows: int) -> int:
    """Count what the loss takes beyond the room that the backward pass of a recomputed layer needs anyway.

    Logits of a slice of tokens in the products' type and their logarithms in 32 bits, the slope twice; of the head's
    gradient a sum in 32 bits, a summand and a copy.
    """
    vocabulary, tokens = recipe.tokens.vocabulary, rows * recipe.tokens.sequence
    slice_tokens = recipe.train.loss_tokens or tokens_with_logits(vocabulary, way.compiled)
    logits = min(tokens, slice_tokens) * vocabulary * (4 + 3 * way.width)
    head = vocabulary * recipe.model.hidden_size * (4 + 2 * way.width)
    again = recipe.train.gradient_checkpointing != "off"
    return max(0, logits + head - (tokens * _layer_kept_per_token(recipe, way) if again else 0))


def _tokens_in_memory(recipe: Recipe, device: Accelerator) -> int:
    """Return the bytes of the token files that are read whole, at most: where nothing is repeated."""
    size = token_bytes(recipe.tokens.vocabulary) * total_tokens(recipe)
    small = recipe.train.data == "auto" and recipe.train.stream is None and 4 * size <= device.memory_bytes
    return size if recipe.train.data == "memory" or small else 0
