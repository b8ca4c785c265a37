"""Attention in blocks against torch's own, forward and backward."""

import pytest
import torch
import torch.nn.functional as F

from lhama.model.attention import (
    Documents,
    activate,
    apart_on_gpu,
    attend,
    blocks_pay,
    causal_in_blocks,
    plainly,
)
from lhama.model.llama import Llama, LlamaConfig
from lhama.plan.computing import BLOCK, LONGEST
from lhama.train.batches import document_starts


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


LENGTH = 2 * BLOCK + 9
CUTS = [[0, 5, 6, 140, 260], [0, 128, 200]]  # where documents begin, by row


def drawn(shared: int, dtype: torch.dtype = torch.float32, device: str = "cpu") -> list[torch.Tensor]:
    draw = torch.Generator().manual_seed(shared)
    shapes = [(2, 4, LENGTH, 16), (2, shared, LENGTH, 16), (2, shared, LENGTH, 16)]
    return [torch.randn(shape, generator=draw).to(device, dtype).requires_grad_() for shape in shapes]


def some_documents() -> Documents:
    places = [cut + row * LENGTH for row, cuts in enumerate(CUTS) for cut in cuts]
    return Documents.of(torch.tensor([*places, 2 * LENGTH, 2 * LENGTH], dtype=torch.int32), 2, LENGTH)


def document_by_document(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
    """Let torch attend to each document alone, which needs no mask."""
    rows = []
    for row, cuts in enumerate(CUTS):
        parts = []
        for begin, end in zip(cuts, [*cuts[1:], LENGTH], strict=True):
            one, two, three = (x[row : row + 1, :, begin:end] for x in (q, k, v))
            parts.append(F.scaled_dot_product_attention(one, two, three, is_causal=True, enable_gqa=k.shape[1] < 4))
        rows.append(torch.cat(parts, 2))
    return torch.cat(rows)


@pytest.mark.parametrize("shared", [4, 2])
@pytest.mark.parametrize("kind", ["sdpa", "plain", "blocks"])
def test_no_document_sees_another(kind: str, shared: int) -> None:
    q, k, v = drawn(shared)
    documents = some_documents()
    ours = causal_in_blocks(q, k, v, documents) if kind == "blocks" else attend(q, k, v, kind, documents)
    theirs = document_by_document(q, k, v)
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5)
    slope = torch.randn(ours.shape, generator=torch.Generator().manual_seed(1))
    gradients = [torch.autograd.grad(y, (q, k, v), slope) for y in (ours, theirs)]
    for one, other in zip(*gradients, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("shared", [4, 1])
def test_the_formula_equals_torchs_kernel(shared: int) -> None:
    q, k, v = drawn(shared)
    torch.testing.assert_close(plainly(q, k, v), attend(q, k, v, "sdpa"), rtol=1e-5, atol=1e-5)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU")
def test_on_a_gpu_no_document_sees_another() -> None:
    q, k, v = drawn(2, torch.bfloat16, "cuda")
    numbers, starts = some_documents()
    ours = apart_on_gpu(q, k, v, Documents(numbers.cuda(), starts.cuda()))
    theirs = document_by_document(*(x.float() for x in (q, k, v)))
    torch.testing.assert_close(ours.float(), theirs, rtol=2e-2, atol=2e-2)


def test_documents_begin_at_rows_and_after_their_ends() -> None:
    rows = torch.tensor([[1, 7, 2, 1, 2], [8, 9, 2, 2, 2]])
    starts = document_starts(rows, 2)
    assert starts.tolist() == [0, 3, 5, 8, 9, 10, 10, 10]  # a power of two of them
    numbers = Documents.of(starts, 2, 5).numbers.tolist()
    assert numbers == [[1, 1, 1, 2, 2], [3, 3, 3, 4, 5]]


def test_a_row_of_two_documents_learns_as_two_rows_do() -> None:
    model = Llama(LlamaConfig(64, 32, 64, 2, 4, 2, 8))
    model.init_weights(1)
    first, second = torch.tensor([1, 9, 8, 7, 2]), torch.tensor([1, 30, 31, 2])
    row = torch.cat((first, second))[None]
    together = model.loss(row, row.roll(-1, 1), None, document_starts(row, 2))
    apart = sum(
        model.loss(one[None], row[0].roll(-1)[place][None]) for one, place in ((first, slice(5)), (second, slice(5, 9)))
    )
    assert isinstance(apart, torch.Tensor)
    torch.testing.assert_close(together, apart, rtol=1e-6, atol=1e-6)  # positions count on, but only distances matter
    blind = model.loss(row, row.roll(-1, 1))
    assert abs(blind.item() - together.item()) > 1e-5


def test_only_a_gpu_of_its_kind_takes_a_newer_flash_attention() -> None:
    assert activate("auto", (0, 0)) == "auto"
    assert activate("plain", (9, 0)) == "plain"
