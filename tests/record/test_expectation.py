"""A loss is judged by the curve of its own run."""

import math
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lhama.plan.scaling import expected_loss
from lhama.record.expectation import expectation

VOCABULARY, TOTAL = 1000, 20_000_000  # ln(1000) = 6.91


def curve(count: int, E: float = 2.0, A: float = 1.0, beta: float = 0.4, noise: float = 0.02) -> list[dict[str, Any]]:
    """Draw rows of a known law, 100,000 tokens apart: L = E + A (D / 10M)^-beta, with noise."""
    draw = random.Random(7)
    rows = []
    for step in range(1, count + 1):
        tokens = 100_000 * step
        rows.append({"step": step, "tokens": tokens, "loss": E + A * (tokens / 1e7) ** -beta + draw.gauss(0, noise)})
    return rows


def test_a_run_on_its_curve_is_normal_and_its_end_is_foreseen() -> None:
    found = expectation(curve(100), VOCABULARY, TOTAL)
    assert found["verdict"] == "normal"
    assert found["low"] < 2 + 1 < found["high"], "the law itself, at 10M tokens"
    assert found["at_the_end"] == pytest.approx(2 + 2**-0.4, abs=0.05)  # at 20M
    assert found["words"].startswith("normal")
    assert found["guessing"] == pytest.approx(math.log(1000))


@pytest.mark.parametrize(
    ("change", "verdict"),
    [
        (lambda rows: rows[-1].update(loss=rows[-1]["loss"] + 1.5), "high"),  # one spike
        (lambda rows: [row.update(loss=row["loss"] + 0.4) for row in rows[-10:]], "high"),
        (lambda rows: [row.update(loss=row["loss"] - 0.4) for row in rows[-10:]], "low"),
        (lambda rows: [row.update(loss=7.0) for row in rows], "not learning"),
        (lambda rows: [row.update(loss=3.0) for row in rows], "flat"),
        (lambda rows: rows[-1].update(loss=None), "not finite"),
        (lambda rows: rows[50].update(loss=None), "normal"),  # a batch that was left out, long ago
        (lambda rows: rows[40].update(loss=9.0), "normal"),  # a spike that has passed
    ],
)
def test_what_is_not_normal_is_said(change: Any, verdict: str) -> None:
    rows = curve(100)
    change(rows)
    found = expectation(rows, VOCABULARY, TOTAL)
    assert found["verdict"] == verdict, found["words"]
    assert found["words"]


@pytest.mark.parametrize(("total", "advised"), [(TOTAL, True), (10_000_000, False)])
def test_a_run_that_has_ended_gets_no_advice(total: int, advised: bool) -> None:
    rows = curve(100)
    rows[-1].update(loss=rows[-1]["loss"] + 1.5)
    found = expectation(rows, VOCABULARY, total)
    assert found["verdict"] == "high" and ("lower train.learning_rate" in found["words"]) is advised


def test_the_first_rows_are_too_few() -> None:
    found = expectation(curve(10), VOCABULARY, TOTAL)
    assert found["verdict"] == "too early" and "guessing evenly costs 6.91" in found["words"]
    assert "something is learned" in found["words"]
    assert expectation([], VOCABULARY, TOTAL)["verdict"] == "too early"


def test_the_law_is_asked_only_where_it_was_measured() -> None:
    rows = [{**row, "tokens": row["tokens"] * 1000} for row in curve(100)]  # to 10 billion tokens
    found = expectation(rows, VOCABULARY, 20_000_000_000, parameters=1e8)
    middle = sum(row["tokens"] for row in rows[-10:]) / 10
    assert found["law_fall"] == pytest.approx(expected_loss(1e8, middle / 2) - expected_loss(1e8, middle))
    assert "law for English" in found["words"]
    assert expectation(rows, VOCABULARY, 20_000_000_000, parameters=1e6)["law_fall"] is None
    assert expectation(curve(100), VOCABULARY, TOTAL, parameters=1e8)["law_fall"] is None


@given(st.lists(st.one_of(st.none(), st.floats(0, 20)), max_size=40))
def test_whatever_the_losses_there_is_an_answer(losses: list[float | None]) -> None:
    rows = [{"step": n, "tokens": n * 10, "loss": loss} for n, loss in enumerate(losses, start=1)]
    found = expectation(rows, 384, 1000)
    assert found["words"]
    assert found["low"] is None or found["low"] <= found["high"]
