"""The chapter on the vocabulary: how many tokens the text became, and how many a word takes.

In: tokens.json, fertility.json and the publication's tokenizers.json. Out: figures and tables. Fertility is tokens per
word (Rust et al. 2021, arXiv 2012.15613): the nearer to 1, the more text fits into the context, and the cheaper each
word is. It is measured on held-out text, because a vocabulary knows the words it was made from. Subtle: the rows of
the TeenyTinyLlama paper were counted on a text that nobody else has; they are quoted and never compared.
"""

from lhama.record.page import figures, numerals
from lhama.record.page.markup import (
    DASH,
    Child,
    Markup,
    figure,
    join,
    missing,
    section,
    table,
    tag,
    value,
    value_or_dash,
)
from lhama.record.page.shortened import bars, long_table
from lhama.release.facts import Facts, Row, items, number, pairs, words

# Table 1 of the TeenyTinyLlama paper: tokens for 7,400 words of Brazilian Portuguese, and pieces in the vocabulary.
QUOTED_WORDS = 7_400
QUOTED = (
    ("TeenyTinyLlama", 9_937, 32_000),
    ("GPortuguese-2", 9_959, 50_257),
    ("BERTimbau", 11_006, 29_794),
    ("Cabrita-3B", 11_488, 52_000),
    ("Sabiá-7B", 14_813, 32_000),
)


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
    return section("tokens", "Vocabulary", intro, _fertility(facts), _comparison(facts), _streams(facts, streams))


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
    if whole is not None and not rows:
        rows = [("all", whole, numerals.fixed(whole, 2))]
    if not rows:
        return missing("Fertility was not measured.")
    if len(rows) == 1:
        _, amount, said = rows[0]
        return tag("p", "A word of held-out text takes ", value(f"{said} tokens", amount, "fertility"), " on average.")
    drawing = bars("Tokens per word", rows, "sources", 3)
    over_all = None if whole is None else join([", ", value(f"{numerals.fixed(whole, 2)} over all", whole)])
    sentence = join(["Tokens for each word of held-out text", over_all, "; 1 would be a piece for every word."])
    return figure("Fertility", sentence, drawing)


def _streams(facts: Facts, rows: list[Row]) -> Markup | None:
    """List what the text became."""
    if not rows:
        return None
    lines: list[list[Child]] = []
    for row in rows:
        counts = [number(row, key) for key in ("documents", "tokens", "bytes")]
        count, size = counts[1], counts[2]
        each = size / count if count and size else None
        cells = [value_or_dash(amount, numerals.whole) for amount in counts[:2]]
        cells.append(value_or_dash(each, numerals.to_places(2)))
        name = words(row, "name")
        read = number(facts.final, "epochs", name)
        cells.append(value_or_dash(read, numerals.significant))
        lines.append([name or "unnamed", *cells])
    columns = ["Training text as tokens", "Documents", "Tokens", "Bytes per token", "Times read"]
    return long_table(columns, lines, "sources as tokens")


def _comparison(facts: Facts) -> Markup:
    """Set the run's tokenizer beside those that the recipe names, on the same words, and beside the paper's table."""
    counted = [row for row in items(facts.comparison, "tokenizers") if (number(row, "tokens") or 0) > 0]
    heading = tag("h3", "Beside other tokenizers")
    own = next((row for row in counted if row.get("own") is True), None)
    if own is None:
        return join([heading, missing("There is no held-out text in this run to compare tokenizers on.")])
    count, wanted = number(facts.comparison, "words") or 0, number(facts.comparison, "wanted") or QUOTED_WORDS
    fewer = "" if count >= wanted else f", all there are of the {numerals.whole(wanted)} that the test asks for,"
    each = number(own, "tokens_per_word")
    sentence: list[Child] = [
        "This run’s vocabulary writes ",
        value(numerals.counted(count, "held-out word"), count, "compared-words"),
        f"{fewer} in ",
        value(numerals.counted(number(own, "tokens") or 0, "token"), number(own, "tokens"), "compared-tokens"),
        "" if each is None else f": {numerals.fixed(each, 2)} for each word.",
    ]
    if len(counted) == 1:
        sentence.append(" Name other tokenizers in release.compare_tokenizers to set them beside it.")
    return join([heading, tag("p", *sentence), _bars(counted), _table(facts, counted), _note(facts, counted)])


def _bars(counted: list[Row]) -> Markup | None:
    if len(counted) < 2:
        return None
    rows = [(_name(row), number(row, "tokens") or 0.0, numerals.whole(number(row, "tokens") or 0)) for row in counted]
    drawing = figures.bars("Tokens for the same words", sorted(rows, key=lambda row: row[1]), 3)
    return figure("Tokens for the same words", "Fewer is better: more text fits into the context.", drawing)


def _name(row: Row) -> str:
    return "this run" if row.get("own") is True else words(row, "name") or "unnamed"


def _table(facts: Facts, counted: list[Row]) -> Markup:
    """List tokenizers: those counted here, then, for Portuguese, the paper's with the words that they are no match."""
    columns = ["Tokenizer", "Pieces", "Tokens", "Tokens per word", "This run needs fewer"]
    lines: list[list[Child]] = []
    for row in counted:
        amounts = [number(row, key) for key in ("vocabulary", "tokens", "tokens_per_word", "fewer")]
        lines.append([_name(row), *map(value_or_dash, amounts, SAYS)])
    for name, tokens_, size in QUOTED if facts.recipe.language == "pt" else ():
        each = tokens_ / QUOTED_WORDS
        cells = [value(numerals.whole(size), size), value(numerals.whole(tokens_), tokens_)]
        quoted = join([name, tag("small", "quoted, other text")])
        lines.append([quoted, *cells, value(numerals.fixed(each, 2), each), tag("span", DASH)])
    return table(columns, lines, compact=True)


def _percent(share: float) -> str:
    return numerals.percent(share) if share >= 0 else f"{numerals.percent(-share)} more"


SAYS = (numerals.whole, numerals.whole, numerals.to_places(2), _percent)


def _note(facts: Facts, counted: list[Row]) -> Markup | None:
    sentences = []
    if facts.recipe.language == "pt":
        sentences.append(
            "The quoted rows are Table 1 of the TeenyTinyLlama paper, counted on 7,400 words that are not these: they "
            "show the order of magnitude."
        )
    unknown = [f"{_name(row)} {numerals.whole(amount)}" for row in counted if (amount := number(row, "unknown"))]
    if unknown:
        sentences.append(f"Tokens that only say “unknown”, which lose the text: {', '.join(unknown)}.")
    return tag("p", " ".join(sentences), class_="soft") if sentences else None
