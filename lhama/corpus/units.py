"""Read units into staged parquet files, 256 MB of text each: the form in which everything can be decided and redone.

In goes a unit and where to go on, out comes one part: rows with positions, measurements and what broke, and a JSON
file beside it, written last, that says it is whole and where the next part begins. Parts depend only on the input, so
a killed stage keeps them and ends with the same bytes. A file that yields no row at all becomes a row that says so.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from lhama.corpus import engine, heldout
from lhama.corpus.cleaning import Cleaning, clean, fields_of
from lhama.corpus.domains import domain_keys
from lhama.corpus.filelist import SourceFile
from lhama.corpus.memory import give_back_memory
from lhama.corpus.opt_out import opted_out, read_opt_out
from lhama.corpus.readers import Row, read_tales
from lhama.corpus.reading import read_rows
from lhama.corpus.sources import Unit, position_of
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


DOMAIN = pa.field("domain", pa.int64())


@dataclass(frozen=True)
class Part:
    """A part to read: the unit, and where in it to begin."""

    unit: Unit
    number: int
    folder: Path
    seed: int
    cleaning: Cleaning
    opt_out: Path | None = None
    domains: bool = False
    """Whether the domain of each document is kept, because a source may have only so many of each."""
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
        give_back_memory()
    said = read_json(report)
    following = None
    if said["next"] is not None:
        file, begin, taken = said["next"]
        following = replace(part, number=part.number + 1, file=file, begin=begin, taken=taken)
    return Done(part, said["rows"], said["bytes"], following)


def _write(part: Part, report: Path) -> None:
    rows, size, taken = 0, 0, part.taken
    following: tuple[int, int, int] | None = None
    schema = pa.schema([*READ, *([DOMAIN] if part.domains else []), *fields_of(part.cleaning).items()])
    batch, batches = _go_on(part)
    with writing(part.path) as temporary, pq.ParquetWriter(temporary, schema, compression="zstd") as writer:
        while batch is not None and size < part.limit:
            table = _measured(batch, part)
            writer.write_table(table, row_group_size=len(table))
            rows += len(table)
            size += pc.sum(table["bytes"]).as_py()
            taken += sum(part.unit.source.counted(row) for _, _, row in batch)
            place, _, last = batch[-1]
            following = (place, last.line + 1, taken)
            batch = next(batches, None)
    if batch is None:
        following = None
    else:
        _keep_open(part, batch, batches)
    write_json(report, {"rows": rows, "bytes": size, "next": following})


Placed = tuple[int, SourceFile, Row]


Batch = list[Placed]

_open: dict[tuple[Path, int], tuple[Batch, Iterator[Batch]]] = {}
"""The reader of the last part of this process, by the part that follows: to begin anew there, a packed file would have
to be unpacked up to that place, and a large one again and again."""


def _keep_open(part: Part, batch: Batch, batches: Iterator[Batch]) -> None:
    following = replace(part, number=part.number + 1)
    _open[following.path, part.limit] = batch, batches


def _go_on(part: Part) -> tuple[Batch | None, Iterator[Batch]]:
    """Go on where the last part of this process ended, if this is the one that follows; else begin in the file."""
    found = _open.pop((part.path, part.limit), None)
    _open.clear()
    if found is not None:
        return found
    batches = _batches(part)
    return next(batches, None), batches


def _batches(part: Part) -> Iterator[Batch]:
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
    """Yield the rows of a unit from the part's beginning, as many documents or bytes as the source wants."""
    source, taken = part.unit.source, part.taken
    for place, file in enumerate(part.unit.files[part.file :], part.file):
        begin = part.begin if place == part.file else 0
        empty = begin == 0
        for row in _read(part, file, max(0, begin - 1)):
            if source.cap is not None and taken >= source.cap:
                return
            empty = False
            taken += source.counted(row)
            yield place, file, row
        if empty:
            yield place, file, Row(0, None, "", reason="empty_file", detail="no document in the whole file")


def _read(part: Part, file: SourceFile, skip: int) -> Iterator[Row]:
    source, line = part.unit.source, skip
    if file.path is None:
        yield from read_tales(source.documents or 0, part.seed, skip)
        return
    try:
        for row in read_rows(file, source.columns, source.reading, skip):
            line = row.line
            yield row
    except OSError as error:  # a disk or network that fails while reading
        yield Row(line + 1, None, "", reason="unreadable_file", detail=str(error))


def _measured(batch: list[Placed], part: Part) -> Any:
    """Make a table of rows: the engine cleans and measures the texts, the held-out rule looks at the names."""
    source = part.unit.source.name
    names = [row.name if row.name is not None else f"{file.label}:{row.line}" for _, file, row in batch]
    digests = [heldout.digest(source, name) for name in names]
    keys = np.frombuffer(b"".join(digest[:16] for digest in digests), dtype=">i8").reshape(-1, 2).astype(np.int64)
    rows = [row for _, _, row in batch]
    if part.opt_out is not None:
        rows = _without_opted_out(rows, names, source, part.opt_out)
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
    if part.domains:
        domains = domain_keys(row.url if not row.reason else None for row in rows)
        table = table.append_column(DOMAIN, pa.array(domains.view(np.int64)))
    return engine.mapped(table, "text", partial(clean, cleaning=part.cleaning), fields_of(part.cleaning))


def _without_opted_out(rows: list[Row], names: list[str], source: str, path: Path) -> list[Row]:
    """Leave nothing of documents whose owners want them out but the name and the reason."""
    chosen = opted_out(pa.array(names, pa.large_string()), source, _opt_out_list(path))
    return [
        Row(row.line, row.name, "", reason="opted_out", detail="its id is in corpus.opt_out") if out else row
        for row, out in zip(rows, chosen.tolist(), strict=True)
    ]


@cache
def _opt_out_list(path: Path) -> Any:
    """Read the list once in a process."""
    return read_opt_out(path)
