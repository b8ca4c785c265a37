"""The recipe's sections before text and network: what it may cost, on what machine, and which vocabulary it speaks.

Each field states its type, what a change of it redoes (plan/kinds.py), its limits and its documentation.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from lhama.plan.grid import check_region, grid_factor
from lhama.plan.hardware import check_accelerator
from lhama.plan.kinds import NOT_NEGATIVE, OPERATIONAL, POSITIVE, RESULT, Section


class Budget(Section):
    """What the run may cost; a plan over one of these limits is refused before anything is spent."""

    money: Annotated[float | None, OPERATIONAL, POSITIVE] = None
    """The most the machine may cost, in `currency`; absent means no limit."""
    currency: Annotated[str, OPERATIONAL, Field(pattern=r"^[A-Z]{3}$")] = "USD"
    """The currency of `money` and of hardware.price_per_hour, as an ISO 4217 code; nothing is converted."""
    hours: Annotated[float | None, OPERATIONAL, POSITIVE] = None
    """The most hours training may take; absent means no limit."""
    kwh: Annotated[float | None, OPERATIONAL, POSITIVE] = None
    """The most electricity in kilowatt hours, data centre overhead included; absent means no limit."""
    kgco2e: Annotated[float | None, OPERATIONAL, POSITIVE] = None
    """The most greenhouse gas in kilograms of CO2 equivalents; absent means no limit."""
    tokens_available: Annotated[int | None, OPERATIONAL, POSITIVE] = None
    """How much text there is, in tokens. Training on more repeats it, and the plan says what repeated text is worth;
    absent means that nobody has counted yet, and the plan takes all text for new."""
    tokens_served: Annotated[int | None, OPERATIONAL, POSITIVE] = None
    """How many tokens the model will read and write in its life; the plan says which size serves them with the fewest
    operations, training included. Absent means that only training counts."""


class Hardware(Section):
    """The machine the plan is made for; it changes the plan and the ledger, never the model."""

    accelerator: Annotated[str, OPERATIONAL] = "auto"
    """A name of the table in docs/plan.md (such as h100 or cpu), or `auto` for what this machine has."""
    count: Annotated[int, OPERATIONAL, POSITIVE] = 1
    """How many accelerators work together."""
    processes: Annotated[int | None, OPERATIONAL, POSITIVE] = None
    """How many processes train together on this machine, one for each GPU; absent means `count` where there are so many
    GPUs, all GPUs where there are fewer, and one process on a processor."""
    restarts: Annotated[int, OPERATIONAL, NOT_NEGATIVE] = 0
    """How often all processes are started again, from the last checkpoint, after one of them was lost."""
    collective_seconds: Annotated[int, OPERATIONAL, POSITIVE] = 600
    """How long processes wait for each other within a step before they take one for lost and end."""
    price_per_hour: Annotated[float | None, OPERATIONAL, NOT_NEGATIVE] = None
    """The price of one accelerator for an hour in budget.currency; absent takes the table's price in USD."""
    country: Annotated[str, OPERATIONAL, Field(pattern=r"^[A-Z]{3}$")] = "BRA"
    """Where the electricity comes from, as an ISO 3166 alpha-3 code; it decides the carbon of a kilowatt hour."""
    region: Annotated[str | None, OPERATIONAL] = None
    """The part of the country, as an ISO 3166-2 code such as US-WA, CA-QC or CN-SC: a large country's grids differ.
    Absent means the country's average."""
    grid_gco2e_per_kwh: Annotated[float | None, OPERATIONAL, NOT_NEGATIVE] = None
    """Grams of CO2 equivalents per kilowatt hour where you know better than the average of country or region."""
    pue: Annotated[float, OPERATIONAL, Field(ge=1)] = 1.0
    """Power usage effectiveness: all electricity of the building over that of the machine; 1.0 counts the machine."""
    watts: Annotated[float | None, OPERATIONAL, POSITIVE] = None
    """The draw of one busy accelerator; absent takes the table's."""
    host_watts: Annotated[float | None, OPERATIONAL, NOT_NEGATIVE] = None
    """The draw of the rest of the machine (processor, memory) per accelerator; absent takes the table's."""

    @model_validator(mode="after")
    def _known_machine(self) -> Hardware:
        check_accelerator(self.accelerator)
        check_region(self.country, self.region)
        return self

    @property
    def grid(self) -> tuple[float, str]:
        """Return the grams of CO2 equivalents per kilowatt hour that count here, and where the number is from."""
        if self.grid_gco2e_per_kwh is not None:
            return self.grid_gco2e_per_kwh, "the recipe"
        return grid_factor(self.country, self.region)

    @property
    def grid_given(self) -> float | None:
        """Return the factor where the recipe says more than a country; a tracker knows the countries by itself."""
        return self.grid[0] if self.region is not None else self.grid_gco2e_per_kwh


class Record(Section):
    """What is written down while the run works."""

    energy: Annotated[bool, OPERATIONAL] = True
    """Measure the electricity of each stage, offline; without it the ledger keeps only the seconds."""
    energy_every_seconds: Annotated[int, OPERATIONAL, POSITIVE] = 10
    """How often the energy ledger gets a row: a killed process loses one row at most."""
    wall_meter_kwh: Annotated[float | None, OPERATIONAL, NOT_NEGATIVE] = None
    """What a meter at the wall has counted over the whole run, in kilowatt hours; the ledger is set beside it."""
    device_every_seconds: Annotated[int, OPERATIONAL, POSITIVE] = 15
    """How often memory, utilization, watts and temperature of the device are read."""
    trackers: Annotated[tuple[Literal["tensorboard", "trackio", "wandb"], ...], OPERATIONAL] = ()
    """Who else receives the rows of the record. They write into the run's folder and stay off the network, unless your
    environment says otherwise (WANDB_MODE=online); `pip install 'lhama[trackers]'` brings all of them."""


class Tokens(Section):
    """Clean text in, integers out: the vocabulary and the rows a model reads."""

    vocabulary: Annotated[int, RESULT, Field(ge=384, multiple_of=128)] = 32_000
    """The size of the vocabulary, reserved pieces included: a multiple of 128, which matrix units like."""
    from_: Annotated[str | None, RESULT, Field(alias="from")] = None
    """A folder with tokenizer.json or tokenizer.model to use instead of training a vocabulary."""
    sample_megabytes: Annotated[int, RESULT, POSITIVE] = 64
    """How much clean text the vocabulary is trained on; more costs memory and changes little."""
    sequence: Annotated[int, RESULT, Field(ge=8)] = 2_048
    """The tokens a model sees at once: the length of a training row and of the context."""
    packing: Annotated[Literal["stream", "best-fit", "alone"], RESULT] = "stream"
    """`stream` cuts one long stream into rows; `best-fit` keeps documents whole where they fit (Ding et al. 2024,
    arXiv 2404.10830), which small models and short documents like; `alone` gives each document rows of its own, whose
    padding counts as tokens."""
    workers: Annotated[int | None, OPERATIONAL, POSITIVE] = None
    """How many threads turn text into tokens; absent means all cores."""
