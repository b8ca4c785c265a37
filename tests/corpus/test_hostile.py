"""Input that is broken, huge or meant to harm: counted or refused with file and line, nothing lost, memory bounded.

What single readers do with single lines stands beside them; here is what only shows in whole files, in other kinds of
files, or in the whole stage.
"""

import bz2
import gzip
import json
import subprocess
import sys
import tarfile
import tracemalloc
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

from lhama.corpus import bytestream, readers
from lhama.corpus.readers import Columns, Row, read_csv, read_jsonl, read_parquet, read_txt
from lhama.corpus.readers_warc import read_warc
from lhama.corpus.readers_wikipedia import read_wikipedia
from lhama.plan.problem import Problem
from tests.corpus.conftest import MakeCorpus

Read = Callable[[Path, Columns], Iterator[Row]]
COLUMNS = Columns()
PADDING = "e assim passou mais um dia comprido na roça, sem novidade alguma."
MEGABYTE = 1 << 20


def line(number: int) -> bytes:
    return json.dumps({"text": f"Documento {number}, {PADDING}", "id": f"d{number}"}, ensure_ascii=False).encode()


def source(path: str, more: str = "") -> str:
    return f'[[corpus.source]]\nname = "fonte"\npath = "{path}"\n{more}\n'


@pytest.fixture
def small_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (bytestream, readers):
        monkeypatch.setattr(module, "LONGEST_LINE", MEGABYTE)


def peak_of(rows: Iterator[Row]) -> tuple[list[tuple[int, str, int]], int]:
    """Read all rows, keeping none, and return what they are and the most memory that was held."""
    tracemalloc.start()
    try:
        found = [(row.line, row.reason, len(row.text)) for row in rows]
        return found, tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "gz": gzip.compress,
    "bz2": bz2.compress,
    "zst": zstandard.ZstdCompressor(level=3).compress,
}


@pytest.mark.parametrize("pack", PACKERS)
@pytest.mark.usefixtures("small_limits")
def test_a_bomb_of_one_line_is_counted_and_its_neighbours_stay(pack: str, tmp_path: Path) -> None:
    path = tmp_path / "bomba"
    path.write_bytes(PACKERS[pack](line(1) + b"\n" + b"a" * (48 * MEGABYTE) + b"\n" + line(2)))
    assert path.stat().st_size < 48 * MEGABYTE / 900
    found, peak = peak_of(read_jsonl(path, COLUMNS))
    assert [(number, reason) for number, reason, _ in found] == [(1, ""), (2, "line_too_long"), (3, "")]
    # zstd unpacks 2 kB, of which this bomb has not much more, into one block; the others are met in small ones.
    assert peak < (110 if pack == "zst" else 12) * MEGABYTE


@pytest.mark.parametrize(
    ("read", "reason"),
    [
        (read_csv, "line_too_long"),
        (read_txt, "line_too_long"),
        (read_warc, "broken_record"),
        (read_wikipedia, "broken_xml"),
    ],
)
@pytest.mark.usefixtures("small_limits")
def test_a_bomb_is_counted_by_every_reader(read: Read, reason: str, tmp_path: Path) -> None:
    path = tmp_path / "bomba"
    path.write_bytes(gzip.compress(b"text\n" + b"a" * (48 * MEGABYTE)))
    found, peak = peak_of(read(path, COLUMNS))
    assert [told for _, told, _ in found] == [reason]
    assert sum(size for _, _, size in found) < 2 * MEGABYTE
    assert peak < 24 * MEGABYTE


def test_a_bomb_of_repeated_values_in_parquet_is_read_in_small_batches(tmp_path: Path) -> None:
    """One value that stands once in the file fills every row: 58 kB became 20 GB, a thousand rows at a time."""
    path = tmp_path / "bomba.parquet"
    values = pa.DictionaryArray.from_arrays(pa.array([0] * 2000, pa.int32()), pa.array(["a" * MEGABYTE]))
    pq.write_table(pa.table({"text": values}), path, compression="zstd")
    assert path.stat().st_size < 100_000
    before = pa.total_allocated_bytes()
    rows = read_parquet(path, COLUMNS)
    assert len(next(rows).text) == MEGABYTE
    assert pa.total_allocated_bytes() - before < 200 * MEGABYTE


@pytest.mark.usefixtures("small_limits")
def test_a_value_of_parquet_longer_than_any_document_is_told(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"text": ["a", "b" * (MEGABYTE + 1), "c"]}), path)
    assert [row.reason for row in read_parquet(path, COLUMNS)] == ["", "line_too_long", ""]


@pytest.mark.parametrize("depth", [198, 250, 950, 985, 989, 990, 5000])
@pytest.mark.parametrize("brackets", ["[]", '{"a":}'])
def test_deep_nesting_is_read_or_refused_whoever_calls(depth: int, brackets: str, tmp_path: Path) -> None:
    """At 990 levels Python could read the line and then failed to write its other fields down again."""
    opening, closing = (brackets[0], brackets[1]) if brackets == "[]" else ('{"a":', "}")
    inner = "1" if brackets != "[]" else ""
    path = tmp_path / "a.jsonl"
    path.write_text('{"text": "a", "x": ' + opening * depth + inner + closing * depth + "}\n" + line(1).decode())
    reasons = [row.reason for row in read_jsonl(path, COLUMNS)]
    assert reasons == ["broken_line" if depth > 199 else "", ""]


def hostile_folder(home: Path) -> dict[tuple[str, int], str]:
    """Write a folder of files with something wrong in each; return the reason by file and line."""
    folder = home / "textos"
    (folder / "sub").mkdir(parents=True)
    good = [line(number) for number in range(100)]
    whole = b"\n".join(good[60:80]) + b"\n"
    packed = {"e.jsonl.gz": gzip.compress(whole), "f.jsonl.zst": zstandard.ZstdCompressor().compress(whole)}
    files = {
        "a.jsonl": [good[0], b"", b'{"text": "cortad', good[1], b'{"text": 7, "id": "n"}', b'{"id": "sem"}', good[2]],
        "b.jsonl": [b'{"text": "a\\ud800b"}', b'{"text": "a\0b"}', b"\xff\xfe", good[3], b'{"text": ["a"]}'],
        "c.jsonl": [good[4], good[4], b'{"text": "x"}'],
        "d.txt": [],
        "sub/h.csv": [b"id,text", b"1,a,b", b'2,"aberto'],
    }
    for name, lines in files.items():
        (folder / name).write_bytes(b"\n".join(lines))
    for name, data in packed.items():
        (folder / name).write_bytes(data[: len(data) - 12])
    (folder / "g.parquet").write_bytes(b"PAR1 no such thing PAR1")
    (folder / "i.jsonl").symlink_to(folder / "i.jsonl")
    (folder / "sub/up").symlink_to(home, target_is_directory=True)
    return {
        ("a.jsonl", 3): "broken_line",
        ("a.jsonl", 5): "wrong_type",
        ("a.jsonl", 6): "missing_text",
        ("b.jsonl", 1): "bad_utf8",
        ("b.jsonl", 2): "nul_bytes",
        ("b.jsonl", 3): "bad_utf8",
        ("b.jsonl", 5): "wrong_type",
        ("c.jsonl", 2): "exact_duplicate",
        ("c.jsonl", 3): "too_short",
        ("d.txt", 0): "empty_file",
        ("g.parquet", 1): "unreadable_file",
        ("sub/h.csv", 2): "broken_line",
        ("sub/h.csv", 3): "broken_line",
    }


def test_a_folder_with_everything_wrong_loses_nothing_good(make_corpus: MakeCorpus, tmp_path: Path) -> None:
    expected = hostile_folder(tmp_path)
    made = make_corpus(source("textos"))
    found = {(row["file"], row["line"]): row["reason"] for row in made.rejected}
    cut = {key: reason for key, reason in found.items() if key[0] in ("e.jsonl.gz", "f.jsonl.zst")}
    rest = {key: reason for key, reason in found.items() if key not in cut}
    assert rest == expected
    assert [reason for key, reason in sorted(cut.items()) if reason != "exact_duplicate"] == ["truncated_file"] * 2
    names = {row["id"] for row in [*made.train, *made.heldout]}
    assert {f"d{number}" for number in range(5)} <= names
    kept_of_gz = next(number for (name, number), reason in cut.items() if name == "e.jsonl.gz") - 1
    assert {f"d{number}" for number in range(60, 60 + kept_of_gz)} <= names
    (of,) = made.report["sources"]
    assert of["documents_in"] == len(made.train) + len(made.heldout) + len(made.rejected)
    assert set(of["ignored_files"]) == {"i.jsonl", "sub/up"}


def test_archives_are_not_opened(make_corpus: MakeCorpus, tmp_path: Path) -> None:
    """A name in an archive may lead anywhere; archives are left closed and told."""
    folder = tmp_path / "textos"
    folder.mkdir()
    (folder / "a.jsonl").write_bytes(b"\n".join(line(number) for number in range(60)))
    evil = tmp_path / "evil.txt"
    evil.write_text("mau")
    with zipfile.ZipFile(folder / "b.zip", "w") as archive:
        archive.writestr("../../fora.txt", "mau")
    with tarfile.open(folder / "c.tar.gz", "w:gz") as tar:
        tar.add(evil, arcname="../../fora.txt")
    made = make_corpus(source("textos"))
    assert made.report["sources"][0]["ignored_files"] == ["b.zip", "c.tar.gz"]
    assert not made.rejected
    assert not list(tmp_path.rglob("fora.txt"))
    with pytest.raises(Problem, match="unknown ending"):
        make_corpus(source("textos/b.zip"))


def test_the_same_id_in_many_documents_keeps_every_one_apart(make_corpus: MakeCorpus, tmp_path: Path) -> None:
    rows = [{"text": f"Texto número {number}, {PADDING}", "id": "mesmo"} for number in range(120)]
    (tmp_path / "a.jsonl").write_text("\n".join(json.dumps(row) for row in rows))
    made = make_corpus(source("a.jsonl"))
    names = [row["id"] for row in [*made.train, *made.heldout]]
    assert len(set(names)) == len(names) == 120
    assert made.report["duplicate_ids"] == 119
    assert "mesmo@a.jsonl:120" in names


@pytest.mark.usefixtures("small_limits")
def test_a_document_at_the_limit_stays_and_one_byte_more_goes(make_corpus: MakeCorpus, tmp_path: Path) -> None:
    frame = len(b'{"text": ""}')
    (tmp_path / "a.jsonl").write_bytes(
        b"\n".join(
            [b'{"text": "%s"}' % (b"a" * (MEGABYTE - frame + more)) for more in (0, 1)] + [line(1), b'{"text":"b"}']
        )
    )
    made = make_corpus(source("a.jsonl"))
    assert sorted(len(row["text"]) for row in [*made.train, *made.heldout])[-1] == MEGABYTE - frame
    assert {(row["line"], row["reason"]) for row in made.rejected} == {(2, "line_too_long"), (4, "too_short")}


PROBE = """
import resource, sys
from pathlib import Path
from lhama.corpus.readers import Columns, read_jsonl, read_txt
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
rows = [(row.line, row.reason) for row in {read}(Path(sys.argv[1]), Columns())]
print(rows, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""


@pytest.mark.slow
@pytest.mark.parametrize("read", ["read_jsonl", "read_txt"])
def test_a_single_line_of_two_gigabytes(read: str, tmp_path: Path) -> None:
    path = tmp_path / "linha"
    with path.open("wb") as file:
        file.write(b'{"text": "')
        file.truncate(2 << 30)  # a sparse file: the rest is read as NUL bytes
    done = subprocess.run(
        [sys.executable, "-c", PROBE.format(read=read), str(path)], capture_output=True, text=True, check=True
    )
    rows, megabytes = done.stdout.rsplit(" ", 1)
    assert rows == "[(1, 'line_too_long')]"
    assert int(megabytes) < 700  # the limit is 256 MB, and a line is joined once
    path.unlink()


@pytest.mark.slow
def test_a_document_of_a_hundred_megabytes_is_kept(make_corpus: MakeCorpus, tmp_path: Path) -> None:
    words = (PADDING + " ") * (100 * MEGABYTE // (len(PADDING) + 1))
    (tmp_path / "a.jsonl").write_text(json.dumps({"text": words, "id": "grande"}) + "\n" + line(1).decode())
    made = make_corpus(source("a.jsonl"))
    assert {row["id"]: len(row["text"]) for row in [*made.train, *made.heldout]}["grande"] == len(words)
    (tmp_path / "a.jsonl").unlink()
