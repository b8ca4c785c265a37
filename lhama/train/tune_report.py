"""What a tuning found, as a document and as a table: rows of the search go in, tune.json and lines for people come out.

Utilization is in PaLM's count (12 L H D T for attention, causal or not), over the data sheet's peak of a GPU, and over
the fastest square product that the probes measured on a processor, for which no data sheet is of use. Money is the
price of the machine's hours, for a billion tokens.
"""

from __future__ import annotations

from typing import Any

from lhama.plan.arithmetic import flops_per_token, peak
from lhama.plan.bill import price_per_hour
from lhama.plan.hardware import ACCELERATORS, Accelerator
from lhama.plan.plan_text import size
from lhama.plan.recipe import Recipe
from lhama.plan.writing import value
from lhama.record import console
from lhama.train.tune_search import Row, Search

Json = dict[str, Any]
SHEET = "of the data sheet's peak, PaLM's count"
MEASURED = "of the fastest square product measured here, PaLM's count"


def report(recipe: Recipe, device: Accelerator, search: Search) -> Json:
    """Return the rows and the best of them, as tune.json keeps them."""
    best = search.best
    assert best is not None and best.tokens_per_second is not None
    rows = [_row(recipe, device, search, row) for row in search.rows]
    found = next(row for row, one in zip(rows, search.rows, strict=True) if one is best)
    kept = ("tokens_per_second", "settings", "peak_bytes", "utilization", "ready_seconds", "run_seconds")
    return {
        "best": {key: found[key] for key in kept},
        "utilization_is": SHEET if device.name in ACCELERATORS else MEASURED,
        "currency": recipe.budget.currency,
        "rows": rows,
        "not_begun": search.skipped,
        "optimizer": "AdamW, the only one there is",
    }


def _row(recipe: Recipe, device: Accelerator, search: Search, row: Row) -> Json:
    answer, rate = row.answer, row.tokens_per_second
    found: Json = {
        "factor": row.change.factor,
        "change": row.change.name,
        "settings": row.settings,
        "environment": dict(row.change.variables),
        "probe_seconds": round(row.seconds, 2),
        "error": answer.get("error"),
        "best": row is search.best,
    }
    if rate is None:
        return found
    price = price_per_hour(recipe, device)
    return found | {
        "tokens_per_second": rate,
        "peak_bytes": answer["peak_bytes"],
        "utilization": _utilization(recipe, device, search, row),
        "money_per_billion_tokens": None if price is None else price * 1e9 / rate / 3600,
        "ready_seconds": answer["ready_seconds"],
        "run_seconds": row.run_seconds,
        "rows_at_once": answer["rows_at_once"],
        "device": answer["device"],
        "steps_timed": len(answer["timed"]),
        "losses": [one["loss"] for one in answer["compared"]],
        "loss_distance": row.loss_distance,
        "norm_distance": row.norm_distance,
        "tolerance": list(row.tolerance),
        "same_loss": row.same_loss,
        "another_result": row.change.kind == "other",
    }


def _utilization(recipe: Recipe, device: Accelerator, search: Search, row: Row) -> float:
    precision = row.answer["device"]["precision"]
    if device.name in ACCELERATORS:
        most = peak(device, precision)
    else:
        alike = [one.answer for one in search.rows if one.answer.get("device", {}).get("precision") == precision]
        most = max(answer["product_flops_per_second"] for answer in alike)
    per_token = flops_per_token(recipe.model, recipe.tokens.vocabulary, recipe.tokens.sequence)["palm"]
    return float((row.tokens_per_second or 0.0) * per_token / most)


def progress_line(row: Row) -> None:
    """Say what a probe found as soon as it is known."""
    if row.tokens_per_second is None:
        console.plain(f"{row.change.name}: {row.answer['error']}")
        return
    memory = size(row.answer["peak_bytes"])
    console.plain(f"{row.change.name}: {console.count(row.tokens_per_second)} tokens/s, {memory}")


def tables(found: Json, recipe: Recipe) -> None:
    """Show what a tuning found: the table, what it means, and what to type."""
    currency = found["currency"]
    columns = ("", "tried", "tokens/s", "peak memory", "utilization", f"{currency} a billion", "start", "loss")
    console.table(f"{recipe.name} on {found['machine']['label']}", columns, [_cells(row) for row in found["rows"]])
    console.say("")
    best = found["best"]
    settings = ", ".join(f"{key} = {value(one)}" for key, one in best["settings"].items()) or "the recipe as it is"
    console.plain(f"Best: {settings}; {best['tokens_per_second']:,.0f} tokens/s.")
    console.plain(
        f"Utilization is {found['utilization_is']}. Start is all before the timed steps, compilation included."
    )
    if found["drift"] is not None:
        console.plain(f"The first settings once more at the end: {found['drift']:.2f} times their first speed.")
    if found["not_begun"]:
        console.plain(f"Not begun, for it would not have ended in time: {'; '.join(found['not_begun'])}.")
    for line in _advice(found):
        console.plain(line)


def _cells(row: Json) -> tuple[str, ...]:
    mark = "best" if row["best"] else ""
    if row["error"] is not None:
        return (mark, row["change"], "-", "-", "-", "-", "-", row["error"])
    money = row["money_per_billion_tokens"]
    return (
        mark,
        row["change"],
        f"{row['tokens_per_second']:,.0f}",
        size(row["peak_bytes"]),
        f"{row['utilization']:.0%}",
        "-" if money is None else f"{money:,.2f}",
        f"{row['ready_seconds']:.0f} s",
        _loss(row),
    )


def _loss(row: Json) -> str:
    far = f"differs by {row['loss_distance']:.1g}"
    if row["loss_distance"] == row["norm_distance"] == 0.0:
        return "the same"
    if row["same_loss"]:
        return f"{far}, another precision" if row["another_result"] else f"{far}, rounding"
    return f"{far} (norm {row['norm_distance']:.1%}): another loss, never the best"


def _advice(found: Json) -> list[str]:
    """Say what `plan` and `train` do with it, and what is faster but not theirs to decide."""
    best = found["best"]["tokens_per_second"]
    lines = ["`lhama plan` takes this speed and `lhama train` these settings, for the same shape on this machine."]
    for row in found["rows"]:
        if row["error"] is not None or row["best"] or not row["same_loss"] or row["tokens_per_second"] <= 1.02 * best:
            continue
        faster = f"{row['tokens_per_second'] / best:.2f} times as fast"
        if row["environment"]:
            variables = " ".join(f"{name}={one}" for name, one in row["environment"].items())
            lines.append(f"{row['change']}: {faster}, if you start it so: {variables} lhama train ...")
        elif row["another_result"]:
            key = next(iter(row["settings"].keys() & {"train.precision"}))
            lines.append(f"{row['change']}: {faster}, and another result: --set {key}={row['settings'][key]}")
    return lines
