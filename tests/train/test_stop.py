"""Time that runs out stops training with a checkpoint, whatever it is doing; nothing is lost by it."""

import signal
import time
from pathlib import Path

import pytest

from lhama.plan.duration import seconds_of
from lhama.plan.problem import Problem
from lhama.record.run import Run, Until
from lhama.train import assembly, loop, save, signals
from lhama.train.stage import run_stage
from tests.conftest import run_lhama
from tests.train.conftest import MakePlace, Place, same_outcome


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("3h30m", 12_600), ("90m", 5_400), ("45s", 45), ("2d", 172_800), ("1d 2h 3m 4s", 93_784)],
)
def test_lengths_of_time_by_hand(text: str, seconds: int) -> None:
    assert seconds_of(text) == seconds


@pytest.mark.parametrize("text", ["", "3", "h", "30m3h", "0s", "3.5h", "-1h"])
def test_what_is_no_length_of_time_is_a_problem(text: str) -> None:
    with pytest.raises(Problem, match="3h30m"):
        seconds_of(text)


def stopped_at_the_end_of_time(place: Place, step: int, patch: pytest.MonkeyPatch, soon: float) -> None:
    """Let the moment to stop be `soon` seconds away once this step is done."""
    patch.setattr(loop.Training, "stop_moment", lambda self: time.monotonic() + (soon if self.step == step else 1000))
    with pytest.raises(SystemExit, match=f"stopped after step {step}; the same command continues") as ended:
        place.run()
    assert ended.value.code == signals.EXIT_CODE == 75


def test_a_moment_that_has_passed_stops_between_steps(make_place: MakePlace, finished: Place) -> None:
    stopped = make_place()
    with pytest.MonkeyPatch.context() as patch:
        stopped_at_the_end_of_time(stopped, 7, patch, soon=-1)
    assert max(save.checkpoints(stopped.train)) == 7
    stopped.run()
    same_outcome(finished.train, stopped.train)


@pytest.mark.skipif(signals.ALARM is None, reason="this system has no alarms")
def test_an_alarm_ends_a_validation(make_place: MakePlace, finished: Place) -> None:
    stopped = make_place()
    interrupted = []

    def score(*_: object, **__: object) -> None:
        try:
            time.sleep(30)
        except signals.Interrupted:
            interrupted.append(True)
            raise

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(assembly, "score", score)
        stopped_at_the_end_of_time(stopped, 4, patch, soon=0.05)
    assert interrupted
    stopped.run()
    same_outcome(finished.train, stopped.train)
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)


def test_the_moment_to_stop_leaves_time_for_two_saves_and_steps(make_place: MakePlace) -> None:
    place = make_place()
    seen: list[tuple[float | None, float]] = []
    honest = loop.Training.take_step

    def take_step(self: loop.Training) -> None:
        if self.step == 20:
            self.saver.wait()
            seen.append((self.stop_moment(), 2 + 2 * (self.saver.seconds(0) + self.clock.last_step)))
        honest(self)

    recipe = place.recipe()
    run = Run.open(recipe, place.folder / "runs")
    until = time.monotonic() + 1000
    run.until = Until(moment=until)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop.Training, "take_step", take_step)
        run_stage(recipe, run)
    ((moment, reserve),) = seen
    assert moment == pytest.approx(until - reserve)
    assert 2 < reserve < 100


def test_a_run_may_stop_after_a_step(make_place: MakePlace, finished: Place) -> None:
    stopped = make_place()
    recipe = stopped.recipe()
    run = Run.open(recipe, stopped.folder / "runs")
    run.until = Until(step=9)
    with pytest.raises(SystemExit, match="stopped after step 9"):
        run_stage(recipe, run)
    assert max(save.checkpoints(stopped.train)) == 9
    stopped.run()
    same_outcome(finished.train, stopped.train)


@pytest.mark.slow
def test_the_command_says_by_its_exit_code_that_it_is_to_be_continued(tmp_path: Path) -> None:
    words = ("train", str(Path(__file__).parents[1] / "tiny.toml"))
    stopped = run_lhama(*words, "--max-time", "1s", cwd=tmp_path, check=False)
    assert stopped.returncode == signals.EXIT_CODE
    assert "the same command continues" in stopped.stdout
    done = run_lhama(*words, "--max-time", "2d", cwd=tmp_path)
    assert done.returncode == 0
    assert (tmp_path / "runs" / "demo" / "train" / "final.json").is_file()
