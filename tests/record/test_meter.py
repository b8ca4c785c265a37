"""Rows are whole, deterministic where promised, and cut back to a checkpoint byte for byte."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lhama.record.meter import Meter, line, read_rows


def write(meter: Meter, steps: range) -> None:
    for step in steps:
        meter.loss(step, step * 1024, 3.0 / (step + 1), 1e-3 * step, 0.1 * step)
        meter.metrics(step=step, tokens_per_second=6100.0)
        if step % 2 == 0:
            meter.validation(step, step * 1024, bits_per_byte=1.9)
            meter.sample(step, step * 1024, "Era uma vez", " uma lhama.")


def test_a_resumed_run_writes_the_same_bytes(tmp_path: Path) -> None:
    with Meter(tmp_path / "whole") as meter:
        write(meter, range(1, 7))
    with Meter(tmp_path / "resumed") as meter:
        write(meter, range(1, 6))
    with Meter(tmp_path / "resumed") as meter:
        meter.cut_back(3)
        write(meter, range(4, 7))
    for name in ("loss.jsonl", "validation.jsonl", "samples.jsonl"):
        assert (tmp_path / "resumed" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def test_lost_metrics_stay_countable_and_are_marked_once(tmp_path: Path) -> None:
    with Meter(tmp_path) as meter:
        write(meter, range(1, 6))
        meter.cut_back(3)
        meter.cut_back(3)
        write(meter, range(4, 6))
        meter.cut_back(2)
    rows = read_rows(tmp_path / "metrics.jsonl")
    assert [row.get("step") for row in rows] == [1, 2, 3, 4, 5, None, 4, 5, None]
    assert [row["lost"] for row in rows if "lost" in row] == [
        {"after_step": 3, "until_step": 5, "rows": 2},
        {"after_step": 2, "until_step": 5, "rows": 3},
    ]
    assert all(row["time"].endswith("+00:00") for row in rows)


def test_cutting_back_to_the_beginning_or_to_the_end(tmp_path: Path) -> None:
    with Meter(tmp_path) as meter:
        meter.cut_back(0)
        write(meter, range(1, 4))
        before = (tmp_path / "loss.jsonl").read_bytes()
        meter.cut_back(3)
        assert (tmp_path / "loss.jsonl").read_bytes() == before
        meter.cut_back(0)
    assert read_rows(tmp_path / "loss.jsonl") == []


def test_rows_are_read_while_they_are_written(tmp_path: Path) -> None:
    with Meter(tmp_path) as meter:
        meter.loss(1, 1024, 2.5, 1e-3, None)
        assert read_rows(tmp_path / "loss.jsonl") == [
            {"step": 1, "tokens": 1024, "loss": 2.5, "learning_rate": 0.001, "gradient_norm": None}
        ]


def test_a_figure_that_is_not_finite_is_null_for_every_json_reader() -> None:
    assert line({"loss": float("nan"), "more": [float("inf"), 1.5]}) == b'{"loss":null,"more":[null,1.5]}\n'


@given(st.binary(max_size=60))
def test_whatever_a_death_leaves_at_the_end_whole_rows_survive(
    tmp_path_factory: pytest.TempPathFactory, torn: bytes
) -> None:
    path = tmp_path_factory.mktemp("torn") / "loss.jsonl"
    path.write_bytes(line({"step": 1}) + torn.replace(b"\n", b""))
    assert read_rows(path) == [{"step": 1}]
    with Meter(path.parent) as meter:
        meter.loss(2, 20, 1.0, 0.1, 1.0)
    assert [row["step"] for row in read_rows(path)] == [1, 2]


@given(
    st.dictionaries(st.text(max_size=8), st.floats(allow_nan=False, allow_infinity=False) | st.text() | st.integers())
)
def test_a_row_comes_back_as_it_was(tmp_path_factory: pytest.TempPathFactory, row: dict[str, float | str]) -> None:
    path = tmp_path_factory.mktemp("row") / "rows.jsonl"
    path.write_bytes(line(row))
    assert read_rows(path) == [row]
