"""Turn one file of any kind into rows: a document, or what stood where one should be, with the reason.

In goes a file of a source; out come `Row`s in file order, each with the number of its line (jsonl, csv: of its first
line; parquet: of its row). Nothing is skipped in silence but blank lines. These readers are ours because those of the
engines give up a whole file at its first broken line; what they make is fed to the engine as Arrow batches.
"""

import csv
import itertools
import json
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from lhama.corpus.bytestream import LONGEST_LINE, Cut, lines

WHOLE_TXT = 16 << 20  # bytes; a larger .txt is taken for many documents with blank lines between them
TXT_STRETCH = 1 << 20  # bytes; where such a file has no blank lines, a document ends at the first line end past this
PARQUET_ROWS = 1024
PARQUET_BYTES = 64 << 20  # of a column in a batch, as far as the file tells beforehand
_ENCODER = json.JSONEncoder(ensure_ascii=False, default=str)  # made once: json.dumps makes one for each row
DEEPEST = 200  # levels of lists and objects in a row; Python's own limit depends on who calls


class Columns(NamedTuple):
    """Where a source keeps what we need."""

    text: str = "text"
    id: str = "id"
    url: str = "url"


class Row(NamedTuple):
    """A document, or with a `reason` the remains of one."""

    line: int
    name: str | None
    text: str
    url: str | None = None
    meta: str = "{}"
    reason: str = ""
    detail: str = ""


def broken(line: int, reason: str, detail: str, rest: bytes) -> Row:
    """Keep what cannot be read in a form that every Unicode column takes; bytes that are no text become \\xNN."""
    return Row(line, None, rest.decode("utf-8", "backslashreplace"), reason=reason, detail=storable(detail))


def document(line: int, values: dict[str, Any], columns: Columns) -> Row:
    """Make a row of named values: text, id and address are taken out, the others become `meta`."""
    text = values.pop(columns.text, None)
    name, url = _name(values, columns.id), _address(values, columns.url)
    meta = as_json(values) if values else "{}"
    if text is None:
        return Row(line, name, "", url, meta, "missing_text", f"no value under {columns.text!r}")
    if not isinstance(text, str):
        detail = f"{columns.text!r} holds {type(text).__name__}, not text"
        return Row(line, name, as_json(text), url, meta, "wrong_type", detail)
    return checked(Row(line, name, text, url, meta))


def checked(row: Row) -> Row:
    """Give a document whose text no file can hold its reason."""
    if "\0" in row.text:
        place = row.text.index("\0")
        return row._replace(text=storable(row.text), reason="nul_bytes", detail=f"at character {place}")
    try:
        row.text.encode()
    except UnicodeEncodeError as error:
        detail = f"lone surrogate U+{ord(row.text[error.start]):04X} at character {error.start}"
        return row._replace(text=storable(row.text), reason="bad_utf8", detail=detail)
    return row


def _name(values: dict[str, Any], column: str) -> str | None:
    """Take the id out: text or a whole number; anything else stays in `meta`, and the file and line will name it."""
    name = values.pop(column, None)
    if isinstance(name, int) and not isinstance(name, bool):
        return str(name)
    if isinstance(name, str) and name:
        return storable(name)
    if name is not None:
        values[column] = name
    return None


def _address(values: dict[str, Any], column: str) -> str | None:
    url = values.pop(column, None)
    if isinstance(url, str):
        return storable(url)
    if url is not None:
        values[column] = url
    return None


def storable(text: str) -> str:
    """Spell out lone surrogates, which no UTF-8 file can hold."""
    return text.encode("utf-8", "backslashreplace").decode()


def as_json(value: Any) -> str:
    """Write what else is known of a document."""
    return storable(_ENCODER.encode(value))


Make = Callable[[int, dict[str, Any], Columns], Row]
"""What makes a row of the named values at a line."""


def read_jsonl(path: Path, columns: Columns, skip: int = 0, make: Make = document) -> Iterator[Row]:
    """Read one JSON object a line."""
    for number, line in lines(path):
        if number <= skip:
            continue
        if isinstance(line, Cut):
            yield broken(number, line.reason, line.detail, line.rest)
        elif line.strip():
            yield _json_line(number, line, columns, make)


def _json_line(number: int, line: bytes, columns: Columns, make: Make) -> Row:
    if b"\0" in line:
        return broken(number, "nul_bytes", f"at byte {line.index(0)}", line)
    try:
        value = json.loads(line.decode())
        if line.count(b"[") + line.count(b"{") > DEEPEST and too_deep(value):
            raise RecursionError
    except UnicodeDecodeError as error:
        return broken(number, "bad_utf8", f"{error.reason} at byte {error.start}", line)
    except RecursionError:
        return broken(number, "broken_line", "nested too deeply", line)
    except ValueError as error:
        return broken(number, "broken_line", str(error), line)
    if not isinstance(value, dict):
        return broken(number, "wrong_type", f"{type(value).__name__}, not an object", line)
    return make(number, value, columns)


def too_deep(value: Any) -> bool:
    """Tell whether lists and objects are nested so deeply that writing them down again may fail."""
    level = [value]
    for _ in range(DEEPEST):
        level = [inner for outer in level for inner in _inside(outer) if isinstance(inner, dict | list)]
    return bool(level)


def _inside(value: Any) -> Any:
    return value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()


class _Remembering:
    """Feed decoded lines to the CSV parser and remember those of the record in work, for when it breaks."""

    def __init__(self, path: Path) -> None:
        self.number = 0
        self.taken: list[bytes] = []
        self.cut: Cut | None = None
        self._lines = lines(path)

    def __iter__(self) -> Iterator[str]:
        for number, line in self._lines:
            self.number = number
            if isinstance(line, Cut):
                self.cut = line
                return
            self.taken.append(line)
            yield line.decode("utf-8", "surrogateescape") + "\n"


def read_csv(path: Path, columns: Columns, skip: int = 0, make: Make = document) -> Iterator[Row]:
    """Read a table with a header line; the separator is the most frequent of comma, semicolon and tab in it."""
    csv.field_size_limit(LONGEST_LINE)
    feed = _Remembering(path)
    source = iter(feed)
    header_line = next(source, "")
    separator = max(",;\t", key=header_line.count)
    header = next(csv.reader([header_line], delimiter=separator), [])
    table = csv.reader(source, delimiter=separator, strict=True)
    while True:
        first = feed.number + 1
        feed.taken.clear()
        try:
            cells = next(table, None)
        except csv.Error as error:
            yield broken(first, "broken_line", str(error), b"\n".join(feed.taken))
            continue
        if cells is None:
            break
        if first > skip and cells:
            values = _csv_values(first, cells, header, b"\n".join(feed.taken))
            yield values if isinstance(values, Row) else make(first, values, columns)
    if feed.cut is not None:
        yield broken(feed.number, feed.cut.reason, feed.cut.detail, feed.cut.rest)


def _csv_values(line: int, cells: list[str], header: list[str], raw: bytes) -> Row | dict[str, Any]:
    if b"\0" in raw:
        return broken(line, "nul_bytes", f"at byte {raw.index(0)}", raw)
    try:
        raw.decode()
    except UnicodeDecodeError as error:
        return broken(line, "bad_utf8", f"{error.reason} at byte {error.start}", raw)
    if len(cells) != len(header):
        return broken(line, "broken_line", f"{len(cells)} fields where the header has {len(header)}", raw)
    return dict(zip(header, cells, strict=True))


def read_txt(path: Path, columns: Columns, skip: int = 0) -> Iterator[Row]:
    """Read plain text: one document a file; past 16 MB, documents with blank lines between them."""
    many = path.stat().st_size > WHOLE_TXT
    first, held, size = 1, list[bytes](), 0
    for number, line in lines(path):
        if isinstance(line, Cut):
            yield broken(number, line.reason, line.detail, b"\n".join((*held, line.rest)))
            return
        blank = many and not line.strip()
        if blank or (many and size > TXT_STRETCH):
            if held and first > skip:
                yield _txt_document(first, held)
            first, held, size = number + blank, [], 0
            if blank:
                continue
        held.append(line)
        size += len(line) + 1
        if size > LONGEST_LINE:  # unpacked far beyond what the file's size promised
            yield broken(first, "line_too_long", f"a document of more than {LONGEST_LINE} bytes", held[0][:65536])
            return
    if held and first > skip:
        yield _txt_document(first, held)


def _txt_document(line: int, held: list[bytes]) -> Row:
    raw = b"\n".join(held)
    if b"\0" in raw:
        return broken(line, "nul_bytes", f"at byte {raw.index(0)}", raw)
    try:
        return Row(line, None, raw.decode())
    except UnicodeDecodeError as error:
        return broken(line, "bad_utf8", f"{error.reason} at byte {error.start}", raw)


def read_parquet(path: Path, columns: Columns, skip: int = 0, make: Make = document) -> Iterator[Row]:
    """Read a parquet file row by row; strings pass as bytes, because Arrow does not check that they are UTF-8."""
    number = 0
    try:
        with pq.ParquetFile(path) as file:
            for group in range(file.num_row_groups):
                rows = file.metadata.row_group(group).num_rows
                if number + rows <= skip:
                    number += rows
                    continue
                size = _batch_rows(path, file.metadata.row_group(group))
                for batch in file.iter_batches(batch_size=size, row_groups=[group]):
                    names, cells = batch.schema.names, [_cells(column) for column in batch.columns]
                    for values in zip(*cells, strict=True):
                        number += 1
                        if number > skip:
                            yield _parquet_row(number, dict(zip(names, values, strict=True)), columns, make)
    except (pa.ArrowException, OSError) as error:
        yield broken(number + 1, "unreadable_file", str(error), b"")


def _batch_rows(path: Path, group: Any) -> int:
    """Say how many rows of a group may be held at once: a value that stands once in the file may fill all rows."""
    rows = PARQUET_ROWS
    with path.open("rb") as file:
        for place in range(group.num_columns):
            column = group.column(place)
            largest = column.total_uncompressed_size // max(1, group.num_rows)
            if column.has_dictionary_page and column.dictionary_page_offset:
                file.seek(column.dictionary_page_offset)
                largest = max(largest, _page_bytes(file.read(16)))
            rows = min(rows, PARQUET_BYTES // max(1, largest))
    return max(1, rows)


def _page_bytes(header: bytes) -> int:
    """Read the unpacked size of a page from its header: field 2 in Thrift's compact form, a zigzag number."""
    numbers: list[int] = []
    at = 0
    while len(numbers) < 2 and at < len(header) and header[at] == 0x15:  # the next field, a 32-bit number
        number = shift = 0
        while (at := at + 1) < len(header):
            number |= (header[at] & 0x7F) << shift
            shift += 7
            if header[at] < 0x80:
                break
        numbers.append(number >> 1)
        at += 1
    return numbers[1] if len(numbers) == 2 else 0


def _cells(column: Any) -> list[Any]:
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if not (pa.types.is_string(column.type) or pa.types.is_large_string(column.type)):
        try:
            return list(column.to_pylist())
        except UnicodeDecodeError:
            return ["(not UTF-8)"] * len(column)
    wide = pa.types.is_large_string(column.type)
    return list(column.view(pa.large_binary() if wide else pa.binary()).to_pylist())


def _parquet_row(line: int, values: dict[str, Any], columns: Columns, make: Make) -> Row:
    for name, value in values.items():
        if isinstance(value, bytes):
            if len(value) > LONGEST_LINE:
                detail = f"{name!r} holds {len(value)} bytes; the limit is {LONGEST_LINE}"
                return broken(line, "line_too_long", detail, value[:65536])
            try:
                values[name] = value.decode()
            except UnicodeDecodeError as error:
                if name == columns.text:
                    return broken(line, "bad_utf8", f"{error.reason} at byte {error.start}", value)
                values[name] = value.decode("utf-8", "backslashreplace")
        elif isinstance(value, float) and math.isnan(value):
            values[name] = None
    return make(line, values, columns)


def read_tales(count: int, seed: int, skip: int = 0) -> Iterator[Row]:
    """Write the embedded teaching corpus."""
    from lhama.corpus.tales import documents

    for number, tale in enumerate(itertools.islice(documents(count, seed), skip, None), skip + 1):
        meta = as_json({"kind": tale.kind, "hero": tale.hero, "action": tale.action, "object": tale.object})
        yield Row(number, tale.id, tale.text, None, meta)
