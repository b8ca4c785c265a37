"""The energy ledger: how much electricity, carbon and money each stage took, over all kills and restarts.

In: a stage's folder and the recipe. Out: rows in its energy.jsonl, one every `record.energy_every_seconds`; each holds
what was used since the row before, so that the sum of all rows is the total whatever happened in between, and a killed
process loses one interval at most. A row says how it is known: `measured` by hardware counters, `estimated` from load
(both by CodeCarbon, emissions.py), or `constant`, assumed watts, from the first second until a tracker answers and
where none does; and beside it what counters of the hardware showed (counters.py). Nothing here may ever stop the work
or reach for the network.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lhama.plan.problem import Problem
from lhama.record.counters import LOOK_SECONDS, Counters
from lhama.record.emissions import CodeCarbon
from lhama.record.meter import append_row, now, read_rows
from lhama.record.reading import JOULES_PER_KWH, NOTHING, Constant, Reading, Tracker, constant_watts

if TYPE_CHECKING:
    from lhama.plan.recipe import Recipe

__all__ = ["JOULES_PER_KWH", "LEDGER", "Ledger", "count_from", "ledger_rows", "price_per_hour", "totals", "track"]

Json = dict[str, Any]

LEDGER = "energy.jsonl"
PATIENCE = 5.0  # seconds that a stage's end waits for a slow tracker
ASSUMED = "assumed watts: the recipe's, else the table's"
WORDS = {"methods": "method", "hows": "how"}
AMOUNTS = {"seconds": 0.0, "kwh": 0.0, "kgco2e": 0.0, "cpu_kwh": 0.0, "gpu_kwh": 0.0, "ram_kwh": 0.0}

_uncounted: list[float] = []  # the moment since which this process works, until its first ledger counts from there


def count_from(moment: float) -> None:
    """Let the next ledger of this process begin at a moment: what a process needs to start was paid for, too."""
    _uncounted[:] = [moment]


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
        counters: Callable[[], Counters] = lambda: Counters(()),
    ) -> None:
        self._path, self._stage, self._every, self._country = path, stage, every, country
        self._node = node  # a further machine of the same stage: its energy counts, its seconds are those of the first
        self._constant = constant  # None: the recipe wants no energy figures; only the seconds are kept
        self._start, self._count = start, counters
        # Up to where rows are written, and energy is counted.
        self._since = self._counted = _uncounted.pop() if _uncounted else time.monotonic()
        self._unwritten, self._second = NOTHING, dict[str, float]()
        self._before: Reading | None = None
        self._tracker: Tracker | None = None
        self._tracking_since = self._since
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._closed = False
        self._starter = threading.Thread(target=self._start_tracker, name="lhama-tracker", daemon=True)
        self._thread = threading.Thread(target=self._work, name="lhama-energy", daemon=True)
        self._thread.start()
        if constant is not None:
            self._starter.start()

    def close(self) -> None:
        """Write the last row; a tracker that hangs is left behind, and the row is constant."""
        self._ended.set()
        self._thread.join(PATIENCE)
        with self._lock:
            if not self._closed:
                self._write(None, {})
            self._closed = True

    def _start_tracker(self) -> None:
        """Start the tracker beside the work: rows are written from the first second on, whatever it does."""
        try:
            tracker = self._start()
        except Exception:  # a library that is absent, or whatever it does: the rows stay constant
            return
        with self._lock:
            if not self._closed:
                self._tracker, self._tracking_since = tracker, time.monotonic()
                return
        _give_up(tracker)

    def _work(self) -> None:
        counters = self._count() if self._constant is not None else Counters(())
        ended = False
        while not ended:
            ended = self._rest(counters)
            reading: Reading | None = None
            tracker = self._tracker
            if tracker is not None:
                try:
                    reading = tracker.read()
                except Exception:  # whatever a tracker does, the work goes on; the rows say constant from here on
                    _give_up(tracker)
                    self._tracker = None
            taken = counters.take()
            with self._lock:
                if self._closed:
                    break
                self._write(self._used(reading), taken)
                self._closed = ended
        _give_up(self._tracker)

    def _rest(self, counters: Counters) -> bool:
        """Wait for the next row, or for the end, which is said; counters that wrap around are looked at meanwhile."""
        parts = math.ceil(self._every / LOOK_SECONDS)
        for part in range(parts):
            if part:
                counters.look()
            if self._ended.wait(self._every / parts):
                return True
        return False

    def _used(self, reading: Reading | None) -> Reading | None:
        """Say what was used since the row before; the first reading is stretched over what the tracker missed."""
        if reading is None:
            return None
        before, self._before = self._before, reading
        if before is not None:
            return reading.since(before)
        moment = time.monotonic()
        covered, elapsed = moment - self._tracking_since, moment - self._counted
        return reading.times(elapsed / covered) if covered >= elapsed / 2 else None

    def _write(self, used: Reading | None, counted: dict[str, float]) -> None:
        """Append a row; what a full disk refuses is carried into the next one, and must not stop the work here."""
        moment = time.monotonic()
        row: Json = {"time": now(), "stage": self._stage, "seconds": round(moment - self._since, 3)}
        if self._node:
            row |= {"seconds": 0.0, "node": self._node}
        if self._constant is None:
            row |= {"kwh": None, "kgco2e": None, "method": "off", "country": self._country}
        else:
            tracker = self._tracker if used is not None else None
            if used is None:
                used = self._constant.over(moment - self._counted)
            used = self._unwritten = self._unwritten.plus(used)
            row |= {"kwh": used.kwh, "kgco2e": used.kgco2e, "cpu_kwh": used.cpu_kwh, "gpu_kwh": used.gpu_kwh}
            row |= {"ram_kwh": used.ram_kwh, "method": tracker.method if tracker else "constant"}
            row |= {"how": tracker.how if tracker else ASSUMED, "country": self._country}
            for part, joules in counted.items():
                kwh = joules / JOULES_PER_KWH * self._constant.pue
                self._second[part] = self._second.get(part, 0.0) + kwh
            row |= {"second": dict(self._second)} if self._second else {}
        self._counted = moment
        with suppress(OSError):
            append_row(self._path, row)
            self._since, self._unwritten, self._second = moment, NOTHING, {}


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
        every = record.energy_every_seconds
        kept = None if stage == "release" else folder  # the publication's file of that name joins those of all others
        return CodeCarbon(hardware.country, every, hardware.pue, hardware.grid_given, stage, kept)

    constant = constant_watts(recipe) if record.energy else None
    if constant is not None and node:
        constant = replace(constant, host_watts=0.0, accelerator_watts=0.0)
    every = float(record.energy_every_seconds)
    ledger = Ledger(folder / LEDGER, stage, every, hardware.country, constant, start, node, Counters)
    try:
        yield
    finally:
        ledger.close()


def ledger_rows(run_folder: Path) -> Iterator[Json]:
    """Yield all rows of a run, those of lost and set-aside work included, each once."""
    seen: set[tuple[Any, ...]] = set()
    for path in sorted(run_folder.rglob(LEDGER)):
        for row in read_rows(path):
            key = (row.get("time"), row.get("stage"), row.get("seconds"), row.get("node"))
            if key not in seen:  # a replaced result's rows are in two folders while the replacement is made
                seen.add(key)
                yield row


def totals(run_folder: Path, rows: Iterable[Json] | None = None) -> Json:
    """Add up all rows of a run over all and by stage: seconds, kWh and joules, kgCO2e, money, and how it is known.

    `rows` are those of `ledger_rows`, where the caller has read them already.
    """
    price, currency = price_per_hour(run_folder)
    by_stage: dict[str, Json] = {}
    for row in ledger_rows(run_folder) if rows is None else rows:
        _add(by_stage.setdefault(str(row.get("stage")), _zero()), row)
    overall = _zero()
    for name, stage in by_stage.items():
        for figure, value in stage.items():
            overall[figure] = sorted({*overall[figure], *value}) if figure in WORDS else overall[figure] + value
        by_stage[name] = _with_money(stage, price, currency)
    return {**_with_money(overall, price, currency), "by_stage": by_stage}


def _zero() -> Json:
    return {**AMOUNTS, "methods": [], "hows": []}


def _add(sums: Json, row: Json) -> None:
    for figure in AMOUNTS:
        sums[figure] += row.get(figure) or 0.0
    for words, word in WORDS.items():
        if row.get(word) and row[word] not in sums[words]:
            sums[words] = sorted({*sums[words], str(row[word])})


def _with_money(sums: Json, price: float | None, currency: str) -> Json:
    money = None if price is None else sums["seconds"] / 3600 * price
    return {**sums, "joules": sums["kwh"] * JOULES_PER_KWH, "money": money, "currency": currency}


def price_per_hour(run_folder: Path) -> tuple[float | None, str]:
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
