"""Plan and write the final parquet shards, and read them back for the rooms to come.

In go staged rows with their verdicts, out come data/train-*, data/heldout-* and rejected/rejected-*.parquet. A shard is
a span of positions, planned before anything is written; so its name can tell the total, each shard is a unit of work of
its own, and the same rows make the same bytes whoever writes them, in whatever order, how often it was killed.
"""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from lhama.corpus.cleaning import final_text
from lhama.corpus.decisions import Decisions, new_name, original_of
from lhama.corpus.judge import HELDOUT, judge
from lhama.corpus.judging import KEPT, Judging, Verdicts
from lhama.corpus.places import Places
from lhama.corpus.staged import Integers, Staged, find
from lhama.plan.problem import Problem
from lhama.record.files import writing

TRAIN, REJECTED = "train", "rejected"
FOLDERS = {TRAIN: "data", HELDOUT: "data", REJECTED: "rejected"}
ROW_GROUP_BYTES = 32 << 20
DOCUMENT = pa.schema([(name, pa.string()) for name in ("id", "text", "source", "language", "license", "url", "meta")])
REJECT = pa.schema(
    [*DOCUMENT, ("reason", pa.string()), ("detail", pa.string()), ("file", pa.string()), ("line", pa.int64())]
)


@dataclass(frozen=True)
class Shard:
    """A span of positions and the split whose rows of that span belong into the file, with the bytes of their texts."""

    split: str
    number: int
    first: int
    last: int
    rows: int
    bytes: int

    def path(self, folder: Path, total: int) -> Path:
        """Name the file as the Hub does."""
        return folder / FOLDERS[self.split] / f"{self.split}-{self.number:05d}-of-{total:05d}.parquet"


class Planner:
    """Cut each split into spans of about the same amount of text."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._open: dict[str, tuple[int, int, int, int]] = {}  # first, last, rows, bytes
        self._shards: dict[str, list[Shard]] = {TRAIN: [], HELDOUT: [], REJECTED: []}

    def add(self, positions: Integers, verdicts: Any, sizes: Integers) -> None:
        """Take the next rows with their verdicts and the bytes that each will have."""
        for split in self._shards:
            chosen = split_mask(verdicts, split)
            for position, size in zip(positions[chosen].tolist(), sizes[chosen].tolist(), strict=True):
                first, _, rows, held = self._open.get(split, (position, position, 0, 0))
                self._open[split] = (first, position, rows + 1, held + size)
                if held + size >= self._limit:
                    self._close(split)

    def _close(self, split: str) -> None:
        first, last, rows, size = self._open.pop(split)
        self._shards[split].append(Shard(split, len(self._shards[split]), first, last, rows, size))

    def shards(self) -> dict[str, list[Shard]]:
        """Return the plan; a corpus without held-out documents still has a shard that says so, empty."""
        for split in list(self._open):
            self._close(split)
        for split in (TRAIN, HELDOUT):
            if not self._shards[split]:
                self._shards[split].append(Shard(split, 0, 0, -1, 0, 0))
        return self._shards


def split_mask(verdicts: Any, split: str) -> Any:
    """Tell the rows that belong to a split."""
    if split == TRAIN:
        return verdicts == KEPT
    return verdicts == HELDOUT if split == HELDOUT else (verdicts != KEPT) & (verdicts != HELDOUT)


@dataclass(frozen=True)
class Writing:
    """What every shard is made from."""

    staged: Path
    folder: Path
    places: Places
    decisions: Decisions
    judging: Judging


def write_shard(work: Writing, shard: Shard, total: int) -> int:
    """Write one shard, unless an earlier process did, and return its rows."""
    path = shard.path(work.folder, total)
    if path.is_file():
        return shard.rows
    path.parent.mkdir(exist_ok=True)
    schema = REJECT if shard.split == REJECTED else DOCUMENT
    rows, written = 0, 0
    with writing(path) as temporary, pq.ParquetWriter(temporary, schema, compression="zstd") as writer:
        held: list[Any] = []
        size = 0
        for table in _rows_of(work, shard):
            held.append(table.cast(schema))
            rows += len(table)
            more = pc.sum(pc.binary_length(table["text"])).as_py()
            size, written = size + more, written + more
            if size >= ROW_GROUP_BYTES:
                _write_group(writer, held)
                held, size = [], 0
        if held:
            _write_group(writer, held)
    if (rows, written) != (shard.rows, shard.bytes):
        path.unlink()
        planned = f"{shard.rows} rows of {shard.bytes} bytes"
        raise RuntimeError(f"{path.name} was planned with {planned} and got {rows} of {written}")
    return rows


def _write_group(writer: Any, tables: list[Any]) -> None:
    table = pa.concat_tables(tables)
    writer.write_table(table, row_group_size=len(table))


def _rows_of(work: Writing, shard: Shard) -> Iterator[Any]:
    if not shard.rows:
        return
    columns = ["id", "text", "url", "meta", "detail", *work.judging.columns]
    columns += ["clean"] if shard.split == TRAIN else []
    columns += [f"score_{name}" for name, _ in work.judging.buckets]
    for table in Staged(work.staged).tables(list(dict.fromkeys(columns)), shard.first, shard.last):
        positions = table["position"].to_numpy()
        verdicts = judge(table, work.decisions, work.judging, work.places.source_numbers(positions))
        chosen = split_mask(verdicts, shard.split) & (positions >= shard.first) & (positions <= shard.last)
        if chosen.any():
            yield _finished(table.filter(chosen), verdicts[chosen], work, shard.split)


def _finished(table: Any, verdicts: Any, work: Writing, split: str) -> Any:
    """Give read rows the columns of the corpus; only training text is the cleaned one."""
    places, decisions = work.places, work.decisions
    positions = table["position"].to_numpy()
    ids = table["id"].to_pylist()
    found, where = find(decisions.names.renamed, positions)
    for row in np.flatnonzero(found):
        place = f"{places.label(int(positions[row]))}:{places.line(int(positions[row]))}"
        ids[row] = new_name(ids[row], int(decisions.names.suffixes[where[row]]), place)
    numbers = places.source_numbers(positions)
    sources = [places.sources[number] for number in numbers]
    names = [source.name for source in sources]
    if split == TRAIN:  # a held-out document is measured in its own source, whatever a classifier says
        names = buckets_of(table, numbers, places, work.judging).tolist()
    columns: dict[str, Any] = {
        "id": pa.array(ids, pa.string()),
        "text": _training_text(table, numbers, work) if split == TRAIN else table["text"],
        "source": pa.array(names, pa.string()),
        "language": pa.array([source.language for source in sources], pa.string()),
        "license": pa.array([source.license for source in sources], pa.string()),
        "url": table["url"],
        "meta": table["meta"],
    }
    if split == REJECTED:
        columns["reason"] = pa.array(verdicts.tolist(), pa.string())
        columns["detail"] = pa.array([*_details(table, verdicts, work)], pa.string())
        columns["file"] = pa.array([places.label(position) for position in positions.tolist()], pa.string())
        columns["line"] = pa.array([places.line(position) for position in positions.tolist()], pa.int64())
    return pa.table(columns)


def _training_text(table: Any, numbers: Integers, work: Writing) -> Any:
    """Return the cleaned texts without the lines that repeat in their source."""
    text = final_text(table)
    if work.decisions.lines is None:
        return text
    from lhama.corpus.boilerplate import without
    from lhama.corpus.spans import column_of
    from lhama.corpus.words import texts_of

    pieces = []
    cuts = [0, *(np.flatnonzero(np.diff(numbers)) + 1).tolist(), len(numbers)]
    for begin, end in itertools.pairwise(cuts):  # rows are in the order of sources
        name = work.places.sources[int(numbers[begin])].name
        orders = table["position"].to_numpy()[begin:end]
        left = without(texts_of(text.slice(begin, end - begin)), orders, name, work.decisions.lines)
        pieces.append(column_of(left.texts))
    return pa.chunked_array(pieces, pa.large_string())


def buckets_of(table: Any, numbers: Integers, places: Places, judging: Judging) -> Verdicts:
    """Name the source of each row: SOURCE, or SOURCE-CLASSIFIER where a bucket's score reaches its threshold."""
    names: Verdicts = np.array([source.name for source in places.sources], dtype=object)[numbers]
    for bucket, threshold in reversed(judging.buckets):
        chosen = table[f"score_{bucket}"].to_numpy() >= threshold
        names[chosen] = [f"{places.sources[number].name}-{bucket}" for number in numbers[chosen]]
    return names


def _details(table: Any, verdicts: Any, work: Writing) -> Iterator[str]:
    said = zip(table["position"].to_pylist(), table["detail"].to_pylist(), verdicts.tolist(), strict=True)
    for position, detail, verdict in said:
        yield detail or detail_of(position, verdict, work.decisions, work.places)


def detail_of(position: int, verdict: str, decisions: Decisions, places: Places) -> str:
    """Say where the document stands that a repeated one repeats."""
    first = original_of(position, verdict, decisions)
    if first is None:
        return ""
    said = "the same text as" if verdict in ("exact_duplicate", "copy_of_heldout") else "nearly, or a part of,"
    said = "holds" if verdict == "holds_heldout" else said
    return f"{said} {places.source(first).name}: {places.label(first)}:{places.line(first)}"


def documents(folder: Path, split: str = TRAIN, columns: Sequence[str] | None = None) -> Iterator[Any]:
    """Yield the documents of a finished corpus as Arrow record batches, in corpus order."""
    paths = sorted((folder / FOLDERS[split]).glob(f"{split}-*.parquet"))
    if not paths and split != REJECTED:
        raise Problem(f"{folder} holds no {split} shard", remedy="do the corpus stage: lhama corpus RECIPE")
    for path in paths:
        with pq.ParquetFile(path) as file:
            yield from file.iter_batches(batch_size=1024, columns=list(columns) if columns else None)
