"""The chapter on the machine: what it was, how it was used, how fast it worked, and how full it was.

In: final.json, plan.json and metrics.jsonl. Out: a table of the machine, the curve of throughput over the tokens seen,
and what host and accelerators said of themselves. Subtle: work that was lost and done again is in no curve; host and
accelerators are never averaged with each other; utilization is said with its definition.
"""

from collections.abc import Callable, Mapping
from statistics import fmean, median
from typing import Any

from lhama.record.page import figures, numerals
from lhama.record.page.markup import Child, Markup, join, missing, section, table, tag, value
from lhama.release.facts import Facts, items, number, pairs, words
from lhama.release.sections.training import FEWEST_FOR_CURVE, drawn, points

ENVIRONMENT = {
    "precision": "Precision",
    "compile": "Compiled",
    "micro_batch": "Rows at once",
    "threads": "Threads",
    "instruction_set": "Instruction set",
}
Reading = tuple[str, str, Callable[[list[float]], float], Callable[[float], str]]
READINGS: tuple[Reading, ...] = (
    ("process_memory_bytes", "memory of the process, highest", max, numerals.size),
    ("memory_used_bytes", "memory in use, highest", max, numerals.size),
    ("memory_bytes", "memory there is", max, numerals.size),
    ("utilization", "share of time at work, mean", fmean, numerals.percent),
    ("watts", "power, mean", fmean, lambda watts: f"{numerals.significant(watts)}{numerals.SPACE}W"),
    ("temperature", "temperature, highest", max, lambda heat: f"{numerals.significant(heat)}{numerals.SPACE}°C"),
)


def hardware(facts: Facts) -> Markup:
    """Show the machine and how fast it worked."""
    found = points(facts.metrics, "tokens_per_second")
    curve = _throughput(found) if len(found) >= FEWEST_FOR_CURVE else None
    none = missing("There is no curve of throughput: metrics.jsonl holds fewer than two measurements.")
    rows = [*_machine(facts, [speed for _, speed in found]), *_readings(facts)]
    return section(
        "hardware",
        "Hardware",
        table(["The machine", "While it trained"], rows) if rows else None,
        curve or none,
    )


def _throughput(found: list[tuple[float, float]]) -> Markup:
    axis = figures.Axis("tokens per second", numerals.whole, from_zero=True)
    middle = median(speed for _, speed in found)
    sentence = f"Tokens trained on in a second; the median is {numerals.whole(middle)}."
    return drawn("Throughput", sentence, figures.merged(found), axis, 2, "tokens per second")


def _machine(facts: Facts, speeds: list[float]) -> list[list[Child]]:
    """Say what the machine is and how training used it."""
    rows: list[list[Child]] = [["Trained on", facts.machine]] if facts.machine else []
    system = words(facts.manifests["train"], "versions", "platform")
    rows += [["System", system]] if system else []
    environment = pairs(facts.final, "environment")
    for key, name in ENVIRONMENT.items():
        setting = environment.get(key)
        if isinstance(setting, str | int | bool):
            said = ("yes" if setting else "no") if isinstance(setting, bool) else str(setting)
            rows.append([name, said])
    rows += _tuning(facts)
    share = _utilization(facts, speeds)
    if share is not None:
        meaning = tag("small", "6 (N − embedding) + 12 L d T operations a token, over the peak of its data sheet")
        rows.append([join(["Utilization", meaning]), value(numerals.percent(share), share)])
    return rows


def _tuning(facts: Facts) -> list[list[Child]]:
    """Say what `lhama tune` found to be the fastest on this machine before training began."""
    speed = number(facts.tune, "best", "tokens_per_second")
    if speed is None:
        return []
    settings = pairs(facts.tune.get("best"), "settings")
    said = ", ".join(f"{name} = {setting}" for name, setting in settings.items())
    found = value(f"{numerals.whole(speed)} tokens per second", speed)
    return [[join(["Fastest in tuning", tag("small", said) if said else None]), found]]


def _utilization(facts: Facts, speeds: list[float]) -> float | None:
    """Set what was computed against the accelerators' peak; a processor's peak is no figure to rely on."""
    machine = pairs(facts.plan, "machine")
    peak = (number(machine, "peak_flops_per_second") or 0) * (number(machine, "count") or 1)
    each = number(facts.plan, "model", "flops_per_token", "palm")
    kinds = {words(machine, "accelerator"), words(facts.final, "environment", "kind")}
    if not speeds or not peak or each is None or "cpu" in kinds or not facts.final:
        return None
    return median(speeds) * each / peak


def _readings(facts: Facts) -> list[list[Child]]:
    """List what host and accelerators said of themselves."""
    hosts: list[Mapping[str, Any]] = [reading for row in facts.metrics for reading in (row, pairs(row, "device"))]
    cards = [card for reading in hosts for card in items(reading, "accelerators")]
    rows: list[list[Child]] = []
    names = sorted({words(card, "name") for card in cards} - {""})
    for who, readings in ((", ".join(names) or "Accelerator", cards), ("Host", hosts)):
        for key, name, summed, say in READINGS:
            amounts = [amount for reading in readings if (amount := number(reading, key)) is not None]
            if amounts:
                rows.append([f"{who}: {name}", value(say(summed(amounts)), summed(amounts))])
    return rows
