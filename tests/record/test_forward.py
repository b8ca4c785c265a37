"""Trackers get each row once, in the order of steps, over resumes and while files grow."""

from pathlib import Path

from lhama.record.forward import Figures, Forward, figures
from lhama.record.meter import Meter, append_row

Given = list[tuple[int, Figures]]


def write(folder: Path, steps: range) -> None:
    with Meter(folder) as meter:
        for step in steps:
            meter.loss(step, step * 10, 5.0 / step, 1e-3, 0.5)
            meter.metrics(step=step, tokens=step * 10, tokens_per_second=100.0, loss=5.0 / step)
            if step % 2 == 0:
                meter.validation(step, step * 10, bits_per_byte=2.0, by_source={"a": {"bits_per_byte": 2.0, "loss": 3}})


def polled(forward: Forward, last: bool = False) -> Given:
    given: Given = []
    forward.poll(lambda step, values: given.append((step, values)), last)
    return given


def test_rows_are_named_and_merged_by_step(tmp_path: Path) -> None:
    write(tmp_path, range(1, 3))
    append_row(tmp_path / "energy.jsonl", {"seconds": 10.0, "kwh": 0.25, "kgco2e": 0.02})
    append_row(tmp_path / "energy.jsonl", {"seconds": 10.0, "kwh": None, "kgco2e": None})
    (first, one), (second, two) = polled(Forward(tmp_path, {}))
    assert (first, second) == (1, 2)
    assert one == {
        "train/tokens": 10, "train/loss": 5.0, "train/learning_rate": 1e-3, "train/gradient_norm": 0.5,
        "machine/tokens": 10, "machine/tokens_per_second": 100.0,
    }  # fmt: skip
    assert two["validation/bits_per_byte"] == 2.0
    assert two["validation/by_source/a/bits_per_byte"] == 2.0 and "validation/by_source/a/loss" not in two
    assert (two["energy/kwh"], two["energy/seconds"]) == (0.25, 20.0)


def test_a_resume_doubles_nothing_and_loses_nothing(tmp_path: Path) -> None:
    write(tmp_path, range(1, 6))
    forward = Forward(tmp_path, {})
    assert [step for step, _ in polled(forward)] == [1, 2, 3, 4, 5]
    write(tmp_path, range(6, 8))  # killed before these were sent
    with Meter(tmp_path) as meter:
        meter.cut_back(4)
    again = Forward(tmp_path, dict(forward.sent))
    assert polled(again) == []
    write(tmp_path, range(5, 9))
    assert [step for step, _ in polled(again, last=True)] == [6, 7, 8]


def test_files_that_are_cut_back_while_followed_are_read_anew(tmp_path: Path) -> None:
    write(tmp_path, range(1, 6))
    forward = Forward(tmp_path, {})
    polled(forward)
    with Meter(tmp_path) as meter:
        meter.cut_back(2)
    write(tmp_path, range(3, 9))
    assert [step for step, _ in polled(forward)] == [6, 7, 8]


def test_a_torn_line_waits_until_it_is_whole_and_later_steps_wait_for_their_loss(tmp_path: Path) -> None:
    write(tmp_path, range(1, 2))
    forward = Forward(tmp_path, {})
    polled(forward)
    whole = b'{"step":2,"tokens":20,"loss":2.5,"learning_rate":0.001,"gradient_norm":null}\n'
    with (tmp_path / "loss.jsonl").open("ab") as file:
        file.write(whole[:30])
    append_row(tmp_path / "validation.jsonl", {"step": 2, "tokens": 20, "bits_per_byte": 1.5})
    assert polled(forward) == []
    with (tmp_path / "loss.jsonl").open("ab") as file:
        file.write(whole[30:])
    ((step, values),) = polled(forward)
    assert step == 2 and values["train/loss"] == 2.5 and values["validation/bits_per_byte"] == 1.5
    assert "train/gradient_norm" not in values


def test_what_is_no_number_has_no_figure() -> None:
    row = {"step": 1, "time": "now", "device": {"accelerators": [{"name": "H100", "watts": 600.0}]}, "on": True}
    assert figures("metrics", row) == {"machine/device/accelerators/0/watts": 600.0}
