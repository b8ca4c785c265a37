"""Repeated lines against a plain count on arbitrary Unicode, by hand, and with what must stay."""

import tempfile
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from lhama.corpus.boilerplate import (
    LEAST_WORDS,
    MORE_THAN,
    Record,
    Repeated,
    emptied,
    lines_of,
    most_frequent,
    repeated,
    spelled,
    without,
)
from lhama.corpus.spans import Spans, column_of, take_out
from lhama.corpus.words import Texts, tables, texts_of

LINES = st.lists(
    st.sampled_from(["a b", "A, B!", "á b", "a  b c", "c", "", "1 2", "3 4", "🦙 日本 x", "---", "a b\r"]), max_size=6
)


def as_texts(texts: list[str]) -> Texts:
    return texts_of(pa.array(texts, pa.large_string()))


def back(texts: Texts) -> list[str]:
    column = column_of(texts)
    column.validate(full=True)
    made: list[str] = column.to_pylist()
    return made


def normal(line: str, least_words: int) -> tuple[str, ...] | None:
    """Return what a line is compared by, or nothing if it is too short to count."""
    plain = tables().plain
    runs = groupby(line, lambda one: unicodedata.category(one)[0] in "LMN" or one == "_")
    words = tuple("".join(chr(plain[ord(one)]) for one in run) for is_word, run in runs if is_word)
    return words if len(words) >= least_words else None


def by_definition(
    texts: list[str], orders: list[int], least_words: int, more_than: int
) -> tuple[list[str], Counter[Any]]:
    """Return the texts without repeated lines, and how many documents hold each of those."""
    holders: dict[Any, set[int]] = defaultdict(set)
    for order, text in zip(orders, texts, strict=True):
        for line in text.split("\n"):
            key = normal(line, least_words)
            if key is not None:
                holders[key].add(order)
    many = {key: held for key, held in holders.items() if len(held) > more_than}
    left = []
    for order, text in zip(orders, texts, strict=True):
        lines = text.split("\n")
        ended = [line + "\n" for line in lines[:-1]] + lines[-1:]
        left.append("".join(line for line in ended if order == min(many.get(normal(line, least_words), {order}))))
    return left, Counter({key: len(held) for key, held in many.items()})


def decided_on(
    texts: list[str], orders: list[int], source: str, least_words: int, more_than: int, **how: Any
) -> Repeated:
    numbers = np.array(orders, np.int64)

    def parts() -> Iterator[Record]:
        half = len(texts) // 2
        for begin, end in ((half, len(texts)), (0, half)):
            lines = lines_of(as_texts(texts[begin:end]), source, least_words)
            yield lines.keys, numbers[begin:end][lines.documents], lines.sizes, lines.words

    with tempfile.TemporaryDirectory() as folder:
        lines = sum(text.count("\n") + 1 for text in texts)
        return repeated(parts(), lines, Path(folder) / "scratch", more_than, **how)


@settings(deadline=None)
@given(st.lists(st.one_of(LINES.map("\n".join), st.text(max_size=30)), max_size=7), st.data())
def test_lines_go_as_the_definition_says(texts: list[str], data: st.DataObject) -> None:
    least_words, more_than = data.draw(st.integers(1, 3)), data.draw(st.integers(1, 3))
    orders = data.draw(st.permutations(range(len(texts))))
    decided = decided_on(texts, list(orders), "x", least_words, more_than, slice_lines=data.draw(st.integers(1, 30)))
    expected, counts = by_definition(texts, list(orders), least_words, more_than)
    shortened = without(as_texts(texts), np.array(orders, np.int64), "x", decided, least_words)
    assert back(shortened.texts) == expected
    assert sorted(decided.counts.tolist()) == sorted(counts.values())
    taken = [len(text.encode()) - len(left.encode()) for text, left in zip(texts, expected, strict=True)]
    assert shortened.taken.tolist() == taken
    words = [
        len(text.encode().split()) - len(left.encode().split()) for text, left in zip(texts, expected, strict=True)
    ]
    losing = {order: [lost, fewer] for order, lost, fewer in zip(orders, taken, words, strict=True) if lost}
    assert dict(zip(decided.orders.tolist(), decided.taken.tolist(), strict=True)) == losing


def test_a_masthead_goes_from_all_documents_but_the_first() -> None:
    head = "Jornal da Cidade, número {}, todos os direitos são reservados"
    texts = [f"{head.format(number % 10)}\nNotícia de hoje: {'a' * number}.\n— Sim.\n" for number in range(12)]
    orders = np.arange(100, 112)[::-1].copy()  # the last document comes first by order
    decided = decided_on(texts, orders.tolist(), "jornal", LEAST_WORDS, MORE_THAN)
    assert (decided.first.tolist(), decided.counts.tolist()) == ([100], [12])
    shortened = without(as_texts(texts), orders, "jornal", decided)
    assert back(shortened.texts)[:-1] == [text.split("\n", 1)[1] for text in texts[:-1]]
    assert back(shortened.texts)[-1] == texts[-1]
    assert shortened.lines.tolist() == [1] * 11 + [0]
    (key, documents, first), *more = most_frequent(decided)
    assert (documents, first, more) == (12, 100, [])
    assert spelled(as_texts(texts[:1]), "jornal", [key]) == {key: head.format(0)}


def test_short_lines_and_few_documents_stay() -> None:
    refrain = "Ai, que saudade da minha terra!"  # six words
    texts = [f"{refrain}\n{number}" for number in range(50)]
    assert not len(decided_on(texts, list(range(50)), "versos", LEAST_WORDS, MORE_THAN).keys)
    quoted = ["O homem é o lobo do homem, disse ele então\n"] * MORE_THAN
    assert not len(decided_on(quoted, list(range(MORE_THAN)), "textos", LEAST_WORDS, MORE_THAN).keys)


def test_documents_of_hardly_more_than_repeated_lines() -> None:
    sizes, taken = np.array([1000, 1000, 1000, 50], np.int64), np.array([800, 801, 0, 0], np.int64)
    assert emptied(sizes, taken).tolist() == [False, True, False, False]


def test_a_line_repeated_within_one_document_is_no_boilerplate() -> None:
    texts = ["a b c d e f g h\n" * 30, "outra linha"]
    assert not len(decided_on(texts, [0, 1], "x", LEAST_WORDS, 1).keys)


def test_sources_do_not_meet() -> None:
    texts = as_texts(["a b c d e f g h"])
    assert lines_of(texts, "um").keys != lines_of(texts, "dois").keys
    assert lines_of(texts, "um").keys == lines_of(texts, "um").keys


def test_the_order_of_parts_changes_nothing() -> None:
    texts = [
        f"linha comum a todos os textos deste livro\nlinha só do texto {'x' * number} e de mais nenhum outro"
        for number in range(20)
    ]
    one = decided_on(texts, list(range(20)), "x", 4, 3)
    two = decided_on(texts[::-1], list(range(20))[::-1], "x", 4, 3, slice_lines=7)
    assert all((ours == theirs).all() for ours, theirs in zip(one, two, strict=True))


@settings(deadline=None)
@given(st.lists(st.binary(max_size=12), max_size=5), st.data())
def test_spans_are_taken_out(pieces: list[bytes], data: st.DataObject) -> None:
    offsets = np.cumsum([0, *map(len, pieces)])
    spans = []
    for number, piece in enumerate(pieces):
        for _ in range(data.draw(st.integers(0, 3))):
            begin, end = sorted(data.draw(st.tuples(st.integers(0, len(piece)), st.integers(0, len(piece)))))
            spans.append((number, begin, end))
    spans.sort()
    columns = np.array(spans, np.int64).reshape(-1, 3).T.copy()
    left, taken = take_out(Texts(np.array(bytearray(b"".join(pieces)), np.uint8), offsets), Spans(*columns))
    expected = []
    for number, piece in enumerate(pieces):
        gone = {at for one, begin, end in spans if one == number for at in range(begin, end)}
        expected.append(bytes(byte for at, byte in enumerate(piece) if at not in gone))
    assert left.data.tobytes() == b"".join(expected)
    assert np.diff(left.offsets).tolist() == list(map(len, expected))
    assert taken.tolist() == [len(piece) - len(rest) for piece, rest in zip(pieces, expected, strict=True)]
