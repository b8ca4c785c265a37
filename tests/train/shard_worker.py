"""One of four processes of a test: a sharded optimizer against AdamW of one process, in every way it can be set up."""

import torch
from torch.distributed.device_mesh import init_device_mesh

from lhama.model.config import LlamaConfig
from lhama.model.llama import Llama
from lhama.train.optim import AdamW
from lhama.train.sharded import ShardedAdamW
from lhama.train.world import World, joined

STEPS, MICRO, ROWS, VOCABULARY = 3, 2, 8, 70  # 70 rows do not divide by four
SETTINGS = {"weight_decay": 0.1, "betas": (0.9, 0.95), "epsilon": 1e-8, "clip": 0.5}


def tiny(tied: bool, checkpointing: str = "off") -> Llama:
    shape = {"hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2, "max_position_embeddings": 8}
    heads = {"num_attention_heads": 2, "num_key_value_heads": 1, "head_dim": 8}
    model = Llama(LlamaConfig(vocab_size=VOCABULARY, tie_word_embeddings=tied, **shape, **heads))
    model.init_weights(3)
    model.model.checkpointing = checkpointing
    return model


def batch(step: int, micro: int, rank: int, size: int) -> tuple[torch.Tensor, torch.Tensor]:
    draw = torch.Generator().manual_seed(100 * step + micro)
    ids, targets = (torch.randint(VOCABULARY, (ROWS, 8), generator=draw) for _ in range(2))
    targets[0, :3] = -100
    mine = slice(rank * ROWS // size, (rank + 1) * ROWS // size)
    return ids[mine], targets[mine]


def train(model: Llama, optimizer: AdamW | ShardedAdamW, world: World, loss: object = None) -> list[float]:
    figures = []
    for step in range(STEPS):
        nats, targets = torch.zeros(()), 0
        for micro in range(MICRO):
            ids, goals = batch(step, micro, world.rank, world.size)
            if isinstance(optimizer, ShardedAdamW):
                optimizer.expect(last=micro == MICRO - 1)
            value = (loss or model.loss)(ids, goals)  # type: ignore[operator]
            value.backward()
            optimizer.gather()
            nats += value.detach()
            targets += int((goals != -100).sum())
        norm = optimizer.step(1e-2, world.count(targets), nats)
        figures += [float(nats), float(norm)]
    return figures


def check(
    world: World,
    hybrid: bool,
    tied: bool,
    hold: bool,
    checkpointing: str = "off",
    compute: torch.dtype = torch.float32,
) -> None:
    case = (hybrid, tied, hold, checkpointing, compute)
    mesh = init_device_mesh("cpu", (2, 2) if hybrid else (4,), mesh_dim_names=("replicate", "shard")[not hybrid :])
    model, plain = tiny(tied, checkpointing), tiny(tied)
    sharded = ShardedAdamW(model, mesh, hold=hold, compute=compute, **SETTINGS)  # type: ignore[arg-type]
    alone = AdamW(plain, compute=compute, **SETTINGS)  # type: ignore[arg-type]
    tolerance = 1e-4 if compute == torch.float32 else 3e-2
    found, expected = train(model, sharded, world), train(plain, alone, World())
    torch.testing.assert_close(torch.tensor(found), torch.tensor(expected), rtol=tolerance, atol=tolerance)
    whole = sharded.masters()
    assert bool(whole) == world.first
    for name, weight in whole.items():
        torch.testing.assert_close(weight, alone.masters()[name], rtol=0, atol=tolerance, msg=f"{case} {name}")
    assert bool(sharded.moments()) == (world.rank < (2 if hybrid else 4))
    with sharded.whole() as reader:
        ids, goals = batch(9, 0, 0, 1)
        assert reader.head.dtype == compute
        torch.testing.assert_close(reader.loss(ids, goals), plain.loss(ids, goals), rtol=tolerance, atol=0)
    # Taken out and put back, the optimizer goes on as if nothing had happened; other weights would tell.
    moments = {name: moment.clone() for name, moment in alone.moments().items()}
    sharded.load(alone.masters(), moments, alone.updates())
    found, expected = train(model, sharded, world), train(plain, alone, World())
    torch.testing.assert_close(torch.tensor(found), torch.tensor(expected), rtol=tolerance, atol=tolerance)


def bad_batch_changes_nothing(world: World) -> None:
    mesh = init_device_mesh("cpu", (4,))
    model = tiny(tied=False)
    optimizer = ShardedAdamW(model, mesh, **SETTINGS)  # type: ignore[arg-type]
    before = [part.local.detach().clone() for part in optimizer.parts]
    broken = world.rank == 2  # one process alone meets the number that is none
    train(model, optimizer, world, lambda ids, goals: model.loss(ids, goals) * (float("nan") if broken else 1.0))
    assert float(optimizer.halted) == 1.0
    for part, weight in zip(optimizer.parts, before, strict=True):
        assert torch.equal(part.local, weight)


def main() -> None:
    """Try every setting."""
    torch.manual_seed(0)
    torch.set_num_threads(1)
    with joined("cpu", 60) as world:
        check(world, hybrid=False, tied=True, hold=False)
        check(world, hybrid=False, tied=False, hold=True)
        check(world, hybrid=True, tied=True, hold=True)
        check(world, hybrid=True, tied=False, hold=False)
        check(world, hybrid=True, tied=True, hold=False, checkpointing="selective")
        check(world, hybrid=False, tied=False, hold=False, checkpointing="full")
        check(world, hybrid=True, tied=False, hold=False, compute=torch.bfloat16)
        bad_batch_changes_nothing(world)
        assert world.collect("ranks", world.rank) == [0, 1, 2, 3]
        assert world.from_first("word", lambda: {"from": world.rank}) == {"from": 0}
        answers = [world.agree(world.rank == 3 and turn == 1) for turn in range(4)]
        assert answers == [False, False, True, False]  # what one wishes in turn 1 all hear in turn 2


if __name__ == "__main__":
    main()
