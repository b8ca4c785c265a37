"""Causal attention in blocks of queries, for compiled training on a processor: fewer products, and faster ones.

In: queries, keys and values of whole rows. Out: what each token found among itself and those before it.

    keys      0 ... 127   128 ... 255   256 ... 383
    block 0   triangle                                  a block of 128 queries meets only the keys up to its own end,
    block 1   all         triangle                      so that most of what the mask would throw away is never made
    block 2   all         all           triangle

torch's own causal kernel for processors multiplies bf16 at a quarter of the speed of plain products, and no faster than
fp32; here the products are plain and the compiler fuses the softmax between them. Training steps became 1.3 times as
fast on two cores (docs/log.md). The subtle thing: the probabilities are kept for the backward pass, T^2 / 2 numbers a
head, so long rows go to torch's kernel, as does everything that is not compiled.
"""

from __future__ import annotations

import torch
from torch import Tensor

BLOCK = 128
LONGEST = 1024  # beyond, eight blocks a layer and more cost minutes of compilation, and the probabilities much memory


def blocks_pay(q: Tensor) -> bool:
    """Tell whether this attention is compiled training on a processor, in rows of a length where blocks are faster."""
    return (
        torch.compiler.is_compiling()
        and q.device.type == "cpu"
        and q.dtype == torch.bfloat16
        and BLOCK < q.shape[-2] <= LONGEST
    )


def causal_in_blocks(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Attend causally; q is (B, H, T, D), k and v are (B, K, T, D) with K a divisor of H."""
    group = q.shape[1] // k.shape[1]
    if group > 1:
        k, v = k.repeat_interleave(group, 1), v.repeat_interleave(group, 1)  # (B, H, T, D)
    T, D = q.shape[-2:]
    found = []
    for start in range(0, T, BLOCK):
        end = min(T, start + BLOCK)
        scores = (q[:, :, start:end] @ k[:, :, :end].transpose(-1, -2)).float() * D**-0.5  # (B, H, block, end)
        seen = torch.ones(end - start, end, dtype=torch.bool, device=q.device).tril(start)
        p = torch.softmax(scores.masked_fill(~seen, float("-inf")), -1)
        found.append(p.to(v.dtype) @ v[:, :, :end])  # (B, H, block, D)
    return torch.cat(found, -2)
