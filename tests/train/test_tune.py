"""`lhama tune` beyond its search: probes that die, real steps, made-up tokens, and who uses what was found."""

import json
import os
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lhama.plan.hardware import ACCELERATORS
from lhama.plan.measured import measured_speed
from lhama.plan.problem import Problem
from lhama.plan.recipe import Recipe, load
from lhama.plan.schedule import phases
from lhama.record.run import Run
from lhama.tokens.loader import IGNORED, Loader
from lhama.train import tune_probe
from lhama.train.tune import probed_tokens, tune
from lhama.train.tune_factors import factors, ladder
from lhama.train.tune_job import Job
from lhama.train.tune_process import Workplace, cause_of
from lhama.train.tune_report import tables
from lhama.train.tune_tokens import make_up
from lhama.train.tuned import note_taken, tuned
from tests.train.conftest import MakePlace

ANSWER = {
    "device": {"kind": "cpu", "precision": "fp32", "compile": False, "threads": 1},
    "rows_at_once": 4,
    "batch_tokens": 512,
    "ready_seconds": 1.0,
    "peak_bytes": 10**9,
    "product_flops_per_second": 1e11,
}


def job_in(folder: Path, **more: Any) -> Job:
    recipe, answer = (str(folder / f"{name}.json") for name in ("recipe", "answer"))
    return Job(recipe, str(folder), answer, batch_tokens=512, compared=2, least=1, seconds=0.0, **more)


@pytest.mark.parametrize(
    ("program", "error"),
    [
        ("import os; os.kill(os.getpid(), 9)", "out of memory (ended by the system)"),
        ("raise MemoryError", "out of memory"),
        ("import sys; sys.stderr.write('std::bad_alloc'); sys.exit(134)", "out of memory"),
        ("raise ValueError('so')", "failed: ValueError: so"),
        ("import time; time.sleep(60)", "out of time"),
    ],
)
def test_what_ends_a_probe_is_its_answer(tmp_path: Path, program: str, error: str) -> None:
    place = Workplace(load("demo"), job_in(tmp_path), (sys.executable, "-c", program))
    answer, seconds = place.probe({"train.micro_batch": 2}, {}, limit=1.5 if "sleep" in program else 30, seconds=0)
    assert answer == {"error": error} and seconds < 20
    assert load(tmp_path / "recipe.json").train.micro_batch == 2  # whatever its name, it is the recipe that was tried


def test_an_exit_code_that_a_shell_passes_on() -> None:
    assert cause_of(137, "") == "out of memory (ended by the system)"
    assert cause_of(3, "") == "failed: exit code 3"


def probe_here(place: Path, recipe: Recipe, **more: Any) -> dict[str, Any]:
    from lhama.plan.recipe import dumps

    job = replace(job_in(place), **more)
    Path(job.recipe).write_text(dumps(recipe), encoding="utf-8")
    return tune_probe.answer(job)


def test_real_steps_have_the_same_loss_however_they_are_cut(make_place: MakePlace) -> None:
    place = make_place()
    home = place.folder / "runs" / "pequeno"
    whole = probe_here(home, place.recipe("train.micro_batch=8"), compared=4, least=2)
    halves = probe_here(
        home, place.recipe("train.micro_batch=2", "train.gradient_checkpointing=full"), compared=4, least=2
    )
    again = probe_here(home, place.recipe("train.micro_batch=8", "train.data=mapped"), compared=4, least=2)
    assert (whole["rows_at_once"], halves["rows_at_once"]) == (8, 2)
    assert len(whole["compared"]) == 4 and len(whole["timed"]) >= 2
    for one, two, three in zip(whole["compared"], halves["compared"], again["compared"], strict=True):
        assert two["loss"] == pytest.approx(one["loss"], abs=1e-4) and one["loss"] == three["loss"]
        assert two["norm"] == pytest.approx(one["norm"], rel=1e-3) and one["norm"] == three["norm"]
    # The rate rises to its peak within the compared steps, so the model has learned by then.
    assert whole["compared"][-1]["loss"] < whole["compared"][0]["loss"] - 0.01
    if sys.platform == "linux":
        assert whole["peak_bytes"] >= whole["program_bytes"] > 10**7
    assert not list(home.glob("*.jsonl"))  # a probe keeps no records


def test_a_probe_says_what_a_recipe_refuses(make_place: MakePlace) -> None:
    place = make_place()
    answer = probe_here(place.folder / "runs" / "pequeno", place.recipe("train.precision=tf32"))
    assert "tf32" in answer["error"]


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux limits the memory of a process so")
def test_a_probe_beyond_its_memory_says_so(make_place: MakePlace) -> None:
    place = make_place()
    home = place.folder / "runs" / "pequeno"
    # The first matrix of attention alone, 16,384 x 16,384 in 32 bits, takes 1.07 GB, and 0.4 are allowed.
    recipe = place.recipe("model.hidden_size=16384", "model.intermediate_size=64", "model.layers=1")
    job = replace(job_in(home), memory_bytes=400_000_000, recipe=str(home / "recipe.toml"))
    answer, _ = Workplace(recipe, job).probe({}, {"OMP_NUM_THREADS": "1"}, limit=400, seconds=0)
    assert answer == {"error": "out of memory"}


@pytest.mark.parametrize("packing", ["stream", "best-fit", "alone"])
def test_made_up_tokens_can_be_learned_from(tmp_path: Path, packing: str) -> None:
    recipe = load("demo", ["tokens.vocabulary=384", "tokens.sequence=64", "train.batch_tokens=512"])
    make_up(recipe, tmp_path / "tokens", 5_000)
    loader = Loader(tmp_path / "tokens", phases(recipe), 64, packing, recipe.seed)
    batch = loader.batch(3)
    assert batch.tokens.shape == (8, 65) and batch.tokens.min() >= 0 and batch.tokens.max() < 384
    assert (batch.targets != IGNORED).sum() > 8 * 32


def test_long_steps_are_probed_in_part() -> None:
    demo, large = load("demo"), load("ttl-160m")
    h100 = ACCELERATORS["h100"]
    assert probed_tokens(demo, h100, 180) == demo.train.batch_tokens
    slow = replace(ACCELERATORS["t4"], name="other", fp32=1e11)  # 100 tokens a second or so
    assert probed_tokens(large, slow, 180) == large.tokens.sequence


def test_what_a_recipe_says_is_not_tried() -> None:
    first = {**ANSWER, "batch_tokens": 1536}
    tried = {change.name for factor in factors(load("demo"), first, {}, True) for change in factor.changes}
    assert {"compile on", "micro_batch 8", "micro_batch 2", "precision bf16", "attention plain"} <= tried
    assert {"gradient_checkpointing full", "data mapped", "loss_tokens 128"} <= tried
    said = load("demo", ["train.compile=off", "train.micro_batch=4", "train.precision=fp32", "train.threads=1"])
    tried = {change.name for factor in factors(said, first, {}, False) for change in factor.changes}
    assert not {name for name in tried if name.split()[0] in ("compile", "micro_batch", "threads", "data")}
    assert "precision bf16" in tried  # shown for comparison
    assert [change.settings for change in ladder(said)] == [{}, {"train.gradient_checkpointing": "full"}]


def fake(self: Workplace, settings: Mapping[str, Any], *_: Any) -> tuple[dict[str, Any], float]:
    """Answer as a probe would: micro-batches of 8 are twice as fast, checkpointing does not fit."""
    if "train.gradient_checkpointing" in settings:
        return {"error": "out of memory"}, 0.1
    seconds = 0.25 if settings.get("train.micro_batch") == 8 else 0.5
    fast = settings.get("train.precision") == "bf16"
    step = {"seconds": seconds / (3 if fast else 1), "update": 0.0, "loss": 6.0 + 0.01 * fast, "norm": 1.0}
    return {**ANSWER, "compared": [step] * 4, "timed": [step] * 3}, 0.1


def test_what_was_found_is_written_shown_and_used(
    make_place: MakePlace, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    place = make_place()
    recipe = place.recipe("train.micro_batch=none", "hardware.price_per_hour=3.6")
    run = Run.open(recipe, place.folder / "runs")
    monkeypatch.setattr(Workplace, "probe", fake)
    found = tune(recipe, run, minutes=3)
    assert json.loads((run.folder / "tune.json").read_text()) == found
    assert not list(run.folder.glob("tune-*"))
    best = found["best"]
    assert best["settings"] == {"train.micro_batch": 8}
    assert best["tokens_per_second"] == pytest.approx(512 / 0.25)
    row = next(row for row in found["rows"] if row["best"])
    # 1e9 tokens at 2,048 a second are 135.6 hours at 3.60.
    assert row["money_per_billion_tokens"] == pytest.approx(1e9 / 2048 / 3600 * 3.6)
    tables(found, recipe)
    said = capsys.readouterr().out
    assert "out of memory" in said and "--set train.precision=bf16" in said and "micro_batch 8" in said
    # The plan takes the speed, training the settings, for this shape on this machine and no other.
    assert measured_speed(run.folder, recipe) == best["tokens_per_second"]
    wider = place.recipe("train.micro_batch=none", "model.hidden_size=64")
    assert measured_speed(run.folder, wider) is None and tuned(wider, run)[1] == {}
    changed, taken = tuned(recipe, run)
    assert taken == {"train.micro_batch": 8} and changed.train.micro_batch == 8
    assert changed.train.precision == recipe.train.precision
    assert tuned(place.recipe(), run)[1] == {}  # it says 4
    assert tuned(recipe, run, alone=False)[1] == {}  # tuned was one process
    # A training goes on as it began, whatever is tuned later.
    run.path("train").mkdir(exist_ok=True)
    note_taken(run.path("train"), taken)
    (run.folder / "tune.json").unlink()
    assert tuned(recipe, run)[1] == taken


def test_training_begins_with_what_was_tuned_and_says_so(
    make_place: MakePlace, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    place, plain = make_place(), make_place()
    text = (place.folder / "pequeno.toml").read_text().replace("micro_batch = 4\n", "")
    (place.folder / "pequeno.toml").write_text(text)
    recipe = place.recipe("train.tokens=2048")
    monkeypatch.setattr(Workplace, "probe", fake)
    tune(recipe, Run.open(recipe, place.folder / "runs"), minutes=3)
    train = place.run("train.tokens=2048")
    assert "From lhama tune: train.micro_batch = 8" in capsys.readouterr().out
    environment = json.loads((train / "final.json").read_text())["environment"]
    assert environment["micro_batch"] == 8
    plain.run("train.tokens=2048", "train.micro_batch=8")
    assert place.rows("loss") == plain.rows("loss")  # operational: the result is as if the recipe had said it


def test_no_time_and_no_room_are_clear_answers(make_place: MakePlace, monkeypatch: pytest.MonkeyPatch) -> None:
    place = make_place()
    run = Run.open(place.recipe(), place.folder / "runs")
    with pytest.raises(Problem, match="--minutes"):
        tune(place.recipe(), run, minutes=0)
    monkeypatch.setattr(Workplace, "probe", lambda *_: ({"error": "out of memory"}, 0.1))
    with pytest.raises(Problem, match="no probe came to an end: out of memory"):
        tune(place.recipe(), run, minutes=1)
    assert not (run.folder / "tune.json").exists() and os.listdir(run.folder / "locks")  # noqa: PTH208
