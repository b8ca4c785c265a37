"""What a second reading says of the ledger: hardware counters beside it, and a meter at the wall.

In: the rows of all ledgers, in which `second` holds what counters showed over the same seconds, and the recipe's
record.wall_meter_kwh. Out: both sums with their ratio and a sentence. Only rows that have both readings are compared.
Counters are multiplied by the data centre's overhead like the ledger itself; a meter at the wall knows no overhead, so
the ledger is set beside it without.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lhama.plan.problem import Problem
from lhama.record.energy import ledger_rows, totals

Json = dict[str, Any]

PARTS = {
    "cpu_kwh": ("processor", "RAPL counters"),
    "ram_kwh": ("memory", "RAPL counters"),
    "gpu_kwh": ("accelerators", "NVML energy counter"),
}
CLOSE = 0.1  # readings that differ by less agree


def compare(run_folder: Path) -> list[Json]:
    """Set the ledger of a run beside every second reading there is."""
    sums: dict[str, list[float]] = {}
    for row in ledger_rows(run_folder):
        second = row.get("second")
        for part, kwh in second.items() if isinstance(second, dict) and row.get("kwh") is not None else ():
            if part in PARTS:
                pair = sums.setdefault(part, [0.0, 0.0])
                pair[0] += row.get(part) or 0.0
                pair[1] += kwh
    found = [_compared(*PARTS[part], *sums[part]) for part in PARTS if part in sums]
    return found + _at_the_wall(run_folder)


def _at_the_wall(run_folder: Path) -> list[Json]:
    from lhama.plan.recipe import load

    try:
        recipe = load(run_folder / "recipe.toml")
    except Problem:
        return []
    if recipe.record.wall_meter_kwh is None:
        return []
    ledger = totals(run_folder)["kwh"] / recipe.hardware.pue
    return [_compared("everything", "wall meter", ledger, recipe.record.wall_meter_kwh)]


def _compared(of: str, by: str, ledger: float, second: float) -> Json:
    ratio = ledger / second if second > 0 else None
    verdict = "nothing was counted"
    if ratio is not None:
        off = 100 * (ratio - 1)
        verdict = f"the ledger has {abs(off):.0f}% {'more' if off > 0 else 'less'}"
        verdict = "they agree" if abs(ratio - 1) <= CLOSE else verdict
    said = f"{of}: ledger {_energy(ledger)}, {by} {_energy(second)}: {verdict}"
    return {"of": of, "by": by, "ledger_kwh": ledger, "second_kwh": second, "ratio": ratio, "words": said}


def _energy(kwh: float) -> str:
    return f"{kwh * 1000:.3g} Wh" if kwh < 0.1 else f"{kwh:.3g} kWh"
