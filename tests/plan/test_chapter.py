"""docs/plan.md quotes the code: its table of accelerators and its recipes are the real ones."""

from pathlib import Path

import pytest

from lhama.plan.hardware import ACCELERATORS, GIB
from lhama.plan.problem import Problem
from lhama.plan.recipe import load, shipped

CHAPTER = (Path(__file__).parents[2] / "docs" / "plan.md").read_text(encoding="utf-8")


def tera(number: float | None) -> str:
    return "-" if number is None else f"{number / 1e12:g}"


def test_the_table_of_accelerators_is_current() -> None:
    for one in ACCELERATORS.values():
        price = "-" if one.price_per_hour is None else f"{one.price_per_hour:g}"
        cells = [tera(one.bf16), tera(one.tf32), tera(one.fp32), f"{one.memory_bytes / GIB:.0f}"]
        row = " | ".join([f"| `{one.name}`", *cells, f"{one.watts:g}", f"{one.host_watts:g}", f"{price} |"])
        assert row in CHAPTER, row


def test_every_shipped_recipe_is_introduced() -> None:
    for name in shipped():
        assert f"`{name}`" in CHAPTER, name


@pytest.mark.parametrize("change", ["train.lerning_rate=1", "train.batch_tokens=500000"])
def test_the_quoted_refusals_are_real(change: str) -> None:
    with pytest.raises(Problem) as caught:
        load("ttl-160m", [change])
    assert f"\n    {caught.value}\n" in CHAPTER
