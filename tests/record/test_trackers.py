"""Trackers are refused when absent, receive a run's rows in their own process, and never stop the work."""

import json
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from lhama.plan.problem import Problem
from lhama.record import trackers
from lhama.record.meter import Meter
from lhama.record.run import Run
from lhama.record.trackers import Following
from tests.record.conftest import MakeRecipe


def asked(make_recipe: MakeRecipe, *names: str) -> Any:
    return make_recipe(f"record.trackers={json.dumps(names)}")


def test_an_unknown_name_is_refused_with_its_key(make_recipe: MakeRecipe) -> None:
    with pytest.raises(Problem, match=r"record\.trackers.*tensorboard"):
        asked(make_recipe, "mlflow")


@pytest.mark.parametrize("spec", [None, SimpleNamespace(origin=None)])  # absent; a folder that W&B has left
def test_one_that_is_not_installed_is_refused_before_anything_is_made(
    make_recipe: MakeRecipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spec: object
) -> None:
    monkeypatch.setattr(trackers, "find_spec", lambda name: spec)
    with pytest.raises(Problem, match=r"record\.trackers.*wandb is not installed.*pip install wandb"):
        Run.open(asked(make_recipe, "wandb"), tmp_path / "runs")
    assert not (tmp_path / "runs").exists()


def write_rows(folder: Path, steps: range) -> None:
    with Meter(folder) as meter:
        for step in steps:
            meter.loss(step, step * 8192, 5.0 / step, 1e-3, 0.5)
            meter.metrics(step=step, tokens=step * 8192, tokens_per_second=100.0)


def worked(run: Run, steps: range) -> None:
    """Work on training, as a process that is stopped after it does."""
    with run.stage("train", in_place=True) as stage:
        write_rows(stage.folder, steps)
        stage.incomplete()


def tensorboard_steps(folder: Path) -> list[tuple[int, float]]:
    from tensorboard.backend.event_processing.event_file_loader import EventFileLoader

    found = []
    for path in sorted(folder.rglob("events.*")):
        for event in EventFileLoader(str(path)).Load():
            for value in event.summary.value:
                if value.tag == "train/loss":
                    found.append((event.step, round(value.tensor.float_val[0], 4)))
    return found


def test_tensorboard_continues_the_run_and_doubles_nothing(make_recipe: MakeRecipe, tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    run = Run.open(asked(make_recipe, "tensorboard"), tmp_path / "runs")
    worked(run, range(1, 4))
    first = json.loads((run.folder / "trackers" / "train.json").read_text())
    with Meter(run.path("train")) as meter:
        meter.cut_back(1)
    worked(run, range(2, 6))
    second = json.loads((run.folder / "trackers" / "train.json").read_text())
    assert first["run"] == second["run"] and (first["sent"]["loss"], second["sent"]["loss"]) == (3, 5)
    log = (run.folder / "trackers" / "train.log").read_text()
    steps = tensorboard_steps(run.folder / "trackers" / "tensorboard")
    assert steps == [(1, 5.0), (2, 2.5), (3, 1.6667), (4, 1.25), (5, 1.0)], log
    Run.open(run.recipe, tmp_path / "runs", again=["train"])
    assert not (run.path("train")).exists()
    worked(run, range(1, 2))
    anew = json.loads((run.folder / "trackers" / "train.json").read_text())
    assert anew["run"] != first["run"] or anew["sent"]["loss"] == 1, "done anew is another run"


def test_a_failing_tracker_is_dropped_and_the_others_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    given: list[int] = []

    class Good:
        def __init__(self, folder: Path, name: str, settings: dict[str, Any]) -> None:
            assert folder.is_dir() and settings == {"seed": 1}

        def give(self, step: int, figures: object) -> None:
            given.append(step)

        def flush(self) -> None:
            """Nothing."""

        def close(self) -> None:
            given.append(-1)

    class Bad(Good):
        def give(self, step: int, figures: object) -> None:
            if step == 2:
                raise RuntimeError("no login")
            super().give(step, figures)

    monkeypatch.setattr(trackers, "KINDS", {"tensorboard": Good, "wandb": Bad})
    (tmp_path / "trackers").mkdir()
    following = Following(tmp_path, "run-1", ("tensorboard", "wandb"), {"seed": 1})
    for step in (1, 2, 3):
        following.give(step, {"train/loss": 1.0})
    following.flush()
    following.close()
    assert given == [1, 1, 2, 3, -1]
    assert following.failed and "no login" in capsys.readouterr().err


def test_work_goes_on_when_the_trackers_process_dies(
    make_recipe: MakeRecipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The program that follows is replaced by one that ends at once with an error."""
    monkeypatch.setattr(trackers, "find_spec", lambda name: SimpleNamespace(origin="there"))
    real: Callable[..., Any] = subprocess.Popen
    failing = [sys.executable, "-c", "raise SystemExit(3)"]
    monkeypatch.setattr("lhama.record.trackers.subprocess.Popen", lambda command, **more: real(failing, **more))
    run = Run.open(asked(make_recipe, "wandb"), tmp_path / "runs")
    worked(run, range(1, 3))
    assert "A tracker gave up" in capsys.readouterr().out
    assert len((run.path("train") / "loss.jsonl").read_text().splitlines()) == 2


@pytest.fixture
def nobody_calls(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Name a proxy that all of a tracker's programs would ask, whatever language they are in; none may."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        for name in ("http_proxy", "https_proxy", "all_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{server.getsockname()[1]}")
            monkeypatch.setenv(name.upper(), f"http://127.0.0.1:{server.getsockname()[1]}")
        yield
        server.setblocking(False)
        with pytest.raises(BlockingIOError):  # nobody waits to be let in
            server.accept()


@pytest.mark.slow
@pytest.mark.usefixtures("nobody_calls")
@pytest.mark.skipif(find_spec("wandb") is None, reason="wandb is not installed")
def test_wandb_works_offline_for_real(make_recipe: MakeRecipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("WANDB_MODE", "WANDB_API_KEY", "WANDB_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    run = Run.open(asked(make_recipe, "wandb"), tmp_path / "runs")
    worked(run, range(1, 4))
    worked(run, range(4, 6))
    place = run.folder / "trackers" / "wandb"
    log = (run.folder / "trackers" / "train.log").read_text()
    files = sorted(place.rglob("*.wandb"))
    assert len(files) == 2 and all(path.parent.name.startswith("offline-run-") for path in files), log
    state = json.loads((run.folder / "trackers" / "train.json").read_text())
    assert all(state["run"] in path.name for path in files), "both are of one run, which wandb sync joins"
    assert [wandb_steps(path) for path in files] == [[1, 2, 3], [4, 5]]


def wandb_steps(path: Path) -> list[int]:
    """Read the steps of the rows in W&B's own offline file."""
    from wandb.proto import wandb_internal_pb2

    steps = []
    for data in wandb_records(path.read_bytes()):
        record = wandb_internal_pb2.Record()
        record.ParseFromString(data)
        for item in record.history.item:
            if item.key == "train/loss" or list(item.nested_key) == ["train/loss"]:
                steps.append(record.history.step.num)
    return steps


def wandb_records(data: bytes) -> Iterator[bytes]:
    """Read the log format of LevelDB behind W&B's head of 7 bytes: in blocks of 32 KiB, each piece of a record has a
    checksum of 4 bytes, its length in 2 and its kind in 1: whole, first, middle, last."""
    position, record = 7, b""
    while position + 7 <= len(data):
        left = 32768 - position % 32768
        length, kind = int.from_bytes(data[position + 4 : position + 6], "little"), data[position + 6]
        if left < 7 or kind == 0:
            position += left
            continue
        record += data[position + 7 : position + 7 + length]
        position += 7 + length
        if kind in (1, 4):
            yield record
            record = b""


@pytest.mark.slow
@pytest.mark.usefixtures("nobody_calls")
@pytest.mark.skipif(find_spec("trackio") is None, reason="trackio is not installed")
def test_trackio_writes_into_the_run_s_folder(make_recipe: MakeRecipe, tmp_path: Path) -> None:
    run = Run.open(asked(make_recipe, "trackio"), tmp_path / "runs")
    worked(run, range(1, 4))
    worked(run, range(4, 6))
    log = (run.folder / "trackers" / "train.log").read_text()
    import sqlite3

    (path,) = (run.folder / "trackers" / "trackio").glob("*.db")
    with sqlite3.connect(path) as base:
        steps = [step for (step,) in base.execute("select step from metrics order by step")]
    assert steps == [1, 2, 3, 4, 5], log
