"""Streams from elsewhere give the same rows as local ones, fetch as rarely as can be, and survive what goes wrong."""

import functools
import hashlib
import http.server
import json
import re
import socket
import threading
import urllib.parse
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from fractions import Fraction
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lhama.plan.problem import Problem
from lhama.plan.schedule import Phase
from lhama.record import files
from lhama.tokens import blocks as block_table
from lhama.tokens import places, streaming
from lhama.tokens.blocks import Blocks, read_blocks, write_blocks
from lhama.tokens.loader import Loader
from lhama.tokens.places import Folder, Place, open_place
from lhama.tokens.slots import DATA, ENTRY, TABLE
from lhama.tokens.streaming import Streamed
from tests.tokens.conftest import WriteTokens, phase

T, BLOCK = 8, 64
LENGTHS = {"um": [33] * 60, "dois": [7] * 90 + [120]}


class Server(http.server.ThreadingHTTPServer):
    """A web server of one folder that can fail, lie, send elsewhere and ignore ranges."""

    daemon_threads = True

    def __init__(self, folder: Path) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.folder = folder
        self.asked: list[tuple[str, str | None, str | None]] = []
        self.failures: list[int] = []
        self.lies: Counter[str] = Counter()
        self.connections: list[socket.socket] = []
        self.elsewhere: str | None = None
        self.ranges = True

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # or each answer over an old connection waits 40 ms
    server: Server

    def log_message(self, *_: object) -> None:
        pass

    def setup(self) -> None:
        super().setup()
        self.server.connections.append(self.connection)

    def do_GET(self) -> None:
        server, path = self.server, urllib.parse.unquote(self.path.partition("?")[0])
        span = self.headers.get("Range")
        server.asked.append((path, span, self.headers.get("Authorization")))
        if server.failures:
            self.answer(server.failures.pop(0), b"")
            return
        if server.elsewhere and not path.startswith("/there/"):
            self.answer(302, b"", {"Location": f"{server.elsewhere}/there{path}"})
            return
        file = server.folder / re.sub(r"^/(there/)?(.*/resolve/[^/]+/)?(bucket/)?", "", path)
        if not file.is_file():
            self.answer(404, b"")
            return
        data = file.read_bytes()
        wanted = re.fullmatch(r"bytes=(\d+)-(\d+)", span or "") if server.ranges else None
        if wanted:
            begin, end = int(wanted[1]), min(int(wanted[2]), len(data) - 1)
            part = data[begin : end + 1]
            if server.lies[file.name] > 0:
                server.lies[file.name] -= 1
                part = bytes([part[0] ^ 1]) + part[1:]
            self.answer(206, part, {"Content-Range": f"bytes {begin}-{end}/{len(data)}"})
        else:
            self.answer(200, data)

    def answer(self, status: int, data: bytes, more: Mapping[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(data)), "ETag": '"x"', **(more or {})}.items():
            self.send_header(name, value)
        self.send_header("Last-Modified", "Mon, 01 Jan 2024 00:00:00 GMT")
        self.end_headers()
        self.wfile.write(data)


@pytest.fixture
def folder(write_tokens: WriteTokens, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make a tokens folder whose blocks are 64 bytes, about two rows of uint32."""
    monkeypatch.setattr(block_table, "BLOCK", BLOCK)
    monkeypatch.setattr(places, "WAITS", (0.01, 0.01, 0.01))
    made = write_tokens(LENGTHS)
    write_blocks(made, json.loads((made / "tokens.json").read_text()))
    return made


@pytest.fixture
def server(folder: Path) -> Iterator[Server]:
    made = Server(folder)
    thread = threading.Thread(target=made.serve_forever, args=(0.01,))
    thread.start()
    yield made
    made.shutdown()
    thread.join()
    made.server_close()


Open = Callable[..., tuple[Loader, Streamed]]
STEPS = 14
PHASES = [phase(24, 6, T), phase(12, 8, T, first_step=6, mixture={"um": 0.75, "dois": 0.25})]


@pytest.fixture
def open_loader(folder: Path, tmp_path: Path) -> Iterator[Open]:
    """Open loaders that stream from a place; what is still open in the end is closed."""
    opened: list[Loader] = []

    def make(
        place: Place, capacity: int, cache: str = "cache", packing: str = "stream", phases: list[Phase] = PHASES
    ) -> tuple[Loader, Streamed]:
        last = phases[-1].first_step + phases[-1].steps
        streams = Streamed(place, read_blocks(folder), tmp_path / cache, capacity, "owner", last)
        opened.append(Loader(folder, phases, T, packing, 5, streams))
        return opened[-1], streams

    yield make
    for loader in opened:
        loader.close()


def same(one: Loader, other: Loader, step: int, first: int = 0, count: int | None = None) -> None:
    """Assert that a step is the same to the bit."""
    ours, theirs = one.batch(step, first, count), other.batch(step, first, count)
    for field in ("tokens", "targets", "lengths", "source"):
        assert np.array_equal(getattr(ours, field), getattr(theirs, field))


def on_disk(folder: Path) -> int:
    return sum((folder / name).stat().st_size for name in (DATA, TABLE))


@pytest.mark.parametrize("packing", ["stream", "best-fit", "alone"])
@pytest.mark.parametrize("capacity", [0, 10, 10**6])
def test_streamed_batches_are_the_local_ones_and_the_cache_stays_bounded(
    folder: Path, server: Server, open_loader: Open, tmp_path: Path, packing: str, capacity: int
) -> None:
    local = Loader(folder, PHASES, T, packing, 5)
    place = open_place(server.url) if packing == "stream" else Folder(folder)
    loader, streams = open_loader(place, capacity, packing=packing)
    for step in range(STEPS):
        same(loader, local, step)
        assert on_disk(tmp_path / "cache") <= capacity * (BLOCK + ENTRY)
    if capacity > len(read_blocks(folder)):
        assert streams.fetched <= len(read_blocks(folder))
    sources = [(source, local.source(source)) for source in local.sources]
    for name, source in sources:  # a look at any place, outside of a step
        assert np.array_equal(loader.source(name).stream.read(3, source.tokens), source.stream.read(3, source.tokens))


def test_each_process_streams_its_share_through_phases_of_other_sizes(
    folder: Path, open_loader: Open, server: Server
) -> None:
    local = Loader(folder, PHASES, T, "stream", 5)
    loaders = [open_loader(open_place(server.url), 20, f"cache-{rank}")[0] for rank in range(3)]
    for step in range(STEPS):
        each = (24 if step < 6 else 12) // 3
        for rank, loader in enumerate(loaders):
            same(loader, local, step, rank * each, each)


def test_steps_out_of_order_are_right_too(folder: Path, open_loader: Open) -> None:
    local = Loader(folder, PHASES, T, "stream", 5)
    loader, _ = open_loader(Folder(folder), 12)
    for step in (4, 5, 3, 3, 13, 6, 7, 8, 0):
        same(loader, local, step)


class Memory:
    """A place whose only file is block after block of one number each."""

    address = "memory"

    def __init__(self, blocks: int) -> None:
        self.data = b"".join(number.to_bytes(2, "little") * 2 for number in range(blocks))

    def read(self, name: str, begin: int = 0, count: int | None = None) -> bytes:
        return self.data if count is None else self.data[begin : begin + count]

    def close(self) -> None:
        pass


def fewest_fetches(needs: list[frozenset[int]], capacity: int) -> int:
    """Try every choice of what to keep after every step; the fewest fetches of all."""

    @functools.cache
    def best(step: int, held: frozenset[int]) -> int:
        if step == len(needs):
            return 0
        reachable = sorted(held | needs[step])
        keeps = combinations(reachable, min(capacity, len(reachable)))
        return len(needs[step] - held) + min(best(step + 1, frozenset(keep)) for keep in keeps)

    return best(0, frozenset())


NEEDS = st.lists(st.frozensets(st.integers(0, 6), min_size=1, max_size=3), min_size=1, max_size=9)


@settings(max_examples=60)
@given(NEEDS, st.integers(0, 4), st.integers(1, 3))
def test_no_choice_fetches_less_often(
    tmp_path_factory: pytest.TempPathFactory, needs: list[frozenset[int]], capacity: int, ahead: int
) -> None:
    place = Memory(7)
    hashes = [hashlib.sha256(place.data[4 * i : 4 * i + 4]).digest() for i in range(7)]
    table = np.frombuffer(b"".join(hashes), dtype=np.uint8).reshape(7, 32)
    blocks = Blocks(("um/0",), np.array([28]), np.array([0, 7]), table, 4)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(streaming, "AHEAD", ahead)
        patch.setattr(streaming, "RUN", 1)
        patch.setattr(streaming, "SIGHT", 100)
        cache = tmp_path_factory.mktemp("cache")
        streams = Streamed(place, blocks, cache, capacity, "owner", len(needs))
        stream = streams.open("um", Path("um"), [{"file": "0", "tokens": 14}], "uint16")
        try:
            for step in range(len(needs)):
                with streams.turn(step, None, lambda other: [("um", 2 * one, 2 * one + 2) for one in needs[other]]):
                    for one in needs[step]:
                        assert stream.read(2 * one, 2 * one + 2).tolist() == [one, one]
            assert streams.fetched == fewest_fetches(needs, capacity)
        finally:
            streams.close()


def test_a_damaged_block_is_fetched_again_and_one_that_stays_damaged_is_named(
    folder: Path, server: Server, open_loader: Open
) -> None:
    local = Loader(folder, PHASES, T, "stream", 5)
    loader, _ = open_loader(open_place(server.url), 10**6)
    server.lies["stream-00001.npy"] = 2
    for step in range(6):
        same(loader, local, step)
    assert server.lies["stream-00001.npy"] == 0
    server.lies["stream-00000.npy"] = 10**6
    other, _ = open_loader(open_place(server.url), 10**6, "other")
    with pytest.raises(Problem, match=r"stream-00000\.npy at .* are not what was written") as refused:
        for step in range(6):
            other.batch(step)
    assert refused.value.key == "train.stream"


def test_a_server_that_fails_twice_is_asked_again_and_one_that_is_gone_is_a_problem(
    folder: Path, server: Server, open_loader: Open, capsys: pytest.CaptureFixture[str]
) -> None:
    local = Loader(folder, PHASES, T, "stream", 5)
    loader, _ = open_loader(open_place(server.url), 10**6)
    server.failures = [503, 429]
    for step in range(3):
        same(loader, local, step)
    assert server.failures == []
    assert "trying again" in " ".join(capsys.readouterr().out.split())
    other, _ = open_loader(open_place("http://127.0.0.1:9"), 10**6, "other")
    with pytest.raises(Problem, match="cannot read") as refused:
        other.batch(0)
    assert "goes on from the last checkpoint" in str(refused.value)


def test_what_is_refused_is_not_asked_for_again(server: Server) -> None:
    place = open_place(server.url)
    with pytest.raises(Problem, match=r"gives no absent\.npy: .*404"):
        places.Patient(place).read("absent.npy", 0, 8)
    assert len(server.asked) == 1
    server.ranges = False
    with pytest.raises(Problem, match="does not serve ranges"):
        place.read("tokens.json", 5, 8)
    place.close()


def test_the_cache_survives_a_restart_and_is_not_believed(
    folder: Path, server: Server, open_loader: Open, tmp_path: Path
) -> None:
    local = Loader(folder, PHASES, T, "stream", 5)

    def go(steps: range) -> int:
        loader, streams = open_loader(open_place(server.url), 10**6)
        for step in steps:
            same(loader, local, step)
        loader.close()
        return streams.fetched

    def needed(steps: range) -> set[int]:
        loader, streams = open_loader(Folder(folder), 0, "unused")
        return {int(one) for step in steps for one in streams._needs(loader.spans(step, Fraction(0), Fraction(1)))}

    begin, rest = range(7), range(7, STEPS)
    assert go(begin) >= len(needed(begin))  # and what was on the way when it stopped
    assert 0 < go(rest) == len(needed(rest) - needed(begin)) < len(needed(rest))
    # Two blocks that will be needed: of one a bit is wrong, the slot of the other is said to hold what cannot be.
    held = (np.fromfile(tmp_path / "cache" / TABLE, dtype="<i8") - 1).tolist()
    wrong, impossible = [slot for slot, block in enumerate(held) if block in needed(rest)][:2]
    data = bytearray((tmp_path / "cache" / DATA).read_bytes())
    data[wrong * BLOCK + 3] ^= 1
    (tmp_path / "cache" / DATA).write_bytes(data)
    table = bytearray((tmp_path / "cache" / TABLE).read_bytes())
    table[impossible * ENTRY : (impossible + 1) * ENTRY] = (10**9).to_bytes(ENTRY, "little")
    (tmp_path / "cache" / TABLE).write_bytes(table)
    assert go(rest) == len(needed(rest) - set(held)) + 2
    # A smaller cache than before keeps what fits, and one of other tokens is emptied.
    small, _ = open_loader(open_place(server.url), 7)
    assert on_disk(tmp_path / "cache") <= 7 * (BLOCK + ENTRY)
    for step in range(4):
        same(small, local, step)
    small.close()
    Streamed(Folder(folder), read_blocks(folder), tmp_path / "cache", 7, "another", 1).close()
    assert on_disk(tmp_path / "cache") == 0


def test_a_full_disk_is_a_problem(
    folder: Path, open_loader: Open, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(files, "free_bytes", lambda _: 100)
        with pytest.raises(Problem, match="may grow by") as refused:
            open_loader(Folder(folder), 10)
        assert refused.value.key == "train.cache_gigabytes"
    loader, streams = open_loader(Folder(folder), 10, "other")
    monkeypatch.setattr(streams._slots, "_data", Narrow(streams._slots._data))
    with pytest.raises(Problem, match="may grow by"):
        loader.batch(0)


class Narrow:
    """A file on a disk that takes ten bytes of each write."""

    def __init__(self, file: object) -> None:
        self.file = file

    def __getattr__(self, name: str) -> object:
        return getattr(self.file, name)

    def write(self, data: bytes) -> int:
        return self.file.write(data[:10])  # type: ignore[attr-defined, no-any-return]


def test_a_token_goes_to_the_hub_and_not_where_it_sends_us_on(
    folder: Path, server: Server, open_loader: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", server.url)
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    server.elsewhere = server.url.replace("127.0.0.1", "localhost")
    local = Loader(folder, PHASES, T, "stream", 5)
    commit = "0123456789" * 4
    loader, _ = open_loader(open_place(f"hf://datasets/org/dados@{commit}/"), 10**6)
    for step in range(10):
        same(loader, local, step)
    for path, _, token in server.asked:
        assert token == (None if path.startswith("/there/") else "Bearer hf_secret")
    first = [path for path, *_ in server.asked if not path.startswith("/there/")]
    assert set(first) == {f"/datasets/org/dados/resolve/{commit}/{name}" for name in read_blocks(folder).names}


def test_an_address_that_has_expired_is_asked_for_again(folder: Path, server: Server) -> None:
    server.elsewhere = server.url
    place = open_place(server.url)
    whole = (folder / "tokens.json").read_bytes()
    assert place.read("tokens.json", 0, 8) == whole[:8]
    server.failures = [403]
    assert place.read("tokens.json", 8, 8) == whole[8:16]
    assert [path for path, *_ in server.asked] == [
        *("/tokens.json", "/there/tokens.json"),
        *("/there/tokens.json", "/tokens.json", "/there/tokens.json"),
    ]
    place.close()


def test_connections_are_used_again_and_a_closed_one_is_replaced(folder: Path, server: Server) -> None:
    place = open_place(server.url)
    whole = (folder / "tokens.json").read_bytes()
    for begin in range(3):
        assert place.read("tokens.json", begin, 8) == whole[begin : begin + 8]
    assert len(server.connections) == 1
    server.connections[0].shutdown(socket.SHUT_RDWR)
    assert place.read("tokens.json", 3, 8) == whole[3:11]
    assert len(server.connections) == 2
    place.close()


def test_an_object_store_gives_ranges(
    folder: Path, server: Server, open_loader: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("obstore")
    for name, value in {
        "AWS_ENDPOINT_URL": server.url,
        "AWS_ALLOW_HTTP": "true",
        "AWS_SKIP_SIGNATURE": "true",
        "AWS_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)
    local = Loader(folder, PHASES, T, "stream", 5)
    place = open_place("s3://bucket/")
    loader, _ = open_loader(place, 10**6)
    server.failures = [503]
    for step in range(5):
        same(loader, local, step)
    assert place.read("tokens.json") == (folder / "tokens.json").read_bytes()
    with pytest.raises(Problem, match=r"gives no absent\.npy"):
        place.read("absent.npy", 0, 8)


def test_places_that_cannot_be_are_problems(tmp_path: Path) -> None:
    for address, said in {
        "ftp://um/dois": "no known place",
        str(tmp_path / "absent"): "is no folder",
        "hf://datasets/org/dados": "no dataset at a commit",
        "hf://models/org/dados@main": "no dataset at a commit",
    }.items():
        with pytest.raises(Problem, match=said) as refused:
            open_place(address)
        assert refused.value.key == "train.stream"


def test_hashes_that_do_not_belong_are_refused(folder: Path, tmp_path: Path) -> None:
    np.save(folder / "blocks.npy", np.zeros((3, 32), dtype=np.uint8))
    with pytest.raises(Problem, match="does not belong"):
        read_blocks(folder)
    (folder / "blocks.json").unlink()
    with pytest.raises(Problem, match="no hashes of blocks"):
        read_blocks(folder)
