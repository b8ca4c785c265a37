"""Open a file of text as a stream of lines, whether it is plain, gzip or zstd, and lose nothing on the way.

In goes a path; out come (number, line) with numbers from 1 and lines without their end. Compression is told by the
first bytes, never by the name. A decompressor is fed small pieces, so that a bomb (Deutsch, RFC 1951: up to 1032 to 1;
zstd: 128 kB from 4 bytes) cannot fill the memory. Where a stream ends too early or is damaged, every line before that
place is yielded and the rest arrives as `Cut`, because readers that only raise there throw away whole blocks.
"""

import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import zstandard

LONGEST_LINE = 256 << 20  # bytes; a line beyond is no document, and holding it whole could fill the memory
KEPT_OF_LONG_LINE = 1 << 16
PLAIN_BLOCK = 1 << 20
PACKED_BLOCK = 2048  # of zstd at most 64 MB unpacked, in practice 10 kB
GZIP, ZSTD = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"
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
            if dropped:
                yield number, _too_long(b"".join(held), dropped + len(line))
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


def blocks(path: Path) -> Iterator[bytes | Cut]:
    """Yield the unpacked bytes of a file; a damaged stream ends with a `Cut`."""
    with path.open("rb") as file:
        start = file.read(4)
        file.seek(0)
        packed = start.startswith(GZIP) or start == ZSTD
        stream = _unpacked(file, start) if packed else iter(lambda: file.read(PLAIN_BLOCK), b"")
        yield from stream


def _unpacked(file: BinaryIO, start: bytes) -> Iterator[bytes | Cut]:
    """Unpack one stream after the other: both formats allow several in a file, as `cat a.gz b.gz` makes them."""
    stream: Any = None
    try:
        while piece := file.read(PACKED_BLOCK):
            while piece:
                stream = stream or _decompressor(start)
                block = stream.decompress(piece)
                if block:
                    yield block
                piece = b""
                if stream.eof:
                    # gzip files may be padded with zeros, as tapes were
                    piece, stream = stream.unused_data.lstrip(b"\0"), None
    except (zlib.error, zstandard.ZstdError) as error:
        yield Cut("truncated_file", f"the compressed stream is damaged: {error}", b"")
        return
    if stream is not None:
        yield Cut("truncated_file", "the compressed stream ends too early", b"")


def _decompressor(start: bytes) -> Any:
    if start.startswith(GZIP):
        return zlib.decompressobj(zlib.MAX_WBITS | 16)
    return zstandard.ZstdDecompressor(max_window_size=ZSTD_WINDOW).decompressobj()
