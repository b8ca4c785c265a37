"""AdamW in every process, with the gradient of all: what is summed up early travels while the rest is computed.

In: a World, and a model as optim.py takes it. Out: the same updates in all processes. The flat gradient is cut into
buckets of neighbours, the last layers first, as a backward pass goes. In the last micro-batch of a step autograd tells
when the gradient of a tensor is there; it is added to the sum at once, and a bucket whose tensors have all come is
summed over the processes beside the computation (Li et al. 2020, PyTorch Distributed, arXiv 2006.15704, section 3.2).
The subtle thing: all processes must say the same in the same order, so a bucket waits for those before it. The norms
of all layers lie together at the end of the buffer and the first layer's come last, so they are the last bucket.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from torch import Tensor
from torch.distributed import Work

from lhama.model.llama import Llama
from lhama.train.optim import AdamW
from lhama.train.world import World

BUCKET = 1 << 23  # numbers, 32 MiB, unless one tensor is more; torch's DDP takes 25 MB


class Replicated(AdamW):
    """AdamW whose gradient is that of all processes; all make the same update."""

    def __init__(self, world: World, model: Llama, **settings: Any) -> None:
        super().__init__(model, **settings)
        self._world = world
        self._last = False
        self._spans, self._bucket_of = self._cut()
        self._missing: list[int] = []
        self._sent: list[Work] = []
        for name, (weight, _) in self._learning.items():
            weight.register_post_accumulate_grad_hook(partial(self._arrived, name))  # type: ignore[no-untyped-call]

    def expect(self, last: bool) -> None:
        """Say before a backward pass whether it is the last one of the step: only then gradients are sent."""
        self._last = last
        self._sent = []
        self._missing = [0] * len(self._spans)
        for bucket in self._bucket_of.values():
            self._missing[bucket] += 1

    def gather(self) -> None:
        """Add the model's gradients to the sum of this batch, unless that is done already."""
        if not self._last:
            super().gather()
        elif len(self._sent) < len(self._spans):
            late = [name for name, bucket in self._bucket_of.items() if self._missing[bucket]]
            raise ValueError(f"{late[0]} got no gradient, or one of its bucket")
        self._last = False
        self._empty = False

    def step(self, learning_rate: float, targets: int, nats: Tensor) -> Tensor:
        """Update the weights from the gradient of `nats`, which become those of all, over the targets of all."""
        for work in self._sent:
            work.wait()
        if not self._sent:  # nobody said which backward pass was the last
            self._world.sum(self._gradient)
        self._sent = []
        self._world.sum(nats)
        return super().step(learning_rate, targets, nats)

    def _arrived(self, name: str, _: Tensor) -> None:
        """Take a gradient that is there, and send what is whole by it."""
        if not self._last:
            return
        self._take(name)
        self._missing[self._bucket_of[name]] -= 1
        while len(self._sent) < len(self._spans) and not self._missing[len(self._sent)]:
            start, end = self._spans[len(self._sent)]
            self._sent.append(self._world.begin_sum(self._gradient[start:end]))

    def _cut(self) -> tuple[list[tuple[int, int]], dict[str, int]]:
        """Cut the flat gradient into spans in the order of sending; say in which of them each tensor lies."""
        starts = {name: int(view.storage_offset()) for name, (_, view) in self._learning.items()}
        boundary = self._slices[0].numel()
        spans: list[tuple[int, int]] = []
        bucket_of: dict[str, int] = {}
        end = boundary
        for name, start in sorted(starts.items(), key=lambda one: -one[1]):
            if start >= boundary:
                continue
            bucket_of[name] = len(spans)
            if end - start >= BUCKET or start == 0:
                spans.append((start, end))
                end = start
        bucket_of |= {name: len(spans) for name, start in starts.items() if start >= boundary}
        return [*spans, (boundary, self._gradient.numel())], bucket_of
