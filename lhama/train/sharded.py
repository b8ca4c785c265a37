"""AdamW over weights that are sharded over the processes: FSDP2 moves them, this updates each process's own part.

In: a Llama and a mesh of devices, one dimension (fsdp: every process holds 1/n of masters, gradient and moments) or two
(hybrid: sharded inside a machine, replicated over machines). Out: the same updates as optim.py makes, from the gradient
of a SUM of nats over all processes. FSDP2 (torch.distributed.fsdp.fully_shard; Zhao et al. 2023, arXiv 2304.11277;
Rajbhandari et al. 2020, ZeRO, arXiv 1910.02054) gathers the weights of a block in `compute` right before they are used
and scatters the sum of its gradients, in float32, right after.
The subtle thing: FSDP2 takes the mean over processes, so the number of processes is multiplied back where the update
divides by the targets. A process's part of a tensor is a run of whole rows, so it is one span of the flat tensor: that
is how moments are saved, under `first.NAME@START`, and why any other number of processes can read them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.fsdp import FSDPModule, MixedPrecisionPolicy, fully_shard, register_fsdp_forward_method
from torch.distributed.tensor import DTensor

from lhama.model.llama import Llama
from lhama.train.loss_scale import LossScale
from lhama.train.optim import judge_step
from lhama.train.shares import labelled


@dataclass
class Part:
    """This process's span of one tensor: `local` shares its memory with what FSDP2 gathers from."""

    name: str
    weight: nn.Parameter
    local: nn.Parameter
    start: int
    first: Tensor
    second: Tensor


class ShardedAdamW:
    """Hold this process's parts of masters and moments and update them from the gradients of all."""

    def __init__(
        self,
        model: Llama,
        mesh: DeviceMesh,
        *,
        weight_decay: float,
        betas: tuple[float, float],
        epsilon: float,
        clip: float | None,
        halting: bool = True,
        compute: torch.dtype = torch.float32,
        targets: int = 1,
        hold: bool = False,
    ) -> None:
        """Shard a model whose parameters hold their float32 values.

        With `hold` the whole weights and gradients stay between the micro-batches of a step: less to send, more memory.
        In fp16 the loss is to be scaled by `scale`, which begins where `targets`, the usual number in a batch, ask.
        """
        self.model, self.clip, self.halting, self.hold = model, clip, halting, hold
        self.compute = compute
        self.processes, self.writers = mesh.size(), mesh.size(mesh.ndim - 1)
        self.replicas = self.processes // self.writers
        _shard(model, mesh, compute, hold)
        self.parameters = dict(model.named_parameters())
        number, count = mesh.get_local_rank(mesh.ndim - 1), self.writers
        self.parts = [_part(name, weight, number, count) for name, weight in self.parameters.items()]
        self.parts = [part for part in self.parts if part.local.numel()]
        self.halted = torch.zeros((), device=self.parts[0].local.device)
        self.loss_scale = LossScale(targets, self.halted.device) if compute == torch.float16 else None
        matrices = [part.local for part in self.parts if part.weight.ndim >= 2]
        others = [part.local for part in self.parts if part.weight.ndim < 2]
        self._torch = torch.optim.AdamW(
            [{"params": matrices, "weight_decay": weight_decay}, {"params": others, "weight_decay": 0.0}],
            betas=betas,
            eps=epsilon,
            fused=True,
        )
        self._set_state(updates=0)

    def expect(self, last: bool) -> None:
        """Say before a backward pass whether it is the last one of the step: only then machines talk to each other."""
        if isinstance(self.model, FSDPModule):
            self.model.set_requires_all_reduce(last)
            self.model.set_requires_gradient_sync(last or not self.hold)
            self.model.set_reshard_after_backward(last or not self.hold)
            self.model.set_is_last_backward(last)

    def gather(self) -> None:
        """Leave the gradients where they are: FSDP2 adds up those of several micro-batches itself."""

    def step(self, learning_rate: float, targets: int, nats: Tensor) -> Tensor:
        """Update the weights from the gradient of `nats`, which become those of all; return its norm before clipping.

        `targets` are those of all processes.
        """
        for part in self.parts:
            part.local.grad = _local(part.weight.grad).flatten()
        squares = torch.stack([torch.linalg.vector_norm(part.local.grad) for part in self.parts]).square().sum()
        figures = torch.stack((squares / self.replicas, nats))
        dist.all_reduce(figures)
        nats.copy_(figures[1])
        # The mean over processes, divided by this, is the sum divided by the targets.
        divisor = nats.new_tensor(targets / self.processes)
        if self.loss_scale is not None:
            divisor = divisor * self.loss_scale.value
        # An overflow in any process's part is in the norm of the whole, so all judge alike and keep the same scale.
        judged = judge_step(figures[0].sqrt() / divisor, nats, self.halted, self.loss_scale)
        norm = judged.norm
        if self.halting:
            self.halted = judged.halted
        if self.clip is not None:
            divisor = divisor * torch.clamp(norm / self.clip, min=1.0)
        self._torch.grad_scale = divisor  # type: ignore[attr-defined]
        self._torch.found_inf = judged.left_out  # type: ignore[attr-defined]
        for group in self._torch.param_groups:
            group["lr"] = learning_rate
        self._torch.step()
        for part in self.parts:
            part.weight.grad = part.local.grad = None
        return norm

    def updates(self) -> int:
        """Count the updates that were made; those that were left out are none."""
        return int(self._torch.state[self.parts[0].local]["step"])

    def masters(self) -> dict[str, Tensor]:
        """Bring the whole float32 weights together; all processes must call it, the first alone gets them."""
        whole = {}
        for name, weight in self._whole():
            if dist.get_rank() == 0:
                whole[name] = weight.cpu()
        return whole

    def moments(self) -> dict[str, Tensor]:
        """Show this process's spans of both moments; empty where another process holds the same."""
        if dist.get_rank() >= self.writers:
            return {}
        return {
            labelled(f"{which}.{part.name}", part.start): moment
            for part in self.parts
            for which, moment in (("first", part.first), ("second", part.second))
        }

    @torch.no_grad()
    def load(self, masters: Mapping[str, Tensor], moments: Mapping[str, Tensor], updates: int) -> None:
        """Take this process's parts out of whole masters and moments after `updates` updates."""
        for part in self.parts:
            end = part.start + part.local.numel()
            for ours, theirs in (
                (part.local, masters[part.name]),
                (part.first, moments[f"first.{part.name}"]),
                (part.second, moments[f"second.{part.name}"]),
            ):
                if theirs.shape != self.parameters[part.name].shape:
                    raise ValueError(f"{part.name} has the shape {list(theirs.shape)}")
                ours.copy_(theirs.flatten()[part.start : end])
        self.halted = torch.zeros_like(self.halted)
        self._set_state(updates)

    @contextmanager
    def whole(self) -> Iterator[Llama]:
        """Give every process a whole model of its own to read, for as long as the block runs."""
        place = self.halted.device
        with torch.device("meta"):
            model = Llama(self.model.config)
        weights = {name: weight.to(place, self.compute) for name, weight in self._whole()}
        model.load_state_dict(weights, assign=True)
        yield model

    def _whole(self) -> Iterator[tuple[str, Tensor]]:
        for name, weight in self.parameters.items():
            sharded = weight.detach()
            assert isinstance(sharded, DTensor)
            yield name, sharded.full_tensor()

    def _set_state(self, updates: int) -> None:
        for part in self.parts:
            self._torch.state[part.local] = {
                "step": torch.tensor(float(updates), device=part.local.device),
                "exp_avg": part.first,
                "exp_avg_sq": part.second,
            }


def _shard(model: Llama, mesh: DeviceMesh, compute: torch.dtype, hold: bool) -> None:
    """Hand each block, and what is left, to FSDP2."""
    policy = MixedPrecisionPolicy(
        param_dtype=None if compute == torch.float32 else compute,
        reduce_dtype=torch.float32,
        cast_forward_inputs=False,  # cosines and sines stay in float32
    )
    for block in model.model.layers:
        fully_shard(block, mesh=mesh, mp_policy=policy, reshard_after_forward=not hold)
    fully_shard(model, mesh=mesh, mp_policy=policy, reshard_after_forward=not hold)
    register_fsdp_forward_method(model, "loss")


def _part(name: str, weight: nn.Parameter, number: int, count: int) -> Part:
    """Find this process's rows: FSDP2 deals them as torch.chunk does."""
    rows = -(-weight.shape[0] // count)
    start = min(weight.shape[0], number * rows) * (weight.numel() // weight.shape[0])
    local = nn.Parameter(_local(weight).detach().flatten())
    return Part(name, weight, local, start, torch.zeros_like(local), torch.zeros_like(local))


def _local(tensor: Tensor | None) -> Tensor:
    assert isinstance(tensor, DTensor)
    local: Tensor = tensor.to_local()
    return local
