"""Where training goes on: at the newest checkpoint that is whole and lies on the path that was taken.

In: a Training at step 0. Out: the same at the step of that checkpoint, with the records cut back to it. Checkpoints are
compared with their hashes first; damaged ones are put aside, those that a rollback left behind are taken out, and where
none is left the mirror is asked.
The subtle thing: going back after a bad step is a resume, too, so it makes no difference whether a process that decided
to go back lives on or dies on the spot.
"""

from collections.abc import Mapping
from typing import Any

import torch

from lhama.model.llama import Llama
from lhama.record import console
from lhama.record.files import read_json
from lhama.train import save
from lhama.train.figures import Clock, Sums
from lhama.train.followers import take_decisions
from lhama.train.guard import belongs
from lhama.train.loop import Training


def resume(training: Training) -> None:
    """Continue from the newest checkpoint, here or in the mirror, if there is one, and cut the records back to it.

    Of several processes the first prepares the folder, and all read it.
    """
    training.world.from_first("resume", lambda: _prepare(training))
    take_decisions(training.folder, training.guard.folder)
    training.guard.read_decisions()
    _load_newest(training)
    if training.step:
        console.say(f"Continuing after step {training.step} from {save.folder_name(training.step)}.")


def _prepare(training: Training) -> None:
    save.tidy(training.folder)
    if training.saver.mirror is not None:
        training.saver.mirror.open()
    save.set_damaged_aside(training.folder)
    training.guard.read_decisions()
    _leave_abandoned(training)
    if not save.checkpoints(training.folder) and training.saver.mirror is not None:
        training.saver.mirror.restore(lambda step, state: belongs(step, state["guard"], training.guard.spans))


def go_back(training: Training) -> None:
    """Do what the guard decided: continue from before the skipped steps."""
    training.saver.settle()
    training.taken.clear()
    training.world.from_first("back", lambda: _clear_path(training))
    _load_newest(training)
    console.say(f"Back at step {training.step}." if training.step else "Back at the beginning: no checkpoint is older.")


def _clear_path(training: Training) -> None:
    _leave_abandoned(training)
    if training.saver.mirror is not None:
        training.saver.mirror.drop(max(save.checkpoints(training.folder), default=0))


def _load_newest(training: Training) -> None:
    folder = next(reversed(save.checkpoints(training.folder).values()), None)
    if folder is not None:
        found = save.read(folder)
        state = found.state
        training.step = training.saved = int(state["step"])
        training.optimizer.load(found.weights, found.moments, int(state.get("updates", training.step)))
        training.sums = Sums(**state["sums"])
        if training.optimizer.loss_scale and state.get("loss_scale"):
            training.optimizer.loss_scale.load(state["loss_scale"])
        training.clock = Clock(before=max(training.clock.seconds(), float(state["seconds"])))
        training.guard.restore(training.step, state.get("guard", {}))
        compare_environment(state["environment"], training.environment)
    elif training.step:
        _begin_again(training)
    else:
        training.guard.restore(0, {})
    training.meter.cut_back(training.step - 1)


def _begin_again(training: Training) -> None:
    """Make the first weights once more; they are a function of the seed."""
    model = Llama(training.model.config)
    model.init_weights(training.recipe.seed)
    weights = {name: weight.detach() for name, weight in model.named_parameters()}
    moments = {
        f"{which}.{name}": torch.zeros_like(weight) for name, weight in weights.items() for which in ("first", "second")
    }
    training.optimizer.load(weights, moments, updates=0)
    training.step, training.saved, training.sums = 0, -1, Sums()
    training.guard.restore(0, {})


def _leave_abandoned(training: Training) -> None:
    """Take out the checkpoints of a path that a rollback has left."""
    for step, folder in save.checkpoints(training.folder).items():
        if not belongs(step, read_json(folder / save.STATE).get("guard", {}), training.guard.spans):
            save.abandon(folder)


def compare_environment(then: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """Say what differs of all that the last bits of a result depend on."""
    # A key that an older checkpoint does not have yet says nothing.
    differing = [f"{key} {then[key]} -> {value}" for key, value in now.items() if then.get(key, value) != value]
    if differing:
        console.warn(
            f"This is not how the checkpoint was made: {', '.join(differing)}. "
            "Training goes on, equal up to rounding but not bit for bit."
        )
