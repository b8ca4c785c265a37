"""The chapter on what it took: energy, carbon, money and time by stage, and what each improvement cost.

In: the energy ledgers. Out: bars and a table. All work counts, work that was done twice too.
"""

from collections.abc import Callable

from lhama.record.page import figures, numerals
from lhama.record.page.markup import Child, Markup, figure, join, missing, section, table, tag, value_or_dash
from lhama.release.facts import Facts, Use, words
from lhama.release.sections.price import price

METHODS = {
    "measured": "Measured energy is read from a hardware counter.",
    "estimated": "Estimated energy follows from the processor’s load and its power class.",
    "constant": "Constant means assumed watts, as no tracker answered.",
}


def costs(facts: Facts) -> Markup:
    """Show energy, carbon, money and time by stage."""
    if not facts.uses:
        return section(
            "costs", "Energy and money", missing("No energy ledger was written: this run does not know what it took.")
        )
    return section("costs", "Energy and money", _energy(facts), _stages(facts), _method(facts), price(facts))


def method_words(use: Use) -> str:
    """Say how a stage's energy is known."""
    return " and ".join(use.methods) if use.methods else "not recorded"


def _energy(facts: Facts) -> Markup:
    rows = [(name, use.kwh, numerals.energy(use.kwh)) for name, use in facts.uses.items() if use.kwh is not None]
    if not rows:
        return missing("Energy was not recorded (record.energy is off); only the time of each stage is known.")
    return figure(
        "Electricity by stage",
        "All work counts, work that was done twice too.",
        figures.bars("Electricity", rows, 2),
    )


def _stages(facts: Facts) -> Markup:
    rows = [_row(name, use, facts.currency) for name, use in facts.uses.items()]
    if len(rows) > 1:
        rows.append(_row("all", facts.total, facts.currency))
    return table(["Stage", "Its energy is", "Time", "Electricity", "Carbon", "Money"], rows, words=2)


def _row(name: str, use: Use, currency: str) -> list[Child]:
    amounts: tuple[tuple[float | None, Callable[[float], str]], ...] = (
        (use.seconds, numerals.duration),
        (use.kwh, numerals.energy),
        (use.kgco2e, numerals.carbon),
        (use.money, lambda amount: numerals.money(amount, currency)),
    )
    return [name, method_words(use), *(value_or_dash(amount, say) for amount, say in amounts)]


def _method(facts: Facts) -> Markup:
    known = [METHODS[method] for method in facts.total.methods if method in METHODS]
    country = facts.recipe.hardware.country
    sentences = [*known]
    if facts.hows:
        sentences.append(f"How it is known: {'; '.join(facts.hows)}.")
    if facts.total.kgco2e is not None:
        given = facts.recipe.hardware.grid_gco2e_per_kwh
        grid = (
            f"{numerals.significant(given)} g per kWh, as the recipe says"
            if given is not None
            else f"the average grid of {country}"
        )
        sentences.append(f"Carbon follows from it with {grid}.")
    if facts.total.money is not None:
        free = facts.total.money == 0
        sentences.append(
            "The machine counts as one’s own and costs nothing by the hour (hardware.price_per_hour says otherwise)."
            if free
            else "Money is the rent of the machine by the hour."
        )
    sentences.append("Writing this report is not counted.")
    readings = [f"{said}." for row in facts.second_readings if (said := words(row, "words"))]
    beside = tag("p", "A second reading beside the ledger: ", " ".join(readings), class_="soft") if readings else None
    return join([tag("p", " ".join(sentences), class_="soft"), beside])
