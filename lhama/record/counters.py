"""Hardware that counts its own joules: processors and memory (RAPL), NVIDIA's accelerators (NVML).

In: /sys/class/powercap and NVIDIA's library, where this system lets us read them. Out: joules by part of the machine
since the last time they were taken. A counter only grows until it wraps around: RAPL says at which value, which a busy
server reaches within minutes, so look once a minute; NVML's has 64 bits and begins anew with its driver. No look ever
raises. RAPL is for root alone on most systems since CVE-2020-8694.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

LOOK_SECONDS = 60.0
POWERCAP = Path("/sys/class/powercap")


class Count(NamedTuple):
    """What a counter shows: of which part (as the ledger names it), how many joules, and where it wraps around."""

    part: str
    joules: float
    range: float | None


Source = Callable[[], Mapping[str, Count]]


def rapl(folder: Path = POWERCAP) -> dict[str, Count]:
    """Read Intel's and AMD's counters: packages and memory; what lies inside a package or around it counts double."""
    found = {}
    for zone in sorted(folder.glob("intel-rapl:*")):
        with suppress(OSError, ValueError):
            name = (zone / "name").read_text().strip()
            part = "cpu_kwh" if name.startswith("package") else "ram_kwh" if name == "dram" else None
            if part is not None:
                joules, limit = (int((zone / one).read_text()) / 1e6 for one in ("energy_uj", "max_energy_range_uj"))
                found[zone.name] = Count(part, joules, limit)
    return found


def nvml() -> dict[str, Count]:
    """Read the counters of the accelerators this process may use, in millijoules since the driver was loaded."""
    import pynvml  # comes with codecarbon

    pynvml.nvmlInit()
    try:
        visible = os.environ.get("CUDA_VISIBLE_DEVICES")
        numbers = range(pynvml.nvmlDeviceGetCount()) if visible is None else [int(one) for one in visible.split(",")]
        handles = {number: pynvml.nvmlDeviceGetHandleByIndex(number) for number in numbers}
        return {
            f"accelerator {number}": Count("gpu_kwh", pynvml.nvmlDeviceGetTotalEnergyConsumption(handle) / 1000, None)
            for number, handle in handles.items()
        }
    finally:
        pynvml.nvmlShutdown()


class Counters:
    """Add up what the counters count, over all wrapping around."""

    def __init__(self, sources: Sequence[Source] = (rapl, nvml)) -> None:
        self._sources = sources
        self._before: dict[str, float] = {}
        self._joules: dict[str, float] = {}
        self.look()

    def look(self) -> None:
        """Read all counters."""
        for source in self._sources:
            with suppress(Exception):  # a library or a file of a stranger: a second opinion must not stop the work
                for name, count in source().items():
                    grown = count.joules - self._before.get(name, count.joules)
                    if grown < 0:
                        grown = grown + count.range if count.range else 0.0
                    self._before[name] = count.joules
                    self._joules[count.part] = self._joules.get(count.part, 0.0) + max(0.0, grown)

    def take(self) -> dict[str, float]:
        """Return the joules by part since they were last taken; a part that no counter counts is absent."""
        self.look()
        taken = dict(self._joules)
        self._joules = dict.fromkeys(self._joules, 0.0)
        return taken
