"""Another threshold reads nothing again, and what comes out is what a fresh run would make, byte for byte."""

import json
import os
import tomllib
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from lhama.corpus import stage as corpus_stage
from lhama.corpus import units
from lhama.corpus.units import Part
from lhama.plan.recipe import load, slice_for
from lhama.record.identity import differences
from lhama.record.run import Run
from tests.corpus.conftest import write_recipe
from tests.corpus.test_killed import Killed, result
from tests.corpus.texts import names, prose, sentences, write

WRITTEN = tomllib.loads(Path(__file__).with_name("sentences.toml").read_text(encoding="utf-8"))
SOURCES = """
[[corpus.source]]
name = "um"
path = "um.jsonl"
documents_per_domain = 3
[[corpus.source]]
name = "dois"
path = "dois.jsonl"
"""
CLASSIFIER = """
[[corpus.classifier]]
name = "bola"
labels = "labels.jsonl"
target = "futebol"
threshold = 0.5
action = "drop"
"""
FULL = """
repair = ["unicode", "spaces"]
languages = ["pt"]
variety = "brazilian"
rules = ["gopher-quality", "code"]
personal_data = "mask"
near_duplicates = true
contained = 0.8
repeated_lines = 3
"""
PLAIN = 'repair = ["unicode", "spaces"]\npersonal_data = "mask"\n'


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Write two sources in which every step finds something, and labels."""
    pytest.importorskip("tld")
    head = "Gazeta da Beira do Rio, fundada em 1912 pelo barqueiro e pela rendeira."
    for name in ("um", "dois"):
        ids = names(name, 24)
        rows = {one: "\n".join(sentences((name, one), 4 + place % 9)) for place, one in enumerate(ids)}
        for one in ids[:6]:
            rows[one] = f"{head}\n{rows[one]}\nEscreva para ana@empresa{one}.com.br logo.  "
        held = names(name, 2, held=True)
        rows |= {one: prose((name, one), 14) for one in held}
        rows |= {"igual": rows[ids[8]], "medido": rows[held[0]], "quase": rows[ids[17]].replace(" de ", " sem ", 1)}
        rows |= {"parte": "\n".join(sentences((name, ids[16]), 12)[:9]), "curto": prose(("curto", name), 2)}
        rows |= {
            "livro": "\n".join(sentences(("livro", name), 40)),
            "tomo": "\n".join(sentences(("livro", name), 40)[9:24]),
        }
        rows |= {"es": " ".join(WRITTEN["es"]) + name, "pt": " ".join(WRITTEN["pt_pt"]) + name}
        rows |= {"bola": "O goleiro do time perdeu a bola, e o outro time fez um gol no jogo de domingo. " * 5 + name}
        write(tmp_path / f"{name}.jsonl", rows, url=dict.fromkeys(ids[10:16], "https://exemplo.com.br/a"))
    rows_of_labels = []
    for number in range(40):
        game = f"o time jogou a bola no gol {prose(number, 1)}"
        rows_of_labels += [{"text": prose(number, 2), "label": "vila"}, {"text": game * 2, "label": "futebol"}]
    (tmp_path / "labels.jsonl").write_text("\n".join(map(json.dumps, rows_of_labels)), encoding="utf-8")
    return tmp_path


def make(home: Path, corpus: str, runs: str, changes: Sequence[str] = (), sources: str = SOURCES) -> Path:
    """Do the stage and return the folder of the corpus."""
    recipe = load(write_recipe(home, sources, corpus), list(changes))
    run = Run.open(recipe, home / runs)
    corpus_stage.run_stage(recipe, run)
    return run.path("corpus")


def read_when(folder: Path) -> int:
    return (folder.parent / "read" / "manifest.json").stat().st_mtime_ns


def reasons(folder: Path) -> dict[str, int]:
    report: dict[str, Any] = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    return {name: of["documents"] for name, of in report["reasons"].items()}


def test_other_thresholds_judge_again_what_was_read(home: Path) -> None:
    folder = make(home, FULL, "runs")
    every = {"other_language", "european", "gopher_short_doc", "exact_duplicate", "copy_of_heldout"}
    assert every | {"near_duplicate", "contained", "domain_full"} <= reasons(folder).keys()
    when, before = read_when(folder), result(folder)
    changes: list[tuple[str, str, str]] = [
        ("repeated_lines = 3", "repeated_lines = 9", ""),
        ("contained = 0.8", "", ""),
        ('languages = ["pt"]', 'languages = ["pt", "es"]\nlanguage_score = 0.6\nminimum_characters = 400', ""),
        ("near_duplicates = true", "", "contained = 0.8"),
        ('rules = ["gopher-quality", "code"]', "", ""),
        ('rules = ["gopher-quality", "code"]', 'rules = ["fineweb"]\nthresholds = { list_ratio = 0.01 }', ""),
        ('languages = ["pt"]\nvariety = "brazilian"', "exact_duplicates = false", ""),
        (FULL, PLAIN, ""),
    ]
    for number, (old, new, less) in enumerate(changes):
        corpus = FULL.replace(old, new).replace(less or old, "")
        assert corpus != FULL
        again = result(make(home, corpus, "runs"))
        assert read_when(folder) == when, f"{old} -> {new} has read again"
        assert again != before, f"{old} -> {new} has changed nothing"
        assert again == result(make(home, corpus, f"fresh-{number}")), f"{old} -> {new}"
        before = again


def test_another_threshold_of_a_classifier_judges_again(home: Path) -> None:
    folder = make(home, FULL, "runs", sources=CLASSIFIER + SOURCES)
    when = read_when(folder)
    assert reasons(folder)["bola"] == 2
    for old, new in (("threshold = 0.5", "threshold = 0.9"), ('action = "drop"', 'action = "bucket"')):
        judged_again_alike(home, CLASSIFIER + SOURCES, old, new, when)


def test_other_keys_of_a_source_judge_again(home: Path) -> None:
    when = read_when(make(home, FULL, "runs"))
    for new in ("documents_per_domain = 1", 'rules = ["fineweb"]'):
        judged_again_alike(home, SOURCES, "documents_per_domain = 3", new, when)


def judged_again_alike(home: Path, sources: str, old: str, new: str, when: int) -> None:
    """Change a key of the sources, judge again, and compare with a fresh run."""
    changed = sources.replace(old, new)
    again = make(home, FULL, "runs", sources=changed)
    assert read_when(again) == when, f"{old} -> {new} has read again"
    assert result(again) == result(make(home, FULL, f"fresh-{new}".replace('"', ""), sources=changed)), new


def test_what_was_not_measured_is_read_again(home: Path) -> None:
    plain = slice_for(load(write_recipe(home, SOURCES, PLAIN)), "read")
    for more in (
        *('languages = ["pt"]', 'rules = ["code"]', "contained = 0.8", "repeated_lines = 3", 'upper_case = "drop"'),
        *("near_duplicates = true", 'variety = "brazilian"', 'lines = ["words"]', 'decontaminate = ["labels.jsonl"]'),
    ):
        asked = slice_for(load(write_recipe(home, SOURCES, PLAIN + more)), "read")
        assert differences(plain, asked, finished=True), more
    when = read_when(make(home, PLAIN, "runs"))
    again = make(home, FULL, "runs")
    assert read_when(again) != when
    assert result(again) == result(make(home, FULL, "fresh"))


def test_other_bands_are_measured_anew_where_they_matter(home: Path) -> None:
    when = read_when(make(home, PLAIN, "runs"))
    assert read_when(make(home, PLAIN + "near_bands = 9", "runs")) == when
    near = read_when(make(home, PLAIN + "near_bands = 9\nnear_duplicates = true", "runs"))
    assert near != when
    assert read_when(make(home, PLAIN + "near_bands = 8\nnear_duplicates = true", "runs")) != near


def test_the_limit_of_parts_changes_no_byte(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(units, "BATCH_ROWS", 5)
    whole = result(make(home, FULL, "whole"))
    for limit in (1, 20_000):
        monkeypatch.setattr(corpus_stage, "Part", partial(Part, limit=limit))
        folder = make(home, FULL, f"limit-{limit}")
        assert len(list((folder.parent / "read").glob("*.parquet"))) > 2
        assert result(folder) == whole


def test_a_stage_killed_with_all_steps_ends_with_the_same_bytes(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(units, "BATCH_ROWS", 8)
    monkeypatch.setattr(corpus_stage, "Part", partial(Part, limit=10_000))
    whole = result(make(home, FULL, "whole"))
    replace, kills = os.replace, 0
    for number in range(2, 40, 7):
        count = [number]

        def dying(source: Any, target: Any, count: list[int] = count) -> None:
            count[0] -= 1
            if count[0] < 0:
                raise Killed
            replace(source, target)

        with monkeypatch.context() as patch:
            patch.setattr(os, "replace", dying)
            try:
                make(home, FULL, f"killed-{number}")
            except Killed:
                kills += 1
            else:
                break
        assert result(make(home, FULL, f"killed-{number}")) == whole, f"killed at rename {number}"
    assert kills > 3


@pytest.mark.slow
@pytest.mark.parametrize("workers", [2, 3])
def test_workers_change_no_byte_with_all_steps(workers: int, home: Path) -> None:
    assert result(make(home, FULL, "several", [f"corpus.workers={workers}"])) == result(make(home, FULL, "one"))
