"""Apple's GPU, which nobody had at hand: every choice that depends on it, made for a description of one."""

import platform
from types import SimpleNamespace

import pytest
import torch

from lhama.model import device
from lhama.model.device import Chip, Device, pick
from lhama.plan.problem import Problem
from lhama.plan.recipe import Recipe, load
from lhama.train.batches import Batches, rows_at_once
from lhama.train.saver import Saver
from lhama.train.world import joined

VENTURA, SEQUOIA = Chip("mps", system=(13, 6)), Chip("mps", system=(15, 1))


def demo(*changes: str) -> Recipe:
    return load("demo", ["hardware.accelerator=auto", "train.precision=auto", "train.compile=auto", *changes])


def test_the_careful_choices_and_their_reasons() -> None:
    chosen = pick(demo(), SEQUOIA)
    assert (chosen.kind, chosen.precision, chosen.compile, chosen.attention) == ("mps", "fp32", False, "auto")
    assert not chosen.deterministic
    assert chosen.dtype == torch.float32 and chosen.place.type == "mps"
    assert "not tried" in chosen.why_precision and "not tried" in chosen.why_compile


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_half_precision_where_the_system_has_it(precision: str) -> None:
    assert pick(demo(f"train.precision={precision}"), SEQUOIA).precision == precision
    if precision == "bf16":
        with pytest.raises(Problem, match="macOS 14") as refused:
            pick(demo("train.precision=bf16"), VENTURA)
        assert refused.value.key == "train.precision"
    else:
        assert pick(demo("train.precision=fp16"), VENTURA).dtype == torch.float16


@pytest.mark.parametrize(
    ("change", "key"), [("train.precision=tf32", "train.precision"), ("train.compile=on", "train.compile")]
)
def test_what_is_not_there_is_refused(change: str, key: str) -> None:
    with pytest.raises(Problem) as refused:
        pick(demo(change), SEQUOIA)
    assert refused.value.key == key


def test_the_version_of_the_system_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    for told, expected in (("15.1.1", (15, 1)), ("14", (14, 0)), ("13.6", (13, 6))):
        monkeypatch.setattr(platform, "mac_ver", lambda told=told: (told, ("", "", ""), "arm64"))
        assert device.chip_for("auto") == Chip("mps", system=expected)
    assert device.chip_for("cpu") == Chip("cpu")


def test_rows_fit_the_part_of_the_memory_that_apple_recommends(monkeypatch: pytest.MonkeyPatch) -> None:
    recipe, chosen = demo("train.batch_tokens=1048512"), pick(demo(), SEQUOIA)
    rows = []
    for recommended in (1 << 30, 16 << 30):
        monkeypatch.setattr(torch.mps, "recommended_max_memory", lambda told=recommended: told)
        rows.append(rows_at_once(recipe, chosen))
    assert 1 <= rows[0] < rows[1]


class Told:
    """A tensor on Apple's GPU that writes down how it was copied."""

    shape, dtype, device = torch.Size((2,)), torch.float32, SimpleNamespace(type="mps")

    def __init__(self) -> None:
        self.how: list[object] = []

    def pin_memory(self) -> None:
        raise AssertionError("there is no page-locked memory for Apple's GPU")

    def to(self, *place: object, **how: object) -> "Told":
        self.how.append(how.get("non_blocking", False))
        return self

    def detach(self) -> "Told":
        return self


def test_no_copy_goes_on_beside_the_work(monkeypatch: pytest.MonkeyPatch, tmp_path: object) -> None:
    """A copy to or from Apple's GPU that nobody waits for may read freed memory (pytorch issues 139550, 189690)."""
    tensor = Told()
    batches = Batches.__new__(Batches)
    batches.device = SimpleNamespace(type="mps")  # type: ignore[assignment]
    assert batches._place(tensor) is tensor  # type: ignore[arg-type,comparison-overlap]
    assert tensor.how == [False]

    class Memory:
        def copy_(self, source: Told, non_blocking: bool) -> "Memory":
            source.how.append(non_blocking)
            return self

    def empty(*_: object, pin_memory: bool, **__: object) -> Memory:
        assert not pin_memory
        return Memory()

    monkeypatch.setattr(torch, "empty", empty)
    keeper = Saver.__new__(Saver)
    keeper._buffer = {}
    keeper._copy({"weight": tensor})  # type: ignore[dict-item]
    assert tensor.how == [False, False]


def test_memory_is_asked_of_the_right_device(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.mps, "driver_allocated_memory", lambda: 123)
    assert device.memory_in_use("mps") == {"memory_in_use_bytes": 123}
    assert device.memory_in_use("cpu") == {}


def test_it_is_not_shared_by_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(Problem, match="no collectives") as refused, joined("mps", 1.0):
        pass
    assert refused.value.key == "hardware.processes"


def test_a_device_starts_with_no_switch_of_cuda() -> None:
    chosen = Device("mps", "fp32", False, torch.get_num_threads(), "", "")
    with chosen.started():
        assert not torch.are_deterministic_algorithms_enabled()
