"""Where and how the model computes: a recipe and this machine go in; device, precision and threads come out.

Every choice carries its reason, for the manifest, for `doctor`, and for the message when a resume differs. The subtle
thing: compiling changes the last bits of a result and costs seconds before the first step, so a short run goes without.
"""

from __future__ import annotations

import importlib.util
import os
import platform
import shutil
import sysconfig
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from lhama.model.attention import activate
from lhama.plan import arithmetic, hardware
from lhama.plan.problem import Problem

if TYPE_CHECKING:
    from lhama.plan.recipe import Recipe

# Eight layers of 512 tokens took 55 s to compile on two cores; steps became 1.6 times as fast (docs/log.md).
COMPILE_SECONDS = 55.0
COMPILE_GAIN = 1.6
# Compile where the run is expected to take this long: break-even, doubled, as expectations err.
WORTH_COMPILING = 2 * COMPILE_SECONDS * COMPILE_GAIN / (COMPILE_GAIN - 1)
AMPERE, VOLTA = (8, 0), (7, 0)  # compute capabilities of NVIDIA's GPUs


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

    @property
    def place(self) -> torch.device:
        """Return the device as torch names it."""
        return torch.device(self.kind)

    @property
    def dtype(self) -> torch.dtype:
        """Return the type of the weights that compute."""
        return {"bf16": torch.bfloat16, "fp16": torch.float16}.get(self.precision, torch.float32)

    def start(self) -> None:
        """Give torch the threads that were decided on; on a processor, forbid kernels whose sums depend on chance.

        Compiled code would otherwise add an embedding's gradients with atomic operations of several threads, in
        whatever order they come: the same run gave other bits after 34 steps (docs/log.md, 2026-11-21).
        """
        torch.set_num_threads(self.threads)
        torch.set_float32_matmul_precision("high" if self.precision == "tf32" else "highest")
        if self.kind == "cpu":
            torch.use_deterministic_algorithms(True)
            # A guard for debugging that costs time.
            torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]

    def describe(self) -> dict[str, Any]:
        """List everything that bit-exactness depends on, and the reasons."""
        return asdict(self) | {
            "name": device_name(self.kind),
            "torch": torch.__version__,
            "instruction_set": torch.backends.cpu.get_cpu_capability(),
            "machine": platform.machine(),
        }


def pick(recipe: Recipe) -> Device:
    """Decide for this machine; a recipe that asks for what is not there is a Problem."""
    kind = _kind(recipe.hardware.accelerator)
    precision, why_precision = _precision(recipe.train.precision, kind)
    compiled, why_compile = _compile(recipe, kind, precision)
    threads = recipe.train.threads or hardware.usable_cores()
    capability = torch.cuda.get_device_capability() if kind == "cuda" else (0, 0)
    kernel = activate(recipe.train.attention, capability)
    return Device(kind, precision, compiled, threads, why_precision, why_compile, kernel)


def device_name(kind: str) -> str:
    """Name the device as its maker does, as far as it can be read."""
    if kind == "cuda":
        return torch.cuda.get_device_name()
    return platform.processor() or platform.machine()


def _kind(accelerator: str) -> str:
    """Take the GPU that is there; a plan made for a GPU that is not here runs on what is here."""
    if accelerator != "cpu" and torch.cuda.is_available():
        return "cuda"
    return "mps" if accelerator != "cpu" and torch.backends.mps.is_available() else "cpu"


def _precision(asked: str, kind: str) -> tuple[str, str]:
    """Take bf16 where the device multiplies it faster than fp32."""
    capability = torch.cuda.get_device_capability() if kind == "cuda" else (0, 0)
    if asked == "tf32" and capability < AMPERE:
        raise Problem(
            "tf32 is of NVIDIA's GPUs from Ampere on, and there is none here",
            key="train.precision",
            remedy='take "auto" or "fp32"',
        )
    if asked != "auto":
        return asked, "the recipe asks for it"
    if kind == "cuda":
        if capability >= AMPERE:
            return "bf16", "the GPU computes it"
        old = "the GPU is older than bf16"  # which it would emulate
        return ("fp16", f"{old} and has tensor cores for fp16") if capability >= VOLTA else ("fp32", old)
    if kind == "mps":
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
    seconds = expected_seconds(recipe, kind, precision)
    length = f"{seconds:.0f} s" if seconds < 600 else f"{seconds / 60:.0f} min" if seconds < 36000 else "many hours"
    if seconds < WORTH_COMPILING:
        return False, f"about {length} of training would not win back the time it takes"
    return True, f"about {length} of training win back the time it takes"


def expected_seconds(recipe: Recipe, kind: str, precision: str) -> float:
    """Estimate how long training takes on this device, by the plan's table."""
    here = hardware.accelerator("cpu" if kind == "cpu" else "auto")
    count = arithmetic.parameters(recipe.model, recipe.tokens.vocabulary)["total"]
    rate = arithmetic.peak(here, precision) * arithmetic.expected_utilization(here, count)
    return arithmetic.training_flops(recipe) / rate


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
