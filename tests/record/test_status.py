"""Status tells where a run stands, and touches nothing."""

import json
from pathlib import Path

import pytest

from lhama.plan.budget import plan
from lhama.record import console
from lhama.record.files import write_json
from lhama.record.meter import Meter, append_row, now
from lhama.record.run import Run
from lhama.record.status import status
from lhama.record.status_screen import show_status
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
        "check": state["train"]["check"],
        "tokens_per_second": 8192.0,
        "seconds_left": 100.0,  # (1,024,000 - 204,800) / 8,192
        "validation": {"step": 25, "tokens": 204800, "bits_per_byte": 2.5},
        "checkpoints": [],
    }
    figures = {row["figure"]: row for row in state["comparison"]}
    tokens = figures["tokens"]
    assert (tokens["planned"], tokens["actual"], tokens["forecast"]) == (1024000, 204800, 1024000)
    hours, took = figures["hours"], state["energy"]["by_stage"]["train"]["seconds"]
    assert hours["by_now"] == pytest.approx(hours["planned"] * 0.2)  # 204,800 of 1,024,000 tokens
    assert hours["forecast"] == pytest.approx((took + 100) / 3600)
    assert state["train"]["check"]["verdict"] == "too early"
    assert figures["hours"]["actual"] == pytest.approx(state["energy"]["by_stage"]["train"]["seconds"] / 3600)
    json.dumps(state)


def test_the_time_left_follows_from_the_pace_with_everything_in_it(make_recipe: MakeRecipe, tmp_path: Path) -> None:
    """1,000 tokens/s while stepping, but half of the time goes into validation and saving."""
    run = Run.open(make_recipe(), tmp_path)
    with run.stage("train", in_place=True) as stage:
        with Meter(stage.folder) as meter:
            for step, seconds in ((1, 10.0), (2, 26.0), (3, 42.0)):
                meter.loss(step, step * 8192, 5.0, 1e-3, 1.0)
                meter.metrics(step=step, tokens=step * 8192, tokens_per_second=1000.0, seconds=seconds)
        stage.incomplete()
    train = status(Run.read(run.folder))["train"]
    assert train["tokens_per_second"] == 1000.0
    assert train["seconds_left"] == pytest.approx((1024000 - 3 * 8192) / 512)  # 16,384 tokens in 32 seconds


def test_the_screen_says_it_all_in_eighty_by_forty(
    make_recipe: MakeRecipe, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe = make_recipe("record.wall_meter_kwh=0.5")
    run = Run.open(recipe, tmp_path)
    write_json(run.folder / "plan.json", plan(recipe))
    with run.stage("train", in_place=True) as stage:
        with Meter(stage.folder) as meter:
            for step in range(1, 41):
                meter.loss(step, step * 8192, 5.0 * step**-0.2, 1e-3, 1.0)
                meter.metrics(step=step, tokens=step * 8192, tokens_per_second=8192.0, seconds=float(step))
                if step % 20 == 0:
                    meter.validation(step, step * 8192, bits_per_byte=2.5, loss=4.0 - step / 40, perplexity=33.0)
        spent = {"time": now(), "stage": "train", "seconds": 40.0, "kwh": 0.45, "kgco2e": 0.05}
        append_row(stage.folder / "energy.jsonl", {**spent, "method": "estimated", "how": "by load"})
        show_status(run)
        stage.incomplete()
    text = capsys.readouterr().out
    lines = text.splitlines()
    assert len(lines) <= 40 and max(map(len, lines)) <= 120
    for said in (
        "working", "32%", "327.7k of 1.02M tokens", "until ", "and its own curve leads to", "█", "by now",
        "estimated from load", "wall meter 0.5 kWh: they agree", "held-out text", "tokens/s",
    ):  # fmt: skip
        assert said in text, said


def test_the_recipe_says_which_gain_is_worth_its_price(make_recipe: MakeRecipe, tmp_path: Path) -> None:
    """The perplexity falls by 1 - exp(-0.5), which are 39%: less than 60%."""
    run = Run.open(make_recipe("release.worth_gain=60"), tmp_path)
    with Meter(run.path("train")) as meter:
        meter.validation(1, 8192, loss=3.0)
        meter.validation(2, 16384, loss=2.5)
    said = "After step 1 the rest brought 39.3% lower perplexity, less than the 60% that would have been worth it."
    assert status(run)["price"]["words"] == [said]


def test_watching_ends_with_the_work_and_leaves_it_in_peace(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = iter([True, True, False])
    monkeypatch.setattr(console, "is_terminal", lambda: True)
    console.watch(lambda: next(drawn), 0.0)
    assert list(drawn) == []

    def interrupted() -> bool:
        raise KeyboardInterrupt

    console.watch(interrupted, 0.0)
    once = iter([True])
    monkeypatch.setattr(console, "is_terminal", lambda: False)
    console.watch(lambda: next(once), 0.0)  # a pipe gets one text
