"""White space that nobody sees, against a definition in regular expressions on arbitrary text."""

import re

import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from lhama.corpus.repairs import spaces

TEXT = st.text(st.one_of(st.sampled_from(" \t\r\n\na"), st.characters(exclude_categories=["Cs"])), max_size=40)


def defined(text: str) -> str:
    return re.sub("\n{3,}", "\n\n", re.sub(r"[ \t\r]+(?=\n|\Z)", "", text))


@settings(deadline=None)
@given(st.lists(TEXT, max_size=5))
def test_lines_end_with_their_text_and_paragraphs_part_by_one_empty_line(texts: list[str]) -> None:
    mended = spaces.mend(pa.array(texts, pa.large_string()))
    expected = [defined(text) for text in texts]
    assert mended.column.to_pylist() == expected
    changed = [before != after for before, after in zip(texts, expected, strict=True)]
    assert [count > 0 for count in mended.counts["spaces"].tolist()] == changed
    again = spaces.mend(mended.column)
    assert again.column.to_pylist() == expected and not again.counts["spaces"].any()


def test_what_is_seen_stays() -> None:
    text = "  um verso recuado\n\tcódigo\n\nfim"
    column = pa.array([text, "fim. \n  \n\n\n  \nmais"], pa.large_string())
    mended = spaces.mend(column)
    assert mended.column.to_pylist() == [text, "fim.\n\nmais"]
    assert mended.counts["spaces"].tolist() == [0, 5]
