"""What reading depends on: content decides, not the place; of many files one hash says the same as a line for each."""

import os
from pathlib import Path

import pytest

from lhama.corpus import inputs as module
from lhama.corpus.inputs import inputs_of
from lhama.corpus.sources import find_sources
from lhama.plan.recipe import load
from lhama.record.files import sha256_file
from lhama.record.run import Run
from tests.corpus.conftest import write_recipe

LONG_AGO = 1_600_000_000


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    os.utime(path, (LONG_AGO, LONG_AGO))


def inputs(home: Path, folder: str = "textos") -> dict[str, str]:
    recipe = load(write_recipe(home, f'[[corpus.source]]\nname = "fonte"\npath = "{folder}"\n'))
    return inputs_of(find_sources(recipe, home / "runs/.hub"), Run.open(recipe, home / "runs"))


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(module, "MANY_FILES", 3)
    for name in "abcde":
        write(tmp_path / f"textos/{name}.txt", name)
    return tmp_path


def test_few_files_have_a_line_each(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MANY_FILES", 5)
    assert sorted(inputs(home)) == [f"fonte/{name}.txt" for name in "abcde"]


def test_of_many_files_one_hash_covers_names_and_contents(home: Path) -> None:
    seen = [inputs(home)]
    assert list(seen[0]) == ["fonte/*"]
    write(home / "textos/c.txt", "longer")
    seen.append(inputs(home))
    (home / "textos/e.txt").rename(home / "textos/f.txt")
    seen.append(inputs(home))
    write(home / "textos/g.txt", "")
    seen.append(inputs(home))
    assert len({one["fonte/*"] for one in seen}) == 4


def test_neither_place_nor_time_counts(home: Path) -> None:
    before = inputs(home)
    os.utime(home / "textos/a.txt", (LONG_AGO + 5, LONG_AGO + 5))
    assert inputs(home) == before
    (home / "textos").rename(home / "mudados")
    assert inputs(home, "mudados") == before


def test_what_is_as_before_is_not_read_again(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = inputs(home)
    monkeypatch.setattr(module, "sha256_file", lambda path: pytest.fail(f"{path} was read again"))
    assert inputs(home) == before


def test_files_young_enough_to_change_unnoticed_are_read_again(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (home / "textos/a.txt").write_text("a")
    read: list[str] = []

    def remembering(path: Path) -> str:
        read.append(path.name)
        return sha256_file(path)

    monkeypatch.setattr(module, "sha256_file", remembering)
    assert inputs(home) == inputs(home)
    assert len(read) == 10


def test_an_unreadable_name_is_hashed_too(home: Path) -> None:
    before = inputs(home)
    path = Path(os.fsdecode(os.fsencode(home / "textos") + b"/z\xff.txt"))
    path.write_text("z")
    assert inputs(home) != before
