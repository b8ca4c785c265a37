"""The chapters on what it took: energy, carbon, money and time by stage, and the plan beside what came.

In: the energy ledgers, plan.json, final.json. Out: bars and tables. Subtle: the ledger counts all work, redone work
too, while the plan speaks of training alone; so the plan is set against that stage, and the sum stands apart.
"""

import math
from collections.abc import Callable
from statistics import median

from lhama.plan.scaling import in_range
from lhama.record.page import figures, numerals
from lhama.record.page.markup import Child, Markup, figure, join, missing, section, table, tag, value
from lhama.release.facts import Facts, Use, number, words
from lhama.release.sections.training import points

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
    return section("costs", "Energy and money", _energy(facts), _stages(facts), _method(facts), _planned(facts))


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
    cells = [value("–" if amount is None else say(amount), amount) for amount, say in amounts]
    return [name, method_words(use), *cells]


def _method(facts: Facts) -> Markup:
    known = [METHODS[method] for method in facts.total.methods if method in METHODS]
    country = facts.recipe.hardware.country
    sentences = [*known]
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
    return tag("p", " ".join(sentences), class_="soft")


def _planned(facts: Facts) -> Markup | None:
    """Set the plan against the training stage."""
    plan, use = facts.plan, facts.uses.get("train")
    if not plan:
        return missing("There is no plan.json to set against the record.")
    hours, speeds = number(plan, "time", "hours"), [speed for _, speed in points(facts.metrics, "tokens_per_second")]
    loss = math.log(facts.perplexity) if facts.perplexity else None
    meant = in_range(number(plan, "model", "parameters", "total") or 0, number(plan, "training", "tokens") or 0)
    law = number(plan, "loss", "besiroglu", "nats_per_token") if meant else None
    lines: list[tuple[str, float | None, float | None, Callable[[float], str]]] = [
        ("Tokens", number(plan, "training", "tokens"), facts.tokens_seen or None, numerals.whole),
        ("Time of training", None if hours is None else hours * 3600, facts.training_seconds, numerals.duration),
        ("Tokens per second", number(plan, "time", "tokens_per_second"), median(speeds) if speeds else None, _rounded),
        ("Electricity", number(plan, "energy", "kwh"), use.kwh if use else None, numerals.energy),
        ("Carbon", number(plan, "energy", "kgco2e"), use.kgco2e if use else None, numerals.carbon),
        (
            "Money",
            number(plan, "money", "amount"),
            use.money if use else None,
            lambda amount: numerals.money(amount, words(plan, "money", "currency") or facts.currency),
        ),
        ("Held-out loss, nats per token", law, loss, lambda amount: numerals.fixed(amount, 2)),
    ]
    rows = [
        [name, *(value("–" if amount is None else say(amount), amount) for amount in (planned, came))]
        for name, planned, came, say in lines
        if planned is not None or came is not None
    ]
    note = (
        "The plan was made before training"
        + (" with a measured speed" if words(plan, "time", "source") == "measured" else " with an expected speed")
        + "."
    )
    if law is not None:
        note += (
            " The planned loss is that of a scaling law (Besiroglu et al. 2024), measured on English text with another "
            "vocabulary: an orientation, not a promise."
        )
    return join(
        [
            tag("h3", "Plan and record of the training stage"),
            table(["", "Planned", "Recorded"], rows),
            tag("p", note, class_="soft"),
        ]
    )


def _rounded(amount: float) -> str:
    return numerals.whole(amount) if amount >= 100 else numerals.significant(amount)
