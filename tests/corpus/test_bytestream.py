"""Lines of plain, gzip and zstd files: nothing before a damaged place is lost, and nothing fills the memory."""

import gzip
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from lhama.corpus import bytestream
from lhama.corpus.bytestream import Cut, lines

LINES = [f"linha {number} é só uma linha".encode() for number in range(20_000)]
WHOLE = b"\n".join(LINES) + b"\n"
PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "plain": bytes,
    "gz": gzip.compress,
    "zst": zstandard.ZstdCompressor(level=3).compress,
}


def written(folder: Path, data: bytes) -> Path:
    path = folder / "text"
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("packer", PACKERS)
def test_every_line_comes_with_its_number(packer: str, tmp_path: Path) -> None:
    path = written(tmp_path, PACKERS[packer](WHOLE))
    assert list(lines(path)) == list(enumerate(LINES, 1))


@pytest.mark.parametrize("packer", ["gz", "zst"])
def test_streams_behind_each_other_are_one_text(packer: str, tmp_path: Path) -> None:
    pack = PACKERS[packer]
    path = written(tmp_path, pack(b"um\ndo") + pack(b"is\n") + pack(b"") + pack(b"tr\xc3\xaas"))
    assert [line for _, line in lines(path)] == [b"um", b"dois", "três".encode()]


@pytest.mark.parametrize("packer", ["gz", "zst"])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.999])
def test_a_truncated_stream_keeps_what_came_before(packer: str, share: float, tmp_path: Path) -> None:
    """python-zstandard's reader ends a truncated file like a whole one; readers that raise lose their last block."""
    packed = PACKERS[packer](WHOLE)
    found = list(lines(written(tmp_path, packed[: int(len(packed) * share)])))
    number, last = found.pop()
    assert isinstance(last, Cut)
    assert last.reason == "truncated_file"
    assert number == len(found) + 1
    assert [line for _, line in found] == LINES[: len(found)]
    assert LINES[len(found)].startswith(last.rest)
    if packer == "gz":  # deflate decodes byte by byte; zstd gives whole blocks of 128 kB
        assert len(found) > 0.8 * share * len(LINES)


@pytest.mark.parametrize("packer", ["gz", "zst"])
def test_garbage_behind_a_stream_is_told(packer: str, tmp_path: Path) -> None:
    found = list(lines(written(tmp_path, PACKERS[packer](b"bom dia\n") + b"garbage")))
    assert found[0] == (1, b"bom dia")
    assert isinstance(found[1][1], Cut)
    assert "damaged" in found[1][1].detail


def test_gzip_padding_of_zeros_is_no_damage(tmp_path: Path) -> None:
    assert list(lines(written(tmp_path, gzip.compress(b"bom dia") + b"\0" * 512))) == [(1, b"bom dia")]


def test_too_long_lines_are_told_and_their_neighbours_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bytestream, "LONGEST_LINE", 100)
    monkeypatch.setattr(bytestream, "KEPT_OF_LONG_LINE", 10)
    monkeypatch.setattr(bytestream, "PLAIN_BLOCK", 64)
    path = written(tmp_path, b"um\n" + b"x" * 1000 + b"\nfim\n" + b"y" * 500)
    found = dict(lines(path))
    assert (found[1], found[3]) == (b"um", b"fim")
    assert found[2] == Cut("line_too_long", "a line of 1000 bytes; the limit is 100", b"x" * 10)
    assert found[4] == Cut("line_too_long", "a line of 500 bytes; the limit is 100", b"y" * 10)


def test_a_bomb_unpacks_in_small_blocks(tmp_path: Path) -> None:
    bomb = zstandard.ZstdCompressor(level=1).compress(bytes(256 << 20))
    assert len(bomb) < 100_000
    path = written(tmp_path, bomb)
    sizes = [len(block) for block in bytestream.blocks(path)]
    assert sum(sizes) == 256 << 20
    assert max(sizes) <= 128 << 20


@given(st.lists(st.binary(max_size=30).filter(lambda line: b"\n" not in line), max_size=30), st.integers(1, 17))
def test_lines_are_those_of_split(tmp_path_factory: pytest.TempPathFactory, texts: list[bytes], block: int) -> None:
    texts = [text.removeprefix(bytestream.BYTE_ORDER_MARK) for text in texts]
    data = b"\n".join(texts)
    if data[:4] == bytestream.ZSTD or data.startswith(bytestream.GZIP):
        return
    path = written(tmp_path_factory.mktemp("lines"), data)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bytestream, "PLAIN_BLOCK", block)
        found = [line for _, line in lines(path)]
    assert found == (texts if texts and texts[-1] else texts[:-1])


def test_a_byte_order_mark_is_no_text(tmp_path: Path) -> None:
    assert list(lines(written(tmp_path, b"\xef\xbb\xbf" + "olá".encode()))) == [(1, "olá".encode())]
