"""AdamW over flat masters, against torch's own plain implementation and by hand."""

import pytest
import torch
from torch import Tensor, nn

from lhama.model.llama import Llama, LlamaConfig
from lhama.train import optim
from lhama.train.optim import AdamW


class Tiny(nn.Module):
    """An embedding, a norm weight and a matrix whose sizes fill no cache line."""

    def __init__(self, seed: int = 0) -> None:
        super().__init__()
        draw = torch.Generator().manual_seed(seed)
        self.embed = nn.Parameter(torch.randn(7, 5, generator=draw))
        self.norm = nn.Parameter(torch.ones(5))
        self.out = nn.Parameter(torch.randn(7, 5, generator=draw))

    def loss(self, ids: Tensor, targets: Tensor) -> Tensor:
        logits = (self.embed[ids] * self.norm) @ self.out.T
        return nn.functional.cross_entropy(logits.float(), targets, reduction="sum")


def ours(model: Tiny, clip: float | None = None, compute: torch.dtype = torch.float32) -> AdamW:
    return AdamW(model, weight_decay=0.1, betas=(0.9, 0.95), epsilon=1e-8, clip=clip, compute=compute)


def batch(seed: int, rows: int = 64) -> tuple[Tensor, Tensor]:
    draw = torch.Generator().manual_seed(seed)
    return torch.randint(7, (rows,), generator=draw), torch.randint(7, (rows,), generator=draw)


def train(model: Tiny, optimizer: AdamW, seed: int, parts: int = 1) -> tuple[Tensor, Tensor]:
    ids, targets = batch(seed)
    nats = torch.zeros(())
    for part_ids, part_targets in zip(ids.chunk(parts), targets.chunk(parts), strict=True):
        loss = model.loss(part_ids, part_targets)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.gather()
        nats += loss.detach()
    return nats, optimizer.step(1e-2, len(ids), nats)


@pytest.mark.parametrize("clip", [None, 0.05])
def test_ten_updates_equal_torch_without_fusion(clip: float | None) -> None:
    model, other = Tiny(), Tiny()
    optimizer = ours(model, clip)
    theirs = torch.optim.AdamW(
        [{"params": [other.embed, other.out], "weight_decay": 0.1}, {"params": [other.norm], "weight_decay": 0.0}],
        lr=1e-2,
        betas=(0.9, 0.95),
        eps=1e-8,
        foreach=False,
        fused=False,
    )
    for step in range(10):
        _, norm = train(model, optimizer, step)
        ids, targets = batch(step)
        theirs.zero_grad()
        (other.loss(ids, targets) / len(ids)).backward()  # type: ignore[no-untyped-call]
        their_norm = nn.utils.clip_grad_norm_(other.parameters(), clip or 1e9)
        theirs.step()
        torch.testing.assert_close(norm, their_norm, rtol=1e-5, atol=0)
    for name, weight in other.named_parameters():
        torch.testing.assert_close(optimizer.masters()[name], weight.detach(), rtol=2e-5, atol=2e-6)


@pytest.mark.parametrize("compute", [torch.float32, torch.float16])
def test_the_update_written_out_is_the_fused_one(compute: torch.dtype, monkeypatch: pytest.MonkeyPatch) -> None:
    """For Apple's GPUs, whose fused kernel ignored the divisor and what is to be left out: one such step among ten."""
    outcomes = []
    for fused in (("cpu",), ()):
        monkeypatch.setattr(optim, "FUSED", fused)
        model = Tiny()
        optimizer = AdamW(
            model, weight_decay=0.1, betas=(0.9, 0.95), epsilon=1e-8, clip=0.05, halting=False, compute=compute
        )
        for step in range(10):
            if step in (0, 4):
                before = {name: value.clone() for name, value in (optimizer.masters() | optimizer.moments()).items()}
                for weight in model.parameters():
                    weight.grad = torch.full_like(weight, torch.nan)
                optimizer.gather()
                optimizer.step(1e-2, 4, torch.tensor(1.0))
                after = optimizer.masters() | optimizer.moments()
                assert all(torch.equal(after[name], value) for name, value in before.items())
            else:
                train(model, optimizer, step)
        assert optimizer.updates() == 8
        outcomes.append({name: value.clone() for name, value in (optimizer.masters() | optimizer.moments()).items()})
    for name, value in outcomes[0].items():
        torch.testing.assert_close(outcomes[1][name], value, rtol=1e-5, atol=1e-7, msg=name)


def test_decay_shrinks_matrices_and_no_norm() -> None:
    model = Tiny()
    optimizer = ours(model)
    before = {name: weight.clone() for name, weight in optimizer.masters().items()}
    for weight in model.parameters():
        weight.grad = torch.zeros_like(weight)
    optimizer.gather()
    optimizer.step(0.5, 1, torch.tensor(1.0))
    after = optimizer.masters()
    torch.testing.assert_close(after["embed"], before["embed"] * (1 - 0.5 * 0.1))  # one step: w - lr * decay * w
    torch.testing.assert_close(after["out"], before["out"] * (1 - 0.5 * 0.1))
    assert torch.equal(after["norm"], before["norm"])


@pytest.mark.parametrize(("compute", "tolerance"), [(torch.float32, 1e-6), (torch.bfloat16, 5e-3)])
def test_accumulation_equals_the_big_batch(compute: torch.dtype, tolerance: float) -> None:
    whole, parts = Tiny(), Tiny()
    big, small = ours(whole, compute=compute), ours(parts, compute=compute)
    _, norm = train(whole, big, 1)
    _, summed = train(parts, small, 1, parts=8)
    torch.testing.assert_close(norm, summed, rtol=tolerance, atol=0)
    for name, moment in big.moments().items():
        torch.testing.assert_close(
            small.moments()[name], moment, rtol=0.1, atol=tolerance * float(moment.abs().max()) * 4
        )


def test_bf16_copies_are_the_masters_rounded_and_small_updates_survive() -> None:
    model = Tiny()
    optimizer = ours(model, compute=torch.bfloat16)
    assert model.embed.dtype == torch.bfloat16
    start = optimizer.masters()["embed"].clone()
    for step in range(5):
        ids, targets = batch(step)
        nats = model.loss(ids, targets)
        nats.backward()  # type: ignore[no-untyped-call]
        optimizer.gather()
        optimizer.step(1e-6, len(ids), nats.detach())
    # 1e-6 is far below bf16's resolution near 1 (2^-8), so that only the masters can have moved by 5e-6.
    moved = (optimizer.masters()["embed"] - start).abs()
    assert 1e-6 < float(moved.max()) < 1e-5
    for name, weight in model.named_parameters():
        assert torch.equal(weight, optimizer.masters()[name].bfloat16())


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_gradient_that_is_not_finite_changes_nothing_then_or_later(bad: float) -> None:
    model = Tiny()
    optimizer = ours(model, clip=1.0)
    train(model, optimizer, 0)
    before = {name: value.clone() for name, value in (optimizer.masters() | optimizer.moments()).items()}
    for weight in model.parameters():
        weight.grad = torch.full_like(weight, bad)
    optimizer.gather()
    optimizer.step(1e-2, 4, torch.tensor(1.0))
    train(model, optimizer, 1)
    assert float(optimizer.halted) == 1.0
    for name, value in (optimizer.masters() | optimizer.moments()).items():
        assert torch.equal(value, before[name]), name


def test_a_loss_that_is_not_finite_stops_even_with_finite_gradients() -> None:
    model = Tiny()
    optimizer = ours(model)
    start = optimizer.masters()["out"].clone()
    model.loss(*batch(0)).backward()  # type: ignore[no-untyped-call]
    optimizer.gather()
    optimizer.step(1e-2, 64, torch.tensor(float("inf")))
    assert torch.equal(optimizer.masters()["out"], start)


@pytest.mark.parametrize("compute", [torch.float32, torch.bfloat16])
def test_loading_masters_and_moments_continues_to_the_bit(compute: torch.dtype) -> None:
    model = Tiny()
    optimizer = ours(model, clip=0.1, compute=compute)
    for step in range(3):
        train(model, optimizer, step)
    masters = {name: value.clone() for name, value in optimizer.masters().items()}
    moments = {name: value.clone() for name, value in optimizer.moments().items()}
    other = Tiny(seed=9)
    resumed = ours(other, clip=0.1, compute=compute)
    resumed.load(masters, moments, updates=3)
    for step in range(3, 6):
        train(model, optimizer, step)
        train(other, resumed, step)
    for name, value in (optimizer.masters() | optimizer.moments()).items():
        assert torch.equal(value, (resumed.masters() | resumed.moments())[name]), name


def test_tensors_of_another_model_are_refused_by_name() -> None:
    optimizer = ours(Tiny())
    masters = dict(optimizer.masters())
    masters["strange"] = masters.pop("norm")
    with pytest.raises(ValueError, match=r"norm.*strange"):
        optimizer.load(masters, optimizer.moments(), updates=0)


@pytest.mark.parametrize("heads", [4, 2])  # all with keys of their own, and grouped
def test_products_that_are_one_give_every_matrix_its_own_gradient(heads: int) -> None:
    ids = torch.randint(128, (2, 12), generator=torch.Generator().manual_seed(0))
    model = Llama(LlamaConfig(128, 32, 64, 2, 4, heads, 8))
    model.init_weights(1)
    plain = Llama(model.config)
    plain.load_state_dict(model.state_dict())
    optimizer = AdamW(model, weight_decay=0.1, betas=(0.9, 0.95), epsilon=1e-8, clip=None)
    fused = [module.fused for module, _ in model.products()]
    assert all(isinstance(one, Tensor) for one in fused)
    for loss in (model.loss(ids, ids), plain.loss(ids, ids)):
        loss.backward()  # type: ignore[no-untyped-call]
    optimizer.gather()
    expected = dict(plain.named_parameters())
    assert optimizer.gradients().keys() == expected.keys() == dict(model.named_parameters()).keys()
    for name, gradient in optimizer.gradients().items():
        wanted = expected[name].grad
        assert wanted is not None
        torch.testing.assert_close(gradient, wanted, rtol=1e-5, atol=1e-6, msg=name)
    before = model.loss(ids, ids).item()
    optimizer.step(1e-2, ids.numel(), torch.tensor(before))
    again = Llama(model.config)
    again.load_state_dict(model.state_dict())
    after = model.loss(ids, ids).item()
    assert after < before
    assert after == pytest.approx(again.loss(ids, ids).item(), rel=1e-6)
