"""The chapter on text: what came in and what stayed, with a reason for every document that did not.

In: corpus/report.json. Out: the funnel, the table of sources, and reasons with examples. Subtle: held-out documents are
neither trained on nor dropped, so a bar has three parts and they add up to what came in.
"""

from lhama.record.page import figures, numerals
from lhama.record.page.markup import (
    Child,
    Markup,
    figure,
    folded,
    join,
    legend,
    missing,
    section,
    tag,
    value,
    value_or_dash,
)
from lhama.record.page.shortened import bars, long_table
from lhama.release import licences
from lhama.release.facts import Facts, Row, items, number, pairs, words

EXAMPLES, EXCERPT = 3, 280


def corpus(facts: Facts) -> Markup:
    """Show the funnel from the text that came in to the text that was trained on."""
    sources = items(facts.corpus, "sources")
    if not sources:
        return section(
            "corpus", "Text", missing("The corpus stage has not finished, or its report is not in this run.")
        )
    return section(
        "corpus",
        "Text",
        _teaching(facts),
        *(tag("p", warning, class_="notice") for warning in licences.warnings(facts.recipe)),
        _funnel(sources),
        _sources(sources),
        _reasons(facts, sources),
        _notes(facts),
    )


def _teaching(facts: Facts) -> Markup | None:
    if not facts.has_tales:
        return None
    return tag(
        "p",
        "Among the sources is Lhama’s embedded corpus of little tales, written by a program: a teaching corpus. It "
        "lets a tiny model learn grammar and reference within minutes, and it teaches nothing about the world.",
    )


def dropped(source: Row) -> dict[str, float]:
    """Return how many documents of a source were dropped, by reason."""
    found = pairs(source, "dropped")
    return {str(reason): count for reason in found if (count := number(found, reason))}


def _sum(sources: list[Row], key: str) -> float:
    return sum(number(source, key) or 0 for source in sources)


def _funnel(sources: list[Row]) -> Markup:
    kept, held, came = _sum(sources, "kept"), _sum(sources, "heldout"), _sum(sources, "documents_in")
    lost = sum(sum(dropped(source).values()) for source in sources)
    parts = [
        ("kept", kept, "kept for training"),
        ("heldout", held, "held out for measuring"),
        ("dropped", lost, "dropped"),
    ]
    shown = [(tint, amount, f"{numerals.whole(amount)} {what}") for tint, amount, what in parts]
    bytes_in = _sum(sources, "bytes_in")
    size = f", {numerals.size(bytes_in)} of text," if bytes_in else ""
    sentence = join(
        [
            "Of ",
            value(f"{numerals.whole(came)} documents{size}", came, "documents-in"),
            " that came in. Held-out documents are chosen by a hash before cleaning, and no copy of them stays in "
            "training.",
        ]
    )
    said: list[tuple[str, Child]] = []
    for tint, amount, what in parts:
        share = f" ({numerals.percent(amount / came)})" if came else ""
        count = value(numerals.whole(amount), amount, f"documents-{tint}")
        said.append((tint, join([count, f" {what}{share}"])))
    return figure("What became of the documents", sentence, figures.stacked("Documents", shown), legend(said))


def _sources(sources: list[Row]) -> Markup:
    columns = ["Source", "Documents in", "Text in", "Kept", "Held out", "Dropped", "Text kept"]
    keys = ("documents_in", "bytes_in", "kept", "heldout", "", "bytes_out")
    rows: list[list[Child]] = []
    for source in sources:
        about = " · ".join(part for part in (_language(source), _licence(source)) if part)
        name = join([words(source, "name") or "unnamed", tag("small", about)])
        rows.append([name, *(_cell(source, key) for key in keys)])
    return long_table(columns, rows, "sources")


def _licence(source: Row) -> str:
    licence = words(source, "license")
    return "licence unknown" if licence.lower() in licences.UNSTATED else licence


def _language(source: Row) -> str:
    code = words(source, "language")
    return numerals.language(code) if code else ""


def _cell(source: Row, key: str) -> Markup:
    amount = number(source, key) if key else sum(dropped(source).values())
    return value_or_dash(amount, numerals.size if key.startswith("bytes") else numerals.whole)


def reason_words(reason: str) -> str:
    """Say the name of a reason as words."""
    return reason.replace("_", " ").replace("heldout", "held-out")


def _reasons(facts: Facts, sources: list[Row]) -> Markup | None:
    sums: dict[str, float] = {}
    for source in sources:
        for reason, count in dropped(source).items():
            sums[reason] = sums.get(reason, 0) + count
    if not sums:
        return tag("p", "No document was dropped.", class_="soft")
    ordered = sorted(sums.items(), key=lambda pair: (-pair[1], pair[0]))
    counts = [(reason_words(reason), count, numerals.whole(count)) for reason, count in ordered]
    drawn = bars("Documents dropped", counts, "reasons", 3)
    examples = pairs(facts.corpus, "examples")
    quoted = [
        _quoted(reason, words(facts.corpus, "reasons", reason, "meaning"), items(examples, reason))
        for reason, _ in ordered
        if items(examples, reason)
    ]
    fold = folded("Read examples of dropped documents", *quoted) if quoted else None
    return join([figure("Why documents were dropped", "Documents by reason; each has exactly one.", drawn), fold])


def _quoted(reason: str, meaning: str, examples: list[Row]) -> Markup:
    quotes = []
    for example in examples[:EXAMPLES]:
        excerpt = words(example, "excerpt").strip()
        shown = excerpt[:EXCERPT] + ("…" if len(excerpt) > EXCERPT else "")
        origin = " · ".join(
            part for part in (words(example, "source"), words(example, "id"), words(example, "detail")) if part
        )
        quotes.append(tag("blockquote", tag("p", shown or "(empty)"), tag("p", origin, class_="verdict")))
    return join([tag("h3", reason_words(reason)), tag("p", meaning, class_="soft") if meaning else None, *quotes])


def _notes(facts: Facts) -> Markup:
    broken = number(facts.corpus, "broken_total")
    notes: list[Child] = []
    if broken:
        notes.append(
            f"{numerals.counted(broken, 'row')} could not be read; the run’s corpus/rejected keeps them aside. "
        )
    replaced = number(facts.corpus, "replaced_characters")
    if replaced:
        notes.append(
            f"The character U+2581, which the vocabulary uses for spaces, was replaced "
            f"{numerals.counted(replaced, 'time')}. "
        )
    cleaned = _sum(items(facts.corpus, "sources"), "bytes_cleaned_away")
    if cleaned:
        amount = value(numerals.size(cleaned), cleaned, "cleaned-away")
        notes.append(join(["Inside kept documents, ", amount, " were cleaned away. "]))
    notes.append(
        "The run’s corpus/report.html shows every step of the cleaning: each rule with its threshold, duplicates, "
        "languages, personal data, and examples kept and dropped side by side."
    )
    return tag("p", *notes, class_="soft")
