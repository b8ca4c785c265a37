"""One of two processes that train runs, one after the other, while something goes wrong, as a list of cases says.

In: a JSON file of cases. Each is a training in a place of its own, with changes of the recipe and what happens: bad
batches in all processes or one, a signal or the end of the time in one of them, a folder that is lost before. Out:
`ended-RANK.json`, how each case ended in this process: "done", "stopped after step N" or the Problem.
"""

import json
import os
import shutil
import signal
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import torch.distributed as dist

from lhama.plan.problem import Problem
from lhama.plan.recipe import load
from lhama.record import console
from lhama.train import guard, launch, loop, stage
from tests.train.test_guard import bad_batches


def train(case: dict[str, Any], rank: int) -> str:
    """Train one case in this process, with what goes wrong in it."""
    place = Path(case["place"])
    if rank == 0 and "lost" in case:
        shutil.rmtree(place / case["lost"])
    if "few" in case:
        guard.FEWEST = case["few"]
    recipe = load(place / "pequeno.toml", case["changes"])
    reached: list[int] = []
    honest_fit, honest_step = loop.fit, loop.Training.take_step

    def fit(training: loop.Training, go_back: Any) -> bool:
        finished = honest_fit(training, go_back)
        reached.append(0 if finished else training.step)
        return finished

    def take_step(self: loop.Training) -> None:
        if self.step + 1 == case.get("signal") and self.world.rank == 1:
            os.kill(os.getpid(), signal.SIGTERM)
        honest_step(self)

    def stop_moment(self: loop.Training) -> float | None:
        over = self.step >= case.get("time is up", 1000) and self.world.rank == 1
        return 0.0 if over else None  # a moment of time.monotonic() that is long over

    with ExitStack() as stack, pytest.MonkeyPatch.context() as patch:
        patch.setattr(stage, "fit", fit)
        patch.setattr(loop.Training, "take_step", take_step)
        if "bad" in case:
            settings = {"value": case.get("value", float("nan")), "rank": case.get("rank")}
            stack.enter_context(bad_batches(*case["bad"], **settings))
        if "time is up" in case:
            patch.setattr(loop.Training, "stop_moment", stop_moment)
        try:
            stage.run_stage(recipe, launch.open_run(recipe, place / "runs", ()))
        except (Problem, SystemExit) as error:
            return str(error)
    return f"stopped after step {reached[0]}" if reached[0] else "done"


def main(path: str) -> None:
    """Train every case, each with a port of its own for the processes to meet at."""
    rank, ended = int(os.environ["RANK"]), []
    console.quiet(bool(rank))
    for case in json.loads(Path(path).read_text()):
        os.environ["MASTER_PORT"] = str(case["port"])
        ended.append(train(case, rank))
        if dist.is_initialized():
            dist.destroy_process_group()
    Path(path).with_name(f"ended-{rank}.json").write_text(json.dumps(ended))


if __name__ == "__main__":
    main(sys.argv[1])
