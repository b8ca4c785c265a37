"""The page of a cleaning: what came in, what became of it and why, readable in light, in dark and on paper.

In: the content of report.json. Out: the text of report.html, one file that asks nobody for anything. Subtle: ids, lines
and excerpts are texts of strangers; they are plain strings up to the one place that makes elements and escapes them.
"""

from collections.abc import Callable
from typing import Any

from lhama.corpus.page_classifiers import classifiers
from lhama.corpus.page_documents import broken, examples, repeated_lines
from lhama.corpus.page_findings import duplicates, languages, mended, personal, tests, variety
from lhama.corpus.page_funnel import funnel, sources
from lhama.corpus.page_rules import rules
from lhama.record.page import numerals
from lhama.record.page.markup import Child, Markup, join, tag, tile, value
from lhama.record.page.shell import whole_page

Report = dict[str, Any]
CHAPTERS: tuple[tuple[str, str, Callable[[Report], Markup | None]], ...] = (
    ("funnel", "Funnel", funnel),
    ("sources", "Sources", sources),
    ("rules", "Rules", rules),
    ("duplicates", "Duplicates", duplicates),
    ("lines", "Lines", repeated_lines),
    ("mended", "Repairs", mended),
    ("personal", "Personal data", personal),
    ("languages", "Languages", languages),
    ("variety", "Variety", variety),
    ("classifiers", "Classifiers", classifiers),
    ("tests", "Test sets", tests),
    ("broken", "Broken rows", broken),
    ("examples", "Examples", examples),
)


def make_page(name: str, report: Report) -> str:
    """Write the page of a corpus; steps that the recipe did not ask for have no chapter."""
    chapters = [(id_, title, body) for id_, title, chapter in CHAPTERS if (body := chapter(report)) is not None]
    return whole_page(f"{name} · cleaning report", _opening(name, report), chapters, _closing(name))


def _opening(name: str, report: Report) -> list[Child]:
    notice = tag("div", tag("ul", *(tag("li", sentence) for sentence in report["advice"])), class_="notice")
    return [
        tag("p", "Cleaning report", class_="kicker"),
        tag("h1", name),
        _lead(report["totals"], len(report["sources"])),
        notice if report["advice"] else None,
        _tiles(report),
    ]


def _lead(totals: dict[str, int], number: int) -> Markup:
    came, kept = totals["documents_in"], totals["kept"]
    sentence: list[Child] = [
        "Of ",
        value(numerals.counted(came, "document"), came),
        f" ({numerals.size(totals['bytes_in'])}) from {numerals.counted(number, 'source')}, ",
        value(numerals.whole(kept), kept),
        f" ({numerals.size(totals['bytes_out'])}) are training text, ",
        value(numerals.whole(totals["heldout"]), totals["heldout"]),
        " are held out for measuring, and ",
        value(numerals.whole(totals["dropped"]), totals["dropped"]),
        " were dropped, each for one reason.",
    ]
    return tag("p", join(sentence), class_="lead")


def _tiles(report: Report) -> Markup:
    totals = report["totals"]
    came, heldout = totals["documents_in"], totals["heldout"]
    training = came - heldout
    cleaned = sum(source["bytes_cleaned_away"] for source in report["sources"])
    tiles = [
        _tile("Documents in", numerals.whole(came), came, numerals.size(totals["bytes_in"]), "documents-in"),
        _tile("Kept", numerals.whole(totals["kept"]), totals["kept"], _of(totals["kept"], training), "kept"),
        _tile(
            "Text kept",
            numerals.size(totals["bytes_out"]),
            totals["bytes_out"],
            _of(totals["bytes_out"], totals["bytes_in"] - totals["heldout_bytes"]),
            "bytes-out",
        ),
        _tile(
            "Words kept",
            numerals.large(totals["words_out"], short=True),
            totals["words_out"],
            _of(totals["words_out"], totals["words_in"] - totals["heldout_words"]),
            "words-out",
        ),
        _tile("Dropped", numerals.whole(totals["dropped"]), totals["dropped"], _reasons(report), "dropped"),
        _tile("Held out", numerals.whole(heldout), heldout, numerals.size(totals["heldout_bytes"]), "heldout"),
        _tile("Cleaned away", numerals.size(cleaned), cleaned, "of kept documents", "cleaned-away"),
        _tile(
            "Not readable",
            numerals.whole(report["broken_total"]),
            report["broken_total"],
            "rows, among those dropped",
            "broken-rows",
        ),
    ]
    return tag("dl", *tiles, class_="tiles")


def _tile(name: str, said: str, amount: int, note: str, id_: str) -> Markup:
    return tile(name, value(said, amount, id_), note)


def _of(part: int, whole: int) -> str:
    return f"{numerals.percent(part / whole)} of what is not held out" if whole else ""


def _reasons(report: Report) -> str:
    return f"for {numerals.counted(len(report['reasons']), 'reason')}"


def _closing(name: str) -> Markup:
    return tag(
        "p",
        f"Written by Lhama from report.json of the corpus “{name}”, which has all of these numbers and more. This page "
        "is one file: it asks nobody for anything and tells nobody that it was read. It quotes documents; look at "
        "their licences before you pass it on.",
    )
