"""Numbers as people read them, by hand and at the edges where rounding moves a number into the next unit."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lhama.record.page import numerals


def plain(text: str) -> str:
    return text.replace(numerals.SPACE, " ")


@pytest.mark.parametrize(
    ("said", "wanted"),
    [
        (numerals.large(3_750_000_000), "3.75 billion"),
        (numerals.large(162_417_408, short=True), "162 M"),
        (numerals.large(999_999), "1.00 million"),
        (numerals.large(47_264), "47,264"),
        (numerals.tick(2_500_000), "2.5 M"),
        (numerals.tick(0.0003), "0.0003"),
        (numerals.tick(5000), "5,000"),
        (numerals.percent(0.973), "97.3 %"),
        (numerals.percent(0.00001), "< 0.1 %"),
        (numerals.percent(0.99999), "> 99.9 %"),
        (numerals.percent(1.0), "100 %"),
        (numerals.duration(0.553), "0.55 s"),
        (numerals.duration(59.6), "1 min"),
        (numerals.duration(151), "2 min 31 s"),
        (numerals.duration(3 * 3600 + 59), "3 h"),
        (numerals.duration(90 * 86400), "90 days"),
        (numerals.duration(86400 + 3600), "1 day 1 h"),
        (numerals.size(999_999), "1.00 MB"),
        (numerals.size(1), "1 byte"),
        (numerals.energy(0.0031), "3.10 Wh"),
        (numerals.energy(15.5), "15.5 kWh"),
        (numerals.energy(0), "0 mWh"),
        (numerals.carbon(0.36371), "364 g CO₂e"),
        (numerals.carbon(41.1), "41.1 kg CO₂e"),
        (numerals.money(0.0087, "USD"), "0.0087 USD"),
        (numerals.money(1234.5, "BRL"), "1,234.50 BRL"),
        (numerals.scientific(6.32e-9), "6.32 × 10⁻⁹"),
        (numerals.counted(1, "step"), "1 step"),
        (numerals.counted(1200, "step"), "1,200 steps"),
        (numerals.language("pt-BR"), "Portuguese"),
        (numerals.language("xx"), "xx"),
    ],
)
def test_by_hand(said: str, wanted: str) -> None:
    assert plain(said) == wanted


@given(st.floats(min_value=1e-9, max_value=1e15))
def test_significant_digits_are_within_half_a_unit_of_the_last(value: float) -> None:
    assert float(numerals.significant(value).replace(",", "")) == pytest.approx(value, rel=0.0051)


@given(st.floats(min_value=1, max_value=1e15))
def test_no_unit_is_ever_filled(value: float) -> None:
    """A mantissa of a thousand or more means that the next unit was missed."""
    assert float(plain(numerals.size(value)).split()[0].replace(",", "")) < 1000 or value >= 1e15 - 1e12


@given(st.floats(min_value=0, max_value=1e9))
def test_durations_never_say_sixty(seconds: float) -> None:
    said = plain(numerals.duration(seconds))
    assert not re.search(r"(?<![\d.])(60 s|60 min|24 h)", said)
