"""What a meter reads: energy by part of the machine; and the watts that are assumed where no meter answers.

In: a recipe, for the fallback. Out: plain records, all in kilowatt hours and kilograms of CO2 equivalents, the
building's overhead (PUE) included. Grams appear in one line only: where the grid's factor, which is known in grams per
kilowatt hour, becomes kilograms.
"""

from __future__ import annotations

from dataclasses import astuple, dataclass
from typing import TYPE_CHECKING, Protocol

from lhama.plan.problem import Problem

if TYPE_CHECKING:
    from lhama.plan.recipe import Recipe

JOULES_PER_KWH = 3.6e6
GRAMS_PER_KILOGRAM = 1000


@dataclass(frozen=True)
class Reading:
    """Energy since the tracker's start, the data centre's overhead (PUE) included."""

    cpu_kwh: float
    gpu_kwh: float
    ram_kwh: float
    kgco2e: float

    def since(self, before: Reading) -> Reading:
        """Subtract an earlier reading."""
        return Reading(*(late - early for late, early in zip(astuple(self), astuple(before), strict=True)))

    def plus(self, more: Reading) -> Reading:
        """Add another reading."""
        return Reading(*(one + other for one, other in zip(astuple(self), astuple(more), strict=True)))

    def times(self, factor: float) -> Reading:
        """Scale all figures."""
        return Reading(*(value * factor for value in astuple(self)))

    @property
    def kwh(self) -> float:
        """All parts together."""
        return self.cpu_kwh + self.gpu_kwh + self.ram_kwh


NOTHING = Reading(0.0, 0.0, 0.0, 0.0)


class Tracker(Protocol):
    """What the ledger needs of a meter."""

    method: str
    """measured or estimated."""
    how: str
    """By what, in words."""

    def read(self) -> Reading:
        """Read the energy since the start."""

    def stop(self) -> None:
        """Give back what the tracker holds."""


@dataclass(frozen=True)
class Constant:
    """The fallback: so many watts, whatever happens."""

    host_watts: float
    accelerator_watts: float
    kgco2e_per_kwh: float
    pue: float

    def over(self, seconds: float) -> Reading:
        """Say the energy of a time span."""
        host = self.host_watts * self.pue * seconds / JOULES_PER_KWH
        accelerator = self.accelerator_watts * self.pue * seconds / JOULES_PER_KWH
        return Reading(host, accelerator, 0.0, (host + accelerator) * self.kgco2e_per_kwh)


def constant_watts(recipe: Recipe) -> Constant:
    """Derive the fallback's watts: the recipe's own, else those of the accelerator's table."""
    from lhama.plan.bill import watts
    from lhama.plan.hardware import accelerator, cpu, this_machine

    hardware = recipe.hardware
    try:
        chosen = accelerator(hardware.accelerator)
    except Problem:  # `auto` on a machine whose accelerator is in no table: count at least the processor
        chosen = cpu(this_machine())
    drawn = watts(recipe, chosen)
    host, accelerators = drawn["host"], drawn["accelerators"]
    if chosen.name == "cpu":  # the table counts the processor itself as the accelerator
        host, accelerators = host + accelerators, 0.0
    return Constant(host, accelerators, hardware.grid[0] / GRAMS_PER_KILOGRAM, hardware.pue)
