"""What training counts between two rows of a record: sums that belong to the checkpoint, and times that do not.

In: the figures of each step. Out: plain records for loop.py. `Sums` is part of every checkpoint, so that a resumed run
writes the same row; nothing that a result depends on may live in `Clock`.
"""

import math
import time
from dataclasses import dataclass, field

from torch import Tensor


@dataclass
class Sums:
    """What has come together since the last row of loss.jsonl; part of the checkpoint."""

    nats: float = 0.0
    targets: int = 0
    steps: int = 0
    norms: float = 0.0

    def add(self, nats: float, targets: int, norm: float) -> None:
        """Count a step that was learned from."""
        self.nats += nats
        self.targets += targets
        self.norms += norm
        self.steps += 1

    @property
    def loss(self) -> float:
        """Return the mean loss in nats per target; not a number where every step was left out."""
        return self.nats / self.targets if self.targets else math.nan

    @property
    def norm(self) -> float:
        """Return the mean norm of the gradient; not a number where every step was left out."""
        return self.norms / self.steps if self.steps else math.nan


@dataclass
class Clock:
    """How long things took; no result depends on it."""

    before: float = 0.0
    started: float = field(default_factory=time.perf_counter)
    stepping: float = 0.0
    waiting: float = 0.0
    saving: float = 0.0
    tokens: int = 0
    last_step: float = 0.0
    device_read: float = -math.inf

    def seconds(self) -> float:
        """Say how long training took, earlier processes included."""
        return self.before + time.perf_counter() - self.started

    def next(self) -> "Clock":
        """Begin to count for the next row."""
        return Clock(self.seconds(), device_read=self.device_read, last_step=self.last_step)


@dataclass(frozen=True)
class Taken:
    """A step whose figures may still be on their way from the device."""

    step: int
    targets: int
    nats: Tensor
    norm: Tensor


@dataclass(frozen=True)
class Due:
    """What the tokens seen call for at a step."""

    save: bool
    suite: bool
    log: bool
    validate: bool
    sample: bool
