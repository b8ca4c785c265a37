"""Cross-entropy of a large vocabulary in little memory: hidden states and the head go in, summed nats come out.

The logits are made in slices of rows, and each slice's gradient is made at once, in the forward pass: full-precision
logits of the whole batch never exist, and nothing is computed twice. The subtle thing: the backward pass only scales
what the forward pass stored. The idea is Liger Kernel's (arXiv 2410.10989, section 3.2).
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from lhama.plan.computing import tokens_with_logits


def _slices(rows: int, vocabulary: int, at_once: int | None) -> list[tuple[int, int]]:
    count = at_once or tokens_with_logits(vocabulary, torch.compiler.is_compiling())
    return [(start, min(start + count, rows)) for start in range(0, rows, count)]


class _HeadLoss(torch.autograd.Function):
    """Sum of nats whose gradients are ready when the value is."""

    @staticmethod
    def forward(
        ctx: Any, hidden: Tensor, head: Tensor, targets: Tensor, scale: Tensor | None, at_once: int | None
    ) -> Tensor:
        nats = hidden.new_zeros((), dtype=torch.float32)
        to_head = torch.zeros(head.shape, dtype=torch.float32, device=head.device)
        to_hidden = []
        for start, end in _slices(len(hidden), len(head), at_once):
            rows, goals = hidden[start:end], targets[start:end, None]
            counted = (goals >= 0).float()  # (rows, 1); -100 marks a target that does not count
            weight = counted if scale is None else counted * scale
            log_p = F.log_softmax(rows @ head.T, -1, dtype=torch.float32)  # (rows, V)
            nats = nats - (log_p.gather(1, goals.clamp_min(0)) * counted).sum()
            if torch.compiler.is_compiling():  # one fused pass; a scatter would write the fp32 slice to memory
                wanted = torch.arange(len(head), device=head.device) == goals
                slope = (log_p.exp() - wanted.float()) * weight
                to_head = to_head + slope.to(head.dtype).T @ rows
            else:
                slope = log_p.exp_().mul_(weight).scatter_add_(1, goals.clamp_min(0), -weight)
                to_head.add_(slope.to(head.dtype).T @ rows)
            to_hidden.append(slope.to(head.dtype) @ head)
        ctx.save_for_backward(torch.cat(to_hidden), to_head.to(head.dtype))
        return nats

    @staticmethod
    def backward(ctx: Any, *outer: Tensor) -> tuple[Tensor, Tensor, None, None, None]:
        to_hidden, to_head = ctx.saved_tensors
        hidden, head = (part.float() * outer[0] for part in (to_hidden, to_head))
        return hidden.to(to_hidden.dtype), head.to(to_head.dtype), None, None, None


def summed_cross_entropy(
    hidden: Tensor, head: Tensor, targets: Tensor, scale: Tensor | None = None, at_once: int | None = None
) -> Tensor:
    """Sum -ln p(target) over the rows whose target is not -100, in fp32; hidden is (N, E), head (V, E), targets (N).

    With a scale the gradient, not the value, is multiplied by it, before it is rounded to the type of the weights.
    `at_once` rows have logits at the same time; absent takes what was fastest where it was tried.
    """
    if torch.is_grad_enabled():
        value: Tensor = _HeadLoss.apply(hidden, head, targets, scale, at_once)  # type: ignore[no-untyped-call]
        return value
    nats = hidden.new_zeros((), dtype=torch.float32)
    for start, end in _slices(len(hidden), len(head), at_once):
        logits = (hidden[start:end] @ head.T).float()
        nats = nats + F.cross_entropy(logits, targets[start:end], reduction="sum")
    return nats
