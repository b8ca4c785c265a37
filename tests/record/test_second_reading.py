"""The ledger is set beside counters over the same rows, and beside a meter at the wall."""

import threading
from pathlib import Path
from typing import Any

import pytest

from lhama.record.counters import Count, Counters
from lhama.record.energy import Ledger, ledger_rows, totals
from lhama.record.meter import append_row, read_rows
from lhama.record.reading import Constant
from lhama.record.run import Run
from lhama.record.second_reading import compare
from tests.record.conftest import MakeRecipe

ROW: dict[str, Any] = {"stage": "train", "seconds": 10.0, "kwh": 0.5, "kgco2e": 0.05, "gpu_kwh": 0.3, "cpu_kwh": 0.2}


def test_sums_are_compared_over_the_rows_that_have_both(make_recipe: MakeRecipe, tmp_path: Path) -> None:
    run = Run.open(make_recipe("record.wall_meter_kwh=1.25", "hardware.pue=1.2"), tmp_path)
    (run.folder / "train").mkdir()
    ledger = run.folder / "train" / "energy.jsonl"
    append_row(ledger, {"time": "1", **ROW, "second": {"gpu_kwh": 0.33, "cpu_kwh": 0.1}})
    append_row(ledger, {"time": "2", **ROW, "second": {"gpu_kwh": 0.27}})
    append_row(ledger, {"time": "3", **ROW})
    processor, accelerators, wall = compare(run.recipe, ledger_rows(run.folder))
    assert (processor["of"], processor["ledger_kwh"], processor["second_kwh"]) == ("processor", 0.2, 0.1)
    assert processor["ratio"] == pytest.approx(2.0) and "the ledger has 100% more" in processor["words"]
    assert accelerators["by"] == "NVML energy counter"
    assert accelerators["ratio"] == pytest.approx(1.0) and "they agree" in accelerators["words"]
    # 3 x 0.5 kWh with an overhead of 1.2 are 1.25 kWh at the wall.
    assert (
        wall["by"] == "wall meter" and wall["ledger_kwh"] == pytest.approx(1.25) and wall["ratio"] == pytest.approx(1)
    )


def test_without_a_second_reading_there_is_no_comparison(make_recipe: MakeRecipe, tmp_path: Path) -> None:
    run = Run.open(make_recipe(), tmp_path)
    (run.folder / "train").mkdir()
    append_row(run.folder / "train" / "energy.jsonl", {"time": "1", **ROW})
    assert compare(run.recipe, ledger_rows(run.folder)) == []


def test_the_ledger_writes_what_counters_showed_between_its_rows(tmp_path: Path) -> None:
    shown = [0.0]

    def source() -> dict[str, Count]:
        shown[0] += 360.0  # joules from look to look
        return {"card": Count("gpu_kwh", shown[0], None)}

    def absent() -> Any:
        raise ImportError("no tracker")

    path = tmp_path / "energy.jsonl"
    constant = Constant(host_watts=10.0, accelerator_watts=0.0, kgco2e_per_kwh=0.1, pue=1.5)
    ledger = Ledger(path, "train", 0.01, "BRA", constant, absent, counters=lambda: Counters([source]))
    while len(read_rows(path)) < 3:
        threading.Event().wait(0.005)
    ledger.close()
    rows = read_rows(path)
    # 360 J are 1e-4 kWh, and the data centre's overhead of 1.5 makes them 1.5e-4.
    assert [row["second"] for row in rows[:3]] == [{"gpu_kwh": pytest.approx(1.5e-4)}] * 3
    assert rows[0]["how"].startswith("assumed watts")


def test_totals_know_joules_and_how_they_are_known(make_recipe: MakeRecipe, tmp_path: Path) -> None:
    run = Run.open(make_recipe(), tmp_path)
    (run.folder / "train").mkdir()
    append_row(run.folder / "train" / "energy.jsonl", {"time": "1", **ROW, "method": "constant", "how": "assumed"})
    found = totals(run.folder)
    assert found["joules"] == 0.5 * 3.6e6
    assert found["by_stage"]["train"]["hows"] == found["hows"] == ["assumed"]
