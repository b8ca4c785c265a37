"""Attention in blocks against torch's own, forward and backward."""

import pytest
import torch
import torch.nn.functional as F

from lhama.model.attention import BLOCK, LONGEST, blocks_pay, causal_in_blocks


@pytest.mark.parametrize("length", [1, BLOCK, BLOCK + 1, 3 * BLOCK - 7])
@pytest.mark.parametrize("shared", [4, 2, 1])
def test_blocks_equal_the_causal_kernel_of_torch(length: int, shared: int) -> None:
    draw = torch.Generator().manual_seed(length)
    q = torch.randn(2, 4, length, 8, generator=draw, requires_grad=True)
    k, v = (torch.randn(2, shared, length, 8, generator=draw, requires_grad=True) for _ in range(2))
    slope = torch.randn(2, 4, length, 8, generator=draw)
    ours = causal_in_blocks(q, k, v)
    theirs = F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=shared < 4)
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-6)
    gradients = [torch.autograd.grad(y, (q, k, v), slope) for y in (ours, theirs)]
    for one, other in zip(*gradients, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)


def test_only_compiled_bf16_rows_of_middling_length_go_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    def rows(length: int, dtype: torch.dtype = torch.bfloat16) -> torch.Tensor:
        return torch.empty(1, 1, length, 8, dtype=dtype)

    assert not blocks_pay(rows(512))  # eager
    monkeypatch.setattr(torch.compiler, "is_compiling", lambda: True)
    assert blocks_pay(rows(512)) and blocks_pay(rows(LONGEST))
    assert not blocks_pay(rows(BLOCK)) and not blocks_pay(rows(LONGEST + 1))
    assert not blocks_pay(rows(512, torch.float32))
