"""What each improvement cost: held-out quality against electricity and money, and when the rest bought little.

In: price_of_improvement of the record. Out: a curve, sentences, and the table of measurements. This is Figure 1 and
Table 6 of the TeenyTinyLlama paper for the run at hand, whose authors found that half of their energy bought a marginal
improvement. Subtle: the horizontal axis is electricity where the ledger has it, else time; money stands in the words.
"""

from collections.abc import Callable, Mapping
from typing import Any

from lhama.record.page import figures, numerals
from lhama.record.page.markup import DASH, Child, Markup, figure, folded, join, missing, table, tag, value_or_dash
from lhama.release.facts import Facts, Row, items, number

FEWEST = 2
SHOWN = 10


def price(facts: Facts) -> Markup:
    """Show what the held-out quality cost, measurement by measurement."""
    rows = [row for row in items(facts.price, "rows") if number(row, "perplexity") is not None]
    heading = tag("h3", "The price of an improvement")
    if len(rows) < FEWEST:
        return join(
            [heading, missing("Held-out text was measured fewer than two times, so no improvement has a price.")]
        )
    said = facts.price.get("words")
    sentences = [str(one) for one in said] if isinstance(said, list) else []
    return join(
        [heading, tag("p", " ".join(sentences)) if sentences else None, _curve(facts, rows), _table(facts, rows)]
    )


def _curve(facts: Facts, rows: list[Row]) -> Markup | None:
    """Draw quality over what it took: bits per byte, else perplexity, over electricity, else time."""
    across = "kwh" if all(number(row, "kwh") is not None for row in rows) else "seconds"
    up = "bits_per_byte" if all(number(row, "bits_per_byte") is not None for row in rows) else "perplexity"
    points = [(x, y) for row in rows if (x := number(row, across)) is not None and (y := number(row, up)) is not None]
    if len(points) < FEWEST:
        return None
    spent = "electricity" if across == "kwh" else "time"
    scale, unit = _unit(across, max(x for x, _ in points))
    name = "bits per byte" if up == "bits_per_byte" else "perplexity"
    places = 3 if up == "bits_per_byte" else 2
    mark = _mark(facts.price, rows, across, scale)
    line = figures.Curve([(x * scale, y) for x, y in points], dots=len(points) <= 60, mark=mark)
    y_axis = figures.Axis(f"{name}, logarithmic", numerals.to_places(places), logarithmic=True)
    texts = [_said(row, facts.currency) for row in rows if number(row, across) is not None]
    drawing = figures.curve(
        "Quality and its price",
        line,
        figures.Axis(f"{unit} of {spent}", numerals.tick, from_zero=True),
        y_axis,
        1,
        texts,
    )
    sentence = f"Held-out {name} over the {spent} that training had taken by then."
    return figure("Quality and its price", sentence, drawing, tag("output", texts[-1], class_="readout"))


def _unit(across: str, most: float) -> tuple[float, str]:
    """Choose the unit in which the largest amount has few digits."""
    units: tuple[tuple[float, float, str], ...]
    if across == "kwh":
        units = ((1e3, 1e-3, "MWh"), (1.0, 1.0, "kWh"), (1e-3, 1e3, "Wh"), (0.0, 1e6, "mWh"))
    else:
        units = ((7200.0, 1 / 3600, "hours"), (120.0, 1 / 60, "minutes"), (0.0, 1.0, "seconds"))
    return next((factor, unit) for limit, factor, unit in units if most >= limit)


def _mark(found: Mapping[str, Any], rows: list[Row], across: str, scale: float) -> tuple[float, str] | None:
    """Find the place after which the rest was not worth its price."""
    step = number(found, "worth", "step")
    place = next((number(row, across) for row in rows if number(row, "step") == step), None) if step else None
    gain = number(found, "worth_gain")
    if place is None or gain is None:
        return None
    return place * scale, f"from here on less than {gain:g}{numerals.SPACE}% better"


def _said(row: Row, currency: str) -> str:
    """Say a measurement in words."""
    amounts: tuple[tuple[str, Callable[[float], str]], ...] = (
        ("tokens", lambda amount: f"{numerals.large(amount)} tokens"),
        ("kwh", numerals.energy),
        ("money", lambda amount: numerals.money(amount, currency)),
        ("bits_per_byte", lambda amount: f"{numerals.fixed(amount, 3)} bits per byte"),
        ("perplexity", lambda amount: f"perplexity {numerals.significant(amount)}"),
    )
    found = [(key, number(row, key), say) for key, say in amounts]
    said = [say(amount) for key, amount, say in found if amount is not None and (key != "money" or amount > 0)]
    return ", ".join(said)


def _table(facts: Facts, rows: list[Row]) -> Markup:
    """List the measurements with the price of one percent of perplexity on the way to each."""
    intervals = {number(one, "to_step"): one for one in items(facts.price, "intervals")}
    paid = any(number(row, "money") for row in rows)
    columns = ["Step", "Perplexity", "Bits per byte", "Electricity", "Carbon", *(["Money"] if paid else [])]
    columns += ["Perplexity lower by", "For each 1" + numerals.SPACE + "%"]
    lines = [_line(row, intervals.get(number(row, "step"), {}), paid, facts.currency) for row in rows]
    if len(lines) <= SHOWN:
        return table(columns, lines)
    return folded(f"All {len(lines)} measurements with their price", table(columns, lines), on_paper=True)


def _line(row: Row, interval: Row, paid: bool, currency: str) -> list[Child]:
    step, fell = number(row, "step"), number(interval, "percent_lower")
    cells = [
        value_or_dash(number(row, "perplexity"), numerals.to_places(2)),
        value_or_dash(number(row, "bits_per_byte"), numerals.to_places(3)),
        value_or_dash(number(row, "kwh"), numerals.energy),
        value_or_dash(number(row, "kgco2e"), numerals.carbon),
    ]
    if paid:
        cells.append(value_or_dash(number(row, "money"), lambda amount: numerals.money(amount, currency)))
    cells.append(value_or_dash(fell, lambda amount: f"{numerals.fixed(amount, 1)}{numerals.SPACE}%"))
    each, each_paid = number(interval, "kwh_per_percent"), number(interval, "money_per_percent")
    cost = value_or_dash(each, numerals.energy)
    if paid and each_paid is not None:
        cost = join([cost, ", ", value_or_dash(each_paid, lambda amount: numerals.money(amount, currency))])
    return [DASH if step is None else numerals.whole(step), *cells, cost]
