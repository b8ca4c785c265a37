"""Dynamic loss scaling, for training in fp16: gradients are made larger, so that small ones do not vanish.

In goes whether a step's gradient overflowed, out comes the scale of the next: halved after an overflow, whose update is
left out, and doubled after so many steps without one (Micikevicius et al. 2018, arXiv:1710.03740, section 3.2). All of
it is arithmetic on the device, so nothing waits. The state is part of a checkpoint: without it a resumed run would
overflow, and leave out updates, elsewhere.
"""

import math
from collections.abc import Mapping

import torch
from torch import Tensor

FIRST = 16  # the power of two for a mean loss, as in torch.amp.GradScaler
PATIENCE = 2000  # steps without an overflow until the scale is doubled, as there
SMALLEST = 2.0**-24  # of a mean loss; where even this overflows, the gradient itself is broken


class LossScale:
    """The scale of a loss that is a sum over about so many targets."""

    def __init__(self, targets: int, device: torch.device) -> None:
        share = 2.0 ** math.floor(math.log2(targets))
        self.value = torch.full((), 2.0**FIRST / share, device=device)
        self._calm = torch.zeros((), device=device)
        self._smallest = SMALLEST / share

    @torch.no_grad()
    def update(self, overflow: Tensor) -> Tensor:
        """Take the news of a step, a bool; return whether the scale has fallen so low that this is no overflow."""
        calm = torch.where(overflow, 0.0, self._calm + 1)
        grown = calm >= PATIENCE
        factor = torch.where(overflow, 0.5, torch.where(grown, 2.0, 1.0))
        self.value.mul_(factor)
        self._calm.copy_(torch.where(grown, 0.0, calm))
        return self.value < self._smallest

    def state(self) -> dict[str, float]:
        """Return what a checkpoint keeps."""
        return {"value": float(self.value), "calm": float(self._calm)}

    def load(self, state: Mapping[str, float]) -> None:
        """Continue from the state of a checkpoint."""
        self.value.fill_(state["value"])
        self._calm.fill_(state["calm"])
