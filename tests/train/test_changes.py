"""What may change under a run is said, what may not is refused by name, and how a batch is cut is nobody's business."""

import numpy as np
import pytest
import torch

from lhama.corpus.tales import documents
from lhama.plan.problem import Problem
from lhama.plan.schedule import phases
from lhama.record.run import Run
from lhama.tokens import stage as tokens_stage
from lhama.tokens.loader import Loader
from lhama.train import save
from lhama.train.batches import Batches
from tests.train import conftest
from tests.train.conftest import MakePlace

SHORT = ("train.tokens=4096", "train.schedule=constant")


@pytest.mark.parametrize(
    "change",
    [
        "model.hidden_size=48",
        "model.layers=3",
        "model.tied=true",
        "tokens.vocabulary=512",
        "tokens.sequence=128",
        "seed=5",
        "train.learning_rate=1e-3",
        "train.precision=bf16",
    ],
)
def test_what_must_not_change_is_refused_by_name_before_anything_is_touched(make_place: MakePlace, change: str) -> None:
    place = make_place()
    place.run(*SHORT)
    before = {path: path.stat().st_mtime_ns for path in place.train.rglob("*")}
    with pytest.raises(Problem, match=change.partition("=")[0].replace(".", r"\.")):
        place.run(*SHORT, change)
    assert {path: path.stat().st_mtime_ns for path in place.train.rglob("*")} == before


def test_other_data_is_refused_by_name(make_place: MakePlace, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same recipe over other text: the tokens are made anew, and training does not mix the two."""
    place = make_place()
    place.run(*SHORT)
    recipe = place.recipe(*SHORT)
    run = Run.open(recipe, place.folder / "runs", again=("corpus", "tokens"))
    monkeypatch.setattr(conftest, "documents", lambda count, seed: documents(count, seed=seed + 1))
    conftest.write_corpus(run)
    tokens_stage.run_stage(recipe, run)
    with pytest.raises(Problem, match="input tokens"):
        place.run(*SHORT)
    assert max(save.checkpoints(place.train)) == 8


def test_other_threads_and_another_precision_of_the_machine_are_said(
    make_place: MakePlace, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    place = make_place()
    monkeypatch.setattr("lhama.model.device._precision", lambda asked, kind: ("fp32", "for this test"))
    place.run(*SHORT, "train.precision=auto")
    capsys.readouterr()
    monkeypatch.setattr("lhama.model.device._precision", lambda asked, kind: ("bf16", "for this test"))
    place.run("train.tokens=5120", SHORT[1], "train.precision=auto", "train.threads=2", "train.micro_batch=8")
    said = capsys.readouterr().out
    for change in ("precision fp32 -> bf16", "threads 1 -> 2", "micro_batch 4 -> 8"):
        assert change in said
    assert "equal up to rounding but not bit for bit" in said


@pytest.mark.parametrize("most", [1, 2, 3, 5, 8])
def test_the_order_of_samples_is_the_same_however_a_batch_is_cut(make_place: MakePlace, most: int) -> None:
    place = make_place()
    recipe, tokens = place.recipe(), place.train.parent / "tokens"
    loader = Loader(tokens, phases(recipe), 64, "stream", recipe.seed)
    with Batches(loader, most, torch.device("cpu")) as batches:
        for step in range(3):
            found = batches.get(step, 3)
            rows = torch.cat([micro.ids for micro in found.micro])[:8]
            targets = torch.cat([micro.targets for micro in found.micro])
            expected = loader.batch(step)
            np.testing.assert_array_equal(rows.numpy(), expected.tokens[:, :-1])
            np.testing.assert_array_equal(targets[:8].numpy(), expected.targets)
            assert bool((targets[8:] == -100).all())  # what fills up the last one asks nothing
