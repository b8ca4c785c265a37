"""Keys that change how training computes: what must stay equal stays equal, and what they promise is there."""

import json
from typing import Any

import pytest
import torch

from lhama.plan.problem import Problem
from lhama.train import loop, save
from lhama.train.loop import Training
from tests.train.conftest import MakePlace, Place, same_outcome


def losses(place: Place) -> list[float]:
    return [row["loss"] for row in place.rows("loss")]


@pytest.mark.parametrize("how", ["selective", "full"])
def test_gradient_checkpointing_changes_no_bit(make_place: MakePlace, finished: Place, how: str) -> None:
    again = make_place()
    again.run(f"train.gradient_checkpointing='{how}'")
    same_outcome(finished.train, again.train)


def test_a_processor_is_deterministic_in_any_case(make_place: MakePlace, finished: Place) -> None:
    asked = make_place()
    asked.run("train.deterministic=true")
    same_outcome(finished.train, asked.train)
    for place in (finished, asked):
        state = save.read(list(save.checkpoints(place.train).values())[-1]).state
        assert state["environment"]["deterministic"] is True
        assert json.loads((place.train / "final.json").read_text())["environment"]["deterministic"] is True


@pytest.mark.parametrize("attention", ["sdpa", "plain"])
def test_every_attention_gives_the_same_curve(make_place: MakePlace, finished: Place, attention: str) -> None:
    place = make_place()
    place.run(f"train.attention='{attention}'")
    assert losses(place) == pytest.approx(losses(finished), abs=2e-4)


def test_every_precision_gives_the_same_curve_nearly(make_place: MakePlace, finished: Place) -> None:
    for precision in ("bf16", "fp16"):
        place = make_place()
        place.run(f"train.precision='{precision}'")
        assert losses(place) != losses(finished)
        assert losses(place) == pytest.approx(losses(finished), abs=0.05)


def test_fp16_resumes_with_its_scale_to_the_bit(make_place: MakePlace, monkeypatch: pytest.MonkeyPatch) -> None:
    changes = ("train.precision='fp16'",)
    whole, stopped = make_place(), make_place()
    whole.run(*changes)
    take, killed = Training.take_step, 11

    def die(training: Training) -> None:
        if training.step == killed:
            raise KeyboardInterrupt
        take(training)

    monkeypatch.setattr(loop.Training, "take_step", die)
    with pytest.raises(KeyboardInterrupt):
        stopped.run(*changes)
    monkeypatch.undo()
    stopped.run(*changes)
    same_outcome(whole.train, stopped.train)
    states = [save.read(list(save.checkpoints(place.train).values())[-1]).state for place in (whole, stopped)]
    assert states[0]["loss_scale"] == states[1]["loss_scale"]
    assert states[0]["loss_scale"]["value"] > 0


def test_documents_apart_is_another_training(make_place: MakePlace, finished: Place) -> None:
    apart = make_place()
    apart.run("train.documents_apart=true")
    assert losses(apart) != losses(finished)
    assert losses(apart) == pytest.approx(losses(finished), abs=0.3)


def test_a_profile_is_written_after_the_first_steps_and_changes_nothing(make_place: MakePlace, finished: Place) -> None:
    watched = make_place()
    watched.run("train.profile_steps=2")
    same_outcome(finished.train, watched.train)
    folder = watched.train / "profile"
    assert sorted(path.name for path in folder.iterdir()) == ["steps-4-5.json", "steps-4-5.txt"]
    trace: dict[str, Any] = json.loads((folder / "steps-4-5.json").read_text())
    assert any(event.get("name") == "aten::mm" for event in trace["traceEvents"])
    assert "aten::mm" in (folder / "steps-4-5.txt").read_text()


@pytest.mark.skipif(torch.cuda.is_available(), reason="a GPU may have tf32")
def test_tf32_is_refused_where_there_is_none(make_place: MakePlace) -> None:
    with pytest.raises(Problem, match="Ampere") as refused:
        make_place().run("train.precision='tf32'")
    assert refused.value.key == "train.precision"
