"""Grams and kilograms never meet but in two lines: the grid's factor going in, and the Hub's card going out."""

import json
from pathlib import Path

import pytest

from lhama.record.emissions import published
from lhama.record.energy import LEDGER, totals
from lhama.record.meter import append_row, read_rows
from lhama.record.price import price_of_improvement
from lhama.record.reading import constant_watts
from lhama.record.run import Run
from lhama.record.spending import Spending
from lhama.release.card import metadata
from lhama.release.facts import read
from tests.record.conftest import MakeRecipe

HOUR = "2026-11-21T11:00:00+00:00"


def test_from_the_grid_s_grams_to_the_ledger_s_kilograms_to_the_hub_s_grams(
    make_recipe: MakeRecipe, tmp_path: Path
) -> None:
    """A machine of 2,000 W for an hour at 250 g/kWh: 2 kWh, 0.5 kg, 500 g."""
    changes = ("hardware.accelerator=h100", "hardware.watts=1500", "hardware.host_watts=500")
    recipe = make_recipe(*changes, "hardware.grid_gco2e_per_kwh=250")
    used = constant_watts(recipe).over(3600)
    assert used.kwh == pytest.approx(2.0) and used.kgco2e == pytest.approx(0.5)
    run = Run.open(recipe, tmp_path)
    train = run.folder / "train"
    train.mkdir()
    row = {"time": HOUR, "stage": "train", "seconds": 3600.0, "kwh": used.kwh, "kgco2e": used.kgco2e}
    append_row(train / LEDGER, {**row, "method": "constant", "country": "BRA"})
    append_row(train / "metrics.jsonl", {"time": HOUR, "step": 10, "tokens": 81920})
    append_row(train / "validation.jsonl", {"step": 10, "tokens": 81920, "loss": 2.0, "bits_per_byte": 1.0})
    (train / "emissions.csv").write_text(f"timestamp,project_name,emissions,energy_consumed\n{HOUR},train,0.5,2.0\n")
    assert totals(run.folder)["kgco2e"] == pytest.approx(0.5)
    assert totals(run.folder)["joules"] == pytest.approx(7.2e6)  # 2,000 W x 3,600 s
    spending = Spending.read(run.folder, read_rows(train / "metrics.jsonl"))
    (priced,) = price_of_improvement(read_rows(train / "validation.jsonl"), spending, (), worth_gain=5)["rows"]
    assert priced["kgco2e"] == pytest.approx(0.5)
    assert metadata(read(recipe, run.folder))["co2_eq_emissions"]["emissions"] == pytest.approx(500)
    assert ",0.5," in published(run.folder), "CodeCarbon's file is in kilograms, and stays so"
    json.dumps(totals(run.folder))
