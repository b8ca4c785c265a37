"""The chapters that quote: lines that repeat, rows that cannot be read, documents that were kept or dropped.

In: report.json's content. Out: tables and quotations, folded away. Subtle: a reason may have examples of every source;
the page takes the first of each source before the second of any, so that one large source does not fill it.
"""

from typing import Any

from lhama.record.page import numerals
from lhama.record.page.markup import Child, Markup, folded, join, section, table, tag, value

Report = dict[str, Any]
EXAMPLES = 6  # of each reason
ROWS = 50


def repeated_lines(report: Report) -> Markup | None:
    """Show the lines that stand in most documents."""
    lines = report["repeated_lines"]
    if not lines:
        return None
    rows: list[list[Child]] = [
        [join([one["line"], tag("small", one["source"])]), value(numerals.whole(one["documents"]), one["documents"])]
        for one in lines
    ]
    words = "Each stays in the first document of its source and leaves all others. The most frequent ones:"
    found = table(["Line", "Documents"], rows)
    return section("lines", "Lines that repeat", tag("p", words), found)


def broken(report: Report) -> Markup | None:
    """List the rows that could not be read."""
    listed = report["broken"]
    if not listed:
        return None
    rows: list[list[Child]] = [
        [one["file"], one["reason"], value(numerals.whole(one["line"]), one["line"])] for one in listed[:ROWS]
    ]
    more = report["broken_total"] - len(rows)
    rest = tag("p", f"{numerals.whole(more)} more; rejected/ has them all.", class_="soft") if more else None
    return section("broken", "Rows that cannot be read", table(["File", "Reason", "Line"], rows, words=2), rest)


def examples(report: Report) -> Markup:
    """Quote kept documents, and dropped ones of each reason."""
    found = {reason: some for reason, some in report["examples"].items() if some}
    words = tag(
        "p",
        "The beginnings of documents, as they came. Read some of each reason before you trust a rule; lhama show RUN "
        "--reason REASON prints more.",
    )
    kept = [_quoted(one) for one in _spread(report["kept_examples"])]
    summary = f"kept: {numerals.counted(report['totals']['kept'], 'document')}"
    beside = folded(summary, tag("p", "As they came, before the cleaning.", class_="soft"), *kept)
    dropped = (_of(report, *one) for one in found.items())
    return section("examples", "Examples of what was kept and dropped", words, beside, *dropped)


def _of(report: Report, reason: str, found: list[dict[str, Any]]) -> Markup:
    of = report["reasons"][reason]
    quotes = [_quoted(one) for one in _spread(found)]
    summary = f"{reason}: {numerals.counted(of['documents'], 'document')}"
    return folded(summary, tag("p", of["meaning"], class_="soft"), *quotes)


def _spread(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Take the first example of each source, then the second, until there are enough."""
    seen: dict[str, int] = {}
    turns = []
    for place, one in enumerate(found):
        turn = seen.get(one["source"], 0)
        seen[one["source"]] = turn + 1
        turns.append((turn, place))
    return [found[place] for _, place in sorted(turns)[:EXAMPLES]]


def _quoted(one: dict[str, Any]) -> Markup:
    origin = join([part for part in (one["source"], one["id"], one["detail"]) if part], " · ")
    excerpt = one["excerpt"].strip()
    return tag("blockquote", tag("p", excerpt or "(empty)", class_="excerpt"), tag("p", origin, class_="verdict"))
