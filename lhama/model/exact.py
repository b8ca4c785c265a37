"""The same bits twice: which switches of torch make sums come in a fixed order, and how they are set and put back.

In: a kind of device and whether the recipe asks for determinism. Out: Settings to apply. A processor is always held to
a fixed order: compiled code would otherwise add an embedding's gradients with atomic operations of several threads, and
the same run gave other bits after 34 steps (docs/log.md, 2026-11-21). A GPU is held to it where the recipe says so, for
steps take longer: torch then takes no kernel with atomic sums, FlashAttention (2, 3 and 4) and memory-efficient
attention accumulate the gradient of the queries in order, and the compiler measures no kernels against each other,
whose winner, and so the order of a sum, would depend on the moment. cuDNN's attention is left out: it has no such mode.
The subtle thing: cuBLAS reads its part from the environment when a process first multiplies on a GPU (NVIDIA, cuBLAS,
"Results reproducibility"), so `before_cuda` must come before anything else there.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

import torch

from lhama.plan.problem import Problem

WORKSPACE = "CUBLAS_WORKSPACE_CONFIG"
FIXED = (":4096:8", ":16:8")  # the two settings with which cuBLAS promises the same bits; the first is the faster
KEY = "train.deterministic"


@dataclass(frozen=True)
class Settings:
    """Switches of torch that hold for the whole process."""

    algorithms: bool
    """Refuse kernels with sums in no fixed order; the compiler's deterministic mode goes with it."""
    fill_memory: bool
    """Fill new memory with a value that shows: a guard for debugging that costs time."""
    cudnn_deterministic: bool
    cudnn_benchmark: bool
    cudnn_attention: bool

    def apply(self) -> None:
        """Throw the switches."""
        torch.use_deterministic_algorithms(self.algorithms)
        torch.utils.deterministic.fill_uninitialized_memory = self.fill_memory  # type: ignore[attr-defined]
        torch.backends.cudnn.deterministic = self.cudnn_deterministic
        torch.backends.cudnn.benchmark = self.cudnn_benchmark
        torch.backends.cuda.enable_cudnn_sdp(self.cudnn_attention)


def present() -> Settings:
    """Read how the switches are."""
    return Settings(
        algorithms=torch.are_deterministic_algorithms_enabled(),
        fill_memory=torch.utils.deterministic.fill_uninitialized_memory,  # type: ignore[attr-defined]
        cudnn_deterministic=torch.backends.cudnn.deterministic,
        cudnn_benchmark=torch.backends.cudnn.benchmark,
        cudnn_attention=torch.backends.cuda.cudnn_sdp_enabled(),  # type: ignore[no-untyped-call]
    )


def settings(kind: str, fixed: bool) -> Settings:
    """Choose the switches for training on a kind of device."""
    held = fixed or kind == "cpu"
    return Settings(
        algorithms=held,
        fill_memory=False,
        cudnn_deterministic=held,
        cudnn_benchmark=False,
        cudnn_attention=not held,
    )


def promised(asked: bool, kind: str) -> bool:
    """Say whether training on a kind of device gives the same bits twice; refuse what cannot be promised."""
    if asked and kind == "mps":
        raise Problem("torch promises no fixed order of sums on Apple's GPUs", key=KEY, remedy="train on the processor")
    return asked or kind == "cpu"


def before_cuda(asked: bool) -> None:
    """Say in the environment what cuBLAS reads when CUDA starts; a Problem where it is too late, or another is said."""
    if not asked or not torch.cuda.is_available():
        return
    said = os.environ.get(WORKSPACE)
    if said is None and not torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        os.environ[WORKSPACE] = FIXED[0]
    elif said not in FIXED:
        what = "CUDA was started without it" if said is None else f"it is {said}"
        raise Problem(
            f"cuBLAS adds up in a fixed order only with {WORKSPACE}={FIXED[0]}, and {what}",
            key=KEY,
            remedy=f"start again with export {WORKSPACE}={FIXED[0]}",
        )
