"""AdamW (Loshchilov & Hutter 2019, arXiv:1711.05101) over float32 masters, for a model that computes in bf16 or fp32.

In: a model whose `.grad`s a backward pass has just filled with the gradient of a SUM of nats. Out: the updated model.
All masters live in one flat buffer (so do the gradient and both moments): an update is a norm, a fused AdamW pass and
a cast, whatever the number of tensors. In bf16 the model's own parameters are views into a flat bf16 copy, rebuilt from
the masters after each update; in fp32 they are the masters themselves. Matrices that multiply the same input lie side
by side, so query, key and value are one product without a copy.
Weight decay acts on every tensor of two or more dimensions, embeddings and head included (what nanoGPT and the Hugging
Face Trainer do, and so what the papers we follow did), and on no norm.
The subtle thing: a gradient that is not finite is noticed on the device and stops this and every later update, without
a wait in the step; whoever reads `halted` afterwards finds the weights as they were before the bad batch. Without
`halting` it stops this update alone, which then counts as none at all, in the bias correction too.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol, runtime_checkable

import torch
from torch import Tensor, nn
from torch.optim.adamw import adamw

from lhama.train.loss_scale import LossScale

ALIGNMENT = 32  # numbers; every tensor starts on a cache line (64 bytes), also in bf16
# Where the fused kernel divides the gradient and leaves an update out; on Apple's GPUs it ignored both, without a word
# (pytorch pull request 186360, June 2026).
FUSED = ("cpu", "cuda")


@runtime_checkable
class HasProducts(Protocol):
    """A model that can compute with some of its matrices as one; see `Llama.products`."""

    def products(self) -> list[tuple[nn.Module, tuple[str, ...]]]:
        """Name the matrices of each module that multiply the same input."""


class AdamW:
    """Hold masters and moments of a model and update both from its gradients."""

    def __init__(
        self,
        model: nn.Module,
        *,
        weight_decay: float,
        betas: tuple[float, float],
        epsilon: float,
        clip: float | None,
        halting: bool = True,
        compute: torch.dtype = torch.float32,
        targets: int = 1,
    ) -> None:
        """Take over the storage of the model's parameters, which must hold their float32 values.

        In fp16 the loss is to be scaled by `scale`, which begins where `targets`, the usual number in a batch, ask.
        """
        named = dict(model.named_parameters())
        matrices = {name: weight for name, weight in named.items() if weight.ndim >= 2}
        others = {name: weight for name, weight in named.items() if weight.ndim < 2}
        self.parameters = matrices | others
        self.clip = clip
        self.halting = halting
        device = next(iter(named.values())).device
        self._places, boundary, end = _lay_out([matrices, others])
        self._master = torch.zeros(end, device=device)
        for name, view in self.masters().items():  # before the rest is made, so that no second copy is there beside it
            view.copy_(self.parameters[name].detach())
            self.parameters[name].data = view
        self._gradient = torch.zeros(end, device=device)
        self._first = torch.zeros(end, device=device)
        self._second = torch.zeros(end, device=device)
        self._compute = self._master if compute == torch.float32 else torch.zeros(end, device=device, dtype=compute)
        self._empty = True
        self.loss_scale = LossScale(targets, device) if compute == torch.float16 else None
        self.halted = torch.zeros((), device=device)
        self._slices = [nn.Parameter(self._master[:boundary]), nn.Parameter(self._master[boundary:])]
        self._groups: list[dict[str, Any]] = [
            {"params": [part], "weight_decay": decay, "betas": betas, "eps": epsilon}
            for part, decay in zip(self._slices, (weight_decay, 0.0), strict=True)
        ]
        self._states: dict[Tensor, dict[str, Tensor]] = {}
        self._set_state(updates=0)
        for name, view in self._views(self._compute).items():
            self.parameters[name].data = view
        self._learning = self._fuse(model)
        self.refresh()

    def _fuse(self, model: nn.Module) -> dict[str, tuple[Tensor, Tensor]]:
        """Let matrices that multiply the same input be one, where they lie side by side; list what gets gradients.

        A tensor that learns comes with the place for its gradient in the float32 sum.
        """
        own, sums = self.parameters, self._views(self._gradient)
        learning: dict[str, tuple[Tensor, Tensor]] = {name: (own[name], sums[name]) for name in own}
        places = dict(zip(own, self._places, strict=True))
        for module, names in model.products() if isinstance(model, HasProducts) else []:
            start, size = places[names[0]], sum(own[name].numel() for name in names)
            if places[names[-1]] + own[names[-1]].numel() != start + size:
                continue  # odd sizes, with room between them
            shape = (-1, own[names[0]].shape[1])
            fused = self._compute[start : start + size].view(shape).detach().requires_grad_()
            module.fused = fused  # a plain attribute: no name of its own in any file
            for name in names:
                del learning[name]
            learning[" + ".join(names)] = (fused, self._gradient[start : start + size].view(shape))
        return learning

    def gather(self) -> None:
        """Add the model's gradients to the float32 sum of this batch and drop them."""
        for name in self._learning:
            self._take(name)
        self._empty = False

    @torch.no_grad()
    def _take(self, name: str) -> None:
        """Add the gradient of one tensor to the sum and drop it."""
        weight, view = self._learning[name]
        gradient, weight.grad = weight.grad, None
        if gradient is None:
            raise ValueError(f"{name} got no gradient")
        if self._empty:
            view.copy_(gradient)
        else:
            view.add_(gradient.float())  # adding bf16 to fp32 in place is 20 times slower than converting first

    def step(self, learning_rate: float, targets: int, nats: Tensor) -> Tensor:
        """Update the weights from the gathered gradient of `nats` over `targets`; return its norm before clipping.

        In fp16 an overflow leaves the update out, has the norm 0, and is no reason to halt.
        """
        # The update divides the gradient by this: what it is a sum of, times norm / clip where that exceeds 1.
        divisor = nats.new_tensor(float(targets))
        if self.loss_scale is not None:
            divisor = divisor * self.loss_scale.value
        judged = judge_step(torch.linalg.vector_norm(self._gradient) / divisor, nats, self.halted, self.loss_scale)
        norm = judged.norm
        if self.halting:
            self.halted = judged.halted
        if self.clip is not None:
            divisor = divisor * torch.clamp(norm / self.clip, min=1.0)
        update = update_fused if self._gradient.device.type in FUSED else update_written_out
        for group in self._groups:
            update({**group, "lr": learning_rate}, self._states, divisor, judged.left_out)
        self._empty = True
        self.refresh()
        return norm

    @torch.no_grad()
    def refresh(self) -> None:
        """Rebuild the model's compute weights from the masters."""
        if self._compute is not self._master:
            self._compute.copy_(self._master)

    def updates(self) -> int:
        """Count the updates that were made; those that were left out are none."""
        return int(self._states[self._slices[0]]["step"])

    def masters(self) -> dict[str, Tensor]:
        """Show the float32 weights under the model's own names, as views."""
        return self._views(self._master)

    def gradients(self) -> dict[str, Tensor]:
        """Show the float32 gradient gathered so far under the model's own names, as views."""
        return self._views(self._gradient)

    def moments(self) -> dict[str, Tensor]:
        """Show both moments of every weight, as views."""
        first, second = self._views(self._first), self._views(self._second)
        return {f"first.{name}": view for name, view in first.items()} | {
            f"second.{name}": view for name, view in second.items()
        }

    @torch.no_grad()
    def load(self, masters: Mapping[str, Tensor], moments: Mapping[str, Tensor], updates: int) -> None:
        """Continue from the masters and moments of a checkpoint after `updates` updates."""
        for ours, theirs in ((self.masters(), masters), (self.moments(), moments)):
            if ours.keys() != theirs.keys():
                raise ValueError(f"tensors that do not belong together: {sorted(ours.keys() ^ theirs.keys())[:4]}")
            for name, view in ours.items():
                view.copy_(theirs[name])
        self.halted = torch.zeros_like(self.halted)
        self._empty = True
        self._set_state(updates)
        self.refresh()

    def _set_state(self, updates: int) -> None:
        start = 0
        for part in self._slices:
            end = start + part.numel()
            part.grad = self._gradient[start:end]
            self._states[part] = {
                "step": torch.tensor(float(updates), device=part.device),
                "exp_avg": self._first[start:end],
                "exp_avg_sq": self._second[start:end],
            }
            start = end

    def _views(self, flat: Tensor) -> dict[str, Tensor]:
        return {
            name: flat[start : start + weight.numel()].view(weight.shape)
            for (name, weight), start in zip(self.parameters.items(), self._places, strict=True)
        }


class Judged(NamedTuple):
    """What is to be done with a step, as tensors on its device."""

    norm: Tensor
    """Of the gradient, for the records: 0 where fp16 overflowed."""
    halted: Tensor
    """1 where something is broken, now or before."""
    left_out: Tensor
    """1 where no update is to be made, which an overflow of fp16 alone is a reason for, too."""


def judge_step(norm: Tensor, nats: Tensor, halted: Tensor, loss_scale: LossScale | None) -> Judged:
    """Judge a step by its loss and the norm of its gradient, which are the same in all processes."""
    overflow = ~torch.isfinite(norm)
    broken = ~torch.isfinite(nats)
    if loss_scale is None:
        broken = broken | overflow
    else:
        broken = broken | loss_scale.update(overflow)
        norm = torch.where(overflow & ~broken, 0.0, norm)  # its update is left out, and the next scale is smaller
    halted = torch.maximum(halted, broken.float())
    return Judged(norm, halted, torch.maximum(halted, overflow.float()))


@torch.no_grad()
def update_fused(
    group: Mapping[str, Any], states: Mapping[Tensor, Mapping[str, Tensor]], divisor: Tensor, left_out: Tensor
) -> None:
    """Make AdamW's update of one group in one pass, with the gradient divided, or not at all if left out.

    This is what torch.optim.AdamW calls; that class would import all of torch's compiler when it is made.
    """
    weights = group["params"]
    beta1, beta2 = group["betas"]
    adamw(
        weights,
        [weight.grad for weight in weights],
        [states[weight]["exp_avg"] for weight in weights],
        [states[weight]["exp_avg_sq"] for weight in weights],
        [],
        [states[weight]["step"] for weight in weights],
        fused=True,
        grad_scale=divisor,
        found_inf=left_out,
        amsgrad=False,
        beta1=beta1,
        beta2=beta2,
        lr=group["lr"],
        weight_decay=group["weight_decay"],
        eps=group["eps"],
        maximize=False,
    )


@torch.no_grad()
def update_written_out(
    group: Mapping[str, Any], states: Mapping[Tensor, Mapping[str, Tensor]], divisor: Tensor, left_out: Tensor
) -> None:
    """Make AdamW's update of one group by plain operations, with the gradient divided, or not at all if left out."""
    (rate, decay, epsilon), (beta1, beta2) = (group[key] for key in ("lr", "weight_decay", "eps")), group["betas"]
    taken = 1.0 - left_out
    for weight in group["params"]:
        state = states[weight]
        gradient = torch.where(left_out > 0, 0.0, weight.grad / divisor)
        step = state["step"].add_(taken).clamp(min=1.0)
        first, second = state["exp_avg"], state["exp_avg_sq"]
        first.mul_(1.0 - (1.0 - beta1) * taken).add_(gradient, alpha=1.0 - beta1)
        second.mul_(1.0 - (1.0 - beta2) * taken).addcmul_(gradient, gradient, value=1.0 - beta2)
        deviation = (second / (1.0 - beta2**step)).sqrt_().add_(epsilon)
        weight.mul_(1.0 - rate * decay * taken).sub_(taken * (rate / (1.0 - beta1**step)) * first / deviation)


def _lay_out(groups: list[dict[str, nn.Parameter]]) -> tuple[list[int], int, int]:
    """Give each tensor its place in a flat buffer; return the places, where the second group begins, and the end."""
    places: list[int] = []
    ends = []
    position = 0
    for group in groups:
        for weight in group.values():
            places.append(position)
            position += -(-weight.numel() // ALIGNMENT) * ALIGNMENT
        ends.append(position)
    return places, ends[0], ends[-1]
