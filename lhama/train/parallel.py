"""How several processes share the work: a recipe, a World and a device go in, an optimizer that fits them comes out.

    ddp      every process holds everything; gradients are added up (replicated.py)         ZeRO stage 0
    fsdp     weights, gradients and moments are sharded over all processes (sharded.py)    ZeRO stage 3 (2 with room)
    hybrid   sharded inside each machine, replicated over machines                         ZeRO 3 inside, 0 outside

The subtle thing: nothing else differs between one process and many. Each learns from its rows of the same global batch,
sums of nats are added up, and the update divides by the targets of all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

import torch
from torch import Tensor
from torch.distributed.device_mesh import init_device_mesh

from lhama.model.device import Device
from lhama.model.llama import Llama
from lhama.plan import hardware
from lhama.plan.memory import held, replicated_fits
from lhama.plan.problem import Problem
from lhama.plan.recipe import Recipe
from lhama.train.optim import AdamW
from lhama.train.replicated import Replicated
from lhama.train.shares import Share
from lhama.train.world import World

if TYPE_CHECKING:  # FSDP2 takes a second to import, and a process alone has no use for it
    from lhama.train.sharded import ShardedAdamW

    Optimizer = AdamW | ShardedAdamW

Mode = Literal["ddp", "fsdp", "hybrid"]


def mode(recipe: Recipe, world: World, precision: str, memory: int) -> Mode:
    """Choose how to share: the recipe's way, or replicated where that fits into `memory` bytes of a device."""
    asked = recipe.train.parallel
    if world.alone:
        return "ddp"
    if asked == "hybrid" and world.size % world.local_size:
        raise Problem(
            f"{world.size} processes are not the same number on every machine", key="train.parallel", remedy="try fsdp"
        )
    if asked != "auto":
        return asked
    if replicated_fits(recipe, precision, memory):
        return "ddp"
    return "hybrid" if world.nodes > 1 and world.local_size > 1 else "fsdp"


def build(recipe: Recipe, world: World, device: Device, model: Llama) -> Optimizer:
    """Make the optimizer of a model on its device, and shard the model where that is the way."""
    settings: dict[str, Any] = {
        "weight_decay": recipe.train.weight_decay,
        "betas": (recipe.train.beta1, recipe.train.beta2),
        "epsilon": recipe.train.epsilon,
        "clip": recipe.train.clip,
        "halting": recipe.train.not_finite != "skip",
        "compute": device.dtype,
    }
    memory = _memory(device)
    chosen = mode(recipe, world, device.precision, memory)
    settings["targets"] = recipe.train.batch_tokens
    if chosen == "ddp":
        return AdamW(model, **settings) if world.alone else Replicated(world, model, **settings)
    shape = {"replicate": world.nodes, "shard": world.local_size} if chosen == "hybrid" else {"shard": world.size}
    mesh = init_device_mesh(device.kind, tuple(shape.values()), mesh_dim_names=tuple(shape))
    from lhama.train.sharded import ShardedAdamW

    hold = held(recipe, device.precision, memory)
    return ShardedAdamW(model, mesh, hold=hold, **settings)


def way(optimizer: Optimizer, world: World) -> int | str:
    """Say how many processes share the work, and in which way: the last bits of a sum depend on both."""
    if isinstance(optimizer, AdamW):
        return world.size if world.alone else f"{world.size} (ddp)"
    return f"{world.size} ({'hybrid' if optimizer.replicas > 1 else 'fsdp'})"


def of_size(recipe: Recipe, world: World) -> Recipe:
    """Return the recipe as a plan for the processes that are really here."""
    if world.alone:
        return recipe
    return recipe.model_copy(update={"hardware": recipe.hardware.model_copy(update={"count": world.size})})


def sharing_cores(device: Device, recipe: Recipe, world: World) -> Device:
    """Divide this machine's cores among its processes, unless the recipe gives each a number of threads."""
    if world.alone or recipe.train.threads is not None:
        return device
    return replace(device, threads=max(1, device.threads // world.local_size))


def compiled(optimizer: Optimizer, model: Llama, by_blocks: bool | None = None) -> Callable[..., Tensor]:
    """Compile the loss, or each block and the cross-entropy alone where something is to happen in between.

    FSDP2 gathers weights there, and GPUs send gradients; a loss that is compiled whole gives all gradients at its end.
    """
    if by_blocks is None:
        sending = isinstance(optimizer, Replicated) and optimizer.halted.is_cuda
        by_blocks = sending or not isinstance(optimizer, AdamW)
    if by_blocks:
        for block in model.model.layers:
            block.compile(fullgraph=True, dynamic=False)
        model.cross_entropy = torch.compile(model.cross_entropy, fullgraph=True, dynamic=False)
        return model.loss
    loss: Callable[..., Tensor] = torch.compile(model.loss, fullgraph=True, dynamic=False)
    return loss


def writes(optimizer: Optimizer, world: World) -> bool:
    """Say whether this process has something to write into a checkpoint."""
    return world.first or (not isinstance(optimizer, AdamW) and world.rank < optimizer.writers)


def share_of(optimizer: Optimizer, world: World) -> Share | None:
    """Say which part of the next checkpoint this process writes; None where one writes all. All must ask."""
    if isinstance(optimizer, AdamW):
        return None
    return Share(world.rank, optimizer.writers, world.numbered("save"), world)


def expect(optimizer: Optimizer, last: bool) -> None:
    """Say before a backward pass whether it is the last one of the step."""
    if isinstance(optimizer, Replicated) or not isinstance(optimizer, AdamW):
        optimizer.expect(last)


@contextmanager
def whole(optimizer: Optimizer, model: Llama) -> Iterator[Llama]:
    """Give a model to read, each process its own; all processes must ask at the same step."""
    if isinstance(optimizer, AdamW):
        yield model
    else:
        with optimizer.whole() as gathered:
            yield gathered


def _memory(device: Device) -> int:
    if device.kind == "cuda":
        return int(torch.cuda.get_device_properties(device.place).total_memory)
    return hardware.this_machine().memory_bytes or hardware.GIB
