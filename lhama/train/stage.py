"""Integers in, checkpoints out: the training stage, from a recipe and a tokens folder to `train/`.

It builds four things - a model with its optimizer, batches, a meter, and the Training that holds them - continues from
the newest checkpoint that is whole, and runs the loop. At the end all held-out text is scored, a model of tales is
judged, and final.json says what came out. A signal leaves the stage unfinished, with a checkpoint to continue from.
"""

from pathlib import Path
from typing import Any

from lhama.model.bits import bits_per_byte
from lhama.model.config import LlamaConfig
from lhama.model.device import Device, pick
from lhama.model.exact import before_cuda
from lhama.model.generate import complete_many
from lhama.model.llama import Llama
from lhama.plan.recipe import Recipe
from lhama.plan.schedule import phases, total_steps
from lhama.record import console
from lhama.record.files import disk_problems, write_json
from lhama.record.meter import Meter
from lhama.record.run import Run
from lhama.record.stages import Stage
from lhama.tokens.loader import HeldOut, Loader, heldout, read_index
from lhama.tokens.vocabulary import Vocabulary
from lhama.train import save
from lhama.train.allocator import keep_freed_memory
from lhama.train.batches import Batches, rows_at_once
from lhama.train.data import adopt, is_streamed, open_streams
from lhama.train.evidence import keep_evidence
from lhama.train.followers import Follower, entered, records_of
from lhama.train.guard import Guard
from lhama.train.judge import judge
from lhama.train.loop import Training, fit
from lhama.train.mirror import Mirror
from lhama.train.parallel import Optimizer, build, compiled, of_size, sharing_cores, way, whole
from lhama.train.resume import go_back, resume
from lhama.train.saver import Saver
from lhama.train.signals import Stopped
from lhama.train.world import World, joined, take_own_gpu

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
            with sharing_cores(device, recipe, world).started() as started:
                training = _build(recipe, run, world, started, stage, inputs)
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


def _build(
    recipe: Recipe, run: Run, world: World, device: Device, stage: Stage | Follower, inputs: dict[str, str]
) -> Training:
    """Build everything that training needs, at step 0."""
    folder, records = stage.folder, records_of(stage)
    tokens = run.path("tokens")
    vocabulary = Vocabulary.load(tokens)
    model = Llama(LlamaConfig.from_recipe(recipe, read_index(tokens)["vocabulary"]))
    model.init_weights(recipe.seed)
    optimizer = build(recipe, world, device, model.to(device.place))
    model.compute_with(device.attention, recipe.train.gradient_checkpointing)
    streams = open_streams(recipe, run, world.rank, world.local_size)
    loader = Loader(tokens, phases(recipe), recipe.tokens.sequence, recipe.tokens.packing, recipe.seed, streams)
    separator = vocabulary.eos if recipe.train.documents_apart else None
    batches = Batches(loader, rows_at_once(of_size(recipe, world), device), device.place, world, separator=separator)
    held_out = heldout(tokens)
    training = Training(
        recipe=recipe,
        folder=folder,
        model=model,
        optimizer=optimizer,
        loss=compiled(optimizer, model) if device.compile else model.loss,
        batches=batches,
        meter=Meter(records),
        validate=lambda: _score(training, held_out, int(recipe.train.validate_megabytes * 1e6)),
        sample=lambda: _write_samples(training, vocabulary),
        guard=Guard(recipe, records, lambda *figures: keep_evidence(records, loader, vocabulary, *figures)),
        saver=_saver(recipe, folder, world),
        tokenizer=tokens,
        inputs=inputs,
        environment=_environment(device, batches, optimizer),
        until=run.until,
        world=world,
    )
    return training


def _saver(recipe: Recipe, folder: Path, world: World) -> Saver:
    train = recipe.train
    mirror = (
        None if train.mirror is None or not world.first else Mirror(Path(train.mirror).expanduser(), folder, train.keep)
    )
    return Saver(folder, train.keep, train.save_in_background, mirror)


def _environment(device: Device, batches: Batches, optimizer: Optimizer) -> dict[str, Any]:
    """List what the last bits of a result depend on."""
    facts = {key: value for key, value in device.describe().items() if not key.startswith("why_")}
    return {**facts, "micro_batch": batches.most_rows, "processes": way(optimizer, batches.world)}


def _score(training: Training, held_out: list[HeldOut], limit: int | None = None) -> dict[str, Any] | None:
    """Measure bits per byte on held-out text, each source apart; None where nothing was held out."""
    if not held_out:
        return None
    world, sequence = training.world, training.recipe.tokens.sequence
    with whole(training.optimizer, training.model) as model:
        figures = bits_per_byte(
            model,
            held_out,
            sequence,
            limit_bytes=limit,
            part=(world.rank, world.size),
            collect=lambda own: world.collect("bits", own),
        ).figures()
    figures["scored_tokens"] = figures.pop("tokens")  # a row's `tokens` are those trained on
    return figures


def _write_samples(training: Training, vocabulary: Vocabulary) -> list[tuple[str, str]]:
    """Let the model continue the recipe's prompts, with the same draws each time; the first process writes."""
    recipe = training.recipe
    prompts = recipe.train.sample_prompts if training.world.first else ()
    settings = recipe.serve.model_copy(update={"max_new_tokens": recipe.train.sample_tokens})
    ids = [[vocabulary.bos, *vocabulary.encode(prompt)] for prompt in prompts]
    with whole(training.optimizer, training.model) as model:
        answers = complete_many(model, ids, settings, recipe.seed, stop=(vocabulary.eos,), purpose="sample")
    return [(prompt, vocabulary.decode(answer)) for prompt, answer in zip(prompts, answers, strict=True)]


def _finish(training: Training, run: Run, stage: Stage | Follower) -> None:
    """Score all held-out text, judge a model of tales, and write final.json."""
    recipe = training.recipe
    validation = _score(training, heldout(run.path("tokens")))
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
        "final.json", "*.jsonl", "profile/*", "*/trainer/*", "*/manifest.json", *(f"{name}/*" for name in others)
    )


def _judge(training: Training, run: Run) -> dict[str, Any]:
    """Judge a model of tales, in the first process."""
    with whole(training.optimizer, training.model) as model:
        if not training.world.first:
            return {}
        recipe = training.recipe
        return {"tales": judge(model, Vocabulary.load(run.path("tokens")), recipe.serve, recipe.seed)}
