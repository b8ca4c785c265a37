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
        hub.snapshot("org/other", COMMIT, "corpus.source.fonte", tmp_path)
