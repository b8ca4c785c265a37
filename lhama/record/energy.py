"""The energy ledger: how much electricity, carbon and money each stage took, over all kills and restarts.

In: a stage's folder and the recipe. Out: rows in its energy.jsonl, one every `record.energy_every_seconds`; each holds
what was used since the row before, so that the sum of all rows is the total whatever happened in between, and a killed
process loses one interval at most. CodeCarbon's offline tracker does the metering (Courty et al., CodeCarbon, 2024);
where it is absent or fails, the recipe's or the table's watts are used and the row says `constant`. Nothing here may
ever stop the work or reach for the network.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import astuple, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from lhama.plan.problem import Problem
from lhama.record.meter import append_row, now, read_rows

if TYPE_CHECKING:
    from lhama.plan.recipe import Recipe

Json = dict[str, Any]

LEDGER = "energy.jsonl"
COUNTED = {"intel_rapl", "windows_emi", "intel_power_gadget"}  # CodeCarbon's CPU modes that read a hardware counter
PATIENCE = 5.0  # seconds that a stage's end waits for a slow tracker


@dataclass(frozen=True)
class Reading:
    """Energy since the tracker's start, the power plant's overhead (PUE) included."""

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
        host = self.host_watts * self.pue * seconds / 3.6e6  # 1 kWh = 3.6e6 joules
        accelerator = self.accelerator_watts * self.pue * seconds / 3.6e6
        return Reading(host, accelerator, 0.0, (host + accelerator) * self.kgco2e_per_kwh)


class CodeCarbon:
    """CodeCarbon's offline tracker, silent, without files; the readings come through its output interface."""

    def __init__(self, country: str, every: float, pue: float, grid_gco2e_per_kwh: float | None) -> None:
        from codecarbon import OfflineEmissionsTracker
        from codecarbon.output_methods.base_output import BaseOutput

        logging.getLogger("codecarbon").setLevel(logging.CRITICAL)  # it speaks before it reads its own log_level
        newest: list[Any] = []

        class Output(BaseOutput):  # type: ignore[misc]  # codecarbon carries no types
            def out(self, total: Any, delta: Any) -> None:
                newest[:] = [total]

        self._newest = newest
        self._tracker = OfflineEmissionsTracker(
            country_iso_code=country,
            measure_power_secs=every,
            force_carbon_intensity_g_co2e_kwh=grid_gco2e_per_kwh,
            pue=pue,
            output_methods=[],
            output_handlers=[Output()],
            api_call_interval=-1,
            allow_multiple_runs=True,
            log_level="critical",
            tracking_mode="machine",
        )
        self._tracker.start()
        self.read()  # start() hides its own failures; a reading does not
        self.method = _method(self._tracker)

    def read(self) -> Reading:
        """Read the energy since the start; an answer that makes no sense is an error."""
        self._newest.clear()
        self._tracker.flush()
        total = self._newest[0]
        reading = Reading(total.cpu_energy, total.gpu_energy, total.ram_energy, total.emissions)
        if not all(math.isfinite(value) and value >= 0 for value in astuple(reading)):
            raise ValueError(f"CodeCarbon read {reading}")
        return reading

    def stop(self) -> None:
        """Stop its timers."""
        self._tracker.stop()


def _method(tracker: Any) -> str:
    """Say `measured` if a hardware counter reads the processor; CodeCarbon keeps that to itself, hence the names."""
    parts = getattr(tracker, "_hardware", [])
    names = {type(part).__name__ for part in parts}
    modes = {getattr(part, "_mode", None) for part in parts if type(part).__name__ == "CPU"}
    counted = bool(modes) and modes <= COUNTED
    return "measured" if counted or "AppleSiliconChip" in names else "estimated"


class Ledger:
    """Write a stage's rows from a thread of its own."""

    def __init__(
        self,
        path: Path,
        stage: str,
        every: float,
        country: str,
        constant: Constant | None,
        start: Callable[[], Tracker],
        node: int = 0,
    ) -> None:
        self._path, self._stage, self._every, self._country = path, stage, every, country
        self._node = node  # a further machine of the same stage: its energy counts, its seconds are those of the first
        self._constant = constant  # None: the recipe wants no energy figures; only the seconds are kept
        self._start = start
        self._since = self._counted = time.monotonic()  # up to where rows are written, and energy is counted
        self._unwritten = NOTHING
        self._before: Reading | None = None
        self._lock = threading.Lock()
        self._ready, self._ended = threading.Event(), threading.Event()
        self._closed = False
        self._thread = threading.Thread(target=self._work, name="lhama-energy", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Write the last row; a tracker that is not ready or hangs is left behind, and the row is constant."""
        self._ended.set()
        if self._ready.is_set():
            self._thread.join(PATIENCE)
        with self._lock:
            if not self._closed:
                self._write(None, None)
            self._closed = True

    def _work(self) -> None:
        tracker, started = self._started()
        self._ready.set()
        ended = False
        while not ended:
            ended = self._ended.wait(self._every)
            reading: Reading | None = None
            if tracker is not None:
                try:
                    reading = tracker.read()
                except Exception:  # whatever a tracker does, the work goes on; the rows say constant from here on
                    _give_up(tracker)
                    tracker = None
            with self._lock:
                if self._closed:
                    break
                self._write(self._used(reading, started), tracker.method if tracker else None)
                self._closed = ended
        _give_up(tracker)

    def _started(self) -> tuple[Tracker | None, float]:
        if self._constant is None:
            return None, self._since
        with suppress(Exception):
            return self._start(), time.monotonic()
        return None, self._since

    def _used(self, reading: Reading | None, started: float) -> Reading | None:
        """Say what was used since the row before; the first reading is stretched over the tracker's own start-up."""
        if reading is None:
            return None
        before, self._before = self._before, reading
        if before is not None:
            return reading.since(before)
        moment = time.monotonic()
        covered, elapsed = moment - started, moment - self._counted
        return reading.times(elapsed / covered) if covered >= elapsed / 2 else None

    def _write(self, used: Reading | None, method: str | None) -> None:
        """Append a row; what a full disk refuses is carried into the next one, and must not stop the work here."""
        moment = time.monotonic()
        row: Json = {"time": now(), "stage": self._stage, "seconds": round(moment - self._since, 3)}
        if self._node:
            row |= {"seconds": 0.0, "node": self._node}
        if self._constant is None:
            row |= {"kwh": None, "kgco2e": None, "method": "off", "country": self._country}
        else:
            if used is None:
                used, method = self._constant.over(moment - self._counted), "constant"
            used = self._unwritten = self._unwritten.plus(used)
            row |= {"kwh": used.kwh, "kgco2e": used.kgco2e, "cpu_kwh": used.cpu_kwh, "gpu_kwh": used.gpu_kwh}
            row |= {"ram_kwh": used.ram_kwh, "method": method, "country": self._country}
        self._counted = moment
        with suppress(OSError):
            append_row(self._path, row)
            self._since, self._unwritten = moment, NOTHING


def _give_up(tracker: Tracker | None) -> None:
    if tracker is not None:
        with suppress(Exception):
            tracker.stop()


@contextmanager
def track(folder: Path, recipe: Recipe, stage: str, node: int = 0) -> Iterator[None]:
    """Keep the ledger of a stage's folder while the block works.

    A stage on several machines has a ledger on each. Where nothing can be measured the first counts for all of them.
    """
    hardware, record = recipe.hardware, recipe.record

    def start() -> Tracker:
        return CodeCarbon(hardware.country, record.energy_every_seconds, hardware.pue, hardware.grid_gco2e_per_kwh)

    constant = constant_watts(recipe) if record.energy else None
    if constant is not None and node:
        constant = replace(constant, host_watts=0.0, accelerator_watts=0.0)
    every = float(record.energy_every_seconds)
    ledger = Ledger(folder / LEDGER, stage, every, hardware.country, constant, start, node)
    try:
        yield
    finally:
        ledger.close()


def constant_watts(recipe: Recipe) -> Constant:
    """Derive the fallback's watts: the recipe's own, else those of the accelerator's table."""
    from lhama.plan.hardware import accelerator, cpu, grid_factor, this_machine

    hardware = recipe.hardware
    try:
        chosen = accelerator(hardware.accelerator)
    except Problem:  # `auto` on a machine whose accelerator is in no table: count at least the processor
        chosen = cpu(this_machine())
    grid = hardware.grid_gco2e_per_kwh
    grams = grid_factor(hardware.country)[0] if grid is None else grid
    host = chosen.host_watts if hardware.host_watts is None else hardware.host_watts
    watts = chosen.watts if hardware.watts is None else hardware.watts
    if chosen.name == "cpu":  # the table counts the processor itself as the accelerator
        host, watts = host + watts, 0.0
    return Constant(host * hardware.count, watts * hardware.count, grams / 1000, hardware.pue)


def totals(run_folder: Path) -> Json:
    """Add up all rows of a run, those of lost and set-aside work included, over all and by stage."""
    price, currency = _price_per_hour(run_folder)
    by_stage: dict[str, Json] = {}
    seen: set[tuple[Any, ...]] = set()
    for path in sorted(run_folder.rglob(LEDGER)):
        for row in read_rows(path):
            key = (row.get("time"), row.get("stage"), row.get("seconds"), row.get("node"))
            if key not in seen:  # a replaced result's rows are in two folders while the replacement is made
                seen.add(key)
                _add(by_stage.setdefault(str(row.get("stage")), _zero()), row)
    overall = _zero()
    for name, stage in by_stage.items():
        for figure, value in stage.items():
            overall[figure] = sorted({*overall[figure], *value}) if figure == "methods" else overall[figure] + value
        by_stage[name] = _with_money(stage, price, currency)
    return {**_with_money(overall, price, currency), "by_stage": by_stage}


def _zero() -> Json:
    return {"seconds": 0.0, "kwh": 0.0, "kgco2e": 0.0, "cpu_kwh": 0.0, "gpu_kwh": 0.0, "ram_kwh": 0.0, "methods": []}


def _add(sums: Json, row: Json) -> None:
    for figure in sums:
        if figure == "methods":
            sums[figure] = sorted({*sums[figure], str(row.get("method"))})
        else:
            sums[figure] += row.get(figure) or 0.0


def _with_money(sums: Json, price: float | None, currency: str) -> Json:
    money = None if price is None else sums["seconds"] / 3600 * price
    return {**sums, "money": money, "currency": currency}


def _price_per_hour(run_folder: Path) -> tuple[float | None, str]:
    """Say the price of the whole machine for an hour; None where the recipe and the table know none."""
    from lhama.plan.hardware import accelerator
    from lhama.plan.recipe import load

    try:
        recipe = load(run_folder / "recipe.toml")
        hardware = recipe.hardware
        price, currency = hardware.price_per_hour, recipe.budget.currency
        if price is None:
            price, currency = accelerator(hardware.accelerator).price_per_hour, "USD"
    except Problem:
        return None, "USD"
    return None if price is None else price * hardware.count, currency
