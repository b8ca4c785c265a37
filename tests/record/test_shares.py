"""Rows of bars: shares as wide as they are, strangers' names as text, and words for those who cannot see."""

import re
from html import unescape

from lhama.record.page.shares import Row, Share, shares


def test_each_piece_begins_where_the_one_before_ends() -> None:
    row = Row("a", "b", [[Share("kept", 0.25, "w"), Share("heldout", 0.5, "v")], [Share("kept", 1.0, "u")]])
    drawn = shares("Title", [row])
    pieces = re.findall(r'class="fill (\w+)" x="([\d.]+)%" y="(\d+)" width="([\d.]+)%"', drawn)
    assert pieces == [
        ("kept", "0.000", "20", "25.000"),
        ("heldout", "25.000", "20", "50.000"),
        ("kept", "0.000", "31", "100.000"),
    ]
    assert 'height="42"' in drawn  # 20 for the name, two bars of 8 with 3 below each


def test_nothing_is_drawn_for_nothing() -> None:
    assert shares("Title", []).count("<rect") == 0
    only = shares("Title", [Row("a", "b", [[Share("kept", 0.0, "w"), Share("kept", -1.0, "w")]])])
    assert only.count("<rect") == only.count('class="trough"') == 1


def test_names_are_text_and_everything_is_said() -> None:
    drawn = shares('"><script>', [Row("<b>a", "5 & 6", [[Share("kept", 1.0, "<i>")]])])
    assert not re.search(r"<(b|i|script)>", drawn)
    label = re.search(r'aria-label="([^"]*)"', drawn)
    assert label is not None and unescape(label[1]) == '"><script>: <b>a 5 & 6'
