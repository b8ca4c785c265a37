"""Figures: what is drawn is what was given, whatever it is."""

import json
import math
import xml.etree.ElementTree as Xml

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lhama.record.page import figures, numerals

AXIS = figures.Axis("tokens seen", numerals.tick, from_zero=True)
LOSS = figures.Axis("nats <per> token", numerals.tick, logarithmic=True)

finite = st.floats(min_value=-1e12, max_value=1e12, allow_nan=False)
curves = st.lists(st.tuples(st.floats(min_value=0, max_value=1e13), finite), min_size=1, max_size=40).map(sorted)


def drawings(text: str) -> list[Xml.Element]:
    return list(Xml.fromstring(f"<page>{text}</page>"))


def test_ticks_by_hand() -> None:
    assert figures.ticks(0, 3_006_464, 8) == [0, 500_000, 1_000_000, 1_500_000, 2_000_000, 2_500_000, 3_000_000]
    assert figures.ticks(1.2, 8.1, 6, logarithmic=True) == [2, 3, 4, 5, 6, 8]
    assert figures.ticks(0.9, 1200, 6, logarithmic=True) == [1, 10, 100, 1000]


@given(st.floats(min_value=-1e9, max_value=1e9), st.floats(min_value=1e-6, max_value=1e9), st.integers(3, 9))
def test_ticks_are_few_even_and_inside(low: float, width: float, most: int) -> None:
    high = low + width
    if width < abs(low) * 1e-6:
        return
    found = figures.ticks(low, high, most)
    assert len(found) <= most + 1
    slack = width * 1e-6
    assert all(low - slack <= tick <= high + slack for tick in found)


def test_a_curve_is_drawn_for_both_widths_with_the_given_points() -> None:
    line = figures.Curve([(0, 8.0), (50, 4.0), (100, 2.0)])
    wide, narrow = drawings(figures.curve("Loss", line, AXIS, LOSS, texts=["a", "b", "c"]))
    assert [svg.get("class") for svg in (wide, narrow)] == ["curve wide", "curve narrow"]
    data = json.loads(wide.get("data-points") or "")
    assert data["text"] == ["a", "b", "c"]
    assert data["x"] == [56, 401, 746]  # 0, half and all of the width between the margins, by hand
    # on a logarithmic axis 8, 4, 2 are evenly spaced
    assert data["y"][1] - data["y"][0] == pytest.approx(data["y"][2] - data["y"][1], abs=0.11)
    assert wide.get("role") == "img" and "Loss" in (wide.get("aria-label") or "")
    assert any("nats <per> token" in (text.text or "") for text in wide.iter("text"))


def test_ticks_stand_where_their_values_are() -> None:
    """A tick beyond the highest point was once drawn at that point."""
    line = figures.Curve([(0, 0.0), (100, 19.5)])
    axis = figures.Axis("speed", numerals.tick, from_zero=True)
    svg = drawings(figures.curve("Speed", line, AXIS, axis))[0]
    places = {text.text: float(text.get("y") or 0) - 4 for text in svg.iter("text") if text.get("x") == "48"}
    data = json.loads(svg.get("data-points") or "")
    bottom, top = data["y"]
    for word, place in places.items():
        assert place == pytest.approx(bottom + (top - bottom) * float(word or 0) / 19.5, abs=0.1)
    assert max(float(word or 0) for word in places) == 20


@given(curves)
def test_any_curve_stays_on_its_canvas(points: list[tuple[float, float]]) -> None:
    for svg, size in zip(drawings(figures.curve("t", figures.Curve(points), AXIS, LOSS)), figures.SIZES, strict=True):
        data = json.loads(svg.get("data-points") or "")
        assert all(size.left - 0.1 <= left <= size.width - size.right + 0.1 for left in data["x"])
        assert all(size.top - 0.1 <= up <= size.height - size.bottom + 0.1 for up in data["y"])
        assert "nan" not in (svg.get("data-points") or "")


@given(st.lists(st.floats(min_value=0, max_value=10), min_size=200, max_size=900))
def test_merging_keeps_ends_mean_and_range(values: list[float]) -> None:
    points = [(float(place), value) for place, value in enumerate(values)]
    line = figures.merged(points, 100)
    assert len(line.points) == len(line.band) == 100
    assert line.points[0] == points[0] and line.points[-1] == points[-1]
    assert min(low for low, _ in line.band) == min(values)
    assert max(high for _, high in line.band) == max(values)
    assert all(
        low <= mean + 1e-9 and mean <= high + 1e-9
        for (_, mean), (low, high) in zip(line.points, line.band, strict=True)
    )


def test_a_short_curve_is_not_merged_and_a_thinned_one_is_the_records_own() -> None:
    points = [(float(place), math.sin(place)) for place in range(1000)]
    assert figures.merged(points[:10]) == figures.Curve(points[:10])
    thin = figures.thinned(points, 50)
    assert len(thin.points) == 50 and set(thin.points) <= set(points)
    assert thin.points[0] == points[0] and thin.points[-1] == points[-1]


def test_bars_are_proportional() -> None:
    (svg,) = drawings(figures.bars("Size", [("a", 200, "200"), ("b & <c>", 50, "50"), ("none", 0, "0")]))
    widths = [one.get("width") for one in svg.iter("rect") if "fill" in (one.get("class") or "")]
    assert widths == ["100.00%", "25.00%", "0.00%"]
    assert [text.text for text in svg.iter("text")] == ["a", "200", "b & <c>", "50", "none", "0"]


def test_stacked_parts_fill_the_whole() -> None:
    (svg,) = drawings(figures.stacked("Documents", [("kept", 90, "90"), ("heldout", 2, "2"), ("dropped", 8, "8")]))
    widths = [float((one.get("width") or "").rstrip("%")) for one in svg.iter("rect")]
    assert widths == [90.0, 2.0, 8.0]
    assert drawings(figures.stacked("Documents", [("kept", 0, "0")]))


def test_a_field_crosses_out_what_failed() -> None:
    (svg,) = drawings(figures.field("Tales", [True, False, True]))
    assert [one.get("class") for one in svg.iter("rect")] == ["passed", "failed", "passed"]
    assert len(list(svg.iter("path"))) == 1
    assert svg.get("aria-label") == f"Tales: 2 of 3{numerals.SPACE}squares filled"
