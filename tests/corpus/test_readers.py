"""One row for everything that stands in a file, with its line, and a reason where it is no document."""

import gzip
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lhama.corpus import readers
from lhama.corpus.readers import Columns, Row, read_csv, read_jsonl, read_parquet, read_txt

COLUMNS = Columns()


def jsonl(folder: Path, *rows: bytes | dict[str, Any]) -> Path:
    path = folder / "rows.jsonl"
    raw = [row if isinstance(row, bytes) else json.dumps(row, ensure_ascii=False).encode() for row in rows]
    path.write_bytes(b"\n".join(raw))
    return path


def test_jsonl_gives_text_name_address_and_the_rest(tmp_path: Path) -> None:
    path = jsonl(
        tmp_path,
        {"text": "Era uma vez.", "id": "a", "url": "https://exemplo.br", "ano": 1899},
        {"text": "Outra vez.", "id": 7, "url": 5},
        {"text": "Sem nome.", "id": None},
        {"text": "Nome estranho.", "id": [1]},
    )
    assert list(read_jsonl(path, COLUMNS)) == [
        Row(1, "a", "Era uma vez.", "https://exemplo.br", '{"ano": 1899}'),
        Row(2, "7", "Outra vez.", None, '{"url": 5}'),
        Row(3, None, "Sem nome."),
        Row(4, None, "Nome estranho.", None, '{"id": [1]}'),
    ]


def test_other_columns_may_be_chosen(tmp_path: Path) -> None:
    path = jsonl(tmp_path, {"conteudo": "Bom dia.", "chave": "k", "text": "não este"})
    (row,) = read_jsonl(path, Columns("conteudo", "chave", "endereco"))
    assert (row.text, row.name, row.meta) == ("Bom dia.", "k", '{"text": "não este"}')


BROKEN: list[tuple[bytes, str]] = [
    (b'{"text": "sem fim', "broken_line"),
    (b"not json", "broken_line"),
    (b'{"text": "a"} {"text": "b"}', "broken_line"),
    (b'{"text": ' + b"[" * 100_000, "broken_line"),
    (b'{"n": ' + b"9" * 5000 + b', "text": "a"}', "broken_line"),
    (b'["text"]', "wrong_type"),
    (b"3", "wrong_type"),
    (b'{"text": 3}', "wrong_type"),
    (b'{"text": {"pt": "oi"}}', "wrong_type"),
    (b'{"texto": "oi"}', "missing_text"),
    (b'{"text": null}', "missing_text"),
    (b'{"text": "caf\xe9"}', "bad_utf8"),
    (b'{"text": "\\ud800 s\xc3\xb3"}', "bad_utf8"),
    (b'{"text": "a\\u0000b"}', "nul_bytes"),
    (b'{"text": "a\0b"}', "nul_bytes"),
]


@pytest.mark.parametrize(("line", "reason"), BROKEN)
def test_each_kind_of_broken_line_has_its_reason_and_loses_no_neighbour(
    line: bytes, reason: str, tmp_path: Path
) -> None:
    rows = list(read_jsonl(jsonl(tmp_path, {"text": "antes"}, line, b"  ", {"text": "depois"}), COLUMNS))
    assert [(row.line, row.text) for row in rows if not row.reason] == [(1, "antes"), (4, "depois")]
    assert (rows[1].line, rows[1].reason) == (2, reason)
    rows[1].text.encode()  # it can be kept aside
    rows[1].detail.encode()


@given(st.lists(st.binary(max_size=40).filter(lambda line: b"\n" not in line), max_size=10))
def test_no_bytes_break_a_reader(tmp_path_factory: pytest.TempPathFactory, garbage: list[bytes]) -> None:
    folder = tmp_path_factory.mktemp("garbage")
    path = jsonl(folder, {"text": "primeira"}, *garbage)
    for read in (read_jsonl, read_csv, read_txt, read_parquet):
        rows = list(read(path, COLUMNS))
        assert all(row.reason or row.text for row in rows)
        for row in rows:
            "".join((row.text, row.meta, row.detail, row.name or "", row.url or "")).encode()
    written = [line for line in garbage if line.strip()]
    assert len(list(read_jsonl(path, COLUMNS))) == 1 + len(written)


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_csv_with_quotes_newlines_and_any_separator(separator: str, tmp_path: Path) -> None:
    table = 'id,text,ano\na,"Bom dia,\n""mundo"".",1\nb,curto,2\nc,demais,3,4\nd,caf\x00e,5\n\ne,fim,6\n'
    path = tmp_path / "t.csv"
    path.write_bytes(b"\xef\xbb\xbf" + table.replace(",", separator).encode())
    rows = list(read_csv(path, COLUMNS))
    assert [(row.line, row.name, row.reason) for row in rows] == [
        (2, "a", ""),
        (4, "b", ""),
        (5, None, "broken_line"),
        (6, None, "nul_bytes"),
        (8, "e", ""),
    ]
    assert rows[0].text == f'Bom dia{separator}\n"mundo".'
    assert rows[0].meta == '{"ano": "1"}'
    assert "4 fields where the header has 3" in rows[2].detail


def test_an_open_quote_keeps_all_it_swallows(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text('text\nbom\n"aberto\nmais\nfim\n')
    good, bad = read_csv(path, COLUMNS)
    assert (good.text, bad.reason, bad.line) == ("bom", "broken_line", 3)
    assert bad.text == '"aberto\nmais\nfim'


def test_a_packed_csv_that_is_cut_off_is_told(tmp_path: Path) -> None:
    path = tmp_path / "t.csv.gz"
    data = gzip.compress(b"text\n" + b"".join(b"linha %d\n" % number for number in range(1000)))
    path.write_bytes(data[:-20])
    *_, last = read_csv(path, COLUMNS)
    assert last.reason == "truncated_file"


def test_a_text_file_is_one_document(tmp_path: Path) -> None:
    path = tmp_path / "conto.txt"
    path.write_text("Primeiro parágrafo.\n\nSegundo parágrafo.\n", encoding="utf-8")
    assert list(read_txt(path, COLUMNS)) == [Row(1, None, "Primeiro parágrafo.\n\nSegundo parágrafo.")]
    path.write_bytes(b"caf\xe9")
    assert [row.reason for row in read_txt(path, COLUMNS)] == ["bad_utf8"]


def test_a_large_text_file_is_many_documents(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readers, "WHOLE_TXT", 40)
    monkeypatch.setattr(readers, "TXT_STRETCH", 30)
    path = tmp_path / "tudo.txt"
    path.write_text("um\ndois\n\n\ntrês\n" + "uma linha de vinte\n" * 4)
    rows = list(read_txt(path, COLUMNS))
    assert [(row.line, row.text.strip()) for row in rows] == [
        (1, "um\ndois"),
        (5, "três\numa linha de vinte\numa linha de vinte"),
        (8, "uma linha de vinte\numa linha de vinte"),
    ]
    assert list(read_txt(path, COLUMNS, skip=5)) == rows[2:]


def test_parquet_rows_of_all_types(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    raw = pa.array([b"bom", b"caf\xe9", None, b"fim"], pa.binary()).view(pa.string())
    table = pa.table({"text": raw, "id": [1, 2, 3, 4], "nota": [0.5, None, 1.5, 2.5]})
    pq.write_table(table, path, row_group_size=2)
    rows = list(read_parquet(path, COLUMNS))
    assert [(row.line, row.text, row.reason) for row in rows if row.reason != "bad_utf8"] == [
        (1, "bom", ""),
        (3, "", "missing_text"),
        (4, "fim", ""),
    ]
    assert rows[1].text == "caf\\xe9"
    assert rows[3].meta == '{"nota": 2.5}'
    for skip in range(5):
        assert list(read_parquet(path, COLUMNS, skip)) == rows[skip:]


def test_a_damaged_parquet_file_is_told(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    path.write_bytes(b"PAR1 nothing of the kind PAR1")
    assert [row.reason for row in read_parquet(path, COLUMNS)] == ["unreadable_file"]


def test_reading_can_go_on_after_any_line(tmp_path: Path) -> None:
    path = jsonl(tmp_path, *({"text": f"texto {number}"} for number in range(9)), b"broken", {"text": "fim"})
    rows = list(read_jsonl(path, COLUMNS))
    for skip in range(12):
        assert list(read_jsonl(path, COLUMNS, skip)) == rows[skip:]
