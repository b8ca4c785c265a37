"""The table of grid factors: known values, the packaged tables it is copied from, regions, and what is refused."""

import json
from pathlib import Path

import pytest

from lhama.plan.grid import COUNTRIES, REGIONS, WORLD_GCO2E_PER_KWH, check_region, grid_factor
from lhama.plan.problem import Problem
from lhama.plan.recipe import load


def test_countries_and_the_world() -> None:
    assert grid_factor("BRA") == (98.3, "average of BRA in 2023, CodeCarbon's table")
    assert grid_factor("DEU")[0] == 381.0 and grid_factor("USA")[0] == 369.5
    assert grid_factor("AGO") == (174.7, "average of AGO in 2022, CodeCarbon's table")
    factor, source = grid_factor("XYZ")
    assert factor == WORLD_GCO2E_PER_KWH == 475.0 and "world" in source
    assert len(COUNTRIES[2023]) + len(COUNTRIES[2022]) > 200


def test_regions_by_hand() -> None:
    # California: 394.9 pounds a MWh x 0.45359237 = 179.1 g a kWh. Quebec is nearly all water: 26 g and a little more.
    assert grid_factor("USA", "US-CA")[0] == 179.1 and "EPA" in grid_factor("USA", "US-CA")[1]
    assert 26 < grid_factor("CAN", "CA-QC")[0] < 35
    assert REGIONS["CN-SC"] == 156.4
    assert {"US-TX", "US-DC", "CA-AB", "CN-BJ"} <= set(REGIONS) and len(REGIONS) > 90


@pytest.mark.parametrize(
    ("country", "region", "says"),
    [("USA", "US-CX", "did you mean US-"), ("BRA", "BR-SP", "USA, CAN and CHN"), ("CAN", "US-CA", "known in CAN")],
)
def test_an_unknown_region_is_refused(country: str, region: str, says: str) -> None:
    with pytest.raises(Problem, match=says) as caught:
        check_region(country, region)
    assert caught.value.key == "hardware.region" and "grid_gco2e_per_kwh" in str(caught.value)


def test_a_recipe_counts_its_own_factor_before_the_region_and_the_region_before_the_country() -> None:
    place = ["hardware.country=USA"]
    assert load("demo", place).hardware.grid[0] == 369.5
    assert load("demo", place).hardware.grid_given is None
    there = load("demo", [*place, "hardware.region=US-WA"]).hardware
    assert there.grid[0] == there.grid_given == 120.9
    own = load("demo", [*place, "hardware.region=US-WA", "hardware.grid_gco2e_per_kwh=11"]).hardware
    assert own.grid == (11, "the recipe") and own.grid_given == 11
    with pytest.raises(Problem, match=r"hardware\.region"):
        load("demo", ["hardware.region=US-WA"])


def test_the_table_is_the_packaged_one() -> None:
    codecarbon = pytest.importorskip("codecarbon")
    path = Path(codecarbon.__file__).parent / "data" / "private_infra" / "global_energy_mix.json"
    packaged = json.loads(path.read_text(encoding="utf-8"))
    for year, table in COUNTRIES.items():
        for country, grams in table.items():
            assert packaged[country]["year"] == year
            assert grams == pytest.approx(packaged[country]["carbon_intensity"], abs=0.06), country
