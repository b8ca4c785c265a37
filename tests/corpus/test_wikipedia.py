"""Pages of a dump become rows: articles as plain text, everything else with a reason, and damage costs one page."""

import bz2
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lhama.corpus import readers_wikipedia
from lhama.corpus.readers import Columns, Row
from lhama.corpus.readers_wikipedia import read_wikipedia
from lhama.corpus.wikitext import plain_text

COLUMNS = Columns()
HEAD = """<mediawiki xmlns="http://www.mediawiki.org/xml/export-0.11/" version="0.11" xml:lang="pt">
  <siteinfo>
    <sitename>Wikipédia</sitename>
    <base>https://pt.wikipedia.org/wiki/Wikip%C3%A9dia:P%C3%A1gina_principal</base>
    <namespaces>
      <namespace key="0" case="first-letter" />
      <namespace key="6" case="first-letter">Ficheiro</namespace>
      <namespace key="14" case="first-letter">Categoria</namespace>
    </namespaces>
  </siteinfo>
"""
TAIL = "</mediawiki>\n"


def page(number: int, title: str, text: str, space: int = 0, more: str = "", model: str = "wikitext") -> str:
    return f"""  <page>
    <title>{title}</title>
    <ns>{space}</ns>
    <id>{number}</id>
{more}    <revision>
      <id>{number + 900}</id>
      <timestamp>2024-05-01T12:00:00Z</timestamp>
      <contributor><username>Alguém</username><id>77</id></contributor>
      <model>{model}</model>
      <text bytes="1" xml:space="preserve">{text}</text>
    </revision>
  </page>
"""


def prose(number: int) -> str:
    return f"A cidade número {number} fica à beira do [[rio]]."


def written(folder: Path, *parts: str | bytes, pack: bool = False) -> Path:
    data = b"".join(part.encode() if isinstance(part, str) else part for part in parts)
    path = folder / ("dump.xml.bz2" if pack else "dump.xml")
    path.write_bytes(bz2.compress(data) if pack else data)
    return path


def read(path: Path, skip: int = 0) -> list[Row]:
    return list(read_wikipedia(path, COLUMNS, skip))


@pytest.mark.parametrize("pack", [False, True])
def test_an_article_comes_with_name_address_and_revision(tmp_path: Path, pack: bool) -> None:
    path = written(tmp_path, HEAD, page(12, "São João d'Ávila (Goiás)", "Um &amp; dois."), TAIL, pack=pack)
    (row,) = read(path)
    assert row == Row(
        1,
        "12",
        "Um & dois.",
        "https://pt.wikipedia.org/wiki/S%C3%A3o_Jo%C3%A3o_d'%C3%81vila_(Goi%C3%A1s)",
        '{"title": "São João d\'Ávila (Goiás)", "revision": "912", "timestamp": "2024-05-01T12:00:00Z"}',
    )


def test_what_is_no_article_has_its_reason(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        HEAD,
        page(1, "Ouro", "", more='    <redirect title="Ouro Preto" />\n'),
        page(2, "Usuário:Fulano", "Eu.", space=2),
        page(3, "Dados", "{}", model="json"),
        page(4, "Ouro Preto", "Uma cidade."),
        page(5, "Só modelo", "{{Esboço}}"),
        TAIL,
    )
    rows = read(path)
    assert [(row.line, row.name, row.reason, row.text) for row in rows] == [
        (1, "1", "redirect", ""),
        (2, "2", "not_an_article", ""),
        (3, "3", "not_an_article", ""),
        (4, "4", "", "Uma cidade."),
        (5, "5", "", ""),
    ]
    assert rows[0].detail == "to 'Ouro Preto'"


def test_of_a_history_the_last_revision_is_read(tmp_path: Path) -> None:
    old = "    <revision>\n<id>1</id><timestamp>2001</timestamp><text>Texto antigo.</text>\n</revision>\n"
    (row,) = read(written(tmp_path, HEAD, page(1, "A", "Texto novo.", more=old), TAIL))
    assert row.text == "Texto novo."
    assert '"revision": "901"' in row.meta


def test_without_a_head_the_recipes_language_names_the_site(tmp_path: Path) -> None:
    path = written(tmp_path, "<mediawiki>", page(1, "A b", "Texto."), TAIL)
    (row,) = read_wikipedia(path, COLUMNS, 0, "gl")
    assert row.url == "https://gl.wikipedia.org/wiki/A_b"


def test_reading_can_go_on_after_any_page(tmp_path: Path) -> None:
    pages = [page(number, f"T{number}", prose(number), space=number % 3) for number in range(1, 8)]
    path = written(tmp_path, HEAD, *pages, TAIL, pack=True)
    rows = read(path)
    for skip in range(9):
        assert read(path, skip) == rows[skip:]


DAMAGE = [
    (b"<title>\xff</title>", "broken_xml"),
    (b"", "broken_xml"),
    (b"<a b=c>", "broken_xml"),
    (b"&nada; </revision>", "broken_xml"),
    (b"<x>" * 100, "broken_xml"),
]


@pytest.mark.parametrize(("damage", "reason"), DAMAGE)
@pytest.mark.parametrize("fed", [7, 100, 1 << 16])
def test_damage_costs_one_page(
    damage: bytes, reason: str, fed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(readers_wikipedia, "FED_AT_ONCE", fed)
    bad = page(2, "Ruim", "Texto estragado.").encode().replace(b"</revision>", damage, 1)
    path = written(tmp_path, HEAD, page(1, "A", "Um."), bad, page(3, "C", "Três."), page(4, "D", "Quatro."), TAIL)
    rows = read(path)
    assert [(row.line, row.name, row.reason) for row in rows if row.reason != "broken_xml"] == [
        (1, "1", ""),
        (len(rows) - 1, "3", ""),
        (len(rows), "4", ""),
    ]
    broken = [row for row in rows if row.reason == reason]
    assert len(broken) in (1, 2)  # an end that is missing is seen only where another one ends
    assert broken[0].detail.startswith("page 2 'Ruim': ")
    assert broken[0].text == "Texto estragado."


def test_two_dumps_behind_each_other_lose_no_page(tmp_path: Path) -> None:
    path = written(tmp_path, HEAD, page(1, "A", "Um."), TAIL, HEAD, page(2, "B", "Dois."), TAIL)
    assert [row.text for row in read(path) if not row.reason] == ["Um.", "Dois."]


def test_a_dump_that_ends_too_early_keeps_its_pages(tmp_path: Path) -> None:
    whole = (HEAD + page(1, "A", "Um.") + page(2, "B", "Dois e meio.")).encode()
    path = written(tmp_path, whole[: whole.index(b" e meio")])
    first, last = read(path)
    assert (first.text, last.reason, last.text, last.line) == ("Um.", "truncated_file", "Dois", 2)


def test_a_damaged_stream_of_a_multistream_dump_costs_only_its_pages(tmp_path: Path) -> None:
    streams = [bz2.compress(HEAD.encode())]
    streams += [bz2.compress("".join(page(n, f"T{n}", prose(n)) for n in range(k, k + 3)).encode()) for k in (1, 4, 7)]
    streams.append(bz2.compress(TAIL.encode()))
    hurt = bytearray(streams[2])
    hurt[len(hurt) // 2] ^= 0xFF
    path = written(tmp_path, *streams[:2], bytes(hurt), *streams[3:])
    rows = read(path)
    assert [row.name for row in rows if not row.reason] == ["1", "2", "3", "7", "8", "9"]
    assert [row.reason for row in rows if row.reason] == ["truncated_file"]


def test_a_billion_laughs_are_refused(tmp_path: Path) -> None:
    laughs = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))
    bomb = f'<?xml version="1.0"?><!DOCTYPE m [<!ENTITY l0 "ha">{laughs}]>'
    path = written(tmp_path, bomb, HEAD, page(1, "A", "&l9;"), TAIL)
    (row,) = read(path)
    assert (row.reason, row.text) == ("unreadable_file", "")


def test_a_tag_without_end_and_a_page_without_end_fill_no_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(readers_wikipedia, "LONGEST_TOKEN", 200_000)
    monkeypatch.setattr(readers_wikipedia, "LONGEST_PAGE", 1000)
    long_tag = "<x " + "a" * 400_000 + ">"
    path = written(tmp_path, HEAD, page(1, "A", "a" * 2000), long_tag, page(2, "B", "Dois."), TAIL)
    assert [(row.name, row.reason) for row in read(path)] == [("1", "line_too_long"), (None, "broken_xml"), ("2", "")]


def test_files_that_are_no_dump_are_told(tmp_path: Path) -> None:
    assert [row.reason for row in read(written(tmp_path, "Bom dia, isto não é XML."))] == ["broken_xml"]
    assert read(written(tmp_path, "")) == []


MARKUP = [
    ("'''Negrito''', ''itálico'' e '''''ambos'''''.", "Negrito, itálico e ambos."),
    ("Um [[rio]], o [[Rio Doce|rio Doce]] e [[:Categoria:Rios]].", "Um rio, o rio Doce e Categoria:Rios."),
    ("[[Ficheiro:a.jpg|thumb|Um [[gato]] {{x|y}}]]Texto.[[Categoria:Gatos]]\n[[en:Cat]]", "Texto."),
    ("A{{Info|x={{y|z={{w}}}}\n|b=[[c|d]]}} B", "A B"),
    ("Em {{lang|fr|raison d'état}} e {{fmtn|1234}}{{Nowrap|dez km}}.", "Em raison d'état e 1234dez km."),
    ("Ele<ref name=a>{{citar|x}} nota</ref> foi<ref name=b /> só<ref>z</ref>.", "Ele foi só."),
    ("a<!-- não {{ --> b<br/>c <small>d</small> &lt;e&gt; f&nbsp;g", "a b\nc d <e> f g"),
    ("{| class=x\n! A !! B\n|-\n| 1 || {{y}}\n{| \n| dentro\n|}\n|}\nDepois.", "Depois."),
    ("* um\n** dois\n# três\n: quatro\n; cinco", "- um\n- dois\n- três\nquatro\ncinco"),
    ("[http://a.br Sítio], [http://b.br] e https://c.br", "Sítio, e https://c.br"),
    ("__NOTOC__Texto ({{lang-en|x}}) e (, ) fim\n----\n", "Texto e fim"),
    ("Use <nowiki>[[isto]] '''aqui''' &amp;</nowiki>.", "Use [[isto]] '''aqui''' &."),
    ("A <math>\\frac{a}{{b}}</math> B", "A $\\frac{a}{{b}}$ B"),
    ("<pre>\n|x\n  y\n</pre>", "\n|x\n  y\n"),
    ("<gallery>\na.jpg|Um\n</gallery>Fim", "Fim"),
    ("== Um ==\n\n== Dois ==\nTexto.\n=== Três ===\nMais.\n== Ver ==\n{{Ref}}", "Dois\n\nTexto.\n\nTrês\n\nMais."),
    # What is opened and never closed costs its markup only.
    ("Antes {{aberto [[x]] depois", "Antes aberto x depois"),
    ("Antes [[aberto\n\ndepois]] fim", "Antes aberto\n\ndepois fim"),
    ("{| aberta\n| a\n|-\n\nDepois.", "aberta\n\nDepois."),
    ("a<ref>b", "ab"),
    ("a }} b ]] c |} d", "a b c |} d"),
    ("a<!-- b", "a"),
]


@pytest.mark.parametrize(("wikitext", "text"), MARKUP)
def test_markup(wikitext: str, text: str) -> None:
    assert plain_text(wikitext) == text


def test_names_of_the_sites_own_language_hide_files(tmp_path: Path) -> None:
    head = HEAD.replace(">Ficheiro<", ">Ffeil<")
    text = "Um.[[Ffeil:a.jpg|thumb|legenda]] [[Ficheiro:b.jpg]]"
    (row,) = read(written(tmp_path, head, page(1, "A", text), TAIL))
    assert row.text == "Um."


@given(
    st.lists(
        st.sampled_from(
            [
                "{{",
                "}}",
                "[[",
                "]]",
                "{|",
                "|}",
                "<ref>",
                "</ref>",
                "<!--",
                "-->",
                "|",
                "\n",
                "=",
                "a",
                "'",
                "[http://x",
                "<nowiki>",
                "</nowiki>",
                "*",
                ":",
            ]
        ),
        max_size=60,
    )
)
def test_no_markup_however_broken_stops_it_or_loses_plain_words(pieces: list[str]) -> None:
    text = plain_text("inicio " + "".join(pieces))
    assert text.startswith("inicio")
    assert "\x7f" not in text


@given(st.text())
def test_any_text_passes(text: str) -> None:
    plain = plain_text(text)
    assert len(plain) <= 3 * len(text) + 10
    assert not re.search(r"\n\n\n", plain)


@pytest.mark.parametrize(
    "opened", ["{{", "[[", "{|\n", "<ref>", "<!--", "[http://a", "''", "{{a|[[b|", "<math>", "=", "("]
)
def test_a_page_of_nothing_but_openings_takes_linear_time(opened: str) -> None:
    """A regular expression that looks for its end from every opening would need hours here."""
    plain_text(opened * (500_000 // len(opened)))
