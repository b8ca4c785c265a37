"""Examples of instructions become text: every layout, in several phrasings, the same in every run."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lhama.corpus import instruct
from lhama.corpus.instruct import Instruct, Rendered, make_row, read_json, render, render_by, templates_of
from lhama.corpus.layouts import Layout, NoExample, layout_of
from lhama.corpus.readers import Columns, Row
from lhama.plan.problem import Problem

COLUMNS = Columns()
ALPACA = {"instruction": "Resuma.", "input": "Era uma vez uma lhama.", "output": "Uma lhama."}
DOLLY = {"instruction": "Resuma.", "context": "Era uma vez uma lhama.", "response": "Uma lhama.", "category": "resumo"}
SQUAD = {
    "context": "A lhama vive nos Andes.",
    "question": "Onde vive?",
    "answers": {"text": ["nos Andes", "Andes"], "answer_start": [13, 17]},
}
COSMOS = {
    **{"context": "Choveu.", "question": "E depois?", "label": 2},
    **{f"answer{number}": text for number, text in enumerate(("sol", "neve", "lama", "nada"))},
}
CHAT = {"messages": [{"role": "user", "content": "Oi"}, {"role": "assistant", "content": "Olá"}]}
SHAREGPT = {"conversations": [{"from": "human", "value": "Oi"}, {"from": "gpt", "value": "Olá"}]}


def said(values: dict[str, Any], layout: Layout = "auto", key: str = "") -> str:
    made = render(values, layout, "pt", key)
    assert isinstance(made, Rendered)
    return made.text


EXAMPLES: list[tuple[dict[str, Any], Layout, str, list[str]]] = [
    (ALPACA, "alpaca", "task_input", ["Resuma.", "Era uma vez uma lhama.", "Uma lhama."]),
    (ALPACA | {"input": ""}, "alpaca", "task", ["Resuma.", "Uma lhama."]),
    (ALPACA | {"input": None}, "alpaca", "task", ["Resuma.", "Uma lhama."]),
    (DOLLY, "alpaca", "task_input", ["Resuma.", "Era uma vez uma lhama.", "Uma lhama."]),
    ({"prompt": "Conte.", "response": "Um."}, "prompt", "task", ["Conte.", "Um."]),
    ({"prompt": "Conte.", "completion": "Um."}, "prompt", "task", ["Conte.", "Um."]),
    (SQUAD, "qa", "question_context", ["A lhama vive nos Andes.", "Onde vive?", "nos Andes"]),
    ({"question": "Onde?", "answer": "Lá."}, "qa", "question", ["Onde?", "Lá."]),
    ({"question": "Onde?", "answers": ["Lá.", "Ali."]}, "qa", "question", ["Onde?", "Lá."]),
    ({"question": "Onde?", "answers": [{"text": "Lá."}]}, "qa", "question", ["Onde?", "Lá."]),
    (COSMOS, "choices", "choices_context", ["Choveu.", "E depois?", "A) sol\nB) neve\nC) lama\nD) nada", ": C) lama"]),
    (COSMOS | {"label": "2"}, "choices", "choices_context", [": C) lama"]),
    ({"question": "Q", "choices": ["a1", "b1"], "answer": 1}, "choices", "choices", ["A) a1\nB) b1", ": B) b1"]),
    ({"question": "Q", "choices": ["a1", "b1"], "answer": "A"}, "choices", "choices", [": A) a1"]),
    ({"question": "Q", "choices": ["a1", "b1"], "answer": "b"}, "choices", "choices", [": B) b1"]),
    ({"question": "Q", "options": ["a1", "b1"], "answer": "b1"}, "choices", "choices", [": B) b1"]),
    (
        {"question": "Q", "choices": {"text": ["x", "y"], "label": ["1", "2"]}, "answerKey": "1"},
        "choices",
        "choices",
        ["A) x\nB) y", ": A) x"],
    ),
    (CHAT, "chat", "chat", ["Oi", "Olá"]),
    (SHAREGPT, "chat", "chat", ["Oi", "Olá"]),
]


@pytest.mark.parametrize(("values", "layout", "form", "parts"), EXAMPLES)
@pytest.mark.parametrize("key", "abcdefgh")
def test_each_layout_is_told_by_its_columns_and_says_everything_in_order_of_the_answer(
    values: dict[str, Any], layout: Layout, form: str, parts: list[str], key: str
) -> None:
    assert layout_of(values) == layout
    made = render(values, "auto", "pt", key)
    assert isinstance(made, Rendered)
    assert made.form == form
    for part in parts:
        assert part in made.text
    assert made.text.endswith(parts[-1])
    assert "{" not in made.text
    assert made == render(values, layout, "pt", key)


BAD: list[tuple[dict[str, Any], str]] = [
    ({"texto": "a"}, "no known layout has the columns texto"),
    ({}, "no known layout"),
    (ALPACA | {"output": ""}, "no value under 'output'"),
    (ALPACA | {"output": 7}, "'output' holds int, not text"),
    (ALPACA | {"instruction": None}, "no value under 'instruction'"),
    (ALPACA | {"input": ["a"]}, "'input' holds list, not text"),
    (SQUAD | {"answers": {"text": [], "answer_start": []}}, "there is no answer"),
    (SQUAD | {"answers": {}}, "no value under 'answer'"),
    (SQUAD | {"answers": [7]}, "'answer' holds int, not text"),
    (COSMOS | {"label": 9}, "9 is none of the answers"),
    (COSMOS | {"label": True}, "True is none of the answers"),
    (COSMOS | {"label": -1}, "-1 is none of the answers"),
    ({"question": "Q", "choices": ["a"], "answer": 0}, "there are not 2 to 10 answers"),
    ({"question": "Q", "choices": "ab", "answer": 0}, "there are not 2 to 10 answers"),
    ({"messages": []}, "nobody answers"),
    ({"messages": ["oi"]}, "a turn is str, not an object"),
    ({"messages": [{"role": "tool", "content": "x"}]}, "nobody knows the role 'tool'"),
    ({"messages": [{"role": 1, "content": "x"}]}, "nobody knows the role 1"),
    ({"messages": [{"role": "user", "content": "x"}]}, "nobody answers"),
    ({"messages": [{"role": "user", "content": None}]}, "no value under 'content'"),
]


@pytest.mark.parametrize(("values", "detail"), BAD)
def test_what_is_no_example_says_why(values: dict[str, Any], detail: str) -> None:
    found = render(values)
    assert isinstance(found, NoExample)
    assert detail in found.detail
    row = make_row(3, dict(values), COLUMNS, Instruct())
    assert (row.line, row.reason, row.detail) == (3, "no_example", found.detail)
    assert json.loads(row.text) == values


def test_the_phrasing_depends_on_the_id_alone_and_all_are_used() -> None:
    texts = {said(ALPACA, key=str(number)) for number in range(100)}
    assert len(texts) == len(templates_of("pt")["task_input"])  # of 5 all but surely: (4/5)^100 is 2e-10
    assert said(ALPACA | {"output": "Outra."}, key="k").removesuffix("Outra.") == said(ALPACA, key="k").removesuffix(
        "Uma lhama."
    )


def test_a_conversation_keeps_its_order_and_names_who_speaks() -> None:
    turns = [{"role": "system", "content": "Seja breve."}, *CHAT["messages"], *CHAT["messages"]]
    found = {said({"messages": turns}, key=str(number)) for number in range(60)}
    assert "Seja breve.\n\nUsuário: Oi\n\nAssistente: Olá\n\nUsuário: Oi\n\nAssistente: Olá" in found
    assert len(found) == len(templates_of("pt")["chat"])


def test_braces_in_a_text_are_text() -> None:
    made = said({"instruction": "Use {output} e {0} e {x.__class__}", "output": "{instruction}"})
    assert "Use {output} e {0} e {x.__class__}" in made
    assert made.endswith("{instruction}")


@pytest.mark.parametrize("language", ["pt", "en", "es", "pt_Latn"])
def test_every_language_has_every_form(language: str) -> None:
    holes = {
        "task": {"instruction", "output"},
        "task_input": {"instruction", "input", "output"},
        "question": {"question", "answer"},
        "question_context": {"question", "context", "answer"},
        "choices": {"question", "options", "answer"},
        "choices_context": {"question", "options", "context", "answer"},
    }
    found = templates_of(language)
    assert set(found) == {*holes, "chat"}
    for form, names in holes.items():
        assert len(found[form]) == len(set(found[form])) >= 3
        for template in found[form]:
            assert set(instruct._HOLE.findall(template)) == names
            assert template.endswith(("{output}", "{answer}", '{answer}"'))
    for phrasing in found["chat"]:
        assert set(phrasing) == {"system", "user", "assistant", "between"}


def test_a_language_without_templates_is_a_problem_that_says_what_to_do() -> None:
    with pytest.raises(Problem, match="write your own under `templates`"):
        render(ALPACA, "auto", "gn")


def test_a_recipe_may_bring_templates() -> None:
    made = render_by(("Ano {ano}: {titulo}\n{corpo}",), {"ano": 1899, "titulo": "T {ano}", "corpo": "C", "x": 1})
    assert made == Rendered("Ano 1899: T {ano}\nC", "template", ("ano", "titulo", "corpo"))
    for bad in ({"ano": None}, {"ano": ""}, {"ano": True}, {"ano": ["a"]}, {}):
        assert isinstance(render_by(("{ano}",), bad), NoExample)


def test_a_row_keeps_its_name_address_and_what_is_not_in_the_text() -> None:
    row = make_row(5, {**DOLLY, "id": 9, "url": "http://a.br"}, COLUMNS, Instruct())
    assert (row.line, row.name, row.url, row.reason) == (5, "9", "http://a.br", "")
    assert json.loads(row.meta) == {"category": "resumo", "kind": "instruct", "form": "task_input"}
    same = make_row(8, {**DOLLY, "id": "9"}, COLUMNS, Instruct())
    assert same.text == row.text


def test_a_text_column_that_is_also_used_stays_apart() -> None:
    row = make_row(1, {"question": "Onde?", "answer": "Lá.", "text": "outra coisa"}, COLUMNS, Instruct())
    assert row.text.endswith("Lá.")


def written(folder: Path, value: Any) -> Path:
    path = folder / "set.json"
    path.write_bytes(value if isinstance(value, bytes) else json.dumps(value).encode())
    return path


def test_a_list_in_one_file_gives_a_row_for_each(tmp_path: Path) -> None:
    path = written(tmp_path, [ALPACA, 7, {"x": 1}, ALPACA | {"id": "b"}])
    rows = list(read_json(path, COLUMNS))
    assert [(row.line, row.name, row.reason) for row in rows] == [
        (1, None, ""),
        (2, None, "wrong_type"),
        (3, None, "no_example"),
        (4, "b", ""),
    ]
    for skip in range(6):
        assert list(read_json(path, COLUMNS, skip)) == rows[skip:]


def test_a_tree_of_questions_is_taken_apart(tmp_path: Path) -> None:
    answer = {"answers": [{"text": "nos Andes", "answer_start": 0}]}
    tree = {
        "version": "1.1",
        "data": [
            {
                "title": "Lhama",
                "paragraphs": [
                    {"context": "C1.", "qas": [{"id": "q1", "question": "P1?", **answer}, "quebrado"]},
                    {"context": "C2.", "qas": [{"id": "q2", "question": "P2?", "answers": [], "is_impossible": True}]},
                    "quebrado",
                ],
            },
            {"question": "P3?", "answer": "R3", "id": "q3"},
        ],
    }
    rows = list(read_json(written(tmp_path, tree), COLUMNS))
    found = [(row.line, row.name, row.reason) for row in rows]
    assert found == [
        (1, "q1", ""),
        (2, None, "wrong_type"),
        (3, "q2", "no_example"),
        (4, None, "wrong_type"),
        (5, "q3", ""),
    ]
    assert "C1." in rows[0].text and rows[0].text.endswith("nos Andes")
    assert json.loads(rows[0].meta)["title"] == "Lhama"


@pytest.mark.parametrize(
    ("raw", "reasons"),
    [
        (b"", []),
        (b" \n", []),
        (b"[1,", ["broken_line"]),
        (b"[" * 100_000, ["broken_line"]),
        (b'["\xff"]', ["bad_utf8"]),
        (b"3", ["wrong_type"]),
        (b"[]", []),
        (b'[{"prompt": "a\\u0000", "response": "b"}]', ["nul_bytes"]),
        (b'[{"prompt": "a", "response": "\\ud800"}]', ["bad_utf8"]),
    ],
)
def test_a_broken_file_has_its_reason(raw: bytes, reasons: list[str], tmp_path: Path) -> None:
    rows = list(read_json(written(tmp_path, raw), COLUMNS))
    assert [row.reason for row in rows] == reasons
    for row in rows:
        "".join((row.text, row.meta, row.detail)).encode()


def test_a_file_too_large_to_be_held_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(instruct, "LONGEST_JSON", 10)
    assert [row.reason for row in read_json(written(tmp_path, [ALPACA]), COLUMNS)] == ["line_too_long"]


NAMES = st.sampled_from(
    [
        *("instruction", "input", "output", "question", "context", "answers", "answer", "answer0", "answer1"),
        *("choices", "label", "text", "id", "messages", "conversations", "role", "content", "from", "value", "prompt"),
    ]
)
VALUE: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=6,
)


@given(st.dictionaries(NAMES, VALUE, max_size=6))
def test_any_row_becomes_a_document_or_says_why_not(values: dict[str, Any]) -> None:
    row = make_row(1, dict(values), COLUMNS, Instruct())
    assert isinstance(row, Row)
    assert row.reason or row.text
    "".join((row.text, row.meta, row.detail, row.name or "")).encode()
