"""What several accelerators say to each other in a step, and how much faster they are than one: plain arithmetic.

In: a recipe, an accelerator and how many of it. Out: bytes, seconds of communication, seconds that no computation
hides, and the share of the accelerators' time that is left for training. The batch is the recipe's whatever the number,
so every accelerator has less to compute where there are more (strong scaling), and says the same.

    bytes that each accelerator sends in one operation among n, by rings (Thakur et al. 2005; Patarasuk & Yuan 2009)
    all-reduce of S       2 (n - 1) / n S        all-gather, reduce-scatter of S       (n - 1) / n S
    time                  bytes / bandwidth + (n - 1) or 2 (n - 1) hops

N weights; bf16 weights are 2 N bytes, float32 gradients 4 N. With m micro-batches a step:
    ddp       one all-reduce of 4 N
    fsdp      m times: all-gather 2 N for the forward and for the backward pass, reduce-scatter 4 N
              with room for whole weights and gradients: once all-gather 2 N and reduce-scatter 4 N
    hybrid    the same among the 8 of a machine, then one all-reduce of each shard, 4 N / 8, between machines
The subtle thing: a ring through several machines runs at the speed of its slowest link, and the network cards of a
machine work side by side. What is not counted: that small micro-batches compute less well, and neighbours' traffic.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from lhama.plan.arithmetic import expected_utilization, flops_per_token, parameters, peak
from lhama.plan.hardware import Accelerator
from lhama.plan.layout import Recipe
from lhama.plan.memory import NODE, held, shards

GIGABYTE = 1e9


@dataclass(frozen=True)
class Network:
    """Bytes a second, in one direction."""

    inside: float
    """Of one accelerator to the others of its machine."""
    between: float
    """Of a machine to other machines: all its network cards together."""


# Inside: what nccl-tests reach (bus bandwidth, large messages) of NVLink's 300 GB/s a direction on A100 (230-250); on
# H100, which has 450, an estimate without reduction inside the switch (460-480 with it), and twice that on B200; half
# of PCIe's rate for cards without NVLink. Between: eight HDR (200 Gbit/s, DGX A100) or NDR cards (400 Gbit/s, DGX
# H100), at 0.8 of the rate; one card of 100 Gbit/s for the others.
NETWORKS = {
    "t4": Network(8 * GIGABYTE, 10 * GIGABYTE),
    "l4": Network(16 * GIGABYTE, 10 * GIGABYTE),
    **dict.fromkeys(
        ("a10", "l40s", "rtx3090", "rtx-a6000", "rtx4090", "rtx5090"), Network(16 * GIGABYTE, 10 * GIGABYTE)
    ),
    "a100-40": Network(230 * GIGABYTE, 160 * GIGABYTE),
    "a100-80": Network(230 * GIGABYTE, 160 * GIGABYTE),
    "h100": Network(360 * GIGABYTE, 320 * GIGABYTE),
    "h200": Network(360 * GIGABYTE, 320 * GIGABYTE),
    "b200": Network(720 * GIGABYTE, 320 * GIGABYTE),
}
# Seconds of one hop of a ring, inside a machine and to the next one: estimates.
HOP, FAR_HOP = 1e-6, 5e-6
# The share of FSDP2's operations that runs beside the computation, as it gathers the next block ahead: an estimate.
HIDDEN = 0.9
# The share of a micro-batch's time that its backward pass takes: twice the products of the forward pass.
BACKWARD = 2 / 3


@dataclass(frozen=True)
class Scaling:
    """One step on so many accelerators."""

    count: int
    mode: str
    bytes_sent: float
    """By each accelerator."""
    communication: float
    """Seconds of communication."""
    exposed: float
    """Seconds of it in which nothing is computed."""
    computation: float
    """Seconds of computation."""
    tokens_per_second: float
    """Of all accelerators together."""
    efficiency: float
    """That, over what as many would do if each worked for itself; rows that do not divide evenly cost, too."""


def scaling(recipe: Recipe, device: Accelerator, precision: str, count: int, rate: float | None = None) -> Scaling:
    """Predict a step on `count` accelerators; `rate` is what one does alone, in tokens per second, where measured."""
    asked = recipe.model_copy(update={"hardware": recipe.hardware.model_copy(update={"count": count})})
    mode = _mode(asked, device, precision)
    weights = parameters(recipe.model, recipe.tokens.vocabulary)["total"]
    rows = math.ceil(recipe.train.batch_tokens / recipe.tokens.sequence / count)
    micro_batches = math.ceil(rows / (recipe.train.micro_batch or rows))
    room = held(recipe, precision, device.memory_bytes)
    sent, seconds = spoken(mode, weights, recipe.model.layers + 1, micro_batches, count, NETWORKS[device.name], room)
    per_token = flops_per_token(recipe.model, recipe.tokens.vocabulary, recipe.tokens.sequence)["palm"]
    alone = rate or peak(device, precision) * expected_utilization(device, weights) / per_token
    computation = rows * recipe.tokens.sequence / alone
    exposed = seconds - _hidden(recipe, mode, seconds, computation, micro_batches)
    together = recipe.train.batch_tokens / (computation + exposed)
    return Scaling(
        count=count,
        mode=mode,
        bytes_sent=sent,
        communication=seconds,
        exposed=exposed,
        computation=computation,
        tokens_per_second=together,
        efficiency=together / (count * alone),
    )


def _hidden(recipe: Recipe, mode: str, seconds: float, computation: float, micro_batches: int) -> float:
    """Return the seconds of communication that run beside the computation.

    ddp sends while the backward pass of the last micro-batch runs (lhama/train/replicated.py), but for the gradient of
    the embedding, which is there when that ends.
    """
    if mode != "ddp":
        return HIDDEN * min(seconds, computation)
    roles = parameters(recipe.model, recipe.tokens.vocabulary)
    early = 1 - roles["embedding"] / roles["total"]
    return min(early * seconds, BACKWARD * computation / micro_batches)


def spoken(
    mode: str, weights: int, parts: int, micro_batches: int, count: int, network: Network, room: bool = False
) -> tuple[float, float]:
    """Return the bytes each accelerator sends in a step, and the seconds that takes.

    A sharded model is gathered and scattered in `parts`, its blocks and the rest: once a step where there is room.
    """
    if count == 1:
        return 0.0, 0.0
    bandwidth = network.inside if count <= NODE else min(network.inside, network.between)
    if mode == "ddp":
        return _ring(2, 4 * weights, 1, count, bandwidth)
    times, size, operations = (1, 6 * weights, 2 * parts) if room else (micro_batches, 8 * weights, 3 * parts)
    if mode == "fsdp":
        sent, seconds = _ring(1, size, operations, count, bandwidth)
        return times * sent, times * seconds
    inside, near = _ring(1, size, operations, min(count, NODE), network.inside)
    machines = math.ceil(count / NODE)
    between, far = _ring(2, 4 * weights / NODE, parts, machines, network.between / NODE, FAR_HOP)
    return times * inside + between, times * near + far


def _ring(
    rounds: int, size: float, operations: int, count: int, bandwidth: float, hop: float | None = None
) -> tuple[float, float]:
    """Return bytes and seconds of operations that move `size` bytes in all, once or twice around a ring."""
    sent = rounds * (count - 1) / count * size
    machines = math.ceil(count / NODE)
    hops = (count - 1) * hop if hop is not None else (count - machines) * HOP + (machines - 1) * FAR_HOP
    return sent, sent / bandwidth + operations * rounds * hops


def _mode(recipe: Recipe, device: Accelerator, precision: str) -> str:
    """Say how training would share the work, as lhama/train/parallel.py decides."""
    if recipe.train.parallel != "auto":
        return recipe.train.parallel
    if shards(recipe, precision, device.memory_bytes) == 1:
        return "ddp"
    return "hybrid" if recipe.hardware.count > NODE else "fsdp"
