"""The whole room on small real files: conservation, order, reasons, the split, and a folder that others can read."""

import gzip
import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
import zstandard

from lhama.corpus import shards
from lhama.corpus.report import check_conservation
from lhama.plan.problem import Problem
from lhama.plan.recipe import load
from lhama.record.run import Run
from tests.corpus.conftest import MakeCorpus

PADDING = " e assim passou mais um dia comprido na roça, sem novidade alguma."


def text(number: int) -> str:
    return f"Documento número {number}{PADDING}"


def held(source: str, name: str) -> bool:
    return int(hashlib.sha256(f"{source}/{name}".encode()).hexdigest(), 16) % 50 == 0


def write_jsonl(path: Path, rows: list[dict[str, Any]]) -> None:
    data = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()
    pack = {".gz": gzip.compress, ".zst": zstandard.ZstdCompressor().compress}.get(path.suffix, bytes)
    path.write_bytes(pack(data))


def source(name: str, path: str, more: str = "") -> str:
    return f'[[corpus.source]]\nname = "{name}"\npath = "{path}"\n{more}\n'


def test_documents_come_out_in_the_order_of_sources_files_and_rows(make_corpus: MakeCorpus, tmp_path: Path) -> None:
    for number, name in enumerate(("z/b.jsonl.zst", "z/a.jsonl.gz", "y.jsonl")):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        write_jsonl(tmp_path / name, [{"text": text(1000 * number + row), "id": f"{name}-{row}"} for row in range(200)])
    made = make_corpus(source("grande", "z", 'license = "cc0-1.0"') + source("outra", "y.jsonl", 'language = "gl"'))
    expected = [
        (of, f"{name}-{row}", text(1000 * number + row))
        for of, name, number in (("grande", "z/a.jsonl.gz", 1), ("grande", "z/b.jsonl.zst", 0), ("outra", "y.jsonl", 2))
        for row in range(200)
    ]
    kept = [(row["source"], row["id"], row["text"]) for row in made.train]
    out = [(row["source"], row["id"], row["text"]) for row in made.heldout]
    assert kept == [one for one in expected if not held(one[0], one[1])]
    assert out == [one for one in expected if held(one[0], one[1])]
    assert out
    assert {(row["source"], row["license"], row["language"]) for row in made.train} == {
        ("grande", "cc0-1.0", "pt"),
        ("outra", "unknown", "gl"),
    }
    assert not made.rejected


def test_every_drop_has_its_reason_file_and_line(make_corpus: MakeCorpus, tmp_path: Path) -> None:
    lines = [
        json.dumps({"text": text(1), "id": "a"}),
        json.dumps({"text": "   \n ", "id": "b"}),
        json.dumps({"text": "curto", "id": "c"}),
        '{"text": "quebrado',
        json.dumps({"text": text(1), "id": "d"}),
        json.dumps({"body": "x", "id": "e"}),
        json.dumps({"text": text(2), "id": "f", "tom": "alegre"}),
    ]
    (tmp_path / "a.jsonl").write_text("\n".join(lines))
    (tmp_path / "b.txt").write_bytes(b"")
    made = make_corpus(source("fonte", "*.*[lt]"))
    assert [(row["id"], row["reason"], row["file"], row["line"]) for row in made.rejected] == [
        ("b", "empty", "a.jsonl", 2),
        ("c", "too_short", "a.jsonl", 3),
        ("a.jsonl:4", "broken_line", "a.jsonl", 4),
        ("d", "exact_duplicate", "a.jsonl", 5),
        ("e", "missing_text", "a.jsonl", 6),
        ("b.txt:0", "empty_file", "b.txt", 0),
    ]
    assert made.rejected[2]["text"] == '{"text": "quebrado'
    assert made.rejected[3]["detail"] == "the same text as fonte: a.jsonl:1"
    assert made.rejected[4]["meta"] == '{"body": "x"}'
    assert [row["meta"] for row in made.train] == ["{}", '{"tom": "alegre"}']
    assert made.report["broken"] == [
        {"file": "a.jsonl", "line": 4, "reason": "broken_line"},
        {"file": "a.jsonl", "line": 6, "reason": "missing_text"},
        {"file": "b.txt", "line": 0, "reason": "empty_file"},
    ]
    (one,) = made.report["sources"]
    assert (one["documents_in"], one["kept"], sum(one["dropped"].values())) == (8, 2, 6)
    assert made.report["examples"]["too_short"] == [{"id": "c", "source": "fonte", "excerpt": "curto", "detail": ""}]
    check_conservation(made.report)


def test_a_missing_document_is_noticed(make_corpus: MakeCorpus, tmp_path: Path) -> None:
    write_jsonl(tmp_path / "a.jsonl", [{"text": text(row)} for row in range(20)])
    report = make_corpus(source("fonte", "a.jsonl")).report
    for key in ("kept", "bytes_out"):
        lossy = json.loads(json.dumps(report))
        lossy["sources"][0][key] -= 1
        with pytest.raises(RuntimeError, match="do not balance"):
            check_conservation(lossy)


def test_heldout_text_is_never_changed_and_its_copies_leave_training(make_corpus: MakeCorpus, tmp_path: Path) -> None:
    name = next(str(number) for number in range(1000) if held("fonte", str(number)))
    rows = [{"text": "\u2581curto\u2581", "id": name}, {"text": text(5), "id": "a"}, {"text": text(5), "id": "b"}]
    rows += [{"text": f"uma\u2581marca{PADDING}", "id": "c"}]
    copy = [{"text": "\u2581curto\u2581", "id": "x"}, {"text": text(6), "id": "y"}]
    write_jsonl(tmp_path / "a.jsonl", copy)
    write_jsonl(tmp_path / "b.jsonl", rows)
    made = make_corpus(source("antes", "a.jsonl") + source("fonte", "b.jsonl"), corpus="minimum_characters = 0")
    assert [(row["id"], row["text"]) for row in made.heldout] == [(name, "\u2581curto\u2581")]
    assert [(row["id"], row["reason"]) for row in made.rejected] == [("x", "copy_of_heldout"), ("b", "exact_duplicate")]
    assert made.rejected[0]["detail"] == "the same text as fonte: b.jsonl:1"
    assert made.train[-1]["text"] == f"uma marca{PADDING}"
    assert made.report["replaced_characters"] == 1
    assert made.report["sources"][0]["repeated_texts"] == 1


def test_copies_of_heldout_text_leave_even_when_duplicates_may_stay(make_corpus: MakeCorpus, tmp_path: Path) -> None:
    name = next(str(number) for number in range(1000) if held("fonte", str(number)))
    rows = [("a", 1), ("b", 1), (name, 2), ("c", 2)]
    write_jsonl(tmp_path / "a.jsonl", [{"text": text(number), "id": one} for one, number in rows])
    made = make_corpus(source("fonte", "a.jsonl"), corpus="exact_duplicates = false")
    assert [row["id"] for row in made.train] == ["a", "b"]
    assert [row["reason"] for row in made.rejected] == ["copy_of_heldout"]


def test_repeated_names_become_unique_and_the_split_follows_the_new_ones(
    make_corpus: MakeCorpus, tmp_path: Path
) -> None:
    rows = [{"text": text(number), "id": "mesmo"} for number in range(300)]
    rows[7]["id"] = "mesmo@a.jsonl:3"  # the very name that row 3 would get
    write_jsonl(tmp_path / "a.jsonl", rows)
    made = make_corpus(source("fonte", "a.jsonl"))
    ids = [row["id"] for row in made.train + made.heldout]
    assert len(set(ids)) == len(ids) == 300
    assert {"mesmo", "mesmo@a.jsonl:2", "mesmo@a.jsonl:3"} < set(ids)
    assert all(held("fonte", row["id"]) for row in made.heldout)
    assert not any(held("fonte", row["id"]) for row in made.train)
    assert made.heldout
    assert made.report["duplicate_ids"] == 299


def test_a_limit_takes_the_first_documents_over_files_and_broken_lines(make_corpus: MakeCorpus, tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text("quebrado\n" + json.dumps({"text": text(1)}))
    write_jsonl(tmp_path / "b.jsonl", [{"text": text(row)} for row in range(2, 9)])
    made = make_corpus(source("fonte", "*.jsonl", "documents = 3"))
    assert [row["id"] for row in made.train] == ["a.jsonl:2", "b.jsonl:1", "b.jsonl:2"]
    assert made.report["sources"][0]["dropped"] == {"broken_line": 1}


@pytest.mark.parametrize("content", ["", "quebrado\n", '{"texto": "outro nome"}\n', '{"text": "curto"}\n'])
def test_a_source_that_yields_nothing_is_a_problem(content: str, make_corpus: MakeCorpus, tmp_path: Path) -> None:
    write_jsonl(tmp_path / "good.jsonl", [{"text": text(1)}])
    (tmp_path / "bad.jsonl").write_text(content)
    with pytest.raises(Problem, match=r"corpus\.source\.vazia: no document is left"):
        make_corpus(source("boa", "good.jsonl") + source("vazia", "bad.jsonl"))


def test_many_shards_hold_the_same_documents(make_corpus: MakeCorpus, tmp_path: Path) -> None:
    rows = [{"text": text(number) + "x" * 20_000, "id": f"d{number}"} for number in range(150)]
    write_jsonl(tmp_path / "a.jsonl", rows)
    made = make_corpus(source("fonte", "a.jsonl"), corpus="shard_megabytes = 1")
    names = sorted(path.name for path in (made.folder / "data").iterdir())
    assert names == ["heldout-00000-of-00001.parquet", *(f"train-{k:05d}-of-00003.parquet" for k in range(3))]
    assert [row["id"] for row in made.train] == [row["id"] for row in rows if not held("fonte", row["id"])]


def test_the_folder_is_a_dataset_of_the_hub(
    make_corpus: MakeCorpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    datasets = pytest.importorskip("datasets")
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    rows = [{"text": text(number), "id": f"d{number}", "url": f"https://exemplo.br/{number}"} for number in range(300)]
    write_jsonl(tmp_path / "a.jsonl", [*rows, rows[0]])
    made = make_corpus(source("fonte", "a.jsonl"))
    loaded = datasets.load_dataset(str(made.folder), cache_dir=str(tmp_path / "cache"))
    assert {split: len(loaded[split]) for split in loaded} == {"train": len(made.train), "heldout": len(made.heldout)}
    assert loaded["train"].column_names == ["id", "text", "source", "language", "license", "url", "meta"]
    assert loaded["train"][3] == made.train[3]


def test_a_corpus_too_small_for_a_heldout_split_still_loads(make_corpus: MakeCorpus, tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    write_jsonl(tmp_path / "a.jsonl", [{"text": text(number), "id": f"d{number}"} for number in range(3)])
    made = make_corpus(source("fonte", "a.jsonl"))
    loaded = datasets.load_dataset(str(made.folder), cache_dir=str(tmp_path / "cache"))
    assert {split: len(loaded[split]) for split in loaded} == {"train": 3}
    assert list(shards.documents(made.folder, "heldout")) == []


def test_the_tales_are_a_source_like_any_other(make_corpus: MakeCorpus) -> None:
    from lhama.corpus.tales import documents

    tales_source = '[[corpus.source]]\nname = "tales"\nkind = "tales"\ndocuments = 120\n'
    made = make_corpus(tales_source, "minimum_characters = 0", ("seed=3",))
    tales = {tale.id: tale.text for tale in documents(120, 3)}
    assert {row["id"]: row["text"] for row in made.train + made.heldout} == tales
    assert json.loads(made.train[0]["meta"]).keys() == {"kind", "hero", "action", "object"}


def test_what_is_done_is_skipped_and_rejected_text_may_go(make_corpus: MakeCorpus, tmp_path: Path) -> None:
    write_jsonl(tmp_path / "a.jsonl", [{"text": text(number)} for number in (1, 2, 2)])
    first = make_corpus(source("fonte", "a.jsonl"), corpus="keep_rejected = false")
    assert not first.rejected
    assert first.report["sources"][0]["dropped"] == {"exact_duplicate": 1}
    before = (first.folder / "manifest.json").stat().st_mtime_ns
    again = make_corpus(source("fonte", "a.jsonl"), corpus="keep_rejected = false")
    assert (again.folder / "manifest.json").stat().st_mtime_ns == before
    recipe = load(tmp_path / "recipe.toml")
    assert Run.open(recipe, tmp_path / "runs").identity("corpus")


def test_workers_do_not_change_a_byte(make_corpus: MakeCorpus, tmp_path: Path) -> None:
    for name in "abc":
        write_jsonl(tmp_path / f"{name}.jsonl", [{"text": text(ord(name) * 10 + row % 30)} for row in range(40)])
    sources = "".join(source(name, f"{name}.jsonl") for name in "abc")
    one = make_corpus(sources)
    alone = {path.name: path.read_bytes() for path in one.folder.rglob("*.parquet")}
    (tmp_path / "runs").rename(tmp_path / "alone")
    two = make_corpus(sources, changes=("corpus.workers=2",))
    assert {path.name: path.read_bytes() for path in two.folder.rglob("*.parquet")} == alone
