"""Readings never raise, and a figure that cannot be read has no key."""

import os
from pathlib import Path

import pytest

from lhama.record import device


def test_this_machine_can_be_read() -> None:
    figures = device.device_reading()
    if Path("/proc/meminfo").exists():
        assert 0 < figures["memory_used_bytes"] <= figures["memory_bytes"]
        assert 1e6 < figures["process_memory_bytes"] < figures["memory_bytes"]


def test_a_driver_s_line_is_read_in_our_units() -> None:
    assert device._accelerator("NVIDIA H200, 1024, 143771, 87, 612.34, [N/A]") == {
        "name": "NVIDIA H200",
        "memory_used_bytes": 1024 * 2**20,
        "memory_bytes": 143771 * 2**20,
        "utilization": 0.87,
        "watts": 612.34,
    }


def test_utilization_is_a_difference_of_counters(monkeypatch: pytest.MonkeyPatch) -> None:
    # user nice system idle iowait irq softirq steal; between the two readings 30 of 40 ticks were busy.
    lines = iter(["cpu 100 0 0 100 0 0 0 0 0 0\n", "cpu 120 0 5 105 5 5 0 0 0 0\n"])
    monkeypatch.setattr(Path, "read_text", lambda _: next(lines))
    monkeypatch.setattr(device, "_last", {})
    assert device._utilization() == {}
    assert device._utilization() == {"utilization": 0.75}


@pytest.mark.skipif(os.name == "nt", reason="the fake program is a shell script")
def test_a_broken_driver_is_no_reading(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "nvidia-smi"
    program.write_text("#!/bin/sh\necho 'driver mismatch'\nexit 9\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    assert "accelerators" not in device.device_reading()
    program.write_text("#!/bin/sh\necho 'NVIDIA L4, 10, 100, 50, 70.5, 60'\n")
    assert device.device_reading()["accelerators"] == [
        {
            "name": "NVIDIA L4",
            "memory_used_bytes": 10 * 2**20,
            "memory_bytes": 100 * 2**20,
            "utilization": 0.5,
            "watts": 70.5,
            "temperature": 60.0,
        }
    ]
