"""Turn what a web server answered into the main text of a page.

In goes the content of a response (header and body), out comes the text, or the reason why there is none. The body is
unpacked in bounded steps; its encoding is what a browser would take (the byte order mark, the server's word, the
page's own), unless the bytes contradict it. Extraction is left to well-kept libraries: trafilatura, set to precision,
with which FineWeb was made (Penedo et al. 2024), or resiliparse, ten times faster and less choosy. A page is read
by itself: nothing is remembered from the ones before, so the result does not depend on where reading began.
"""

import codecs
import logging
import re
import zlib
from functools import cache
from typing import Any, Literal, NamedTuple

from lhama.plan.problem import Problem

Extractor = Literal["trafilatura", "resiliparse"]
LONGEST_BODY = 32 << 20  # bytes after unpacking
LONGEST_PAGE = 5 << 20  # characters of HTML; extraction takes about a second for them
DECLARED_WITHIN = 4096  # bytes; the standard says 1024, pages say otherwise
WORTH_A_GUESS = 500  # bytes
ASCII = bytes(range(128))
HTML = {"text/html", "application/xhtml+xml"}
TEXT = {"text/plain", "text/markdown"}

_STATUS = re.compile(rb"HTTP/\d(?:\.\d)? +(\d{3})")
_CHARSET = re.compile(r"charset\s*=\s*[\"']?\s*([A-Za-z0-9_:.-]+)", re.IGNORECASE)
_DECLARED = re.compile(rb"<(?:meta[^>]{1,500}charset|\?xml[^>]{1,200}encoding)\s*=\s*[\"']?\s*([A-Za-z0-9_:.-]+)", re.I)
_LOOKS_LIKE_HTML = re.compile(rb"<(?:!doctype html|html|head|body|title|p|div)\b", re.IGNORECASE)
# Labels under which pages are really written; the standard reads the Latin ones as windows-1252.
_LATIN = {"ascii", "iso8859-1", "latin-1", "cp1252"}
_OF_THE_WEB = re.compile(
    r"utf-8|utf-16(-[lb]e)?|iso8859-\d+|cp(125\d|866|874|932|949)|koi8-[ru]|gb2312|gbk|gb18030|big5"
    r"|euc[_-](jp|kr)|shift_jis|iso2022_jp|mac-(roman|cyrillic)|hz|tis-620"
)


class NoPage(NamedTuple):
    """Why a response gives no text."""

    reason: str
    detail: str


class Response(NamedTuple):
    """The answer of a server, unpacked."""

    mime: str
    charset: str | None
    body: bytes


def page_text(response: Response, url: str, extractor: Extractor) -> str | NoPage:
    """Return the main text of a response."""
    mime = response.mime or ("text/html" if _LOOKS_LIKE_HTML.search(response.body[:DECLARED_WITHIN]) else "")
    if mime in TEXT:
        return decoded(response.body, response.charset)
    if mime not in HTML:
        return NoPage("not_a_page", f"it is {mime or 'of no known type'}")
    page = decoded(response.body, response.charset)
    if len(page) > LONGEST_PAGE:
        return NoPage("page_too_long", f"{len(page)} characters of HTML; the limit is {LONGEST_PAGE}")
    try:
        text = _extract(page, url, extractor)
    except Problem:
        raise
    except Exception as error:  # whatever a parser makes of a broken page, the next page must be read
        return NoPage("no_main_text", f"{extractor} gave up: {error!r}")
    return text if text else NoPage("no_main_text", f"{extractor} found none")


def parse_response(content: bytes) -> Response | NoPage:
    """Take a response apart: status, header, body unpacked."""
    status = _STATUS.match(content)
    if status is None:
        return NoPage("not_a_page", "it does not begin like an answer of a web server")
    if status[1] != b"200":
        return NoPage("http_error", f"the server answered {status[1].decode()}")
    head, _, body = content.partition(b"\r\n\r\n")
    if not _:
        head, _, body = content.partition(b"\n\n")
    header: dict[str, str] = {}
    for line in head.decode("latin-1").splitlines()[1:]:
        name, _, value = line.partition(":")
        header.setdefault(name.strip().lower(), value.strip())
    if "chunked" in header.get("transfer-encoding", "").lower():
        body = _joined(body)
    packed = header.get("content-encoding", "identity").lower()
    unpacked = _unpacked(body, packed)
    if isinstance(unpacked, NoPage):
        return unpacked
    return typed(header.get("content-type", ""), unpacked)


def typed(content_type: str, body: bytes) -> Response:
    """Put together what is said of a body and the body itself."""
    charset = _CHARSET.search(content_type)
    return Response(content_type.partition(";")[0].strip().lower(), charset[1] if charset else None, body)


def _joined(body: bytes) -> bytes:
    """Join the chunks of a body; one that is not in chunks (many crawlers join them before writing) stays."""
    pieces: list[bytes] = []
    at = 0
    while True:
        end = body.find(b"\r\n", at, at + 64)
        size = body[at:end].partition(b";")[0].strip()
        if end < 0 or not re.fullmatch(rb"[0-9A-Fa-f]{1,8}", size):
            return b"".join(pieces) if pieces else body
        length = int(size, 16)
        if not length:
            return b"".join(pieces)
        pieces.append(body[end + 2 : end + 2 + length])
        at = end + 2 + length + 2


def _unpacked(body: bytes, packed: str) -> bytes | NoPage:
    """Unpack a body; one that is not packed as its header says was unpacked by the crawler."""
    if packed in ("identity", "none", "") or (packed in ("gzip", "x-gzip") and not body.startswith(b"\x1f\x8b")):
        return body
    if packed not in ("gzip", "x-gzip", "deflate"):
        return NoPage("not_a_page", f"it is packed with {packed}")
    windows = [zlib.MAX_WBITS | 16] if packed != "deflate" else [zlib.MAX_WBITS, -zlib.MAX_WBITS]
    for bits in windows:
        stream = zlib.decompressobj(bits)
        try:
            unpacked = stream.decompress(body, LONGEST_BODY)
        except zlib.error:
            continue
        if stream.unconsumed_tail:
            return NoPage("page_too_long", f"it unpacks to more than {LONGEST_BODY} bytes")
        return unpacked
    return NoPage("not_a_page", f"its body is not packed with {packed}, or damaged")


def decoded(body: bytes, charset: str | None) -> str:
    """Turn bytes into text by the first of these that fits: mark, server, page, UTF-8, a guess, windows-1252."""
    for mark, name in (
        (codecs.BOM_UTF8, "utf-8"),
        (codecs.BOM_UTF16_LE, "utf-16-le"),
        (codecs.BOM_UTF16_BE, "utf-16-be"),
    ):
        if body.startswith(mark):
            return body[len(mark) :].decode(name, "replace")
    said = _DECLARED.search(body[:DECLARED_WITHIN])
    wide = b"\0" in body[:256]  # else no UTF-16, whatever the page says
    wanted = (_codec(charset), _codec(said[1].decode()) if said else None, "utf-8")
    names = [name for name in wanted if name and (wide or not name.startswith("utf-16"))]
    for declared in dict.fromkeys(names):
        try:
            return body.decode(declared)
        except UnicodeDecodeError:
            continue
    text = body.decode("utf-8", "replace")
    if text.count("\ufffd") * 10 < len(body.translate(None, ASCII)):  # a few bytes are broken, as where it was cut off
        return text
    told = [name for name in names if name != "utf-8"]
    return body.decode(told[0] if told else _guess(body), "replace")


def _codec(label: str | None) -> str | None:
    """Return the codec for a label of a web page; Python knows some under these names that are no encodings of text."""
    try:
        name = codecs.lookup(label).name if label else ""
    except LookupError:
        return None
    if name in _LATIN:
        return "cp1252"
    return name if _OF_THE_WEB.fullmatch(name) else None


def _guess(body: bytes) -> str:
    """Guess from how bytes follow each other; a few hundred tell nothing, and most such pages are Latin."""
    if len(body) < WORTH_A_GUESS:
        return "cp1252"
    from charset_normalizer import from_bytes

    best = from_bytes(body[:65536]).best()
    return (_codec(best.encoding) if best else None) or "cp1252"


def _extract(page: str, url: str, extractor: Extractor) -> str:
    return str(_library(extractor)(page, url) or "").strip()


@cache
def _library(extractor: Extractor) -> Any:
    """Return the function of a library that takes a page and its address."""
    try:
        if extractor == "resiliparse":
            from resiliparse.extract.html2text import extract_plain_text

            return lambda page, _: extract_plain_text(page, main_content=True, alt_texts=False, list_bullets=True)
        from trafilatura import extract
    except ImportError as error:
        remedy = "pip install 'lhama[web]'"
        raise Problem(f"extracting text from web pages needs {extractor}", remedy=remedy) from error
    for name in ("trafilatura", "htmldate", "courlan"):
        logging.getLogger(name).setLevel(logging.CRITICAL)  # it says of each odd page that it is odd; we count them

    # Without `deduplicate`: it remembers paragraphs of earlier pages, and what was read before would change the text.
    return lambda page, url: extract(page, url=url, favor_precision=True, include_comments=False, deduplicate=False)
