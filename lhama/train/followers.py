"""How several processes enter one stage: the first works in it, the others follow and leave no trace.

In: a run, its inputs and a World. Out: for the first process the stage itself, with lock, ledger and manifest; for
every other one a Follower, which works from the same folder. All processes run the same lines, since what a step
decides (going back, leaving a batch out) must be decided alike by all. So a follower writes its records, too, but into
a folder of its own that vanishes with it.
The subtle thing: the energy of this machine is in the first process's ledger. On each further machine one follower
keeps a ledger, whose rows count no seconds: the time of a stage is counted once, its energy everywhere.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from lhama.plan.disk import training_needs
from lhama.record.energy import track
from lhama.record.run import Run
from lhama.record.stages import Stage
from lhama.train.guard import INCIDENTS, ROLLBACKS
from lhama.train.world import World


@dataclass(frozen=True)
class Follower:
    """A stage as a process sees it that is not the first."""

    folder: Path
    records: Path
    done: bool

    def incomplete(self) -> None:
        """Leave it to the first process to say so."""


@contextmanager
def entered(run: Run, world: World, inputs: Mapping[str, str], layout: int) -> Iterator[Stage | Follower]:
    """Enter the training stage of a run, each process in its way."""
    if world.first:
        room = partial(training_needs, run.recipe)
        with run.stage("train", inputs=inputs, format=layout, in_place=True, needs=room) as stage:
            world.say("entered", {"done": stage.done})
            yield stage
        return
    done = world.hear("entered")["done"]
    folder = run.path("train")
    with TemporaryDirectory(prefix="lhama-") as records, _ledger(run, world, done):
        yield Follower(folder, Path(records), done)


def _ledger(run: Run, world: World, done: bool) -> AbstractContextManager[None]:
    if done or world.local_rank or not world.node:
        return nullcontext()
    folder = run.path("train") / f"node-{world.node}"
    folder.mkdir(exist_ok=True)
    return track(folder, run.recipe, "train", world.node)


def records_of(stage: Stage | Follower) -> Path:
    """Say where a process writes its records."""
    return stage.records if isinstance(stage, Follower) else stage.folder


def take_decisions(folder: Path, records: Path) -> None:
    """Give a follower's records what was decided about bad steps before it was started."""
    for name in (INCIDENTS, ROLLBACKS) if records != folder else ():
        if (folder / name).exists():
            shutil.copyfile(folder / name, records / name)
