"""The page of a cleaning: its numbers are the report's, strangers' texts stay texts, and few steps make a page, too."""

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lhama.corpus.page import CHAPTERS, make_page
from lhama.corpus.show import show_documents
from lhama.plan.problem import Problem
from lhama.record.tables import document_rows
from tests.corpus.conftest import MakeCorpus
from tests.page import Page

HOSTILE = "\"><img src=x onerror=alert(1)></script><script>alert(2)</script></style><!-- \x00 \u202e {{7*7}} &lt; ' `"
REFERENCES = {"src", "srcset", "action", "data", "poster", "formaction", "background", "xlink:href"}


def source(name: str) -> dict[str, Any]:
    """A source of ten documents with a hundred bytes each: six kept, one held out, three dropped."""
    return {
        "name": name,
        "language": "pt",
        "license": "CC0-1.0",
        "documents_in": 10,
        "bytes_in": 1000,
        "words_in": 200,
        "kept": 6,
        "bytes_out": 550,
        "words_out": 110,
        "bytes_cleaned_away": 50,
        "heldout": 1,
        "heldout_bytes": 100,
        "heldout_words": 20,
        "dropped": {"broken_line": 1, "gopher_short_doc": 1, "near_duplicate": 1},
        "dropped_bytes": {"broken_line": 0, "gopher_short_doc": 100, "near_duplicate": 200},
        "dropped_words": {"broken_line": 0, "gopher_short_doc": 20, "near_duplicate": 40},
        "repairs": {"tags": {"documents": 2, "times": 7}, "links": {"documents": 0, "times": 0}},
        "personal_data": {"cpf": {"documents": 1, "times": 2}},
        "taken_bytes": 30,
        "languages": {"pt": 7, "gl": 2},
        "variety": {"documents": 9, "european": 1, "brazilian": 5, "old_spelling": 2},
    }


RULE = {
    "meaning": "There are too few words.",
    "measurement": "rule_words",
    "comparison": "<",
    "threshold": 50,
    "high": 150,
    "counts": [0, 3, 0, 11] + [1] * 36,
    "fail": 3,
    "fail_alone": 2,
}
JUDGED = {
    "texts": 40,
    "accuracy": 0.75,
    "macro_f1": 0.7,
    "area": 0.8,
    "calibration_error": 0.05,
    "classes": [{"name": "clean", "texts": 20, "precision": 0.7, "recall": 0.8, "f1": 0.746}],
    "bins": [
        {"low": 0.0, "high": 0.1, "texts": 30, "promised": 0.05, "true": 0.1},
        {"low": 0.1, "high": 0.2, "texts": 0, "promised": 0.0, "true": 0.0},
        {"low": 0.9, "high": 1.0, "texts": 10, "promised": 0.95, "true": 0.9},
    ],
}
TERM = {"term": "uma pessoa", "mean": 0.3, "difference": 0.1, "called": 0.0}


def full() -> dict[str, Any]:
    """A report of two sources with every step."""
    reasons = {
        "broken_line": {"meaning": "The line is not valid.", "documents": 2, "bytes": 0, "words": 0},
        "gopher_short_doc": {"meaning": "There are too few words.", "documents": 2, "bytes": 200, "words": 40},
        "near_duplicate": {"meaning": "Nearly the same text came before.", "documents": 2, "bytes": 400, "words": 80},
    }
    example = {"id": "d1", "source": "first", "excerpt": "Era uma vez", "detail": "the same text as second: a.txt:3"}
    return {
        "sources": [source("first"), source("second")],
        "reasons": reasons,
        "kept_examples": [dict(example)],
        "examples": {reason: [dict(example)] for reason in reasons},
        "broken": [{"file": "a.jsonl", "line": 7, "reason": "broken_line"}],
        "broken_total": 2,
        "totals": {
            **{"documents_in": 20, "bytes_in": 2000, "words_in": 400, "kept": 12, "bytes_out": 1100, "words_out": 220},
            **{"heldout": 2, "heldout_bytes": 200, "heldout_words": 40, "dropped": 6},
        },
        "rules": {"gopher_short_doc": dict(RULE), "mostly_code": RULE | {"fail": 0, "fail_alone": 0}},
        "tests_found": {"enem": {"documents": 3, "rows": 2, "examples": [{"row": "enem-1", "passage": "Um texto."}]}},
        "near_duplicates": {"groups": {"2": 1, "3": 1}, "expected_recall": [[0.5, 0.05], [0.8, 0.92], [1.0, 1.0]]},
        "repeated_lines": [{"line": "Todos os direitos", "source": "first", "documents": 12}],
        "tools": {
            "classifiers": {
                "toxic": {
                    **{"action": "drop", "threshold": 0.95, "target": "1", "judged": copy.deepcopy(JUDGED)},
                    "bias": [{"group": "gender", "gap": 0.2, "terms": [dict(TERM), dict(TERM)]}],
                },
                "borrowed": {"action": "score", "threshold": 0.5, "target": "1", "model": "someone/model"},
            },
            "tests": {"words": 13, "texts": 29, "indexed": 17},
        },
        "advice": ["first keeps 60% of its documents."],
    }


def hostile(value: Any) -> Any:
    """Put the hostile text into every text, and into the names of sources, reasons, rules, groups and tests."""
    if isinstance(value, str):
        return HOSTILE
    if isinstance(value, list):
        return [hostile(one) for one in value]
    return {key: hostile(one) for key, one in value.items()} if isinstance(value, dict) else value


def renamed(report: dict[str, Any]) -> dict[str, Any]:
    """Make a report hostile: every text, and every free name that a recipe or a test may give."""
    made: dict[str, Any] = hostile(report)
    for key in ("reasons", "examples", "rules", "tests_found"):
        made[key] = {f"{HOSTILE}{number}": one for number, one in enumerate(made[key].values())}
    for one in made["sources"]:
        for key in ("dropped", "dropped_bytes", "repairs", "personal_data", "languages"):
            one[key] = {f"{HOSTILE}{number}": of for number, of in enumerate(one[key].values())}
    made["tools"]["classifiers"] = {HOSTILE: made["tools"]["classifiers"]["toxic"]}
    return made


def references(page: Page) -> Iterator[str]:
    """Everything that a browser would fetch or follow."""
    for _, attributes in page.elements:
        yield from (value for name, value in attributes.items() if name in REFERENCES or name.endswith("href"))


def test_every_step_has_its_chapter_and_its_numbers_are_the_reports() -> None:
    page = Page(make_page("notícias", full()))
    assert page.chapters() == [name for name, _, _ in CHAPTERS]
    seen = page.values
    assert (seen["documents-in"], seen["kept"], seen["heldout"], seen["dropped"]) == (20, 12, 2, 6)
    assert (seen["bytes-out"], seen["cleaned-away"], seen["broken-rows"]) == (1100, 100, 2)
    assert seen["reason-near_duplicate"] == 2 and seen["fail-gopher_short_doc"] == 3
    assert (seen["repairs-tags"], seen["personal_data-cpf"], seen["tests-enem"]) == (4, 2, 3)
    assert "repairs-links" not in seen and "None of these: links." in page.said
    assert "Nobody fails these rules: mostly_code." in page.said


def test_the_funnel_ends_with_what_is_kept() -> None:
    """Hover words of the last step: 20 - 2 - 2 - 2 dropped - 2 held out, 2000 - 200 - 400 - 200 - 100 bytes."""
    text = make_page("notícias", full())
    last = text[text.index(">training text<") :]
    assert last.index("<title>12 left") < last.index("<title>1.10\u00a0kB left")
    assert text.index(">cannot be read<") < text.index(">rules<") < text.index(">near duplicates<")
    assert text.index(">near duplicates<") < text.index(">held out<") < text.index(">training text<")


def test_what_strangers_wrote_stays_text() -> None:
    text = make_page(HOSTILE, renamed(full()))
    page = Page(text)
    assert page.said.count("<script>alert(2)</script>") > 40
    assert "<img" not in text and "<script>alert" not in text
    names = {name for name, _ in page.elements}
    assert names.isdisjoint({"img", "iframe", "object", "embed", "link", "base", "form", "input"})
    assert sum(name == "script" for name, _ in page.elements) == 1
    for _, attributes in page.elements:
        assert not any(name.startswith("on") or name == "style" for name in attributes)


@pytest.mark.parametrize("report", [full(), renamed(full())], ids=["full", "hostile"])
def test_the_page_asks_nobody_for_anything(report: dict[str, Any]) -> None:
    text = make_page("notícias", report)
    found = list(references(Page(text)))
    assert found and all(one.startswith("#") for one in found)
    assert "default-src &#x27;none&#x27;" in text
    style = text[text.index("<style>") : text.index("</style>")]
    assert "url(" not in style and "@import" not in style


def test_a_corpus_without_steps_has_a_page_and_no_empty_chapter(make_corpus: MakeCorpus, tmp_path: Path) -> None:
    rows = [{"id": f"d{number}", "text": f"Era uma vez um gato que contava até {number}. " * 3} for number in range(60)]
    (tmp_path / "a.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    made = make_corpus(f'[[corpus.source]]\nname = "a"\npath = "{tmp_path.as_posix()}/a.jsonl"')
    text = (made.folder / "report.html").read_text(encoding="utf-8")
    page = Page(text)
    assert page.chapters() == ["funnel", "sources", "examples"]
    assert page.values["documents-in"] == 60 == page.values["kept"] + page.values["heldout"]
    assert text == make_page("text", made.report)


GOOD = (
    "<p>A velha ponte de ferro, que os engenheiros ergueram há mais de um século, liga as duas margens do rio e leva "
    "para a feira quem mora do outro lado. Todos os dias, antes que o sol apareça, passam por ela os carros de boi, as "
    "moças com os cestos na cabeça e os meninos que vão à escola. Quando chove muito, a água cobre as pedras, e o "
    "prefeito manda fechar o caminho até que o rio volte ao seu leito.</p>"
)


def test_a_strangers_text_has_no_power_over_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    row = {"id": "d\x1b[2J", "text": "[red]um\x07\ndois\x9b31m " + "x" * 1000, "source": "a", "url": "http://a/\r"}
    document_rows({"reason": "kept", "source": None, "documents": 9, "shown": [row]})
    said = capsys.readouterr().out
    assert "kept: 1 of 9 documents" in said and "[red]um\N{REPLACEMENT CHARACTER}\n    dois" in said
    assert not set(said) & {"\x1b", "\x07", "\x9b", "\r"} and "x..." in said


STEPS = """
minimum_characters = 20
repair = ["unicode", "markup", "spaces"]
languages = ["pt"]
variety = "brazilian"
rules = ["gopher-quality", "gopher-repetition", "code"]
personal_data = "mask"
near_duplicates = true
contained = 0.8
repeated_lines = 10
"""


def test_a_corpus_with_steps_shows_each(make_corpus: MakeCorpus, tmp_path: Path) -> None:
    rows = [{"id": f"e{number}", "text": "ão"} for number in range(7)] + [{"id": "good", "text": GOOD}]
    (tmp_path / "a.jsonl").write_text("\n".join(map(json.dumps, rows)) + "\n{", encoding="utf-8")
    named = f'[[corpus.source]]\nname = "a"\npath = "{tmp_path.as_posix()}/a.jsonl"'
    made = make_corpus(f'{named}\n[[corpus.source]]\nname = "tales"\nkind = "tales"\ndocuments = 200', STEPS)
    page = Page((made.folder / "report.html").read_text(encoding="utf-8"))
    wanted = {"funnel", "sources", "rules", "duplicates", "mended", "personal", "variety", "broken", "examples"}
    assert wanted <= set(page.chapters())
    assert page.values["broken-rows"] == 1
    assert page.values["reason-too_short"] == sum(row["reason"] == "too_short" for row in made.rejected) > 4

    found = show_documents(made.folder, "too_short", None, 3)
    assert found["documents"] == page.values["reason-too_short"]
    ids = [row["id"] for row in made.rejected if row["reason"] == "too_short"]
    assert [row["id"] for row in found["shown"]] == [ids[0], ids[round((len(ids) - 1) / 2)], ids[-1]]
    assert found == show_documents(made.folder, "too_short", "a", 3) | {"source": None}
    shown = show_documents(made.folder, "broken_line", "a", 5)["shown"]
    assert [(row["file"], row["line"]) for row in shown] == [("a.jsonl", 9)]
    assert show_documents(made.folder, "kept", None, 10_000)["shown"] == made.train
    assert show_documents(made.folder, "heldout", None, 10_000)["shown"] == made.heldout
    with pytest.raises(Problem, match=rf"too_short \({len(ids)}\).*broken_line \(1\)"):
        show_documents(made.folder, "toxic", None, 3)
    with pytest.raises(Problem, match=r"no kept document of source 'b'; sources: tales \(\d+\), a \(1\)"):
        show_documents(made.folder, "kept", "b", 3)
    with pytest.raises(Problem, match="--count 0"):
        show_documents(made.folder, "kept", None, 0)
