"""What was taken up to a step follows from the moments of rows, over kills, pauses and several machines."""

import json
from pathlib import Path
from typing import Any

import pytest

from lhama.record.meter import append_row, read_rows
from lhama.record.run import Run
from lhama.record.spending import Spending, checkpoints
from tests.record.conftest import MakeRecipe


def moment(seconds: float) -> str:
    return f"2026-11-21T{10 + int(seconds) // 3600:02d}:{int(seconds) // 60 % 60:02d}:{seconds % 60:06.3f}+00:00"


def spent(at: float, seconds: float, kwh: float | None) -> dict[str, Any]:
    """Make a row of the ledger that ends at a moment."""
    kgco2e = None if kwh is None else kwh / 10
    return {"time": moment(at), "stage": "train", "seconds": seconds, "kwh": kwh, "kgco2e": kgco2e}


def reached(at: float, step: int) -> dict[str, Any]:
    return {"time": moment(at), "step": step, "tokens": step * 100}


LEDGER = [spent(10, 10, 0.1), spent(20, 10, 0.3), spent(30, 10, 0.2)]


def test_a_step_inside_a_row_takes_part_of_it() -> None:
    spending = Spending([LEDGER], [reached(10, 1), reached(15, 2), reached(30, 4)], price=3600.0)
    assert spending.newest == 4
    assert spending.at(1) == pytest.approx({"seconds": 10, "kwh": 0.1, "kgco2e": 0.01, "joules": 3.6e5, "money": 10})
    assert spending.at(2)["kwh"] == pytest.approx(0.25), "half of the second row"
    # Step 3 is half way between 0.25 kWh at step 2 and 0.6 kWh at step 4.
    assert spending.at(3)["kwh"] == pytest.approx(0.425)
    assert spending.at(4)["kwh"] == spending.at(99)["kwh"] == pytest.approx(0.6)
    assert spending.at(0)["kwh"] == 0
    assert spending.share(2) == pytest.approx(0.25 / 0.6)


def test_lost_work_counts_on_the_way_and_a_pause_costs_nothing() -> None:
    """Killed after step 3 at 20 s, started again an hour later from step 1, and step 3 reached once more."""
    ledger = [*LEDGER[:2], spent(3610, 10, 0.1), spent(3620, 10, 0.2)]
    lost = {"time": moment(3600), "lost": {"after_step": 1, "until_step": 3, "rows": 2}}
    metrics = [reached(10, 1), reached(15, 2), reached(20, 3), lost, reached(3610, 2), reached(3620, 3)]
    spending = Spending([ledger], metrics, price=None)
    assert spending.at(1)["kwh"] == pytest.approx(0.1)
    assert spending.at(2)["kwh"] == pytest.approx(0.5), "0.1 and 0.3 before the kill, 0.1 after it"
    assert spending.at(2)["seconds"] == pytest.approx(30), "the hour between is not worked"
    assert spending.at(3)["kwh"] == pytest.approx(0.7)
    assert spending.at(3)["money"] is None


def test_each_machine_adds_its_energy_and_the_first_the_time() -> None:
    other = [{**spent(10, 0, 0.05), "node": 1}, {**spent(30, 0, 0.4), "node": 1}]
    spending = Spending([LEDGER, other], [reached(10, 1), reached(30, 2)], price=None)
    assert spending.at(1)["kwh"] == pytest.approx(0.15)
    assert spending.at(2)["kwh"] == pytest.approx(1.05)
    assert spending.at(2)["seconds"] == pytest.approx(30)


def test_what_is_not_known_is_none() -> None:
    assert set(Spending([LEDGER], [], price=1.0).at(5).values()) == {None}
    assert Spending([LEDGER], [], price=1.0).share(5) is None
    off = Spending([[spent(10, 10, None)]], [reached(10, 1)], price=36.0)
    assert off.at(1) == {"seconds": 10, "kwh": None, "kgco2e": None, "joules": None, "money": pytest.approx(0.1)}
    assert off.share(1) == 1
    torn = Spending([[{"time": "yesterday", "kwh": 9.0}, *LEDGER]], [{"step": 1}, reached(30, 2)], price=None)
    assert torn.at(2)["kwh"] == pytest.approx(0.6)


def test_checkpoints_are_listed_with_their_share(make_recipe: MakeRecipe, tmp_path: Path) -> None:
    run = Run.open(make_recipe(), tmp_path)
    train = run.folder / "train"
    for step, suite in ((2, False), (4, True), (10, False)):
        folder = train / f"step-{step:07d}"
        folder.mkdir(parents=True)
        (folder / "manifest.json").write_text(json.dumps({"step": step, "suite": suite}))
    (train / "step-0000010" / "manifest.json").write_text("{")  # damaged
    for row in LEDGER:
        append_row(train / "energy.jsonl", row)
    for row in (reached(10, 1), reached(15, 2), reached(30, 4)):
        append_row(train / "metrics.jsonl", row)
    spending = Spending.read(run.folder, read_rows(train / "metrics.jsonl"))
    first, second = checkpoints(run.recipe, run.folder, spending)
    assert (first["checkpoint"], first["suite"], first["tokens"]) == ("step-0000002", False, 2 * 8192)
    assert first["share"] == pytest.approx(0.25 / 0.6)
    assert (second["suite"], second["share"]) == (True, 1.0)
    assert second["money"] == pytest.approx(30 / 3600 * 2.0), "the recipe's 2.0 an hour"
