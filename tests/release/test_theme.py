"""The colours: text can be read on every ground, shapes stand out from it, and the colour-blind tell them apart."""

import itertools
import math

import pytest

from lhama.record.page.theme import THEMES, colours

TEXT = ("ink", "soft", "bad", "tint0")  # links and the line of a fold have the first tint
SHAPES = ("tint0", "tint1", "tint2", "tint3", "gold", "fade", "base")
# Colours that stand in one drawing and mean different things.
TOGETHER = (("tint0", "gold", "fade"), ("tint0", "tint1"))
# Viénot, Brettel and Mollon 1999, on linear RGB: what is left for those without long or middle cones.
BLIND = {
    "protanopia": ((0.11238, 0.88762, 0.0), (0.11238, 0.88762, 0.0), (0.00401, -0.00401, 1.0)),
    "deuteranopia": ((0.29275, 0.70725, 0.0), (0.29275, 0.70725, 0.0), (-0.02234, 0.02234, 1.0)),
}
WHITE = (0.95047, 1.0, 1.08883)  # D65
Triple = tuple[float, float, float]


def linear(colour: str) -> Triple:
    """Undo sRGB's curve (IEC 61966-2-1)."""
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return red, green, blue


def contrast(one: str, other: str) -> float:
    """Compute the contrast ratio of WCAG 2.2 from relative luminances."""
    lights = [0.2126 * red + 0.7152 * green + 0.0722 * blue for red, green, blue in (linear(one), linear(other))]
    return (max(lights) + 0.05) / (min(lights) + 0.05)


def lab(rgb: Triple) -> Triple:
    """Turn linear sRGB into CIE 1976 L*a*b*."""
    red, green, blue = rgb
    axes = (
        0.4124 * red + 0.3576 * green + 0.1805 * blue,
        0.2126 * red + 0.7152 * green + 0.0722 * blue,
        0.0193 * red + 0.1192 * green + 0.9505 * blue,
    )
    x, y, z = (
        value ** (1 / 3) if (value := max(0.0, axis / white)) > 216 / 24389 else (24389 / 27 * value + 16) / 116
        for axis, white in zip(axes, WHITE, strict=True)
    )
    return 116 * y - 16, 500 * (x - y), 200 * (y - z)


def seen(colour: str, matrix: tuple[Triple, ...]) -> Triple:
    rgb = linear(colour)
    red, green, blue = (sum(weight * part for weight, part in zip(row, rgb, strict=True)) for row in matrix)
    return lab((red, green, blue))


def test_the_measures_agree_with_known_values() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#767676", "#ffffff") == pytest.approx(4.54, abs=0.005)  # the lightest grey that passes AA
    assert lab(linear("#ffffff"))[0] == pytest.approx(100, abs=0.01)


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("ground", ["paper", "panel"])
def test_text_and_shapes_stand_out_as_wcag_asks(theme: str, ground: str) -> None:
    known = colours(theme)
    poor = {name: contrast(known[name], known[ground]) for name in TEXT if contrast(known[name], known[ground]) < 4.5}
    poor |= {name: contrast(known[name], known[ground]) for name in SHAPES if contrast(known[name], known[ground]) < 3}
    assert not poor


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("kind", BLIND)
def test_the_colour_blind_tell_apart_what_stands_together(theme: str, kind: str) -> None:
    known = colours(theme)
    for names in TOGETHER:
        for one, other in itertools.combinations(names, 2):
            apart = math.dist(seen(known[one], BLIND[kind]), seen(known[other], BLIND[kind]))
            assert apart > 20, (one, other)  # 2.3 is the least difference that eyes notice (Mahy et al. 1994)
