"""Disks that are full or read-only, shown on a small real disk in memory; one altered byte anywhere is found."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from lhama.plan.problem import Problem
from lhama.record import stages
from lhama.record.files import read_json
from lhama.record.run import Run
from lhama.tokens import stage as tokens_stage
from lhama.train import loop, save
from lhama.train.stage import run_stage
from tests.train.conftest import MakePlace, Place, same_outcome


def mount(*words: str) -> bool:
    try:
        return subprocess.run(["mount", *words], capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        return False


class Disk:
    """A disk in memory that can be resized and made read-only while it is used."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def resize(self, kilobytes: int) -> None:
        assert mount("-o", f"remount,rw,size={kilobytes}k", str(self.path))

    def read_only(self, folder: Path) -> None:
        """Put a read-only view over a folder: whatever is opened from now on cannot be written."""
        assert mount("--bind", str(folder), str(folder))
        assert mount("-o", "remount,bind,ro", str(folder))

    def writable(self, folder: Path) -> None:
        subprocess.run(["umount", "-l", str(folder)], check=True)

    def used(self) -> int:
        usage = shutil.disk_usage(self.path)
        return -(-usage.used // 1024)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    path = tmp_path / "disk"
    path.mkdir()
    if os.name == "nt" or not mount("-t", "tmpfs", "-o", "size=64m", "tmpfs", str(path)):
        pytest.skip("no disk can be mounted here")
    yield Disk(path)
    subprocess.run(["umount", "-l", str(path)], check=True)


def on_disk(place: Place, disk: Disk) -> Place:
    shutil.copytree(place.folder, disk.path, dirs_exist_ok=True)
    return Place(disk.path)


@pytest.mark.parametrize("background", ["false", "true"])
def test_a_disk_that_fills_at_any_place_is_a_problem_and_what_was_finished_goes_on(
    make_place: MakePlace, finished: Place, disk: Disk, background: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Room for so many kilobytes more: none, a row, part of the first, second or third save.

    Others fill the disk while training goes on, so what was free when it began does not help.
    """
    monkeypatch.setattr(stages, "require", lambda folder, stage, needed: None)
    place = on_disk(make_place(), disk)
    saving = f"train.save_in_background={background}"
    for room in (0, 4, 200, 700, 1300):
        disk.resize(disk.used() + room)
        before = save.checkpoints(place.train)
        with pytest.raises(Problem, match=r"space|could not be written"):
            place.run(saving)
        disk.resize(64 * 1024)
        assert set(before) <= set(save.checkpoints(place.train)) or len(save.checkpoints(place.train)) >= 2
        assert not [fault for folder in save.checkpoints(place.train).values() for fault in save.faults(folder)]
    place.run(saving)
    same_outcome(finished.train, place.train)


def test_training_does_not_begin_on_a_disk_without_room_for_its_checkpoints(make_place: MakePlace, disk: Disk) -> None:
    place = on_disk(make_place(), disk)
    disk.resize(disk.used() + 700)
    with pytest.raises(Problem, match="no space for the train stage"):
        place.run()
    assert not (place.train / "loss.jsonl").exists()


@pytest.mark.parametrize("step", [0, 5, 8])
def test_a_disk_that_becomes_read_only_is_a_problem(
    make_place: MakePlace, finished: Place, disk: Disk, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    place = on_disk(make_place(), disk)
    honest = loop.Training.take_step

    def take_step(self: loop.Training) -> None:
        if self.step == step:
            self.saver.wait()
            disk.read_only(place.train)
        honest(self)

    monkeypatch.setattr(loop.Training, "take_step", take_step)
    with pytest.raises(Problem, match=r"cannot be read or written|could not be written"):
        place.run()
    monkeypatch.undo()
    disk.writable(place.train)
    assert not [fault for folder in save.checkpoints(place.train).values() for fault in save.faults(folder)]
    place.run()
    same_outcome(finished.train, place.train)


def test_starting_on_a_read_only_disk_is_a_problem(make_place: MakePlace, disk: Disk) -> None:
    place = on_disk(make_place(), disk)
    recipe = place.recipe()
    run = Run.open(recipe, place.folder / "runs")
    disk.read_only(run.folder)
    with pytest.raises(Problem, match="cannot be read or written"):
        run_stage(recipe, run)
    disk.writable(run.folder)


def test_one_altered_byte_in_any_file_of_the_tokens_is_found_before_the_first_step(make_place: MakePlace) -> None:
    place = make_place()
    tokens = place.train.parent / "tokens"
    outputs = read_json(tokens / "manifest.json")["outputs"]
    built_on = [tokens / name for name, output in outputs.items() if output["identity"]]  # all but reports
    assert {path.suffix for path in built_on} >= {".npy", ".model", ".json"} and len(built_on) > 8
    for path in built_on:
        times, data = path.stat(), path.read_bytes()
        middle = len(data) // 2
        path.write_bytes(data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :])
        os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
        with pytest.raises(Problem, match=path.name):
            place.run()
        assert not list(place.train.glob("step-*")), path
        path.write_bytes(data)
        os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


def test_one_altered_byte_in_any_file_of_a_checkpoint_is_found_on_resume(
    make_place: MakePlace, capsys: pytest.CaptureFixture[str]
) -> None:
    place = make_place()
    place.run("train.schedule=constant", "train.tokens=4096")
    newest = place.train / "step-0000008"
    for path in [path for path in sorted(newest.rglob("*")) if path.is_file()]:
        data = path.read_bytes()
        middle = len(data) // 2
        path.write_bytes(data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :])
        assert save.newest(place.train) == place.train / "step-0000004", path
        named = path.name if path.name != save.MANIFEST else "manifest.json is missing or damaged"
        found = save.faults(newest)
        assert found and (path.name == save.MANIFEST or any(named in fault for fault in found)), path
        path.write_bytes(data)
    assert not save.faults(newest)


def test_one_altered_byte_in_a_shard_of_the_corpus_is_found_before_it_becomes_tokens(make_place: MakePlace) -> None:
    place = make_place()
    recipe = place.recipe()
    shards = sorted((place.train.parent / "corpus" / "data").iterdir())
    assert len(shards) == 2
    for shard in shards:
        run = Run.open(recipe, place.folder / "runs", again=("tokens",))
        times, data = shard.stat(), shard.read_bytes()
        middle = len(data) // 2
        shard.write_bytes(data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :])
        os.utime(shard, ns=(times.st_atime_ns, times.st_mtime_ns))
        with pytest.raises(Problem, match=shard.name):
            tokens_stage.run_stage(recipe, run)
        shard.write_bytes(data)
        os.utime(shard, ns=(times.st_atime_ns, times.st_mtime_ns))
