"""Read any file of a source into rows: the one door behind which all kinds of files stand.

In goes a file, what the recipe says of its source, and where to go on, out come its rows in order. Kinds that hold
named values (jsonl, parquet, csv, json) become documents by their text column or, as instructions, by templates.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from lhama.corpus.domains import blocklist
from lhama.corpus.filelist import SourceFile
from lhama.corpus.instruct import Instruct, make_row, read_json
from lhama.corpus.readers import Columns, Make, Row, document, read_csv, read_jsonl, read_parquet, read_txt
from lhama.corpus.readers_code import Code, read_code
from lhama.corpus.readers_warc import Web, read_warc
from lhama.corpus.readers_wikipedia import read_wikipedia
from lhama.corpus.splitting import Splitting, split_rows

OF_VALUES: dict[str, Callable[[Path, Columns, int, Make], Iterator[Row]]] = {
    "jsonl": read_jsonl,
    "csv": read_csv,
    "parquet": read_parquet,
}


@dataclass(frozen=True)
class Reading:
    """How the documents of a source are read, as plain values that travel to every worker."""

    language: str = "pt"
    instruct: Instruct | None = None
    web: Web = field(default_factory=Web)
    code: Code = field(default_factory=Code)
    splitting: Splitting | None = None


def read_rows(file: SourceFile, columns: Columns, reading: Reading, skip: int = 0) -> Iterator[Row]:
    """Read the rows of a file, but for the first `skip`."""
    if reading.splitting is None:
        yield from _rows(file, columns, reading, skip)
    else:
        yield from split_rows(_rows(file, columns, reading, 0), reading.splitting, file.label, skip)


def _rows(file: SourceFile, columns: Columns, reading: Reading, skip: int) -> Iterator[Row]:
    if file.path is None:
        raise ValueError(f"{file.label} is no file")
    if file.kind == "warc":
        yield from read_warc(file.path, columns, skip, reading.web)
        return
    for row in _of_kind(file, file.path, columns, reading, skip):
        yield _unless_blocked(row, reading.web.blocklist)


def _of_kind(file: SourceFile, path: Path, columns: Columns, reading: Reading, skip: int) -> Iterator[Row]:
    if file.kind == "wikipedia":
        return read_wikipedia(path, columns, skip, reading.language)
    if file.kind == "code":
        return read_code(path, columns, skip, label=file.label, root=file.root, code=reading.code)
    if file.kind == "txt":
        return read_txt(path, columns, skip)
    if file.kind == "json":
        return read_json(path, columns, skip, reading.instruct or Instruct(language=reading.language))
    make = partial(make_row, instruct=reading.instruct) if reading.instruct else document
    return OF_VALUES[file.kind](path, columns, skip, make)


def _unless_blocked(row: Row, path: Path | None) -> Row:
    """Give a document from a blocked address its reason."""
    if path is None or row.url is None or row.reason:
        return row
    blocked = blocklist(path).reason(row.url)
    return row._replace(reason=blocked[0], detail=blocked[1]) if blocked else row
