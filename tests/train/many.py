"""Train a prepared run with several processes on this machine, over gloo and loopback, as torchrun starts them."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from tests.train.conftest import Place

ROOT = Path(__file__).parents[2]
LONG = ("train.tokens=61440", "train.save_every=5120", "train.validate_every=10240", "train.sample_every=20480")
PATIENCE = 240  # seconds; longer than any of these trainings takes on a busy machine


def environment() -> dict[str, str]:
    """Keep all talk on loopback and every process on one core."""
    return {**os.environ, "GLOO_SOCKET_IFNAME": "lo", "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}


def torchrun(place: Place, *options: str, changes: tuple[str, ...] = ()) -> subprocess.Popen[str]:
    """Start torchrun with some options on the training of a place."""
    program = [sys.executable, "-m", "torch.distributed.run", *options, "-m", "lhama.cli", "train"]
    recipe = [str(place.folder / "pequeno.toml"), "--runs", str(place.folder / "runs")]
    settings = [word for change in changes for word in ("--set", change)]
    return subprocess.Popen(
        [*program, *recipe, *settings],
        cwd=place.folder,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def finish(process: subprocess.Popen[str]) -> str:
    """Wait for the end within the patience and return what was said; the workers end with torchrun."""
    try:
        said, _ = process.communicate(timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
        said, _ = process.communicate()
        raise AssertionError(f"not done after {PATIENCE} s:\n{said}") from None
    return said


def train(place: Place, processes: int, *changes: str) -> Path:
    """Train with so many processes to the end and return the folder of training."""
    process = torchrun(place, "--standalone", f"--nproc-per-node={processes}", changes=changes)
    said = finish(process)
    assert process.returncode == 0, said
    return place.train


def pair(module: str, *words: str) -> list[str]:
    """Run a module as two processes that find each other without torchrun and must end well; return what they said."""
    there = {**environment(), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port())}
    there |= {"WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2"}
    processes = [
        subprocess.Popen(
            [sys.executable, "-m", module, *words],
            cwd=ROOT,
            env={**there, "RANK": str(rank), "LOCAL_RANK": str(rank)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for rank in range(2)
    ]
    try:
        said = [finish(process) for process in processes]
    finally:
        for process in processes:
            process.kill()
    assert [process.returncode for process in processes] == [0, 0], "\n".join(said)
    return said


def wait_for(condition: Callable[[], Any], process: subprocess.Popen[str]) -> None:
    """Wait until something is so; a process that ends before is a failure."""
    end = time.monotonic() + PATIENCE
    while not condition():
        assert process.poll() is None and time.monotonic() < end, finish(process)
        time.sleep(0.01)


def workers(process: subprocess.Popen[str]) -> list[int]:
    """List the processes that a torchrun has started."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    return [int(word) for word in children.read_text().split()]


def kill(pid: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def free_port() -> int:
    """Find a port of loopback that nobody uses."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])
