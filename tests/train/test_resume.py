"""N steps = k steps, a death, and the rest: the same to the bit, wherever death comes."""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from lhama.model.device import missing_compiler
from lhama.plan.problem import Problem
from lhama.plan.recipe import Recipe
from lhama.plan.schedule import learning_rate
from lhama.record.meter import read_rows
from lhama.train import assembly, loop, save, signals, stage
from tests.train.conftest import MakePlace, Place, same_outcome
from tests.train.test_save import Crash, failing

LONG = ("train.tokens=61440", "train.save_every=5120", "train.validate_every=10240", "train.sample_every=20480")
TWELVE_STEPS = ("train.keep=1", "train.tokens=6144")


def start(place: Place, *changes: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.train.drive", "pequeno.toml", "runs", *changes]
    command[3:4] = [str(place.folder / "pequeno.toml")]
    command[4:5] = [str(place.folder / "runs")]
    root = Path(__file__).parents[2]
    return subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def wait_for(condition: Callable[[], Any], process: subprocess.Popen[str]) -> bool:
    """Wait until something is so, or the process has ended before."""
    while not condition():
        if process.poll() is not None:
            return bool(condition())
        time.sleep(0.005)
    return True


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_killed_at_random_times_the_outcome_is_the_same_to_the_bit(make_place: MakePlace, precision: str) -> None:
    changes = (*LONG, f"train.precision={precision}")
    whole, killed = make_place(), make_place()
    whole.run(*changes)
    draw = random.Random(precision)
    for _ in range(2):
        process = start(killed, *changes)
        before = len(killed.rows("loss"))
        wait_for(lambda: len(killed.rows("loss")) > before, process)  # noqa: B023 - used up in this turn
        time.sleep(draw.uniform(0, 0.5))
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()
    killed.run(*changes)
    same_outcome(whole.train, killed.train)


def crash_while_saving(place: Place, number: int, *changes: str) -> int:
    """Train with a crash at the n-th write, fsync, rename or deletion of the second save; return how many there are."""
    honest = loop.Training.save
    seen = 0

    def save_with_crash(self: loop.Training) -> None:
        nonlocal seen
        if self.step == 8:
            self.saver.wait()  # only what this save does is to be counted
            with failing(number, Crash) as calls:
                try:
                    honest(self)
                    self.saver.wait()  # in the background or not, it dies inside this save
                finally:
                    seen = len(calls)
        else:
            honest(self)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop.Training, "save", save_with_crash)
        with suppress(Crash):
            place.run(*TWELVE_STEPS, *changes)
    return seen


def crash_and_resume(make_place: MakePlace, whole: Place, numbers: range, *changes: str) -> None:
    for number in numbers:
        crashed = make_place()
        crash_while_saving(crashed, number, *changes)
        assert not (crashed.train / "final.json").exists(), number
        crashed.run(*TWELVE_STEPS, *changes)
        same_outcome(whole.train, crashed.train)


@pytest.mark.parametrize("background", ["false", "true"])
def test_a_crash_inside_a_save_loses_nothing(make_place: MakePlace, background: str) -> None:
    whole, saving = make_place(), f"train.save_in_background={background}"
    total = crash_while_saving(whole, -1, saving)
    crash_and_resume(make_place, whole, range(1, total + 1, total // 3), saving)


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("background", ["false", "true"])
def test_a_crash_at_every_line_of_a_save_loses_nothing(make_place: MakePlace, background: str, precision: str) -> None:
    whole = make_place()
    changes = (f"train.save_in_background={background}", f"train.precision={precision}")
    total = crash_while_saving(whole, -1, *changes)
    crash_and_resume(make_place, whole, range(1, total + 1), *changes)


@pytest.mark.parametrize("place_of_death", ["before the first row", "in a validation", "in the final validation"])
def test_a_crash_between_saves_loses_nothing(
    make_place: MakePlace, finished: Place, monkeypatch: pytest.MonkeyPatch, place_of_death: str
) -> None:
    crashed = make_place()

    def die(*_: Any, **__: Any) -> None:
        raise Crash

    with monkeypatch.context() as patch:
        if place_of_death == "before the first row":
            patch.setattr(loop.Training, "log", die)
        elif place_of_death == "in a validation":
            patch.setattr(loop.Training, "record", die)
        else:
            patch.setattr(stage, "_finish", die)
        with pytest.raises(Crash):
            crashed.run()
    crashed.run()
    same_outcome(finished.train, crashed.train)


def test_a_damaged_newest_checkpoint_costs_only_time(make_place: MakePlace, capsys: pytest.CaptureFixture[str]) -> None:
    whole, damaged = make_place(), make_place()
    constant = "train.schedule=constant"
    whole.run(constant, "train.tokens=16384")
    damaged.run(constant)
    weights = damaged.train / "step-0000024" / "model.safetensors"
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(data)
    damaged.run(constant, "train.tokens=16384")
    assert "step-0000024 is damaged: model.safetensors" in capsys.readouterr().out.replace("\n", " ")
    same_outcome(whole.train, damaged.train)


def test_one_altered_byte_in_a_token_shard_is_found_and_named_even_at_the_same_size_and_time(
    make_place: MakePlace,
) -> None:
    place = make_place()
    shard = next((place.folder / "runs" / "pequeno" / "tokens").glob("*/stream-*.npy"))
    times, data = shard.stat(), bytearray(shard.read_bytes())
    data[-1] ^= 1
    shard.write_bytes(data)
    os.utime(shard, ns=(times.st_atime_ns, times.st_mtime_ns))
    with pytest.raises(Problem, match=shard.name):
        place.run()
    assert not list(place.train.glob("step-*"))


def test_a_signal_saves_within_a_step_and_the_run_continues(make_place: MakePlace) -> None:
    whole, stopped = make_place(), make_place()
    whole.run(*LONG)
    process = start(stopped, *LONG, "train.save_every=61440")
    wait_for(lambda: stopped.rows("loss"), process)
    process.send_signal(signal.SIGTERM)
    said, _ = process.communicate(timeout=60)
    assert process.returncode == signals.EXIT_CODE
    assert "SIGTERM: saving a checkpoint" in said
    assert "the same command continues" in said
    (step,) = save.checkpoints(stopped.train)
    assert step - stopped.rows("loss")[-1]["step"] <= 2  # rows come every 2 steps
    assert not (stopped.train / "manifest.json").exists()
    stopped.run(*LONG)
    same_outcome(whole.train, stopped.train)


@pytest.mark.parametrize("number", signals.WISHES)
def test_a_signal_inside_a_step_stops_after_it(
    make_place: MakePlace, finished: Place, monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    stopped = make_place()

    def rate_with_signal(recipe: Recipe, tokens: int) -> float:
        if tokens == 7 * 512:
            signal.raise_signal(number)
        return learning_rate(recipe, tokens)

    with monkeypatch.context() as patch:
        patch.setattr("lhama.train.loop.learning_rate", rate_with_signal)
        with pytest.raises(SystemExit, match="stopped after step 7"):
            stopped.run()
    assert list(save.checkpoints(stopped.train)) == [4, 7]
    stopped.run()
    same_outcome(finished.train, stopped.train)


def test_a_signal_during_validation_does_not_wait_for_its_end(
    make_place: MakePlace, finished: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Saving after the row of its step once left the sums empty, and the row was gone after the resume."""
    stopped = make_place()
    validated = []

    def score(*_: Any, **__: Any) -> None:
        signal.raise_signal(signal.SIGTERM)
        validated.append(True)

    with monkeypatch.context() as patch:
        patch.setattr(assembly, "score", score)
        with pytest.raises(SystemExit, match="stopped after step 4"):
            stopped.run("train.save_every=12288")
    assert not validated
    assert list(save.checkpoints(stopped.train)) == [4]
    stopped.run()
    same_outcome(finished.train, stopped.train)


def test_a_second_signal_ends_the_process_at_once() -> None:
    code = """
import time
from lhama.train.signals import StopSignals
with StopSignals() as signals:
    print("ready", flush=True)
    while True:
        time.sleep(0.01)
"""
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGTERM)
    assert "saving a checkpoint" in process.stdout.readline()
    process.send_signal(signal.SIGTERM)
    process.wait(timeout=30)
    process.stdout.close()
    assert process.returncode == -signal.SIGTERM


def test_outside_the_block_the_old_handlers_are_back() -> None:
    before = signal.getsignal(signal.SIGINT)
    with signals.StopSignals() as heard:
        signal.raise_signal(signal.SIGINT)
        assert heard.asked == "SIGINT"
        with pytest.raises(signals.Interrupted), heard.interruptible():
            pass
    assert signal.getsignal(signal.SIGINT) is before


@pytest.mark.slow
@pytest.mark.skipif(missing_compiler("cpu") is not None, reason="there is no compiler here")
def test_compiled_bf16_training_resumes_to_the_bit(make_place: MakePlace) -> None:
    """Rows of 256 tokens, so that attention goes in blocks; the resumed process compiles anew."""
    changes = ("train.compile=on", "train.precision=bf16", "tokens.sequence=256", "train.batch_tokens=1024")
    whole, crashed = make_place(), make_place()
    whole.run(*changes)
    process = start(crashed, *changes)
    wait_for(lambda: len(crashed.rows("loss")) > 4, process)
    process.kill()
    process.communicate()
    again = start(crashed, *changes)
    again.communicate()
    assert again.returncode == 0
    same_outcome(whole.train, crashed.train)


@pytest.mark.slow
def test_the_real_command_killed_at_random_times_ends_the_same(tmp_path: Path) -> None:
    recipe = Path(__file__).parents[1] / "tiny.toml"
    program = [str(Path(sys.executable).with_name("lhama")), "train", str(recipe), "--set", "record.energy=false"]
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    subprocess.run([*program, "--runs", str(whole)], check=True, capture_output=True)
    train = next(whole.glob("*/train"))
    rows = killed / train.parent.name / "train" / "loss.jsonl"
    draw = random.Random("kill")
    for _ in range(3):
        process = subprocess.Popen(
            [*program, "--runs", str(killed)], stdout=subprocess.DEVNULL, stderr=subprocess.STDOUT
        )
        before = len(read_rows(rows))
        while process.poll() is None and len(read_rows(rows)) <= before:
            time.sleep(0.005)
        time.sleep(draw.uniform(0, 2))
        process.kill()
        process.wait()
    subprocess.run([*program, "--runs", str(killed)], check=True, capture_output=True)
    same_outcome(train, rows.parent)
