"""What a second reading says of the ledger: hardware counters beside it, and a meter at the wall.

In: the rows of all ledgers, in which `second` holds what counters showed over the same seconds, and the recipe with its
record.wall_meter_kwh. Out: both sums with their ratio and a sentence. Only rows that have both readings are compared.
Counters are multiplied by the data centre's overhead like the ledger itself; a meter at the wall knows no overhead, so
the ledger is set beside it without.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from lhama.record import console

if TYPE_CHECKING:
    from lhama.plan.recipe import Recipe

Json = dict[str, Any]

PARTS = {
    "cpu_kwh": ("processor", "RAPL counters"),
    "ram_kwh": ("memory", "RAPL counters"),
    "gpu_kwh": ("accelerators", "NVML energy counter"),
}
CLOSE = 0.1  # readings that differ by less agree


def compare(recipe: Recipe, rows: Iterable[Json]) -> list[Json]:
    """Set the ledger of a run beside every second reading there is."""
    sums: dict[str, list[float]] = {}
    whole = 0.0
    for row in rows:
        whole += row.get("kwh") or 0.0
        second = row.get("second")
        for part, kwh in second.items() if isinstance(second, dict) and row.get("kwh") is not None else ():
            if part in PARTS:
                pair = sums.setdefault(part, [0.0, 0.0])
                pair[0] += row.get(part) or 0.0
                pair[1] += kwh
    found = [_compared(*PARTS[part], *sums[part]) for part in PARTS if part in sums]
    at_the_wall = recipe.record.wall_meter_kwh
    if at_the_wall is not None:
        found.append(_compared("everything", "wall meter", whole / recipe.hardware.pue, at_the_wall))
    return found


def _compared(of: str, by: str, ledger: float, second: float) -> Json:
    ratio = ledger / second if second > 0 else None
    verdict = "nothing was counted"
    if ratio is not None:
        off = 100 * (ratio - 1)
        verdict = f"the ledger has {abs(off):.0f}% {'more' if off > 0 else 'less'}"
        verdict = "they agree" if abs(ratio - 1) <= CLOSE else verdict
    said = f"{of}: ledger {console.energy(ledger, '.3g')}, {by} {console.energy(second, '.3g')}: {verdict}"
    return {"of": of, "by": by, "ledger_kwh": ledger, "second_kwh": second, "ratio": ratio, "words": said}
