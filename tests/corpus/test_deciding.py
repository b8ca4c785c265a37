"""Decisions about several documents through the whole room: copies, parts, repeated lines, test sets."""

import json
from pathlib import Path

import pytest

from tests.corpus.conftest import MakeCorpus
from tests.corpus.texts import is_held, kept, names, prose, reasons, recount, sentences, source, write


def changed(text: str, words: int = 2) -> str:
    """Change a few words of a text."""
    parts = text.split(" ")
    for place in range(words):
        parts[40 + 50 * place] = "inesperadamente"
    return " ".join(parts)


def test_nearly_equal_documents(make_corpus: MakeCorpus, tmp_path: Path) -> None:
    (held,) = names("fonte", 1, held=True)
    long, tested = prose("longo", 16), prose("medido", 16)
    first = {"um": long, "quase medido": changed(tested), "outro": prose("outro", 16)}
    rows = {"quase um": changed(long), "pouco": changed(long, 6)[:1500], held: tested, "igual": long}
    write(tmp_path / "antes.jsonl", first)
    write(tmp_path / "fonte.jsonl", rows)
    two = source("antes") + source("fonte")
    made = make_corpus(two, "near_duplicates = true")
    expected = {"quase medido": "near_copy_of_heldout", "quase um": "near_duplicate", "igual": "exact_duplicate"}
    assert not is_held("antes", "um") and expected.items() <= reasons(made).items()
    details = {row["id"]: row["detail"] for row in made.rejected}
    assert details["quase medido"] == "nearly, or a part of, fonte: fonte.jsonl:3"
    assert details["quase um"] == "nearly, or a part of, antes: antes.jsonl:1"
    assert made.report["near_duplicates"]["groups"]["2"] >= 1
    recount(made, {"antes": first, "fonte": rows})
    exact = make_corpus(two)
    assert reasons(exact) == {"igual": "exact_duplicate"} and exact.report["near_duplicates"] is None


def test_contained_documents(make_corpus: MakeCorpus, tmp_path: Path) -> None:
    (held,) = names("fonte", 1, held=True)
    book, tested = sentences("livro", 60), sentences("medido", 60)
    rows = {
        "livro": "\n".join(book),
        "parte": "\n".join(book[20:40]),
        "do medido": "\n".join(tested[:25]),
        held: "\n".join(tested),
        "outro": prose("outro", 20),
        "metade": "\n".join([*book[:10], *sentences("novo", 10)]),
    }
    write(tmp_path / "fonte.jsonl", rows)
    made = make_corpus(source(), "contained = 0.8")
    assert reasons(made) == {"parte": "contained", "do medido": "near_copy_of_heldout"}
    assert {row["id"]: row["detail"].rpartition(":")[2] for row in made.rejected} == {"parte": "1", "do medido": "4"}
    assert reasons(make_corpus(source(), "contained = 0.3")) == reasons(made) | {"metade": "contained"}
    recount(made, {"fonte": rows})


def test_held_out_text_inside_training_text(make_corpus: MakeCorpus, tmp_path: Path) -> None:
    """What is half held-out text leaves training; of a book with a held-out paragraph, the paragraph goes."""
    half, inside, alone = names("fonte", 3, held=True)
    tested, paragraph = sentences("medido", 14), sentences("trecho", 5)
    book = sentences("livro", 60)
    rows = {
        half: " ".join(tested),
        inside: " ".join(paragraph),
        alone: prose("só", 8),
        "metade": " ".join([*sentences("antes", 10), *tested]),
        "livro": " ".join([*book[:30], *paragraph, *book[30:]]),
    }
    write(tmp_path / "fonte.jsonl", rows)
    made = make_corpus(source(), "contained = 0.8")
    assert reasons(made) == {"metade": "holds_heldout", inside: "heldout_in_training"}
    details = {row["id"]: row["detail"] for row in made.rejected}
    assert details["metade"] == "holds fonte: fonte.jsonl:1"
    assert details[inside] == "nearly, or a part of, fonte: fonte.jsonl:5"
    assert kept(made) == {"livro": rows["livro"]}
    assert made.report["totals"]["heldout"] == 2
    assert reasons(make_corpus(source())) == {}  # what is no longer asked for is decided anew


@pytest.mark.parametrize("ending", ["\n", "\r\n"])
def test_lines_that_repeat(ending: str, make_corpus: MakeCorpus, tmp_path: Path) -> None:
    head = "Jornal da Vila, fundado pelo barqueiro em 1912,  circula aos domingos\tdepois da missa."
    foot = "Todos os direitos são da vizinha; não copie nada disto sem lhe pedir licença antes."
    ids, (held,) = names("fonte", 6), names("fonte", 1, held=True)
    rows = {one: ending.join([head, *sentences(one), "", foot]) for one in (held, *ids)}
    hollow, free = f"{head}{ending}Sem mais.{ending}{foot}", prose("livre")
    rows |= {"vazio": hollow, "livre": free, "duas vezes": ending.join([foot, *sentences("d"), foot, foot])}
    write(tmp_path / "fonte.jsonl", rows)
    write(tmp_path / "outra.jsonl", other := {"a": f"{head}{ending}{prose('a')}", "b": f"{foot}{ending}{prose('b')}"})
    made = make_corpus(source() + source("outra"), "repeated_lines = 5")
    assert reasons(made) == {"vazio": "boilerplate"}
    texts = kept(made)
    assert texts[ids[0]] == rows[ids[0]], "the first one keeps its lines"
    for one in ids[1:]:
        assert texts[one] == ending.join([*sentences(one), "", ""])
    assert texts["duas vezes"] == ending.join([*sentences("d"), ""])
    assert (texts["livre"], texts["a"], texts["b"]) == (free, other["a"], other["b"])
    assert {(line["line"], line["documents"], line["source"]) for line in made.report["repeated_lines"]} == {
        (head, 7, "fonte"),
        (foot, 8, "fonte"),
    }
    recount(made, {"fonte": rows, "outra": other})


def test_what_stands_in_a_test_leaves(make_corpus: MakeCorpus, tmp_path: Path) -> None:
    question, short = sentences("prova", 2)[0], "Quem foi que pintou a gaiola?"
    (tmp_path / "tasks").mkdir()
    items = [{"id": "q1", "question": question, "answer": "o ferreiro"}, {"id": "q2", "question": short}]
    (tmp_path / "tasks" / "prova.jsonl").write_text("\n".join(map(json.dumps, items)), encoding="utf-8")
    (held,) = names("fonte", 1, held=True)
    before, after = sentences("antes", 8), sentences("depois", 8)
    rows = {
        "com prova": " ".join([*before, question.upper(), *after]),
        "curta": f"{prose('c')}\n{short}\n{prose('d')}",
        "só prova": question,
        "quase só": f"{question} {sentences('x', 1)[0]}",
        held: " ".join([question, *sentences("h", 8)]),
        "livre": prose("livre"),
    }
    write(tmp_path / "fonte.jsonl", rows)
    keys = 'tasks = "tasks"\ndecontaminate = ["prova"]'
    made = make_corpus(source(), keys)
    assert reasons(made) == {"só prova": "contaminated", "quase só": "contaminated"}
    texts = kept(made)
    assert texts["livre"] == rows["livre"]
    assert question.upper() not in texts["com prova"] and short not in texts["curta"]
    assert all(one in texts["com prova"] for one in (*before[:-1], *after[1:]))
    assert made.report["tests_found"]["prova"]["documents"] == 4
    assert made.report["tests_found"]["prova"]["rows"] == 2
    taken = made.report["sources"][0]["taken_bytes"]
    lost = sum(len(rows[one].encode()) - len(texts[one].encode()) for one in texts)
    assert taken >= lost > 0
    assert made.report["tools"]["tests"]["texts"] >= 2
    recount(made, {"fonte": rows})
