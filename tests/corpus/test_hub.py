"""A dataset of the Hub, fetched at a pinned commit from a loopback server that speaks the Hub's protocol."""

import hashlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest

from lhama.corpus import hub
from lhama.plan.problem import Problem
from tests.corpus.conftest import MakeCorpus

COMMIT = "0123456789abcdef0123456789abcdef01234567"
TEXT = "A lhama subiu a serra devagar, e de lá viu o mar pela primeira vez, número "


def rows(start: int) -> bytes:
    return "".join(json.dumps({"text": f"{TEXT}{number}."}) + "\n" for number in range(start, start + 5)).encode()


FILES = {
    "README.md": b"# a dataset",
    "loader.py": b"raise SystemExit('remote code ran')",
    "pt/train-00000.jsonl": rows(0),
    "pt/test-00000.jsonl": rows(50),
    "gl/train-00000.jsonl": rows(10),
}


class LoopbackHub(BaseHTTPRequestHandler):
    """Answers what huggingface_hub asks for a dataset snapshot: its commit, its files, each file."""

    asked: list[str] = []  # noqa: RUF012 - the server makes a handler for each request; they share this list

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def do_GET(self) -> None:
        self._answer(body=True)

    def _answer(self, body: bool) -> None:
        path = unquote(urlsplit(self.path).path)
        self.asked.append(path)
        if path.startswith(f"/api/datasets/org/name/tree/{COMMIT}"):
            listed = [
                {"type": "file", "path": name, "size": len(data), "oid": _oid(data)} for name, data in FILES.items()
            ]
            self._send(json.dumps(listed).encode(), body, "application/json")
        elif path == f"/api/datasets/org/name/revision/{COMMIT}":
            files = [{"rfilename": name} for name in FILES]
            said = {"id": "org/name", "sha": COMMIT, "siblings": files, "private": False, "tags": [], "downloads": 0}
            self._send(json.dumps(said).encode(), body, "application/json")
        elif path.startswith(f"/datasets/org/name/resolve/{COMMIT}/"):
            self._send(FILES[path.split(COMMIT + "/", 1)[1]], body, "application/octet-stream")
        else:
            self.send_response(404)
            self.send_header("Content-Length", "0")
            self.end_headers()

    def _send(self, data: bytes, body: bool, kind: str) -> None:
        self.send_response(200)
        for name, value in (
            ("Content-Type", kind),
            ("Content-Length", str(len(data))),
            ("ETag", f'"{_oid(data)}"'),
            ("X-Repo-Commit", COMMIT),
        ):
            self.send_header(name, value)
        self.end_headers()
        if body:
            self.wfile.write(data)

    def log_message(self, *args: Any) -> None:
        """Stay silent."""


def _oid(data: bytes) -> str:
    return hashlib.sha1(data).hexdigest()


@pytest.fixture
def loopback(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    pytest.importorskip("huggingface_hub")
    from huggingface_hub import constants

    server = ThreadingHTTPServer(("127.0.0.1", 0), LoopbackHub)
    endpoint = f"http://127.0.0.1:{server.server_port}"
    LoopbackHub.asked.clear()
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    monkeypatch.setenv("HF_ENDPOINT", endpoint)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    yield LoopbackHub.asked
    server.shutdown()
    server.server_close()
    thread.join()


def source(more: str) -> str:
    return f'[[corpus.source]]\nname = "fonte"\nkind = "hub"\npath = "hf://datasets/org/name"\n{more}\n'


def test_a_pinned_dataset_is_read_once_and_runs_no_code(loopback: list[str], make_corpus: MakeCorpus) -> None:
    made = make_corpus(source(f'revision = "{COMMIT}"\nsubset = "pt"'))
    assert [row["text"] for row in made.train + made.heldout] == [f"{TEXT}{number}." for number in range(5)]
    assert made.report["sources"][0]["origin"] == f"hf://datasets/org/name@{COMMIT}"
    assert not [path for path in loopback if path.endswith(".py")]
    loopback.clear()
    make_corpus(source(f'revision = "{COMMIT}"\nsubset = "pt"'))
    assert not loopback


def test_test_splits_stay_out_of_training_text(loopback: list[str], make_corpus: MakeCorpus) -> None:
    made = make_corpus(source(f'revision = "{COMMIT}"'))
    assert {row["id"] for row in made.train + made.heldout} == {
        f"{name}/train-00000.jsonl:{line}" for name in ("gl", "pt") for line in range(1, 6)
    }


@pytest.mark.parametrize("more", ["", 'revision = "main"', 'revision = "0123456"'])
def test_a_dataset_without_a_full_commit_is_refused(more: str, make_corpus: MakeCorpus) -> None:
    with pytest.raises(Problem, match=r"corpus\.source\.fonte\.revision"):
        make_corpus(source(more))


def test_an_unknown_subset_names_those_that_are_there(loopback: list[str], make_corpus: MakeCorpus) -> None:
    with pytest.raises(Problem, match="folders: gl, pt"):
        make_corpus(source(f'revision = "{COMMIT}"\nsubset = "es"'))


def test_a_dataset_that_is_not_there_is_a_problem(loopback: list[str], tmp_path: Path) -> None:
    with pytest.raises(Problem, match="cannot fetch org/other"):
        hub.fetched("org/other", COMMIT, hub.Wanted(None, None, "corpus.source.fonte"), tmp_path)


def fetched(asked: list[str]) -> set[str]:
    """Return the names of the files that were asked for."""
    return {path.split(f"{COMMIT}/", 1)[1] for path in asked if f"/resolve/{COMMIT}/" in path}


def test_only_the_wanted_split_is_fetched(loopback: list[str], make_corpus: MakeCorpus) -> None:
    made = make_corpus(source(f'revision = "{COMMIT}"\nsubset = "pt"\nsplit = "test"'))
    assert {row["text"] for row in made.train + made.heldout} == {f"{TEXT}{number}." for number in range(50, 55)}
    assert fetched(loopback) == {"README.md", "pt/test-00000.jsonl"}


def test_the_card_says_which_files_belong_to_a_subset(
    loopback: list[str], make_corpus: MakeCorpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    card = b"---\nconfigs:\n- config_name: tudo\n  data_files:\n  - split: train\n    path: '*/train-*'\n---\n"
    monkeypatch.setitem(FILES, "README.md", card)
    monkeypatch.setitem(FILES, "velho/dados.jsonl", rows(70))
    made = make_corpus(source(f'revision = "{COMMIT}"'))
    assert {row["id"] for row in made.train + made.heldout} == {
        f"{name}/train-00000.jsonl:{line}" for name in ("gl", "pt") for line in range(1, 6)
    }
    assert fetched(loopback) == {"README.md", "pt/train-00000.jsonl", "gl/train-00000.jsonl"}


def test_a_dataset_of_instructions(
    loopback: list[str], make_corpus: MakeCorpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    examples = [{"id": str(n), "instruction": f"Conte {n}.", "output": f"{TEXT}{n}."} for n in range(3)]
    monkeypatch.setitem(FILES, "alpaca/data.json", json.dumps(examples).encode())
    monkeypatch.setitem(FILES, "alpaca/dataset_infos.json", b"{}")
    more = f'revision = "{COMMIT}"\nsubset = "alpaca"'
    made = make_corpus(source(more).replace('"hub"', '"instruct"'))
    assert sorted(row["id"] for row in made.train + made.heldout) == ["0", "1", "2"]
    assert fetched(loopback) == {"README.md", "alpaca/data.json"}


def test_rows_of_code_and_of_one_form_only(
    loopback: list[str], make_corpus: MakeCorpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = "def soma(a, b):\n    return a + b\n" * 3
    monkeypatch.setitem(FILES, "py/train.jsonl", json.dumps({"content": code, "id": "a"}).encode())
    monkeypatch.setitem(FILES, "py/train.csv", f'content,id\n"{TEXT}",b\n'.encode())
    more = f'revision = "{COMMIT}"\nsubset = "py"\ntext_column = "content"'
    made = make_corpus(source(more).replace('"hub"', '"code"'), 'languages = ["pt"]')
    assert sorted(row["id"] for row in made.train + made.heldout) == ["a", "b"]
    (made.folder.parent).rename(made.folder.parent.with_name("first"))
    made = make_corpus(source(more).replace('"hub"', '"jsonl"'))
    assert [(row["id"], row["text"]) for row in made.train + made.heldout] == [("a", code)]
    assert made.report["sources"][0]["ignored_files"] == ["py/train.csv"]


def test_a_name_that_leads_out_of_its_folder_is_refused(
    loopback: list[str], make_corpus: MakeCorpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(FILES, "../../fora.jsonl", rows(0))
    with pytest.raises(Problem, match="leads out of its folder"):
        make_corpus(source(f'revision = "{COMMIT}"'))


@pytest.mark.parametrize(
    "wanted, names",
    [
        (None, ["train.csv", "data/train-0.parquet", "extra.csv"]),
        ("train", ["train.csv", "data/train-0.parquet"]),
        ("validation", ["dev.csv", "b/valid_1.jsonl.gz"]),
        ("extra", ["extra.csv"]),
    ],
)
def test_splits_by_the_words_in_names(wanted: str | None, names: list[str], tmp_path: Path) -> None:
    every = ["train.csv", "data/train-0.parquet", "dev.csv", "b/valid_1.jsonl.gz", "test.csv", "extra.csv", "a.py"]
    chosen = hub.data_files(every, tmp_path / "README.md", hub.Wanted(None, wanted, "corpus.source.fonte"))
    assert chosen == sorted(names)


def test_a_split_that_nothing_names(tmp_path: Path) -> None:
    for wanted, expected in (("train", ["a.csv"]), (None, ["a.csv"])):
        assert hub.data_files(["a.csv"], tmp_path / "README.md", hub.Wanted(None, wanted, "k")) == expected
    with pytest.raises(Problem, match=r"k\.split: no file's name says that it is of the split 'test'"):
        hub.data_files(["a.csv"], tmp_path / "README.md", hub.Wanted(None, "test", "k"))


@pytest.mark.parametrize(
    "pattern, names",
    [
        ("*.csv", ["a.csv"]),
        ("**", ["a.csv", "d/b.csv", "d/e/c.csv"]),
        ("**/*.csv", ["a.csv", "d/b.csv", "d/e/c.csv"]),
        ("d/**", ["d/b.csv", "d/e/c.csv"]),
        ("d/*", ["d/b.csv"]),
        ("../a.csv", []),
    ],
)
def test_patterns_of_cards(pattern: str, names: list[str], tmp_path: Path) -> None:
    card = tmp_path / "README.md"
    card.write_text(f"---\nconfigs:\n- config_name: um\n  data_files: '{pattern}'\n---\n")
    assert hub.data_files(["a.csv", "d/b.csv", "d/e/c.csv", "d/x.py"], card, hub.Wanted(None, None, "k")) == names


@pytest.mark.parametrize("card", ["---\n: [\n---\n", "---\nconfigs: 5\n---\n", "---\nconfigs: [1, {a: 2}]\n---\n", ""])
def test_a_card_that_says_nothing_leaves_it_to_the_names(card: str, tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text(card)
    assert hub.data_files(["a.csv"], tmp_path / "README.md", hub.Wanted(None, None, "k")) == ["a.csv"]
