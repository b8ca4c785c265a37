"""The switches for the same bits: what is chosen for which device, and that all is put back afterwards."""

import os

import pytest
import torch

from lhama.model import device, exact
from lhama.model.device import Chip
from lhama.model.exact import FIXED, WORKSPACE, before_cuda, present, promised, settings
from lhama.plan.problem import Problem
from lhama.plan.recipe import load

HOPPER = Chip("cuda", capability=(9, 0))
ASKED = "train.deterministic=true"


@pytest.fixture
def no_workspace(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the environment be as if nobody had asked before, and put it back."""
    monkeypatch.setenv(WORKSPACE, "")
    monkeypatch.delenv(WORKSPACE)


def with_cuda(patch: pytest.MonkeyPatch, *, begun: bool) -> None:
    patch.setattr(torch.cuda, "is_available", lambda: True)
    patch.setattr(torch.cuda, "is_initialized", lambda: begun)


@pytest.mark.parametrize(
    ("kind", "asked", "held"), [("cpu", False, True), ("cpu", True, True), ("cuda", False, False), ("cuda", True, True)]
)
def test_who_is_held_to_a_fixed_order(kind: str, asked: bool, held: bool) -> None:
    assert promised(asked, kind) == held
    chosen = settings(kind, promised(asked, kind))
    assert (chosen.algorithms, chosen.cudnn_deterministic, chosen.cudnn_attention) == (held, held, not held)
    assert not chosen.cudnn_benchmark and not chosen.fill_memory


def test_a_recipe_decides_for_a_gpu_that_is_not_here() -> None:
    recipe = load("demo", ["train.precision=auto", "train.compile=off"])
    assert not device.pick(recipe, HOPPER).deterministic
    found = device.pick(load("demo", [ASKED, "train.compile=off"]), HOPPER)
    assert found.deterministic and found.kind == "cuda"
    assert device.pick(recipe, Chip("cpu")).deterministic


def test_apples_gpu_promises_nothing() -> None:
    with pytest.raises(Problem, match="no fixed order") as refused:
        device.pick(load("demo", [ASKED]), Chip("mps", system=(15, 0)))
    assert refused.value.key == "train.deterministic"


@pytest.mark.usefixtures("no_workspace")
def test_cublas_is_told_before_cuda_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    before_cuda(True)
    assert WORKSPACE not in os.environ  # nothing to tell where there is no GPU
    with_cuda(monkeypatch, begun=False)
    before_cuda(False)
    assert WORKSPACE not in os.environ
    before_cuda(True)
    assert os.environ[WORKSPACE] == FIXED[0]
    before_cuda(True)  # a second training in the same process


@pytest.mark.usefixtures("no_workspace")
def test_a_setting_that_promises_nothing_is_refused_and_so_is_one_that_comes_too_late(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with_cuda(monkeypatch, begun=True)
    with pytest.raises(Problem, match=r"CUDA was started without it.*export CUBLAS_WORKSPACE_CONFIG=:4096:8"):
        before_cuda(True)
    monkeypatch.setenv(WORKSPACE, ":16:8")
    before_cuda(True)  # the user's own choice stays
    assert os.environ[WORKSPACE] == ":16:8"
    monkeypatch.setenv(WORKSPACE, ":0:0")
    with pytest.raises(Problem, match="it is :0:0"):
        before_cuda(True)


@pytest.mark.parametrize("asked", ["true", "false"])
def test_a_block_changes_the_switches_and_puts_them_back(asked: str) -> None:
    before, threads = present(), torch.get_num_threads()
    recipe = load("demo", [f"train.deterministic={asked}", "hardware.accelerator=cpu", "train.threads=1"])
    with device.pick(recipe).started() as started:
        assert started.deterministic
        assert torch.are_deterministic_algorithms_enabled() and torch.get_num_threads() == 1
        assert not torch.utils.deterministic.fill_uninitialized_memory  # type: ignore[attr-defined]
        assert torch._inductor.config.deterministic  # no kernels are measured against each other
    assert (present(), torch.get_num_threads()) == (before, threads)
    with pytest.raises(ZeroDivisionError), device.pick(recipe).started():
        raise ZeroDivisionError
    assert (present(), torch.get_num_threads()) == (before, threads)


def test_a_gpu_that_was_not_asked_is_free_again() -> None:
    before = present()
    try:
        settings("cuda", fixed=True).apply()
        assert present() == settings("cuda", fixed=True)
        exact.settings("cuda", fixed=False).apply()
        assert not present().algorithms and present().cudnn_attention
    finally:
        before.apply()
