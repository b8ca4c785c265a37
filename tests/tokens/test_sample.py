"""The text a vocabulary is trained on: bounded, the same in any order, and in items that are never skipped."""

from hypothesis import given
from hypothesis import strategies as st

from lhama.tokens.sample import STRETCH, choose, items
from lhama.tokens.sentencepiece_model import LONGEST_ITEM

DOCUMENTS = [("fonte", str(number), "á" * (number % 50 + 1)) for number in range(300)]


def test_the_sample_fills_its_budget_and_does_not_depend_on_the_order() -> None:
    chosen = choose(DOCUMENTS, 2000, seed=0)
    assert 1900 < sum(len(text.encode()) for text in chosen) <= 2000  # the next one has at most 100 bytes
    assert choose(reversed(DOCUMENTS), 2000, seed=0) == chosen
    assert choose(DOCUMENTS, 2000, seed=1) != chosen
    assert len(choose(DOCUMENTS, 10**6, seed=0)) == 300


def test_a_book_is_sampled_in_stretches() -> None:
    book = "x" * (3 * STRETCH) + "fim"
    chosen = choose([("fonte", "livro", book)], 10**9, seed=0)
    assert sorted(map(len, chosen)) == [3, STRETCH, STRETCH, STRETCH]


@given(st.text(alphabet=st.sampled_from("aé€😀 \n\t\r\u2585"), max_size=40), st.integers(1, 400))
def test_items_are_short_and_lose_only_line_ends_and_marks(text: str, times: int) -> None:
    """SentencePiece skips an item over 4,192 bytes, or with U+2585 in it, without a word."""
    cut = list(items([text * times]))
    assert all(0 < len(item.encode()) <= LONGEST_ITEM for item in cut)
    assert "".join(cut) == "".join(sign for sign in text * times if sign not in "\n\t\r\u2585")


def test_long_lines_are_cut_before_spaces() -> None:
    line = "palavra " * 2000
    cut = list(items([line]))
    assert len(cut) == 4
    assert all(item.startswith(" palavra") for item in cut[1:])
