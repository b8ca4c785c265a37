"""Bad steps: found by robust statistics, answered as the recipe says, and answered the same after a resume."""

import json
import math
import shutil
import statistics
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch

from lhama.plan.problem import Problem
from lhama.plan.schedule import phases
from lhama.record.files import read_json
from lhama.record.meter import read_rows
from lhama.tokens.loader import Loader
from lhama.train import guard, loop, save
from lhama.train.guard import Guard, RollBack, Span, belongs, median, threshold
from lhama.train.shares import MOMENTS
from tests.train.conftest import MakePlace, Place, same_outcome
from tests.train.test_save import Crash

ROLLBACK = ("train.not_finite=rollback", "train.rollback_steps=2", "train.keep=3")


@contextmanager
def bad_batches(*numbers: int, value: float = math.nan, rank: int | None = None) -> Iterator[list[int]]:
    """Let the batches of these steps (the first is 1) have a bad loss whenever they are learned from.

    With a rank only that one of several processes meets it. Yields the steps that were learned from, in order.
    """
    honest = loop.Training.take_step
    learned: list[int] = []

    def take_step(self: loop.Training) -> None:
        number, loss = self.step + 1, self.loss
        if number in numbers and rank in (None, self.world.rank):
            self.loss = lambda *given: loss(*given) * value
        if not self.guard.skips(number):
            learned.append(number)
        try:
            honest(self)
        finally:
            self.loss = loss

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop.Training, "take_step", take_step)
        yield learned


def test_the_median_is_that_of_statistics_and_the_threshold_by_hand() -> None:
    figures = [3.0, 1.0, 2.0, 10.0]
    assert median(figures) == statistics.median(figures) == 2.5
    assert median(figures[:3]) == 2.0
    # Median 2.5; deviations 0.5, 1.5, 0.5, 7.5, whose median is 1: 2.5 + 6 * 1.4826.
    assert threshold(figures) == pytest.approx(2.5 + 6 * 1.4826)
    assert threshold([4.0] * 40) == pytest.approx(4.0 + 6 * 0.004)  # nothing varies, yet noise is no spike


def test_normal_noise_is_no_spike_and_one_outlier_does_not_hide_the_next() -> None:
    """6 sigma is exceeded once in a billion draws of a normal distribution; 600 draws are safe."""
    draws = torch.randn(600, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    noise = (3 + 0.05 * draws).tolist()
    windows = [noise[i - guard.WINDOW : i] for i in range(guard.WINDOW, 600)]
    assert not any(noise[i + guard.WINDOW] > threshold(window) for i, window in enumerate(windows))
    assert all(threshold([*window[1:], 50.0]) < 3.6 for window in windows)


def lone_guard(place: Place, *changes: str) -> Guard:
    place.train.mkdir(parents=True, exist_ok=True)
    return Guard(place.recipe(*changes), place.train, lambda step, loss, norm: place.train / f"evidence-{step}")


def test_spikes_of_loss_or_norm_are_rows_and_a_small_window_judges_nothing(
    make_place: MakePlace, capsys: pytest.CaptureFixture[str]
) -> None:
    place = make_place()
    watch = lone_guard(place, "train.tokens=61440")
    for step in range(1, 60):
        noise = 0.01 * math.sin(step)
        loss = 9.0 if step in (20, 50, 51) else 4 + noise
        norm = 7.0 if step == 55 else 1 + noise
        assert watch.examine(step, loss, norm)  # a spike was learned from all the same
    rows = read_rows(place.train / "incidents.jsonl")
    assert [(row["step"], row["kind"], row["action"]) for row in rows] == [
        (step, "spike", "recorded") for step in (50, 51, 55)
    ]
    assert capsys.readouterr().out.count("a spike") == 1  # said once a minute, not each time


def test_the_state_in_a_checkpoint_continues_the_statistics(make_place: MakePlace) -> None:
    place = make_place()
    watch = lone_guard(place, "train.tokens=61440")
    for step in range(1, 41):
        watch.examine(step, 4 + 0.01 * math.sin(step), 1.0)
    other = lone_guard(place, "train.tokens=61440")
    other.restore(40, json.loads(json.dumps(watch.state())))
    assert (other.losses, other.norms, other.phase) == (watch.losses, watch.norms, watch.phase)
    other.examine(41, 9.0, 1.0)
    other.restore(40, watch.state())  # what happened after the checkpoint is forgotten
    assert read_rows(place.train / "incidents.jsonl") == []


def test_a_stop_at_a_spike_names_the_key(make_place: MakePlace) -> None:
    watch = lone_guard(make_place(), "train.tokens=61440", "train.spikes=stop")
    for step in range(1, 41):
        watch.examine(step, 4.0, 1.0)
    with pytest.raises(Problem, match=r"train\.spikes.*step 41.*evidence-41"):
        watch.examine(41, 9.0, 1.0)


def test_a_skipped_update_is_left_out_alone_and_counted(make_place: MakePlace) -> None:
    place = make_place()
    with bad_batches(7, 13):
        place.run("train.not_finite=skip", "train.keep=9")
    rows = read_rows(place.train / "incidents.jsonl")
    assert [(row["step"], row["kind"], row["action"], row["loss"]) for row in rows] == [
        (7, "not_finite", "skipped", "nan"),
        (13, "not_finite", "skipped", "nan"),
    ]
    assert (place.train / "non-finite-step-7.json").is_file()
    states = {step: read_json(folder / save.STATE) for step, folder in save.checkpoints(place.train).items()}
    assert {step: state["updates"] for step, state in states.items()} == {4: 4, 8: 7, 12: 11, 16: 14, 20: 18, 24: 22}
    assert all(row["loss"] is not None and row["gradient_norm"] is not None for row in place.rows("loss"))


def test_a_skipped_update_changes_nothing_but_the_schedule(make_place: MakePlace) -> None:
    """Step 8 after a skipped step 7 is what a run makes of step 8 that never saw batch 7."""
    skipped, passed = make_place(), make_place()
    changes = ("train.tokens=4096", "train.schedule=constant", "train.warmup_tokens=0", "train.not_finite=skip")
    with bad_batches(7):
        skipped.run(*changes)
    passed.run("train.tokens=3072", *changes[1:])
    (passed.train / guard.ROLLBACKS).write_text(json.dumps({"step": 7, "first": 7, "last": 7}) + "\n")
    passed.run(*changes)
    for name in ("model.safetensors", MOMENTS):
        ours, theirs = (place.train / "step-0000008" / name for place in (skipped, passed))
        assert ours.read_bytes() == theirs.read_bytes(), name


def test_a_batch_that_is_all_bad_leaves_a_row_without_a_loss(make_place: MakePlace) -> None:
    place = make_place()
    with bad_batches(7, 8):
        place.run("train.not_finite=skip")
    row = next(row for row in place.rows("loss") if row["step"] == 8)
    assert (row["loss"], row["gradient_norm"]) == (None, None)


def test_a_skip_is_the_same_after_a_death(make_place: MakePlace) -> None:
    whole, killed = make_place(), make_place()
    with bad_batches(7, 13):
        whole.run("train.not_finite=skip")
        with pytest.MonkeyPatch.context() as patch:
            die_at(patch, 15)
            with pytest.raises(Crash):
                killed.run("train.not_finite=skip")
        killed.run("train.not_finite=skip")
    assert len(read_rows(whole.train / "incidents.jsonl")) == 2
    same_outcome(whole.train, killed.train)


def die_at(patch: pytest.MonkeyPatch, step: int) -> None:
    """Let the process die when this step is to be taken."""
    current = loop.Training.take_step

    def take_step(self: loop.Training) -> None:
        if self.step + 1 == step:
            raise Crash
        current(self)

    patch.setattr(loop.Training, "take_step", take_step)


def test_going_back_skips_the_batches_around_the_bad_one(make_place: MakePlace) -> None:
    place = make_place()
    with bad_batches(11) as learned:
        place.run(*ROLLBACK)
    # Steps 9 to 11 are skipped, so training went back to the checkpoint of step 8.
    assert learned == [*range(1, 12), *range(12, 25)]
    (row,) = read_rows(place.train / guard.ROLLBACKS)
    assert (row["step"], row["kind"], row["first"], row["last"]) == (11, "not_finite", 9, 11)
    assert [(row["step"], row["kind"]) for row in read_rows(place.train / guard.INCIDENTS)] == [
        (step, "skipped") for step in (9, 10, 11)
    ]
    state = read_json(place.train / "step-0000024" / save.STATE)
    assert (state["updates"], state["guard"]["rollbacks"]) == (21, [[9, 11]])
    assert [row["step"] for row in place.rows("loss")] == list(range(2, 25, 2))


def test_without_a_checkpoint_going_back_begins_again(make_place: MakePlace) -> None:
    place = make_place()
    with bad_batches(3) as learned:
        place.run(*ROLLBACK)
    assert learned == [1, 2, 3, *range(4, 25)]
    assert read_json(place.train / "step-0000024" / save.STATE)["updates"] == 21


@pytest.fixture(scope="module")
def gone_back(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Place:
    """Train once with a bad batch at step 11, for the tests that compare with it."""
    place = Place(Path(shutil.copytree(prepared, tmp_path_factory.mktemp("gone-back") / "place")))
    with bad_batches(11):
        place.run(*ROLLBACK)
    return place


@pytest.mark.parametrize("death", ["before the decision", "after the decision", "later"])
def test_a_rollback_is_the_same_after_a_death(make_place: MakePlace, gone_back: Place, death: str) -> None:
    killed = make_place()
    with bad_batches(11):
        with pytest.MonkeyPatch.context() as patch:
            if death == "after the decision":
                patch.setattr("lhama.train.stage.go_back", dies)
            else:
                die_at(patch, 11 if death == "before the decision" else 18)
            with pytest.raises(Crash):
                killed.run(*ROLLBACK)
        killed.run(*ROLLBACK)
    same_outcome(gone_back.train, killed.train)


def dies(*_: Any) -> None:
    raise Crash


def test_a_checkpoint_of_the_path_that_was_left_is_not_continued(make_place: MakePlace, gone_back: Place) -> None:
    """A stop between the first skipped step and the bad one leaves a checkpoint that knew the skipped batches."""
    stopped = make_place()
    with bad_batches(11):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(loop.Training, "stop_moment", lambda self: 0.0 if self.step == 10 else None)
            with pytest.raises(SystemExit, match="stopped after step 10"):
                stopped.run(*ROLLBACK)
        assert 10 in save.checkpoints(stopped.train)
        stopped.run(*ROLLBACK)
    assert 10 not in save.checkpoints(stopped.train)
    same_outcome(gone_back.train, stopped.train)


def test_which_checkpoints_belong_to_the_path_by_hand() -> None:
    decided = [Span(9, 11)]
    assert belongs(8, {}, decided)
    assert not belongs(9, {}, decided)
    assert not belongs(20, {"rollbacks": []}, decided)
    assert belongs(20, {"rollbacks": [[9, 11]]}, decided)
    assert not belongs(20, {"rollbacks": [[9, 11]]}, [*decided, Span(15, 17)])


@pytest.mark.parametrize("policy", ["skip", "rollback"])
def test_too_many_incidents_stop(make_place: MakePlace, policy: str) -> None:
    place = make_place()
    with bad_batches(5, 9, 16), pytest.raises(Problem, match=r"train\.incidents_allowed.*step 16.*number 3"):
        place.run(f"train.not_finite={policy}", "train.incidents_allowed=2", "train.rollback_steps=1")
    assert save.newest(place.train) is not None


def test_a_rollback_at_a_spike(make_place: MakePlace) -> None:
    place = make_place()
    changes = ("train.spikes=rollback", "train.rollback_steps=0", "train.tokens=24576")
    with bad_batches(42, value=40.0) as learned:
        place.run(*changes)
    (row,) = read_rows(place.train / guard.ROLLBACKS)
    assert (row["kind"], row["first"], row["last"]) == ("spike", 42, 42)
    assert learned == [*range(1, 43), 41, *range(43, 49)]
    batch = Loader(place.train.parent / "tokens", phases(place.recipe(*changes)), 64, "stream", 0).batch(41)
    evidence = read_json(place.train / "spike-step-42.json")
    assert evidence["rows"][0]["ids"] == batch.tokens[0, : batch.lengths[0]].tolist()


def test_the_answer_to_a_bad_step_is_an_exception_of_its_own(tmp_path: Path, make_place: MakePlace) -> None:
    watch = lone_guard(make_place(), "train.not_finite=rollback")
    with pytest.raises(RollBack):
        watch.examine(3, math.inf, 1.0)
    assert watch.spans == [Span(1, 3)]
    assert watch.skips(2) and not watch.skips(4)
