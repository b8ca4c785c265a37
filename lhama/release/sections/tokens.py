"""The chapter on the vocabulary: how many tokens the text became, and how many a word takes.

In: tokens.json and fertility.json. Out: a figure and a table. Fertility is tokens per word (Rust et al. 2021, arXiv
2012.15613): the nearer to 1, the more text fits into the context, and the cheaper each word is. It is measured on
held-out text, because a vocabulary knows the words it was made from.
"""

from lhama.record.page import figures, numerals
from lhama.record.page.markup import Child, Markup, figure, missing, section, table, tag, value
from lhama.release.facts import Facts, Row, items, number, pairs, words


def tokens(facts: Facts) -> Markup:
    """Show the vocabulary and its fertility."""
    streams = stream_rows(facts)
    if not streams and not facts.fertility:
        return section("tokens", "Vocabulary", missing("The tokens stage has not finished."))
    size = number(facts.tokens, "vocabulary") or facts.recipe.tokens.vocabulary
    origin = "brought along" if facts.recipe.tokens.from_ else "trained on this text"
    intro = tag(
        "p",
        "A vocabulary of ",
        value(f"{numerals.whole(size)} pieces", size, "vocabulary"),
        f", {origin}; whatever it has no piece for is written in bytes, so no text is unknown to it.",
    )
    return section("tokens", "Vocabulary", intro, _fertility(facts), _streams(facts, streams))


def stream_rows(facts: Facts) -> list[Row]:
    """Return the token streams by source, each with its name."""
    return items(facts.tokens, "sources")


def _fertility(facts: Facts) -> Markup:
    rows = [
        (str(name), amount, numerals.fixed(amount, 2))
        for name, row in pairs(facts.fertility, "by_source").items()
        if (amount := number(row, "tokens_per_word")) is not None
    ]
    rows.sort(key=lambda row: row[1])
    whole = number(facts.fertility, "tokens_per_word")
    if whole is not None and len(rows) != 1:
        rows.insert(0, ("all", whole, numerals.fixed(whole, 2)))
    if not rows:
        return missing("Fertility was not measured.")
    if len(rows) == 1:
        _, amount, said = rows[0]
        return tag("p", "A word of held-out text takes ", value(f"{said} tokens", amount, "fertility"), " on average.")
    drawing = figures.bars("Tokens per word", rows, 3)
    return figure("Fertility", "Tokens for each word of held-out text; 1 would be a piece for every word.", drawing)


def _streams(facts: Facts, rows: list[Row]) -> Markup | None:
    """List what the text became."""
    if not rows:
        return None
    lines: list[list[Child]] = []
    for row in rows:
        counts = [number(row, key) for key in ("documents", "tokens", "bytes")]
        count, size = counts[1], counts[2]
        each = size / count if count and size else None
        cells = [value("–" if amount is None else numerals.whole(amount), amount) for amount in counts[:2]]
        cells.append(value("–" if each is None else numerals.fixed(each, 2), each))
        name = words(row, "name")
        read = number(facts.final, "epochs", name)
        cells.append(value("–" if read is None else numerals.significant(read), read))
        lines.append([name or "unnamed", *cells])
    return table(["Training text as tokens", "Documents", "Tokens", "Bytes per token", "Times read"], lines)
