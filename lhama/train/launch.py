"""Start several processes that train one model, and watch over them: a run goes in, a trained or stopped run comes out.

The parent does everything before and after training in one process and lets torchrun (torch.distributed.run) start one
process for each GPU in between. Each of them is the same command line, which finds torchrun's environment and works as
one of many (world.py). Nothing here imports torch, so that a machine without it can still plan.
The subtle thing: a wish to stop goes through a file that the first process looks at, once a step. A signal to torchrun
would give its processes half a minute, which a large checkpoint may need more than; a second signal ends them at once.
On Linux the kernel ends every process whose parent is gone, so none is left behind.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from types import FrameType

from lhama.plan import hardware
from lhama.plan.problem import Problem
from lhama.plan.recipe import Recipe
from lhama.record import console
from lhama.record.manifest import read_manifest
from lhama.record.run import Run
from lhama.train.signals import EXIT_CODE, WISHES

STOP_FILE = "LHAMA_STOP_FILE"  # in the environment of the processes: the file that appears when they are to stop
DIE_WITH_PARENT = 1  # PR_SET_PDEATHSIG of Linux' prctl
RENDEZVOUS = ("--standalone",)  # torchrun's word for all processes on this machine


def is_worker() -> bool:
    """Say whether torchrun started this process as one of several."""
    return int(os.environ.get("WORLD_SIZE", "1")) > 1


def rank() -> int:
    """Return this process's number among all that torchrun started."""
    return int(os.environ.get("RANK", "0"))


def processes(recipe: Recipe) -> int:
    """Say how many processes train on this machine: the recipe's number, or one for each GPU it plans with."""
    asked = recipe.hardware.processes
    if asked is not None:
        return asked
    if recipe.hardware.accelerator == "cpu" or recipe.hardware.count == 1:
        return 1
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    here = len(hardware.this_machine().gpus) if visible is None else len([one for one in visible.split(",") if one])
    if 0 < here < recipe.hardware.count:
        console.warn(
            f"The recipe plans with {recipe.hardware.count} GPUs and {here} are here: it trains on {here}. For several "
            "machines start it with torchrun on each."
        )
    return max(1, min(recipe.hardware.count, here))


def open_run(recipe: Recipe, runs: Path, again: Sequence[str]) -> Run:
    """Open the run of a recipe for work; of several processes only the first may change anything there."""
    if is_worker():
        die_with_parent()
    if rank():
        console.quiet(True)
        return Run(runs / recipe.name, recipe)
    return Run.open(recipe, runs, again=again)


def trained_by_many(run: Run) -> bool:
    """Train with several processes, where the recipe wants that and this is not one of them; say whether it did.

    Training up to a step, as `verify-resume` does it, is the work of one.
    """
    number = 1 if is_worker() or run.until.step is not None else processes(run.recipe)
    if number > 1:
        console.say(f"Starting {number} processes.")
        launch(run, number)
    return number > 1


def launch(run: Run, number: int) -> None:
    """Train a run with so many processes on this machine, until it is done or somebody asks to stop."""
    with TemporaryDirectory(prefix="lhama-") as folder:
        stop = Path(folder) / "stop"
        process = subprocess.Popen(
            _command(run, number),
            env=_environment(stop),
            start_new_session=True,  # Ctrl-C reaches this process alone, which passes the wish on
            preexec_fn=die_with_parent if sys.platform == "linux" else None,  # noqa: PLW1509 - one call into the kernel
            stdout=subprocess.DEVNULL if console.is_quiet() else None,
        )
        with _passing_on(stop, process):
            code = process.wait()
        ended = code == -signal.SIGKILL and stop.exists()  # by the second signal
    if ended:
        raise KeyboardInterrupt
    if code:
        raise Problem(
            f"one of the {number} processes that train {run.name} failed, and the others were ended",
            remedy="its message stands above; the same command goes on from the last checkpoint",
        )
    if read_manifest(run.path("train")) is None:
        console.warn("Stopped, with a checkpoint; the same command continues.")
        raise SystemExit(EXIT_CODE)


def die_with_parent() -> None:
    """Let the kernel end this process when the one that started it dies."""
    if sys.platform == "linux":
        with suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(DIE_WITH_PARENT, signal.SIGKILL)


def _command(run: Run, number: int) -> Sequence[str]:
    torchrun = [sys.executable, "-m", "torch.distributed.run", *RENDEZVOUS, f"--nproc-per-node={number}"]
    own = ["-m", "lhama.cli", "train", str(run.folder / "recipe.toml"), "--runs", str(run.folder.parent)]
    if run.until.moment is not None:
        own += ["--max-time", f"{max(1, int(run.until.moment - time.monotonic()))}s"]
    return [*torchrun, f"--max-restarts={run.recipe.hardware.restarts}", *own]


def _environment(stop: Path) -> dict[str, str]:
    """Add the file for the wish, and keep the talk between processes of one machine on it."""
    environment = {**os.environ, STOP_FILE: str(stop)}
    if sys.platform == "linux":
        environment.setdefault("GLOO_SOCKET_IFNAME", "lo")
    environment.setdefault("OMP_NUM_THREADS", "1")  # torchrun warns without; each process sets its own number
    return environment


@contextmanager
def _passing_on(stop: Path, process: subprocess.Popen[bytes]) -> Iterator[None]:
    """While the block runs, turn the first signal into the wish to stop and the second into the end."""

    def hear(number: int, _: FrameType | None) -> None:
        if stop.exists():
            process.kill()
            return
        stop.touch()
        name = signal.Signals(number).name
        console.warn(f"{name}: saving a checkpoint, then stopping. A second signal stops at once, unsaved.")

    before = {wish: signal.signal(wish, hear) for wish in WISHES}
    try:
        yield
    finally:
        for wish, handler in before.items():
            signal.signal(wish, handler)
