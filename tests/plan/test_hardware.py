"""Accelerators by name and by what a driver says, grid factors, and this machine read without any library."""

from pathlib import Path

import pytest

from lhama.plan import hardware
from lhama.plan.hardware import (
    ACCELERATORS,
    GIB,
    Gpu,
    Machine,
    accelerator,
    cpu,
    name_of_gpu,
    this_machine,
    usable_cores,
)
from lhama.plan.problem import Problem


def test_the_table_keeps_what_the_overview_got_wrong() -> None:
    # The overview gives 312 TFLOP/s as fp32 and 9.7 PFLOP/s as tensor peak; both are wrong.
    a100 = ACCELERATORS["a100-40"]
    assert (a100.bf16, a100.tf32, a100.fp32) == (312e12, 156e12, 19.5e12)
    assert ACCELERATORS["t4"].bf16 is None
    assert ACCELERATORS["h100"].bf16 == ACCELERATORS["h200"].bf16 == 989e12


@pytest.mark.parametrize(
    ("name", "cores", "products", "gigahertz"),
    [
        # Tensor cores, bf16 products that each adds up in 32 bits at a tick, and the boost clock of the data sheets.
        ("a10", 288, 128, 1.695),
        ("rtx-a6000", 336, 128, 1.80),
        ("rtx3090", 328, 64, 1.695),  # cards for games add up in 32 bits at half the rate of the same chip
        ("rtx4090", 512, 64, 2.52),
        ("rtx5090", 680, 64, 2.407),
        ("l40s", 568, 128, 2.52),
        ("a100-80", 432, 256, 1.41),
        ("h100", 528, 512, 1.83),
    ],
)
def test_peaks_are_cores_times_products_times_clock(name: str, cores: int, products: int, gigahertz: float) -> None:
    assert ACCELERATORS[name].bf16 == pytest.approx(2 * cores * products * gigahertz * 1e9, rel=0.015)


@pytest.mark.parametrize(
    ("said", "gibibytes", "name"),
    [
        ("NVIDIA A100-SXM4-40GB", 40, "a100-40"),
        ("NVIDIA A100-SXM4-80GB", 80, "a100-80"),
        ("NVIDIA H100 80GB HBM3", 80, "h100"),
        ("NVIDIA H200", 140, "h200"),
        ("NVIDIA GeForce RTX 4090", 24, "rtx4090"),
        ("Tesla T4", 15, "t4"),
        ("NVIDIA L40S", 45, "l40s"),
        ("NVIDIA GeForce RTX 3090", 24, "rtx3090"),
        ("NVIDIA A10G", 24, None),
    ],
)
def test_driver_names(said: str, gibibytes: int, name: str | None) -> None:
    assert name_of_gpu(Gpu(said, gibibytes * GIB)) == name


def machine(**changes: object) -> Machine:
    plain: dict[str, object] = {
        "cores": 4,
        "memory_bytes": 8 * GIB,
        "avx2": True,
        "avx512_bf16": False,
        "amx_bf16": False,
        "gpus": (),
    }
    return Machine(**(plain | changes))  # type: ignore[arg-type]


def test_a_processor_has_bf16_only_where_it_has_the_instructions() -> None:
    assert cpu(machine()).bf16 is None
    amx, avx = cpu(machine(amx_bf16=True)).bf16, cpu(machine(avx512_bf16=True)).bf16
    assert amx is not None and avx is not None and amx > avx > cpu(machine()).fp32
    assert cpu(machine(memory_bytes=None)).memory_bytes == 4 * GIB


def test_auto_takes_this_machines_accelerator(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hardware, "this_machine", lambda: machine(gpus=(Gpu("NVIDIA H200", 140 * GIB),)))
    assert accelerator("auto").name == "h200"
    assert accelerator("cpu").name == "cpu"
    monkeypatch.setattr(hardware, "this_machine", lambda: machine(gpus=(Gpu("Old Card", GIB),)))
    # A card that no table knows must not stop anybody from training.
    other = accelerator("auto")
    assert "Old Card" in other.label and other.memory_bytes == GIB
    with pytest.raises(Problem, match="did you mean h100"):
        accelerator("h10")
    monkeypatch.setattr(hardware, "this_machine", machine)
    assert accelerator("auto").name == "cpu"


def test_this_machine_has_a_core_and_can_be_read() -> None:
    found = this_machine()
    assert found.cores >= 1
    assert found.accelerator
    assert found.memory_bytes is None or found.memory_bytes > 2**27


def test_container_limits_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # In a container with half of 64 cores, planning with 64 once promised twice the speed.
    monkeypatch.setattr(hardware, "_first_words", lambda path: ["100000", "100000"])
    assert usable_cores() == 1
    monkeypatch.setattr(hardware, "_first_words", lambda path: ["max", "100000"])
    assert usable_cores() >= 1


def test_a_machine_without_linux_files_still_plans(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(self: Path, **options: object) -> str:
        raise FileNotFoundError(self)

    monkeypatch.setattr(Path, "read_text", absent)
    monkeypatch.setattr("shutil.which", lambda name: None)
    monkeypatch.delattr("os.sched_getaffinity", raising=False)
    found = this_machine()
    assert found.cores >= 1 and not found.amx_bf16 and found.gpus == ()


def test_a_failing_driver_counts_as_no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda name: "/no/such/nvidia-smi")
    assert this_machine().gpus == ()
