"""What each improvement cost: the paper's Table 6 and Figure 1 for any run, and the marginal price of going on.

In: a run's validations and its spending, or rows that hold both. Out: a dict of rows, of the intervals between them
with their price, and of plain sentences. The price of "1% lower perplexity" compounds: a fall of ln(1 / 0.99) nats is
one percent, so that two intervals together cost what they cost one by one; a "centibit" is 0.01 bits per byte.
After Corrêa et al. 2024 (TeenyTinyLlama), section 4.2, who found that half of their energy bought a marginal uptick.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any

from lhama.record import console
from lhama.record.spending import AMOUNTS, Spending

Json = dict[str, Any]
Row = Mapping[str, Any]

NATS_PER_PERCENT = math.log(1 / 0.99)
SPENT = (*AMOUNTS, "money")


def price_of_improvement(
    validations: Iterable[Row], spending: Spending, saved: Iterable[Row], worth_gain: float
) -> Json:
    """Say what each validation of a run had cost, and what each improvement did.

    `validations` are the rows of validation.jsonl, `saved` those of spending.checkpoints; `worth_gain` is in percent
    of perplexity.
    """
    names = {row["step"]: row["checkpoint"] for row in saved}
    rows: list[Json] = []
    for row in validations:
        loss, step = row.get("loss"), row.get("step")
        if not isinstance(loss, int | float) or not isinstance(step, int):
            continue  # a figure that was not finite, or of another kind
        figures = {"loss": loss, "perplexity": math.exp(loss), "bits_per_byte": row.get("bits_per_byte")}
        rows.append({"step": step, "tokens": row.get("tokens"), **figures, **spending.at(step)})
        rows[-1] |= {"share": spending.share(step), "checkpoint": names.get(step)}
    return {**improvement(rows, worth_gain), "currency": spending.currency}


def improvement(rows: Sequence[Row], worth_gain: float) -> Json:
    """Derive intervals, prices and sentences from rows of step, tokens, perplexity and what was spent, in order."""
    shared = _with_shares(rows)
    intervals = [_interval(early, late) for early, late in pairwise(shared)]
    found: Json = {"currency": "USD", "worth_gain": worth_gain, "rows": shared, "intervals": intervals}
    found |= {"second_half": _second_half(shared), "worth": _worth(shared, worth_gain)}
    return {**found, "words": _words(found)}


def _with_shares(rows: Sequence[Row]) -> list[Json]:
    """Give each row its share of what all took, where it has none yet."""
    basis = "kwh" if rows and rows[-1].get("kwh") else "seconds"
    whole = rows[-1].get(basis) if rows else None
    return [{"share": row[basis] / whole if whole and row.get(basis) is not None else None, **row} for row in rows]


def _interval(early: Row, late: Row) -> Json:
    found: Json = {f"{end}_{figure}": row.get(figure) for end, row in (("from", early), ("to", late))
                   for figure in ("step", "tokens")}  # fmt: skip
    found |= {figure: _difference(late.get(figure), early.get(figure)) for figure in SPENT}
    found["percent_lower"] = _percent_lower(early, late)
    found["bits_per_byte_lower"] = _difference(early.get("bits_per_byte"), late.get("bits_per_byte"))
    percents = math.log(early["perplexity"] / late["perplexity"]) / NATS_PER_PERCENT
    centibits = None if found["bits_per_byte_lower"] is None else found["bits_per_byte_lower"] / 0.01
    for figure in ("kwh", "money"):
        found[f"{figure}_per_percent"] = _price(found[figure], percents)
        found[f"{figure}_per_centibit"] = _price(found[figure], centibits)
    return found


def _difference(one: float | None, other: float | None) -> float | None:
    return None if one is None or other is None else one - other


def _price(amount: float | None, gain: float | None) -> float | None:
    """Divide; what did not improve has no price."""
    return None if amount is None or gain is None or gain <= 0 else amount / gain


def _percent_lower(early: Row, late: Row) -> float:
    return float(100 * (1 - late["perplexity"] / early["perplexity"]))


def _second_half(rows: Sequence[Row]) -> Json | None:
    """Say what the second half bought, counted from the validation nearest to the middle of the spending."""
    known = [row for row in rows[:-1] if row["share"] is not None]
    if not known:
        return None
    middle = min(known, key=lambda row: abs(row["share"] - 0.5))
    if not 0.25 <= middle["share"] <= 0.75:
        return None  # nothing was validated anywhere near the middle
    before, after = middle["perplexity"], rows[-1]["perplexity"]
    found = {"from_step": middle["step"], "share": 1 - middle["share"]}
    return found | {
        "perplexity_before": before,
        "perplexity_after": after,
        "percent_lower": _percent_lower(middle, rows[-1]),
    }


def _worth(rows: Sequence[Row], worth_gain: float) -> Json | None:
    """Find the first validation after which all the rest lowered the perplexity by less than a gain in percent."""
    for row in rows[:-1]:
        bought = _percent_lower(row, rows[-1])
        if bought < worth_gain:
            left = {f"{name}_left": _difference(rows[-1].get(name), row.get(name)) for name in ("kwh", "money")}
            share = None if row["share"] is None else 1 - row["share"]
            found = {"step": row["step"], "tokens": row.get("tokens"), "share_left": share}
            return {**found, **left, "percent_lower": bought}
    return None


def _words(found: Json) -> list[str]:
    """Say the three findings as sentences; those that are not known are left out."""
    if len(found["rows"]) < 2:
        return []
    of = "energy" if found["rows"][-1].get("kwh") else "time"
    sentences = []
    half, worth, gain = found["second_half"], found["worth"], found["worth_gain"]
    if half:
        sentences.append(
            f"The last {100 * half['share']:.0f}% of the {of} changed the perplexity from "
            f"{half['perplexity_before']:.2f} to {half['perplexity_after']:.2f}: {_by(half['percent_lower'])}."
        )
    priced = [one["kwh_per_percent"] for one in found["intervals"] if one["kwh_per_percent"]]
    if len(priced) > 1:
        sentences.append(
            f"1% lower perplexity cost {console.energy(priced[0], '.3g')} at first and "
            f"{console.energy(priced[-1], '.3g')} at the end, {priced[-1] / priced[0]:.3g} times as much."
        )
    if worth:
        left = "" if worth["kwh_left"] is None else f" ({console.energy(worth['kwh_left'], '.3g')})"
        rest = "the rest" if worth["share_left"] is None else f"the last {100 * worth['share_left']:.0f}% of the {of}"
        sentences.append(
            f"After step {worth['step']:,} {rest}{left} brought {_by(worth['percent_lower'])} perplexity, less than "
            f"the {gain:g}% that would have been worth it."
        )
    else:
        sentences.append(f"At every validation, what was still to come lowered the perplexity by {gain:g}% or more.")
    return sentences


def _by(percent: float) -> str:
    return f"{percent:.1f}% lower" if percent >= 0 else f"{-percent:.1f}% higher"
