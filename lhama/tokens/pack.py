"""Lay a source's stream of tokens out in rows of T+1 tokens, without copying a token.

In go the document offsets of one source, out comes a row index: row number -> pieces (start, length) of the stream.
Subtle: a row holds T+1 tokens because T inputs have T targets, and the last token of one piece is repeated as the
first of the next, as context only; so every token is a target exactly once an epoch. T = 4, two documents
`<s> a b c d e </s>` and `<s> f </s>`, written [ a b c ], the tokens that are targets under-lined:

    stream      <s> a b c d e </s> <s> f </s>          place   0 1 2 3 4 5 6 7 8 9

    "stream"    [ <s> a b c d ]  [ d e </s> <s> f ]  [ f </s> pad pad pad ]
                      - - - -        - ---- --- -        ----
                  every token but the stream's first is a target once; rows cross documents; only the last is padded

    "best-fit"  [ <s> a b c d ]  [ d e </s> pad pad ]  [ <s> f </s> pad pad ]        (d e </s> and <s> f </s> are 6 > 5)
                      - - - -        - ----                  - ----
                  a document is cut only where it is longer than a row; pieces share a row where they fit; a piece's
                  first token (its `<s>`, or the repeated one) is never a target, so each token but `<s>` is one once

    "alone"     as best-fit, but no two pieces share a row, however short they are

Best fit, longest first, follows Ding et al. 2024, "Fewer Truncations Improve Language Modeling" (arXiv:2404.10830).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from lhama.record import files
from lhama.tokens.streams import save_array

Piece = tuple[int, int]


class Rows(Protocol):
    """What a loader needs of any packing: how many rows there are, and the pieces of one of them."""

    @property
    def count(self) -> int: ...

    def pieces(self, row: int) -> list[Piece]: ...


@dataclass(frozen=True)
class StreamRows:
    """Rows cut from the stream like a ribbon: pure arithmetic, so there is nothing to store."""

    tokens: int
    sequence: int

    @property
    def count(self) -> int:
        return max(0, -(-(self.tokens - 1) // self.sequence))

    def pieces(self, row: int) -> list[Piece]:
        start = row * self.sequence
        return [(start, min(self.sequence + 1, self.tokens - start))]


@dataclass(frozen=True)
class PackedRows:
    """Rows made of several pieces: `pieces[firsts[row] : firsts[row + 1]]`, both arrays mapped from disk."""

    firsts: NDArray[np.int64]
    table: NDArray[np.int64]

    @property
    def count(self) -> int:
        return len(self.firsts) - 1

    def pieces(self, row: int) -> list[Piece]:
        first, last = int(self.firsts[row]), int(self.firsts[row + 1])
        return [(int(start), int(length)) for start, length in self.table[first:last]]

    def waste(self, sequence: int) -> float:
        """Return the share of all places in the rows that hold padding."""
        places = self.count * (sequence + 1)
        return 1.0 - float(self.table[:, 1].sum()) / places if places else 0.0


def cut(offsets: NDArray[np.int64], sequence: int) -> NDArray[np.int64]:
    """Cut documents into pieces (start, length) of at most T+1 tokens, each repeating the last token before it."""
    lengths = np.diff(offsets)
    counts = np.maximum(1, -(-(lengths - 1) // sequence))
    document = np.repeat(np.arange(len(lengths)), counts)
    number = np.arange(len(document)) - np.repeat(np.cumsum(counts) - counts, counts)
    table = np.empty((len(document), 2), dtype=np.int64)
    table[:, 0] = offsets[document] + number * sequence
    table[:, 1] = np.minimum(sequence + 1, offsets[document + 1] - table[:, 0])
    return table


def alone(offsets: NDArray[np.int64], sequence: int) -> PackedRows:
    """Give each piece a row of its own, so that nothing else distracts it; short documents cost padding."""
    table = cut(offsets, sequence)
    return PackedRows(np.arange(len(table) + 1, dtype=np.int64), table)


def best_fit(offsets: NDArray[np.int64], sequence: int) -> PackedRows:
    """Pack documents by best fit, longest first: each piece goes where it leaves the least room.

    All pieces of one length are placed together, which is the same as one by one: best fit fills the tightest row with
    room for one more before it turns to another. So the work is in the number of lengths, not in the number of pieces.
    """
    table = cut(offsets, sequence)
    order = np.argsort(-table[:, 1], kind="stable")
    lengths, counts = np.unique(table[order, 1], return_counts=True)
    shelf = _Shelf(sequence + 1)
    bins = np.concatenate(
        [np.empty(0, dtype=np.int64)]
        + [shelf.place(int(length), int(count)) for length, count in zip(lengths[::-1], counts[::-1], strict=True)]
    )
    by_row = np.argsort(bins, kind="stable")
    firsts = np.searchsorted(bins[by_row], np.arange(shelf.opened + 1))
    return PackedRows(firsts.astype(np.int64), table[order[by_row]])


class _Shelf:
    """Open rows, kept by the room that is left in them; a bit in `mask` says that some row has that much room."""

    def __init__(self, width: int) -> None:
        self.width = width
        self.opened = 0
        self.mask = 0
        self.rows: dict[int, NDArray[np.int64]] = {}

    def place(self, length: int, count: int) -> NDArray[np.int64]:
        """Place `count` pieces of one length and return the row of each."""
        placed = []
        while count:
            room, rows = self._tightest(length, count)
            each = room // length
            chosen, rest = np.split(rows, [min(len(rows), -(-count // each))])
            self._keep(room, rest)
            used = np.repeat(chosen, each)[:count]
            placed.append(used)
            count -= len(used)
            in_last = each - (len(chosen) * each - len(used))
            self._put(room - each * length, chosen[:-1])
            self._put(room - in_last * length, chosen[-1:])
        return np.concatenate(placed)

    def _tightest(self, length: int, count: int) -> tuple[int, NDArray[np.int64]]:
        above = self.mask >> length
        if above:
            room = length + (above & -above).bit_length() - 1
            return room, self.rows[room]
        needed = -(-count // (self.width // length))
        fresh = np.arange(self.opened, self.opened + needed, dtype=np.int64)
        self.opened += needed
        return self.width, fresh

    def _keep(self, room: int, rows: NDArray[np.int64]) -> None:
        self.rows[room] = rows
        self.mask = self.mask | (1 << room) if len(rows) else self.mask & ~(1 << room)

    def _put(self, room: int, rows: NDArray[np.int64]) -> None:
        if len(rows) and room:
            already = self.rows.get(room)
            self._keep(room, rows if already is None else np.concatenate([already, rows]))


def open_rows(folder: Path, tokens: int, sequence: int, packing: str) -> Rows:
    """Open the rows of one source's folder, making the index on disk first where the packing needs one."""
    if packing == "stream":
        return StreamRows(tokens, sequence)
    name = f"rows-T{sequence}-{packing}"
    firsts_path, table_path = folder / f"{name}.npy", folder / f"{name}-pieces.npy"
    if not firsts_path.exists():
        make = {"best-fit": best_fit, "alone": alone}[packing]
        rows = make(np.load(folder / "documents.npy", mmap_mode="r"), sequence)
        # The pieces first: who sees the row index may rely on both. Two writers at once write the same bytes.
        save_array(table_path, rows.table)
        places = rows.count * (sequence + 1)
        told = {"rows": rows.count, "pieces": len(rows.table), "places": places, "waste": rows.waste(sequence)}
        files.write_json(folder / f"{name}.json", told)
        save_array(firsts_path, rows.firsts)
    return PackedRows(np.load(firsts_path, mmap_mode="r"), np.load(table_path, mmap_mode="r"))


def target_places(pieces: list[Piece]) -> Iterator[tuple[int, int]]:
    """Yield the stretches (first, last + 1) of a row's T targets that count: no padding, and no piece's first token.

    Target j is the token at place j + 1, so a piece at places p..q-1 has the targets p..q-2.
    """
    place = 0
    for _, length in pieces:
        yield place, place + length - 1
        place += length
