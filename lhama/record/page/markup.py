"""HTML that cannot be forgotten to be escaped: plain strings are text, only what is built here is markup.

In: element names, texts and attributes. Out: Markup. A document's id, a prompt or a sample is a plain string wherever
it comes from, so it is escaped at the one place where an element is made. There are no style attributes and no event
handlers, which the page's Content-Security-Policy forbids anyhow.
"""

from collections.abc import Callable, Iterable
from html import escape

VOID = {"meta", "br"}
DASH = "–"  # where a figure would stand that is not known


class Markup(str):
    """Text that is HTML already."""

    __slots__ = ()


Child = str | None


def text(value: str) -> Markup:
    """Turn a child into markup: markup stays, everything else is escaped."""
    return value if isinstance(value, Markup) else Markup(escape(value))


def join(parts: Iterable[Child], between: str = "") -> Markup:
    """Put parts one after the other; None is nothing."""
    return Markup(text(between).join(text(part) for part in parts if part is not None))


def tag(name: str, /, *children: Child, **attributes: str | None) -> Markup:
    """Make an element; `class_` is class, an underscore in a name is a hyphen, an attribute of None is left out."""
    written = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(value)}"'
        for key, value in attributes.items()
        if value is not None
    )
    if name in VOID:
        return Markup(f"<{name}{written}>")
    return Markup(f"<{name}{written}>{join(children)}</{name}>")


def value(words: str, number: float | None, id_: str | None = None) -> Markup:
    """Write a number for people together with the record's own number for programs."""
    if number is None:
        return tag("span", words, id=id_)
    return tag("data", words, value=repr(number), id=id_)


def value_or_dash(number: float | None, say: Callable[[float], str], id_: str | None = None) -> Markup:
    """Write a number in the words that `say` finds for it; a dash where it is not known."""
    return value(DASH if number is None else say(number), number, id_)


def table(
    columns: Iterable[str],
    rows: Iterable[Iterable[Child]],
    words: int = 1,
    caption: str | None = None,
    compact: bool = False,
) -> Markup:
    """Make a table: the first `words` columns are texts, the others figures; a phone shows long rows as cards.

    A compact one, of few short columns, stays a table there, in smaller letters.
    """
    names = list(columns)
    kinds = ["" if place < words else "figure" for place in range(len(names))]
    head = tag(
        "tr", *(tag("th", name, scope="col", class_=kind or None) for name, kind in zip(names, kinds, strict=True))
    )
    body = []
    for row in rows:
        cells = list(row)
        first = tag("th", cells[0], scope="row")
        rest = [
            tag("td", cell, class_=kind or None, data_label=name)
            for cell, kind, name in zip(cells[1:], kinds[1:], names[1:], strict=True)
        ]
        body.append(tag("tr", first, *rest))
    title = tag("caption", caption) if caption else None
    kind = "pairs" if len(names) == 2 else "compact" if compact else None
    return tag("div", tag("table", title, tag("thead", head), tag("tbody", *body), class_=kind), class_="scroll")


def figure(title: str, sentence: Child, *drawings: Child) -> Markup:
    """Put a drawing below its title and the sentence that says how to read it."""
    words = tag("figcaption", tag("b", title), " " if sentence else None, sentence)
    return tag("figure", words, *drawings)


def legend(parts: Iterable[tuple[str, Child]]) -> Markup:
    """List the colours of a drawing, by their class, with what each means."""
    return tag("ul", *(tag("li", tag("i", class_=tint), words) for tint, words in parts), class_="legend")


def tile(name: str, shown: Markup, note: str) -> Markup:
    """Make one of the figures that stand large at the top of a page, with a small note below it."""
    below = tag("dd", note, class_="note") if note else None
    return tag("div", tag("dt", name), tag("dd", shown), below, class_="tile")


def missing(sentence: str) -> Markup:
    """Say in place of a part why it is not here."""
    return tag("p", sentence, class_="missing")


def folded(summary: str, *children: Child, on_paper: bool = False) -> Markup:
    """Hide details behind a line that opens them; paper leaves them out unless told otherwise."""
    return tag("details", tag("summary", summary), *children, class_="paper" if on_paper else None)


def section(name: str, title: str, *children: Child) -> Markup:
    """Make a chapter of the page."""
    return tag("section", tag("h2", title, id=f"{name}-title"), *children, id=name, aria_labelledby=f"{name}-title")
