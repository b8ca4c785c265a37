"""Rows of bars that say which share of something went where, two measures below each other.

In: rows with a name, words at the right end, and bars of coloured shares between 0 and 1. Out: an `<svg>` without a
style of its own, like those of figures.py. What the shares of a bar leave free stays an empty trough.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from lhama.record.page.markup import Markup

THICK, APART, ABOVE, BELOW = 8, 3, 20, 13


@dataclass(frozen=True)
class Share:
    """A piece of a bar: the class that colours it, how much of the bar it takes, and the words of pointing at it."""

    tint: str
    share: float
    words: str


@dataclass(frozen=True)
class Row:
    """A name, what stands at the right end of its line, and the bars below."""

    name: str
    words: str
    bars: Sequence[Sequence[Share]]


def shares(title: str, rows: Sequence[Row]) -> Markup:
    """Draw rows of bars; the words of all rows are what a screen reader says."""
    parts = []
    top = 0
    for row in rows:
        parts.append(
            f'<text class="name" x="0" y="{top + 13}">{escape(row.name)}</text>'
            f'<text class="amount" x="100%" y="{top + 13}" text-anchor="end">{escape(row.words)}</text>'
        )
        top += ABOVE
        for bar in row.bars:
            parts.append(_bar(bar, top))
            top += THICK + APART
        top += BELOW
    spoken = f"{title}: " + "; ".join(f"{row.name} {row.words}" for row in rows)
    return Markup(
        f'<svg class="shares" width="100%" height="{max(0, top - BELOW)}" role="img" aria-label="{escape(spoken)}">'
        f"{''.join(parts)}</svg>"
    )


def _bar(bar: Sequence[Share], top: int) -> str:
    parts = [f'<rect class="trough" x="0" y="{top}" width="100%" height="{THICK}" rx="2"/>']
    left = 0.0
    for piece in bar:
        wide = 100 * min(1.0, max(0.0, piece.share))
        if wide:
            parts.append(
                f'<rect class="fill {escape(piece.tint)}" x="{left:.3f}%" y="{top}" width="{wide:.3f}%" '
                f'height="{THICK}"><title>{escape(piece.words)}</title></rect>'
            )
        left += wide
    return "".join(parts)
