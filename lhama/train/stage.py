"""Integers in, checkpoints out: the training stage, from a recipe and a tokens folder to `train/`.

It has everything built that training needs (assembly.py), continues from the newest checkpoint that is whole, and runs
the loop. At the end all held-out text is scored, a model of tales is judged, and final.json says what came out. A
signal leaves the stage unfinished, with a checkpoint to continue from.
"""

from typing import Any

from lhama.model.device import pick
from lhama.model.exact import before_cuda
from lhama.plan.recipe import Recipe
from lhama.plan.schedule import total_steps
from lhama.record import console
from lhama.record.files import disk_problems, write_json
from lhama.record.run import Run
from lhama.record.stages import Stage
from lhama.tokens.loader import Loader, heldout
from lhama.tokens.vocabulary import Vocabulary
from lhama.train import save
from lhama.train.allocator import keep_freed_memory
from lhama.train.assembly import assemble, score
from lhama.train.data import adopt, is_streamed
from lhama.train.followers import Follower, entered, records_of
from lhama.train.judge import judge
from lhama.train.loop import Training, fit
from lhama.train.parallel import sharing_cores, whole
from lhama.train.resume import go_back, resume
from lhama.train.signals import Stopped
from lhama.train.tuned import TAKEN, note_taken, tuned
from lhama.train.world import joined, take_own_gpu

FORMAT = 1
MOST_EPOCHS = 4  # up to so many, repeated text is worth about as much as new text (Muennighoff et al. 2023)


def run_stage(recipe: Recipe, run: Run) -> None:
    """Train, or continue where training stopped; as one process, or as one of many that torchrun started."""
    before_cuda(recipe.train.deterministic and recipe.hardware.accelerator != "cpu")
    take_own_gpu()
    device = pick(recipe)
    with joined(device.kind, recipe.hardware.collective_seconds) as world, disk_problems(run.folder):
        world.from_first("adopt", lambda: adopt(recipe, run))
        inputs = {"tokens": run.identity("tokens")}
        with entered(run, world, inputs, FORMAT) as stage:
            if stage.done:
                return
            if not is_streamed(recipe, run):
                world.from_first("verify", lambda: run.verify("tokens"))
            keep_freed_memory()
            recipe, taken = tuned(recipe, run, world.alone)
            if taken:
                note_taken(stage.folder, taken)
                device = pick(recipe)
            with sharing_cores(device, recipe, world).started() as started:
                training = assemble(recipe, run, world, started, stage.folder, records_of(stage), inputs)
                _warn_of_repetition(training.batches.loader, total_steps(recipe))
                resume(training)
                finished = fit(training, go_back)
                if finished:
                    _finish(training, run, stage)
                else:
                    stage.incomplete()
    if not finished and world.alone:  # torchrun would take the exit code for a failure
        raise Stopped(training.step)


def _warn_of_repetition(loader: Loader, steps: int) -> None:
    """Say which sources are repeated so often that little more is learned from them (Muennighoff et al. 2023)."""
    often = {name: epochs for name, epochs in loader.epochs(steps).items() if epochs > MOST_EPOCHS}
    if often:
        listed = ", ".join(f"{name} {epochs:.1f} times" for name, epochs in often.items())
        console.warn(
            f"This run reads {listed}. Past {MOST_EPOCHS} times a text teaches less and less; add text, train shorter, "
            "or give other sources more weight."
        )


def _finish(training: Training, run: Run, stage: Stage | Follower) -> None:
    """Score all held-out text, judge a model of tales, and write final.json."""
    recipe = training.recipe
    validation = score(training, heldout(run.path("tokens")))
    verdict = _judge(training, run) if any(source.kind == "tales" for source in recipe.corpus.source) else {}
    if isinstance(stage, Follower):
        return
    checkpoint = save.folder_name(training.step)
    final: dict[str, Any] = {
        "tokens": training.tokens,
        "steps": training.step,
        "seconds": training.clock.seconds(),
        "checkpoint": checkpoint,
        "parameters": training.model.parameters_by_role(),
        "epochs": training.batches.loader.epochs(training.step),
        "validation": validation,
        "environment": dict(training.environment),
    }
    write_json(training.folder / "final.json", final | verdict)
    # Later stages build on the last weights; the others come and go, and records of time are never twice the same.
    stage.hashed(save.hashes(training.folder))
    others = {folder.name for folder in training.folder.glob("step-*")} - {checkpoint}
    stage.keep_out(
        "final.json", TAKEN, "*.jsonl", "profile/*", "*/trainer/*", "*/manifest.json", *(f"{name}/*" for name in others)
    )


def _judge(training: Training, run: Run) -> dict[str, Any]:
    """Judge a model of tales, in the first process."""
    with whole(training.optimizer, training.model) as model:
        if not training.world.first:
            return {}
        recipe = training.recipe
        return {"tales": judge(model, Vocabulary.load(run.path("tokens")), recipe.serve, recipe.seed)}
