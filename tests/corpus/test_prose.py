"""Code apart from prose: by hand in short texts, and line by line against a plain-Python definition on any Unicode."""

import re
import tomllib
import unicodedata
from importlib.resources import files
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lhama.corpus.kernels.blocks import CLOSES, OPENS
from lhama.corpus.prose import flags_of, without_code
from lhama.corpus.words import texts_of
from tests.corpus.test_kernels import is_word, words_of

CODE, TRANSLATED = 1, 2
PORTUGUESE = tomllib.loads((files("lhama.corpus.languages") / "pt.toml").read_text(encoding="utf-8"))
ROLES = {role: {words_of(word)[0] for word in words.split()} for role, words in PORTUGUESE["translated-code"].items()}
FENCE = re.compile(rb"[ \t]*(`{3,}|~{3,})(.*)", re.DOTALL)
LETTERS = re.compile("[A-Za-z_]")


class Word(NamedTuple):
    begin: int
    end: int
    text: str


def spans(line: str) -> list[Word]:
    found, at = [], 0
    for text in words_of(line):
        at = line.index(text, at)
        found.append(Word(at, at + len(text), text))
        at += len(text)
    return found


def signs(data: bytes) -> int:
    """Count what hints at code."""
    total = int(data[-1:] in (b"{", b"}", b"=", b"`") and data != b"")
    for one, two in pairwise(data.decode("latin-1")):
        pair = one + two
        total += one in "{}=<_`"
        total += one in "$\\" or pair in ("::", "->", "&&") or (two == "(" and re.match("[A-Za-z]", one) is not None)
    return total


def block_end(lines: list[bytes], line: int, spent: set[str]) -> int:
    """Return the last line of a block that is opened in this one, or -1."""
    if (opened := FENCE.match(lines[line])) and "fence" not in spent:
        for other in range(line + 1, len(lines)):
            closed = FENCE.match(lines[other])
            if closed and closed[1].startswith(opened[1]) and not closed[2].strip(b" \t\r"):
                return other
        spent.add("fence")
    seen: set[str] = set()
    for at in range(len(lines[line])):
        for begin, end in zip(OPENS, CLOSES, strict=True):
            if begin in spent | seen or not lines[line][at:].lower().startswith(begin.encode()):
                continue
            rest = [lines[line][at + len(begin) :], *lines[line + 1 :]]
            last = next((number for number, one in enumerate(rest) if end.encode() in one.lower()), -1)
            if last > 0:
                return line + last
            (spent if last else seen).add(begin)
    return -1


def blocks(lines: list[bytes]) -> list[bool]:
    flags, spent, line = [False] * len(lines), set[str](), 0
    while line < len(lines):
        last = block_end(lines, line, spent)
        if last >= 0:
            flags[line : last + 1] = [True] * (last + 1 - line)
            line = last
        line += 1
    return flags


def is_call(words: list[Word], at: int) -> bool:
    if not words[at + 1 : at + 2] or words[at + 1].begin > words[at].end or words[at + 1].text[0] != "(":
        return False
    inside = words[at + 2 : at + 4]
    return not (len(inside) == 2 and re.fullmatch("[aeos]{1,2}", inside[0].text) and inside[1].text[0] == ")")


def is_sign(line: str, word: Word) -> bool:
    """Say whether a mark that is no word is one of code."""
    sign, length = word.text[0], len(word.text)
    before, after = line[: word.begin][-1:], line[word.end : word.end + 1]
    letter = LETTERS.match(after) is not None
    shapes = {
        "{": not re.match("[0-9]", after),
        "}": not re.match("[0-9]", before),
        "=": length <= 3,
        "<": length == 1 and (letter or after in ("/", "?", "!")),
        "-": length == 1 and after == ">",
        ":": length == 2,
        "&": length == 2,
        "|": length == 2,
        "$": length == 1 and letter and not LETTERS.match(before),
        "\\": length == 1 and letter,
    }
    return shapes.get(sign, False)


def opens(sign: str) -> bool:
    return ord(sign) >= 0x80 or sign in "\"'([*>"


def is_plain(words: list[Word], at: int) -> bool:
    if at and words[at].begin == words[at - 1].end and not opens(words[at - 1].text[0]):
        return False
    if at + 1 == len(words) or words[at + 1].begin > words[at].end:
        return True
    sign = words[at + 1].text[0]
    if sign in ".:,;":
        rest = words[at + 2 :]
        return not rest or rest[0].begin > words[at + 1].end or rest[0].text[0] == '"'
    return sign in "!?)]<" or (sign != "(" and opens(sign))


def weighed(line: str, words: list[Word]) -> tuple[int, int]:
    """Count the marks of code and the plain words; what belongs to an address is neither."""
    marks = plain = 0
    address = False
    for at, word in enumerate(words):
        address = address and word.begin == words[at - 1].end and word.text[0] != ")"
        if address:
            continue
        kinds = {unicodedata.category(one)[0] for one in word.text}
        if not is_word(word.text[0]):
            address = word.text == "//" and at > 0 and line[word.begin - 1] == ":"
            marks += not address and is_sign(line, word)
        elif re.search("[^_]_[^_]", word.text) or is_call(words, at):
            marks += 1
        elif "L" in kinds and "N" not in kinds and len(word.text) > 1:
            plain += is_plain(words, at)
    return marks + (marks > 0 and words[-1].text[0] == ";"), plain


def plays(word: Word, role: str) -> bool:
    return word.text in ROLES[role]


def imports(words: list[Word]) -> bool:
    first = words[0]
    if plays(first, "import") and len(words) > 1:
        dotted = len(words) > 3 and words[2].text[0] == "." and words[3].begin == words[1].end + 1
        return dotted or plays(words[1], "module")
    at = 1
    while at < len(words) and (at == 1 or "." in (words[at].text[0], words[at - 1].text[0])):
        at += 1
    return plays(first, "from") and at + 1 < len(words) and plays(words[at], "import")


def is_translated(words: list[Word]) -> bool:
    if len(words) > 40:
        return False
    first, last = words[0], words[-1]
    block = last.text[0] in ":{"
    calls = [at for at, word in enumerate(words) if is_word(word.text[0]) and is_call(words, at)]
    hints = len(calls) + sum(word.text[0] in "=+" for word in words)
    before_last = words[-2] if len(words) > 1 else last
    telling = (
        imports(words),
        block and len(words) == 2 and plays(first, "alone"),
        any(plays(words[at], "call") for at in calls),
        1 < len(words) <= 8 and before_last.text[0] == "=" and plays(last, "value"),
        block and len(words) > 3 and plays(first, "for") and plays(words[2], "in") and loops(words, hints),
        block and hints > 0 and plays(first, "head"),
        plays(first, "return") and hints > 0 and (last.text[0] == ")" or len(words) <= 6),
    )
    return any(telling)


def loops(words: list[Word], hints: int) -> bool:
    return hints > 0 or len(words[1].text) == 1


def by_definition(text: str) -> list[int]:
    """Say of each line whether it is code (1), and whether it was translated, too (3)."""
    lines = text.split("\n")
    marked = blocks([line.encode() for line in lines])
    flags = [CODE * one for one in marked]
    guessed, short = set(), set()
    for number, line in enumerate(lines):
        words = spans(line)
        if not words or marked[number] or (len(words) > 8 and not signs(line.encode())):
            continue
        if is_translated(words):
            flags[number] = CODE | TRANSLATED
            continue
        marks, plain = weighed(line, words)
        if marks and marks >= plain:
            guessed.add(number)
        if plain <= 3 or line[words[0].begin :].startswith("/*") or words[0].text == "//":
            short.add(number)
    if any(flags) or len(guessed) >= 3:
        for number in guessed:
            flags[number] |= CODE
    for number in sorted(short):
        if not flags[number] and any(flags[max(0, number - 2) : number]) and any(flags[number + 1 : number + 3]):
            flags[number] = CODE
    return flags


def parted(*documents: str) -> list[tuple[str, float, int]]:
    prose = without_code(texts_of(pa.array(documents, pa.large_string())), "pt")
    (data, offsets), shares, translated = prose
    left = [data[begin:end].tobytes().decode() for begin, end in pairwise(offsets)]
    return list(zip(left, shares.tolist(), translated.tolist(), strict=True))


def parted_by_definition(text: str) -> tuple[str, float, int]:
    lines = text.split("\n")
    flags = by_definition(text) if signs(text.encode()) >= 2 else [0] * len(lines)
    sizes = np.array([len(line.encode()) for line in lines])
    code = sizes[np.array(flags) > 0].sum()
    if not code:
        return text, 0.0, sum(flag > CODE for flag in flags)
    ended = [f"{line}\n" for line in lines[:-1]] + lines[-1:]
    left = "".join(line for line, flag in zip(ended, flags, strict=True) if not flag)
    return left, float(np.float32(code / sizes.sum())), sum(flag > CODE for flag in flags)


PIECES = st.sampled_from(
    [
        *(
            "o ",
            "gato ",
            "viu ",
            "soma",
            "x",
            "y_1",
            "_",
            "a",
            "de ",
            "12",
            "É",
            "ção ",
            "\U0001d400",
            "\u0301",
            " ",
            " ",
        ),
        *("\n", "\n", "\n", "\n\n", "\r\n", "    ", "\t", "\u2028", "\xa0", "\x00"),
        *(
            "{",
            "}",
            "=",
            "==",
            "===",
            "->",
            "::",
            "&&",
            "||",
            "<",
            "</",
            "<b",
            ">",
            "$",
            "R$ 5",
            "(",
            ")",
            "();",
            ";",
            ":",
        ),
        *(
            "(a)",
            "(as)",
            "(x, y)",
            "//",
            "/*",
            "\\",
            "\\n",
            "http://a.b/c_d(e) ",
            "[",
            "]",
            ".",
            ", ",
            '"',
            "'",
            "-",
            "!",
        ),
        *(
            "```",
            "```\n",
            "~~~\n",
            "````",
            "<pre>",
            "</PRE>",
            "<script",
            "</script>",
            "<?php",
            "<?=",
            "?>",
            "{% code %}",
        ),
        *("{% endcode %}", "<style", "</style"),
        *(
            "importar ",
            "importe ",
            "torch",
            "de ",
            "para ",
            "i ",
            "em ",
            "intervalo",
            "imprimir",
            "se ",
            "senão",
            "senão:",
        ),
        *("retornar ", "= Verdadeiro\n", "função ", "definir ", "total = soma(x);\n", "int y_1 = f(x);\n", ":\n", "10"),
    ]
)
DIRTY = st.lists(PIECES, max_size=60).map("".join)
ANYTHING = st.text(st.one_of(st.characters(exclude_categories=["Cs"]), st.sampled_from("\n{}=<_`$:;()-&")), max_size=80)
TEXTS = st.one_of(DIRTY, ANYTHING)


@settings(max_examples=600, deadline=None)
@given(TEXTS)
def test_every_line_is_what_the_definition_says(text: str) -> None:
    assert flags_of(text, "pt") == by_definition(text)


@settings(max_examples=200, deadline=None)
@given(st.lists(TEXTS, max_size=5))
def test_documents_are_parted_as_the_definition_parts_them(documents: list[str]) -> None:
    assert parted(*documents) == [parted_by_definition(text) for text in documents]


BY_HAND: list[tuple[str, list[int]]] = [
    ("Antes.\n```python\nx = 1\n```\nDepois.", [0, 1, 1, 1, 0]),
    ("Antes.\n```\nnunca fechado\n", [0, 0, 0, 0]),
    ("Use <pre>isto</pre> e siga.\nFim.", [0, 0]),
    ("Veja:\n<pre>\numa linha\n</pre>\nFim.", [0, 1, 1, 1, 0]),
    ("$total = soma($a, $b);\nif ($total > 1) {\n  imprime($total);\n}", [1, 1, 3, 1]),
    ("Custou R$ 50 e o aluno(a) pagou.\nSorriu :-) e saiu.\nA página {12} é boa.", [0, 0, 0]),
    ("Leia http://exemplo.org/a_b?c=d para saber mais.", [0]),
    ("x = 1 é uma linha só.\nE mais nada aqui.", [0, 0]),
    ("importar torch\nde numpy importar array\npara i em intervalo(10):\n    imprimir(i)", [3, 3, 3, 3]),
    ("Vou importar vinho de Portugal para vender aqui.\nSe chover, fico em casa:\n", [0, 0, 0]),
    ("pronto = Verdadeiro\nretornar a + b\nsenão:", [3, 3, 3]),
]


@pytest.mark.parametrize(("text", "flags"), BY_HAND)
def test_lines_by_hand(text: str, flags: list[int]) -> None:
    assert flags_of(text, "pt") == flags == by_definition(text)


def test_a_language_without_words_of_code_has_no_translated_lines() -> None:
    assert flags_of("importar torch\nretornar a + b", "en") == [0, 0]


def test_what_is_left_and_how_much_was_code() -> None:
    text = "Antes.\n```\nx = 1\n```\nDepois."
    assert parted(text, "", "Só prosa.") == [
        ("Antes.\nDepois.", pytest.approx(11 / 24), 0),
        ("", 0.0, 0),
        ("Só prosa.", 0.0, 0),
    ]
