"""Start one probe as a process, watch its time, and turn whatever becomes of it into an answer.

In: settings, variables of the environment and seconds. Out: the probe's answer (tune_probe.py), or {"error": ...} with
what ended it. The subtle thing is who ends it: the probe itself says when torch finds no memory; where the kernel kills
it, or a library gives up, only the exit and the last words tell.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from lhama.plan.recipe import Recipe, dumps, loads
from lhama.plan.writing import value
from lhama.record.files import read_json, write_text
from lhama.train.tune_job import MEMORY, TIME, Job, speaks_of_memory

PROGRAM = (sys.executable, "-m", "lhama.train.tune_probe")

Answer = dict[str, Any]


@dataclass(frozen=True)
class Workplace:
    """Where probes work, and what all of them have in common."""

    recipe: Recipe
    job: Job
    program: tuple[str, ...] = PROGRAM

    def probe(
        self, settings: Mapping[str, Any], variables: Mapping[str, str], limit: float, seconds: float
    ) -> tuple[Answer, float]:
        """Try settings in a process for at most `limit` seconds, `seconds` of them timed; say how long it took."""
        begun = time.monotonic()
        home, answer = Path(self.job.run), Path(self.job.answer)
        answer.unlink(missing_ok=True)
        write_text(Path(self.job.recipe), dumps(changed(self.recipe, settings)))
        replace(self.job, seconds=seconds).write(home / "job.json")
        with (home / "log.txt").open("wb") as said:
            process = subprocess.Popen(
                [*self.program, str(home / "job.json")],
                stdout=said,
                stderr=said,
                env={**os.environ, **variables},
                start_new_session=True,
            )
            try:
                process.wait(timeout=max(1.0, limit))
            except subprocess.TimeoutExpired:
                return {"error": TIME}, time.monotonic() - begun
            finally:
                end(process)
        log = (home / "log.txt").read_text(encoding="utf-8", errors="replace")
        found = read_json(answer) if answer.is_file() else {"error": cause_of(process.returncode, log)}
        return found, time.monotonic() - begun


def end(process: subprocess.Popen[bytes]) -> None:
    """End a probe that is still there, and the compilers that it started: they are its session."""
    if process.poll() is None:
        if sys.platform == "win32":
            process.kill()
        else:
            os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def changed(recipe: Recipe, settings: Mapping[str, Any]) -> Recipe:
    """Return a recipe with other values for some of its dotted keys."""
    return loads(dumps(recipe), [f"{key}={value(one)}" for key, one in settings.items()], recipe.folder)


def cause_of(code: int, log: str) -> str:
    """Say what ended a process that left no answer."""
    if code in (-signal.SIGKILL, 128 + signal.SIGKILL):
        return f"{MEMORY} (ended by the system)"
    if speaks_of_memory(log):
        return MEMORY
    lines = [line.strip() for line in log.splitlines() if line.strip()]
    return f"failed: {lines[-1] if lines else f'exit code {code}'}"
