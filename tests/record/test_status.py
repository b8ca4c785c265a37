"""Status tells where a run stands, and touches nothing."""

import json
from pathlib import Path

import pytest

from lhama.plan.budget import plan
from lhama.record.files import write_json
from lhama.record.meter import Meter
from lhama.record.run import Run
from lhama.record.status import status
from tests.record.conftest import MakeRecipe


def states(run: Run) -> list[str]:
    return [stage["state"] for stage in status(run)["stages"]]


def test_stages_wait_work_stop_and_are_done(make_recipe: MakeRecipe, tmp_path: Path) -> None:
    run = Run.open(make_recipe(), tmp_path)
    assert states(run) == ["waiting"] * 5
    with run.stage("corpus") as stage:
        assert states(Run.read(run.folder)) == ["waiting", "working", "waiting", "waiting", "waiting"]
        assert not stage.done
    with run.stage("tokens") as stage:
        stage.incomplete()
    with run.stage("train", in_place=True) as stage:
        stage.incomplete()
    assert states(run) == ["waiting", "done", "stopped", "stopped", "waiting"]


def test_training_is_set_against_the_plan(make_recipe: MakeRecipe, tmp_path: Path) -> None:
    recipe = make_recipe()
    run = Run.open(recipe, tmp_path)
    assert status(run)["train"] is None
    assert status(run)["comparison"] == []
    write_json(run.folder / "plan.json", plan(recipe))
    with run.stage("train", in_place=True) as stage:
        with Meter(stage.folder) as meter:
            meter.loss(25, 204800, 4.5, 1e-3, 1.0)
            meter.metrics(step=25, tokens=204800, tokens_per_second=8192.0)
            meter.validation(25, 204800, bits_per_byte=2.5)
        stage.incomplete()
    before = {path: path.stat().st_mtime_ns for path in run.folder.rglob("*")}
    state = status(Run.read(run.folder))
    assert {path: path.stat().st_mtime_ns for path in run.folder.rglob("*")} == before
    assert state["train"] == {
        "step": 25,
        "tokens": 204800,
        "total_tokens": 1024000,
        "loss": 4.5,
        "tokens_per_second": 8192.0,
        "seconds_left": 100.0,  # (1,024,000 - 204,800) / 8,192
        "validation": {"step": 25, "tokens": 204800, "bits_per_byte": 2.5},
        "checkpoints": [],
    }
    figures = {row["figure"]: row for row in state["comparison"]}
    assert figures["tokens"] == {"figure": "tokens", "planned": 1024000, "actual": 204800}
    assert figures["hours"]["actual"] == pytest.approx(state["energy"]["by_stage"]["train"]["seconds"] / 3600)
    json.dumps(state)
