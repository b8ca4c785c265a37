"""Two and four processes against one: the same rows, the same losses, the same weights; saves that any number opens."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from lhama.model.checkpoint import load_model
from lhama.plan.schedule import phases
from lhama.tokens.loader import Loader
from lhama.train import save
from lhama.train.batches import Batches, part_of
from lhama.train.shares import PIECES
from lhama.train.signals import EXIT_CODE
from lhama.train.world import World
from tests.conftest import TINY
from tests.train import many
from tests.train.conftest import STEPS, MakePlace, Place

# Sums of float32 in another order: 24 updates of a model of 50 thousand weights.
LOSS, WEIGHT = 1e-5, (1e-3, 1e-4)


class Apart(World):
    """A process that counts only its own targets, so that no other one is needed."""

    def count(self, number: int) -> int:
        return number


def same_training(one: Place, other: Place) -> None:
    """Assert that two trainings went the same way, but for the order of sums."""
    assert [row["step"] for row in one.rows("loss")] == [row["step"] for row in other.rows("loss")]
    for ours, theirs in zip(one.rows("loss"), other.rows("loss"), strict=True):
        assert (ours["loss"] is None) == (theirs["loss"] is None)  # a step that is left out has no figure
        if ours["loss"] is not None:
            assert ours["loss"] == pytest.approx(theirs["loss"], rel=LOSS)
            assert ours["gradient_norm"] == pytest.approx(theirs["gradient_norm"], rel=1e-4)
    for ours, theirs in zip(one.rows("validation"), other.rows("validation"), strict=True):
        assert ours["bits_per_byte"] == pytest.approx(theirs["bits_per_byte"], rel=1e-4)
        assert (ours["bytes"], ours["documents"]) == (theirs["bytes"], theirs["documents"])
    same_state(last(one.train), last(other.train))


def same_state(one: Path, other: Path) -> None:
    ours, theirs = save.read(one), save.read(other)
    assert ours.moments.keys() == theirs.moments.keys()
    for name, weight in ours.weights.items():
        torch.testing.assert_close(weight, theirs.weights[name], rtol=WEIGHT[0], atol=WEIGHT[1])
        for which in ("first", "second"):
            torch.testing.assert_close(
                ours.moments[f"{which}.{name}"], theirs.moments[f"{which}.{name}"], rtol=1e-2, atol=1e-5
            )


def same_bits(one: Path, other: Path) -> None:
    """Assert that two trainings by equally many processes are the same to the bit."""
    for name in ("loss", "validation", "samples"):
        assert (one / f"{name}.jsonl").read_bytes() == (other / f"{name}.jsonl").read_bytes(), name
    folders = last(one), last(other)
    ours, theirs = ({path.name: path.read_bytes() for path in at.rglob("*.safetensors")} for at in folders)
    assert folders[0].name == folders[1].name and ours == theirs


def last(train: Path) -> Path:
    return list(save.checkpoints(train).values())[-1]


@pytest.fixture(scope="session")
def alone(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Place:
    """The training of one process, with which the others are compared."""
    place = Place(Path(shutil.copytree(prepared, tmp_path_factory.mktemp("alone") / "place")))
    place.run("train.keep=9")
    return place


@pytest.mark.parametrize("size", [1, 2, 3, 4, 7])
def test_the_rows_of_all_processes_are_the_batch(prepared: Path, size: int) -> None:
    """8 rows a batch: 3 processes have room for 3 each and the last finds 2, of 7 with room for 2 three find none."""
    loader = Loader(prepared / "runs" / "pequeno" / "tokens", phases(Place(prepared).recipe()), 64, "stream", 0)
    for step in (0, 5, STEPS - 1):
        whole = loader.batch(step)
        found, shapes, targets = [], set(), 0
        for rank in range(size):
            with Batches(loader, 2, torch.device("cpu"), Apart(rank, size)) as batches:
                batch = batches.get(step, step)
            shapes.add((len(batch.micro), *batch.micro[0].ids.shape))
            ids, goals = (torch.cat([getattr(micro, name) for micro in batch.micro]) for name in ("ids", "targets"))
            _, share = part_of(8, Apart(rank, size))
            found.append((ids[:share], goals[:share]))
            assert (goals[share:] == -100).all()
            targets += batch.targets
        assert len(shapes) == 1  # all make the same micro-batches
        all_ids, all_goals = (np.concatenate(parts)[:8] for parts in zip(*found, strict=True))
        assert np.array_equal(all_ids, whole.tokens[:, :-1]) and np.array_equal(all_goals, whole.targets)
        assert targets == (whole.targets != -100).sum()


def test_two_replicas_train_as_one(make_place: MakePlace, alone: Place) -> None:
    place = make_place()
    many.train(place, 2, "train.parallel=ddp")
    same_training(alone, place)
    assert place.rows("samples")[-1]["step"] == STEPS
    assert sorted(path.name for path in place.train.glob("*.jsonl")) == sorted(
        path.name for path in alone.train.glob("*.jsonl")
    )


def test_two_shards_train_as_one(make_place: MakePlace, alone: Place) -> None:
    place = make_place()
    many.train(place, 2, "train.parallel=fsdp", "train.micro_batch=2", "train.keep=9")
    same_training(alone, place)
    folder = place.train / "step-0000012"
    assert len(list(folder.glob(PIECES))) == 2
    assert load_model(folder).parameters_by_role() == load_model(alone.train / folder.name).parameters_by_role()
    same_state(folder, alone.train / folder.name)


def test_early_gradients_and_fp16_over_shards_in_two_processes() -> None:
    """Gradients that travel early change no bit; fp16 leaves out the same updates: pair_worker.py checks."""
    many.pair("tests.train.pair_worker")


@pytest.mark.slow
def test_early_gradients_of_compiled_losses() -> None:
    """Whole, where they come at the end, and by blocks, as GPUs compile it, where they come block by block."""
    many.pair("tests.train.pair_worker", "compiled")


@pytest.mark.slow
def test_sharded_updates_are_those_of_one_optimizer() -> None:
    """Four processes, one or two dimensions, tied or not, held or not, checkpointed, bf16: shard_worker.py checks."""
    program = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=4"]
    done = subprocess.run(
        [*program, "-m", "tests.train.shard_worker"],
        cwd=many.ROOT,
        env=many.environment(),
        capture_output=True,
        text=True,
        timeout=many.PATIENCE,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.slow
def test_four_processes_on_two_machines_train_as_one(make_place: MakePlace, alone: Place) -> None:
    """Two torchruns of two processes each: sharded inside a machine, replicated over both."""
    place = make_place()
    options = ("--nnodes=2", "--nproc-per-node=2", "--rdzv-backend=c10d", "--rdzv-id=many")
    port = many.free_port()
    changes = ("train.parallel=hybrid", "train.keep=9")
    nodes = [
        many.torchrun(place, *options, f"--rdzv-endpoint=localhost:{port}", "--local-addr=localhost", changes=changes)
        for _ in range(2)
    ]
    said = [many.finish(node) for node in nodes]
    assert [node.returncode for node in nodes] == [0, 0], "\n".join(said)
    same_training(alone, place)
    assert len(list((place.train / "step-0000012").glob(PIECES))) == 2


@pytest.mark.gpu
@pytest.mark.skipif(torch.cuda.device_count() < 2, reason="there are not two GPUs here")
@pytest.mark.parametrize("way", ["ddp", "fsdp"])
def test_two_gpus_train_as_one_processor(make_place: MakePlace, alone: Place, way: str) -> None:
    place = make_place()
    many.train(place, 2, "hardware.accelerator=auto", f"train.parallel={way}", "train.keep=9")
    for ours, theirs in zip(alone.rows("loss"), place.rows("loss"), strict=True):
        assert ours["loss"] == pytest.approx(theirs["loss"], rel=1e-3)
    same_state(alone.train / "step-0000004", place.train / "step-0000004")


@pytest.mark.slow
@pytest.mark.parametrize(("then", "way"), [(1, "auto"), (4, "fsdp"), (2, "ddp")])
def test_any_number_of_processes_goes_on_from_what_two_saved(make_place: MakePlace, then: int, way: str) -> None:
    whole, parted = make_place(), make_place()
    constant = "train.schedule=constant"
    whole.run(constant)
    many.train(parted, 2, constant, "train.tokens=6144", "train.parallel=fsdp")
    assert save.read(last(parted.train)).state["environment"]["processes"] == "2 (fsdp)"
    assert len(list(last(parted.train).glob(PIECES))) == 2
    changes = (constant, "train.tokens=12288", f"train.parallel={way}")
    parted.run(*changes) if then == 1 else many.train(parted, then, *changes)
    same_training(whole, parted)


@pytest.mark.slow
@pytest.mark.parametrize("way", ["ddp", "fsdp"])
def test_a_lost_process_ends_all_and_the_next_start_goes_on(make_place: MakePlace, way: str) -> None:
    healthy, hurt = make_place(), make_place()
    changes = (*many.LONG, f"train.parallel={way}")
    many.train(healthy, 2, *changes)
    process = many.torchrun(hurt, "--standalone", "--nproc-per-node=2", changes=changes)
    many.wait_for(lambda: save.checkpoints(hurt.train), process)
    many.kill(many.workers(process)[1])
    said = many.finish(process)
    assert process.returncode != 0, said
    assert save.newest(hurt.train) is not None
    many.train(hurt, 2, *changes)
    same_bits(healthy.train, hurt.train)


@pytest.mark.slow
def test_torchrun_starts_all_again_after_a_loss(make_place: MakePlace) -> None:
    healthy, hurt = make_place(), make_place()
    changes = (*many.LONG, "train.parallel=ddp")
    many.train(healthy, 2, *changes)
    process = many.torchrun(hurt, "--standalone", "--nproc-per-node=2", "--max-restarts=1", changes=changes)
    many.wait_for(lambda: save.checkpoints(hurt.train), process)
    many.kill(many.workers(process)[0])
    said = many.finish(process)
    assert process.returncode == 0, said
    assert "Continuing after step" in said
    same_bits(healthy.train, hurt.train)


@pytest.mark.slow
def test_all_go_back_together_and_one_speaks(make_place: MakePlace) -> None:
    """At a rate of 1e36 the second step is no number, whatever is skipped; the third incident is one too many."""
    place = make_place()
    changes = ("train.not_finite=rollback", "train.incidents_allowed=2", "train.learning_rate=1e36", "train.clip=none")
    options = ("--standalone", "--nproc-per-node=2")
    process = many.torchrun(place, *options, changes=(*changes, "train.parallel=fsdp"))
    said = many.finish(process)
    assert process.returncode != 0
    assert said.count("Problem: train.incidents_allowed: at step 6") == 1, said
    assert [(row["first"], row["last"]) for row in place.rows("rollbacks")] == [(1, 2), (1, 4)]
    assert len(list(place.train.glob("non-finite-step-*.json"))) == 3


@pytest.mark.slow
def test_the_command_starts_the_processes_and_a_signal_stops_them_alike(tmp_path: Path) -> None:
    """`lhama train` with hardware.processes = 2 prepares in one process; SIGTERM stops both at the same step."""
    program = [sys.executable, "-c", "from lhama.cli import main; main()", "train", str(TINY)]
    changes = ("hardware.processes=2", "record.energy=false", "train.tokens=102400", "train.save_every=51200")
    command = [*program, *(word for change in changes for word in ("--set", change))]
    process = subprocess.Popen(
        command, cwd=tmp_path, env=many.environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    train = tmp_path / "runs" / "demo" / "train"
    many.wait_for(lambda: (train / "loss.jsonl").exists() and (train / "loss.jsonl").stat().st_size, process)
    process.terminate()
    said = many.finish(process)
    assert process.returncode == EXIT_CODE, said
    stopped = max(save.checkpoints(train))
    assert 0 < stopped < 200 and not (train / "final.json").exists()
    done = subprocess.run(
        command, cwd=tmp_path, env=many.environment(), capture_output=True, text=True, timeout=240, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"Continuing after step {stopped}" in done.stdout
    assert json.loads((train / "final.json").read_text())["steps"] == 200
