"""Accelerators: what a machine can do, draws and costs, and what this machine has.

Peaks are dense (without sparsity), in FLOP/s, from the makers' data sheets. Prices are USD for an hour as rented in
2026 (a middle between spot and large clouds; set hardware.price_per_hour to your own). A busy A100 drew 423-475 W in
Tucano's published logs and 328 W in TeenyTinyLlama's, which left it idle nine tenths of the time. What a
kilowatt hour emits is in grid.py. Nothing here imports torch, so that a plan needs none.
"""

from __future__ import annotations

import difflib
import os
import shutil
import subprocess
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from lhama.plan.problem import Problem

GIB = 2**30


@dataclass(frozen=True)
class Accelerator:
    """One kind of accelerator; a value of None is unknown, or does not exist."""

    name: str
    label: str
    bf16: float | None
    tf32: float | None
    fp32: float
    memory_bytes: int
    watts: float
    host_watts: float
    price_per_hour: float | None


# The share of the host (processor, memory, fans) is 100-200 W beside each data-centre GPU; we take 150.
ACCELERATORS = {
    one.name: one
    for one in (
        Accelerator("t4", "NVIDIA T4", None, None, 8.1e12, 16 * GIB, 70, 50, None),
        Accelerator("l4", "NVIDIA L4", 121e12, 60e12, 30.3e12, 24 * GIB, 72, 50, None),
        Accelerator("a10", "NVIDIA A10", 125e12, 62.5e12, 31.2e12, 24 * GIB, 150, 100, None),
        Accelerator("l40s", "NVIDIA L40S", 362e12, 183e12, 91.6e12, 48 * GIB, 350, 150, None),
        Accelerator("rtx3090", "NVIDIA RTX 3090", 71e12, 35.6e12, 35.6e12, 24 * GIB, 350, 100, None),
        Accelerator("rtx-a6000", "NVIDIA RTX A6000", 155e12, 77.4e12, 38.7e12, 48 * GIB, 300, 100, None),
        Accelerator("rtx4090", "NVIDIA RTX 4090", 165e12, 82.6e12, 82.6e12, 24 * GIB, 450, 100, 0.45),
        Accelerator("rtx5090", "NVIDIA RTX 5090", 209e12, 105e12, 105e12, 32 * GIB, 575, 100, None),
        Accelerator("a100-40", "NVIDIA A100 40 GB", 312e12, 156e12, 19.5e12, 40 * GIB, 400, 150, 1.30),
        Accelerator("a100-80", "NVIDIA A100 80 GB", 312e12, 156e12, 19.5e12, 80 * GIB, 450, 150, 1.30),
        Accelerator("h100", "NVIDIA H100 SXM", 989e12, 495e12, 67e12, 80 * GIB, 650, 150, 2.50),
        Accelerator("h200", "NVIDIA H200 SXM", 989e12, 495e12, 67e12, 141 * 10**9, 650, 150, 3.50),
        Accelerator("b200", "NVIDIA B200", 2250e12, 1125e12, 75e12, 180 * 10**9, 1000, 200, None),
    )
}

# What one processor core sustains in compiled training, not its peak, in PaLM's count of operations. With AVX-512
# bf16, on two cores: the demo's 1.7 million parameters in 172 s, 176 GFLOP/s a core; 8.4 million parameters at T = 512,
# alone on the machine, 7,700 to 8,900 tokens/s of 63 MFLOP, 240 to 280 (docs/log.md). With AMX a plain script did 190,
# and ours is faster than plain ones by a third and more elsewhere. Without either: an estimate.
CORE_AMX, CORE_AVX512_BF16, CORE_OTHER = 250e9, 180e9, 30e9
# Watts of one busy server core and of its share of memory and board: estimates, used only before a measurement.
CORE_WATTS, CORE_HOST_WATTS = 8.0, 4.0


@dataclass(frozen=True)
class Gpu:
    """A GPU as its driver names it."""

    name: str
    memory_bytes: int


@dataclass(frozen=True)
class Machine:
    """What this machine has; cores and memory are those that this process may use."""

    cores: int
    memory_bytes: int | None
    avx2: bool
    avx512_bf16: bool
    amx_bf16: bool
    gpus: tuple[Gpu, ...]

    @property
    def accelerator(self) -> str:
        """Return the table's name for the first GPU, or `cpu`."""
        return (name_of_gpu(self.gpus[0]) or "gpu") if self.gpus else "cpu"


def check_accelerator(name: str) -> None:
    """Refuse a name that is not in the table."""
    known = ["auto", "cpu", *ACCELERATORS]
    if name not in known:
        near = difflib.get_close_matches(name, known, n=1)
        hint = f"did you mean {near[0]}?" if near else f"known: {', '.join(known)}"
        raise Problem(f"{name!r} is unknown", key="hardware.accelerator", remedy=hint)


# A word of the driver's name for a GPU, and the table's name for it.
WORDS = {"B200": "b200", "H200": "h200", "H100": "h100", "L40S": "l40s", "A6000": "rtx-a6000", "A10": "a10"}
WORDS |= {"5090": "rtx5090", "4090": "rtx4090", "3090": "rtx3090", "L4": "l4", "T4": "t4"}


def name_of_gpu(gpu: Gpu) -> str | None:
    """Return the table's name for a GPU that its driver describes, or None."""
    words = gpu.name.upper().replace("-", " ").split()
    if "A100" in words:
        return "a100-40" if gpu.memory_bytes < 60 * GIB else "a100-80"
    return next((name for word, name in WORDS.items() if word in words), None)


def unknown_gpu(gpu: Gpu) -> Accelerator:
    """Describe a GPU that is not in the table by the smallest one with bf16: a plan that errs says too long."""
    label = f"{gpu.name} (not in the table, planned as an L4)"
    return replace(ACCELERATORS["l4"], name="gpu", label=label, memory_bytes=gpu.memory_bytes)


def cpu(machine: Machine) -> Accelerator:
    """Describe this machine's processor as an accelerator; its rate is what training sustains."""
    per_core = CORE_AMX if machine.amx_bf16 else CORE_AVX512_BF16 if machine.avx512_bf16 else CORE_OTHER
    return Accelerator(
        name="cpu",
        label=f"{machine.cores} processor cores" + (" with AMX" if machine.amx_bf16 else ""),
        bf16=machine.cores * per_core if machine.amx_bf16 or machine.avx512_bf16 else None,
        tf32=None,
        fp32=machine.cores * CORE_OTHER,
        memory_bytes=machine.memory_bytes or 4 * GIB,
        watts=machine.cores * CORE_WATTS,
        host_watts=machine.cores * CORE_HOST_WATTS,
        price_per_hour=0.0,
    )


def accelerator(name: str) -> Accelerator:
    """Return the accelerator of that name; `auto` and `cpu` look at this machine."""
    check_accelerator(name)
    if name in ACCELERATORS:
        return ACCELERATORS[name]
    machine = this_machine()
    return of_gpu(machine.gpus[0]) if name == "auto" and machine.gpus else cpu(machine)


def of_gpu(gpu: Gpu) -> Accelerator:
    """Return the accelerator of the table that a GPU is, or a careful description of one that is not in it."""
    known = name_of_gpu(gpu)
    return ACCELERATORS[known] if known is not None else unknown_gpu(gpu)


def this_machine() -> Machine:
    """Look at this machine: cores, memory, instruction sets, GPUs."""
    flags = _processor_flags()
    return Machine(
        cores=usable_cores(),
        memory_bytes=_memory_bytes(),
        avx2="avx2" in flags,
        avx512_bf16="avx512_bf16" in flags,
        amx_bf16="amx_bf16" in flags,
        gpus=_gpus(),
    )


def usable_cores() -> int:
    """Count the cores this process may use, container limits included."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = _first_words(Path("/sys/fs/cgroup/cpu.max"))
    if len(quota) == 2 and quota[0].isdigit() and int(quota[1]) > 0:
        cores = min(cores, max(1, -(-int(quota[0]) // int(quota[1]))))
    return max(1, cores)


def _first_words(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8").split()
    except OSError:
        return []


def _processor_flags() -> frozenset[str]:
    """Read the instruction sets that Linux lists; elsewhere none are claimed."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return frozenset()
    for line in text.splitlines():
        label, _, value = line.partition(":")
        if label.strip() in ("flags", "Features"):
            return frozenset(value.split())
    return frozenset()


def _memory_bytes() -> int | None:
    try:
        total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return None
    limit = _first_words(Path("/sys/fs/cgroup/memory.max"))
    return min(total, int(limit[0])) if limit and limit[0].isdigit() else total


def _gpus() -> tuple[Gpu, ...]:
    program = shutil.which("nvidia-smi")
    return () if program is None else _gpus_of(program)


@cache
def _gpus_of(program: str) -> tuple[Gpu, ...]:
    """Ask nvidia-smi, once in a process: it takes most of a second; a driver that fails counts as no GPU."""
    question = [program, "--query-gpu=name,memory.total", "--format=csv,noheader,nounits"]
    try:
        answer = subprocess.run(question, capture_output=True, text=True, timeout=20, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return ()
    found = []
    for line in answer.splitlines():
        name, _, mebibytes = line.rpartition(",")
        if name and mebibytes.strip().isdigit():
            found.append(Gpu(name.strip(), int(mebibytes) * 2**20))
    return tuple(found)
