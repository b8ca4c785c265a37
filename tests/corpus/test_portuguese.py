"""The recipe of docs/cleaning.md on the real texts, where they are at hand: what must be found is found."""

import csv
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from lhama.corpus.report import check_conservation
from lhama.corpus.stage import run_stage
from lhama.plan.recipe import load
from lhama.record.files import read_json
from lhama.record.run import Run

ROOT = Path(__file__).parents[2]
DATA = ROOT.parent / "shared" / "data"
RECIPE = ROOT / "docs" / "portuguese.toml"
BRAZILIAN_LITERATURE = ("machado_de_assis", "machado_obra_completa", "romances_brasil")
COPIES = ("exact_duplicate", "near_duplicate", "contained", "copy_of_heldout", "near_copy_of_heldout")


def test_the_recipe_loads() -> None:
    recipe = load(str(RECIPE))
    assert len(recipe.corpus.source) == 22
    assert recipe.corpus.source[0].name == "machado_de_assis"


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Clean the real corpus once."""
    if not (DATA / "corpus").is_dir():
        pytest.skip("the real corpus is not here")
    home = tmp_path_factory.mktemp("portuguese")
    (home / "data").symlink_to(DATA)
    (home / "portuguese.toml").write_text(RECIPE.read_text(encoding="utf-8"), encoding="utf-8")
    recipe = load(str(home / "portuguese.toml"), ["record.energy=false"])
    run = Run.open(recipe, home / "runs")
    run_stage(recipe, run)
    return run.path("corpus")


@pytest.fixture(scope="module")
def report(corpus: Path) -> dict[str, Any]:
    found: dict[str, Any] = read_json(corpus / "report.json")
    return found


def of(report: dict[str, Any], name: str) -> dict[str, Any]:
    return next(source for source in report["sources"] if source["name"] == name)


def survival(report: dict[str, Any], name: str) -> float:
    source = of(report, name)
    return float(source["kept"] / (source["documents_in"] - source["heldout"]))


@pytest.mark.slow
def test_the_books_balance_and_every_document_is_there(report: dict[str, Any]) -> None:
    check_conservation(report)
    assert report["totals"]["documents_in"] == 49_657


@pytest.mark.slow
def test_copies_are_found(report: dict[str, Any]) -> None:
    truncated = of(report, "fakebr_news_truncated")
    training = truncated["documents_in"] - truncated["heldout"]
    assert sum(truncated["dropped"].get(reason, 0) for reason in COPIES) > 0.9 * training
    # 505 recipes are the same text as one before, most of them empty forms.
    assert of(report, "receitas_afrodite")["repeated_texts"] >= 505


@pytest.mark.slow
def test_sources_that_are_not_what_they_are_called_are_recognised(report: dict[str, Any]) -> None:
    assert survival(report, "gutenberg_mislabelled") == 0.0
    said = " ".join(report["advice"])
    assert "ud_bosque_publico_ptpt reads as European Portuguese" in said
    assert "gutenberg_camilo_ptpt is mostly in a spelling older" in said


@pytest.mark.slow
def test_brazilian_text_survives(report: dict[str, Any]) -> None:
    for name in (*BRAZILIAN_LITERATURE, "fakebr_news", "macmorpho_folha94", "camara_sumarios"):
        assert survival(report, name) > 0.8, name
        assert of(report, name)["dropped"].get("european", 0) < 0.01 * of(report, name)["documents_in"], name


@pytest.mark.slow
def test_empty_forms_are_gone_and_labels_agree(corpus: Path) -> None:
    verdicts: dict[tuple[str, str], str] = {}
    for path in (*sorted(corpus.glob("data/train-*")), *sorted(corpus.glob("rejected/*"))):
        columns = ["source", "id", *(["reason"] if path.parent.name == "rejected" else [])]
        for row in pq.read_table(path, columns=columns).to_pylist():
            verdicts[row["source"], row["id"]] = row.get("reason", "kept")
    found: Counter[tuple[str, bool]] = Counter()
    with (ROOT / "benchmarks" / "labels" / "corpus.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            verdict = verdicts.get((row["source"], row["id"]))
            if verdict is not None:
                found[row["reason"] or "keep", verdict != "kept"] += 1
    for reason in ("skeleton", "duplicate", "wrong_language"):
        assert found[reason, False] == 0 and found[reason, True] > 0, reason
    assert found["keep", False] > 0.85 * (found["keep", False] + found["keep", True])
