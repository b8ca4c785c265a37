"""Open a file of text as a stream of lines, whether it is plain, gzip, bzip2 or zstd, and lose nothing on the way.

In goes a path; out come (number, line) with numbers from 1 and lines without their end. Compression is told by the
first bytes, never by the name. A decompressor is fed small pieces, so that a bomb (Deutsch, RFC 1951: up to 1032 to 1;
zstd: 128 kB from 4 bytes) cannot fill the memory. Where a stream ends too early or is damaged, every line before that
place is yielded and the rest arrives as `Cut`, because readers that only raise there throw away whole blocks.
"""

import bz2
import re
import zlib
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import zstandard

LONGEST_LINE = 256 << 20  # bytes; a line beyond is no document, and holding it whole could fill the memory
KEPT_OF_LONG_LINE = 1 << 16
PLAIN_BLOCK = 1 << 20
PACKED_BLOCK = 2048  # of zstd at most 64 MB unpacked, in practice 10 kB
GZIP, ZSTD, BZIP2 = b"\x1f\x8b", b"\x28\xb5\x2f\xfd", b"BZ"
STREAM_STARTS = {
    GZIP: re.compile(rb"\x1f\x8b\x08[\x00-\x1f]"),
    ZSTD[:2]: re.compile(re.escape(ZSTD)),
    BZIP2: re.compile(rb"BZh[1-9](1AY&SY|\x17rE8P\x90)"),
}
LONGEST_START = 10  # bytes
SALVAGE_TRIES = 1000  # places that only look like the beginning of a stream
ZSTD_WINDOW = 1 << 31  # files made with zstd --long=31 are common for large corpora
BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class Cut(NamedTuple):
    """A line that is not one: `rest` is what is left of it, and `reason` a name of reasons.py."""

    reason: str
    detail: str
    rest: bytes


def lines(path: Path) -> Iterator[tuple[int, bytes | Cut]]:
    """Yield the numbered lines of a file; one too long or cut off comes as a `Cut`."""
    number, held, held_bytes, dropped = 1, [b""], 0, 0
    for block in blocks(path):
        if isinstance(block, Cut):
            yield number, block._replace(rest=b"".join(held))
            return
        *whole, rest = block.split(b"\n")
        for line in whole:
            if dropped or held_bytes + len(line) > LONGEST_LINE:
                start = b"".join((*held, line[:KEPT_OF_LONG_LINE]))[:KEPT_OF_LONG_LINE]
                yield number, _too_long(start, (dropped or held_bytes) + len(line))
            else:
                whole_line = b"".join((*held, line)) if held_bytes else line
                yield number, whole_line.removeprefix(BYTE_ORDER_MARK) if number == 1 else whole_line
            number, held, held_bytes, dropped = number + 1, [b""], 0, 0
        if dropped or held_bytes + len(rest) > LONGEST_LINE:
            dropped += held_bytes + len(rest) if not dropped else len(rest)
            held = [b"".join((*held, rest))[:KEPT_OF_LONG_LINE]]
            held_bytes = len(held[0])
        elif rest:
            held.append(rest)
            held_bytes += len(rest)
    if dropped:
        yield number, _too_long(b"".join(held), dropped)
    elif held_bytes:
        rest = b"".join(held)
        yield number, rest.removeprefix(BYTE_ORDER_MARK) if number == 1 else rest


def _too_long(start: bytes, size: int) -> Cut:
    return Cut("line_too_long", f"a line of {size} bytes; the limit is {LONGEST_LINE}", start)


def blocks(path: Path, salvage: bool = False) -> Iterator[bytes | Cut]:
    """Yield the unpacked bytes of a file; a damaged stream ends with a `Cut`.

    Archives are often many packed streams behind each other, one for each record or a few pages. With `salvage` the
    reading goes on after the `Cut` where the next whole stream begins.
    """
    with path.open("rb") as file:
        start = file.read(LONGEST_START)
        if not _is_packed(start):
            file.seek(0)
            yield from iter(lambda: file.read(PLAIN_BLOCK), b"")
            return
        begin: int | None = 0
        while begin is not None:
            file.seek(begin)
            damaged = yield from _unpacked(file, start)
            begin = _next_stream(file, damaged, start) if salvage and damaged is not None else None


def _is_packed(start: bytes) -> bool:
    """Tell by the first bytes; those of bzip2 are also how a text might begin, so all ten are looked at."""
    return start.startswith((GZIP, ZSTD)) or bool(STREAM_STARTS[BZIP2].match(start))


def _unpacked(file: BinaryIO, start: bytes) -> Generator[bytes | Cut, None, int | None]:
    """Unpack one stream after the other; return where in the file a damaged one began.

    All formats allow several streams in a file, as `cat a.gz b.gz` makes them.
    """
    stream: Any = None
    begin = file.tell()
    while piece := file.read(PACKED_BLOCK):
        while piece:
            if stream is None:
                stream, begin = _decompressor(start), file.tell() - len(piece)
            try:
                yield from _unpack(stream, piece)
            except (zlib.error, zstandard.ZstdError, _Bzip2Error) as error:
                yield Cut("truncated_file", f"the compressed stream is damaged: {error}", b"")
                return begin
            piece = b""
            if stream.eof:
                # gzip files may be padded with zeros, as tapes were
                piece, stream = stream.unused_data.lstrip(b"\0"), None
    if stream is None:
        return None
    yield Cut("truncated_file", "the compressed stream ends too early", b"")
    return begin


class _Bzip2Error(Exception):
    """A damaged bzip2 stream, which the library does not tell from a failing disk."""


def _unpack(stream: Any, piece: bytes) -> Iterator[bytes]:
    """Unpack a piece; bzip2, which can make a gigabyte of a kilobyte, in bounded steps."""
    if not isinstance(stream, bz2.BZ2Decompressor):
        block = stream.decompress(piece)
        if block:
            yield block
        return
    while True:
        try:
            block = stream.decompress(piece, PLAIN_BLOCK)
        except OSError as error:
            raise _Bzip2Error(str(error)) from error
        if block:
            yield block
        if stream.eof or stream.needs_input:
            return
        piece = b""


def _decompressor(start: bytes) -> Any:
    if start.startswith(GZIP):
        return zlib.decompressobj(zlib.MAX_WBITS | 16)
    if start.startswith(BZIP2):
        return bz2.BZ2Decompressor()
    return zstandard.ZstdDecompressor(max_window_size=ZSTD_WINDOW).decompressobj()


def _next_stream(file: BinaryIO, damaged: int, start: bytes) -> int | None:
    """Find the next place behind the start of a damaged stream where a whole one begins."""
    pattern = STREAM_STARTS[start[:2]]
    place, tried = damaged + 1, 0
    while tried < SALVAGE_TRIES:
        file.seek(place)
        window = file.read(PLAIN_BLOCK)
        match = pattern.search(window)
        if match is None:
            if len(window) < PLAIN_BLOCK:
                return None
            place += len(window) - LONGEST_START
            continue
        place += match.start()
        tried += 1
        if _can_be_unpacked(file, place, start):
            return place
        place += 1
    return None


def _can_be_unpacked(file: BinaryIO, place: int, start: bytes) -> bool:
    """Unpack a megabyte of a stream, or all if it has less: no other bytes survive that."""
    file.seek(place)
    stream, size = _decompressor(start), 0
    try:
        while size < PLAIN_BLOCK and not stream.eof and (piece := file.read(PACKED_BLOCK)):
            size += sum(len(block) for block in _unpack(stream, piece))
    except (zlib.error, zstandard.ZstdError, _Bzip2Error):
        return False
    return bool(stream.eof) or size >= PLAIN_BLOCK
