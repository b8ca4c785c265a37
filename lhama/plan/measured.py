"""The speed that `lhama tune` measured, where it is of the same network on the same machine as the plan.

In: a run's folder and the recipe that is planned. Out: tokens per second, or None where there is nothing that fits. A
measurement is of one shape (network, vocabulary, sequence) on one machine (accelerator and how many): another shape or
machine is another speed, so it is left aside rather than scaled.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from lhama.plan.hardware import Accelerator, accelerator
from lhama.plan.layout import Recipe

MEASUREMENT = "tune.json"


def shape_of(recipe: Recipe) -> dict[str, Any]:
    """Return what decides about the work of one token, as tune.json keeps it under "shape"."""
    return {
        "model": recipe.model.model_dump(mode="json"),
        "vocabulary": recipe.tokens.vocabulary,
        "sequence": recipe.tokens.sequence,
    }


def machine_of(device: Accelerator, count: int) -> dict[str, Any]:
    """Return what decides about a machine's speed, as tune.json keeps it under "machine"."""
    return {"accelerator": device.name, "label": device.label, "count": count}


def measured_speed(folder: Path, recipe: Recipe) -> float | None:
    """Return the tokens per second of the best row in a run's tune.json; None without one of this work."""
    try:
        found = json.loads((folder / MEASUREMENT).read_bytes())
        best, shape, machine = found["best"]["tokens_per_second"], found["shape"], found["machine"]
    except (OSError, ValueError, LookupError, TypeError):
        return None
    wanted = machine_of(accelerator(recipe.hardware.accelerator), recipe.hardware.count)
    here = isinstance(machine, dict) and {key: machine.get(key) for key in wanted} == wanted
    same = here and shape == shape_of(recipe)
    return float(best) if same and isinstance(best, int | float) and best > 0 else None
