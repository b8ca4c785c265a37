"""Files of object stores and web servers are fetched whole, once, and never outside their folder (on loopback)."""

import http.server
import re
import threading
import urllib.parse
from collections.abc import Iterator
from pathlib import Path

import pytest

from lhama.corpus import remote
from lhama.corpus.remote import fetch, is_remote
from lhama.plan.problem import Problem

KEY = "corpus.source.fonte.path"
BIG = b"".join(b'{"text": "linha %d"}\n' % number for number in range(20_000))


class Server(http.server.ThreadingHTTPServer):
    """A web server of some files, which is an S3 store for addresses that ask for a list; it can break off."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.files: dict[str, bytes] = {}
        self.asked: list[tuple[str, str | None]] = []
        self.breaks: list[int] = []
        self.ranges = True
        self.tag = '"one"'

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def log_message(self, *_: object) -> None:
        pass

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        path, _, query = self.path.partition("?")
        values = urllib.parse.parse_qs(query)
        if "list-type" in values:
            self.answer(200, self.listing(values.get("prefix", [""])[0]))
            return
        name = urllib.parse.unquote(path).lstrip("/").removeprefix("bucket/")
        data = self.server.files.get(name)
        span = self.headers.get("Range")
        if self.command == "GET":
            self.server.asked.append((name, span))
        if data is None:
            self.answer(404, b"")
            return
        wanted = re.fullmatch(r"bytes=(\d+)-(\d*)", span or "") if self.server.ranges else None
        if wanted and self.headers.get("If-Range", self.server.tag) == self.server.tag:
            begin, end = int(wanted[1]), min(int(wanted[2] or len(data)), len(data) - 1)
            self.answer(206, data[begin : end + 1], {"Content-Range": f"bytes {begin}-{end}/{len(data)}"})
        else:
            self.answer(200, data)

    def listing(self, prefix: str) -> bytes:
        """List a folder as S3 does: the files in it, and the folders."""
        inside = {name[len(prefix) :]: name for name in self.server.files if name.startswith(prefix)}
        files = {short: name for short, name in inside.items() if "/" not in short}
        folders = sorted({short.partition("/")[0] for short in inside if "/" in short})
        rows = [
            f"<Contents><Key>{name}</Key><Size>{len(self.server.files[name])}</Size>"
            '<ETag>"x"</ETag><LastModified>2024-01-01T00:00:00.000Z</LastModified></Contents>'
            for name in files.values()
        ]
        rows += [f"<CommonPrefixes><Prefix>{prefix}{folder}/</Prefix></CommonPrefixes>" for folder in folders]
        head = f"<Name>bucket</Name><KeyCount>{len(rows)}</KeyCount><IsTruncated>false</IsTruncated>"
        kind = 'xmlns="http://s3.amazonaws.com/doc/2006-03-01/"'
        return f"<ListBucketResult {kind}>{head}{''.join(rows)}</ListBucketResult>".encode()

    def answer(self, status: int, data: bytes, more: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {"ETag": self.server.tag, **(more or {})}.items():
            self.send_header(name, value)
        self.send_header("Last-Modified", "Mon, 01 Jan 2024 00:00:00 GMT")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command == "GET" and self.server.breaks:
            self.wfile.write(data[: self.server.breaks.pop(0)])
            self.close_connection = True
        elif self.command == "GET":
            self.wfile.write(data)


@pytest.fixture(scope="module")
def only_server() -> Iterator[Server]:
    """One server for all tests: Daft reads the address of its store from the environment once in a process."""
    with Server() as server, pytest.MonkeyPatch.context() as patch:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        patch.setenv("AWS_ENDPOINT_URL", server.url)
        patch.setenv("AWS_ACCESS_KEY_ID", "key")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
        patch.setenv("AWS_REGION", "us-east-1")
        patch.setenv("no_proxy", "*")
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def server(only_server: Server) -> Server:
    only_server.files, only_server.asked, only_server.breaks = {}, [], []
    only_server.ranges, only_server.tag = True, '"one"'
    return only_server


def read(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_file_of_a_web_server_is_fetched_once(server: Server, tmp_path: Path) -> None:
    server.files = {"textos/a b.jsonl": BIG}
    address = f"{server.url}/textos/a%20b.jsonl?baixar=1"
    path = fetch(address, tmp_path / ".hub", KEY)
    assert (path.name, path.read_bytes()) == ("a b.jsonl", BIG)
    assert path.is_relative_to(tmp_path / ".remote")
    assert fetch(address, tmp_path / ".hub", KEY) == path
    assert len(server.asked) == 1
    assert {one.name for one in path.parent.iterdir()} == {"a b.jsonl"}


def test_a_broken_transfer_goes_on_where_it_was(server: Server, tmp_path: Path) -> None:
    server.files, server.breaks = {"a.jsonl": BIG}, [100_000, 200_000]
    assert fetch(f"{server.url}/a.jsonl", tmp_path / ".hub", KEY).read_bytes() == BIG
    assert server.asked == [("a.jsonl", None), ("a.jsonl", "bytes=100000-"), ("a.jsonl", "bytes=300000-")]


def test_another_version_of_the_file_is_fetched_from_its_beginning(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remote, "TRIES", 1)
    server.files, server.breaks = {"a.jsonl": BIG}, [100_000]
    with pytest.raises(Problem, match="what came is kept"):
        fetch(f"{server.url}/a.jsonl", tmp_path / ".hub", KEY)
    server.files, server.tag = {"a.jsonl": b"outra" + BIG}, '"two"'
    assert fetch(f"{server.url}/a.jsonl", tmp_path / ".hub", KEY).read_bytes() == b"outra" + BIG
    assert server.asked[1][1] == "bytes=100000-"


def test_a_server_without_ranges_is_asked_from_the_beginning(server: Server, tmp_path: Path) -> None:
    server.files, server.breaks, server.ranges = {"a.jsonl": BIG}, [100_000], False
    assert fetch(f"{server.url}/a.jsonl", tmp_path / ".hub", KEY).read_bytes() == BIG


@pytest.mark.parametrize("address", ["s3://bucket/textos", "s3://bucket/textos/", "s3://bucket/textos/**"])
def test_a_folder_of_a_store_is_fetched_with_all_below(address: str, server: Server, tmp_path: Path) -> None:
    server.files = {"textos/a.jsonl": BIG, "textos/sub/b b.txt": b"bom dia", "textos/vazio.txt": b"", "outros/c": b"x"}
    folder = fetch(address, tmp_path / ".hub", KEY)
    assert read(folder) == {"a.jsonl": BIG, "sub/b b.txt": b"bom dia", "vazio.txt": b""}
    asked = len(server.asked)
    assert fetch(address, tmp_path / ".hub", KEY) == folder
    assert len(server.asked) == asked


def test_a_glob_and_a_single_file_of_a_store(server: Server, tmp_path: Path) -> None:
    server.files = {"textos/a.jsonl": BIG, "textos/sub/b.jsonl": b"{}", "textos/c.txt": b"x"}
    assert set(read(fetch("s3://bucket/textos/**/*.jsonl", tmp_path / ".hub", KEY))) == {"a.jsonl", "sub/b.jsonl"}
    assert set(read(fetch("s3://bucket/textos/*.jsonl", tmp_path / ".hub", KEY))) == {"a.jsonl"}
    path = fetch("s3://bucket/textos/c.txt", tmp_path / ".hub", KEY)
    assert (path.name, path.read_bytes()) == ("c.txt", b"x")


def test_an_object_that_was_half_there_goes_on(server: Server, tmp_path: Path) -> None:
    server.files = {"textos/a.jsonl": BIG}
    folder = fetch("s3://bucket/textos/", tmp_path / ".hub", KEY)
    (folder / "a.jsonl").unlink()
    (folder.parent / remote.DONE).unlink()
    (folder / ".a.jsonl.part").write_bytes(BIG[:5000])
    assert read(fetch("s3://bucket/textos/", tmp_path / ".hub", KEY)) == {"a.jsonl": BIG}


def test_a_size_that_is_not_kept_is_a_problem(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    server.files = {"a.txt": b"abc"}
    monkeypatch.setattr(remote, "_listed", lambda _: iter([remote.Object("s3://bucket/a.txt", "a.txt", 5)]))
    with pytest.raises(Problem, match="3 bytes came, 5 were announced"):
        fetch("s3://bucket/a.txt", tmp_path / ".hub", KEY)


@pytest.mark.parametrize("evil", ["textos/../../../fora.txt", "textos/sub/../../fora.txt"])
def test_a_name_that_leads_out_of_its_folder_is_refused(evil: str, server: Server, tmp_path: Path) -> None:
    server.files = {"textos/a.txt": b"x", evil: b"evil"}
    with pytest.raises(Problem, match="leads out of its folder"):
        fetch("s3://bucket/textos/**", tmp_path / ".hub", KEY)
    assert not list(tmp_path.rglob("fora.txt"))


@pytest.mark.parametrize("name", ["../x", "/x", "a/../../x", "", "a\\b", "a\0b"])
def test_unsafe_names(name: str) -> None:
    with pytest.raises(Problem, match="leads out"):
        remote._safe(name, "s3://bucket/x")


@pytest.mark.parametrize("address", ["s3://bucket/nada", "s3://bucket/nada/*.txt"])
def test_nothing_there_is_a_problem(address: str, server: Server, tmp_path: Path) -> None:
    server.files = {"textos/a.txt": b"x"}
    with pytest.raises(Problem, match=r"corpus\.source\.fonte\.path: there is nothing at"):
        fetch(address, tmp_path / ".hub", KEY)


def test_what_cannot_be_fetched_names_its_key(server: Server, tmp_path: Path) -> None:
    with pytest.raises(Problem, match=r"corpus\.source\.fonte\.path: cannot fetch .*404"):
        fetch(f"{server.url}/nada.txt", tmp_path / ".hub", KEY)
    with pytest.raises(Problem, match="ftp:// is no known store"):
        fetch("ftp://x/y", tmp_path / ".hub", KEY)
    assert is_remote("s3://a/b") and not is_remote("a/b:c")


def test_a_full_disk_is_told_before_anything_is_fetched(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.files = {"a.txt": BIG}
    monkeypatch.setattr(remote, "free_bytes", lambda _: 1000)
    for address in ("s3://bucket/a.txt", f"{server.url}/a.txt"):
        with pytest.raises(Problem, match=r"1\.0 kB are free"):
            fetch(address, tmp_path / ".hub", KEY)
