"""What redoes a stage, what continues it, what is refused, and who may work on it."""

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from lhama.plan.problem import Problem
from lhama.plan.recipe import Recipe
from lhama.record import manifest as manifest_module
from lhama.record import run as run_module
from lhama.record import stages
from lhama.record.files import sha256_file
from lhama.record.run import Run
from tests.record.conftest import RECIPE, MakeRecipe

INPUTS = {"text": "abc"}


def do(recipe: Recipe, runs: Path, inputs: dict[str, str] | None = None, **options: Any) -> dict[str, Any]:
    """Do a corpus stage with one output and one report; say how the stage was entered."""
    run = Run.open(recipe, runs)
    with run.stage("corpus", inputs=inputs or INPUTS, **options) as stage:
        entered = {"done": stage.done, "continuing": stage.continuing}
        if not stage.done:
            (stage.folder / "text").write_text(f"text of {recipe.corpus.minimum_characters}")
            (stage.folder / "report.json").write_text(json.dumps(os.getpid()))
            stage.keep_out("report.json")
        return entered


def train(recipe: Recipe, runs: Path, inputs: dict[str, str] | None = None, checkpoint: bool = True) -> dict[str, bool]:
    """Do an in-place stage; say how it was entered."""
    with Run.open(recipe, runs).stage("train", inputs=inputs or INPUTS, in_place=True) as stage:
        entered = {"done": stage.done, "continuing": stage.continuing, "extended": stage.extended}
        if not stage.done and checkpoint:
            (stage.folder / "step-0000001").mkdir(exist_ok=True)
            (stage.folder / "step-0000001" / "manifest.json").write_text("{}")
        return entered


def make_expensive(folder: Path) -> None:
    """Rewrite a manifest as if the stage had taken an hour."""
    path = folder / "manifest.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "seconds": 3600.0}))


DONE, FRESH, CONTINUED = ({"done": d, "continuing": c} for d, c in ((True, False), (False, False), (False, True)))


def test_a_finished_stage_is_skipped_and_operational_keys_redo_nothing(make_recipe: MakeRecipe, tmp_path: Path) -> None:
    assert do(make_recipe(), tmp_path) == FRESH
    assert do(make_recipe(), tmp_path) == DONE
    assert do(make_recipe("corpus.workers=7", "train.log_every=99", "record.energy=true"), tmp_path) == DONE


def test_a_skip_reads_no_file_and_starts_no_tracker(
    make_recipe: MakeRecipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    do(make_recipe(), tmp_path)

    def forbidden(*_: object) -> None:
        raise AssertionError("a skipped stage must cost nothing")

    monkeypatch.setattr(manifest_module, "sha256_file", forbidden)
    monkeypatch.setattr(stages, "track", forbidden)
    assert do(make_recipe("record.energy=true"), tmp_path) == DONE


def test_a_changed_result_key_input_or_format_redoes_a_cheap_stage(make_recipe: MakeRecipe, tmp_path: Path) -> None:
    do(make_recipe(), tmp_path)
    assert do(make_recipe("corpus.minimum_characters=60"), tmp_path) == FRESH
    assert (tmp_path / "small" / "corpus" / "text").read_text() == "text of 60"
    assert do(make_recipe("corpus.minimum_characters=60"), tmp_path, {"text": "other"}) == FRESH
    assert do(make_recipe("corpus.minimum_characters=60"), tmp_path, {"text": "other"}, format=2) == FRESH
    assert do(make_recipe("corpus.minimum_characters=60"), tmp_path, {"text": "other"}, format=2) == DONE


def test_identity_is_the_content_and_leaves_out_reports(make_recipe: MakeRecipe, tmp_path: Path) -> None:
    do(make_recipe(), tmp_path / "a")
    do(make_recipe("corpus.workers=3"), tmp_path / "b")
    do(make_recipe("corpus.minimum_characters=60"), tmp_path / "c")
    runs = [Run.read(tmp_path / name / "small") for name in "abc"]
    first, same, other = (run.identity("corpus") for run in runs)
    # By hand: sha256 of {"text":"<sha256 of 'text of 50'>"}.
    inner = hashlib.sha256(b"text of 50").hexdigest()
    assert first == same == hashlib.sha256(json.dumps({"text": inner}, separators=(",", ":")).encode()).hexdigest()
    assert other != first
    with pytest.raises(Problem, match="not finished"):
        runs[0].identity("tokens")


def test_an_expensive_stage_is_never_redone_unasked(make_recipe: MakeRecipe, tmp_path: Path) -> None:
    do(make_recipe(), tmp_path)
    folder = tmp_path / "small" / "corpus"
    make_expensive(folder)
    before = (tmp_path / "small" / "recipe.toml").read_text()
    with pytest.raises(Problem) as refused:
        do(make_recipe("corpus.minimum_characters=60"), tmp_path)
    assert refused.value.key == "corpus.minimum_characters"
    assert "50 -> 60" in str(refused.value)
    assert "1 h 00 min" in str(refused.value)
    assert "--again corpus" in str(refused.value)
    assert (tmp_path / "small" / "recipe.toml").read_text() == before, "a refused recipe must not become the run's"
    with pytest.raises(Problem, match="input text: abc -> other"):
        do(make_recipe(), tmp_path, {"text": "other"})
    assert (folder / "text").read_text() == "text of 50"


def test_a_change_upstream_is_refused_before_anything_is_redone(make_recipe: MakeRecipe, tmp_path: Path) -> None:
    do(make_recipe(), tmp_path)
    train(make_recipe(), tmp_path)
    with pytest.raises(Problem) as refused:
        do(make_recipe("corpus.minimum_characters=60"), tmp_path)
    assert refused.value.key == "corpus.minimum_characters"
    assert "train" in str(refused.value)
    assert (tmp_path / "small" / "corpus" / "text").read_text() == "text of 50"


def test_again_moves_aside_and_deletes_nothing(make_recipe: MakeRecipe, tmp_path: Path) -> None:
    do(make_recipe(), tmp_path)
    make_expensive(tmp_path / "small" / "corpus")
    recipe = make_recipe("corpus.minimum_characters=60")
    Run.open(recipe, tmp_path, again=["corpus"])
    Run.open(recipe, tmp_path, again=["corpus"])
    assert do(recipe, tmp_path) == FRESH
    Run.open(recipe, tmp_path, again=["corpus"])
    kept = sorted(path.joinpath("text").read_text() for path in (tmp_path / "small").glob("corpus.again-*"))
    assert kept == ["text of 50", "text of 60"]


def test_an_interrupted_stage_continues_and_a_part_of_another_recipe_is_set_aside(
    make_recipe: MakeRecipe, tmp_path: Path
) -> None:
    recipe = make_recipe()
    with pytest.raises(KeyboardInterrupt), Run.open(recipe, tmp_path).stage("corpus", inputs=INPUTS) as stage:
        (stage.folder / "unit-1").write_text("whole")
        raise KeyboardInterrupt
    with Run.open(recipe, tmp_path).stage("corpus", inputs=INPUTS) as stage:
        assert stage.continuing
        assert (stage.folder / "unit-1").read_text() == "whole"
        stage.incomplete()
    other = make_recipe("corpus.minimum_characters=60")
    with Run.open(other, tmp_path).stage("corpus", inputs=INPUTS) as stage:
        assert not stage.continuing
        assert not (stage.folder / "unit-1").exists()
    aside = list((tmp_path / "small").glob("corpus.part.aside-*"))
    assert [path.joinpath("unit-1").read_text() for path in aside] == ["whole"]


def test_training_is_extended_continued_or_refused_by_the_kind_of_the_key(
    make_recipe: MakeRecipe, tmp_path: Path
) -> None:
    assert train(make_recipe(), tmp_path) == {"done": False, "continuing": False, "extended": False}
    assert train(make_recipe("train.log_every=77", "train.micro_batch=2"), tmp_path)["done"]
    longer = make_recipe("train.tokens=2048000")
    assert train(longer, tmp_path) == {"done": False, "continuing": True, "extended": True}
    assert train(longer, tmp_path)["done"]
    for key, value, words in (
        ("model.hidden_size", 128, "64 -> 128"),
        ("train.tokens", 512000, "for less than before"),
        ("tokens.sequence", 1024, "2048 -> 1024"),
    ):
        changed = {"train.tokens": 2048000} | {key: value}
        with pytest.raises(Problem) as refused:
            train(make_recipe(*(f"{name}={number}" for name, number in changed.items())), tmp_path)
        assert refused.value.key == key
        assert words in str(refused.value)
    with pytest.raises(Problem, match="input text: abc -> other"):
        train(longer, tmp_path, {"text": "other"})


def test_training_without_a_checkpoint_begins_anew_and_keeps_what_was_there(
    make_recipe: MakeRecipe, tmp_path: Path
) -> None:
    train(make_recipe(), tmp_path, checkpoint=False)
    assert not train(make_recipe("model.hidden_size=128"), tmp_path, checkpoint=False)["continuing"]
    assert len(list((tmp_path / "small").glob("train.aside-*"))) == 1


def test_phases_may_be_added_and_the_last_may_grow_but_the_past_stays(make_recipe: MakeRecipe, tmp_path: Path) -> None:
    def phased(*tokens: int) -> Recipe:
        tables = "".join(f'[[train.phase]]\nname = "p{number}"\ntokens = {n}\n' for number, n in enumerate(tokens))
        return make_recipe(text=RECIPE.replace("tokens = 1024000\n", "") + tables)

    train(phased(81920), tmp_path)
    assert train(phased(163840), tmp_path)["extended"]
    assert train(phased(163840, 81920), tmp_path)["extended"]
    with pytest.raises(Problem, match=r"train\.phase\[0\]\.tokens"):
        train(phased(245760, 81920), tmp_path)
    with pytest.raises(Problem, match=r"train\.phase: 2 of them -> 1 of them asks train for less"):
        train(phased(163840), tmp_path)


def test_an_altered_or_missing_output_is_found_by_name_and_a_copy_is_accepted(
    make_recipe: MakeRecipe, tmp_path: Path
) -> None:
    do(make_recipe(), tmp_path)
    path = tmp_path / "small" / "corpus" / "text"
    os.utime(path, ns=(1, 1))  # what a copy to another machine does
    assert do(make_recipe(), tmp_path) == DONE
    path.write_text("text of 51")
    with pytest.raises(Problem, match=r"corpus.text is not what was written"):
        do(make_recipe(), tmp_path)
    path.write_text("shorter")
    with pytest.raises(Problem, match=r"corpus.text has 7 bytes, 10 were written"):
        do(make_recipe(), tmp_path)
    path.unlink()
    with pytest.raises(Problem, match=r"corpus.text is missing"):
        do(make_recipe(), tmp_path)


def test_a_key_unknown_to_an_old_manifest_counts_as_equal_at_its_default(
    make_recipe: MakeRecipe, tmp_path: Path
) -> None:
    do(make_recipe(), tmp_path)
    path = tmp_path / "small" / "corpus" / "manifest.json"
    manifest = json.loads(path.read_text())
    del manifest["slice"]["corpus.exact_duplicates"]
    manifest["slice"]["corpus.forgotten_key"] = 3
    path.write_text(json.dumps(manifest))
    assert do(make_recipe(), tmp_path) == DONE
    assert do(make_recipe("corpus.exact_duplicates=false"), tmp_path) == FRESH


def test_a_key_of_a_table_at_its_default_counts_as_equal_too(make_recipe: MakeRecipe, tmp_path: Path) -> None:
    """Tables leave out what is at its default; a manifest that once named it is of the same work."""

    def enter(*changes: str) -> bool:
        run = Run.open(make_recipe(*changes), tmp_path)
        with run.stage("read", inputs=INPUTS) as stage:
            return stage.done

    assert not enter()
    path = tmp_path / "small" / "read" / "manifest.json"
    manifest = json.loads(path.read_text())
    assert manifest["slice"]["corpus.source"] == [{"name": "text"}]
    manifest["slice"]["corpus.source"][0]["kind"] = "auto"
    path.write_text(json.dumps(manifest))
    assert enter()
    assert not enter("corpus.source.text.kind=txt")


def test_what_is_measured_and_no_longer_asked_for_redoes_no_finished_reading(
    make_recipe: MakeRecipe, tmp_path: Path
) -> None:
    def enter(*changes: str) -> bool:
        run = Run.open(make_recipe(*changes), tmp_path)
        with run.stage("read", inputs=INPUTS) as stage:
            return stage.done

    asked = ["corpus.near_duplicates=true", 'corpus.languages=["pt"]']
    assert not enter(*asked)
    assert enter(asked[0]) and enter(asked[1], "corpus.near_bands=9") and enter() and enter(*asked)
    assert not enter(*asked, "corpus.near_bands=9")
    assert enter()
    assert not enter("corpus.contained=0.8")


def test_inputs_are_hashed_once_until_they_change(
    make_recipe: MakeRecipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Run.open(make_recipe(), tmp_path)
    file = tmp_path / "text.txt"
    file.write_text("olá")
    os.utime(file, ns=(1_000, 1_000))
    read: list[Path] = []

    def hash_and_note(path: Path) -> str:
        read.append(path)
        return sha256_file(path)

    monkeypatch.setattr(run_module, "sha256_file", hash_and_note)
    first = run.hash_inputs({"text": file})
    assert run.hash_inputs({"other label": file})["other label"] == first["text"]
    assert len(read) == 1
    file.write_text("oi!")  # fresh: hashed each time, because it may change again within one tick of the clock
    assert run.hash_inputs({"text": file}) != first
    assert run.hash_inputs({"text": file}) != first
    assert len(read) == 3
    with pytest.raises(Problem, match=r"absent\.txt cannot be read"):
        run.hash_inputs({"text": tmp_path / "absent.txt"})


HOLD = """
import sys, time
from pathlib import Path
from lhama.plan.recipe import load
from lhama.record.run import Run
run = Run.open(load(Path(sys.argv[1])), Path(sys.argv[2]))
with run.stage("corpus", inputs={"text": "abc"}) as stage:
    (stage.folder / "unit").write_text("whole")
    sys.stdout.write("held\\n"); sys.stdout.flush()
    time.sleep(60)
"""


def test_a_second_process_is_told_who_works_and_a_killed_one_is_no_obstacle(
    make_recipe: MakeRecipe, tmp_path: Path
) -> None:
    recipe = make_recipe()
    command = [sys.executable, "-c", HOLD, str(tmp_path / "small.toml"), str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(Problem, match=f"the corpus stage of small is being worked on by process {holder.pid}"):
            do(recipe, tmp_path)
        assert train(recipe, tmp_path)["done"] is False, "the other stages stay free"
        holder.kill()
        holder.wait()
    with Run.open(recipe, tmp_path).stage("corpus", inputs=INPUTS) as stage:
        assert stage.continuing
        assert (stage.folder / "unit").read_text() == "whole"
