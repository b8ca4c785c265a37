"""Cut a WARC or WET file into its records, and tell what is none.

In goes a file (plain, or packed record by record), out come `Record`s and, where the file is damaged, a `Cut`. The
libraries for this format either stop at the first damaged byte or go on in silence: a record cut short comes out of
them like a whole one, and one whose Content-Length is too large swallows its neighbours. Here a record counts only if
it is seen to end where it should; otherwise reading goes on at the next line that begins a record. ISO 28500:2017.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from lhama.corpus.bytestream import KEPT_OF_LONG_LINE, Cut, blocks

LONGEST_RECORD = 32 << 20  # bytes; a longer one is no page of text (Common Crawl cuts pages at 5 MB)
LONGEST_HEADER = 64 << 10
START = re.compile(rb"\nWARC/[01]\.\d+\r?\n")
LONGEST_START = 16
BLANK = re.compile(rb"[\r\n]+")
RECORD_END = re.compile(rb"\r\n\r\n|\n\n|[\r\n]*WARC/")
HEADER_END = re.compile(rb"\r?\n\r?\n")


class Record(NamedTuple):
    """A record: its header with names in lower case, and its content."""

    header: dict[str, str]
    content: bytes


class _Fault(NamedTuple):
    reason: str
    detail: str


class _Bytes:
    """What is unpacked of a file and not yet used; it ends for the time being where the packed stream is damaged."""

    def __init__(self, path: Path) -> None:
        self._blocks = blocks(path, salvage=True)
        self.held = bytearray()
        self.damage: Cut | None = None
        self.ended = False

    def want(self, count: int) -> bool:
        """Hold at least so many bytes, if there are so many before the end or the next damage."""
        while len(self.held) < count and not self.ended and self.damage is None:
            block = next(self._blocks, None)
            if block is None:
                self.ended = True
            elif isinstance(block, Cut):
                self.damage = block
            else:
                self.held += block
        return len(self.held) >= count

    def drop_to_start(self, begin: int) -> tuple[int, bytes]:
        """Drop all up to the next start of a record after `begin`; return how much, and how it began."""
        dropped, kept = 0, bytes(self.held[:KEPT_OF_LONG_LINE])
        while True:
            match = START.search(self.held, begin)
            if match:
                del self.held[: match.start() + 1]
                return dropped + match.start() + 1, kept
            away = max(len(self.held) - LONGEST_START, 0)
            del self.held[:away]
            dropped, begin = dropped + away, 0
            if not self.want(len(self.held) + 1):
                dropped += len(self.held)
                self.held.clear()
                return dropped, kept


def records(path: Path) -> Iterator[Record | Cut]:
    """Yield what stands in a file, in order."""
    feed = _Bytes(path)
    while True:
        feed.want(LONGEST_START)
        blank = BLANK.match(feed.held)
        if blank:
            del feed.held[: blank.end()]
            continue
        if feed.held:
            yield _record(feed)
        elif feed.damage is not None:
            yield feed.damage
            feed.damage = None
        elif feed.ended:
            return


def _record(feed: _Bytes) -> Record | Cut:
    """Take one record, or what stands where one should."""
    head = _head(feed)
    if isinstance(head, _Fault):
        return _broken(feed, head)
    header, begin, length = head
    fault = _fault_of_content(feed, begin, length)
    if fault:
        return _broken(feed, fault)
    content = bytes(feed.held[begin : begin + length])
    del feed.held[: begin + length]
    return Record(header, content)


def _head(feed: _Bytes) -> tuple[dict[str, str], int, int] | _Fault:
    """Read the header that begins here; say where the content begins and how long it is to be."""
    if not feed.held.startswith(b"WARC/"):
        return _Fault("broken_record", "bytes that belong to no record")
    while not (end := HEADER_END.search(feed.held, 0, LONGEST_HEADER)):
        if len(feed.held) >= LONGEST_HEADER:
            return _Fault("broken_record", f"a header of more than {LONGEST_HEADER} bytes")
        if not feed.want(len(feed.held) + 1):
            return _Fault("truncated_file", "the header of a record is cut off")
    header = _header(bytes(feed.held[: end.start()]))
    said = header.get("content-length", "")
    if not re.fullmatch(r"[0-9]{1,18}", said):
        return _Fault("broken_record", f"a record with Content-Length {said[:40]!r}")
    return header, end.end(), int(said)


def _fault_of_content(feed: _Bytes, begin: int, length: int) -> _Fault | None:
    """Look whether the content ends where the next record begins."""
    if length > LONGEST_RECORD:
        return _Fault("line_too_long", f"a record said to have {length} bytes; the limit is {LONGEST_RECORD}")
    behind = begin + length
    feed.want(behind + LONGEST_START)
    if len(feed.held) < behind:
        if START.search(feed.held, begin - 1):
            return _Fault("wrong_length", f"a record has fewer than the {length} bytes it announces")
        return _Fault("truncated_file", f"a record has fewer than the {length} bytes it announces")
    rest = bytes(feed.held[behind : behind + LONGEST_START])
    if rest.strip(b"\r\n") and not RECORD_END.match(rest):
        return _Fault("wrong_length", f"a record does not end after the {length} bytes it announces")
    return None


def _broken(feed: _Bytes, fault: _Fault) -> Cut:
    reason, detail = fault
    dropped, kept = feed.drop_to_start(1)
    if reason == "truncated_file" and feed.damage is not None:  # one damage, one row
        detail, feed.damage = f"{detail}: {feed.damage.detail}", None
    return Cut(reason, f"{detail}; {dropped} bytes left out", kept)


def _header(raw: bytes) -> dict[str, str]:
    """Read the lines `Name: value` of a header; a name that comes twice keeps its first value."""
    header: dict[str, str] = {}
    for line in raw.decode("utf-8", "backslashreplace").splitlines()[1:]:
        name, _, value = line.partition(":")
        header.setdefault(name.strip().lower(), value.strip())
    return header
