"""What training takes of time, electricity, carbon and money: tokens over speed, and everything that follows from it.

In: a recipe and, where there is one, a measured speed. Out: a Bill. Each step names its source; a price that nobody
knows stays None, and nothing is converted between currencies.
"""

from __future__ import annotations

from dataclasses import dataclass

from lhama.plan.arithmetic import expected_utilization, flops_per_token, parameters, peak, precision_on
from lhama.plan.communication import NETWORKS, scaling
from lhama.plan.hardware import Accelerator, accelerator
from lhama.plan.layout import Recipe
from lhama.plan.schedule import total_tokens


@dataclass(frozen=True)
class Bill:
    """What training takes; None where a price is unknown."""

    tokens_per_second: float
    source: str
    utilization: float
    efficiency: float
    """Of several accelerators: their speed over what as many would do if each worked for itself; 1 for one."""
    hours: float
    kwh: float
    kgco2e: float
    money: float | None

    def of(self, limit: str) -> float | None:
        """Return what is spent of the thing that a limit of [budget] names."""
        return {"money": self.money, "hours": self.hours, "kwh": self.kwh, "kgco2e": self.kgco2e}[limit]


def bill(recipe: Recipe, throughput: float | None = None) -> Bill:
    """Turn tokens into hours, hours into kilowatt hours, and those into carbon and money."""
    hardware = recipe.hardware
    device = accelerator(hardware.accelerator)
    precision = precision_on(recipe, device)
    per_token = flops_per_token(recipe.model, recipe.tokens.vocabulary, recipe.tokens.sequence)["palm"]
    # 1) speed: measured, or the share of the peak that good stacks reach for this size, less what communication costs
    everything = peak(device, precision) * hardware.count
    rate, efficiency, source = throughput or 0.0, 1.0, "measured"
    if throughput is None:
        count = parameters(recipe.model, recipe.tokens.vocabulary)["total"]
        if hardware.count > 1 and device.name in NETWORKS:
            efficiency = scaling(recipe, device, precision, hardware.count).efficiency
        rate, source = efficiency * everything * expected_utilization(device, count) / per_token, "expected"
    # 2) hours = tokens / speed
    hours = total_tokens(recipe) / rate / 3600
    # 3) kWh = (accelerators + host) x hours x PUE; 4) carbon = kWh x the grid's factor; 5) money = hours x price
    kwh = sum(watts(recipe, device).values()) / 1000 * hours * hardware.pue
    price = price_per_hour(recipe, device)
    return Bill(
        tokens_per_second=rate,
        source=source,
        utilization=rate * per_token / everything,
        efficiency=efficiency,
        hours=hours,
        kwh=kwh,
        kgco2e=kwh * hardware.grid[0] / 1000,
        money=None if price is None else price * hardware.count * hours,
    )


def watts(recipe: Recipe, device: Accelerator) -> dict[str, float]:
    """Return the draw of all accelerators and of their hosts: the recipe's numbers, or the table's."""
    hardware = recipe.hardware
    busy = device.watts if hardware.watts is None else hardware.watts
    host = device.host_watts if hardware.host_watts is None else hardware.host_watts
    return {"accelerators": busy * hardware.count, "host": host * hardware.count}


def price_per_hour(recipe: Recipe, device: Accelerator) -> float | None:
    """Return the price of one accelerator for an hour; the table speaks USD and nothing is converted."""
    if recipe.hardware.price_per_hour is not None:
        return recipe.hardware.price_per_hour
    return device.price_per_hour if recipe.budget.currency == "USD" else None
