"""The chapter on learning: loss, bits per byte and learning rate over the tokens seen.

In: loss.jsonl, validation.jsonl and final.json. Out: figures and the table of validations. Subtle:
the loss of a step is the mean over that step's own rows, so it jumps; where there are more steps than pixels,
neighbours are merged into their mean and the shade behind it is their range.
"""

from collections.abc import Sequence

from lhama.plan.recipe import Recipe
from lhama.record.page import figures, numerals
from lhama.record.page.markup import Markup, figure, folded, join, missing, section, table, tag, value, value_or_dash
from lhama.record.page.shortened import bars
from lhama.release.facts import Facts, Row, number, pairs

TOKENS = figures.Axis("tokens seen", numerals.tick, from_zero=True)
FEWEST_FOR_CURVE = 2


def points(rows: Sequence[Row], key: str) -> list[tuple[float, float]]:
    """Take a figure of the rows over their tokens; rows without it are left out."""
    found = [(number(row, "tokens"), number(row, key)) for row in rows]
    return [(tokens, amount) for tokens, amount in found if tokens is not None and amount is not None]


def drawn(title: str, sentence: str, line: figures.Curve, y: figures.Axis, tint: int, unit: str) -> Markup:
    """Make the figure of a curve with the line that tells the values pointed at."""
    says = [f"{numerals.whole(tokens)} tokens: {y.say(amount)} {unit}" for tokens, amount in line.points]
    if line.band:
        ranges = [f", range {y.say(low)} to {y.say(high)}" if low < high else "" for low, high in line.band]
        says = [words_of + around for words_of, around in zip(says, ranges, strict=True)]
    drawing = figures.curve(title, line, TOKENS, y, tint, says)
    return figure(title, sentence, drawing, tag("output", says[-1], class_="readout"))


def learning(facts: Facts) -> Markup:
    """Show how the model learned."""
    parts = [_training_loss(facts), _held_out(facts), _by_source(facts), _learning_rate(facts)]
    if not any(parts):
        parts = [missing("Training has not written any figures yet.")]
    return section("learning", "Learning", *parts)


def _training_loss(facts: Facts) -> Markup | None:
    found = points(facts.losses, "loss")
    if len(found) < FEWEST_FOR_CURVE:
        return missing("There is no learning curve: loss.jsonl holds fewer than two rows.")
    line = figures.merged(found)
    merged = " The line is the mean of neighbours, the shade their range." if line.band else ""
    axis = figures.Axis("nats per token, logarithmic", numerals.to_places(3), logarithmic=True)
    sentence = (
        f"The mean over the text between two measurements, of which there are {numerals.whole(len(found))}.{merged}"
    )
    return drawn("Training loss", sentence, line, axis, 0, "nats per token")


def _held_out(facts: Facts) -> Markup:
    found = points(facts.validations, "bits_per_byte")
    if not found:
        return missing("Held-out text has not been measured: validation.jsonl has no bits per byte.")
    axis = figures.Axis("bits per byte, logarithmic", numerals.to_places(3), logarithmic=True)
    rows = [
        [
            value(numerals.whole(number(row, "tokens") or 0), number(row, "tokens")),
            value_or_dash(number(row, "bits_per_byte"), numerals.to_places(4)),
            value_or_dash(number(row, "perplexity"), numerals.to_places(2)),
        ]
        for row in facts.validations
    ]
    sentence = (
        "How many bits the model needs for each byte of text that it never saw: lower is better, and the measure does "
        "not depend on the vocabulary. Points along the way are measured on a part of the held-out text."
    )
    whole = number(facts.final, "validation", "bits_per_byte")
    if whole is not None:
        sentence += f" On all of it, the finished model needs {numerals.fixed(whole, 4)}."
    measured = folded("All measurements as a table", table(["Tokens seen", "Bits per byte", "Perplexity"], rows))
    line = figures.Curve(found, dots=True) if len(found) <= 60 else figures.merged(found)
    return join([drawn("Held-out text", sentence, line, axis, 1, "bits per byte"), measured])


def _by_source(facts: Facts) -> Markup | None:
    """Compare sources by their own held-out text, when there are several."""
    rows = []
    for name, entry in pairs(facts.judgement, "by_source").items():
        amount = number(entry, "bits_per_byte") if isinstance(entry, dict) else number(entry)
        if amount is not None:
            rows.append((str(name), amount, numerals.fixed(amount, 3)))
    if len(rows) < FEWEST_FOR_CURVE:
        return None
    rows.sort(key=lambda row: row[1])
    drawing = bars("Bits per byte by source", rows, "sources", 1)
    return figure(
        "Held-out text by source", "Bits per byte at the end; text that is more regular needs fewer.", drawing
    )


def _learning_rate(facts: Facts) -> Markup | None:
    found = points(facts.losses, "learning_rate")
    if len(found) < FEWEST_FOR_CURVE:
        return None
    axis = figures.Axis("learning rate", _rate, _rate, from_zero=True)
    return drawn("Learning rate", _schedule(facts.recipe), figures.thinned(found), axis, 2, "")


def _schedule(recipe: Recipe) -> str:
    train = recipe.train
    shapes = {
        "cosine": "then falls as a cosine",
        "wsd": f"stays, and falls over the last {numerals.large(train.decay_tokens or 0)} tokens",
        "constant": "then stays",
    }
    rise = f"It rises over {numerals.large(train.warmup_tokens)} tokens, " if train.warmup_tokens else "It "
    return f"{rise}{shapes[train.schedule]}."


def _rate(amount: float) -> str:
    return numerals.scientific(amount) if 0 < abs(amount) < 1e-4 else f"{amount:.6g}"
