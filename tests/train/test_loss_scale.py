"""Dynamic loss scaling, against torch's own GradScaler and by hand."""

import pytest
import torch
from torch import nn

from lhama.model.llama import Llama, LlamaConfig
from lhama.model.loss import summed_cross_entropy
from lhama.train import loss_scale
from lhama.train.loss_scale import LossScale
from lhama.train.optim import AdamW

CPU = torch.device("cpu")


def test_the_scale_follows_torchs_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loss_scale, "PATIENCE", 3)
    ours = LossScale(1, CPU)
    theirs = torch.amp.GradScaler("cpu", init_scale=2.0**16, growth_interval=3)
    weight = nn.Parameter(torch.ones(2))
    optimizer = torch.optim.SGD([weight], lr=0.0)
    for overflows in [0, 0, 0, 1, 0, 0, 1, 1, 0, 0, 0, 0, 0, 0, 0]:
        theirs.scale(weight.sum()).backward()  # type: ignore[no-untyped-call]
        assert weight.grad is not None
        if overflows:
            weight.grad[0] = torch.inf
        theirs.step(optimizer)
        theirs.update()
        optimizer.zero_grad()
        assert not ours.update(torch.tensor(bool(overflows)))
        assert float(ours.value) == theirs.get_scale()


def test_a_scale_that_falls_without_end_is_no_overflow() -> None:
    scale = LossScale(1024, CPU)
    assert float(scale.value) == 2.0**6  # 2^16 for a mean over 2^10
    told = [bool(scale.update(torch.tensor(True))) for _ in range(60)]
    assert told.index(True) == 40  # from 2^16 until below 2^-24


def test_the_state_of_a_checkpoint_goes_on() -> None:
    scale, other = LossScale(8, CPU), LossScale(8, CPU)
    for overflow in (True, False, False):
        scale.update(torch.tensor(overflow))
    other.load(scale.state())
    assert other.state() == scale.state() == {"value": 2.0**12, "calm": 2.0}


def trained(compute: torch.dtype, spoil: int | None = None) -> tuple[list[float], list[float], Llama]:
    """Take ten steps; at one of them the gradient overflows."""
    model = Llama(LlamaConfig(128, 32, 64, 2, 4, 4, 8))
    model.init_weights(5)
    optimizer = AdamW(
        model, weight_decay=0.1, betas=(0.9, 0.95), epsilon=1e-8, clip=1.0, compute=compute, targets=4 * 16
    )
    generator = torch.Generator().manual_seed(2)
    losses, norms = [], []
    for step in range(10):
        ids = torch.randint(4, 12, (4, 16), generator=generator)
        scale = optimizer.loss_scale.value if optimizer.loss_scale else None
        loss = model.loss(ids, ids, scale)
        loss.backward()  # type: ignore[no-untyped-call]
        if step == spoil:
            grad = model.model.embed_tokens.weight.grad
            assert grad is not None
            grad[0, 0] = torch.inf
        optimizer.gather()
        norms.append(float(optimizer.step(1e-2, 64, loss.detach())))
        losses.append(loss.item() / 64)
    assert not optimizer.halted
    return losses, norms, model


@pytest.fixture
def small_first_scale(monkeypatch: pytest.MonkeyPatch) -> None:
    """Begin where nothing overflows; the usual beginning finds its scale by some overflows, which leave out updates."""
    monkeypatch.setattr(loss_scale, "FIRST", 8)


@pytest.mark.usefixtures("small_first_scale")
def test_fp16_learns_as_fp32_does() -> None:
    exact, exact_norms, _ = trained(torch.float32)
    losses, norms, _ = trained(torch.float16)
    assert exact[-1] < 0.7 * exact[0]
    for one, two in zip(exact, losses, strict=True):
        assert abs(one - two) < 0.01
    assert norms[0] == pytest.approx(exact_norms[0], rel=2e-3)  # of the same weights; later ones have parted a little
    assert norms == pytest.approx(exact_norms, rel=0.05)


@pytest.mark.usefixtures("small_first_scale")
def test_an_overflow_leaves_one_update_out_and_training_goes_on() -> None:
    losses, norms, _ = trained(torch.float16, spoil=3)
    whole, _, _ = trained(torch.float16)
    assert norms[3] == 0.0 and all(norm > 0 for at, norm in enumerate(norms) if at != 3)
    assert losses[:4] == whole[:4]
    assert losses[4] != whole[4]
    assert losses[-1] < 0.8 * losses[0]


def test_a_small_gradient_does_not_vanish() -> None:
    model = Llama(LlamaConfig(128, 32, 64, 1, 4, 4, 8)).half()
    model.init_weights(5)
    ids = torch.randint(4, 128, (1, 16), generator=torch.Generator().manual_seed(2))
    hidden = model.model(ids).detach().requires_grad_()
    head = (model.head.detach() * 0.01).requires_grad_()
    counts = []
    for scale in (None, torch.tensor(2.0**10)):
        summed_cross_entropy(hidden.flatten(0, 1) * 3e-6, head, ids.flatten(), scale).backward()  # type: ignore[no-untyped-call]
        assert head.grad is not None
        counts.append(int((head.grad != 0).sum()))
        head.grad = None
    assert counts[1] > counts[0]
