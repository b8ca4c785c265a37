"""Turn corpus shards into token streams, one shard at a time, so that a killed stage goes on where it stopped.

In go the corpus's parquet shards, out come for each source `stream-0000k.npy` (a document is `<s> ... </s>`), the
offsets of its documents, and the same for held-out text with the raw bytes of each document. A shard is a unit: it is
done when its record in `units/` is there. Memory holds a few slices of a shard (4 MB of text) for each thread.
"""

import hashlib
import re
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pyarrow import ArrowInvalid, compute, parquet

from lhama.plan.problem import Problem
from lhama.record import files
from lhama.tokens.encoder import Encoded, Encoder
from lhama.tokens.streams import StreamWriter, save_array

SLICE_BYTES = 4 << 20  # text encoded at once by a thread
UNITS = "units"
FILES = {"train": "stream-{:05d}.npy", "heldout": "heldout-part-{:05d}.npy"}

Tick = Callable[[int], None]
Entry = dict[str, Any]


def shards(corpus: Path, split: str) -> list[Path]:
    """List the shards of a split in corpus order."""
    return sorted((corpus / "data").glob(f"{split}-*.parquet"))


def text_bytes(shard: Path) -> int:
    """Return about how much text a shard holds, from its footer."""
    footer = parquet.ParquetFile(shard).metadata
    column = footer.schema.names.index("text")
    return sum(footer.row_group(group).column(column).total_uncompressed_size for group in range(footer.num_row_groups))


def slices(shard: Path, columns: list[str]) -> Iterator[Any]:
    """Read a shard in record batches of bounded size in bytes; a group of rows tells how many make such a batch."""
    with parquet.ParquetFile(shard) as file:
        column = file.metadata.schema.names.index("text")
        for number in range(file.num_row_groups):
            group = file.metadata.row_group(number)
            rows = group.num_rows * SLICE_BYTES // max(group.column(column).total_uncompressed_size, 1) + 1
            for batch in file.iter_batches(batch_size=rows, row_groups=[number], columns=columns):
                sizes = compute.binary_length(batch.column("text")).to_numpy(zero_copy_only=False)
                starts = np.flatnonzero(np.diff(np.cumsum(sizes) // SLICE_BYTES, prepend=-1))
                for start, stop in zip(starts, [*starts[1:], len(sizes)], strict=True):
                    yield batch.slice(int(start), int(stop - start))


def samples(corpus: Path) -> Iterator[tuple[str, str, str]]:
    """Yield (source, id, text) of all training documents."""
    for shard in shards(corpus, "train"):
        for batch in slices(shard, ["source", "id", "text"]):
            columns = (batch.column(name).to_pylist() for name in ("source", "id", "text"))
            yield from zip(*columns, strict=True)


def folder_of(source: str) -> str:
    """Return a folder name for a source: its own where that is safe on every file system, else with a hash."""
    if re.fullmatch(r"[a-z0-9][a-z0-9_-]{0,63}", source) and source != UNITS:
        return source
    plain = re.sub(r"[^a-z0-9_-]+", "-", source.lower())[:48].strip("-")
    return f"{plain or 'source'}-{hashlib.sha256(source.encode()).hexdigest()[:8]}"


class _Parts:
    """The arrays that one shard adds to one source, open while the shard is read."""

    def __init__(self, folder: Path, stream: Path, prefix: str, dtype: str) -> None:
        self.stream = StreamWriter(stream, dtype)
        self.prefix = folder / UNITS / prefix
        self.lengths: list[NDArray[np.int64]] = []
        self.bytes: list[NDArray[np.int64]] = []
        self.words = 0

    def append(self, encoded: Encoded, sizes: NDArray[np.int64]) -> None:
        self.stream.append(encoded.ids)
        self.lengths.append(encoded.lengths)
        self.bytes.append(sizes)

    def close(self) -> Entry:
        self.stream.__exit__(None, None, None)
        lengths, sizes = np.concatenate(self.lengths), np.concatenate(self.bytes)
        save_array(self.prefix.with_name(self.prefix.name + "-lengths.npy"), lengths)
        save_array(self.prefix.with_name(self.prefix.name + "-bytes.npy"), sizes)
        return {
            "file": self.stream.path.name,
            "prefix": self.prefix.name,
            "documents": len(lengths),
            "tokens": int(lengths.sum()),
            "bytes": int(sizes.sum()),
            "words": self.words,
        }


class _Run(NamedTuple):
    """Documents of one source that lie side by side in a shard."""

    source: str
    sizes: NDArray[np.int64]


def encode_shard(shard: Path, folder: Path, encoder: Encoder, before: Counter[str], tick: Tick) -> dict[str, Entry]:
    """Encode one shard, or return the record that an earlier start left of it.

    `before` counts the shards of this split that each source has had already: the number of the next stream.
    """
    name = shard.name.removesuffix(".parquet")
    split = name.split("-")[0]
    record = folder / UNITS / f"{name}.json"
    if record.exists():
        tick(text_bytes(shard))
        found: dict[str, Entry] = files.read_json(record)
        return found
    parts: dict[str, _Parts] = {}
    try:
        for run, texts, encoded in encoder.over(_runs(shard)):
            if run.source not in parts:
                where = folder / folder_of(run.source) / FILES[split].format(before[run.source])
                parts[run.source] = _Parts(folder, where, f"{name}-{folder_of(run.source)}", encoder.dtype)
            parts[run.source].append(encoded, run.sizes)
            if split == "heldout":
                parts[run.source].words += sum(len(text.split()) for text in texts.to_pylist())
            tick(int(run.sizes.sum()))
    except (ArrowInvalid, UnicodeDecodeError) as error:
        raise Problem(f"{shard} is damaged: {error}", remedy="make the corpus anew with `--again corpus`") from error
    entries = {source: {**part.close(), "shard": shard.name} for source, part in parts.items()}
    files.write_json(record, entries)
    return entries


def _runs(shard: Path) -> Iterator[tuple[_Run, Any]]:
    """Read the texts of a shard, split where the source changes."""
    for batch in slices(shard, ["source", "text"]):
        sizes = compute.binary_length(batch.column("text")).to_numpy(zero_copy_only=False).astype(np.int64)
        sources = compute.run_end_encode(batch.column("source"))
        stops = sources.run_ends.to_pylist()
        for source, start, stop in zip(sources.values.to_pylist(), [0, *stops], stops, strict=False):
            yield _Run(source, sizes[start:stop]), batch.column("text").slice(start, stop - start)


def assemble(folder: Path, source: str, train: list[Entry], held: list[Entry], dtype: str) -> Entry:
    """Join what the shards added to a source; return its entry in tokens.json."""
    place = folder / folder_of(source)
    place.mkdir(parents=True, exist_ok=True)
    save_array(place / "documents.npy", _offsets(_load(folder, train, "lengths")))
    if held:
        save_array(place / "heldout-documents.npy", _offsets(_load(folder, held, "lengths")))
        save_array(place / "heldout-bytes.npy", _load(folder, held, "bytes"))
        with StreamWriter(place / "heldout-stream-00000.npy", dtype) as joined:
            for one in held:
                joined.append(np.load(place / one["file"], mmap_mode="r"))
    told = ("documents", "tokens", "bytes")
    entry: Entry = {"name": source, "folder": place.name, **{key: _total(train, key) for key in told}}
    entry["streams"] = [{key: one[key] for key in ("file", "shard", "documents", "tokens")} for one in train]
    entry["heldout"] = {key: _total(held, key) for key in (*told, "words")}
    return entry


def clean(folder: Path) -> None:
    """Remove what only an unfinished stage needs."""
    for path in folder.glob("*/heldout-part-*.npy"):
        path.unlink()
    if (folder / UNITS).exists():
        files.remove_tree(folder / UNITS)
    files.remove_leftovers(folder)


def _load(folder: Path, entries: list[Entry], kind: str) -> NDArray[np.int64]:
    parts = [np.load(folder / UNITS / f"{entry['prefix']}-{kind}.npy") for entry in entries]
    return np.concatenate([np.empty(0, dtype=np.int64), *parts])


def _offsets(lengths: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.concatenate([np.zeros(1, dtype=np.int64), np.cumsum(lengths)])


def _total(entries: list[Entry], key: str) -> int:
    return sum(int(entry[key]) for entry in entries)
