"""Every kind of source through the one door, from its files to its rows."""

import bz2
import gzip
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lhama.corpus.filelist import SourceFile
from lhama.corpus.instruct import Instruct
from lhama.corpus.readers import Columns, Row
from lhama.corpus.readers_code import Code
from lhama.corpus.readers_warc import Web
from lhama.corpus.reading import Reading, read_rows
from lhama.corpus.sources import known_kind, position_of
from lhama.corpus.splitting import Splitting
from lhama.plan.problem import Problem

COLUMNS = Columns()
PAIRS = [{"instruction": f"Conte {number}.", "output": f"Resposta {number}.", "id": number} for number in range(4)]


def rows(path: Path, kind: str, reading: Reading, skip: int = 0, label: str | None = None) -> list[Row]:
    file = SourceFile(0, label or path.name, kind, path, path.stat().st_size, path.parent)
    return list(read_rows(file, COLUMNS, reading, skip))


def write(path: Path, values: list[dict[str, Any]]) -> Path:
    if path.suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist(values), path)
    elif path.suffix == ".json":
        path.write_text(json.dumps(values))
    elif path.suffix == ".csv":
        lines = [",".join(values[0]), *(",".join(map(str, one.values())) for one in values)]
        path.write_text("\n".join(lines))
    else:
        path.write_text("\n".join(json.dumps(one) for one in values))
    return path


@pytest.mark.parametrize("kind", ["jsonl", "parquet", "csv", "json"])
def test_instructions_of_any_container_become_the_same_texts(kind: str, tmp_path: Path) -> None:
    found = rows(write(tmp_path / f"set.{kind}", PAIRS), kind, Reading(instruct=Instruct()))
    assert [row.name for row in found] == ["0", "1", "2", "3"]
    assert all(row.text.endswith(f"Resposta {number}.") for number, row in enumerate(found))
    assert [row.text for row in found] == [
        row.text for row in rows(write(tmp_path / "set.jsonl", PAIRS), "jsonl", Reading(instruct=Instruct()))
    ]
    assert {json.loads(row.meta)["kind"] for row in found} == {"instruct"}


def test_conversations_in_parquet_are_read(tmp_path: Path) -> None:
    chat = [{"id": "a", "messages": [{"role": "user", "content": "Oi"}, {"role": "assistant", "content": "Olá"}]}]
    (row,) = rows(write(tmp_path / "set.parquet", chat), "parquet", Reading(instruct=Instruct()))
    assert row.reason == "" and "Oi" in row.text and row.text.endswith("Olá")


def test_own_templates_name_columns(tmp_path: Path) -> None:
    reading = Reading(instruct=Instruct(templates=("{instruction} => {output}",)))
    assert rows(write(tmp_path / "a.jsonl", PAIRS), "jsonl", reading)[1].text == "Conte 1. => Resposta 1."


def test_without_them_a_row_is_its_text_column(tmp_path: Path) -> None:
    found = rows(write(tmp_path / "a.jsonl", [{"text": "Bom dia."}]), "jsonl", Reading())
    assert found == [Row(1, None, "Bom dia.")]


def test_blocked_addresses_leave_every_kind_of_source(tmp_path: Path) -> None:
    (tmp_path / "blocked.txt").write_text("ruim.br\n")
    values = [{"text": "a", "url": "http://x.ruim.br/1"}, {"text": "b", "url": "http://bom.br"}, {"text": "c"}]
    found = rows(write(tmp_path / "a.jsonl", values), "jsonl", Reading(web=Web(blocklist=tmp_path / "blocked.txt")))
    assert [(row.text, row.reason) for row in found] == [("a", "blocked_domain"), ("b", ""), ("c", "")]


@pytest.mark.parametrize("pack", [bytes, gzip.compress, bz2.compress])
def test_documents_of_many_years_are_split_and_reading_goes_on_in_their_middle(pack: Any, tmp_path: Path) -> None:
    path = tmp_path / "diario.jsonl"
    texts = ["1\num\n2\ndois\n", "inteiro", "3\ntrês\n4\nquatro"]
    lines = [json.dumps({"text": text, "id": f"d{number}"}) for number, text in enumerate(texts)]
    path.write_bytes(pack("\n".join([*lines, "broken"]).encode()))
    reading = Reading(splitting=Splitting(at=r"^\d$"))
    found = rows(path, "jsonl", reading)
    assert [(row.line, row.name) for row in found] == [
        *((1, "d0#1"), (2, "d0#2"), (3, "d1"), (4, "d2#1"), (5, "d2#2"), (6, "diario.jsonl:4"))
    ]
    assert "".join(row.text for row in found[:5]) == "".join(texts)
    for skip in range(8):
        assert rows(path, "jsonl", reading, skip) == found[skip:]


def test_code_knows_where_its_folder_begins(tmp_path: Path) -> None:
    (tmp_path / "LICENSE").write_text("Apache License Version 2.0")
    folder = tmp_path / "repo/src"
    folder.mkdir(parents=True)
    (folder / "a.py").write_text("x = 1\n")
    file = SourceFile(0, "src/a.py", "code", folder / "a.py", 6, tmp_path / "repo")
    (row,) = read_rows(file, COLUMNS, Reading(code=Code("permissive")))
    assert row.reason == "no_license"


def test_kinds_by_endings() -> None:
    told = {
        (name, kind): known_kind(Path(name), kind)
        for name in ("a.xml.bz2", "a.warc.gz", "a.wet", "a.json", "a.py", "a.jsonl", "a.jsonl.bz2", "Makefile")
        for kind in ("auto", "wikipedia", "warc", "code", "instruct", "jsonl")
    }
    assert {key: value for key, value in told.items() if value} == {
        ("a.xml.bz2", "wikipedia"): "wikipedia",
        ("a.warc.gz", "auto"): "warc",
        ("a.warc.gz", "warc"): "warc",
        ("a.wet", "auto"): "warc",
        ("a.wet", "warc"): "warc",
        ("a.json", "instruct"): "json",
        ("a.py", "code"): "code",
        ("a.jsonl", "auto"): "jsonl",
        ("a.jsonl", "jsonl"): "jsonl",
        ("a.jsonl", "instruct"): "jsonl",
        ("a.jsonl.bz2", "auto"): "jsonl",
        ("a.jsonl.bz2", "jsonl"): "jsonl",
        ("a.jsonl.bz2", "instruct"): "jsonl",
        ("Makefile", "code"): "code",
    }


def test_a_line_beyond_the_numbers_of_a_file_is_a_problem() -> None:
    file = SourceFile(3, "a", "txt", None, 0)
    assert position_of(file, 5) == (3 << 36) + 5
    with pytest.raises(Problem, match="cut it into several files"):
        position_of(file, 1 << 36)
