"""The price of an improvement, by hand on a made-up run, and on the figures that the paper gives."""

import math
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lhama.record.meter import append_row, read_rows
from lhama.record.price import improvement, price_of_improvement
from lhama.record.run import Run
from lhama.record.spending import Spending, checkpoints
from tests.record.conftest import MakeRecipe
from tests.record.test_spending import LEDGER, reached

# Corrêa et al. 2024 (TeenyTinyLlama), Table 6: steps, perplexity, kWh, kgCO2e of the 460M model, which are the rows of
# its published log ttl-460m-test-loss-logs.csv. The paper's column of tokens is wrong by a factor of 100 in its first
# row; a step is 8,192 tokens.
PAPER = (
    (100_000, 20.49, 9.40, 3.34), (200_000, 16.90, 18.82, 6.70), (300_000, 15.43, 28.59, 10.16),
    (400_000, 14.64, 38.20, 13.57), (500_000, 14.08, 48.04, 17.07), (600_000, 13.61, 57.74, 20.52),
    (700_000, 13.25, 67.32, 23.92), (800_000, 12.87, 76.84, 27.30), (900_000, 12.57, 86.40, 30.70),
    (1_000_000, 12.27, 96.19, 34.18), (1_100_000, 11.96, 106.06, 37.70), (1_200_000, 11.77, 115.69, 41.31),
)  # fmt: skip


def paper_rows() -> list[dict[str, Any]]:
    names = ("step", "perplexity", "kwh", "kgco2e")
    return [{**dict(zip(names, row, strict=True)), "tokens": row[0] * 8192} for row in PAPER]


def test_the_paper_s_second_half_and_its_marginal_price() -> None:
    found = improvement(paper_rows(), worth_gain=5.0)
    half = found["second_half"]
    # The middle of 115.69 kWh is nearest to 57.74 kWh; from there the perplexity fell by 13.61 - 11.77 = 1.84, the
    # "marginal uptick (1.84)" of section 4.2.
    assert half["from_step"] == 600_000
    assert half["perplexity_before"] - half["perplexity_after"] == pytest.approx(1.84)
    assert half["percent_lower"] == pytest.approx(100 * 1.84 / 13.61)
    first, last = found["intervals"][0], found["intervals"][-1]
    # ln(20.49 / 16.90) = 0.19263 nats are 19.17 percents of ln(1 / 0.99) = 0.010050 nats: 9.42 kWh / 19.17.
    assert first["kwh_per_percent"] == pytest.approx(0.4915, rel=1e-3)
    # ln(11.96 / 11.77) = 0.016014 nats are 1.593 percents: 9.63 kWh / 1.593.
    assert last["kwh_per_percent"] == pytest.approx(6.044, rel=1e-3)
    assert last["kgco2e"] == pytest.approx(3.61)
    assert last["money_per_percent"] is None and last["kwh_per_centibit"] is None, "the paper gives neither"
    # After a million steps 12.27 -> 11.77 is 4.1%, below 5%; after 900,000 steps 12.57 -> 11.77 was 6.4%.
    assert found["worth"]["step"] == 1_000_000
    assert found["worth"]["percent_lower"] == pytest.approx(4.075, abs=1e-3)
    assert found["worth"]["kwh_left"] == pytest.approx(19.5)
    assert found["worth"]["share_left"] == pytest.approx(19.5 / 115.69)
    assert found["words"][0] == "The last 50% of the energy changed the perplexity from 13.61 to 11.77: 13.5% lower."
    assert "0.491 kWh at first and 6.04 kWh at the end, 12.3 times as much" in found["words"][1]


def test_another_gain_moves_the_step_and_one_too_small_finds_none() -> None:
    assert improvement(paper_rows(), 14.0)["worth"]["step"] == 600_000  # 13.5% were left
    assert improvement(paper_rows(), 1.0)["worth"] is None  # the last 100,000 steps alone brought 1.6%
    assert "1% or more" in improvement(paper_rows(), 1.0)["words"][-1]


def row(step: int, perplexity: float, kwh: float, bits: float) -> dict[str, Any]:
    money = kwh * 2
    return {"step": step, "tokens": step, "perplexity": perplexity, "bits_per_byte": bits, "kwh": kwh, "money": money}


def test_by_hand() -> None:
    rows = [row(1, 100.0, 1.0, 2.0), row(2, 99.0, 1.5, 1.98), row(3, 99.5, 2.0, 1.99)]
    fell, rose = improvement(rows, 1.0)["intervals"]
    assert fell["kwh_per_percent"] == pytest.approx(0.5), "from 100 to 99 is one percent"
    assert fell["money_per_percent"] == pytest.approx(1.0)
    assert fell["kwh_per_centibit"] == pytest.approx(0.25), "0.02 bits are two hundredths"
    assert rose["kwh_per_percent"] is None and rose["kwh_per_centibit"] is None and rose["percent_lower"] < 0
    assert improvement(rows, 1.0)["worth"] == {
        "step": 1, "tokens": 1, "share_left": pytest.approx(0.5), "kwh_left": 1.0, "money_left": 2.0,
        "percent_lower": pytest.approx(0.5),
    }  # fmt: skip


@pytest.mark.parametrize("rows", [[], [row(1, 3.0, 1.0, 1.0)]])
def test_fewer_than_two_validations_have_no_price(rows: list[dict[str, Any]]) -> None:
    found = improvement(rows, 5.0)
    assert (found["intervals"], found["second_half"], found["worth"], found["words"]) == ([], None, None, [])


@given(st.lists(st.floats(1.5, 1000), min_size=3, max_size=12))
def test_prices_add_up(perplexities: list[float]) -> None:
    """Going on in two intervals buys what going on in one does: percents compound."""
    rows = [row(number, perplexity, float(number + 1), 1.0) for number, perplexity in enumerate(perplexities)]
    parts = [math.log(a["perplexity"] / b["perplexity"]) / math.log(1 / 0.99) for a, b in pairwise(rows)]
    for part, interval in zip(parts, improvement(rows, 5.0)["intervals"], strict=True):
        assert (interval["kwh_per_percent"] is None) == (part <= 0)
        if part > 1e-9:
            assert interval["kwh"] == pytest.approx(part * interval["kwh_per_percent"])
    (whole,) = improvement([rows[0], rows[-1]], 5.0)["intervals"]
    if sum(parts) > 1e-6:
        assert whole["kwh"] == pytest.approx(sum(parts) * whole["kwh_per_percent"], rel=1e-4)


def test_a_run_s_folder_is_read(make_recipe: MakeRecipe, tmp_path: Path) -> None:
    run = Run.open(make_recipe(), tmp_path)
    train = run.folder / "train"
    train.mkdir()
    for entry in LEDGER:
        append_row(train / "energy.jsonl", entry)
    for entry in (reached(10, 1), reached(20, 2), reached(30, 4)):
        append_row(train / "metrics.jsonl", entry)
    append_row(train / "validation.jsonl", {"step": 2, "tokens": 200, "loss": math.log(8), "bits_per_byte": 1.5})
    append_row(train / "validation.jsonl", {"step": 3, "tokens": 300, "loss": None})
    append_row(train / "validation.jsonl", {"step": 4, "tokens": 400, "loss": math.log(4), "bits_per_byte": 1.0})
    (train / "step-0000004").mkdir()
    (train / "step-0000004" / "manifest.json").write_text('{"step": 4}')
    spending = Spending.read(run.folder, read_rows(train / "metrics.jsonl"))
    saved = checkpoints(run.recipe, run.folder, spending)
    found = price_of_improvement(read_rows(train / "validation.jsonl"), spending, saved, worth_gain=60)
    assert [one["checkpoint"] for one in found["rows"]] == [None, "step-0000004"]
    assert [one["perplexity"] for one in found["rows"]] == pytest.approx([8.0, 4.0])
    assert [one["kwh"] for one in found["rows"]] == pytest.approx([0.4, 0.6])
    assert [one["share"] for one in found["rows"]] == pytest.approx([0.4 / 0.6, 1.0])
    assert found["intervals"][0]["percent_lower"] == pytest.approx(50)
    assert found["worth"]["step"] == 2, "halving it is less than the 60% that are asked for"
    assert found["currency"] == "USD"
