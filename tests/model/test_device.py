"""The choice of device, precision and compilation, each with its reason."""

import shutil
import sysconfig
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from lhama.model import device
from lhama.plan import arithmetic, hardware
from lhama.plan.arithmetic import expected_seconds, training_flops
from lhama.plan.computing import WORTH_COMPILING
from lhama.plan.problem import Problem
from lhama.plan.recipe import Recipe, load

ON_CPU = "hardware.accelerator='cpu'"


def demo(*changes: str) -> Recipe:
    return load("demo", [ON_CPU, *changes])


def with_processor(monkeypatch: pytest.MonkeyPatch, **flags: bool) -> None:
    machine = replace(
        hardware.this_machine(), avx512_bf16=flags.get("avx512_bf16", False), amx_bf16=flags.get("amx_bf16", False)
    )
    monkeypatch.setattr(hardware, "this_machine", lambda: machine)


@pytest.mark.parametrize(
    ("flags", "precision", "reason"),
    [
        ({}, "fp32", "neither"),
        ({"avx512_bf16": True}, "bf16", "AVX-512"),
        ({"avx512_bf16": True, "amx_bf16": True}, "bf16", "AMX"),
    ],
)
def test_precision_follows_the_processor(
    flags: dict[str, bool], precision: str, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_processor(monkeypatch, **flags)
    chosen = device.pick(demo("train.precision='auto'"))
    assert chosen.precision == precision
    assert reason in chosen.why_precision
    assert chosen.dtype == {"fp32": torch.float32, "bf16": torch.bfloat16}[precision]
    assert device.pick(demo("train.precision='fp32'")).precision == "fp32"


def test_a_short_run_is_not_compiled_and_a_long_one_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device, "missing_compiler", lambda kind: None)
    recipe = demo("train.compile='auto'")
    monkeypatch.setattr(arithmetic, "expected_seconds", lambda *_: WORTH_COMPILING - 1)
    chosen = device.pick(recipe)
    assert not chosen.compile and "would not win back" in chosen.why_compile
    monkeypatch.setattr(arithmetic, "expected_seconds", lambda *_: WORTH_COMPILING + 1)
    assert device.pick(recipe).compile


def test_without_a_compiler_auto_goes_on_and_on_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    chosen = device.pick(demo("train.compile='auto'"))
    assert not chosen.compile and "no C++ compiler" in chosen.why_compile
    with pytest.raises(Problem, match=r"train\.compile: cannot compile: there is no C\+\+ compiler"):
        device.pick(demo("train.compile='on'"))
    assert not device.pick(demo("train.compile='off'")).compile


def test_without_python_headers_nothing_is_compiled(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: f"/usr/bin/{name}")
    monkeypatch.setattr(sysconfig, "get_paths", lambda: {"include": str(tmp_path)})
    assert "headers of Python" in str(device.missing_compiler("cpu"))
    (tmp_path / "Python.h").touch()
    assert device.missing_compiler("cpu") is None


def test_expected_seconds_are_operations_over_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    with_processor(monkeypatch)
    recipe = demo()
    rate = hardware.usable_cores() * hardware.CORE_OTHER
    assert expected_seconds(recipe, hardware.accelerator("cpu"), "fp32") == pytest.approx(training_flops(recipe) / rate)


def test_threads_and_what_is_described() -> None:
    chosen = device.pick(demo("train.threads=1", "train.compile='off'"))
    assert (chosen.kind, chosen.threads, chosen.compile) == ("cpu", 1, False)
    assert chosen.place == torch.device("cpu")
    described = chosen.describe()
    assert described["torch"] == torch.__version__
    assert {"instruction_set", "precision", "compile", "threads", "why_compile"} <= set(described)
    assert device.pick(demo()).threads == hardware.usable_cores()
