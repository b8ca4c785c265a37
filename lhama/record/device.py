"""What the machine says about itself while it works: memory, utilization, watts, temperature.

In: nothing. Out: a small dict with those figures that this system lets us read; what it hides has no key. Accelerators
are read by one call of `nvidia-smi`, so that no driver library enters the training process; the host is read from
/proc and /sys on Linux and from the standard library elsewhere. No reading ever raises: a meter must not stop the work.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

Figures = dict[str, Any]

MIB = 1 << 20
_QUERY = {
    "name": "name",
    "memory_used_bytes": "memory.used",
    "memory_bytes": "memory.total",
    "utilization": "utilization.gpu",
    "watts": "power.draw",
    "temperature": "temperature.gpu",
}
_UNREADABLE = (OSError, ValueError, IndexError, KeyError, subprocess.SubprocessError, ImportError)

_last: dict[str, tuple[float, ...]] = {}  # counters of the previous call; utilization and watts are differences


def device_reading() -> Figures:
    """Read host and accelerators: bytes, utilization from 0 to 1, watts, degrees Celsius."""
    figures: Figures = {}
    for read in (_process_memory, _memory, _utilization, _watts, _temperature, _accelerators):
        with suppress(*_UNREADABLE):
            figures.update(read())
    return figures


def _process_memory() -> Figures:
    statm = Path("/proc/self/statm")
    if statm.exists():
        return {"process_memory_bytes": int(statm.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")}
    import resource  # absent on Windows: the reading is left out there

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {"process_memory_bytes": peak if sys.platform == "darwin" else peak * 1024}  # macOS counts bytes


def _memory() -> Figures:
    lines = (line.split() for line in Path("/proc/meminfo").read_text().splitlines())
    kilobytes = {parts[0].rstrip(":"): int(parts[1]) for parts in lines}
    total = kilobytes["MemTotal"] * 1024
    return {"memory_bytes": total, "memory_used_bytes": total - kilobytes["MemAvailable"] * 1024}


def _utilization() -> Figures:
    ticks = [float(part) for part in Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]
    busy, total = sum(ticks) - ticks[3] - ticks[4], sum(ticks)  # fields 4 and 5 are idle and waiting for disks, proc(5)
    before, _last["ticks"] = _last.get("ticks"), (busy, total)
    if before is None or total <= before[1]:
        return {}
    return {"utilization": round((busy - before[0]) / (total - before[1]), 4)}


def _watts() -> Figures:
    packages = sorted(Path("/sys/class/powercap").glob("intel-rapl:[0-9]*"))
    energies = [int((package / "energy_uj").read_text()) for package in packages if package.name.count(":") == 1]
    if not energies:
        return {}
    moment, joules = time.monotonic(), sum(energies) / 1e6
    before, _last["joules"] = _last.get("joules"), (moment, joules)
    if before is None or moment <= before[0] or joules < before[1]:  # the counter wraps around
        return {}
    return {"watts": round((joules - before[1]) / (moment - before[0]), 2)}


def _temperature() -> Figures:
    zones = sorted(Path("/sys/class/thermal").glob("thermal_zone*/temp"))
    degrees = [int(zone.read_text()) / 1000 for zone in zones]
    return {"temperature": max(degrees)} if degrees else {}


def _accelerators() -> Figures:
    program = shutil.which("nvidia-smi")
    if program is None:
        return {}
    command = [program, f"--query-gpu={','.join(_QUERY.values())}", "--format=csv,noheader,nounits"]
    answer = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True).stdout
    return {"accelerators": [_accelerator(line) for line in answer.splitlines() if line.strip()]}


def _accelerator(line: str) -> Figures:
    """Read one line of nvidia-smi; a figure it does not know ("[N/A]") is left out."""
    figures: Figures = {}
    for name, text in zip(_QUERY, (part.strip() for part in line.split(",")), strict=True):
        if name == "name":
            figures[name] = text
            continue
        with suppress(ValueError):
            value = float(text)
            if name.endswith("_bytes"):
                figures[name] = int(value * MIB)
            else:
                figures[name] = value / 100 if name == "utilization" else value
    return figures
