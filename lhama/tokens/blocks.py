"""The hash of every 64 KiB of the token streams, so that a few rows of a far shard can be read and believed.

In goes a tokens folder, out come `blocks.json` (each stream's file and bytes, in the order of tokens.json) and
`blocks.npy` (the SHA-256 of block after block, 32 bytes each: 0.05 % of the data). The stage's manifest has the hash of
both, so whoever trusts the manifest can trust any block. Neither is part of the stage's identity: they say nothing that
the streams do not, and tokens made without them stay what they are.

The size is a choice between requests and waste. Training draws rows at random from all shards, and a row of 2,048
tokens has 4 KB: from blocks of 64 KiB a GPU that learns 100,000 tokens a second reads 3 MB/s, from 4 MiB 200 MB/s.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lhama.plan.problem import Problem
from lhama.record import files
from lhama.tokens.streams import save_array

BLOCK = 1 << 16
DIGEST = hashlib.sha256().digest_size
TABLE, HASHES = "blocks.json", "blocks.npy"


@dataclass(frozen=True)
class Blocks:
    """The blocks of all streams under one numbering: file f has the blocks firsts[f] .. firsts[f+1]-1."""

    names: tuple[str, ...]
    sizes: NDArray[np.int64]
    firsts: NDArray[np.int64]
    hashes: NDArray[np.uint8]
    block: int = BLOCK

    def __len__(self) -> int:
        return len(self.hashes)

    @property
    def total(self) -> int:
        """Return how many bytes all streams have."""
        return int(self.sizes.sum())

    def place(self, block: int) -> tuple[str, int, int]:
        """Return the file, the first byte and the number of bytes of a block."""
        file = int(np.searchsorted(self.firsts, block, side="right")) - 1
        begin = (block - int(self.firsts[file])) * self.block
        return self.names[file], begin, min(self.block, int(self.sizes[file]) - begin)

    def is_true(self, block: int, data: bytes) -> bool:
        """Tell whether these bytes are the block that was written."""
        return bool(hashlib.sha256(data).digest() == self.hashes[block].tobytes())


def write_blocks(folder: Path, index: Mapping[str, Any]) -> dict[str, str]:
    """Write the hashes of a folder's blocks; return the SHA-256 of each stream, which the same reading gives."""
    whole: dict[str, str] = {}
    sizes, hashes = [], bytearray()
    for name in _streams(index):
        digest, size = hashlib.sha256(), 0
        with (folder / name).open("rb") as file:
            while data := file.read(BLOCK):
                digest.update(data)
                hashes += hashlib.sha256(data).digest()
                size += len(data)
        whole[name] = digest.hexdigest()
        sizes.append(size)
    save_array(folder / HASHES, np.frombuffer(bytes(hashes), dtype=np.uint8).reshape(-1, DIGEST))
    told = [{"file": name, "bytes": size} for name, size in zip(whole, sizes, strict=True)]
    files.write_json(folder / TABLE, {"format": 1, "block": BLOCK, "files": told})
    return whole


def read_blocks(folder: Path) -> Blocks:
    """Open the hashes of a folder's blocks."""
    if not (folder / TABLE).is_file():
        raise Problem(
            f"the tokens in {folder} have no hashes of blocks, without which a part of a shard cannot be believed",
            remedy="make them anew with --again tokens where they were made; the tokens stay the same",
        )
    told = files.read_json(folder / TABLE)
    names = tuple(str(one["file"]) for one in told["files"])
    sizes = np.array([one["bytes"] for one in told["files"]], dtype=np.int64)
    firsts = np.concatenate([[0], np.cumsum(-(-sizes // told["block"]))]).astype(np.int64)
    hashes = np.load(folder / HASHES, mmap_mode="r", allow_pickle=False)
    if hashes.shape != (firsts[-1], DIGEST):
        raise Problem(f"{folder / HASHES} does not belong to {TABLE}", remedy="fetch or make the tokens anew")
    return Blocks(names, sizes, firsts, hashes, int(told["block"]))


def _streams(index: Mapping[str, Any]) -> list[str]:
    return [f"{entry['folder']}/{one['file']}" for entry in index["sources"] for one in entry["streams"]]
