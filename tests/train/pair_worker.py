"""One of two processes of a test: gradients that travel early, and fp16 over sharded weights."""

import sys

import pytest
import torch
from torch import nn
from torch.distributed.device_mesh import init_device_mesh

from lhama.train import loss_scale, replicated
from lhama.train.optim import AdamW
from lhama.train.parallel import compiled
from lhama.train.replicated import Replicated
from lhama.train.sharded import ShardedAdamW
from lhama.train.world import World, joined
from tests.train.shard_worker import SETTINGS, batch, tiny

STEPS, MICRO = 3, 2


def replicas(
    world: World, early: bool, tied: bool, compute: torch.dtype, how: str = "eager"
) -> tuple[Replicated, list[float]]:
    """Take some steps; without `early` nobody says which backward pass is the last, so all is sent at the end."""
    model = tiny(tied)
    optimizer = Replicated(world, model, compute=compute, **SETTINGS)
    torch._dynamo.reset()
    loss = model.loss if how == "eager" else compiled(optimizer, model, by_blocks=how == "blocks")
    figures = []
    for step in range(STEPS):
        nats = torch.zeros(())
        for micro in range(MICRO):
            if early:
                optimizer.expect(last=micro == MICRO - 1)
            value = loss(*batch(step, micro, world.rank, world.size))
            value.backward()  # type: ignore[no-untyped-call]
            optimizer.gather()
            nats += value.detach()
        figures += [float(nats), float(optimizer.step(1e-2, 120, nats)), float(nats)]
    return optimizer, figures


class Watched(World):
    """A World that notes how much had been sent when the gradient of the embedding, the last one, was there."""

    def __init__(self, world: World) -> None:
        super().__init__(world.rank, world.size)
        self.sent: list[int] = []

    def begin_sum(self, numbers: torch.Tensor) -> object:  # type: ignore[override]
        self.sent.append(numbers.numel())
        return super().begin_sum(numbers)


def early_gradients_are_the_same_to_the_bit(world: World, how: str = "eager") -> None:
    for tied in (False, True):
        for compute in (torch.float32, torch.bfloat16) if how == "eager" else (torch.float32,):
            late, expected = replicas(world, False, tied, compute, how)
            early, found = replicas(world, True, tied, compute, how)
            assert found == expected
            for ours, theirs in ((early.masters(), late.masters()), (early.moments(), late.moments())):
                assert all(torch.equal(ours[name], theirs[name]) for name in theirs)
            assert len(early._spans) > 4


def most_is_sent_before_the_backward_pass_ends(world: World, how: str = "eager") -> None:
    watched, model = Watched(world), tiny(tied=False)
    optimizer = Replicated(watched, model, **SETTINGS)
    loss = model.loss if how == "eager" else compiled(optimizer, model, by_blocks=True)
    at_the_end: list[int] = []

    # The embedding's gradient is the last one; a hook of the tensor is called before ours, which sends it.
    model.model.embed_tokens.weight.register_hook(  # type: ignore[no-untyped-call]
        lambda _: at_the_end.append(sum(watched.sent))
    )
    for last in (False, True):
        optimizer.expect(last)
        loss(*batch(0, 0, world.rank, world.size)).backward()  # type: ignore[no-untyped-call]
        assert bool(watched.sent) == last  # only the last backward pass of a step sends
        optimizer.gather()
    optimizer.step(1e-2, 120, torch.zeros(()))
    whole = optimizer._gradient.numel()
    embedding, norms = 70 * 16, whole - optimizer._slices[0].numel()
    assert sum(watched.sent) == whole
    assert at_the_end[-1] >= 0.9 * (whole - embedding - norms)
    with pytest.raises(ValueError, match="got no gradient"):
        optimizer.expect(last=True)
        optimizer.gather()


def half(world: World, model: nn.Module, optimizer: AdamW | ShardedAdamW, spoiled: int | None) -> list[float]:
    figures = []
    for step in range(6):
        nats = torch.zeros(())
        assert optimizer.loss_scale is not None
        for micro in range(MICRO):
            if isinstance(optimizer, ShardedAdamW):
                optimizer.expect(last=micro == MICRO - 1)
            ids, goals = batch(step, micro, world.rank, world.size)
            scale = optimizer.loss_scale.value
            if step == spoiled and micro == 0 and world.rank == world.size - 1:
                scale = scale * 1e6  # too large for fp16 in this process alone
            value = model.loss(ids, goals, scale)  # type: ignore[operator]
            value.backward()
            optimizer.gather()
            nats += value.detach()
        norm = optimizer.step(1e-2, 120, nats)
        figures += [float(nats), float(norm), float(optimizer.loss_scale.value), optimizer.updates()]
    assert not optimizer.halted
    return figures


def fp16_over_shards_is_fp16(world: World, hold: bool, spoiled: int | None) -> None:
    settings = SETTINGS | {"compute": torch.float16, "targets": 120}
    model, plain = tiny(tied=False), tiny(tied=False)
    mesh = init_device_mesh("cpu", (world.size,), mesh_dim_names=("shard",))
    sharded = ShardedAdamW(model, mesh, hold=hold, **settings)  # type: ignore[arg-type]
    found = half(world, model, sharded, spoiled)
    expected = half(World(), plain, AdamW(plain, **settings), spoiled)  # type: ignore[arg-type]
    torch.testing.assert_close(torch.tensor(found), torch.tensor(expected), rtol=2e-2, atol=2e-2)
    for at in (2, 3):  # scales and numbers of updates
        assert found[at::4] == expected[at::4], (found, expected)
    if spoiled is not None:
        assert found[4 * spoiled + 1] == 0.0
        assert found[4 * spoiled + 2] == found[2] / 2
        assert found[-1] == 5
    assert world.collect("scales", sharded.loss_scale.state() if sharded.loss_scale else None)[0] == (
        sharded.loss_scale.state() if sharded.loss_scale else None
    )


def main() -> None:
    """Try everything."""
    torch.set_num_threads(1)
    replicated.BUCKET = 256
    loss_scale.FIRST = 8  # where nothing overflows by itself
    with joined("cpu", 60) as world:
        if sys.argv[1:] == ["compiled"]:
            for how in ("whole", "blocks"):
                early_gradients_are_the_same_to_the_bit(world, how)
            most_is_sent_before_the_backward_pass_ends(world, "blocks")
            return
        early_gradients_are_the_same_to_the_bit(world)
        most_is_sent_before_the_backward_pass_ends(world)
        for hold in (False, True):
            fp16_over_shards_is_fp16(world, hold, None)
            fp16_over_shards_is_fp16(world, hold, 3)


if __name__ == "__main__":
    main()
