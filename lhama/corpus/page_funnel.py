"""The first chapters of the page: how much each step took away, and what is left of each source.

In: report.json's content. Out: a funnel and its table by reason, bars and a table by source. Subtle: a document has one
reason, the first in the order of judgement, so the steps of the funnel follow one another and add up.
"""

from typing import Any

from lhama.corpus.reasons import BROKEN, CLEANED, READ, REPEATED
from lhama.corpus.rule_table import MEANING
from lhama.record.page import figures, numerals
from lhama.record.page.markup import DASH, Child, Markup, figure, folded, join, legend, section, table, tag, value
from lhama.record.page.shares import Row, Share, shares

Report = dict[str, Any]
STEPS = (
    dict.fromkeys(BROKEN, "cannot be read")
    | dict.fromkeys(READ, "no documents")
    | dict.fromkeys(CLEANED, "empty or too short")
    | {"opted_out": "opted out", "other_language": "other languages", "european": "European Portuguese"}
    | dict.fromkeys(MEANING, "rules")
    | dict.fromkeys(REPEATED, "near duplicates")
    | {
        "personal_data": "personal data",
        "contaminated": "test sets",
        "copy_of_heldout": "exact duplicates",
        "exact_duplicate": "exact duplicates",
        "contained": "contained in others",
        "holds_heldout": "held-out text in training",
        "heldout_in_training": "held-out text in training",
        "domain_full": "full domains",
        "boilerplate": "boilerplate",
    }
)
"""The step to which a reason belongs; all others are classifiers."""
MOST_REASONS = 3


def funnel(report: Report) -> Markup:
    """Show what came in, what each step took away, and what is left."""
    totals = report["totals"]
    colours = legend([("kept", "left after the step"), ("tint1", "taken away by the step"), ("heldout", "held out")])
    drawn = figure(
        "What each step took away",
        "The upper bar counts documents, the lower one bytes. At the right, what the step took of each.",
        shares("What each step took away", _steps(report)),
        colours,
    )
    came = totals["documents_in"]
    parts = [
        ("kept", totals["kept"], "kept for training"),
        ("heldout", totals["heldout"], "held out for measuring"),
        ("dropped", totals["dropped"], "dropped"),
    ]
    stacked = figure(
        "What became of the documents",
        "Held-out documents are chosen by a hash before cleaning, and no copy of them stays in training.",
        figures.stacked("Documents", [(tint, count, f"{numerals.whole(count)} {what}") for tint, count, what in parts]),
        legend([(tint, f"{numerals.whole(count)} {what} ({_share(count, came)})") for tint, count, what in parts]),
    )
    return section("funnel", "From what came in to what stays", stacked, drawn, _reasons(report))


def _steps(report: Report) -> list[Row]:
    totals = report["totals"]
    documents, size = totals["documents_in"], totals["bytes_in"]
    taken: dict[str, list[int]] = {}
    for reason, of in report["reasons"].items():
        sums = taken.setdefault(STEPS.get(reason, "classifiers"), [0, 0])
        sums[0] += of["documents"]
        sums[1] += of["bytes"]
    cleaned = sum(source["bytes_cleaned_away"] for source in report["sources"])
    taken |= {"held out": [totals["heldout"], totals["heldout_bytes"]], "cleaned away in kept documents": [0, cleaned]}
    rows = [_step("came in", (documents, size), (0, 0), totals)]
    for name, (fewer, less) in taken.items():
        if fewer or less:
            documents, size = documents - fewer, size - less
            rows.append(_step(name, (documents, size), (fewer, less), totals))
    return [*rows, _step("training text", (documents, size), (0, 0), totals)]


def _step(name: str, left: tuple[int, int], less: tuple[int, int], totals: dict[str, int]) -> Row:
    """Draw what is left after a step and what the step took, documents above and bytes below."""
    tint = "heldout" if name == "held out" else "tint1"
    bars, words = [], []
    for here, gone, key in zip(left, less, ("documents_in", "bytes_in"), strict=True):
        say = numerals.size if key == "bytes_in" else numerals.whole
        whole = max(1, totals[key])
        bars.append([Share("kept", here / whole, f"{say(here)} left"), Share(tint, gone / whole, f"{say(gone)} taken")])
        if any(less) and gone:
            words.append(f"{numerals.MINUS}{say(gone)}")
        elif not any(less):
            words.append(say(here))
    return Row(name, " · ".join(words), bars)


def _reasons(report: Report) -> Markup:
    if not report["reasons"]:
        return tag("p", "No document was dropped.", class_="soft")
    rows: list[list[Child]] = [
        [
            join([reason, tag("small", of["meaning"])]),
            value(numerals.whole(of["documents"]), of["documents"], f"reason-{reason}"),
            value(numerals.size(of["bytes"]), of["bytes"]),
            value(numerals.whole(of["words"]), of["words"]),
        ]
        for reason, of in report["reasons"].items()
    ]
    columns = ["Reason, in the order of judgement", "Documents", "Text", "Words"]
    return join([tag("h3", "Why documents were dropped"), table(columns, rows)])


def sources(report: Report) -> Markup:
    """Show which share of each source is left, and what took the rest."""
    found = report["sources"]
    drawn = figure(
        "What is left of each source",
        "The upper bar counts documents, the lower one bytes. At the right, the share that is training text.",
        shares("What is left of each source", [_survival(source) for source in found]),
        legend([("kept", "kept"), ("heldout", "held out"), ("dropped", "dropped, or cleaned away")]),
    )
    losing = [_losses(source) for source in found if source["dropped"]]
    detail = folded("Every reason of every source", table(["Source", "Dropped"], losing), on_paper=True)
    return section("sources", "Sources", drawn, _table(found), detail if losing else None)


def _survival(source: dict[str, Any]) -> Row:
    documents, size = source["documents_in"], source["bytes_in"]
    dropped, dropped_bytes = sum(source["dropped"].values()), sum(source["dropped_bytes"].values())
    dropped_bytes += source["bytes_cleaned_away"]
    amounts = (
        (documents, (source["kept"], source["heldout"], dropped), numerals.whole),
        (size, (source["bytes_out"], source["heldout_bytes"], dropped_bytes), numerals.size),
    )
    bars = [
        [
            Share(tint, amount / max(1, whole), f"{say(amount)} {tint}")
            for tint, amount in zip(("kept", "heldout", "dropped"), parts, strict=True)
        ]
        for whole, parts, say in amounts
    ]
    words = f"{_share(source['kept'], documents)} · {_share(source['bytes_out'], size)}"
    return Row(source["name"], words, bars)


def _table(found: list[dict[str, Any]]) -> Markup:
    columns = ["Source", "Documents in", "Text in", "Kept", "Text kept", "Held out", "Dropped"]
    rows: list[list[Child]] = []
    for source in found:
        dropped = sum(source["dropped"].values())
        most = sorted(source["dropped"].items(), key=lambda one: (-one[1], one[0]))[:MOST_REASONS]
        licence = "licence unknown" if source["license"] == "unknown" else source["license"]
        about = f"{numerals.language(source['language'])} · {licence}"
        why = "; ".join(f"{numerals.whole(count)} {reason}" for reason, count in most)
        name = join([source["name"], tag("small", about), tag("small", f"dropped: {why}") if why else None])
        rows.append(
            [
                name,
                value(numerals.whole(source["documents_in"]), source["documents_in"]),
                value(numerals.size(source["bytes_in"]), source["bytes_in"]),
                value(numerals.whole(source["kept"]), source["kept"]),
                value(numerals.size(source["bytes_out"]), source["bytes_out"]),
                value(numerals.whole(source["heldout"]), source["heldout"]),
                value(numerals.whole(dropped), dropped),
            ]
        )
    return table(columns, rows)


def _losses(source: dict[str, Any]) -> list[Child]:
    dropped = source["dropped"]
    said = " · ".join(f"{reason} {numerals.whole(count)}" for reason, count in dropped.items())
    return [join([source["name"], tag("small", said)]), numerals.whole(sum(dropped.values()))]


def _share(part: int, whole: int) -> str:
    return numerals.percent(part / whole) if whole else DASH
