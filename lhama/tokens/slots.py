"""A bounded store of blocks on disk: one file of slots, each as long as a block, and a table of what is in them.

In go blocks, out come parts of them. The file never has more slots than it may. Subtle: neither file is written
atomically, because nothing in them is believed: what an earlier process left is hashed before its first use, so a torn
write, a full disk or a rotten bit only costs fetching that block again.
"""

import errno
from collections.abc import Iterator
from io import FileIO
from pathlib import Path

import numpy as np

from lhama.plan.problem import Problem
from lhama.record import files
from lhama.tokens.blocks import Blocks

DATA, TABLE, OWNER = "blocks.bin", "slots.bin", "owner.json"
ENTRY = 8  # bytes of the table per slot: the number of its block, plus one, as nothing written reads as 0


class Slots:
    """Blocks on disk, at most `capacity` of them; `owner` names the tokens they belong to."""

    def __init__(self, folder: Path, capacity: int, blocks: Blocks, owner: str) -> None:
        self.capacity = min(capacity, len(blocks))
        self._blocks = blocks
        self._folder = folder
        said = {"owner": owner, "block": blocks.block}
        if folder.exists() and not _belongs(folder, said):
            files.remove_tree(folder)
        folder.mkdir(parents=True, exist_ok=True)
        self._refuse_if_too_big()
        self._data = _open(folder / DATA, self.capacity * blocks.block)
        self._table = _open(folder / TABLE, self.capacity * ENTRY)
        self._where = {block: slot for slot, block in self._read_table()}
        self._unproven = set(self._where)
        self._free = sorted(set(range(self.capacity)) - set(self._where.values()), reverse=True)
        files.write_json(folder / OWNER, said)

    def __len__(self) -> int:
        return len(self._where)

    def __iter__(self) -> Iterator[int]:
        return iter(self._where)

    def __contains__(self, block: int) -> bool:
        return block in self._where

    @property
    def full(self) -> bool:
        """Say whether another block needs one to go."""
        return not self._free

    def holds(self, block: int) -> bool:
        """Say whether a block is here and what it should be."""
        if block in self._unproven:
            self._unproven.discard(block)
            _, _, size = self._blocks.place(block)
            if not self._blocks.is_true(block, self.read(block, 0, size)):
                self.drop(block)
        return block in self._where

    def read(self, block: int, begin: int, end: int) -> bytes:
        """Return bytes begin..end-1 of a block that is here."""
        self._data.seek(self._where[block] * self._blocks.block + begin)
        return self._data.read(end - begin)

    def put(self, block: int, data: bytes) -> None:
        """Keep a block in a free slot."""
        slot = self._free.pop()
        try:
            self._data.seek(slot * self._blocks.block)
            if self._data.write(data) < len(data):  # how an unbuffered file says that the disk ended on the way
                raise OSError(errno.ENOSPC, "short write")
            self._table.seek(slot * ENTRY)
            self._table.write((block + 1).to_bytes(ENTRY, "little"))
        except OSError as error:
            self._free.append(slot)
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise self._no_space(self._blocks.block) from error
            raise
        self._where[block] = slot

    def drop(self, block: int) -> None:
        """Give a block's slot to another."""
        self._unproven.discard(block)
        self._free.append(self._where.pop(block))

    def close(self) -> None:
        """Close the files; the blocks stay."""
        self._data.close()
        self._table.close()

    def _read_table(self) -> Iterator[tuple[int, int]]:
        self._table.seek(0)
        entries = np.frombuffer(self._table.read(self.capacity * ENTRY), dtype="<i8")
        seen: set[int] = set()
        for slot, block in enumerate((entries - 1).tolist()):
            if 0 <= block < len(self._blocks) and block not in seen:
                seen.add(block)
                yield slot, block

    def _refuse_if_too_big(self) -> None:
        """Refuse at the start what would fill the disk hours later."""
        path = self._folder / DATA
        growth = self.capacity * self._blocks.block - (path.stat().st_size if path.is_file() else 0)
        if growth > files.free_bytes(self._folder):
            raise self._no_space(growth)

    def _no_space(self, needed: int) -> Problem:
        free = files.size(files.free_bytes(self._folder))
        return Problem(
            f"the cache in {self._folder} may grow by {files.size(needed)}, and {free} are free there",
            key="train.cache_gigabytes",
            remedy="make room, or give it less; training goes on from the last checkpoint",
        )


def _belongs(folder: Path, said: dict[str, object]) -> bool:
    """Tell whether a cache was made for the same tokens; one that cannot say so is made anew."""
    try:
        return bool(files.read_json(folder / OWNER) == said)
    except Problem:
        return False


def _open(path: Path, most: int) -> FileIO:
    """Open a file for reading and writing, unbuffered, so that a full disk speaks up in the write that hits it."""
    path.touch()
    file = path.open("r+b", buffering=0)
    file.truncate(min(most, path.stat().st_size))
    return file
