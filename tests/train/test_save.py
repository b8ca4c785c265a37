"""Checkpoint folders: found by number, verified by hash, whole after a crash at any line."""

import io
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch

from lhama.model import checkpoint as model_checkpoint
from lhama.model.config import LlamaConfig
from lhama.model.llama import Llama
from lhama.plan.problem import Problem
from lhama.train import save
from lhama.train.shares import MOMENTS


def snapshot(step: int, suite: bool = False) -> save.Snapshot:
    """Make a tiny model's snapshot whose numbers depend on the step."""
    config = LlamaConfig(128, 8, 16, 1, 1, 1, 8, max_position_embeddings=16)
    model = Llama(config)
    model.init_weights(step)
    weights = {name: weight.detach() for name, weight in model.named_parameters()}
    moments = {f"{kind}.{name}": weight * step for name, weight in weights.items() for kind in ("first", "second")}
    return save.Snapshot(step, suite, config, weights, moments, {"tokens": step * 10})


class Crash(BaseException):
    """The process ends here: no handler for errors sees it."""


@contextmanager
def failing(number: int, error: Callable[[], BaseException]) -> Iterator[list[str]]:
    """Let the n-th write, fsync, rename or deletion fail; a write leaves half a file. Yields the names of all calls."""
    calls: list[str] = []

    def counted(name: str, original: Any, torn: Callable[..., None] | None = None) -> Any:
        def call(*args: Any, **more: Any) -> Any:
            if name == "open" and "w" not in (args[1] if len(args) > 1 else more.get("mode", "r")):
                return original(*args, **more)
            calls.append(name)
            if len(calls) == number:
                if torn:
                    torn(*args)
                raise error()
            return original(*args, **more)

        return call

    def half_file(tensors: Any, path: Path, *_: Any) -> None:
        Path(path).write_bytes(b"half")

    with pytest.MonkeyPatch.context() as patch:
        for module, name in ((os, "fsync"), (os, "replace"), (os, "rename"), (shutil, "rmtree")):
            patch.setattr(module, name, counted(name, getattr(module, name)))
        patch.setattr(io, "open", counted("open", io.open))
        for room in (save, model_checkpoint):
            patch.setattr(room, "save_file", counted("save_file", room.save_file, half_file))
        yield calls


def save_and_prune(step: int, train: Path) -> None:
    save.write(snapshot(step), train)
    save.prune(train, keep=2)


def calls_of_a_save(tmp_path: Path) -> int:
    train = tmp_path / "counted"
    for step in (1, 2):
        save.write(snapshot(step), train)
    with failing(-1, Crash) as calls:
        save_and_prune(3, train)
    return len(calls)


def test_a_crash_at_every_line_of_a_save_leaves_a_whole_checkpoint(tmp_path: Path) -> None:
    total = calls_of_a_save(tmp_path)
    assert total > 25
    outcomes = []
    for number in range(1, total + 1):
        train = tmp_path / f"crash-{number}"
        for step in (1, 2):
            save.write(snapshot(step), train)
        with failing(number, Crash), pytest.raises(Crash):
            save_and_prune(3, train)
        save.tidy(train)
        save.set_damaged_aside(train)
        assert not list(train.glob("*.damaged*")), number  # what has a checkpoint's name is whole
        found = save.checkpoints(train)
        assert all(not save.faults(folder) for folder in found.values()), number
        newest = max(found)
        outcomes.append(newest)
        loaded = save.read(found[newest])
        assert loaded.state["tokens"] == newest * 10
        for name, weight in snapshot(newest).weights.items():
            assert torch.equal(loaded.weights[name], weight)
        if newest == 2:
            save_and_prune(3, train)  # and saving again works
        assert max(save.checkpoints(train)) == 3
    assert outcomes == sorted(outcomes)  # the old one until the rename, the new one from then on
    assert set(outcomes) == {2, 3}


def test_a_full_disk_at_every_line_is_a_problem_that_says_how_much_is_needed(tmp_path: Path) -> None:
    total = calls_of_a_save(tmp_path)
    for number in range(1, total + 1):
        train = tmp_path / f"full-{number}"
        save.write(snapshot(1), train)
        with failing(number, lambda: OSError(28, "No space left on device")) as calls:
            try:
                save.write(snapshot(2), train)
            except Problem as problem:
                assert "could not be written" in str(problem)
                assert "kB" in str(problem)
        if len(calls) < number:
            break  # a save without pruning is over earlier
        save.tidy(train)
        assert not save.faults(save.newest(train) or train)


def test_newest_is_the_largest_number_not_the_last_text(tmp_path: Path) -> None:
    """Sorting names as text once made step 9999999 newer than step 10000000."""
    for step in (10_000_000, 9_999_999, 5):
        save.write(snapshot(step), tmp_path)
    (tmp_path / "step-0000009.part").mkdir()
    (tmp_path / "step-0000008.damaged").mkdir()
    assert list(save.checkpoints(tmp_path)) == [5, 9_999_999, 10_000_000]
    newest = save.newest(tmp_path)
    assert newest is not None
    assert newest.name == "step-10000000"


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", MOMENTS, save.STATE])
@pytest.mark.parametrize("damage", ["one bit", "shorter", "gone"])
def test_one_altered_byte_is_found_and_the_previous_checkpoint_taken(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, damage: str
) -> None:
    save.write(snapshot(1), tmp_path)
    path = save.write(snapshot(2), tmp_path) / name
    data = path.read_bytes()
    middle = len(data) // 2
    if damage == "gone":
        path.unlink()
    else:
        path.write_bytes(
            data[:middle] + (bytes([data[middle] ^ 1]) + data[middle + 1 :] if damage == "one bit" else b"")
        )
    assert [fault.split()[0] for fault in save.faults(tmp_path / "step-0000002")] == [name]
    assert save.newest(tmp_path) == tmp_path / "step-0000001"
    save.set_damaged_aside(tmp_path)
    said = capsys.readouterr().out
    assert name in said
    assert "step-0000002.damaged" in said
    assert list(save.checkpoints(tmp_path)) == [1]
    assert (tmp_path / "step-0000002.damaged").is_dir()


def test_a_damaged_manifest_is_damage_too_and_the_second_of_a_name_finds_room(tmp_path: Path) -> None:
    for _ in range(2):
        save.write(snapshot(1), tmp_path)
        (tmp_path / "step-0000001" / save.MANIFEST).write_text("{")
        save.set_damaged_aside(tmp_path)
    assert save.newest(tmp_path) is None
    assert {path.name for path in tmp_path.iterdir()} == {"step-0000001.damaged", "step-0000001.damaged-2"}


def test_a_renamed_checkpoint_is_not_believed(tmp_path: Path) -> None:
    save.write(snapshot(1), tmp_path).rename(tmp_path / "step-0000007")
    assert save.faults(tmp_path / "step-0000007") == ["manifest.json belongs to step 1"]


def test_rolling_checkpoints_go_and_suite_checkpoints_stay(tmp_path: Path) -> None:
    for step in range(1, 9):
        save.write(snapshot(step, suite=step in (2, 5)), tmp_path)
        save.prune(tmp_path, keep=2)
    assert list(save.checkpoints(tmp_path)) == [2, 5, 7, 8]
    assert len(list(tmp_path.iterdir())) == 4
