"""Batches for the loop: cut into micro-batches of one static shape, read ahead in a thread.

In goes a loader and a step, out come tensors of ids and targets on the device. All micro-batches of a batch have the
same number of rows, since a compiled model must never see another shape: where the rows do not divide, the last
micro-batch is filled up with rows that have no target and so add nothing to loss or gradient.
"""

from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from types import TracebackType

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lhama.model.device import Device
from lhama.plan import hardware
from lhama.plan.memory import memory
from lhama.plan.recipe import Recipe
from lhama.tokens.loader import IGNORED, Loader
from lhama.train.world import ALONE, World


@dataclass(frozen=True)
class MicroBatch:
    """Rows that go through the model at once."""

    ids: Tensor  # (rows, T)
    targets: Tensor  # (rows, T), -100 where nothing is asked
    starts: Tensor | None = None
    """Where documents begin in the rows laid end to end, if they are to be apart (model/attention.py, Documents)."""


@dataclass(frozen=True)
class WholeBatch:
    """What one update learns from."""

    micro: list[MicroBatch]
    targets: int  # of all processes


def micro_rows(rows: int, most: int) -> int:
    """Deal `rows` into equal micro-batches of at most `most` rows; return the size that wastes the fewest."""
    count = -(-rows // max(1, most))
    return -(-rows // count)


def part_of(rows: int, world: World) -> tuple[int, int]:
    """Say which row of a batch is a process's first, and how many rows each process has room for.

    All have room for equally many, so that all make the same micro-batches; the last ones may find fewer.
    """
    share = -(-rows // world.size)
    return world.rank * share, share


def document_starts(rows: Tensor, separator: int) -> Tensor:
    """List where documents begin in rows laid end to end: at each row, and after each `</s>`.

    A power of two of places, the last ones the end of all, so that a compiled model meets few sizes.
    """
    begins = torch.ones_like(rows, dtype=torch.bool)
    begins[:, 1:] = rows[:, :-1] == separator
    places = begins.flatten().nonzero().flatten().to(torch.int32)
    full = torch.full((1 << len(places).bit_length(),), rows.numel(), dtype=torch.int32)
    full[: len(places)] = places
    return full


def rows_at_once(recipe: Recipe, device: Device) -> int:
    """Choose how many rows go through the model at once: the recipe's number, or what fits memory and caches."""
    here = hardware.accelerator("cpu")
    if device.kind == "cuda":  # what this process may use, which is less than the card where it is shared out
        seen = torch.cuda.get_device_properties(device.place)
        here = replace(hardware.of_gpu(hardware.Gpu(seen.name, seen.total_memory)), memory_bytes=seen.total_memory)
    elif device.kind == "mps":  # it shares the memory of the machine, of which Apple recommends to take a part only
        here = replace(here, name="mps", memory_bytes=torch.mps.recommended_max_memory())
    return memory(recipe, here, device.precision).rows


class Batches:
    """Fetch the batch of each step, and the next one while this one is learned from."""

    def __init__(
        self,
        loader: Loader,
        most_rows: int,
        device: torch.device,
        world: World = ALONE,
        separator: int | None = None,
    ) -> None:
        """Read from a loader; with a separator, the id of `</s>`, say where documents begin."""
        self.loader = loader
        self.world = world
        self.most_rows = most_rows
        self.device = device
        self.separator = separator
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
        self.loader.close()

    def _read(self, step: int) -> WholeBatch:
        first, share = part_of(self.loader.rows_of(step), self.world)
        batch = self.loader.batch(step, first, share)
        ids, targets = batch.tokens[:, :-1], batch.targets
        size = micro_rows(share, self.most_rows)
        micro = []
        for start in range(0, share, size):
            rows = self._full(ids[start : start + size], size, self.loader.pad)
            asked = self._full(targets[start : start + size], size, IGNORED)
            starts = None if self.separator is None else self._place(document_starts(rows, self.separator))
            micro.append(MicroBatch(self._place(rows), self._place(asked), starts))
        return WholeBatch(micro, self.world.count(int((targets != IGNORED).sum())))

    def _full(self, rows: NDArray[np.int64], size: int, filling: int) -> Tensor:
        # numpy works in this thread alone; torch would call all cores for a copy, away from the step that they compute.
        full = np.empty((size, rows.shape[1]), dtype=np.int64)
        full[: len(rows)] = rows
        full[len(rows) :] = filling
        return torch.from_numpy(full)

    def _place(self, numbers: Tensor) -> Tensor:
        # Page-locked, a batch goes to a GPU while it computes; torch keeps the pages until the copy is done. On Apple's
        # GPUs it does not, and a copy that is not waited for may read freed memory (pytorch issue 189690).
        if self.device.type == "cuda":
            return numbers.pin_memory().to(self.device, non_blocking=True)
        return numbers.to(self.device)
