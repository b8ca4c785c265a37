"""Take steps of a prepared run on the stand-in for a GPU, and say how often they waited for it."""

import json
import sys
from pathlib import Path

import stand_in_gpu

from lhama.model.device import pick
from lhama.plan.recipe import load
from lhama.record.run import Run
from lhama.train.assembly import assemble
from lhama.train.world import ALONE


def main(recipe_path: str, runs: str, *changes: str) -> None:
    """Print the waits of three steps, and of reading their figures, and where the weights lie."""
    recipe = load(recipe_path, changes)
    device = pick(recipe)
    device.start()
    folder = Path(runs) / "steps"
    training = assemble(recipe, Run.open(recipe, Path(runs)), ALONE, device, folder, folder, {})
    waits = stand_in_gpu.Device
    with training.batches:
        waits.reset()
        for _ in range(3):
            training.take_step()
        stepping = waits.waits
        training.read()
        reading = waits.waits - stepping
        on_gpu = all(weight.is_cuda for weight in training.model.parameters())
    found = {
        "stepping": stepping,
        "reading": reading,
        "on_gpu": on_gpu,
        "precision": device.precision,
    }
    sys.stdout.write(f"{json.dumps(found)}\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
