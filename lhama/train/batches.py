"""Batches for the loop: cut into micro-batches of one static shape, read ahead in a thread.

In goes a loader and a step, out come tensors of ids and targets on the device. All micro-batches of a batch have the
same number of rows, since a compiled model must never see another shape: where the rows do not divide, the last
micro-batch is filled up with rows that have no target and so add nothing to loss or gradient.
"""

from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from types import TracebackType

import torch
from torch import Tensor

from lhama.model.device import Device
from lhama.plan import arithmetic, hardware
from lhama.plan.recipe import Recipe
from lhama.tokens.loader import IGNORED, Loader

TOKENS_AT_ONCE = 4096  # on a processor: more no longer fits the caches, fewer waste the matrix units (docs/log.md)


@dataclass(frozen=True)
class MicroBatch:
    """Rows that go through the model at once."""

    ids: Tensor  # (rows, T)
    targets: Tensor  # (rows, T), -100 where nothing is asked


@dataclass(frozen=True)
class WholeBatch:
    """What one update learns from."""

    micro: list[MicroBatch]
    targets: int


def micro_rows(rows: int, most: int) -> int:
    """Deal `rows` into equal micro-batches of at most `most` rows; return the size that wastes the fewest."""
    count = -(-rows // max(1, most))
    return -(-rows // count)


def rows_at_once(recipe: Recipe, device: Device) -> int:
    """Choose how many rows go through the model at once: the recipe's number, or what fits memory and caches."""
    here = hardware.accelerator("cpu" if device.kind == "cpu" else "auto")
    fitting = arithmetic.memory(recipe, here, device.precision).rows
    if recipe.train.micro_batch is not None or device.kind != "cpu":
        return fitting
    return min(fitting, max(1, TOKENS_AT_ONCE // recipe.tokens.sequence))


class Batches:
    """Fetch the batch of each step, and the next one while this one is learned from."""

    def __init__(self, loader: Loader, most_rows: int, device: torch.device) -> None:
        self.loader = loader
        self.most_rows = most_rows
        self.device = device
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="batches")
        self._ahead: dict[int, Future[WholeBatch]] = {}

    def get(self, step: int, last: int) -> WholeBatch:
        """Return the batch of a step and start to read the one after it, unless that is `last`."""
        batch = self._ahead.pop(step, None) or self._thread.submit(self._read, step)
        if step + 1 < last:
            self._ahead[step + 1] = self._thread.submit(self._read, step + 1)
        return batch.result()

    def __enter__(self) -> "Batches":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._thread.shutdown(cancel_futures=True)

    def _read(self, step: int) -> WholeBatch:
        batch = self.loader.batch(step)
        ids, targets = torch.from_numpy(batch.tokens[:, :-1]), torch.from_numpy(batch.targets)
        size = micro_rows(len(ids), self.most_rows)
        micro = [
            MicroBatch(self._place(some_ids, size, self.loader.pad), self._place(some_targets, size, IGNORED))
            for some_ids, some_targets in zip(torch.split(ids, size), torch.split(targets, size), strict=True)
        ]
        return WholeBatch(micro, int((targets != IGNORED).sum()))

    def _place(self, rows: Tensor, size: int, filling: int) -> Tensor:
        full = torch.full((size, rows.shape[1]), filling, dtype=rows.dtype)
        full[: len(rows)] = rows
        return full.to(self.device, non_blocking=True)
