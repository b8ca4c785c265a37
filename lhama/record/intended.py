"""A recipe's plan with what this place knows: the measured speed of its run, and how several accelerators are started.

In: a recipe, the words that named it, and the folder of the runs. Out: the plan as a document, with a `launch` part for
more than one accelerator; and, when asked, a Slurm script beside the recipe.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lhama.plan.problem import Problem
from lhama.record.files import write_text

if TYPE_CHECKING:
    from lhama.plan.recipe import Recipe


def intend(recipe: Recipe, what: str, runs: Path, changes: Sequence[str] = (), slurm: bool = False) -> dict[str, Any]:
    """Plan a recipe with the speed that `lhama tune` measured for its run, where it did."""
    from lhama.plan.budget import plan
    from lhama.plan.cluster import torchrun_line
    from lhama.plan.measured import measured_speed

    speed = measured_speed(runs / recipe.name, recipe)
    found = plan(recipe, speed)
    line = torchrun_line(recipe, what)
    if slurm and line is None:
        raise Problem(
            "one accelerator needs no Slurm script of ours", key="--slurm", remedy="set hardware.count above 1"
        )
    if line is not None:
        script = str(_write_script(recipe, what, runs, list(changes), speed)) if slurm else None
        found["launch"] = {"torchrun": line, "slurm": script}
        found["tables"].append({"title": "How it is started, on every machine alike", "rows": _rows(line, script)})
    return found


def _rows(line: str, script: str | None) -> list[list[str]]:
    rows = [["torchrun", line, ""]]
    return rows + ([["Slurm", f"sbatch {script}", "written now"]] if script else [])


def _write_script(recipe: Recipe, what: str, runs: Path, changes: list[str], speed: float | None) -> Path:
    """Write the script beside the recipe's file; a script that is there may hold the user's own lines."""
    from lhama.plan.bill import bill
    from lhama.plan.cluster import slurm_script

    path = (Path(what).parent if Path(what).is_file() else Path()) / f"{recipe.name}.slurm"
    if path.exists():
        raise Problem(f"{path} exists already", key="--slurm", remedy="move it away, or edit that file")
    write_text(path, slurm_script(recipe, what, changes, str(runs), bill(recipe, speed)))
    return path
