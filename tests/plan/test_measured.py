"""A measured speed counts for the shape and the machine it was measured on, and for nothing else."""

import json
from pathlib import Path
from typing import Any

import pytest

from lhama.plan import hardware
from lhama.plan.hardware import Machine, accelerator
from lhama.plan.measured import MEASUREMENT, machine_of, measured_speed, shape_of
from lhama.plan.recipe import load
from lhama.record.intended import intend

HERE = Machine(2, 8 * 2**30, avx2=True, avx512_bf16=False, amx_bf16=True, gpus=())


@pytest.fixture(autouse=True)
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hardware, "this_machine", lambda: HERE)


def write(folder: Path, **changes: Any) -> Path:
    folder.mkdir(exist_ok=True)
    document = {
        "best": {"tokens_per_second": 1234.5, "settings": {}},
        "shape": shape_of(load("demo")),
        "machine": machine_of(accelerator("auto"), 1) | {"more": "about it"},
    }
    (folder / MEASUREMENT).write_text(json.dumps(document | changes), encoding="utf-8")
    return folder


def test_the_plan_takes_the_measured_speed(tmp_path: Path) -> None:
    recipe = load("demo")
    assert intend(recipe, "demo", tmp_path)["time"]["source"] == "expected"
    write(tmp_path / "demo")
    found = intend(recipe, "demo", tmp_path)["time"]
    assert (found["source"], found["tokens_per_second"]) == ("measured", 1234.5)


def test_another_shape_or_machine_is_another_speed(tmp_path: Path) -> None:
    folder = write(tmp_path / "demo")
    assert measured_speed(folder, load("demo")) == 1234.5
    assert measured_speed(folder, load("demo", ["train.tokens=1536000"])) == 1234.5
    for change in ("model.layers=4", "tokens.sequence=96", "hardware.accelerator=h100", "hardware.count=2"):
        assert measured_speed(folder, load("demo", [change, "train.batch_tokens=1536"])) is None, change


@pytest.mark.parametrize(
    "damage",
    [{"best": None}, {"best": {"tokens_per_second": "fast"}}, {"best": {"tokens_per_second": 0}}, {"shape": 5}],
)
def test_a_damaged_measurement_is_left_aside(tmp_path: Path, damage: dict[str, Any]) -> None:
    assert measured_speed(write(tmp_path / "demo", **damage), load("demo")) is None
    (tmp_path / "demo" / MEASUREMENT).write_text("{", encoding="utf-8")
    assert measured_speed(tmp_path / "demo", load("demo")) is None
