"""The chapter that sets the plan beside the record: what was promised before a cent was spent, and what came.

In: plan.json, final.json, the ledger of training and the recipe's budget. Out: a small chart, two bars a line, and the
table with the figures. Subtle: the ledger counts all work, redone work too, while the plan speaks of training alone; so
the plan is set against that stage. A quantity that only one side knows stands in the table and not in the chart.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median

from lhama.plan.scaling import in_range
from lhama.record.page import numerals
from lhama.record.page.markup import (
    Child,
    Markup,
    figure,
    join,
    legend,
    missing,
    section,
    table,
    tag,
    value,
    value_or_dash,
)
from lhama.record.page.shares import Row, Share, shares
from lhama.release.facts import Facts, items, number, pairs, words
from lhama.release.sections.training import points

LABELS = (("planned", "planned"), ("tint0", "recorded"))


@dataclass(frozen=True)
class Line:
    """A quantity with what the plan and the record say of it, and how it is said."""

    name: str
    planned: float | None
    came: float | None
    say: Callable[[float], str]

    @property
    def ratio(self) -> float | None:
        """The record as a share of the plan, where both are above nothing."""
        if self.planned is None or self.came is None or self.planned <= 0 or self.came < 0:
            return None
        return self.came / self.planned


def planned(facts: Facts) -> Markup:
    """Set the plan against what training took and reached."""
    if not facts.plan:
        return section("plan", "Plan and record", missing("There is no plan.json to set against the record."))
    lines = [line for line in compared(facts) if line.planned is not None or line.came is not None]
    chart = _chart([line for line in lines if line.ratio is not None and line.came])
    rows: list[list[Child]] = [
        [
            line.name,
            value_or_dash(line.planned, line.say),
            value_or_dash(line.came, line.say),
            value_or_dash(line.ratio, _whole_percent),
        ]
        for line in lines
    ]
    return section(
        "plan",
        "Plan and record",
        chart,
        table(["Training", "Planned", "Recorded", "Of the plan"], rows, compact=True),
        tag("p", _note(facts), class_="soft"),
        _limits(facts),
    )


def compared(facts: Facts) -> list[Line]:
    """Return the quantities that a plan speaks of, with the record of the training stage."""
    plan, use = facts.plan, facts.uses.get("train")
    hours, speeds = number(plan, "time", "hours"), [speed for _, speed in points(facts.metrics, "tokens_per_second")]
    currency = words(plan, "money", "currency") or facts.currency
    loss = math.log(facts.perplexity) if facts.perplexity and facts.perplexity > 0 else None
    return [
        Line("Tokens", number(plan, "training", "tokens"), facts.tokens_seen or None, numerals.whole),
        Line("Time", None if hours is None else hours * 3600, facts.training_seconds, numerals.duration),
        Line(
            "Tokens per second", number(plan, "time", "tokens_per_second"), median(speeds) if speeds else None, _round
        ),
        Line("Electricity", number(plan, "energy", "kwh"), use.kwh if use else None, numerals.energy),
        Line("Carbon", number(plan, "energy", "kgco2e"), use.kgco2e if use else None, numerals.carbon),
        Line(
            "Money",
            number(plan, "money", "amount"),
            use.money if use else None,
            lambda amount: numerals.money(amount, currency),
        ),
        Line(
            "Memory of an accelerator",
            number(plan, "memory", "total") if _memory(facts) else None,
            _memory(facts),
            numerals.size,
        ),
        Line("Held-out loss", _law(facts), loss, lambda amount: f"{numerals.fixed(amount, 2)}{numerals.SPACE}nats"),
    ]


def _law(facts: Facts) -> float | None:
    """Return the loss that the scaling law expects, within the sizes that it was measured on."""
    size, seen = number(facts.plan, "model", "parameters", "total"), number(facts.plan, "training", "tokens")
    return number(facts.plan, "loss", "besiroglu", "nats_per_token") if in_range(size or 0, seen or 0) else None


def _memory(facts: Facts) -> float | None:
    """Return the highest memory of an accelerator; that of a process on the host holds much that no plan counts."""
    cards = [card for row in facts.metrics for card in items(pairs(row, "device"), "accelerators")]
    return max((amount for card in cards if (amount := number(card, "memory_used_bytes")) is not None), default=None)


def _chart(lines: list[Line]) -> Markup | None:
    rows = []
    for line in lines:
        amounts = (line.planned or 0.0, line.came or 0.0)
        most = max(amounts)
        bars = [
            [Share(tint, amount / most, f"{line.say(amount)} {word}")]
            for (tint, word), amount in zip(LABELS, amounts, strict=True)
        ]
        rows.append(Row(line.name, f"{line.say(amounts[1])} (planned {line.say(amounts[0])})", bars))
    if not rows:
        return None
    sentence = "What training took and reached, below what the plan said before it began; each pair has its own scale."
    return figure("What was planned and what came", sentence, shares("Plan and record", rows), legend(LABELS))


def _whole_percent(share: float) -> str:
    return f"{numerals.whole(100 * share)}{numerals.SPACE}%"


def _note(facts: Facts) -> str:
    speed = "a measured" if words(facts.plan, "time", "source") == "measured" else "an expected"
    note = f"The plan was made before training, with {speed} speed."
    if _law(facts) is not None:
        note += (
            " The planned loss is that of a scaling law (Besiroglu et al. 2024), measured on English text with another "
            "vocabulary: an orientation, not a promise."
        )
    return note


def _limits(facts: Facts) -> Markup | None:
    """Say how much of the recipe's budget was taken: its hours speak of training, all else of all stages."""
    budget, total = facts.recipe.budget, facts.total
    limits: tuple[tuple[float | None, float | None, Callable[[float], str]], ...] = (
        (budget.money, total.money, lambda amount: numerals.money(amount, facts.currency)),
        (_seconds(budget.hours), facts.training_seconds, numerals.duration),
        (budget.kwh, total.kwh, numerals.energy),
        (budget.kgco2e, total.kgco2e, numerals.carbon),
    )
    said = [
        join([value(say(spent), spent), " of ", value(say(limit), limit)])
        for limit, spent, say in limits
        if limit is not None and spent is not None
    ]
    return tag("p", "The run took of its budget: ", join(said, "; "), ".", class_="soft") if said else None


def _seconds(hours: float | None) -> float | None:
    return None if hours is None else hours * 3600


def _round(amount: float) -> str:
    return numerals.whole(amount) if amount >= 100 else numerals.significant(amount)
