"""Where and how the model computes: a recipe and this machine go in; device, precision and threads come out.

Every choice carries its reason, for the manifest, for `doctor`, and for the message when a resume differs. What the
choices look at is a Chip, so that tests can decide for a device that is not here. The subtle thing: compiling changes
the last bits of a result and costs seconds before the first step, so a short run goes without.
"""

from __future__ import annotations

import importlib.util
import os
import platform
import shutil
import sysconfig
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from lhama.model import exact
from lhama.model.attention import activate
from lhama.plan import arithmetic, hardware
from lhama.plan.computing import WORTH_COMPILING
from lhama.plan.problem import Problem

if TYPE_CHECKING:
    from lhama.plan.recipe import Recipe

AMPERE, VOLTA = (8, 0), (7, 0)  # compute capabilities of NVIDIA's GPUs
SONOMA = (14, 0)  # torch has bf16 for Apple's GPUs from this macOS on


@dataclass(frozen=True)
class Chip:
    """What there is to compute on, as the choices see it."""

    kind: str
    """cuda, mps or cpu."""
    capability: tuple[int, int] = (0, 0)
    """The compute capability of NVIDIA's GPU."""
    system: tuple[int, int] = (0, 0)
    """The version of macOS, for Apple's GPU."""


@dataclass(frozen=True)
class Device:
    """How this run computes, and why."""

    kind: str
    """cuda, mps or cpu."""
    precision: str
    """fp32, tf32, bf16 or fp16: the arithmetic of matrix products; masters are always fp32."""
    compile: bool
    threads: int
    why_precision: str
    why_compile: str
    attention: str = "auto"
    """What recipes call train.attention, or FA3, FA4 where torch has such a kernel here."""
    deterministic: bool = False
    """Whether sums are made in a fixed order, so that the same steps give the same bits."""

    @property
    def place(self) -> torch.device:
        """Return the device as torch names it."""
        return torch.device(self.kind)

    @property
    def dtype(self) -> torch.dtype:
        """Return the type of the weights that compute."""
        return {"bf16": torch.bfloat16, "fp16": torch.float16}.get(self.precision, torch.float32)

    def start(self) -> None:
        """Give torch the threads and the arithmetic that were decided on, for good."""
        torch.set_num_threads(self.threads)
        torch.set_float32_matmul_precision("high" if self.precision == "tf32" else "highest")
        exact.settings(self.kind, self.deterministic).apply()

    @contextmanager
    def started(self) -> Iterator[Device]:
        """Start, and put everything back as it was at the end of the block."""
        threads, products, before = torch.get_num_threads(), torch.get_float32_matmul_precision(), exact.present()
        try:
            self.start()
            yield self
        finally:
            torch.set_num_threads(threads)
            torch.set_float32_matmul_precision(products)
            before.apply()

    def describe(self) -> dict[str, Any]:
        """List everything that bit-exactness depends on, and the reasons."""
        return asdict(self) | {
            "name": device_name(self.kind),
            "torch": torch.__version__,
            "instruction_set": torch.backends.cpu.get_cpu_capability(),
            "machine": platform.machine(),
        }


def pick(recipe: Recipe, chip: Chip | None = None) -> Device:
    """Decide for this machine, or for that chip; a recipe that asks for what is not there is a Problem."""
    chip = chip or chip_for(recipe.hardware.accelerator)
    precision, why_precision = _precision(recipe.train.precision, chip)
    compiled, why_compile = _compile(recipe, chip.kind, precision)
    threads = recipe.train.threads or hardware.usable_cores()
    kernel = activate(recipe.train.attention, chip.capability)
    fixed = exact.promised(recipe.train.deterministic, chip.kind)
    return Device(chip.kind, precision, compiled, threads, why_precision, why_compile, kernel, fixed)


def chip_for(accelerator: str) -> Chip:
    """Take the GPU that is there; a plan made for a GPU that is not here runs on what is here."""
    if accelerator != "cpu" and torch.cuda.is_available():
        return Chip("cuda", capability=torch.cuda.get_device_capability())
    if accelerator != "cpu" and torch.backends.mps.is_available():
        major, minor, *_ = (*platform.mac_ver()[0].split("."), "0", "0")
        return Chip("mps", system=(int(major), int(minor)))
    return Chip("cpu")


def memory_in_use(kind: str) -> dict[str, int]:
    """Say how many bytes of a GPU training took: on cuda at most so far, on mps at this moment."""
    if kind == "cuda":
        return {"peak_memory_bytes": torch.cuda.max_memory_allocated()}
    return {"memory_in_use_bytes": torch.mps.driver_allocated_memory()} if kind == "mps" else {}


def device_name(kind: str) -> str:
    """Name the device as its maker does, as far as it can be read."""
    if kind == "cuda":
        return torch.cuda.get_device_name()
    return platform.processor() or platform.machine()


def _precision(asked: str, chip: Chip) -> tuple[str, str]:
    """Take bf16 where the device multiplies it faster than fp32."""
    if asked == "tf32" and chip.capability < AMPERE:
        raise Problem(
            "tf32 is of NVIDIA's GPUs from Ampere on, and there is none here",
            key="train.precision",
            remedy='take "auto" or "fp32"',
        )
    if asked == "bf16" and chip.kind == "mps" and chip.system < SONOMA:
        raise Problem(
            f"bf16 on Apple's GPUs needs macOS {SONOMA[0]}",
            key="train.precision",
            remedy='take "auto", which is fp32 here',
        )
    if asked != "auto":
        return asked, "the recipe asks for it"
    if chip.kind == "cuda":
        if chip.capability >= AMPERE:
            return "bf16", "the GPU computes it"
        old = "the GPU is older than bf16"  # which it would emulate
        return ("fp16", f"{old} and has tensor cores for fp16") if chip.capability >= VOLTA else ("fp32", old)
    if chip.kind == "mps":
        return "fp32", "bf16 on Apple's GPUs is not tried yet"
    machine = hardware.this_machine()
    if machine.amx_bf16 or machine.avx512_bf16:
        return "bf16", f"the processor has {'AMX' if machine.amx_bf16 else 'AVX-512'} bf16"
    return "fp32", "the processor has neither AMX nor AVX-512 bf16"


def _compile(recipe: Recipe, kind: str, precision: str) -> tuple[bool, str]:
    """Compile where it is possible and the run is long enough to win the time back."""
    missing = missing_compiler(kind)
    if recipe.train.compile == "on" and missing:
        raise Problem(f"cannot compile: {missing}", key="train.compile", remedy='install it, or take "auto"')
    if recipe.train.compile != "auto":
        return recipe.train.compile == "on", "the recipe asks for it"
    if missing:
        return False, missing
    here = hardware.accelerator("cpu" if kind == "cpu" else "auto")
    seconds = arithmetic.expected_seconds(recipe, here, precision)
    length = f"{seconds:.0f} s" if seconds < 600 else f"{seconds / 60:.0f} min" if seconds < 36000 else "many hours"
    if seconds < WORTH_COMPILING:
        return False, f"about {length} of training would not win back the time it takes"
    return True, f"about {length} of training win back the time it takes"


def missing_compiler(kind: str) -> str | None:
    """Say what torch.compile lacks here, or None."""
    if kind == "mps":
        return "compilation on Apple's GPUs is not tried yet"
    if kind == "cuda":
        return None if importlib.util.find_spec("triton") else "triton is not installed"
    if not any(shutil.which(name) for name in (os.environ.get("CXX", "c++"), "g++", "clang++", "cl")):
        return "there is no C++ compiler"
    # Compiled code is loaded as a Python module, so it needs the interpreter's headers too.
    headers = Path(sysconfig.get_paths()["include"]) / "Python.h"
    return None if headers.is_file() else f"the headers of Python are missing ({headers})"
