"""Long lists shown in short: what tells most stays on the page, the whole is folded away; tables unfold on paper.

In: sorted bars or table rows. Out: markup. A corpus of two hundred sources must not push the curves off the page.
"""

from collections.abc import Iterable, Sequence

from lhama.record.page import figures
from lhama.record.page.markup import Child, Markup, folded, join, table, tag

FIRST, LAST = 5, 3


def bars(title: str, rows: Sequence[figures.Bar], noun: str, tint: int = 0) -> Markup:
    """Draw the first and the last of many sorted bars, all of them in the fold; few bars stay as they are."""
    if len(rows) <= FIRST + LAST + 1:
        return figures.bars(title, rows, tint)
    shown = [*rows[:FIRST], *rows[-LAST:]]
    excerpt = tag("p", f"The first {FIRST} and the last {LAST} of {len(rows)} {noun}.", class_="few")
    whole = folded(f"All {len(rows)} {noun}", figures.bars(title, rows, tint))
    return join([excerpt, figures.bars(title, shown, tint), whole])


def long_table(columns: Iterable[str], rows: Sequence[Iterable[Child]], noun: str) -> Markup:
    """Make a table that is folded when it has more rows than the page shows of bars."""
    whole = table(columns, rows)
    return whole if len(rows) <= FIRST + LAST + 1 else folded(f"Each of the {len(rows)} {noun}", whole, on_paper=True)
