"""What several rooms' tests share: the real command in a process of its own that cannot leave loopback."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# Other work on the machine must not fail a test: how long an example takes says nothing about what it shows.
settings.register_profile("lhama", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("lhama")

HERE = Path(__file__).parent
TINY = HERE / "tiny.toml"
Command = Callable[..., subprocess.CompletedProcess[str]]


def run_lhama(*words: str, cwd: Path, check: bool = True, threads: int | None = 1) -> subprocess.CompletedProcess[str]:
    """Run the real command in `cwd`; attempts to leave loopback land in cwd/connections and fail."""
    path = os.pathsep.join([str(HERE / "offline"), *filter(None, [os.environ.get("PYTHONPATH")])])
    environment = dict(os.environ, PYTHONPATH=path, LHAMA_TEST_CONNECTIONS=str(cwd / "connections"))
    if threads is not None:
        environment["OMP_NUM_THREADS"] = str(threads)
    done = subprocess.run(
        [sys.executable, "-c", "from lhama.cli import main; main()", *words],
        capture_output=True,
        text=True,
        cwd=cwd,
        env=environment,
        check=False,
        timeout=900,
    )
    assert not check or done.returncode == 0, f"lhama {' '.join(words)}\n{done.stdout}\n{done.stderr}"
    return done


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
