"""What several rooms' tests share: the real command in a process of its own that cannot leave loopback."""

import gc
import importlib
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# Other work on the machine must not fail a test: how long an example takes says nothing about what it shows.
settings.register_profile("lhama", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("lhama")

HERE = Path(__file__).parent
HOUSE = HERE.parent / "lhama"
TINY = HERE / "tiny.toml"
Command = Callable[..., subprocess.CompletedProcess[str]]


def run_lhama(*words: str, cwd: Path, check: bool = True, seconds: float = 900) -> subprocess.CompletedProcess[str]:
    """Run the real command in `cwd`; attempts to leave loopback land in cwd/connections and fail."""
    path = os.pathsep.join([str(HERE / "offline"), *filter(None, [os.environ.get("PYTHONPATH")])])
    environment = dict(os.environ, PYTHONPATH=path, LHAMA_TEST_CONNECTIONS=str(cwd / "connections"))
    environment["OMP_NUM_THREADS"] = "1"
    done = subprocess.run(
        [sys.executable, "-c", "from lhama.cli import main; main()", *words],
        capture_output=True,
        text=True,
        cwd=cwd,
        env=environment,
        check=False,
        timeout=seconds,
    )
    assert not check or done.returncode == 0, f"lhama {' '.join(words)}\n{done.stdout}\n{done.stderr}"
    return done


def pytest_configure() -> None:
    """Share the kernels among the workers, where none is compiled yet: they begin at both ends of the list and meet.

    Left to the imports of the tests, each worker would compile all of them, at the same time as the others.
    """
    worker = os.environ.get("PYTEST_XDIST_WORKER", "")
    if not worker:
        return
    from lhama.corpus import words

    statistics = [value.stats for value in vars(words).values() if hasattr(value, "stats")]
    if all(of.cache_hits for of in statistics):
        return
    sources = sorted(path for room in ("corpus", "tokens") for path in (HOUSE / room).rglob("*.py"))
    names = [
        ".".join(path.relative_to(HOUSE.parent).with_suffix("").parts)
        for path in sources
        if "@numba.njit" in path.read_text(encoding="utf-8")
    ]
    for name in names if int(worker.removeprefix("gw")) % 2 else reversed(names):
        importlib.import_module(name)


@pytest.hookimpl(trylast=True)
def pytest_collection_finish() -> None:
    """Freeze what was imported: each training in a test collects garbage first, and would look at all of it again."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def _no_wait_for_the_disk() -> Iterator[None]:
    """Count as on the disk what the system has taken: nothing here cuts the power. Other processes do wait for it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda file: os.fstat(file if isinstance(file, int) else file.fileno()))
        yield


@pytest.fixture(scope="session")
def lhama() -> Command:
    return run_lhama


@pytest.fixture(scope="session")
def tiny_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which `lhama run` has done the whole tiny demo: runs/demo is complete."""
    home = tmp_path_factory.mktemp("home")
    done = run_lhama("run", str(TINY), cwd=home)
    (home / "first-run.txt").write_text(done.stdout + done.stderr, encoding="utf-8")
    return home
