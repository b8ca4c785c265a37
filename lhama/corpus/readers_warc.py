"""Read web archives into rows: the text of WET files as it is, the main text of the pages in WARC files.

In goes a file of records, out come rows in file order, numbered by record, and every record gives one: a document, or
the reason why it is none. Blocked addresses are told before a page is taken apart. One record at a time is held, and
what it holds is unpacked in bounded steps.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from lhama.corpus.bytestream import Cut
from lhama.corpus.domains import blocklist
from lhama.corpus.readers import Columns, Row, as_json, broken, checked, storable
from lhama.corpus.warc import Record, records
from lhama.corpus.webpage import Extractor, NoPage, Response, page_text, parse_response, typed


@dataclass(frozen=True)
class Web:
    """What a recipe says of a source from the web: who extracts the text, and a file of what is blocked."""

    extractor: Extractor = "trafilatura"
    blocklist: Path | None = None


def read_warc(path: Path, columns: Columns, skip: int = 0, web: Web = Web()) -> Iterator[Row]:
    """Read each record of an archive."""
    for number, record in enumerate(records(path), 1):
        if number <= skip:
            continue
        if isinstance(record, Cut):
            yield broken(number, record.reason, record.detail, record.rest)
        else:
            yield _row(number, record, web)


def _row(number: int, record: Record, web: Web) -> Row:
    header = record.header
    kind = header.get("warc-type", "")
    name = storable(header.get("warc-record-id", "").strip("<>").removeprefix("urn:uuid:")) or None
    url = storable(header.get("warc-target-uri", "").strip("<>")) or None
    told = {"date": header.get("warc-date"), "languages": header.get("warc-identified-content-language")}
    meta = as_json({key: value for key, value in told.items() if value})
    row = Row(number, name, "", url, meta)
    if kind not in ("response", "conversion", "resource"):
        return row._replace(reason="not_a_page", detail=f"a record of type {kind!r}")
    blocked = blocklist(web.blocklist).reason(url) if web.blocklist and url else None
    if blocked:
        return row._replace(reason=blocked[0], detail=blocked[1])
    if kind == "conversion":
        return _wet(row, record)
    response = parse_response(record.content) if kind == "response" else _resource(record)
    text = response if isinstance(response, NoPage) else page_text(response, url or "", web.extractor)
    if isinstance(text, NoPage):
        return row._replace(reason=text.reason, detail=storable(text.detail))
    return checked(row._replace(text=text))


def _wet(row: Row, record: Record) -> Row:
    """Take the text of a WET record, in which the crawler has extracted it."""
    try:
        return checked(row._replace(text=record.content.decode()))
    except UnicodeDecodeError as error:
        rest = broken(row.line, "bad_utf8", f"{error.reason} at byte {error.start}", record.content)
        return row._replace(text=rest.text, reason=rest.reason, detail=rest.detail)


def _resource(record: Record) -> Response:
    """Take a file that was archived without the talk of the server."""
    return typed(record.header.get("content-type", ""), record.content)
