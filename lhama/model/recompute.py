"""Gradient checkpointing: what a block of the network keeps for the backward pass, and what is computed again there.

            kept of a block                                          computed again
off         all that its derivatives ask for                         nothing
selective   its input, matrix products and attention's output       norms, rotations, the SwiGLU's gate: cheap ones
full        its input                                                all of it, a third more operations in a step

Both give the same numbers as `off`, for the same operations are done on the same numbers (Chen et al. 2016,
arXiv:1604.06174; for `selective` Korthikanti et al. 2022, arXiv:2205.05198, section 5).
"""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import CheckpointPolicy, checkpoint, create_selective_checkpoint_contexts

DEAR = frozenset(
    name
    for name in (
        "mm",
        "bmm",
        "addmm",
        "_scaled_dot_product_flash_attention",
        "_scaled_dot_product_flash_attention_for_cpu",
        "_scaled_dot_product_efficient_attention",
        "_scaled_dot_product_cudnn_attention",
        "_flash_attention_forward",
    )
    if hasattr(torch.ops.aten, name)
)
"""Operations whose results `selective` keeps, by their names in torch.ops.aten."""


def _policy(_context: Any, operation: Any, *_: Any, **__: Any) -> CheckpointPolicy:
    name = getattr(operation, "overloadpacket", operation).__name__
    return CheckpointPolicy.MUST_SAVE if name in DEAR else CheckpointPolicy.PREFER_RECOMPUTE


def recomputed(block: nn.Module, how: str, *inputs: Any) -> Tensor:
    """Apply a block so that its backward pass computes again what `how`, selective or full, does not keep."""
    more: dict[str, Any] = {}
    if how == "selective":
        more["context_fn"] = partial(create_selective_checkpoint_contexts, _policy)
    out: Tensor = checkpoint(block, *inputs, use_reentrant=False, preserve_rng_state=False, **more)
    return out
