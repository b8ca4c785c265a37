"""Decontamination by hand, against a plain search on arbitrary Unicode, and on the layouts of real test sets."""

import gzip
import json
import unicodedata
from itertools import groupby
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from lhama.corpus.decontaminate import (
    MARGIN,
    SHORTEST,
    WORDS,
    Index,
    contaminated,
    described,
    find,
    index_of,
    tallied,
    without,
)
from lhama.corpus.spans import LEAST_LEFT, column_of
from lhama.corpus.tasks import Item, files_of, items_of
from lhama.corpus.words import Texts, tables, texts_of
from lhama.plan.problem import Problem

REAL = Path(__file__).parents[2].parent / "shared/data/tasks"
QUESTION = (
    "Em que ano o engenheiro Severino Duarte inaugurou a ponte de pedra sobre o rio Capibaribe, perto do velho mercado?"
)
BEFORE, AFTER = "Nada disso era novo para ela.", "Assim acabou a tarde."


def items(*texts: str, task: str = "prova", answer: bool = False) -> list[Item]:
    return [Item(task, str(number), text, answer) for number, text in enumerate(texts)]


def as_texts(*texts: str) -> Texts:
    return texts_of(pa.array(texts, pa.large_string()))


def left_of(text: str, index: Index, margin: int = MARGIN) -> str:
    made: str = column_of(without(as_texts(text), index, margin).texts)[0].as_py()
    return made


def found_in(text: str, index: Index) -> list[str]:
    found = find(as_texts(text), index)
    data = text.encode()
    return [data[begin:end].decode() for begin, end in zip(found.begins, found.ends, strict=True)]


def test_an_exact_copy_goes_and_what_stands_around_it_stays() -> None:
    text = f"{BEFORE} {QUESTION} {AFTER}"
    index = index_of(items(QUESTION))
    assert found_in(text, index) == [QUESTION[:-1]]
    assert left_of(text, index) == f"{BEFORE} {AFTER}"


@pytest.mark.parametrize(
    "copy",
    [
        QUESTION.upper(),
        QUESTION.replace(" ", "\n"),
        QUESTION.replace(" rio", "\r\n\r\n  rio"),
        QUESTION.replace("engenheiro", "“engenheiro”").replace(",", " --"),
        QUESTION.replace("pedra", "pédrà").replace("é", "e"),
        "12. " + QUESTION.replace(" sobre ", " — sobre — "),
    ],
    ids=["upper case", "a word a line", "broken", "punctuation", "accents", "numbered"],
)
def test_a_copy_in_another_dress_is_found(copy: str) -> None:
    found = found_in(f"{BEFORE}\n{copy}\n{AFTER}", index_of(items(QUESTION)))
    assert len(found) == 1
    assert found[0].split()[0].lower() == "em" and "mercado" in found[0].lower()


def test_a_composed_document_matches_a_decomposed_item() -> None:
    sentence = "Não há ninguém na estação de trem às três da manhã senão o João"
    assert found_in(sentence, index_of(items(unicodedata.normalize("NFD", sentence)))) == [sentence]


def test_thirteen_words_are_enough_and_twelve_are_not() -> None:
    words = QUESTION.rstrip("?").replace(",", "").split()
    index = index_of(items(QUESTION))
    assert len(words) > WORDS
    assert found_in(" ".join(words[2 : 2 + WORDS]), index) == [" ".join(words[2 : 2 + WORDS])]
    assert found_in(" ".join(words[2 : 1 + WORDS]), index) == []
    assert found_in(" ".join([*words[:10], "belo", *words[10:]]), index) == []


def test_short_items_match_whole_and_not_inside_words() -> None:
    index = index_of(items("o gato comeu o rato"))
    assert found_in("Ontem, o gato comeu o rato.", index) == ["o gato comeu o rato"]
    assert found_in("Ontem o gato, comeu... O RATO!", index) == ["o gato, comeu... O RATO"]
    assert found_in("o gato comeu o ratoeiro", index) == []
    assert found_in("o gato comeu", index) == []
    assert found_in("Zango gato comeu o rato", index) == []


def test_very_short_items_count_only_as_whole_documents() -> None:
    index = index_of(items("Muito bom!"))
    assert found_in("muito   bom", index) == ["muito   bom"]
    assert left_of("MUITO BOM.", index) == ""
    assert found_in("O filme é muito bom", index) == []
    assert found_in("bom", index) == []


def test_short_answers_do_not_count_and_long_ones_do() -> None:
    long = "uma resposta que tem bem mais do que treze palavras porque explica tudo com muito cuidado"
    index = index_of(items("A construção das pirâmides do Egito.", long, answer=True))
    assert index.indexed == 1
    assert found_in("Depois veio a construção das pirâmides do Egito.", index) == []
    assert found_in(long, index) == [long]


def test_rows_of_numbers_are_no_item() -> None:
    numbers = ", ".join(str(number) for number in range(30))
    index = index_of(items(f"assert soma({numbers})", numbers))
    assert found_in(numbers, index) == []
    assert index.indexed == 0


def test_overlapping_passages_go_once() -> None:
    words = [f"p{chr(97 + number)}x" for number in range(24)]
    index = index_of([*items(" ".join(words[:16])), *items(" ".join(words[8:]), task="outra")])
    text = "Começo. " + " ".join(words) + ". Fim."
    assert left_of(text, index) == "Começo. Fim."
    found = find(as_texts(text), index)
    assert {index.names[item][0] for item in found.items} == {"prova", "outra"}


def test_sentences_and_lines_bound_what_goes() -> None:
    index = index_of(items("um gato preto dormia no telhado"))
    cases = {
        "Fim do dia. Ali um gato preto dormia no telhado, quieto. Choveu.": "Fim do dia. Choveu.",
        "Disse: “Fim.” Ali um gato preto dormia no telhado quieto… Choveu!": "Disse: “Fim.” Choveu!",
        "linha um\num gato preto dormia no telhado\nlinha três": "linha um\nlinha três",
        "linha um\r\num gato preto dormia no telhado\r\nlinha três": "linha um\r\nlinha três",
        "Sim. Um gato preto dormia no telhado.\nlinha dois": "Sim. \nlinha dois",
        "um gato preto dormia no telhado": "",
        "日本語。um gato preto dormia no telhado日本": "日本語。um gato preto dormia no telhado日本",
    }
    assert {text: left_of(text, index) for text in cases} == cases


def test_without_ends_of_sentences_the_margin_ends_between_words() -> None:
    index = index_of(items("um gato preto dormia no telhado"))
    text = "á" + "ção " * 200 + "um gato preto dormia no telhado" + " ção" * 200
    left = left_of(text, index)
    assert "gato" not in left
    assert left.replace("á", "").split() == ["ção"] * len(left.split())
    assert 0 < len(text.encode()) - len(left.encode()) - len("um gato preto dormia no telhado") <= 2 * MARGIN + 2
    assert left_of(text, index, margin=0).split() == text.replace("um gato preto dormia no telhado", "").split()


def test_a_document_longer_than_a_piece_is_looked_at_to_its_end() -> None:
    """Words are cut in pieces of 16 MB; an item stands across the border of the first two, and at the very end."""
    filler = "nada de novo aqui " * ((16 << 20) // 18)
    passage = "o engenheiro inaugurou a velha ponte de pedra sobre o rio perto do mercado central"
    text = f"{filler[: (16 << 20) - 40]} {passage} {filler[: 1 << 20]} {passage}"
    assert found_in(text, index_of(items(passage))) == [passage, passage]


def test_little_left_is_contaminated() -> None:
    sizes = np.array([1000, 1000, 1000, 300, 300, 0], np.int64)
    taken = np.array([0, 500, 501, 100, 101, 0], np.int64)
    assert LEAST_LEFT == 200
    assert contaminated(sizes, taken).tolist() == [False, False, True, False, True, False]


def test_what_was_found_is_told_by_task_and_row() -> None:
    index = index_of([*items(QUESTION, task="rios"), *items("o gato comeu o rato", task="bichos")])
    texts = as_texts(f"{QUESTION} {QUESTION} o gato comeu o rato", "nada", "Ontem o gato comeu o rato.")
    said = described(texts, without(texts, index), index)
    assert said[1] == ""
    assert [(one["task"], one["row"]) for one in json.loads(said[0])] == [("rios", "0"), ("bichos", "0")]
    tally = tallied(said)
    assert list(tally) == ["bichos", "rios"]
    assert (tally["bichos"]["documents"], tally["bichos"]["rows"]) == (2, 1)
    assert tally["rios"]["examples"] == [{"row": "0", "passage": QUESTION}]


def test_a_saved_index_finds_the_same(tmp_path: Path) -> None:
    index = index_of(items(QUESTION, "o gato comeu o rato"))
    index.save(tmp_path / "index.npz")
    again = Index.load(tmp_path / "index.npz")
    assert again.names == index.names and again.indexed == index.indexed == 2
    text = f"Ontem o gato comeu o rato. {QUESTION}"
    assert found_in(text, again) == found_in(text, index) != []


PIECE = st.sampled_from(["a", "á", "B", "1", "7", "x y", ",", "\n", "🦙", "日", "z_", "e\u0301", ". ", " "])
SOME = st.one_of(st.lists(PIECE, max_size=14).map(" ".join), st.text(max_size=20))


def plain_words(text: str) -> list[tuple[str, int, int]]:
    """Return real words in their plain form, each with its bytes from begin to end."""
    plain, words, at = tables().plain, [], 0
    for is_word, run in groupby(text, lambda one: unicodedata.category(one)[0] in "LMN" or one == "_"):
        word = "".join(run)
        size = len(word.encode())
        if is_word:
            words.append(("".join(chr(plain[ord(one)]) for one in word), at, at + size))
        at += size
    return words


def covered_by_definition(text: str, rows: list[Item], size: int) -> set[int]:
    """Return the bytes that stand in an item, by comparing every run with every item."""
    shortest = min(SHORTEST, size)
    runs: set[tuple[str, ...]] = set()
    for row in rows:
        spelled = unicodedata.normalize("NFC", row.text)
        data = spelled.encode()
        found = plain_words(spelled)
        words = tuple(word for word, _, _ in found)
        if not words or (len(words) < size and row.answer):
            continue
        lettered = [any(one.isalpha() for one in data[begin:end].decode()) for _, begin, end in found]
        length = min(size, len(words))
        for at in range(len(words) - length + 1):
            if 2 * sum(lettered[at : at + length]) >= length:
                runs.add(words[at : at + length])
    found = plain_words(text)
    words = tuple(word for word, _, _ in found)
    if len(words) < shortest:
        return set(range(len(text.encode()))) if words in runs else set()
    hits: set[int] = set()
    for at in range(len(words)):
        for length in range(shortest, size + 1):
            if at + length <= len(words) and words[at : at + length] in runs:
                hits |= set(range(found[at][1], found[at + length - 1][2]))
    return hits


@settings(deadline=None, max_examples=300)
@given(st.lists(SOME, max_size=4), st.lists(st.tuples(SOME, st.booleans()), max_size=4), st.integers(4, 8))
def test_hits_are_those_of_the_definition(texts: list[str], rows: list[tuple[str, bool]], size: int) -> None:
    made = [Item("t", str(number), text, answer) for number, (text, answer) in enumerate(rows)]
    index = index_of(made, size)
    found = find(as_texts(*texts), index)
    for number, text in enumerate(texts):
        mine = found.documents == number
        spans = zip(found.begins[mine].tolist(), found.ends[mine].tolist(), strict=True)
        covered = {at for begin, end in spans for at in range(begin, end)}
        assert covered == covered_by_definition(text, made, size)


@settings(deadline=None)
@given(st.lists(SOME, max_size=4), st.lists(SOME, min_size=1, max_size=3), st.integers(0, 9))
def test_what_is_left_is_text_and_holds_no_hit(texts: list[str], rows: list[str], margin: int) -> None:
    index = index_of(items(*rows), 4)
    whole = as_texts(*texts)
    cleaned = without(whole, index, margin)
    left = column_of(cleaned.texts)
    left.validate(full=True)
    assert (np.diff(whole.offsets) - np.diff(cleaned.texts.offsets) == cleaned.taken).all()
    hit = set(find(whole, index).documents.tolist())
    assert {number for number, lost in enumerate(cleaned.taken.tolist()) if lost} == hit
    assert (cleaned.found.begins <= find(whole, index).begins).all()


def write_rows(path: Path, rows: list[dict[str, object]]) -> None:
    text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    path.parent.mkdir(parents=True, exist_ok=True)
    data = text.encode()
    path.write_bytes(
        gzip.compress(data) if path.suffix == ".gz" else zstandard.compress(data) if path.suffix == ".zst" else data
    )


def test_fields_of_rows(tmp_path: Path) -> None:
    row = {
        "id": "q-1",
        "title": "UFMS",
        "context": "um parágrafo de enciclopédia",
        "question": "Quem fundou a cidade?",
        "choices": ["João", "Maria"],
        "answers": [{"text": "João", "start": 3}],
        "label": 1,
        "source": {"name": "livro"},
        "messages": [{"role": "user", "content": "Olá, tudo bem?"}],
        "nothing": None,
        "blank": "  ",
    }
    write_rows(tmp_path / "quem" / "test.jsonl", [row])
    found = items_of(["quem"], tmp_path)
    assert [(one.task, one.row, one.text, one.answer) for one in found] == [
        ("quem", "q-1", "Quem fundou a cidade?", False),
        ("quem", "q-1", "João", True),
        ("quem", "q-1", "Maria", True),
        ("quem", "q-1", "João", True),
        ("quem", "q-1", "Olá, tudo bem?", False),
    ]
    assert "um parágrafo de enciclopédia" in [one.text for one in items_of(["quem"], tmp_path, contexts=True)]


def test_names_resolve_to_the_files_of_the_test_part(tmp_path: Path) -> None:
    for name in (
        "a/train.jsonl",
        "a/test.jsonl",
        "a/validation.jsonl.zst",
        "b/dev.jsonl.gz",
        "b/train.jsonl",
        "c.jsonl",
    ):
        write_rows(tmp_path / name, [{"text": name}])
    (tmp_path / "d/data").mkdir(parents=True)
    pq.write_table(pa.table({"text": ["parquet"]}), tmp_path / "d/data/test-00000-of-00001.parquet")
    (tmp_path / "e").mkdir()
    (tmp_path / "e/test.csv").write_text('id,text\n7,"duas\nlinhas"\n', encoding="utf-8")

    def texts(*names: str) -> list[str]:
        return [item.text for item in items_of(names, tmp_path)]

    assert texts("a", "b", "c", "d", "e") == ["a/test.jsonl", "b/dev.jsonl.gz", "c.jsonl", "parquet", "duas\nlinhas"]
    assert texts("a:validation") == ["a/validation.jsonl.zst"]
    assert texts("a:test+validation") == ["a/test.jsonl", "a/validation.jsonl.zst"]
    path = str(tmp_path / "a/train.jsonl")
    assert [(item.task, item.row, item.text) for item in items_of([path])] == [
        ("train", "train.jsonl:1", "a/train.jsonl")
    ]
    assert items_of(["e"], tmp_path)[0].row == "7"


def test_sets_that_are_not_there_are_refused(tmp_path: Path) -> None:
    write_rows(tmp_path / "a" / "train.jsonl", [{"text": "x"}])
    for name in ("b", "a", "a:test", "../a", "a/nowhere.jsonl", "", "*"):
        with pytest.raises(Problem, match="decontaminate"):
            files_of(name, tmp_path)
    with pytest.raises(Problem, match=r"corpus\.tasks"):
        files_of("a")


@pytest.mark.parametrize(
    "data", [b'{"text": "x"}\n{"text": \n', b'["x"]\n', b"\xff\xfe\n", zstandard.compress(b'{"a":1}' * 99)[:-9]]
)
def test_a_row_that_cannot_be_read_is_refused(tmp_path: Path, data: bytes) -> None:
    """A test row that is skipped in silence would stay in the training text."""
    path = tmp_path / "rows.jsonl"
    path.write_bytes(data)
    with pytest.raises(Problem, match=r"rows\.jsonl"):
        items_of([str(path)])


@pytest.mark.skipif(not REAL.is_dir(), reason="the real tasks are not here")
def test_every_real_task_resolves_and_finds_itself() -> None:
    names = sorted(path.name for path in REAL.iterdir() if path.is_dir())
    rows = items_of(names, REAL)
    assert {item.task for item in rows} == set(names)
    questions = [item for item in rows if item.task in ("enem", "hatebr", "faquad")]
    index = index_of(questions)
    found = find(as_texts(*(unicodedata.normalize("NFC", item.text) for item in questions)), index)
    assert len(np.unique(found.documents)) == index.indexed
