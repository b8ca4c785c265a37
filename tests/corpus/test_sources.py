"""Which files a source means, in which order, and what a person hears when there are none."""

from pathlib import Path

import pytest

from lhama.corpus import sources as module
from lhama.corpus.sources import CorpusSource, cut, find_sources, known_kind
from lhama.plan.problem import Problem
from lhama.plan.recipe import load
from tests.corpus.conftest import write_recipe


def found(home: Path, sources: str) -> tuple[CorpusSource, ...]:
    return find_sources(load(write_recipe(home, sources)), home / "hub")


def source(path: str, more: str = "", name: str = "fonte") -> str:
    return f'[[corpus.source]]\nname = "{name}"\npath = {path}\n{more}\n'


@pytest.fixture
def home(tmp_path: Path) -> Path:
    for name in ("b.jsonl", "a.txt", "sub/c.jsonl.gz", "sub/d.csv", "sub/.hidden.txt", "e.pdf", "f.parquet"):
        path = tmp_path / "texts" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
    return tmp_path


def test_a_folder_gives_its_files_by_name_and_tells_what_it_leaves(home: Path) -> None:
    (one,) = found(home, source('"texts"'))
    assert [file.label for file in one.files] == ["a.txt", "b.jsonl", "f.parquet", "sub/c.jsonl.gz", "sub/d.csv"]
    assert [file.kind for file in one.files] == ["txt", "jsonl", "parquet", "jsonl", "csv"]
    assert one.ignored == ("e.pdf",)


def test_globs_lists_and_overlaps_give_each_file_once(home: Path) -> None:
    (one,) = found(home, source('["texts/**/*.jsonl*", "texts/b.jsonl", "texts/a.txt"]'))
    assert [file.label for file in one.files] == ["b.jsonl", "sub/c.jsonl.gz", "a.txt"]


def test_files_are_numbered_over_all_sources(home: Path) -> None:
    both = found(home, source('"texts/b.jsonl"') + source('"texts/sub"', name="outra"))
    assert [file.number for one in both for file in one.files] == [0, 1, 2]


def test_a_kind_reads_any_file_that_is_named_and_its_own_in_folders(home: Path) -> None:
    (one,) = found(home, source('["texts", "texts/e.pdf"]', 'kind = "txt"'))
    assert [(file.label, file.kind) for file in one.files] == [("a.txt", "txt"), ("e.pdf", "txt")]


@pytest.mark.parametrize("path", ['"nothing"', '"texts/e.pdf"', '"texts/*.xyz"'])
def test_a_source_without_files_is_a_problem_that_names_its_key(home: Path, path: str) -> None:
    with pytest.raises(Problem, match=r"corpus\.source\.fonte\.path"):
        found(home, source(path))


def test_a_loop_of_links_ends(home: Path) -> None:
    (home / "texts/sub/loop").symlink_to(home / "texts", target_is_directory=True)
    (one,) = found(home, source('"texts"'))
    assert len(one.files) == 5


def test_units_are_runs_of_small_files_and_a_source_with_a_limit_is_one(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in "abcd":
        (home / f"{name}.txt").write_text("x" * 40)
    monkeypatch.setattr(module, "UNIT_BYTES", 100)
    both = source('"*.txt"') + source('["c.txt", "a.txt", "b.txt"]', "documents = 2", name="outra")
    units = [[file.label for file in unit.files] for unit in cut(found(home, both))]
    assert units == [["a.txt", "b.txt"], ["c.txt", "d.txt"], ["c.txt", "a.txt", "b.txt"]]


def test_endings() -> None:
    kinds = {name: known_kind(Path(name)) for name in ("a.JSONL.ZST", "a.tsv", "a.b.txt", "a.gz", "a", "a.json")}
    assert kinds == {"a.JSONL.ZST": "jsonl", "a.tsv": "csv", "a.b.txt": "txt", "a.gz": None, "a": None, "a.json": None}
