"""A corpus stage that is killed anywhere goes on and ends with the same bytes."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from lhama.corpus import pool, units
from lhama.corpus import stage as corpus_stage
from lhama.corpus.filelist import SourceFile
from lhama.corpus.readers import Columns, Row
from lhama.corpus.reading import Reading, read_rows
from lhama.corpus.units import Part
from lhama.plan.recipe import load
from lhama.record.run import Run
from tests.corpus.conftest import write_recipe
from tests.corpus.numbered import numbered

SOURCES = """
[[corpus.source]]
name = "um"
path = "um.jsonl"

[[corpus.source]]
name = "dois"
path = "dois.jsonl"
"""


class Killed(BaseException):
    """Raised where the process would be gone: no `except Exception` tidies up after it."""


def write_texts(home: Path, rows: int) -> None:
    for name in ("um", "dois"):
        texts = [
            {"text": f"{name} {row % (rows - 7)} de um texto que é longo o bastante para ficar.", "id": row}
            for row in range(rows)
        ]
        lines = [json.dumps(text) for text in texts]
        lines[rows // 2] = "quebrado"
        (home / f"{name}.jsonl").write_text("\n".join(lines))


def result(folder: Path) -> dict[str, bytes]:
    names = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
    records = ("manifest.json", "begin.json", "energy.jsonl")
    return {name: path.read_bytes() for name, path in names.items() if name not in records}


def work(home: Path, runs: Path) -> Path:
    recipe = load(home / "recipe.toml")
    run = Run.open(recipe, runs)
    corpus_stage.run_stage(recipe, run)
    return run.path("corpus")


def test_killed_at_every_rename(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_texts(tmp_path, 40)
    write_recipe(tmp_path, SOURCES)
    monkeypatch.setattr(units, "BATCH_ROWS", 8)
    monkeypatch.setattr(corpus_stage, "Part", partial(Part, limit=1200))
    whole = result(work(tmp_path, tmp_path / "whole"))
    replace, kills = os.replace, 0

    def dying(count: list[int], after: bool, source: Any, target: Any) -> None:
        count[0] -= 1
        if after:
            replace(source, target)
        if count[0] < 0:
            raise Killed
        if not after:
            replace(source, target)

    for after in (False, True):
        for number in range(0, 200, 3 if after else 1):  # most states after a rename are those before the next
            runs = tmp_path / f"killed-{number}-{after}"
            with monkeypatch.context() as patch:
                patch.setattr(os, "replace", partial(dying, [number], after))
                try:
                    work(tmp_path, runs)
                except Killed:
                    kills += 1
                else:
                    break
            assert result(work(tmp_path, runs)) == whole, f"killed at rename {number}"
        else:
            pytest.fail("the stage renames without end")
    assert kills > 15


def test_a_file_of_many_parts_is_opened_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_texts(tmp_path, 40)
    write_recipe(tmp_path, SOURCES)
    monkeypatch.setattr(units, "BATCH_ROWS", 8)
    monkeypatch.setattr(corpus_stage, "Part", partial(Part, limit=1200))
    opened: list[tuple[str, int]] = []

    def reading(file: SourceFile, columns: Columns, how: Reading, skip: int) -> Iterator[Row]:
        opened.append((file.label, skip))
        return read_rows(file, columns, how, skip)

    monkeypatch.setattr(units, "read_rows", reading)
    once = result(work(tmp_path, tmp_path / "once"))
    assert sorted(opened) == [("dois.jsonl", 0), ("um.jsonl", 0)]
    monkeypatch.setattr(units, "_keep_open", lambda part, batch, batches: None)
    assert result(work(tmp_path, tmp_path / "again")) == once
    assert len(opened) > 4


def test_what_follows_a_task_is_done_by_the_same_process() -> None:
    def following(done: tuple[int, int]) -> int | None:
        return done[0] - 1 if done[0] % 10 else None

    found = list(pool.work(numbered, [12, 24, 33], 2, following))
    assert sorted(number for number, _ in found) == [10, 11, 12, 20, 21, 22, 23, 24, 30, 31, 32, 33]
    for tens in (1, 2, 3):
        assert len({process for number, process in found if number // 10 == tens}) == 1
    assert len({process for _, process in found}) == 2


def test_one_task_apart_is_done_elsewhere() -> None:
    number, process = pool.apart(numbered, 7)
    assert number == 7 and process != os.getpid()


SCRIPT = """
import sys
from pathlib import Path
from tests.corpus.test_killed import work
if __name__ == "__main__":
    work(Path(sys.argv[1]), Path(sys.argv[2]))
"""


def test_killed_for_real_with_workers(tmp_path: Path) -> None:
    write_texts(tmp_path, 6000)
    write_recipe(tmp_path, SOURCES)
    whole = result(work(tmp_path, tmp_path / "whole"))
    recipe = tmp_path / "recipe.toml"
    recipe.write_text(recipe.read_text().replace("workers = 1", "workers = 2"))
    script = tmp_path / "work.py"
    script.write_text(SCRIPT)
    environment = dict(os.environ, PYTHONPATH=str(Path(__file__).parents[2]))
    command = [sys.executable, str(script), str(tmp_path)]
    reading = tmp_path / "killed" / "text" / "read.part"
    with subprocess.Popen(
        [*command, str(tmp_path / "killed")], env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        until = time.monotonic() + 60
        while not any(reading.glob("*.json")) and process.poll() is None and time.monotonic() < until:
            time.sleep(0.005)
        process.send_signal(signal.SIGKILL if os.name == "posix" else signal.SIGTERM)
    parts = {path: path.stat().st_mtime_ns for path in reading.glob("*.json")}
    assert parts, "killed before the first part was whole"
    assert result(work(tmp_path, tmp_path / "killed")) == whole
