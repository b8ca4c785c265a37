"""Kill the process before every single file operation: the next start understands what is left, and goes on."""

import os
import shutil
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from lhama.plan.recipe import Recipe
from lhama.record.energy import totals
from lhama.record.manifest import check, read_manifest
from lhama.record.meter import Meter, append_row, line, read_rows
from lhama.record.run import Run
from tests.record.conftest import MakeRecipe, die_at

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="dying is played in a forked process"),
    pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning"),
]

OLD, NEW = "corpus.minimum_characters=50", "corpus.minimum_characters=60"
OLD_ROW: dict[str, Any] = {"time": "2026-01-01T00:00:00.000+00:00", "stage": "corpus", "seconds": 100.0, "kwh": 0.5}


def do_corpus(recipe: Recipe, runs: Path) -> None:
    """Do a small corpus stage whose files say by which recipe they were made, and which keeps whole units."""
    run = Run.open(recipe, runs)
    with run.stage("corpus", inputs={"text": "abc"}) as stage:
        if stage.done:
            return
        data = stage.folder / "data"
        data.mkdir(exist_ok=True)
        for name in ("one", "two"):
            if not (data / name).exists():
                temporary = data / f".{name}.1.tmp"
                temporary.write_text(str(recipe.corpus.minimum_characters))
                temporary.rename(data / name)


def assert_whole(folder: Path) -> str:
    """Check that a finished folder is all old or all new, as its manifest says; return which."""
    manifest = read_manifest(folder)
    assert manifest is not None
    check(folder, manifest, "corpus")
    made_by = str(manifest["slice"]["corpus.minimum_characters"])
    assert sorted(manifest["outputs"]) == ["data/one", "data/two"]
    assert {(folder / name).read_text() for name in manifest["outputs"]} == {made_by}
    return made_by


def assert_finished(recipe: Recipe, runs: Path) -> None:
    """Go on after the deaths, and check that all is as if nothing had happened."""
    do_corpus(recipe, runs)
    run = runs / "small"
    assert assert_whole(run / "corpus") == "60"
    assert not (run / "corpus.part").exists()
    assert not (run / "corpus.old").exists()
    assert not list(run.glob("corpus.*")), "nothing was set aside: the part was of the same recipe"
    spent = totals(run)
    assert spent["kwh"] == 0.5, "the replaced result's energy is counted once, whatever folder it is in"
    assert spent["seconds"] >= 100.0
    lost = [row for row in read_rows(run / "corpus" / "energy.jsonl") if row.get("lost")]
    assert [row["seconds"] for row in lost] == [100.0]


def start_with_old(make_recipe: MakeRecipe, runs: Path) -> None:
    do_corpus(make_recipe(OLD), runs)
    (runs / "small" / "corpus" / "energy.jsonl").write_bytes(line(OLD_ROW))


def test_a_stage_killed_at_any_file_operation_is_old_or_new_and_goes_on(
    make_recipe: MakeRecipe, tmp_path: Path
) -> None:
    recipe = make_recipe(NEW)
    seen: list[str] = []
    number = 0
    died = True
    while died:
        number += 1
        runs = tmp_path / f"runs-{number}"
        start_with_old(make_recipe, runs)
        died = die_at(number, partial(do_corpus, recipe, runs))
        if (runs / "small" / "corpus").exists():
            assert_whole(runs / "small" / "corpus")  # for those who only read, and repair nothing
        Run.open(recipe, runs)  # repairs
        seen.append(assert_whole(runs / "small" / "corpus"))
        assert_finished(recipe, runs)
    assert number > 30, "the deaths were not where we think"
    assert set(seen) == {"50", "60"}
    assert seen == sorted(seen), "once the new result is there, no later death brings the old one back"


@pytest.mark.slow
def test_a_repair_killed_at_any_file_operation_is_repaired_again(make_recipe: MakeRecipe, tmp_path: Path) -> None:
    recipe = make_recipe(NEW)
    last = 0
    for number in range(1, 1000):
        runs = tmp_path / f"count-{number}"
        start_with_old(make_recipe, runs)
        if not die_at(number, partial(do_corpus, recipe, runs)):
            last = number
            break
    for first in range(last - 14, last):  # from the manifest on: the dance and what follows it
        left = tmp_path / f"left-{first}"
        start_with_old(make_recipe, left)
        assert die_at(first, partial(do_corpus, recipe, left))
        second, died = 0, True
        while died:
            second += 1
            runs = tmp_path / f"runs-{first}-{second}"
            shutil.copytree(left, runs)
            died = die_at(second, partial(Run.open, recipe, runs))
            Run.open(recipe, runs)
            assert_whole(runs / "small" / "corpus")
            assert_finished(recipe, runs)


def do_training(recipe: Recipe, runs: Path) -> bool:
    """Do an in-place stage with one checkpoint; returns whether there was anything to do."""
    with Run.open(recipe, runs).stage("train", inputs={"tokens": "abc"}, in_place=True) as stage:
        if stage.done:
            return False
        checkpoint = stage.folder / "step-0000001"
        checkpoint.mkdir(exist_ok=True)
        (checkpoint / "manifest.json").write_text("{}")
        (stage.folder / "final.json").write_text(str(recipe.train.tokens))
        return True


def test_an_extension_killed_at_any_file_operation_is_never_taken_for_finished(
    make_recipe: MakeRecipe, tmp_path: Path
) -> None:
    longer = make_recipe("train.tokens=2048000")
    number, died = 0, True
    while died:
        number += 1
        runs = tmp_path / f"runs-{number}"
        do_training(make_recipe(), runs)
        died = die_at(number, partial(do_training, longer, runs))
        do_training(longer, runs)
        assert (runs / "small" / "train" / "final.json").read_text() == "2048000"
        assert not do_training(longer, runs)
    assert number > 10


def test_again_killed_at_any_file_operation_loses_nothing(make_recipe: MakeRecipe, tmp_path: Path) -> None:
    recipe = make_recipe(OLD)
    number, died = 0, True
    while died:
        number += 1
        runs = tmp_path / f"runs-{number}"
        do_corpus(recipe, runs)
        died = die_at(number, partial(Run.open, recipe, runs, again=["corpus"]))
        places = [*runs.glob("small/corpus"), *runs.glob("small/corpus.again-*")]
        assert len(places) == 1
        assert assert_whole(places[0]) == "50"
    assert number > 3


def test_a_cut_back_killed_at_any_file_operation_ends_the_same(tmp_path: Path) -> None:
    number, died = 0, True
    while died:
        number += 1
        folder = tmp_path / f"train-{number}"
        write_rows(folder)
        died = die_at(number, partial(cut_back, folder))
        cut_back(folder)
        assert [row["step"] for row in read_rows(folder / "loss.jsonl")] == [1, 2]
        assert [row["step"] for row in read_rows(folder / "validation.jsonl")] == [2]
        marks = [row["lost"] for row in read_rows(folder / "metrics.jsonl") if "lost" in row]
        assert marks == [{"after_step": 2, "until_step": 4, "rows": 2}]
    assert number > 4


def cut_back(folder: Path) -> None:
    with Meter(folder) as meter:
        meter.cut_back(2)


def write_rows(folder: Path) -> None:
    with Meter(folder) as meter:
        for step in (1, 2, 3, 4):
            meter.loss(step, step * 10, 1.0 / step, 1e-3, 0.5)
            meter.metrics(step=step, tokens_per_second=1000.0)
            if step % 2 == 0:
                meter.validation(step, step * 10, bits_per_byte=2.0)


def test_a_row_torn_by_a_death_does_not_spoil_the_next_one(tmp_path: Path) -> None:
    path = tmp_path / "energy.jsonl"
    append_row(path, {"seconds": 1})
    with path.open("ab") as file:
        file.write(b'{"seconds": 2, "kw')
    append_row(path, {"seconds": 3})
    assert [row["seconds"] for row in read_rows(path)] == [1, 3]
