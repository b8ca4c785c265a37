"""Counters are added up over their wrapping around, and only those that count different things."""

import sys
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lhama.record.counters import Count, Counters, nvml, rapl


def zone(folder: Path, name: str, kind: str, microjoules: int, limit: int = 10_000_000) -> None:
    place = folder / name
    place.mkdir(exist_ok=True)
    (place / "name").write_text(kind + "\n")
    (place / "energy_uj").write_text(f"{microjoules}\n")
    (place / "max_energy_range_uj").write_text(f"{limit}\n")


def test_packages_and_memory_are_read_once_each(tmp_path: Path) -> None:
    zone(tmp_path, "intel-rapl:0", "package-0", 1_000_000)
    zone(tmp_path, "intel-rapl:0:0", "core", 900_000)  # inside the package
    zone(tmp_path, "intel-rapl:0:1", "dram", 200_000)
    zone(tmp_path, "intel-rapl:1", "package-1", 3_000_000)
    zone(tmp_path, "intel-rapl:2", "psys", 9_000_000)  # the whole platform, packages included
    zone(tmp_path, "intel-rapl-mmio:0", "package-0", 1_000_000)  # the first package by another way
    assert rapl(tmp_path) == {
        "intel-rapl:0": Count("cpu_kwh", 1.0, 10.0),
        "intel-rapl:0:1": Count("ram_kwh", 0.2, 10.0),
        "intel-rapl:1": Count("cpu_kwh", 3.0, 10.0),
    }
    (tmp_path / "intel-rapl:1" / "energy_uj").unlink()  # as for one who may not read it
    assert set(rapl(tmp_path)) == {"intel-rapl:0", "intel-rapl:0:1"}
    assert rapl(tmp_path / "absent") == {}


def test_a_counter_that_wraps_around_goes_on(tmp_path: Path) -> None:
    zone(tmp_path, "intel-rapl:0", "package-0", 9_000_000)
    counters = Counters([lambda: rapl(tmp_path)])
    zone(tmp_path, "intel-rapl:0", "package-0", 9_500_000)
    counters.look()  # 0.5 J
    zone(tmp_path, "intel-rapl:0", "package-0", 250_000)  # 0.5 J to the limit of 10 J, and 0.25 J beyond
    assert counters.take() == pytest.approx({"cpu_kwh": 1.25})
    assert counters.take() == {"cpu_kwh": 0.0}


@given(st.lists(st.integers(0, 900), min_size=1, max_size=30))
def test_any_way_is_added_up(steps: list[int]) -> None:
    """Each step is shorter than the range of 1,000 J, as looks once a minute make sure; the sum is then exact."""
    shown = [500.0]

    def source() -> Mapping[str, Count]:
        return {"one": Count("cpu_kwh", shown[0] % 1000, 1000.0)}

    counters = Counters([source])
    for step in steps:
        shown[0] += step
        counters.look()
    assert counters.take() == {"cpu_kwh": sum(steps)}


def test_a_counter_that_begins_anew_takes_nothing_back() -> None:
    shown = [7000.0]
    counters = Counters([lambda: {"card": Count("gpu_kwh", shown[0], None)}])
    shown[0] = 20.0  # the driver was loaded again
    assert counters.take() == {"gpu_kwh": 0.0}
    shown[0] = 25.0
    assert counters.take() == {"gpu_kwh": 5.0}


def test_what_fails_is_left_out() -> None:
    def broken() -> Mapping[str, Count]:
        raise RuntimeError("driver/library version mismatch")

    assert Counters([broken, lambda: {"one": Count("ram_kwh", 1.0, None)}]).take() == {"ram_kwh": 0.0}


def test_accelerators_that_this_process_may_use_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    library = SimpleNamespace(
        nvmlInit=lambda: None,
        nvmlShutdown=lambda: None,
        nvmlDeviceGetCount=lambda: 4,
        nvmlDeviceGetHandleByIndex=lambda number: number,
        nvmlDeviceGetTotalEnergyConsumption=lambda handle: 1000 * (handle + 1),  # millijoules
    )
    monkeypatch.setitem(sys.modules, "pynvml", library)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert [count.joules for count in nvml().values()] == [1.0, 2.0, 3.0, 4.0]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1,3")
    assert nvml() == {"accelerator 1": Count("gpu_kwh", 2.0, None), "accelerator 3": Count("gpu_kwh", 4.0, None)}
