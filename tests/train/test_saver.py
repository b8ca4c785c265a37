"""Saves beside the training: the same bytes as saves in the foreground, one at a time, and no error is lost."""

import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from lhama.plan.problem import Problem
from lhama.record.meter import read_rows
from lhama.train import save, saver
from lhama.train.saver import Saver
from tests.train.conftest import MakePlace, Place, same_outcome
from tests.train.test_save import snapshot


def nothing() -> None:
    """Be done before the save."""


def test_background_foreground_and_no_saves_end_the_same(make_place: MakePlace) -> None:
    background, foreground, without = make_place(), make_place(), make_place()
    background.run("train.save_in_background=true")
    foreground.run("train.save_in_background=false")
    without.run("train.save_every=1000000")
    same_outcome(background.train, foreground.train)
    same_outcome(background.train, without.train)
    assert list(save.checkpoints(background.train)) == [20, 24]
    assert list(save.checkpoints(without.train)) == [24]
    for place in (background, foreground):
        rows = read_rows(place.train / "metrics.jsonl")
        saves = [timing for row in rows for timing in row.get("saves", [])]
        assert [timing["step"] for timing in saves] == [4, 8, 12, 16, 20, 24]
        assert all(0 < timing["stalled"] <= timing["written"] for timing in saves)


def test_what_is_written_is_the_moment_of_the_save(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The tensors change while the thread has not begun to write."""
    go = threading.Event()
    honest = save.write
    monkeypatch.setattr(save, "write", lambda *given: (go.wait(30), honest(*given))[1])
    one, expected = snapshot(1), {name: weight.clone() for name, weight in snapshot(1).weights.items()}
    writer = Saver(tmp_path, keep=2, background=True)
    writer.save(one, nothing)
    for weight in one.weights.values():
        weight.add_(1)
    assert not save.checkpoints(tmp_path)
    go.set()
    writer.wait()
    written = save.read(tmp_path / "step-0000001").weights
    assert all(written[name].equal(weight) for name, weight in expected.items())
    writer.close()


def test_the_next_save_waits_for_the_one_in_flight(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    order: list[tuple[str, int]] = []
    honest = save.write

    def slow(one: save.Snapshot, train: Path) -> Path:
        order.append(("begun", one.step))
        time.sleep(0.05)
        order.append(("whole", one.step))
        return honest(one, train)

    monkeypatch.setattr(save, "write", slow)
    writer = Saver(tmp_path, keep=2, background=True)
    for step in (1, 2, 3):
        writer.save(snapshot(step), nothing)
    writer.settle()
    writer.close()
    assert order == [(what, step) for step in (1, 2, 3) for what in ("begun", "whole")]
    assert list(save.checkpoints(tmp_path)) == [2, 3]
    assert [timing["step"] for timing in writer.take_timings()] == [1, 2, 3]
    assert writer.take_timings() == []


def test_the_error_of_the_thread_stops_the_next_step_and_the_older_checkpoint_is_whole(
    make_place: MakePlace, finished: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = make_place()
    honest = save.write

    def fail_at_8(one: save.Snapshot, train: Path) -> Path:
        if one.step == 8:
            raise Problem("the disk is gone")
        return honest(one, train)

    with monkeypatch.context() as patch:
        patch.setattr(save, "write", fail_at_8)
        with pytest.raises(Problem, match="the disk is gone"):
            place.run()
    assert list(save.checkpoints(place.train)) == [4]
    assert place.rows("loss")[-1]["step"] < 14  # at the latest when the next save waited for this one
    place.run()
    same_outcome(finished.train, place.train)


def test_older_checkpoints_go_only_when_the_new_one_is_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    writer = Saver(tmp_path, keep=1, background=True)
    writer.save(snapshot(1), nothing)
    writer.wait()

    def fail(*_: object) -> None:
        raise Problem("no")

    monkeypatch.setattr(save, "write", fail)
    writer.save(snapshot(2), nothing)
    with pytest.raises(Problem, match="no"):
        writer.settle()
    writer.close()
    assert list(save.checkpoints(tmp_path)) == [1]


def test_too_little_memory_for_a_copy_is_said_and_saved_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(saver, "free_memory", lambda: 1000)
    writer = Saver(tmp_path, keep=2, background=True)
    writer.save(snapshot(1), nothing)
    assert list(save.checkpoints(tmp_path)) == [1]  # without waiting for it
    writer.close()
    assert "training waits for its saves" in capsys.readouterr().out


def test_the_rows_are_on_the_disk_before_the_checkpoint_has_its_name(tmp_path: Path) -> None:
    seen: list[int] = []
    writer = Saver(tmp_path, keep=2, background=True)
    writer.save(snapshot(1), lambda: seen.append(len(save.checkpoints(tmp_path))))
    writer.settle()
    writer.close()
    assert seen == [0]
    assert writer.seconds(10**9) == pytest.approx(writer.timings[0].written)  # measured, no longer guessed


def test_the_time_of_a_save_is_guessed_by_its_size_before_one_was_measured(tmp_path: Path) -> None:
    writer = Saver(tmp_path, keep=2, background=True)
    assert writer.seconds(100_000_000) == pytest.approx(12.0)  # 1.2 GB at 100 MB/s
    writer.close()


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU here")
def test_what_a_gpu_holds_at_the_moment_of_the_save_is_written(tmp_path: Path) -> None:
    """The copies go through pinned memory, which a second save uses again; training changes the tensors at once."""
    writer = Saver(tmp_path, keep=3, background=True)
    for step in (1, 2):
        one = snapshot(step)
        there = replace(
            one,
            weights={name: weight.cuda() for name, weight in one.weights.items()},
            moments={name: moment.cuda() for name, moment in one.moments.items()},
        )
        writer.save(there, nothing)
        for tensor in (*there.weights.values(), *there.moments.values()):
            tensor.zero_()
    writer.settle()
    writer.close()
    for step in (1, 2):
        found = save.read(tmp_path / save.folder_name(step))
        assert all(found.weights[name].equal(weight) for name, weight in snapshot(step).weights.items())
        assert all(found.moments[name].equal(moment) for name, moment in snapshot(step).moments.items())
