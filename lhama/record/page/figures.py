"""Figures as inline SVG: curves over tokens, bars, stacked amounts and a field of a hundred tales.

In: points and amounts with their words. Out: `<svg>` texts without any style of their own; classes take the page's
colours, so that light, dark and paper differ by CSS alone. Colours are near to Okabe and Ito's, which the colour-blind
can tell apart ("Color Universal Design", 2008), and no figure says a thing by colour alone. Subtle: a drawing that
shrinks shrinks its letters, so each curve is drawn twice, for wide and narrow pages, and CSS shows the one that fits.
"""

import itertools
import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape

from lhama.record.page import numerals
from lhama.record.page.markup import Markup

LONGEST_CURVE = 160  # points drawn: one every few pixels of a wide page
LARGEST, SMALLEST, NARROWEST = 1e30, 1e-30, 1e-9  # beyond these, floats cannot be told apart on a page

Point = tuple[float, float]
Bar = tuple[str, float, str]


@dataclass(frozen=True)
class Size:
    """The canvas of a curve and how many ticks it has room for."""

    name: str
    width: int
    height: int
    ticks: int
    left: int = 56
    right: int = 14
    top: int = 28
    bottom: int = 44


SIZES = (Size("wide", 760, 270, 8), Size("narrow", 350, 240, 4, left=46, right=10))


@dataclass(frozen=True)
class Axis:
    """What an axis measures, and how a value on it is said; its ticks, being round, need fewer digits."""

    label: str
    say: Callable[[float], str]
    tick: Callable[[float], str] = numerals.tick
    logarithmic: bool = False
    from_zero: bool = False


@dataclass(frozen=True)
class Curve:
    """A line over tokens; `band` is the range that a drawn point stands for, when points were merged."""

    points: Sequence[Point]
    band: Sequence[tuple[float, float]] = ()
    dots: bool = False
    mark: tuple[float, str] | None = None
    """A place on the x axis that words stand at, with a line through it."""


def merged(points: Sequence[Point], most: int = LONGEST_CURVE) -> Curve:
    """Merge neighbouring points into means with their range, until they fit; a short curve stays as it is.

    The first and the last point are never merged, so that the ends that people read off are the record's own.
    """
    if len(points) <= most:
        return Curve(points)
    inner, groups = points[1:-1], most - 2
    edges = [1 + round(group * len(inner) / groups) for group in range(groups + 1)]
    means = [points[0]]
    band = [(points[0][1], points[0][1])]
    for start, end in itertools.pairwise(edges):
        values = [value for _, value in points[start:end]]
        means.append((points[end - 1][0], math.fsum(values) / len(values)))
        band.append((min(values), max(values)))
    means.append(points[-1])
    band.append((points[-1][1], points[-1][1]))
    return Curve(means, band)


def thinned(points: Sequence[Point], most: int = LONGEST_CURVE) -> Curve:
    """Take so many points of a smooth curve, evenly and with both ends, each as the record has it."""
    if len(points) <= most:
        return Curve(points)
    return Curve([points[round(place * (len(points) - 1) / (most - 1))] for place in range(most)])


def ticks(low: float, high: float, most: int, logarithmic: bool = False) -> list[float]:
    """Choose round values that cover a range; on a logarithmic axis they are round in each power of ten."""
    if logarithmic:
        for steps in ((1, 2, 3, 4, 5, 6, 8), (1, 1.5, 2, 3, 4, 6), (1, 2, 3, 5), (1, 2, 5), (1, 3), (1,)):
            powers = range(math.floor(math.log10(low)), math.floor(math.log10(high)) + 1)
            chosen = [step * 10.0**power for power in powers for step in steps]
            chosen = [value for value in chosen if low <= value * (1 + 1e-9) and value <= high * (1 + 1e-9)]
            if len(chosen) <= most:
                break
        if len(chosen) >= 3:
            return [float(f"{value:.6g}") for value in chosen]
    raw = (high - low) / most
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= raw * (1 - 1e-9))
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [float(f"{number * step:.10g}") for number in range(first, last + 1)]


def curve(title: str, line: Curve, x: Axis, y: Axis, tint: int = 0, texts: Sequence[str] = ()) -> Markup:
    """Draw a curve, once for each page width; `texts` are the words that pointing at a point shows."""
    return Markup("".join(_curve(title, line, x, y, tint, texts, size) for size in SIZES))


def _curve(title: str, line: Curve, x: Axis, y: Axis, tint: int, texts: Sequence[str], size: Size) -> str:
    to_x, x_ticks = _scale(
        [point[0] for point in line.points], x, size.left, size.width - size.right, size.ticks, room=0
    )
    heights = [value for point in line.points for value in (point[1],)] + [edge for pair in line.band for edge in pair]
    to_y, y_ticks = _scale(heights, y, size.height - size.bottom, size.top, 6, room=0.06)
    placed = [(to_x(across), to_y(up)) for across, up in line.points]
    parts = [_grid(size, x, y, [(to_x(t), x.tick(t)) for t in x_ticks], [(to_y(t), y.tick(t)) for t in y_ticks])]
    if line.mark is not None:
        parts.append(_mark(size, to_x(line.mark[0]), line.mark[1]))
    if line.band:
        upper = [(left, to_y(high)) for (left, _), (_, high) in zip(placed, line.band, strict=True)]
        lower = [(left, to_y(low)) for (left, _), (low, _) in zip(placed, line.band, strict=True)]
        parts.append(f'<polygon class="band tint{tint}" points="{_points([*upper, *reversed(lower)])}"/>')
    if len(placed) > 1:
        parts.append(f'<polyline class="line tint{tint}" points="{_points(placed)}"/>')
    if line.dots or len(placed) == 1:
        parts += [f'<circle class="dot tint{tint}" cx="{left:.1f}" cy="{up:.1f}" r="3.2"/>' for left, up in placed]
    parts.append(
        f'<g class="pointer"><line y1="{size.top}" y2="{size.height - size.bottom}"/>'
        f'<circle class="tint{tint}" r="4.5"/></g>'
    )
    words = list(texts) or [f"{x.say(across)} {x.label}: {y.say(up)} {y.label}" for across, up in line.points]
    data = {"x": [round(left, 1) for left, _ in placed], "y": [round(up, 1) for _, up in placed], "text": words}
    spoken = f"{title}. {words[0]}; {words[-1]}." if words else title
    return (
        f'<svg class="curve {size.name}" viewBox="0 0 {size.width} {size.height}" role="img" tabindex="0" '
        f'aria-label="{escape(spoken)}" data-points="{escape(json.dumps(data, ensure_ascii=False))}">'
        f"{''.join(parts)}</svg>"
    )


def _scale(
    values: Sequence[float], axis: Axis, start: float, end: float, most: int, room: float
) -> tuple[Callable[[float], float], list[float]]:
    """Map values to pixels and choose the ticks; a flat or single value gets a range around it."""
    low, high = _bounded(min(values)), _bounded(max(values))
    logarithmic = axis.logarithmic and low > 0
    if logarithmic:
        low = max(low, high * NARROWEST)
    if axis.from_zero:
        low = min(0.0, low)
    if high - low <= NARROWEST * max(abs(low), abs(high), SMALLEST):
        margin = max(abs(high) * 0.1, SMALLEST) if high else 1.0
        low, high = (low if axis.from_zero and low == 0 else low - margin), high + margin
    forward: Callable[[float], float] = math.log if logarithmic else float
    bottom, top = forward(low), forward(high)
    extra = (top - bottom) * room
    bottom, top = bottom if axis.from_zero else bottom - extra, top + extra
    inverse = math.exp if logarithmic else float
    first, last = inverse(bottom), inverse(top)

    def place(value: float) -> float:
        # The bounds hold what is outside of any sense, such as one value of 1e300, on the canvas.
        return start + (forward(min(last, max(first, value))) - bottom) / (top - bottom) * (end - start)

    return place, ticks(first, last, most, logarithmic)


def _bounded(value: float) -> float:
    return max(-LARGEST, min(LARGEST, value)) if abs(value) >= SMALLEST else 0.0


def _grid(size: Size, x: Axis, y: Axis, across: Sequence[tuple[float, str]], up: Sequence[tuple[float, str]]) -> str:
    right, floor = size.width - size.right, size.height - size.bottom
    parts = [f'<text class="axis" x="0" y="12">{escape(y.label)}</text>']
    for place, word in up:
        parts.append(f'<line class="rule" x1="{size.left}" x2="{right}" y1="{place:.1f}" y2="{place:.1f}"/>')
        parts.append(f'<text class="tick" x="{size.left - 8}" y="{place + 4:.1f}" text-anchor="end">{word}</text>')
    parts.append(f'<line class="base" x1="{size.left}" x2="{right}" y1="{floor}" y2="{floor}"/>')
    for place, word in across:
        anchor = "end" if place > right - 8 else "middle"
        shift = min(place, right) if anchor == "end" else place
        parts.append(f'<line class="base" x1="{place:.1f}" x2="{place:.1f}" y1="{floor}" y2="{floor + 5}"/>')
        parts.append(f'<text class="tick" x="{shift:.1f}" y="{floor + 19}" text-anchor="{anchor}">{word}</text>')
    parts.append(f'<text class="axis" x="{right}" y="{size.height - 4}" text-anchor="end">{escape(x.label)}</text>')
    return "".join(parts)


def _mark(size: Size, place: float, words: str) -> str:
    anchor, shift = ("end", -6) if place > size.width / 2 else ("start", 6)
    return (
        f'<line class="mark" x1="{place:.1f}" x2="{place:.1f}" y1="{size.top - 10}" y2="{size.height - size.bottom}"/>'
        f'<text class="axis" x="{place + shift:.1f}" y="{size.top}" text-anchor="{anchor}">{escape(words)}</text>'
    )


def _points(points: Sequence[Point]) -> str:
    return " ".join(f"{left:.1f},{up:.1f}" for left, up in points)


def bars(title: str, rows: Sequence[Bar], tint: int = 0) -> Markup:
    """Draw amounts as horizontal bars, each below its name and the amount in words."""
    most = max((amount for _, amount, _ in rows), default=0.0)
    parts = []
    for number, (name, amount, words) in enumerate(rows):
        top = number * 38
        length = max(1.5, 100 * amount / most) if most > 0 and amount > 0 else 0.0
        parts.append(
            f'<text class="name" x="0" y="{top + 13}">{escape(name)}</text>'
            f'<text class="amount" x="100%" y="{top + 13}" text-anchor="end">{escape(words)}</text>'
            f'<rect class="trough" x="0" y="{top + 19}" width="100%" height="9" rx="2"/>'
            f'<rect class="fill tint{tint}" x="0" y="{top + 19}" width="{length:.2f}%" height="9" rx="2"/>'
        )
    spoken = f"{title}: " + "; ".join(f"{name} {words}" for name, _, words in rows)
    return Markup(
        f'<svg class="bars" width="100%" height="{38 * len(rows)}" role="img" aria-label="{escape(spoken)}">'
        f"{''.join(parts)}</svg>"
    )


def stacked(title: str, rows: Sequence[tuple[str, float, str]], height: int = 26) -> Markup:
    """Draw parts of a whole side by side in one bar; the page's legend carries the words."""
    total = math.fsum(amount for _, amount, _ in rows)
    parts, left = [], 0.0
    for tint, amount, words in rows:
        share = 100 * amount / total if total > 0 else 0.0
        parts.append(
            f'<rect class="fill {escape(tint)}" x="{left:.3f}%" y="0" width="{share:.3f}%" height="{height}">'
            f"<title>{escape(words)}</title></rect>"
        )
        left += share
    spoken = f"{title}: " + "; ".join(words for _, _, words in rows)
    return Markup(
        f'<svg class="stacked" width="100%" height="{height}" role="img" aria-label="{escape(spoken)}">'
        f"{''.join(parts)}</svg>"
    )


def field(title: str, verdicts: Sequence[bool]) -> Markup:
    """Draw one square for each tale, ten in a row: filled when it passed, crossed out when not."""
    parts = []
    for number, passed in enumerate(verdicts):
        left, top = number % 10 * 20, number // 10 * 20
        kind = "passed" if passed else "failed"
        parts.append(f'<rect class="{kind}" x="{left + 1}" y="{top + 1}" width="17" height="17" rx="2.5"/>')
        if not passed:
            parts.append(f'<path class="cross" d="M{left + 6} {top + 6}l7 7m0 -7l-7 7"/>')
    rows = math.ceil(len(verdicts) / 10)
    spoken = f"{title}: {sum(verdicts)} of {numerals.counted(len(verdicts), 'square')} filled"
    return Markup(
        f'<svg class="field" viewBox="0 0 199 {20 * rows - 1}" width="199" height="{20 * rows - 1}" role="img" '
        f'aria-label="{escape(spoken)}">{"".join(parts)}</svg>'
    )
