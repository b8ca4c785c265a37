"""CodeCarbon, offline, and its emissions.csv: one line for each process that worked, without where it stood.

In: the country, and a folder. Out: readings for the ledger, and emissions.csv in CodeCarbon's own columns and units
(kWh, kilograms, seconds), written again at each reading, so that a killed process keeps its line. CodeCarbon's own
writer would leave coordinates, region and random ids in it; they never reach our file, and `published` makes sure of
that once more for what others have put there (Courty et al., CodeCarbon, 2024).
"""

from __future__ import annotations

import csv
import io
import logging
import math
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import astuple
from importlib import metadata
from pathlib import Path
from typing import Any

from lhama.plan.problem import Problem
from lhama.record.files import write_text
from lhama.record.reading import Reading

EMISSIONS = "emissions.csv"
COUNTED = {"intel_rapl", "windows_emi", "intel_power_gadget"}  # CodeCarbon's CPU modes that read a hardware counter
# All of CodeCarbon's columns but longitude, latitude, region, cloud_region, run_id and experiment_id.
COLUMNS = (
    *("timestamp", "project_name", "duration", "emissions", "emissions_rate", "cpu_power", "gpu_power", "ram_power"),
    *("cpu_energy", "gpu_energy", "ram_energy", "energy_consumed", "water_consumed", "country_name"),
    *("country_iso_code", "cloud_provider", "os", "python_version", "codecarbon_version", "cpu_count", "cpu_model"),
    *("gpu_count", "gpu_model", "ram_total_size", "tracking_mode", "cpu_utilization_percent"),
    *("gpu_utilization_percent", "ram_utilization_percent", "ram_used_gb", "on_cloud", "pue", "wue"),
)


class CodeCarbon:
    """CodeCarbon's offline tracker, silent; the readings come through its output interface."""

    def __init__(
        self,
        country: str,
        every: float,
        pue: float,
        grid_gco2e_per_kwh: float | None,
        stage: str = "",
        folder: Path | None = None,
    ) -> None:
        from codecarbon import OfflineEmissionsTracker
        from codecarbon.output_methods.base_output import BaseOutput

        logging.getLogger("codecarbon").setLevel(logging.CRITICAL)  # it speaks before it reads its own log_level
        newest: list[Any] = []

        class Output(BaseOutput):  # type: ignore[misc]  # codecarbon carries no types
            def out(self, total: Any, delta: Any) -> None:
                newest[:] = [total]

        self._newest = newest
        self._tracker = OfflineEmissionsTracker(
            project_name=stage or "lhama",
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
        self._path = None if folder is None else folder / EMISSIONS
        self._earlier = [] if self._path is None else _lines(self._path)
        self._tracker.start()
        self.read()  # start() hides its own failures; a reading does not
        self.method, self.how = _method(self._tracker)

    def read(self) -> Reading:
        """Read the energy since the start; an answer that makes no sense is an error."""
        self._newest.clear()
        self._tracker.flush()
        total = self._newest[0]
        reading = Reading(total.cpu_energy, total.gpu_energy, total.ram_energy, total.emissions)
        if not all(math.isfinite(value) and value >= 0 for value in astuple(reading)):
            raise ValueError(f"CodeCarbon read {reading}")
        if self._path is not None:
            with suppress(OSError, Problem):  # a full disk loses this file's newest line, never the reading
                write_text(self._path, _text([*self._earlier, total.values]))
        return reading

    def stop(self) -> None:
        """Stop its timers."""
        self._tracker.stop()


def published(run_folder: Path) -> str:
    """Join the emissions.csv of all stages into one text that may be shown to anybody; empty where there is none."""
    found: dict[tuple[str, ...], Mapping[str, Any]] = {}
    for path in sorted(run_folder.rglob(EMISSIONS)):
        if not path.relative_to(run_folder).parts[0].startswith("release"):
            for row in _lines(path):  # a replaced result's lines are in two folders
                found.setdefault(tuple(str(row.get(column, "")) for column in COLUMNS), row)
    return _text(sorted(found.values(), key=lambda row: str(row.get("timestamp", "")))) if found else ""


def _lines(path: Path) -> list[Mapping[str, Any]]:
    try:
        return list(csv.DictReader(io.StringIO(path.read_text(encoding="utf-8"))))
    except (OSError, ValueError, csv.Error):
        return []


def _text(rows: Iterable[Mapping[str, Any]]) -> str:
    """Write rows as CSV, with no column but those that say nothing of where the machine stands."""
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, restval="", extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _method(tracker: Any) -> tuple[str, str]:
    """Say `measured` if a hardware counter reads the processor, and how each part is read.

    CodeCarbon keeps its hardware to itself, hence the names.
    """
    parts = getattr(tracker, "_hardware", [])
    names = [type(part).__name__ for part in parts]
    modes = {str(getattr(part, "_mode", None)) for part in parts if type(part).__name__ == "CPU"}
    counted = (bool(modes) and modes <= COUNTED) or "AppleSiliconChip" in names
    processor = " and ".join(sorted(modes)) or "Apple's own counters" if counted else "its load and power class"
    said = [f"CodeCarbon {metadata.version('codecarbon')}: processor by {processor}"]
    said += ["accelerators by their driver's counter"] if "GPU" in names else []
    said += ["memory estimated by its size"] if "RAM" in names else []
    return "measured" if counted else "estimated", ", ".join(said)
