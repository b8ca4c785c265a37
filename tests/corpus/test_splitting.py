"""Documents are split where the recipe says, nothing is lost, and the parts are named and numbered."""

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lhama.corpus.readers import Row
from lhama.corpus.splitting import Splitting, split, split_rows
from lhama.plan.problem import Problem

YEARS = "Prefácio.\n1839\nNasce.\nCresce.\n1860\nEscreve.\n"


def test_a_part_begins_at_each_match() -> None:
    found = split(YEARS, Splitting(at=r"^\d{4}$"))
    assert found == ["Prefácio.\n", "1839\nNasce.\nCresce.\n", "1860\nEscreve.\n"]
    assert split("Sem ano nenhum.", Splitting(at=r"^\d{4}$")) == ["Sem ano nenhum."]
    assert split("\n\n1839\nNasce.", Splitting(at=r"^\d{4}$")) == ["\n\n1839\nNasce."]
    assert split("a\f\f\fb\f", Splitting(at=r"\f")) == ["a\f\f", "\fb\f"]


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("um dois.\n\ntrês quatro.\n\ncinco", ["um dois.\n\n", "três quatro.\n\n", "cinco"]),
        ("linha um de\nlinha dois\nlinha três", ["linha um de\n", "linha dois\n", "linha três"]),
        ("Uma frase. Outra frase. Fim.", ["Uma frase. ", "Outra frase. ", "Fim."]),
        ("palavras sem ponto nem nada", ["palavras sem ", "ponto nem nada"]),
        ("x" * 34, ["x" * 16, "x" * 16, "x" * 2]),
        ("curto", ["curto"]),
        ("a\n\n" + "b" * 20, ["a\n\n" + "b" * 13, "b" * 7]),  # no good end in the second half
    ],
)
def test_long_parts_end_at_the_best_place_that_fits(text: str, parts: list[str]) -> None:
    assert split(text, Splitting(characters=16)) == parts


def test_both_ways_together() -> None:
    found = split(YEARS, Splitting(at=r"^\d{4}$", characters=14))
    assert found == ["Prefácio.\n", "1839\nNasce.\n", "Cresce.\n", "1860\nEscreve.\n"]


TEXT = st.text(alphabet=st.sampled_from("ab .\n1é😀\f"), max_size=80) | st.text(max_size=80)


@given(TEXT, st.none() | st.sampled_from([r"^\d", r"\f", r"a*", r"(?=b)", r"$"]), st.none() | st.integers(1, 20))
def test_nothing_is_lost_and_no_part_is_blank_or_too_long(text: str, at: str | None, characters: int | None) -> None:
    parts = split(text, Splitting(at, characters))
    assert "".join(parts) == text
    if text.strip():
        assert all(part.strip() for part in parts)
        for part in parts if characters else ():
            words = re.sub(r"^\s+|\s+$", "", part)
            assert len(words) <= (characters or 0)


def test_rows_are_named_numbered_and_told_apart() -> None:
    rows = [
        Row(2, "machado", "1839\nNasce.\n1860\nEscreve.", "http://a.br", '{"autor": "M"}'),
        Row(3, None, "lixo", reason="broken_line", detail="não é JSON"),
        Row(5, None, "Inteiro."),
        Row(6, None, "1\nUm.\n2\nDois.\n"),
    ]
    found = list(split_rows(rows, Splitting(at=r"^\d+$"), "a.jsonl"))
    assert [(row.line, row.name, row.reason) for row in found] == [
        (1, "machado#1", ""),
        (2, "machado#2", ""),
        (3, "a.jsonl:3", "broken_line"),
        (4, "a.jsonl:5", ""),
        (5, "a.jsonl:6#1", ""),
        (6, "a.jsonl:6#2", ""),
    ]
    assert json.loads(found[1].meta) == {"autor": "M", "part": 2, "parts": 2}
    assert (found[1].url, found[2].detail, found[3].meta) == ("http://a.br", "line 3: não é JSON", "{}")
    for skip in range(8):
        assert list(split_rows(rows, Splitting(at=r"^\d+$"), "a.jsonl", skip)) == found[skip:]


def test_a_wrong_expression_or_limit_is_a_problem() -> None:
    with pytest.raises(Problem, match="no regular expression"):
        Splitting(at="(")
    with pytest.raises(Problem, match="room for a character"):
        Splitting(characters=0)
