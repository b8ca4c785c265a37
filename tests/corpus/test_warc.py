"""Records of web archives become rows, each with its text or its reason, whatever is wrong with their neighbours."""

import gzip
import zlib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lhama.corpus import warc, webpage
from lhama.corpus.bytestream import Cut
from lhama.corpus.readers import Columns, Row
from lhama.corpus.readers_warc import Web, read_warc
from lhama.corpus.warc import Record, records
from lhama.corpus.webpage import NoPage, Response, decoded, page_text, parse_response

COLUMNS = Columns()
PARAGRAPH = "A lhama atravessou a serra devagar, porque a estrada era longa e ninguém tinha pressa de chegar à vila. "


def record(number: int, content: bytes, kind: str = "response", length: object = None, more: str = "") -> bytes:
    header = (
        f"WARC/1.0\r\nWARC-Type: {kind}\r\nWARC-Record-ID: <urn:uuid:id-{number}>\r\n"
        f"WARC-Target-URI: http://exemplo.com.br/{number}\r\nWARC-Date: 2024-01-01T00:00:00Z\r\n{more}"
        f"Content-Length: {len(content) if length is None else length}\r\n\r\n"
    )
    return header.encode() + content + b"\r\n\r\n"


def wet(number: int, text: str | None = None) -> bytes:
    return record(number, (text or f"{number}. {PARAGRAPH}").encode(), "conversion")


def answer(body: bytes, mime: str = "text/html; charset=utf-8", more: str = "", status: str = "200 OK") -> bytes:
    return f"HTTP/1.1 {status}\r\nContent-Type: {mime}\r\n{more}\r\n".encode() + body


def html(text: str, head: str = "") -> str:
    menu = "".join(f'<li><a href="/{n}">Menu {n}</a></li>' for n in range(20))
    paragraphs = "".join(f"<p>{text} {n}</p>" for n in range(5))
    return (
        f"<!DOCTYPE html><html><head><title>T</title>{head}</head><body><nav><ul>{menu}</ul></nav>"
        f"<article><h1>Manchete</h1>{paragraphs}</article><footer>Todos os direitos reservados</footer></body></html>"
    )


def written(folder: Path, data: bytes, name: str = "a.warc") -> Path:
    path = folder / name
    path.write_bytes(data)
    return path


FAST = Web("resiliparse")


def read(path: Path, skip: int = 0, web: Web = FAST) -> list[Row]:
    return list(read_warc(path, COLUMNS, skip, web))


def packed(*members: bytes) -> bytes:
    return b"".join(gzip.compress(member, mtime=0) for member in members)


def test_a_wet_record_is_a_document_with_name_address_and_date(tmp_path: Path) -> None:
    more = "WARC-Identified-Content-Language: por,eng\r\n"
    data = record(0, b"software: x", "warcinfo") + record(1, "Olá,\nmundo.".encode(), "conversion", more=more)
    first, second = read(written(tmp_path, packed(data)))
    assert (first.reason, first.text, first.line) == ("not_a_page", "", 1)
    meta = '{"date": "2024-01-01T00:00:00Z", "languages": "por,eng"}'
    assert second == Row(2, "id-1", "Olá,\nmundo.", "http://exemplo.com.br/1", meta)


@pytest.mark.parametrize("extractor", ["trafilatura", "resiliparse"])
def test_of_a_page_the_main_text_is_read(tmp_path: Path, extractor: webpage.Extractor) -> None:
    data = record(1, answer(html(PARAGRAPH).encode())) + record(2, html(PARAGRAPH).encode(), "resource")
    rows = read(written(tmp_path, packed(data)), web=Web(extractor))
    assert [row.reason for row in rows] == ["", ""]
    for row in rows:
        assert row.text.count("atravessou a serra devagar") == 5
        assert "Menu" not in row.text
        assert "direitos reservados" not in row.text
    assert rows[1].text == rows[0].text


def test_a_page_reads_the_same_whatever_came_before(tmp_path: Path) -> None:
    """trafilatura's own removal of repeated paragraphs remembers earlier pages; the third like page came out empty."""
    pages = [record(number, answer(html(PARAGRAPH).encode())) for number in range(6)]
    rows = read(written(tmp_path, b"".join(pages)), web=Web("trafilatura"))
    assert len({row.text for row in rows}) == 1
    assert rows[0].text


ANSWERS = [
    (answer(b"", status="404 Not Found"), "http_error"),
    (answer(b"\x89PNG", "image/png"), "not_a_page"),
    (answer(b"x", more="Content-Encoding: br\r\n"), "not_a_page"),
    (answer(b"\x1f\x8bbroken", more="Content-Encoding: gzip\r\n"), "not_a_page"),
    (b"no answer at all", "not_a_page"),
    (b"", "not_a_page"),
    (answer(b"<html><body></body></html>"), "no_main_text"),
]


@pytest.mark.parametrize(("content", "reason"), ANSWERS)
def test_answers_without_text_have_their_reason(tmp_path: Path, content: bytes, reason: str) -> None:
    rows = read(written(tmp_path, record(1, content) + wet(2)))
    assert [row.reason for row in rows] == [reason, ""]
    assert rows[0].url == "http://exemplo.com.br/1"


def test_bodies_in_chunks_and_packed_are_unpacked() -> None:
    page = html("ção").encode()
    chunks = b"".join(
        b"%x;a=b\r\n%s\r\n" % (len(page[at : at + 100]), page[at : at + 100]) for at in range(0, len(page), 100)
    )
    raw = zlib.compressobj(wbits=-15)
    cases = {
        "Transfer-Encoding: chunked\r\n": chunks + b"0\r\n\r\n",
        "Transfer-Encoding: Chunked\r\n": page,  # joined by the crawler
        "Content-Encoding: gzip\r\n": gzip.compress(page),
        "Content-Encoding: GZIP\r\n": page,
        "Content-Encoding: deflate\r\n": zlib.compress(page),
        "Content-Encoding: deflate\r\nX: y\r\n": raw.compress(page) + raw.flush(),
    }
    for more, body in cases.items():
        assert parse_response(answer(body, more=more)) == Response("text/html", "utf-8", page), more


def test_a_bomb_inside_a_page_is_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webpage, "LONGEST_BODY", 1 << 20)
    bomb = answer(gzip.compress(bytes(64 << 20)), more="Content-Encoding: gzip\r\n")
    assert len(bomb) < 100_000
    rows = read(written(tmp_path, record(1, bomb) + wet(2)))
    assert [row.reason for row in rows] == ["page_too_long", ""]
    monkeypatch.setattr(webpage, "LONGEST_PAGE", 1000)
    found = page_text(Response("text/html", None, b"<p>" + b"a" * 2000), "", "resiliparse")
    assert isinstance(found, NoPage) and found.reason == "page_too_long"


@pytest.mark.parametrize(
    ("body", "charset", "text"),
    [
        ("ação".encode(), None, "ação"),
        ("ação".encode("cp1252"), "ISO-8859-1", "ação"),
        ("ação “x”".encode("cp1252"), "latin1", "ação “x”"),
        ("ação".encode("cp1252"), "utf-8", "ação"),
        ('<meta charset="windows-1252">ação'.encode("cp1252"), None, '<meta charset="windows-1252">ação'),
        ('<meta charset="utf-16">ação'.encode(), None, '<meta charset="utf-16">ação'),
        ("ação".encode("utf-16-le"), "utf-16le", "ação"),
        ("\ufeffação".encode("utf-16"), None, "\ufeffação"),
        ("\ufeffação".encode(), "latin1", "ação"),
        (b"xn--80ak6aa92e", "punycode", "xn--80ak6aa92e"),
        (b"\\u0041", "unicode_escape", "\\u0041"),
        ("ação".encode(), "no-such-thing", "ação"),
        (b"a\x81b", "windows-1252", "a\ufffdb"),
        (("ação, " * 20).encode()[:-4], None, "ação, " * 19 + "aç\ufffd"),
        (("Привет, мир. Как дела? " * 40).encode("cp1251"), None, "Привет, мир. Как дела? " * 40),
    ],
)
def test_encodings_are_what_a_browser_takes_unless_the_bytes_contradict(
    body: bytes, charset: str | None, text: str
) -> None:
    assert decoded(body, charset) == text


@given(st.binary(max_size=300), st.sampled_from([None, "utf-8", "iso-8859-1", "utf-16", "gb18030", "hz", "x"]))
@settings(deadline=None)
def test_any_bytes_become_text(body: bytes, charset: str | None) -> None:
    decoded(body, charset)
    parse_response(b"HTTP/1.1 200 OK\r\n" + body)


# Damage: what both libraries for this format do with the same files stands in docs/sources.md.
GOOD = [wet(number) for number in range(6)]
TEXTS = [f"{number}. {PARAGRAPH}" for number in range(6)]


def damaged(number: int, change: bytes) -> list[bytes]:
    return [*GOOD[:number], change, *GOOD[number + 1 :]]


def hurt(member: bytes) -> bytes:
    return member[:60] + bytes(4) + member[64:]


PLAIN: dict[str, tuple[bytes, str]] = {
    "length too small": (b"".join(damaged(2, record(2, TEXTS[2].encode(), "conversion", 50))), "wrong_length"),
    "length too large": (b"".join(damaged(2, record(2, TEXTS[2].encode(), "conversion", 180))), "wrong_length"),
    "length beyond the file": (b"".join(damaged(2, record(2, b"x", "conversion", 10**6))), "wrong_length"),
    "length beyond all": (b"".join(damaged(2, record(2, b"x", "conversion", 10**15))), "line_too_long"),
    "length no number": (b"".join(damaged(2, record(2, b"x", "conversion", "abc"))), "broken_record"),
    "length negative": (b"".join(damaged(2, record(2, b"x", "conversion", -5))), "broken_record"),
    "length missing": (
        b"".join(damaged(2, record(2, b"x", length="").replace(b"Content-Length: ", b""))),
        "broken_record",
    ),
    "garbage between": (b"".join(damaged(2, b"lixo\n" * 50)), "broken_record"),
    "header without end": (b"".join(damaged(2, b"WARC/1.0\r\n" + b"a: b\r\n" * 20_000)), "broken_record"),
    "gz member damaged": (packed(*GOOD[:2]) + hurt(packed(GOOD[2])) + packed(*GOOD[3:]), "truncated_file"),
    "gz member cut": (packed(*GOOD[:2]) + packed(GOOD[2])[:80] + packed(*GOOD[3:]), "truncated_file"),
    "gz garbage between": (packed(*GOOD[:2]) + b"lixo" * 50 + packed(*GOOD[3:]), "truncated_file"),
}


@pytest.mark.parametrize("case", PLAIN)
def test_damage_costs_one_record(case: str, tmp_path: Path) -> None:
    data, reason = PLAIN[case]
    rows = read(written(tmp_path, data))
    assert [row.text for row in rows if not row.reason] == [*TEXTS[:2], *TEXTS[3:]]
    assert [(row.line, row.reason) for row in rows if row.reason] == [(3, reason)]


@pytest.mark.parametrize("pack", [bytes, lambda data: packed(*GOOD)])
@pytest.mark.parametrize("share", [0.3, 0.7, 0.99])
def test_a_file_that_ends_too_early_keeps_what_came_before(pack: object, share: float, tmp_path: Path) -> None:
    assert callable(pack)
    data = pack(b"".join(GOOD))
    rows = read(written(tmp_path, data[: int(len(data) * share)]))
    *whole, last = rows
    assert [row.text for row in whole] == TEXTS[: len(whole)]
    assert last.reason == "truncated_file"
    assert len(whole) >= int(6 * share) - 1


def test_one_stream_for_many_records_is_read_too(tmp_path: Path) -> None:
    assert [row.text for row in read(written(tmp_path, gzip.compress(b"".join(GOOD))))] == TEXTS


def test_line_ends_and_blank_lines_may_vary(tmp_path: Path) -> None:
    loose = b"\n\n".join(one.strip(b"\r\n").replace(b"\r\n", b"\n") for one in GOOD)
    assert [row.text for row in read(written(tmp_path, b"\r\n" + loose))] == TEXTS


def test_a_long_record_is_passed_over_without_being_held(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(warc, "LONGEST_RECORD", 1 << 16)
    data = GOOD[0] + record(1, bytes(8 << 20), "resource") + GOOD[2]
    for one in (data, packed(data)):
        rows = read(written(tmp_path, one))
        assert [(row.line, row.reason) for row in rows] == [(1, ""), (2, "line_too_long"), (3, "")]
        assert len(rows[1].text) <= 4 << 16


def test_reading_can_go_on_after_any_record(tmp_path: Path) -> None:
    path = written(tmp_path, PLAIN["gz member cut"][0])
    rows = read(path)
    for skip in range(8):
        assert read(path, skip) == rows[skip:]


def test_text_that_no_file_can_hold_is_told(tmp_path: Path) -> None:
    data = record(1, b"caf\xe9", "conversion") + wet(2, "a\0b") + wet(3)
    assert [row.reason for row in read(written(tmp_path, data))] == ["bad_utf8", "nul_bytes", ""]


def test_blocked_addresses_are_not_taken_apart(tmp_path: Path) -> None:
    (tmp_path / "blocked.txt").write_text("# lista\nexemplo.com.br\n")
    data = record(1, b"not even an answer") + wet(2)
    rows = read(written(tmp_path, data), web=Web("resiliparse", tmp_path / "blocked.txt"))
    assert [(row.reason, row.detail) for row in rows] == [("blocked_domain", "exemplo.com.br")] * 2


@given(
    st.lists(
        st.sampled_from([*GOOD[:2], b"WARC/1.0\r\n", b"\r\n\r\n", b"Content-Length: 5\r\n", b"x", b"\nWARC/1.1\n"]),
        max_size=12,
    )
)
def test_no_file_however_broken_stops_it(tmp_path_factory: pytest.TempPathFactory, pieces: list[bytes]) -> None:
    path = written(tmp_path_factory.mktemp("warc"), b"".join(pieces))
    for found in records(path):
        assert isinstance(found, Record | Cut)


def test_whole_files_read_as_another_reader_reads_them(tmp_path: Path) -> None:
    archive = pytest.importorskip("fastwarc.warc")
    data = packed(record(0, b"x", "warcinfo"), *GOOD, record(7, answer(html(PARAGRAPH).encode())))
    path = written(tmp_path, data, "a.warc.gz")
    ours = [found.content for found in records(path) if isinstance(found, Record)]
    with path.open("rb") as stream:
        theirs = [one.reader.read() for one in archive.ArchiveIterator(stream, parse_http=False)]
    assert ours == theirs
