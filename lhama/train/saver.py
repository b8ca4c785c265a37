"""Checkpoints beside the training: the step waits for a copy in memory, a thread writes it to the disk.

In: a Snapshot of views into the optimizer's buffers. Out: the checkpoint folder, a while later. The numbers are copied
into host memory at the boundary between two steps, so what is written is that step to the bit; the memory is taken
once and used again, therefore one save is in flight at most and the next one waits for it. A checkpoint counts when its
folder has its name (save.py), and only then are older ones removed and the mirror brought up to date.
The subtle thing: an error of the thread must not be lost. `check` raises it at the next step, `wait` at the end.
"""

import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from lhama.record import console
from lhama.record.files import size
from lhama.train import save
from lhama.train.mirror import Mirror
from lhama.train.save import Snapshot

ASSUMED_RATE = 100e6  # bytes per second to a slow disk, until a save was measured
SHARE_OF_FREE_MEMORY = 0.7  # a copy that takes more than this may drive the machine into swapping


@dataclass(frozen=True)
class Timing:
    """What a save cost: seconds in which no step was made, and seconds until it was whole on the disk."""

    step: int
    stalled: float
    written: float


class Saver:
    """Write checkpoints of one folder, in a thread or at once."""

    def __init__(self, folder: Path, keep: int, background: bool, mirror: Mirror | None = None) -> None:
        self.folder = folder
        self.keep = keep
        self.background = background
        self.mirror = mirror
        self.timings: list[Timing] = []
        self._buffer: dict[str, Tensor] = {}
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="saver")
        self._flight: Future[Timing] | None = None
        self._longest: float | None = None

    def save(self, snapshot: Snapshot, before: Callable[[], object]) -> float:
        """Save a snapshot, `before` being what must be on the disk first; return the seconds training stood still."""
        begun = time.perf_counter()
        self.wait()
        if self.background and self._buffer_fits(snapshot):
            copy = replace(snapshot, weights=self._copy(snapshot.weights), moments=self._copy(snapshot.moments))
            stalled = time.perf_counter() - begun
            self._flight = self._thread.submit(self._write, copy, before, begun, stalled)
            return stalled
        self._note(self._write(snapshot, before, begun, None))
        return time.perf_counter() - begun

    def check(self) -> None:
        """Raise the Problem of a save that failed meanwhile; never waits."""
        if self._flight is not None and self._flight.done():
            self.wait()

    def wait(self) -> None:
        """Wait until the save in flight is whole on the disk, or raise its Problem."""
        flight, self._flight = self._flight, None
        if flight is not None:
            self._note(flight.result())

    def settle(self) -> None:
        """Wait until the last save is whole, and its copy in the mirror too."""
        self.wait()
        if self.mirror is not None:
            self.mirror.wait()

    def take_timings(self) -> list[dict[str, Any]]:
        """Hand over what the saves since the last call cost, for the record."""
        timings, self.timings = self.timings, []
        return [asdict(timing) for timing in timings]

    def seconds(self, parameters: int) -> float:
        """Estimate how long a save takes until it is whole: the longest of this process, else by its size."""
        if self._longest is not None:
            return self._longest
        return save.BYTES_PER_PARAMETER * parameters / ASSUMED_RATE

    def close(self) -> None:
        """Let the thread finish what it writes; its error was raised before, or another one is on its way."""
        self._thread.shutdown(wait=True)
        if self.mirror is not None:
            self.mirror.close()
        self._buffer.clear()

    def _note(self, timing: Timing) -> None:
        self.timings.append(timing)
        self._longest = max(self._longest or 0.0, timing.written)

    def _write(self, snapshot: Snapshot, before: Callable[[], object], begun: float, stalled: float | None) -> Timing:
        before()
        save.write(snapshot, self.folder)
        if snapshot.share is None or not snapshot.share.number:
            save.prune(self.folder, self.keep)
        written = time.perf_counter() - begun
        if self.mirror is not None:
            self.mirror.ask()
        return Timing(snapshot.step, written if stalled is None else stalled, written)

    def _copy(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Copy tensors into host memory that is used again for every save."""
        copies = {}
        for name, tensor in tensors.items():
            pinned = tensor.device.type == "cuda"  # pinned memory takes a copy at the full speed of the bus
            if name not in self._buffer:
                self._buffer[name] = torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=pinned)
            copies[name] = self._buffer[name].copy_(tensor.detach(), non_blocking=pinned)
        if any(tensor.device.type == "cuda" for tensor in tensors.values()):
            torch.cuda.synchronize()
        return copies

    def _buffer_fits(self, snapshot: Snapshot) -> bool:
        """Go on in the foreground where a copy would not fit the memory that is free, and say so once."""
        if self._buffer:
            return True
        tensors = [*snapshot.weights.values(), *snapshot.moments.values()]
        needed, free = sum(tensor.nbytes for tensor in tensors), free_memory()
        if free is None or needed <= SHARE_OF_FREE_MEMORY * free:
            return True
        self.background = False
        console.warn(
            f"Saving in the background needs {size(needed)} of memory for a copy, and {size(free)} are free: "
            "training waits for its saves instead."
        )
        return False


def free_memory() -> int | None:
    """Count the bytes that this process may still take, as Linux and the container tell; None where they do not."""
    try:
        text = Path("/proc/meminfo").read_text(encoding="ascii")
        found = [int(line.split()[1]) * 1024 for line in text.splitlines() if line.startswith("MemAvailable:")]
        group = Path("/sys/fs/cgroup")
        limit = (group / "memory.max").read_text(encoding="ascii").strip() if (group / "memory.max").exists() else "max"
        if limit != "max":
            found.append(int(limit) - int((group / "memory.current").read_text(encoding="ascii")))
    except OSError:
        return None
    return min(found, default=None)
