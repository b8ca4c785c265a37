"""The ledger adds up over restarts, whatever the tracker does, and CodeCarbon is silent and stays off the network."""

import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from lhama.record import energy
from lhama.record.energy import Ledger, count_from, totals, track
from lhama.record.meter import append_row, read_rows
from lhama.record.reading import NOTHING, Constant, Reading, constant_watts
from lhama.record.run import Run
from tests.record.conftest import MakeRecipe

CONSTANT = Constant(host_watts=36.0, accelerator_watts=0.0, kgco2e_per_kwh=0.1, pue=1.0)


class FakeTracker:
    """A tracker that reads 1, 2, 3 ... Wh, and fails from a given reading on."""

    method = "measured"
    how = "a counter that counts calls"

    def __init__(self, fails_at: int | None = None) -> None:
        self.readings, self.stopped, self._fails_at = 0, 0, fails_at

    def read(self) -> Reading:
        self.readings += 1
        if self._fails_at is not None and self.readings >= self._fails_at:
            raise RuntimeError("the counter went away")
        return Reading(self.readings * 0.0004, self.readings * 0.0005, self.readings * 0.0001, self.readings * 0.0002)

    def stop(self) -> None:
        self.stopped += 1


def wait_for_rows(path: Path, count: int) -> None:
    """Wait until the ledger has that many rows; the test's own time limit is the only clock."""
    while len(read_rows(path)) < count:
        threading.Event().wait(0.005)


def keep_ledger(path: Path, tracker: FakeTracker, rows: int) -> list[dict[str, Any]]:
    before = len(read_rows(path))
    ledger = Ledger(path, "train", 0.01, "BRA", CONSTANT, lambda: tracker)
    ledger._starter.join()
    wait_for_rows(path, len(read_rows(path)) + rows)
    ledger.close()
    return read_rows(path)[before:]


def test_rows_are_differences_so_that_their_sum_is_the_total(tmp_path: Path) -> None:
    tracker = FakeTracker()
    rows = keep_ledger(tmp_path / "energy.jsonl", tracker, 5)
    known = [row for row in rows if row["method"] == "measured"]
    assert len(known) >= 4
    assert [row["kwh"] for row in known[1:]] == pytest.approx([0.001] * (len(known) - 1))
    assert [row["gpu_kwh"] for row in known[1:]] == pytest.approx([0.0005] * (len(known) - 1))
    assert tracker.stopped == 1
    assert set(rows[0]) == {
        "time", "stage", "seconds", "kwh", "kgco2e", "cpu_kwh", "gpu_kwh", "ram_kwh", "method", "how", "country",
    }  # fmt: skip


def test_a_tracker_that_fails_midway_leaves_the_rest_to_constant_watts(tmp_path: Path) -> None:
    tracker = FakeTracker(fails_at=3)
    rows = keep_ledger(tmp_path / "energy.jsonl", tracker, 5)
    known = [number for number, row in enumerate(rows) if row["method"] == "measured"]
    assert 1 <= len(known) <= 2, "a first reading that covers less than half of its row is left out"
    assert {row["method"] for row in rows[known[-1] + 1 :]} == {"constant"}
    assert tracker.stopped == 1
    for row in rows[known[-1] + 1 :]:
        # 36 W for a second is 36 / 3.6e6 = 1e-5 kWh; the row's seconds are rounded to milliseconds.
        assert row["kwh"] == pytest.approx(row["seconds"] * 1e-5, abs=1e-8)
        assert row["kgco2e"] == pytest.approx(row["kwh"] * 0.1)


def test_a_tracker_that_cannot_start_leaves_all_to_constant_watts(tmp_path: Path) -> None:
    def start() -> FakeTracker:
        raise ImportError("no such library")

    path = tmp_path / "energy.jsonl"
    ledger = Ledger(path, "train", 0.01, "BRA", CONSTANT, start)
    wait_for_rows(path, 2)
    ledger.close()
    assert {row["method"] for row in read_rows(path)} == {"constant"}


def test_a_stage_does_not_wait_for_a_tracker_that_is_still_starting(tmp_path: Path) -> None:
    path, go, tracker = tmp_path / "energy.jsonl", threading.Event(), FakeTracker()

    def start() -> FakeTracker:
        go.wait()
        return tracker

    ledger = Ledger(path, "train", 0.01, "BRA", CONSTANT, start)
    wait_for_rows(path, 3)
    ledger.close()
    rows = read_rows(path)
    assert {row["method"] for row in rows} == {"constant"}, "a kill while it starts loses one row, too"
    go.set()
    ledger._starter.join()
    assert read_rows(path) == rows, "the late tracker writes into no folder that may have been renamed"
    assert tracker.stopped == 1


def test_a_full_disk_loses_no_seconds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    failed = threading.Event()

    def full(path: Path, row: dict[str, Any]) -> None:
        if not failed.is_set():
            failed.set()
            raise OSError(28, "No space left on device")
        append_row(path, row)

    monkeypatch.setattr("lhama.record.energy.append_row", full)
    clock = iter(range(1000))  # steps by a second at each look, so that sums are exact
    monkeypatch.setattr("lhama.record.energy.time.monotonic", lambda: float(next(clock)))

    def start() -> FakeTracker:
        raise ImportError("no such library")

    ledger = Ledger(tmp_path / "energy.jsonl", "train", 0.01, "BRA", CONSTANT, start)
    ledger._starter.join()
    failed.wait()
    ledger.close()
    rows = read_rows(tmp_path / "energy.jsonl")
    assert sum(row["seconds"] for row in rows) == ledger._since
    assert sum(row["kwh"] for row in rows) == pytest.approx(ledger._since * 1e-5)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the death is played in a forked process")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_killed_process_loses_no_row_that_was_written(tmp_path: Path) -> None:
    path = tmp_path / "energy.jsonl"
    child = os.fork()
    if child == 0:
        Ledger(path, "train", 0.01, "BRA", CONSTANT, FakeTracker)
        wait_for_rows(path, 4)
        os._exit(137)
    os.waitpid(child, 0)
    before = read_rows(path)
    assert len(before) >= 4
    again = keep_ledger(path, FakeTracker(), 3)
    assert read_rows(path) == before + again
    assert all(0 <= row["kwh"] < 1 for row in before + again), "a restarted tracker begins at 0 and so does its sum"


def test_totals_count_lost_and_set_aside_work_once(make_recipe: MakeRecipe, tmp_path: Path) -> None:
    run = Run.open(make_recipe("hardware.count=2"), tmp_path)
    row = {"stage": "corpus", "seconds": 1800.0, "kwh": 0.25, "kgco2e": 0.03, "method": "estimated"}
    done, aside, part = (run.folder / name / "energy.jsonl" for name in ("corpus", "corpus.again-x", "corpus.part"))
    for path in (done, aside, part):
        path.parent.mkdir()
    append_row(done, {"time": "1", **row})
    append_row(part, {"time": "1", **row, "lost": True})
    append_row(aside, {"time": "2", **row})
    append_row(part, {"time": "3", **row, "stage": "tokens", "kwh": None, "method": "off"})
    sums = totals(run.folder)
    assert sums["seconds"] == 3 * 1800
    assert sums["kwh"] == 0.5
    assert sums["money"] == 1.5 * 2.0 * 2, "an hour and a half of two accelerators at 2.0 an hour"
    assert sums["methods"] == ["estimated", "off"]
    assert sums["by_stage"]["corpus"]["seconds"] == 3600
    assert sums["by_stage"]["tokens"]["kwh"] == 0


def test_without_energy_only_the_seconds_are_kept(make_recipe: MakeRecipe, tmp_path: Path) -> None:
    with track(tmp_path, make_recipe(), "corpus"):
        pass
    (row,) = read_rows(tmp_path / "energy.jsonl")
    assert row["method"] == "off"
    assert row["kwh"] is None
    assert row["seconds"] >= 0


def test_the_fallback_takes_the_recipe_s_watts_before_the_table_s(make_recipe: MakeRecipe) -> None:
    by_table = constant_watts(make_recipe("hardware.accelerator=h100", "hardware.count=2"))
    assert (by_table.host_watts, by_table.accelerator_watts) == (300, 1300)  # 150 W and 650 W each
    own = constant_watts(make_recipe("hardware.accelerator=h100", "hardware.watts=500", "hardware.host_watts=10"))
    assert (own.host_watts, own.accelerator_watts) == (10, 500)
    grid = constant_watts(make_recipe("hardware.grid_gco2e_per_kwh=50", "hardware.pue=1.5"))
    assert grid.kgco2e_per_kwh == 0.05
    assert grid.over(3600).kwh == pytest.approx(grid.host_watts * 1.5 / 1000)
    assert NOTHING.kwh == 0


def test_the_first_ledger_counts_from_the_start_of_the_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a process needs to start, the libraries of a training for instance, is paid by the hour like the rest."""
    monkeypatch.setattr(energy, "_uncounted", [])
    count_from(time.monotonic() - 100)
    for name, low, high in (("first", 100, 110), ("second", 0, 10)):
        Ledger(tmp_path / name, "train", 10.0, "BRA", None, FakeTracker).close()
        assert low <= sum(row["seconds"] for row in read_rows(tmp_path / name)) < high


KILLED = """
import time
started = time.monotonic()
import sys
from pathlib import Path
from lhama.plan.recipe import load
from lhama.record.energy import count_from, track
count_from(started)
with track(Path(sys.argv[1]), load(sys.argv[2]), "train"):
    time.sleep(600)
"""


@pytest.mark.slow
def test_a_run_killed_five_times_accounts_for_its_wall_clock(make_recipe: MakeRecipe, tmp_path: Path) -> None:
    """Each kill loses one row's time at most: a second here, and record.energy_every_seconds = 10 by default.

    The wall clock is ours, from before a process is started until it is dead; with the 10 seconds of the default, a
    kill may cost 15 seconds with all that a process needs to start.
    """
    make_recipe("record.energy_every_seconds=1")
    recipe, path = tmp_path / "small.toml", tmp_path / "energy.jsonl"
    text = recipe.read_text().replace("energy = false", "energy = true\nenergy_every_seconds = 1")
    recipe.write_text(text)
    kills, wall = 5, 0.0
    for kill in range(kills):
        before, started = len(read_rows(path)), time.monotonic()
        process = subprocess.Popen([sys.executable, "-c", KILLED, str(tmp_path), str(recipe)])
        wait_for_rows(path, before + 1)
        time.sleep(0.2 * kill)  # at different moments of a row
        process.kill()
        process.wait()
        wall += time.monotonic() - started
    rows = read_rows(path)
    counted, longest = sum(row["seconds"] for row in rows), max(row["seconds"] for row in rows)
    assert counted <= wall
    assert longest < 15
    assert wall - counted <= kills * (15 - 10 + 1), "a row of a second, and five seconds to start and to die"
    assert {row["method"] for row in rows} <= {"constant", "estimated", "measured"}
    assert all(row["kwh"] > 0 and row["how"] for row in rows)


CODECARBON = """
import socket, sys, json, os
from pathlib import Path
def refuse(*a, **k): raise AssertionError("no connection may be made")
socket.socket.connect = refuse
socket.getaddrinfo = refuse
os.chdir(sys.argv[1])
import time
from lhama.record.emissions import CodeCarbon
tracker = CodeCarbon("BRA", 15, 1.0, 200.0)
first = tracker.read()
time.sleep(0.2)
second = tracker.read()
tracker.stop()
sys.stdout.write(json.dumps([first.kwh, second.kwh, second.kgco2e, tracker.method, tracker.how, os.listdir(".")]))
"""


def test_codecarbon_is_silent_offline_and_leaves_no_file(tmp_path: Path) -> None:
    pytest.importorskip("codecarbon")
    command = [sys.executable, "-W", "error::ResourceWarning", "-c", CODECARBON, str(tmp_path)]
    answer = subprocess.run(command, capture_output=True, text=True, check=True)
    assert answer.stderr == ""
    first, second, kgco2e, method, how, files = json.loads(answer.stdout)
    assert 0 <= first < second
    assert kgco2e == pytest.approx(second * 0.2), "the recipe's own 200 g/kWh"
    assert method in ("measured", "estimated")
    assert how.startswith("CodeCarbon 3") and "memory" in how
    assert files == []
