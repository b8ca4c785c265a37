"""`lhama tune`: short, fair probes on this machine; a recipe, a run, minutes go in, the fastest way to train comes out.

Each probe is a process that takes real steps of the recipe's training (tune_probe.py), so memory that ends is a result
and no crash. The search (tune_search.py) changes one thing at a time and keeps what makes the run shorter at the same
loss. What was found is written to the run as tune.json, from which `lhama plan` takes the speed and `lhama train` the
settings (tuned.py). Nothing here imports torch: a context on a GPU would take memory from the probes.
"""

from __future__ import annotations

import platform
import shutil
import tempfile
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from lhama.plan.arithmetic import expected_utilization, flops_per_token, parameters, peak, precision_on
from lhama.plan.hardware import Accelerator, accelerator
from lhama.plan.measured import MEASUREMENT, machine_of, shape_of
from lhama.plan.problem import Problem
from lhama.plan.recipe import Recipe
from lhama.plan.schedule import total_tokens
from lhama.record.files import write_json
from lhama.record.run import Run
from lhama.record.stages import stage_lock
from lhama.train.data import available_memory
from lhama.train.tune_factors import factors, ladder
from lhama.train.tune_job import Job
from lhama.train.tune_process import Answer, Workplace
from lhama.train.tune_report import progress_line, report
from lhama.train.tune_search import Search, Settings
from lhama.train.tune_tokens import tokens_for_probes

COMPARED, LEAST = 4, 3  # steps
SHARE_OF_A_STEP = 1 / 150  # of the minutes; longer steps are probed with a part of their rows
SHARE_OF_TIMING = 1 / 40  # of the minutes, for the timed steps of one probe
LONGEST_TIMING, LONGEST_STEP = 20.0, 8.0  # seconds
TIDYING = 2.0  # seconds for the end: removing what probes left, writing, showing
SHARE_OF_MEMORY = 0.9  # of what is available: a probe may take so much, the rest of the system keeps some


def tune(recipe: Recipe, run: Run, minutes: float, begun: float | None = None) -> dict[str, Any]:
    """Find the fastest settings within some minutes of a moment of time.monotonic(), and write them to the run."""
    begun = time.monotonic() if begun is None else begun
    if minutes <= 0:
        raise Problem(f"{minutes:g} minutes are no time", key="--minutes", remedy="give it three or more")
    if stage_lock(run.folder, "train").holder():
        raise Problem(
            f"{run.name} is training, and probes beside it would measure neither", remedy="tune when it is done"
        )
    lock = stage_lock(run.folder, "tune")
    lock.take()
    try:
        for left_over in run.folder.glob("tune-*/job.json"):  # of a tuning that was killed
            shutil.rmtree(left_over.parent, ignore_errors=True)
        home = Path(tempfile.mkdtemp(prefix="tune-", dir=run.folder))
        try:
            found = _search(recipe, run, home, begun, 60 * minutes)
        finally:
            shutil.rmtree(home, ignore_errors=True)
    finally:
        lock.free()
    write_json(run.folder / MEASUREMENT, found)
    return found


def _search(recipe: Recipe, run: Run, home: Path, begun: float, seconds: float) -> dict[str, Any]:
    device = accelerator(recipe.hardware.accelerator)
    batch = probed_tokens(recipe, device, seconds)
    own = tokens_for_probes(recipe, run, home, 64 * batch)
    job = Job(
        recipe=str(home / "recipe.toml"),
        run=str(home),
        answer=str(home / "answer.json"),
        batch_tokens=batch,
        compared=COMPARED,
        least=LEAST,
        seconds=0.0,
        memory_bytes=int(SHARE_OF_MEMORY * available_memory()) or None if device.name == "cpu" else None,
    )
    place = Workplace(recipe, job)
    timing = min(LONGEST_TIMING, max(1.0, seconds * SHARE_OF_TIMING))

    def measure(settings: Settings, variables: Mapping[str, str], limit: float) -> tuple[Answer, float]:
        return place.probe(settings, variables, limit, timing)

    def left() -> float:
        return begun + seconds - TIDYING - time.monotonic()

    search = Search(measure, left, total_tokens(recipe), recipe.train.batch_tokens, progress_line)
    start = search.start(ladder(recipe))
    if start is None:
        raise Problem(
            f"no probe came to an end: {search.rows[-1].answer.get('error', 'it took no step')}",
            remedy="give it more --minutes, or a smaller model",
        )
    for factor in factors(recipe, start.answer, start.settings, own):
        search.explore(factor)
    drift = search.repeat()
    facts = {
        "made": datetime.now(UTC).isoformat(timespec="seconds"),
        "seconds": round(time.monotonic() - begun, 1),
        "minutes": seconds / 60,
        "tokens": "of the run" if own else "made up",
        "probed_batch_tokens": batch,
        "drift": drift,
        "machine": machine_of(device, 1) | {"host": platform.node(), "torch": version("torch")},
        "shape": shape_of(recipe),
    }
    return facts | report(recipe, device, search)


def probed_tokens(recipe: Recipe, device: Accelerator, seconds: float) -> int:
    """Return the tokens of a probe's step: the recipe's batch, or as many rows as the time for a step has room for."""
    count = parameters(recipe.model, recipe.tokens.vocabulary)["total"]
    per_token = flops_per_token(recipe.model, recipe.tokens.vocabulary, recipe.tokens.sequence)["palm"]
    rate = peak(device, precision_on(recipe, device)) * expected_utilization(device, count) / per_token
    wanted = rate * min(LONGEST_STEP, seconds * SHARE_OF_A_STEP)
    rows = min(recipe.train.batch_tokens // recipe.tokens.sequence, max(1, int(wanted / recipe.tokens.sequence)))
    return rows * recipe.tokens.sequence
