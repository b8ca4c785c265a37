"""Read a dump of Wikipedia (pages-articles, plain or bz2, also multistream) into rows: one for each page.

In goes an XML file, out come rows in file order, numbered by page: the text of articles, and with a reason all that is
none. The dump is parsed as it is unpacked, one page in memory. Document type declarations are refused, because with
them come entities that expand to anything (the billion laughs); elements deeper or tokens longer than any dump's are
damage. Behind damage, in the XML or in the packed stream, reading goes on at the next <page>. Of a page with its whole
history the last revision is read.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote
from xml.parsers import expat

from lhama.corpus.bytestream import KEPT_OF_LONG_LINE, Cut, blocks
from lhama.corpus.readers import Columns, Row, as_json, broken, checked, storable
from lhama.corpus.wikitext import HIDDEN, plain_text

LONGEST_PAGE = 32 << 20  # characters; MediaWiki itself stops at two million bytes
LONGEST_TOKEN = 16 << 20  # bytes of one tag or comment; the parser would hold it whole
DEEPEST_ELEMENT = 64
FED_AT_ONCE = 1 << 16  # bytes; after damage what is left of a block is copied
ROOT, PAGE = b"<mediawiki>", b"<page>"
WANTED = {
    ("page", "title"): "title",
    ("page", "ns"): "space",
    ("page", "id"): "id",
    ("revision", "id"): "revision",
    ("revision", "timestamp"): "timestamp",
    ("revision", "model"): "model",
    ("revision", "text"): "text",
}
HIDDEN_SPACES = {"-2", "6", "14"}  # media, files, categories


@dataclass
class _Page:
    """What the dump says of a page, in pieces as the parser hands them over."""

    values: dict[str, list[str]] = field(default_factory=dict)
    redirect: str | None = None
    size: int = 0

    def value(self, name: str) -> str:
        return "".join(self.values.get(name, ()))


class _DamageError(Exception):
    """What no dump holds."""


class _RefusedError(Exception):
    """What makes a file unfit to be read at all."""


class _Dump:
    """Feed on blocks of a dump and hand over the pages that they complete."""

    def __init__(self) -> None:
        self.base = ""
        self.hidden = HIDDEN
        self._searching = False
        self._tail = b""
        self._start(b"")

    def feed(self, block: bytes) -> Iterator[_Page | Cut]:
        """Yield the pages that end in this block, and what is damaged in it."""
        while block:
            found = self._searching
            if found:
                block = self._tail + block
                at = block.find(PAGE)
                if at < 0:
                    self._tail = block[1 - len(PAGE) :]
                    return
                block = block[at:]
                self._start(ROOT)
            try:
                self._parser.Parse(block, False)
                self._fed += len(block)
                if self._fed - self._parser.CurrentByteIndex > LONGEST_TOKEN:
                    raise _DamageError(f"a tag or comment of more than {LONGEST_TOKEN} bytes")
                block = b""
                yield from self._take_done()
            except (expat.ExpatError, _DamageError) as error:
                yield from self._take_done()
                yield self._damaged("broken_xml", str(error))
                behind = self._parser.ErrorByteIndex - self._fed
                block = block[max(behind, len(PAGE) if found else 0) :]  # never the same page again

    def end(self) -> Iterator[_Page | Cut]:
        """Yield what is damaged because the file ends too early."""
        if self._searching or not self._fed:
            return
        try:
            self._parser.Parse(b"", True)
        except expat.ExpatError as error:
            yield self._damaged("truncated_file", f"the file ends too early: {error}")

    def cut(self, cut: Cut) -> Cut:
        """Give up the page in work, because the packed stream is damaged."""
        return self._damaged(cut.reason, cut.detail)

    def _start(self, root: bytes) -> None:
        self._searching, self._tail = False, b""
        self._path: list[str] = []
        self._page: _Page | None = None
        self._pieces: list[str] | None = None
        self._done: list[_Page] = []
        parser = expat.ParserCreate()
        parser.buffer_text = True
        parser.buffer_size = 1 << 16
        parser.StartElementHandler = self._open
        parser.EndElementHandler = self._close
        parser.CharacterDataHandler = self._text
        parser.StartDoctypeDeclHandler = self._refuse
        self._parser = parser
        parser.Parse(root, False)
        self._fed = len(root)

    def _take_done(self) -> list[_Page]:
        done, self._done = self._done, []
        return done

    def _damaged(self, reason: str, detail: str) -> Cut:
        page = self._page or _Page()
        where = f"page {page.value('id') or '?'} {page.value('title')!r}: " if page.values else ""
        rest = storable(page.value("text"))[:KEPT_OF_LONG_LINE].encode()
        self._searching, self._tail, self._page, self._pieces = True, b"", None, None
        return Cut(reason, where + detail, rest)

    def _refuse(self, *_: object) -> None:
        raise _RefusedError("it declares a document type, which no dump does and which can hide endless entities")

    def _open(self, name: str, attributes: dict[str, str]) -> None:
        above = self._path[-1] if self._path else ""
        self._path.append(name)
        if len(self._path) > DEEPEST_ELEMENT:
            raise _DamageError(f"elements in elements, more than {DEEPEST_ELEMENT} deep")
        if name == "page":
            self._page = _Page()
        elif self._page is None:
            if name in ("base", "namespace"):
                self._pieces, self._key = [], attributes.get("key", "")
        elif name == "redirect":
            self._page.redirect = attributes.get("title", "")
        elif wanted := WANTED.get((above, name)):
            self._pieces = self._page.values[wanted] = []
            if wanted == "text":
                self._page.size = 0

    def _close(self, name: str) -> None:
        if self._path:
            self._path.pop()
        if name == "page" and self._page is not None:
            self._done.append(self._page)
            self._page = None
        elif self._pieces is not None and self._page is None:
            said = "".join(self._pieces).strip()
            if name == "base" and not self.base:
                self.base = said.rpartition("/")[0]
            elif name == "namespace" and self._key in HIDDEN_SPACES and said:
                self.hidden |= {said.lower()}
        self._pieces = None

    def _text(self, text: str) -> None:
        if self._pieces is None:
            return
        if self._page is not None:
            self._page.size += len(text)
            if self._page.size > LONGEST_PAGE:
                return
        self._pieces.append(text)


def read_wikipedia(path: Path, columns: Columns, skip: int = 0, language: str = "pt") -> Iterator[Row]:
    """Read the pages of a dump; `language` names the site where the dump itself does not say which it is."""
    dump, number = _Dump(), 0
    try:
        for page in _pages(dump, path):
            number += 1
            if number > skip:
                yield _row(number, page, dump, language)
    except _RefusedError as error:
        yield broken(number + 1, "unreadable_file", str(error), b"")


def _pages(dump: _Dump, path: Path) -> Iterator[_Page | Cut]:
    for block in blocks(path, salvage=True):
        if isinstance(block, Cut):
            yield dump.cut(block)
        else:
            for at in range(0, len(block), FED_AT_ONCE):
                yield from dump.feed(block[at : at + FED_AT_ONCE])
    yield from dump.end()


def _row(number: int, page: _Page | Cut, dump: _Dump, language: str) -> Row:
    """Make the row of a page."""
    if isinstance(page, Cut):
        return broken(number, page.reason, page.detail, page.rest)
    title = page.value("title")
    base = dump.base or f"https://{language.partition('_')[0]}.wikipedia.org/wiki"
    url = f"{base}/{quote(title.replace(' ', '_'), safe=_PLAIN_IN_TITLES)}"
    meta = {name: page.value(name) for name in ("title", "revision", "timestamp") if page.value(name)}
    row = Row(number, page.value("id") or None, "", url, as_json(meta))
    space, model = page.value("space") or "0", page.value("model") or "wikitext"
    if page.redirect is not None:
        return row._replace(reason="redirect", detail=f"to {page.redirect!r}")
    if space != "0":
        return row._replace(reason="not_an_article", detail=f"namespace {space}: {title!r}")
    if model != "wikitext":
        return row._replace(reason="not_an_article", detail=f"the page holds {model}")
    if page.size > LONGEST_PAGE:
        return row._replace(reason="line_too_long", detail=f"a page of {page.size} characters")
    return checked(row._replace(text=plain_text(page.value("text"), dump.hidden)))


_PLAIN_IN_TITLES = ";@$!*(),/~:-._'"  # as MediaWiki writes them
