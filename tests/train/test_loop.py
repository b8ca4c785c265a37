"""The training stage on a tiny run, in this process."""

import gc
import json
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from lhama.model.config import LlamaConfig
from lhama.model.llama import Llama
from lhama.plan.problem import Problem
from lhama.plan.schedule import learning_rate, phases
from lhama.tokens.loader import Loader
from lhama.train import loop, save
from lhama.train.batches import micro_rows
from tests.train.conftest import STEPS, MakePlace, Place, same_outcome


def weights(train: Path) -> dict[str, Tensor]:
    return save.read(list(save.checkpoints(train).values())[-1]).weights


def test_a_run_leaves_rows_checkpoints_and_a_final_word(make_place: MakePlace) -> None:
    place = make_place()
    train = place.run()
    recipe = place.recipe()
    assert [row["tokens"] for row in place.rows("loss")] == list(range(1024, 12288 + 1, 1024))
    assert [row["learning_rate"] for row in place.rows("loss")] == [
        learning_rate(recipe, row["tokens"]) for row in place.rows("loss")
    ]
    assert [row["step"] for row in place.rows("validation")] == [4, 8, 12, 16, 20, 24]
    assert [row["step"] for row in place.rows("samples")] == [8, 16, 24]
    assert list(save.checkpoints(train)) == [20, 24]  # train.keep is 2
    final = json.loads((train / "final.json").read_text())
    assert (final["steps"], final["tokens"], final["checkpoint"]) == (STEPS, 12288, "step-0000024")
    # 24 steps of 8 rows, and the last validation is of all held-out text, not of a part.
    assert final["validation"]["bytes"] > place.rows("validation")[-1]["bytes"]
    assert set(final["validation"]["by_source"]) == {"contos", "somas"}
    assert gc.isenabled()
    before = (train / "manifest.json").read_bytes()
    place.run("train.log_every=512", "train.keep=5")  # operational keys: nothing is done again
    assert (train / "manifest.json").read_bytes() == before


def test_the_first_loss_is_that_of_the_untrained_model_on_the_first_batch(make_place: MakePlace) -> None:
    place = make_place()
    place.run("train.log_every=1", "train.tokens=1024")
    recipe, tokens = place.recipe(), place.train.parent / "tokens"
    model = Llama(LlamaConfig.from_recipe(recipe, 640))
    model.init_weights(recipe.seed)
    batch = Loader(tokens, phases(recipe), 64, "stream", recipe.seed).batch(0)
    logits = model(torch.from_numpy(batch.tokens[:, :-1].copy())).flatten(0, 1)
    expected = F.cross_entropy(logits, torch.from_numpy(batch.targets).flatten(), ignore_index=-100)
    assert place.rows("loss")[0]["loss"] == pytest.approx(expected.item(), rel=1e-6)


@pytest.mark.parametrize("rows", [1, 3, 8])
def test_any_micro_batch_gives_the_same_training(make_place: MakePlace, finished: Place, rows: int) -> None:
    """3 does not divide 8: the batch is dealt as 3 + 3 + 2 and filled up with a row that asks nothing."""
    other = make_place()
    other.run(f"train.micro_batch={rows}")
    for ours, theirs in zip(finished.rows("loss"), other.rows("loss"), strict=True):
        assert ours["loss"] == pytest.approx(theirs["loss"], rel=1e-5)
        assert ours["gradient_norm"] == pytest.approx(theirs["gradient_norm"], rel=1e-4)
    theirs = weights(other.train)
    for name, weight in weights(finished.train).items():
        torch.testing.assert_close(weight, theirs[name], rtol=1e-3, atol=1e-4)


def test_rows_are_dealt_evenly() -> None:
    assert [micro_rows(8, most) for most in (1, 2, 3, 4, 7, 8, 99)] == [1, 2, 3, 4, 4, 8, 8]
    assert micro_rows(37, 16) == 13  # 13 + 13 + 11, not 16 + 16 + 5


@pytest.mark.parametrize("stopped_at", [12288, 11776], ids=["on a log row", "between log rows"])
def test_raising_the_tokens_of_a_finished_run_continues_it(make_place: MakePlace, stopped_at: int) -> None:
    whole, extended = make_place(), make_place()
    constant = "train.schedule=constant"
    whole.run(constant, "train.tokens=16384")
    extended.run(constant, f"train.tokens={stopped_at}")
    extended.run(constant, "train.tokens=16384")
    same_outcome(whole.train, extended.train)


def test_another_shape_stops_and_names_the_key(make_place: MakePlace) -> None:
    place = make_place()
    place.run()
    before = sorted(path.name for path in place.train.iterdir())
    with pytest.raises(Problem, match=r"model\.hidden_size.*32.*48"):
        place.run("model.hidden_size=48")
    assert sorted(path.name for path in place.train.iterdir()) == before


def test_another_environment_is_said_and_training_goes_on(
    make_place: MakePlace, capsys: pytest.CaptureFixture[str]
) -> None:
    place = make_place()
    place.run("train.tokens=4096", "train.schedule=constant")
    capsys.readouterr()
    place.run("train.tokens=6144", "train.schedule=constant", "train.micro_batch=2")
    assert "micro_batch 4 -> 2" in capsys.readouterr().out
    assert place.rows("loss")[-1]["tokens"] == 6144


def test_bf16_learns_as_fp32_does(make_place: MakePlace, finished: Place) -> None:
    half = make_place()
    half.run("train.precision=bf16")
    for ours, theirs in zip(finished.rows("loss"), half.rows("loss"), strict=True):
        assert ours["loss"] == pytest.approx(theirs["loss"], abs=0.03)
    assert weights(half.train)["model.norm.weight"].dtype == torch.float32


def break_step(monkeypatch: pytest.MonkeyPatch, step: int, value: float) -> None:
    """Make the loss of one update come out as `value`."""
    original = loop.Training.take_step

    def take_step(self: loop.Training) -> None:
        honest = self.loss
        if self.step + 1 == step:
            self.loss = lambda *given: honest(*given) * value
        original(self)
        self.loss = honest

    monkeypatch.setattr(loop.Training, "take_step", take_step)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_loss_that_is_not_finite_stops_before_the_update(
    make_place: MakePlace, finished: Place, value: float
) -> None:
    place = make_place()
    with pytest.MonkeyPatch.context() as patch:
        break_step(patch, 7, value)
        with pytest.raises(Problem, match=r"step 7.*non-finite-step-7\.json"):
            place.run()
    assert list(save.checkpoints(place.train)) == [4]
    assert [row["step"] for row in place.rows("loss")] == [2, 4, 6]
    evidence: dict[str, Any] = json.loads((place.train / "non-finite-step-7.json").read_text())
    batch = Loader(place.train.parent / "tokens", phases(place.recipe()), 64, "stream", 0).batch(6)
    assert [row["ids"] for row in evidence["rows"]] == [
        row[:length].tolist() for row, length in zip(batch.tokens, batch.lengths, strict=True)
    ]
    assert all(isinstance(row["text"], str) and len(row["text"]) > 64 for row in evidence["rows"])
    place.run()  # the cause is gone: it continues as if nothing had happened
    same_outcome(finished.train, place.train)


def test_phases_change_mixture_and_batch(make_place: MakePlace) -> None:
    place = make_place()
    text = (place.folder / "pequeno.toml").read_text().replace("tokens = 12288\n", "")
    text += """
[[train.phase]]
name = "tudo"
tokens = 4096
[[train.phase]]
name = "somas"
tokens = 4096
batch_tokens = 1024
mixture = { somas = 1.0 }
"""
    (place.folder / "pequeno.toml").write_text(text)
    train = place.run("train.save_every=1024", "train.keep=9")
    states = {step: json.loads((folder / save.STATE).read_text()) for step, folder in save.checkpoints(train).items()}
    assert [(step, state["tokens"], state["phase"], state["row"]) for step, state in states.items()][-3:] == [
        (10, 6144, "somas", 32),
        (11, 7168, "somas", 48),
        (12, 8192, "somas", 64),
    ]
    assert {state["phase"] for step, state in states.items() if step < 8} == {"tudo"}


def test_without_held_out_text_training_still_ends(make_place: MakePlace, monkeypatch: pytest.MonkeyPatch) -> None:
    for file in ("stage", "assembly"):
        monkeypatch.setattr(f"lhama.train.{file}.heldout", lambda folder: [])
    place: Place = make_place()
    train = place.run()
    assert json.loads((train / "final.json").read_text())["validation"] is None
    assert place.rows("validation") == []


def test_a_phase_added_later_continues_the_run(make_place: MakePlace) -> None:
    def ask(place: Place, phases: int) -> Place:
        text = (place.folder / "pequeno.toml").read_text().split("\n[[train.phase]]")[0].replace("tokens = 12288\n", "")
        text += "".join(f'\n[[train.phase]]\nname = "fase-{n}"\ntokens = 4096\n' for n in range(phases))
        (place.folder / "pequeno.toml").write_text(text)
        place.run("train.schedule=constant")
        return place

    whole = ask(make_place(), 2)
    same_outcome(whole.train, ask(ask(make_place(), 1), 2).train)
    assert whole.rows("loss")[-1]["tokens"] == 8192
