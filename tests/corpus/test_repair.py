"""Text repair: each step by hand and by a second definition, nothing lost, nothing changed twice."""

import re
import textwrap
import unicodedata
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lhama.corpus.repair import STEPS, kinds, repair
from lhama.corpus.repairs import characters, unicode
from lhama.corpus.repairs.hypertext import plain
from lhama.corpus.words import texts_of

ALL = frozenset(STEPS)
DATA = Path(__file__).parents[2].parent / "shared/data/corpus"

SENTENCES = [
    "A chuva caiu a tarde inteira sobre os telhados da vila.",
    "Ninguém sabia ao certo quem tinha deixado a porta aberta.",
    "O menino perguntou: e agora, para onde vamos?",
    "São Paulo, 12 de março de 1998 – disse ele, com três maçãs na mão!",
    "«Não», respondeu a avó; o pão custava R$ 2,50 (dois e cinquenta).",
    "À noite, as luzes do porto acendiam-se uma a uma…",
    "Vê-lo assim, tão só, dava-lhe pena: que fazer?",
    "Se x < y e y > z, então o teorema vale para todo [a, b] & c.",
]
PARAGRAPH = (
    "naquele tempo os barcos voltavam tarde e as mulheres esperavam na praia com lanternas acesas porque"
    " o vento mudava de repente e ninguém queria que os homens errassem a barra onde tantos outros antes"
    " deles tinham ficado para sempre entre as pedras negras do farol velho que já não acendia mais"
)


def mended(text: str, *steps: str) -> str:
    column = repair(pa.array([text], pa.large_string()), frozenset(steps) if steps else ALL).column
    return str(column[0].as_py())


def counted(text: str, *steps: str) -> dict[str, int]:
    counts = repair(pa.array([text], pa.large_string()), frozenset(steps) if steps else ALL).counts
    return {name: int(numbers[0]) for name, numbers in counts.items() if numbers[0]}


# ---- characters


@pytest.mark.parametrize(
    ("text", "after"),
    [
        ("linha\r\noutra\rmais\r\r\numa", "linha\noutra\nmais\numa"),
        ("a\u2028b\u2029c", "a\nb\nc"),
        ("a\r\r\rb\r\r\n", "a\n\n\nb\n"),
        ("\ufeffcomeço e f\u200bim", "começo e fim"),
        ("10\u00a0000\u202fkm\u2009longe", "10 000 km longe"),
        ("\u202aesquerda\u202c \u200fdireita\u2069", "esquerda direita"),
        ("exem\u00adplo", "exemplo"),
        ("exem\u00ad\nplo de quebra", "exemplo de quebra"),
        ("exem\u00ad  \r\n  plo", "exemplo"),
        ("exem\u00ad\rplo", "exemplo"),  # a return alone ends a line too
        ("fim\u00ad\r\rOutro", "fim\n\nOutro"),
        ("fim\u00ad\n\nOutro", "fim\n\nOutro"),  # a blank line parts more than a word
        ("nulo\x00 sino\x07 tab\tfica", "nulo sino tab\tfica"),
        ("\x1b[1;31mvermelho\x1b[0m", "vermelho"),
        ("página\n\x0coutra\x0bmais", "página\noutra\nmais"),
        ("\ufdd0não\uffff é\U0001fffe nada", "não é nada"),
        ("\x93aspas\x94 e travessão \x96 fim\x85", "“aspas” e travessão – fim…"),
        ("e\u0301 a\u0303o c\u0327", "é ão ç"),
        ("ﬁm do ﬂuxo eﬃciente", "fim do fluxo efficiente"),
        ("guarda\u2011chuva", "guarda-chuva"),
        ("família 👨\u200d👩\u200d👧 e می\u200cخواهم", "família 👨\u200d👩\u200d👧 e می\u200cخواهم"),
        ("par\u200dtido", "partido"),
        ("日本語\u3000ก\u200bข", "日本語\u3000ก\u200bข"),
    ],
)
def test_characters_by_hand(text: str, after: str) -> None:
    assert mended(text, "unicode") == after


@pytest.mark.parametrize("table", ["latin-1", "windows-1252", "macroman", "cp437"])
def test_utf_8_that_was_read_with_another_table_is_read_again(table: str) -> None:
    right = "A reunião não começou às três: “é cedo”, avisou o irmão. Às quartas há pães — e maçãs."
    wrong = "".join(bytes([byte]).decode(table, "ignore") or chr(byte) for byte in right.encode())
    assert wrong != right
    assert mended(f"Título limpo\n{wrong}\nfim", "unicode") == f"Título limpo\n{right}\nfim"


def test_a_lost_hard_space_is_found_behind_a_small_a_with_grave() -> None:
    assert mended("fomos Ã  praia e nÃ£o voltamos", "unicode") == "fomos à praia e não voltamos"


@pytest.mark.parametrize(
    "text",
    [
        "AMANHÃ… A IRMÃ “VÊ” O PÃO DA MANHÃ",
        "A C Ó R D Ã O  Vistos, relatados e discutidos",
        "“É”, “À”, «Ó», ‘Ú’ — Êxito… às 15º",
        "2ª e 3º, ½ hora, R$ 5£ ±3 µm §1º",
    ],
)
def test_right_text_with_many_signs_stays(text: str) -> None:
    assert mended(text, "unicode") == text


LOST = {byte: bytes([byte]).decode("windows-1252", "ignore") for byte in range(0x80, 0xA0)}
SINGLE = (
    dict.fromkeys([*characters.INVISIBLE, *characters.DIRECTION, *range(0xFDD0, 0xFDF0)], "")
    | dict.fromkeys([point for point in (*range(0x20), 0x7F) if point not in (9, 10)], "")
    | dict.fromkeys([(plane << 16) + end for plane in range(17) for end in (0xFFFE, 0xFFFF)], "")
    | dict.fromkeys(characters.SPACES, " ")
    | LOST
    | characters.OTHERS
    | {0x2028: "\n", 0x2029: "\n"}
)


def replaced_plainly(text: str) -> str:
    """The rules of characters.py once more: line ends and sequences by patterns, then one character after another."""
    text = re.sub(r"\r+(?=\n)", "", text).replace("\r", "\n")
    text = re.sub("\xad([ \r]*\n[ \r]*)(?=[^\\W\\d_])", "", text)
    text = re.sub(r"\x1b\[[ -?]*[@-~]", "", text)
    out = ""
    for character in text:
        before = ord(out[-1]) if out else 10
        if character in "\x0b\x0c":
            out += "" if before == 10 else "\n"
        elif character in "\u200b\u200c\u200d":
            joins = 0x590 <= before < 0x1E00 or (character == "\u200d" and before >= 0x2190)
            out += character if joins else ""
        elif character != "\xad":
            out += SINGLE.get(ord(character), character)
    return out


SIGNS = st.sampled_from(
    [
        *"\r\n\t \x0b\x0c\x1b[m\x00\x7f\x85\x93\xad\xa0aé—Ã",
        "\u200b",
        "\u200d",
        "\u2028",
        "\u202e",
        "\ufb03",
        "\ufeff",
        "م",
        "👩",
    ]
)


@settings(max_examples=300, deadline=None)
@given(st.one_of(st.text(), st.lists(SIGNS).map("".join)))
def test_the_kernel_mends_characters_as_plain_python_does(text: str) -> None:
    data, offsets = texts_of(pa.array([text], pa.large_string()))
    out, ends = np.empty(2 * len(data) + 1, np.uint8), np.zeros(2, np.int64)
    characters.mend_characters(
        data, offsets, characters.actions(), *characters.replacements(), out, ends, np.zeros(1, np.int64)
    )
    assert out[: ends[1]].tobytes().decode() == replaced_plainly(text)


@settings(max_examples=300, deadline=None)
@given(st.one_of(st.text(), st.lists(SIGNS).map("".join)))
def test_the_scan_misses_nothing(text: str) -> None:
    found = np.zeros(1, np.uint8)
    texts = texts_of(pa.array([text], pa.large_string()))
    unicode._look(*texts, characters.actions(), unicode._roles(), unicode._composing(), found)
    assert found[0] & unicode.CHARACTERS or replaced_plainly(text) == text
    assert found[0] & unicode.COMPOSE or unicodedata.is_normalized("NFC", text)


# ---- pages


@pytest.mark.parametrize("width", [48, 60, 72, 96, 120])
def test_wrapped_paragraphs_are_joined_to_what_they_were(width: int) -> None:
    paragraphs = [f"Primeiro, {PARAGRAPH}.", f"Depois, {PARAGRAPH}!", "Curto.", f"— Por fim, {PARAGRAPH}…"]
    wrapped = "\n\n".join(textwrap.fill(one, width, break_on_hyphens=False) for one in paragraphs)
    assert mended(wrapped, "pages") == "\n\n".join(paragraphs)
    assert counted(wrapped, "pages") == {"joined_lines": wrapped.count("\n") - 6}


def test_without_blank_lines_a_paragraph_ends_where_its_last_line_is_short() -> None:
    paragraphs = [f"Primeiro, {PARAGRAPH}, e nada mais se ouviu.", f"Depois, {PARAGRAPH}.", "Curto."]
    wrapped = "\n".join(textwrap.fill(one, 70) for one in paragraphs)
    assert mended(wrapped, "pages") == "\n".join(paragraphs)


VERSE = """Alma minha gentil, que te partiste
tão cedo desta vida descontente,
repousa lá no Céu eternamente,
e viva eu cá na terra sempre triste.
Se lá no assento etéreo, onde subiste,
memória desta vida se consente,
não te esqueças daquele amor ardente
que já nos olhos meus tão puro viste.
"""
SHAPED = {
    "verse": VERSE,
    "a list": "Compre:\n" + "\n".join(f"- {PARAGRAPH[:60]}" for _ in range(6)),
    "a numbered list": "\n".join(f"{number}. {PARAGRAPH[:64]}" for number in range(1, 9)),
    "a table": "\n".join(f"| {PARAGRAPH[:30]} | {PARAGRAPH[30:60]} |" for _ in range(6)),
    "columns": "\n".join(f"{PARAGRAPH[:30]}     {PARAGRAPH[30:60]}" for _ in range(6)),
    "speech": "\n".join(f"— {PARAGRAPH[:56]}?" for _ in range(8)),
    "headings": "\n".join(f"Capítulo {number}\n{PARAGRAPH[:40].title()}" for number in range(6)),
    "fenced code": "```\n"
    + "\n".join(f"if valor > {number} e soma(valor) ainda cabe nos limites da" for number in range(6))
    + "\n```",
    "commands": "\n".join(
        rf"set pasta{number}=c:\programas\nome e mais letras para que a linha" for number in range(6)
    ),
    "names of classes": "\n".join(
        rf"Biblioteca\Impressos\Periodicos\NumeroAvulsoDaColecao{number}" for number in range(6)
    ),
    "fields": "\n".join(f"chave{number}: {PARAGRAPH[:50]}" for number in range(6)),
    "long lines": "\n".join(PARAGRAPH for _ in range(5)),
    "capitals": "\n".join(f"JOSÉ DA SILVA {number}" for number in range(9)),
}


@pytest.mark.parametrize("text", SHAPED.values(), ids=SHAPED)
def test_lines_that_mean_something_stay(text: str) -> None:
    assert mended(text, "pages") == text


@pytest.mark.parametrize("name", ["verse", "a list", "a table", "speech", "fenced code", "fields"])
def test_they_stay_beside_wrapped_prose_too(name: str) -> None:
    prose = f"Primeiro, {PARAGRAPH}."
    before = f"{textwrap.fill(prose, 72)}\n\n{SHAPED[name].strip()}\n\n{textwrap.fill(prose, 72)}"
    assert mended(before, "pages") == f"{prose}\n\n{SHAPED[name].strip()}\n\n{prose}"


def test_capitals_are_joined_where_they_fill_their_width() -> None:
    heading = "06/03/1990 FULANO DE TAL, PARTIDO-UF 0H00 PAG. 1005"
    speech = f"Homenagem: {PARAGRAPH}.".upper()
    before = "\n\n".join(f"{heading}\n{textwrap.fill(speech, 66)}" for _ in range(3))
    assert mended(before, "pages") == "\n\n".join(f"{heading}\n{speech}" for _ in range(3))


def cut_words(*cuts: tuple[str, str]) -> str:
    """A document of lines of 60 characters in which these words are cut by a line's end."""
    lines = []
    for before, after in cuts:
        lines.append(f"{PARAGRAPH[: 59 - len(before)]} {before}-")
        lines.append(f"{after} {PARAGRAPH[:58]}"[:60])
        lines.append(f"{PARAGRAPH[40:98]} x")
    return "Começo\n" + "\n".join(lines) + "\nfim."


@pytest.mark.parametrize(
    ("before", "after", "whole"),
    [
        ("acompanhá", "la", "acompanhá-la"),
        ("repele", "se", "repele-se"),
        ("fizeram", "nos", "fizeram-nos"),
        ("norte", "americanos", "norte-americanos"),
        ("mu", "lheres", "mulheres"),  # elsewhere in the document
        ("lan", "ternas", "lanternas"),
        ("clas", "se", "classe"),  # no verb form ends so
        ("doce", "mente", "docemente"),
        ("sacrifí", "cio", "sacrifício"),
    ],
)
def test_a_word_cut_by_a_lines_end_is_whole_again(before: str, after: str, whole: str) -> None:
    text = mended(cut_words((before, after)) + f"\n{textwrap.fill(PARAGRAPH, 60)}", "pages")
    assert f" {whole} " in text
    assert f"{before}-\n" not in text


def test_a_hyphen_stays_where_the_document_has_the_word_with_it() -> None:
    plain_text = cut_words(("micro", "ondas"))
    assert "microondas" in mended(plain_text.replace("Começo", "Um microondas"), "pages")
    assert "micro-ondas" in mended(plain_text.replace("Começo", "Um micro-ondas"), "pages")


def test_page_numbers_and_headers_go_and_the_sentence_goes_on() -> None:
    lines = textwrap.wrap(f"{PARAGRAPH} {PARAGRAPH.replace('barcos', 'navios')} " * 4, 62)
    pages = [lines[start : start + 14] for start in range(0, len(lines), 14)]
    assert len(pages) >= 3
    before = "\n".join(
        "\n".join([*page, f"— {17 + number} —", "", f"O FAROL VELHO    Página {number}"])
        for number, page in enumerate(pages)
    )
    after = mended(before, "pages")
    assert "FAROL VELHO" not in after
    assert not any(character.isdigit() for character in after)
    assert after.split() == " ".join(lines).split()


def test_years_chapters_and_values_are_no_page_numbers() -> None:
    prose = textwrap.fill(f"Primeiro, {PARAGRAPH}.", 66)
    for text in (f"{prose}\n\n1998\n\n{prose}", f"{prose}\n\n2\n\n{prose}", f"comprimento\n\n76\n\n{prose}"):
        assert [line for line in mended(text, "pages").split("\n") if line.isdigit()]


def test_page_marks_in_brackets_go_and_notes_stay() -> None:
    between = f"{PARAGRAPH} " * 3
    assert mended(f"um [81] {between}dois[82] {between}\n[83]\n{between}fim", "pages") == (
        f"um {between}dois {between}\n{between}fim"
    )
    for notes in (f"um[1] {between}dois[2] {between}tres[3]", f"um [4] {between}dois [9] {between}tres [10]"):
        assert mended(notes, "pages") == notes
    titles = "\n".join(f"SONETO [{number}]\n{between}" for number in range(5, 9))
    assert mended(titles, "pages") == titles


# ---- markup


@pytest.mark.parametrize(
    ("text", "after"),
    [
        ('Um <b>bom</b> <a href="http://x.org/?a=1&b=2" title="a > b">dia</a>.', "Um bom dia."),
        ("<p>Um.</p>\n<p>Dois<br>linhas<br />\ntrês</p>", "Um.\n\nDois\nlinhas\ntrês"),
        ("<ul>\n  <li>pão</li>\n  <li>leite</li>\n</ul>\nfim", "- pão\n- leite\n\nfim"),
        ("p&atilde;o &amp; circo&nbsp;&#8211; &#x201C;já&#x201d;", "pão & circo – “já”"),
        ("a <!-- isto\nnão --> b", "a  b"),
        ("antes\n<script type='text/javascript'>var a = '<b>';</script>\ndepois", "antes\ndepois"),
        ("<style>p { color: red }</style>texto", "texto"),
        ("<!DOCTYPE html>\n<html><body>texto</body></html>", "texto"),
        ("veja [o mapa](http://a.b/c_(d) 'Mapa') e [isto](../x.md#y)", "veja o mapa e isto"),
        ("![](a.png)\n\ntexto ![um gato](g.jpg)", "texto um gato"),
        (
            "| dia <br> hora | <ul><li>um</li><li>dois</li></ul>fim |\n|---|---|\n| a<br/>b | c |",
            "| dia hora | - um - dois fim |\n|---|---|\n| a b | c |",
        ),
        ("a <video src='x.mp4'>Este navegador não mostra filmes.</video> b", "a  b"),
        ("[![logo](l.png)](http://a.b)", "logo"),
        ("[um][1], [dois][] e [tres].\n\n[1]: http://a.b\n[dois]: <c.d> 'x'\n[tres]: /e\n", "um, dois e tres.\n\n"),
        ("[[Brasil]], [[Rio de Janeiro|o Rio]] e [[Ficheiro:a.jpg|miniatura]].", "Brasil, o Rio e ."),
        ("[http://a.b/c uma página] e <http://a.b/c>", "uma página e http://a.b/c"),
        ("# <a name='x'></a>Título\n\n[!INCLUDE [b](../b.md)]\n\ntexto", "# Título\n\ntexto"),
        ("{% include topo.html %}\ntexto {{< figura x >}}", "texto "),
        ("8.<sup>o</sup> ano, 5 m<sup>2</sup>, 10<sup>3</sup>", "8.º ano, 5 m², 10^3"),
        (
            '<pre class="lang-php">&lt;?php\n echo 1;</pre>\ne <code>a &lt; b</code>',
            "```php\n<?php\n echo 1;\n```\n\ne `a < b`",
        ),
        ("a marca &lt;b&gt; e o texto &lt;nome&gt;", "a marca `<b>` e o texto <nome>"),
    ],
)
def test_markup_by_hand(text: str, after: str) -> None:
    assert mended(text, "markup") == after


@pytest.mark.parametrize(
    "text",
    [
        "se a < b e c > d, então Vec<T> e Option<String>",
        "digite <seu nome> e envie a <fulano@exemplo.com.br>",
        "```html\n<p>código</p> &amp; [a](b.c)\n```",
        "use `<b>` e ``a ` <i>`` sempre",
        "texto\n\n    <b>indentado</b>\n".replace("<b>indentado</b>", "print('[a](b.c)')"),
        "veja a nota [1] e o vetor a[i](x), f[0][1]",
        'if [[ "$x" == "y" ]]; then [[NSObject alloc] init]',
        "<?php echo '<b>negrito</b>'; ?>",
        "A&M, AT&T; P&D: R&D;",
        "- [ ] tarefa\n- [x] feita\n\n> [!NOTE]\n> nota",
        "[^1]: uma nota\n\ntexto[^1]",
        "<b e c> <p q>",
    ],
)
def test_what_only_looks_like_markup_stays(text: str) -> None:
    assert mended(text, "markup") == text


@pytest.mark.parametrize(
    "text",
    [
        "\r" * 400_000,
        "\xad\r" * 200_000,
        *(
            "[" * 20_000,
            "<!--" * 20_000,
            "<a " * 20_000,
            "`" * 20_001,
            "` `` " * 10_000,
            "[[" * 20_000,
            "![](" * 20_000,
        ),
        *(
            "<pre>" * 20_000,
            "&lt;a" * 20_000,
            "<script>" * 20_000,
            "[a][" * 20_000,
            "{%" * 20_000,
            "\n    a\n\n" * 10_000,
        ),
        *(
            "```\n" * 20_001,
            "[x]: " * 20_000,
            "a-\n" * 20_000,
            "\xad\n" * 20_000,
            "Nome:\n" * 20_000,
            "<a b='" * 10_000,
        ),
        *("[7]" * 20_000, "12\n" * 20_000, "---\na: b\n" * 10_000, "\u200d" * 20_000, "Ã£" * 20_000, "&amp;" * 20_000),
    ],
    ids=lambda text: repr(text[:8]),
)
def test_no_text_costs_more_than_its_length_allows(text: str) -> None:
    assert mended(mended(text)) == mended(text)


# ---- front matter


@pytest.mark.parametrize(
    ("text", "after"),
    [
        ("---\ntitle: 'Um conto'\ntags:\n- a\n- b\n---\n\n# Um conto\n\ntexto", "\n# Um conto\n\ntexto"),
        ('+++\nauthors = "Ana"\ntitle = "Um conto"\n+++\n\ntexto', "Um conto\n\ntexto"),
        ("\n---\nlayout: post\n# nota\nlista:\n  - x\n...\ntexto", "texto"),
        ("---\nUm travessão abre o texto: assim.\nE nada o fecha\n---\nfim", None),
        ("---\n\nTexto depois de uma régua.\n\n---\n", None),
        ("---\ntitle: sem fim\ntexto\n", None),
        ("texto\n---\ntitle: x\n---\n", None),
    ],
)
def test_front_matter_by_hand(text: str, after: str | None) -> None:
    assert mended(text, "front-matter") == (text if after is None else after)


@pytest.mark.parametrize(
    ("text", "after"),
    [
        ("Ficha\nNome:\nEndereço: \n**Telefone:**\n", "Ficha\n"),
        ("Nome:\nEndereço:\nTelefone:\nObservações:\nNada a dizer.", "Observações:\nNada a dizer."),
        ("Requisitos:\n\nProgramas:\n\ntexto", None),
        ("spec:\n  template:\n    metadata:\n", None),
        ("```\nNome:\nRua:\nFone:\n```", None),
        ("Sopa de pedra\n\nIngredientes\n\n\nModo de Preparo\n", ""),
        ("Sopa de pedra\n\nIngredientes\n\n\nModo de Preparo\nFerva a pedra.", None),
        ("LXXXVI\n\nO MISTÉRIO\n\nSerra abaixo, como eu a visse um pouco diferente.", None),
    ],
)
def test_forms_and_skeletons_by_hand(text: str, after: str | None) -> None:
    assert mended(text, "front-matter") == (text if after is None else after)


# ---- all steps together

PIECES = st.one_of(
    st.sampled_from(SENTENCES),
    st.sampled_from([*SHAPED.values(), textwrap.fill(PARAGRAPH, 66), cut_words(("vê", "la"), ("sacrifí", "cio"))]),
    st.sampled_from(
        [
            "<p>",
            "</p>",
            "<br>",
            "<b>",
            "&lt;b&gt;",
            "&amp;",
            "&amp;lt;p&gt;",
            "```\n",
            "`",
            "[a](b.c)",
            "[[a|b]]",
            "[a]",
        ]
    ),
    st.sampled_from(
        [
            "<pre>",
            "</pre>",
            "<!--",
            "-->",
            "<script>",
            "</script>",
            "[a]: /b\n",
            "{% x %}",
            "---\n",
            "a: b\n",
            "Nome:\n",
        ]
    ),
    st.sampled_from(
        [
            "\n",
            "\n\n",
            "\r\n",
            "\xa0",
            "\xad\n",
            "\u200b",
            "Ã£o",
            "\x93",
            "\x0c",
            "[7]",
            "\n12\n",
            "-\n",
            "    ",
            "\ufdd0",
        ]
    ),
    st.text(max_size=8),
)


@settings(max_examples=250, deadline=None)
@given(st.lists(PIECES, max_size=14).map("".join), st.sampled_from([ALL, *(frozenset({step}) for step in STEPS)]))
def test_mending_twice_is_mending_once(text: str, steps: frozenset[str]) -> None:
    once = mended(text, *steps)
    assert mended(once, *steps) == once
    assert counted(once, *steps) == {}
    once.encode()


@settings(max_examples=150, deadline=None)
@given(st.lists(st.lists(st.sampled_from(SENTENCES), min_size=1, max_size=5).map(" ".join), min_size=1, max_size=6))
def test_clean_prose_passes_unchanged(paragraphs: list[str]) -> None:
    for text in ("\n\n".join(paragraphs), "\n".join(paragraphs)):
        assert mended(text) == text


@settings(max_examples=100, deadline=None)
@given(st.lists(st.sampled_from(SENTENCES), min_size=4, max_size=30), st.integers(45, 120))
def test_no_word_of_wrapped_prose_is_lost(sentences: list[str], width: int) -> None:
    text = " ".join(sentences)
    assert mended(textwrap.fill(text, width, break_on_hyphens=False)).split() == text.split()


def test_markup_inside_markup_settles() -> None:
    assert mended("&amp;amp;amp;lt;i&amp;amp;amp;gt; fim") == "`<i>` fim"
    deep = "&" + "amp;" * 40 + "lt;"
    assert mended(deep) == deep  # what does not settle comes back as it was
    assert counted(deep) == {}


def test_a_column_keeps_its_length_its_nulls_and_its_clean_bytes() -> None:
    texts = ["limpo", None, "su\xa0jo", "", "<b>x</b>", None, "limpo também"]
    column = pa.array(["fora", *texts, "fora"], pa.large_string()).slice(1, len(texts))
    found = repair(column, ALL)
    assert found.column.to_pylist() == ["limpo", None, "su jo", "", "x", None, "limpo também"]
    assert found.counts["characters"].tolist() == [0, 0, 1, 0, 0, 0, 0]
    assert found.counts["tags"].tolist() == [0, 0, 0, 0, 2, 0, 0]


def test_other_kinds_of_columns_come_back_as_large_strings() -> None:
    chunks = pa.chunked_array([["a\xa0b"], ["c"]], pa.string())
    assert repair(chunks, ALL).column.to_pylist() == ["a b", "c"]
    assert repair(pa.array([], pa.string()), ALL).column.to_pylist() == []
    clean = pa.array(["limpo", "texto"], pa.large_string())
    assert repair(clean, ALL).column.buffers()[2].address == clean.buffers()[2].address


def test_only_the_steps_named_are_taken() -> None:
    text = "---\na: b\n---\n<b>su\xa0jo</b>"
    assert mended(text, "unicode") == text.replace("\xa0", " ")
    assert mended(text, "markup") == text.replace("<b>", "").replace("</b>", "")
    assert repair(pa.array([text], pa.large_string()), frozenset()).column.to_pylist() == [text]
    assert kinds(frozenset({"markup", "unicode"})) == (
        "mojibake",
        "characters",
        "composed",
        "tags",
        "entities",
        "links",
    )
    with pytest.raises(ValueError, match="ascii"):
        repair(pa.array([text]), frozenset({"ascii"}))


def letters(text: str) -> str:
    return "".join(character for character in text if character.isalpha())


@pytest.mark.skipif(not DATA.is_dir(), reason="the real text is not here")
@pytest.mark.parametrize(
    "name", ["romances_brasil", "machado_obra_completa", "camara_sumarios", "wiki_paramopama", "ud_gsd"]
)
def test_no_letter_of_real_prose_is_lost(name: str) -> None:
    import json

    import zstandard

    with (DATA / f"{name}.jsonl.zst").open("rb") as file:
        lines = zstandard.ZstdDecompressor().stream_reader(file).read(1_500_000).decode("utf-8", "ignore").split("\n")
    texts: list[Any] = [json.loads(line)["text"] for line in lines[:-1]]
    column = repair(pa.array(texts, pa.large_string()), frozenset({"pages"})).column.to_pylist()
    assert [letters(text) for text in column] == [letters(text) for text in texts]


def test_plain_counts_what_it_takes_out() -> None:
    assert plain("<b>a</b> &amp; [b](c.d)") == ("a & b", (2, 1, 1))
