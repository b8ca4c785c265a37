"""Read units into staged parquet files, 256 MB of text each: the form in which everything can be decided and redone.

In goes a unit and where to go on, out comes one part: rows with positions, measurements and what broke, and a JSON
file beside it, written last, that says it is whole and where the next part begins. Parts depend only on the input, so
a killed stage keeps them and ends with the same bytes. A file that yields no row at all becomes a row that says so.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from lhama.corpus import engine, heldout
from lhama.corpus.measure import FIELDS, measure
from lhama.corpus.readers import READERS, Row, read_tales
from lhama.corpus.sources import SourceFile, Unit, position_of
from lhama.record.files import read_json, write_json, writing

PART_BYTES = 256 << 20
BATCH_CHARACTERS = 8 << 20
BATCH_ROWS = 8192
READ = pa.schema(
    [
        ("position", pa.int64()),
        ("id", pa.string()),
        ("text", pa.string()),
        ("url", pa.string()),
        ("meta", pa.string()),
        ("reason", pa.string()),
        ("detail", pa.string()),
        ("heldout", pa.bool_()),
        ("id_high", pa.int64()),
        ("id_low", pa.int64()),
    ]
)
STAGED = pa.schema([*READ, *(pa.field(name, kind) for name, kind in FIELDS.items())])


@dataclass(frozen=True)
class Part:
    """A part to read: the unit, and where in it to begin."""

    unit: Unit
    number: int
    folder: Path
    seed: int
    file: int = 0
    begin: int = 0
    taken: int = 0
    limit: int = PART_BYTES

    @property
    def path(self) -> Path:
        """Name the staged file."""
        return self.folder / f"{self.unit.index:06d}-{self.number:05d}.parquet"


@dataclass(frozen=True)
class Done:
    """A finished part: what it holds, and the part that follows in its unit."""

    part: Part
    documents: int
    bytes: int
    next: Part | None


def read_part(part: Part) -> Done:
    """Read one part of a unit into its staged file, unless that is there already."""
    report = part.path.with_suffix(".json")
    if not report.is_file():
        _write(part, report)
    said = read_json(report)
    following = None
    if said["next"] is not None:
        file, begin, taken = said["next"]
        following = replace(part, number=part.number + 1, file=file, begin=begin, taken=taken)
    return Done(part, said["rows"], said["bytes"], following)


def _write(part: Part, report: Path) -> None:
    rows, size, taken = 0, 0, part.taken
    following: tuple[int, int, int] | None = None
    with writing(part.path) as temporary, pq.ParquetWriter(temporary, STAGED, compression="zstd") as writer:
        for batch in _batches(part):
            if size >= part.limit:
                break
            table = _measured(batch, part.unit.source.name)
            writer.write_table(table, row_group_size=len(table))
            rows += len(table)
            size += pc.sum(table["bytes"]).as_py()
            taken += sum(not row.reason for _, _, row in batch)
            place, _, last = batch[-1]
            following = (place, last.line + 1, taken)
        else:
            following = None
    write_json(report, {"rows": rows, "bytes": size, "next": following})


Placed = tuple[int, SourceFile, Row]


def _batches(part: Part) -> Iterator[list[Placed]]:
    """Gather rows until there are many, or much text."""
    held: list[Placed] = []
    size = 0
    for placed in _rows(part):
        held.append(placed)
        size += len(placed[2].text)
        if size >= BATCH_CHARACTERS or len(held) >= BATCH_ROWS:
            yield held
            held, size = [], 0
    if held:
        yield held


def _rows(part: Part) -> Iterator[Placed]:
    """Yield the rows of a unit from the part's beginning, as many documents as the source wants."""
    wanted, taken = part.unit.source.documents, part.taken
    for place, file in enumerate(part.unit.files[part.file :], part.file):
        begin = part.begin if place == part.file else 0
        empty = begin == 0
        for row in _read(part, file, max(0, begin - 1)):
            if wanted is not None and taken >= wanted:
                return
            empty = False
            taken += not row.reason
            yield place, file, row
        if empty:
            yield place, file, Row(0, None, "", reason="empty_file", detail="no document in the whole file")


def _read(part: Part, file: SourceFile, skip: int) -> Iterator[Row]:
    source, line = part.unit.source, skip
    if file.path is None:
        yield from read_tales(source.documents or 0, part.seed, skip)
        return
    try:
        for row in READERS[file.kind](file.path, source.columns, skip):
            line = row.line
            yield row
    except OSError as error:  # a disk or network that fails while reading
        yield Row(line + 1, None, "", reason="unreadable_file", detail=str(error))


def _measured(batch: list[Placed], source: str) -> Any:
    """Make a staged table of rows: the engine measures the texts, the held-out rule looks at the names."""
    names = [row.name if row.name is not None else f"{file.label}:{row.line}" for _, file, row in batch]
    digests = [heldout.digest(source, name) for name in names]
    keys = np.frombuffer(b"".join(digest[:16] for digest in digests), dtype=">i8").reshape(-1, 2).astype(np.int64)
    rows = [row for _, _, row in batch]
    table = pa.table(
        [
            [position_of(file, row.line) for _, file, row in batch],
            names,
            [row.text for row in rows],
            [row.url for row in rows],
            [row.meta for row in rows],
            [row.reason for row in rows],
            [row.detail for row in rows],
            [heldout.is_held_out(digest) for digest in digests],
            keys[:, 0],
            keys[:, 1],
        ],
        schema=READ,
    )
    return engine.mapped(table, "text", measure, FIELDS).cast(STAGED)
