"""What training takes over from `lhama tune`: a recipe and a run go in, the recipe with tuned settings comes out.

Only operational keys that the recipe leaves at their default change, so no result does, beyond rounding; and only where
tune.json is of this shape on this machine. The subtle thing is a resume: training goes on as it began, to the bit. So
what was taken over is written into the training's folder, and counts from then on, whatever is tuned later.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lhama.plan.keys import kind_of
from lhama.plan.measured import MEASUREMENT, measured_speed
from lhama.plan.problem import Problem
from lhama.plan.recipe import Recipe
from lhama.plan.writing import value
from lhama.record import console
from lhama.record.files import read_json, write_json
from lhama.record.run import Run
from lhama.train.save import checkpoints
from lhama.train.tune_factors import is_free
from lhama.train.tune_process import changed

TAKEN = "tuned.json"


def tuned(recipe: Recipe, run: Run, alone: bool = True) -> tuple[Recipe, dict[str, Any]]:
    """Return the recipe with the settings that were tuned for it, and these; a tuning is of one process alone."""
    folder = run.path("train")
    before = _settings(folder / TAKEN)
    if before is not None:
        return _with(recipe, before)
    if not alone or checkpoints(folder) or measured_speed(run.folder, recipe) is None:
        return recipe, {}
    found = read_json(run.folder / MEASUREMENT)["best"]
    recipe, taken = _with(recipe, found.get("settings", {}))
    if taken:
        listed = ", ".join(f"{key} = {value(one)}" for key, one in taken.items())
        speed = f"{found['tokens_per_second']:,.0f} tokens/s when tuned"
        console.plain(f"From lhama tune: {listed} ({speed}). A value in the recipe or --set goes before it.")
    return recipe, taken


def note_taken(folder: Path, taken: dict[str, Any]) -> None:
    """Write down what was taken over, for every later process of this training."""
    if taken and not (folder / TAKEN).exists():
        write_json(folder / TAKEN, {"settings": taken})


def _settings(path: Path) -> dict[str, Any] | None:
    if not path.is_file():
        return None
    found: dict[str, Any] = read_json(path)["settings"]
    return found


def _with(recipe: Recipe, settings: dict[str, Any]) -> tuple[Recipe, dict[str, Any]]:
    """Change those keys that change no result and that the recipe leaves open."""
    taken = {key: one for key, one in settings.items() if kind_of(key) == "operational" and is_free(recipe, key)}
    if not taken:
        return recipe, {}
    try:
        return changed(recipe, taken), taken
    except Problem as problem:
        console.warn(f"The settings of {MEASUREMENT} are not used: {problem}")
        return recipe, {}
