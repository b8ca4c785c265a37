"""The chapters on what was found: duplicates, repairs, personal data, languages and varieties, passages of tests.

In: report.json's content. Out: a chapter for each step that the recipe asked for, None for the others.
"""

from collections.abc import Iterable
from typing import Any

from lhama.record.page import figures, numerals
from lhama.record.page.markup import Child, Markup, figure, folded, join, section, table, tag, value

Report = dict[str, Any]
COPIES = (
    *("exact_duplicate", "copy_of_heldout", "near_duplicate", "near_copy_of_heldout"),
    *("contained", "holds_heldout", "heldout_in_training"),
)
MOST_SOURCES = 4
MOST_LANGUAGES = 6


def duplicates(report: Report) -> Markup | None:
    """Show which copies went, how large groups of near copies are, and which share of pairs can be found."""
    near = report["near_duplicates"]
    found = {reason: report["reasons"][reason] for reason in COPIES if reason in report["reasons"]}
    if near is None and not found:
        return None
    rows: list[list[Child]] = [
        [
            _named(reason, ((source["name"], source["dropped"].get(reason, 0)) for source in report["sources"])),
            value(numerals.whole(of["documents"]), of["documents"]),
            value(numerals.size(of["bytes"]), of["bytes"]),
        ]
        for reason, of in found.items()
    ]
    copies = table(["Copies", "Documents", "Text"], rows) if rows else None
    return section("duplicates", "Duplicates", copies, _near(near) if near is not None else None)


def _near(near: dict[str, Any]) -> Markup:
    groups = near["groups"]
    drawn = figures.bars(
        "Groups of near duplicates",
        [(f"{size} documents", count, numerals.counted(count, "group")) for size, count in groups.items()],
    )
    sizes = figure("Groups of near duplicates", "How many documents are alike; one of each group stays.", drawn)
    points = [(similarity, found) for similarity, found in near["expected_recall"]]
    across = figures.Axis("similarity", numerals.to_places(2))
    up = figures.Axis("of pairs are found", numerals.percent, numerals.percent, from_zero=True)
    curve = figures.curve("Expected recall", figures.Curve(points, dots=True), across, up)
    recall = figure(
        "Expected recall",
        "Which share of all pairs is found, by the share of runs of words that the two have in common.",
        curve,
        tag("output", class_="readout"),
    )
    nobody = tag("p", "There are no groups of near duplicates.", class_="soft")
    return join([sizes if groups else nobody, recall])


def mended(report: Report) -> Markup | None:
    """Show which repairs the kept documents needed, by kind and by source."""
    kinds = _kinds(report, "repairs")
    cleaned = sum(source["bytes_cleaned_away"] for source in report["sources"])
    if not kinds and not cleaned:
        return None
    words = tag(
        "p",
        "Counted in kept documents. With repeated lines, masked values and passages of tests, ",
        value(numerals.size(cleaned), cleaned),
        " of their text were taken away.",
    )
    return section("mended", "Repairs", words, *_by_kind(report, "repairs", "Repair"), _by_source(report, "repairs"))


def personal(report: Report) -> Markup | None:
    """Show which personal data were found in kept documents."""
    if not _kinds(report, "personal_data"):
        return None
    words = tag(
        "p", "Values found in kept documents, where the recipe masks them; documents that were dropped do not count."
    )
    parts = _by_kind(report, "personal_data", "Kind")
    return section("personal", "Personal data", words, *parts, _by_source(report, "personal_data"))


def _kinds(report: Report, key: str) -> dict[str, list[int]]:
    """Sum documents and times over all sources."""
    sums: dict[str, list[int]] = {}
    for source in report["sources"]:
        for kind, counts in source[key].items():
            mine = sums.setdefault(kind, [0, 0])
            mine[0] += counts["documents"]
            mine[1] += counts["times"]
    return sums


def _by_kind(report: Report, key: str, title: str) -> list[Markup]:
    kinds = _kinds(report, key)
    some = {kind: counts for kind, counts in kinds.items() if counts[0]}
    none = [_words(kind) for kind, counts in kinds.items() if not counts[0]]
    rows: list[list[Child]] = [
        [
            _named(_words(kind), ((source["name"], source[key][kind]["documents"]) for source in report["sources"])),
            value(numerals.whole(documents), documents, f"{key}-{kind}"),
            value(numerals.whole(times), times),
        ]
        for kind, (documents, times) in some.items()
    ]
    parts = [table([title, "Documents", "Times"], rows)] if rows else []
    return parts + ([tag("p", f"None of these: {', '.join(none)}.", class_="soft")] if none else [])


def _by_source(report: Report, key: str) -> Markup:
    rows: list[list[Child]] = []
    for source in report["sources"]:
        counts = {kind: of["documents"] for kind, of in source[key].items() if of["documents"]}
        said = " · ".join(f"{_words(kind)} {numerals.whole(count)}" for kind, count in counts.items())
        cleaned = source["bytes_cleaned_away"]
        name = join([source["name"], tag("small", said) if said else None])
        rows.append([name, value(numerals.size(cleaned), cleaned)])
    columns = ["Source, and documents by kind", "All that was taken away"]
    return folded("By source", table(columns, rows), on_paper=True)


def _named(name: str, counts: Iterable[tuple[str, int]]) -> Markup:
    """Write a name, and small below it the sources that have most of it."""
    some = sorted(((name, count) for name, count in counts if count), key=lambda one: (-one[1], one[0]))
    more = f", and {numerals.whole(len(some) - MOST_SOURCES)} more" if len(some) > MOST_SOURCES else ""
    where = ", ".join(f"{source} {numerals.whole(count)}" for source, count in some[:MOST_SOURCES]) + more
    return join([name, tag("small", where)])


def _words(name: str) -> str:
    return name.replace("_", " ")


def languages(report: Report) -> Markup | None:
    """Show which languages each source speaks."""
    found = [source for source in report["sources"] if source.get("languages")]
    if not found:
        return None
    rows: list[list[Child]] = []
    for source in found:
        counts = sorted(source["languages"].items(), key=lambda one: (-one[1], one[0]))
        documents = sum(count for _, count in counts)
        code, most = counts[0]
        others = ", ".join(f"{numerals.language(of)} {numerals.whole(count)}" for of, count in counts[1:MOST_LANGUAGES])
        more = f", and {len(counts) - MOST_LANGUAGES} more" if len(counts) > MOST_LANGUAGES else ""
        name = join([source["name"], tag("small", others + more) if others else None])
        share = f"{numerals.language(code)} {numerals.percent(most / documents)}"
        rows.append([name, value(numerals.whole(documents), documents), value(share, most)])
    words = tag("p", "The likeliest language of each document that is long enough to tell, whatever became of it.")
    columns = ["Source, and its other languages", "Documents", "Mostly"]
    return section("languages", "Languages", words, table(columns, rows))


def variety(report: Report) -> Markup | None:
    """Show which side of the sea each source speaks for."""
    found = [source for source in report["sources"] if "variety" in source]
    if not found:
        return None
    rows: list[list[Child]] = []
    for source in found:
        counts = source["variety"]
        unsure = counts["documents"] - counts["brazilian"] - counts["european"]
        amounts = (counts["documents"], counts["brazilian"], unsure, counts["european"], counts["old_spelling"])
        rows.append([source["name"], *(value(numerals.whole(amount), amount) for amount in amounts)])
    words = tag(
        "p",
        "Documents in the wanted languages, whatever became of them. Before the spelling reforms both sides wrote "
        "alike, so nothing is sure of a text in an old spelling.",
    )
    columns = ["Source", "Documents", "Surely Brazilian", "Not sure", "Surely European", "Old spelling"]
    return section("variety", "Brazilian or European", words, table(columns, rows))


def tests(report: Report) -> Markup | None:
    """Show which test sets were found in the text, with passages."""
    index, found = report["tools"].get("tests"), report["tests_found"]
    if index is None and not found:
        return None
    parts: list[Child] = []
    if index is not None:
        taken = sum(source["taken_bytes"] for source in report["sources"])
        parts.append(
            tag(
                "p",
                f"Runs of {index['words']} words from {numerals.counted(index['texts'], 'text')} of tests: ",
                value(numerals.size(taken), taken),
                " were found and taken out.",
            )
        )
    rows: list[list[Child]] = [
        [
            name,
            value(numerals.whole(of["documents"]), of["documents"], f"tests-{name}"),
            value(numerals.whole(of["rows"]), of["rows"]),
        ]
        for name, of in found.items()
    ]
    parts.append(table(["Test set", "Documents with a passage", "Rows of the test found"], rows) if rows else None)
    if not rows:
        parts.append(tag("p", "None was found.", class_="soft"))
    quotes = [
        tag("blockquote", tag("p", one["passage"]), tag("p", f"{name} · {one['row']}", class_="verdict"))
        for name, of in found.items()
        for one in of["examples"]
    ]
    return section("tests", "Test sets", *parts, folded("Read passages that were found", *quotes) if quotes else None)
