"""Histograms as small inline SVGs: how many documents measured what, and where the threshold cuts.

In: bins with their counts, and the threshold with the side that it drops. Out: an `<svg>` without a style of its own,
like those of figures.py. Heights are square roots of the counts, because a rule is about the few documents far out.
"""

import math
from collections.abc import Sequence
from html import escape

from lhama.record.page import numerals
from lhama.record.page.markup import Markup

WIDTH, HEIGHT, FLOOR = 240, 112, 84


def histogram(
    title: str, edges: Sequence[float], counts: Sequence[int], threshold: float | None, drops_above: bool
) -> Markup:
    """Draw the counts between edges (one more than counts); bars beyond the threshold are of the dropped colour."""
    most = math.sqrt(max(counts, default=0)) or 1.0
    low, high = edges[0], edges[-1]
    scale = WIDTH / ((high - low) or 1.0)
    parts = []
    for count, left, right in zip(counts, edges[:-1], edges[1:], strict=True):
        if not count:
            continue
        middle = (left + right) / 2
        out = threshold is not None and (middle > threshold if drops_above else middle < threshold)
        tall = max(1.0, (FLOOR - 14) * math.sqrt(count) / most)
        parts.append(
            f'<rect class="fill {"tint1" if out else "tint0"}" x="{(left - low) * scale:.1f}" y="{FLOOR - tall:.1f}" '
            f'width="{max(1.0, (right - left) * scale - 1):.1f}" height="{tall:.1f}">'
            f"<title>{escape(_span(left, right))}: {numerals.counted(count, 'document')}</title></rect>"
        )
    parts.append(f'<line class="base" x1="0" x2="{WIDTH}" y1="{FLOOR}" y2="{FLOOR}"/>')
    if threshold is not None:
        place = min(WIDTH - 1.0, max(1.0, (threshold - low) * scale))
        anchor = "end" if place > WIDTH / 2 else "start"
        shift = -5 if anchor == "end" else 5
        parts.append(f'<line class="base" x1="{place:.1f}" x2="{place:.1f}" y1="4" y2="{FLOOR}"/>')
        parts.append(
            f'<text class="tick" x="{place + shift:.1f}" y="12" text-anchor="{anchor}">'
            f"{numerals.tick(threshold)}</text>"
        )
    parts.append(f'<text class="tick" x="0" y="{FLOOR + 16}">{numerals.tick(low)}</text>')
    parts.append(f'<text class="tick" x="{WIDTH}" y="{FLOOR + 16}" text-anchor="end">{numerals.tick(high)}</text>')
    limit = "" if threshold is None else f", threshold {numerals.tick(threshold)}"
    spoken = f"{title}: {numerals.counted(sum(counts), 'document')} from {numerals.tick(low)} to {numerals.tick(high)}"
    return Markup(
        f'<svg class="histogram" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(spoken + limit)}">'
        f"{''.join(parts)}</svg>"
    )


def _span(left: float, right: float) -> str:
    return f"{numerals.tick(left)} to {numerals.tick(right)}"
