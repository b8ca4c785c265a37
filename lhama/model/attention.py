"""Causal attention: which of several kernels computes it, the processor's own blocks, and the walls between documents.

In: queries, keys and values of whole rows. Out: what each token found among itself and those before it, inside of its
own document where `Documents` are given.

    auto    blocks on a processor in compiled bf16; varlen on a GPU where documents are apart; else torch's kernel
    sdpa    torch's scaled_dot_product_attention: on a GPU FlashAttention 2, or 3 or 4 where `activate` finds it
    plain   two products and a softmax, written out: what all others are compared with

Blocks, for compiled training on a processor, are fewer products, and faster ones:

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

import importlib.util
import inspect
from contextlib import suppress
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from lhama.plan.computing import BLOCK, LONGEST

varlen_attn: Any = None
if torch.version.cuda or torch.version.hip:  # it brings all of torch's compiler along, and only GPUs have use for it
    with suppress(ImportError):  # before torch 2.10
        from torch.nn.attention.varlen import varlen_attn


class Documents(NamedTuple):
    """Where the documents of a batch of rows begin; no token sees across."""

    numbers: Tensor  # (B, T): which document a token belongs to
    starts: Tensor  # places in the rows laid end to end, int32; each row begins one, and the last are B * T

    @classmethod
    def of(cls, starts: Tensor, rows: int, length: int) -> Documents:
        """Number the documents of `rows` rows of so many tokens."""
        begun = torch.zeros(rows * length + 1, dtype=torch.int32, device=starts.device)
        begun = begun.index_fill(0, starts.long(), 1)[:-1]
        return cls(begun.cumsum(0).view(rows, length), starts)


def attend(q: Tensor, k: Tensor, v: Tensor, kind: str = "auto", documents: Documents | None = None) -> Tensor:
    """Attend causally; q is (B, H, T, D), k and v are (B, K, T, D) with K a divisor of H."""
    if kind == "auto" and blocks_pay(q):
        return causal_in_blocks(q, k, v, documents)
    if kind == "plain":
        return plainly(q, k, v, documents)
    if documents is None:
        return by_torch(q, k, v, causal=q.shape[-2] > 1)
    if varlen_attn is not None and q.is_cuda and q.dtype in (torch.bfloat16, torch.float16):
        return apart_on_gpu(q, k, v, documents)
    return by_torch(q, k, v, _causal(q, 0, q.shape[-2], documents))


def by_torch(q: Tensor, k: Tensor, v: Tensor, seen: Tensor | None = None, causal: bool = False) -> Tensor:
    """Attend with torch's kernel, to all keys, to those that are `seen`, or causally; K is a divisor of H."""
    if q.device.type == "mps":
        k, v = _repeated(q, k, v)  # torch's grouped heads were made for CUDA; not tried on Apple's GPUs
    return F.scaled_dot_product_attention(q, k, v, seen, is_causal=causal, enable_gqa=q.shape[1] != k.shape[1])


def plainly(q: Tensor, k: Tensor, v: Tensor, documents: Documents | None = None) -> Tensor:
    """Attend by the formula, softmax(q k^T / sqrt(D)) v, with all of its numbers in memory."""
    k, v = _repeated(q, k, v)
    T, D = q.shape[-2:]
    scores = (q @ k.transpose(-1, -2)).float() * D**-0.5  # (B, H, T, T)
    p = torch.softmax(scores.masked_fill(~_causal(q, 0, T, documents), float("-inf")), -1)
    return p.to(v.dtype) @ v


def apart_on_gpu(q: Tensor, k: Tensor, v: Tensor, documents: Documents) -> Tensor:
    """Attend inside of documents with FlashAttention's kernel for sequences of any length, laid end to end."""
    kernel = varlen_attn
    B, H, T, D = q.shape
    flat = [part.transpose(1, 2).reshape(B * T, -1, D) for part in (q, *_repeated(q, k, v))]
    causal = {"window_size": (-1, 0)} if "window_size" in inspect.signature(kernel).parameters else {"is_causal": True}
    found: Tensor = kernel(*flat, documents.starts, documents.starts, T, T, **causal)
    return found.view(B, T, H, D).transpose(1, 2)


def activate(kind: str, capability: tuple[int, int]) -> str:
    """Let torch take FlashAttention 3 on Hopper or 4 on Blackwell where it is installed; return what is taken."""
    if kind != "auto":
        return kind
    for name, module, newest in (("FA3", "flash_attn_interface", 9), ("FA4", "flash_attn.cute", 10)):
        if capability[0] != newest or not _is_there(module):
            continue
        from torch.nn.attention import activate_flash_attention_impl, list_flash_attention_impls

        if name in list_flash_attention_impls():
            activate_flash_attention_impl(name)
            return name
    return kind


def _is_there(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:  # the package that it would be in
        return False


def _repeated(q: Tensor, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
    """Give each query head keys and values of its own."""
    group = q.shape[1] // k.shape[1]
    return (k.repeat_interleave(group, 1), v.repeat_interleave(group, 1)) if group > 1 else (k, v)  # (B, H, T, D)


def _causal(q: Tensor, start: int, end: int, documents: Documents | None) -> Tensor:
    """Tell which keys before `end` the queries from `start` on may see: (block, end), for all rows or each."""
    seen = torch.ones(end - start, end, dtype=torch.bool, device=q.device).tril(start)
    return seen if documents is None else seen & _same(documents, start, end)


def _same(documents: Documents, start: int, end: int) -> Tensor:
    return (documents.numbers[:, start:end, None] == documents.numbers[:, None, :end])[:, None]  # (B, 1, block, end)


def blocks_pay(q: Tensor) -> bool:
    """Tell whether this attention is compiled training on a processor, in rows of a length where blocks are faster."""
    return (
        torch.compiler.is_compiling()
        and q.device.type == "cpu"
        and q.dtype == torch.bfloat16
        and BLOCK < q.shape[-2] <= LONGEST
    )


def causal_in_blocks(q: Tensor, k: Tensor, v: Tensor, documents: Documents | None = None) -> Tensor:
    """Attend causally, block by block; q is (B, H, T, D), k and v are (B, K, T, D) with K a divisor of H."""
    k, v = _repeated(q, k, v)
    T, D = q.shape[-2:]
    found = []
    for start in range(0, T, BLOCK):
        end = min(T, start + BLOCK)
        scores = (q[:, :, start:end] @ k[:, :, :end].transpose(-1, -2)).float() * D**-0.5  # (B, H, block, end)
        p = torch.softmax(scores.masked_fill(~_causal(q, start, end, documents), float("-inf")), -1)
        found.append(p.to(v.dtype) @ v[:, :, :end])  # (B, H, block, D)
    return torch.cat(found, -2)
