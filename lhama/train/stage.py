"""Integers in, checkpoints out: the training stage, from a recipe and a tokens folder to `train/`.

It builds four things - a model with its optimizer, batches, a meter, and the Training that holds them - continues from
the newest checkpoint that is whole, and runs the loop. At the end all held-out text is scored, a model of tales is
judged, and final.json says what came out. A signal leaves the stage unfinished, with a checkpoint to continue from.
"""

from pathlib import Path
from typing import Any

import torch

from lhama.model.bits import bits_per_byte
from lhama.model.config import LlamaConfig
from lhama.model.device import Device, pick
from lhama.model.generate import complete_many
from lhama.model.llama import Llama
from lhama.plan.recipe import Recipe
from lhama.plan.schedule import phases, total_steps
from lhama.record import console
from lhama.record.files import write_json
from lhama.record.meter import Meter
from lhama.record.run import Run
from lhama.record.stages import Stage
from lhama.tokens.loader import HeldOut, Loader, heldout, read_index
from lhama.tokens.vocabulary import Vocabulary
from lhama.train import save
from lhama.train.allocator import keep_freed_memory
from lhama.train.batches import Batches, rows_at_once
from lhama.train.evidence import stop_with_evidence
from lhama.train.judge import judge
from lhama.train.loop import Training, fit, resume
from lhama.train.optim import AdamW

FORMAT = 1
MOST_EPOCHS = 4  # up to so many, repeated text is worth about as much as new text (Muennighoff et al. 2023)


def run_stage(recipe: Recipe, run: Run) -> None:
    """Train, or continue where training stopped."""
    inputs = {"tokens": run.identity("tokens")}
    with run.stage("train", inputs=inputs, format=FORMAT, in_place=True) as stage:
        if stage.done:
            return
        run.verify("tokens")
        keep_freed_memory()
        training = _build(recipe, run, stage.folder, inputs)
        _warn_of_repetition(training.batches.loader, total_steps(recipe))
        resume(training)
        finished = fit(training)
        if finished:
            _finish(training, run, stage)
        else:
            stage.incomplete()
    if not finished:
        raise SystemExit(f"stopped after step {training.step}; the same command continues")


def _warn_of_repetition(loader: Loader, steps: int) -> None:
    """Say which sources are repeated so often that little more is learned from them (Muennighoff et al. 2023)."""
    often = {name: epochs for name, epochs in loader.epochs(steps).items() if epochs > MOST_EPOCHS}
    if often:
        listed = ", ".join(f"{name} {epochs:.1f} times" for name, epochs in often.items())
        console.warn(
            f"This run reads {listed}. Past {MOST_EPOCHS} times a text teaches less and less; add text, train shorter, "
            "or give other sources more weight."
        )


def _build(recipe: Recipe, run: Run, folder: Path, inputs: dict[str, str]) -> Training:
    """Build everything that training needs, at step 0."""
    device = pick(recipe)
    device.start()
    tokens = run.path("tokens")
    vocabulary = Vocabulary.load(tokens)
    model = Llama(LlamaConfig.from_recipe(recipe, read_index(tokens)["vocabulary"]))
    model.init_weights(recipe.seed)
    optimizer = AdamW(
        model.to(device.place),
        weight_decay=recipe.train.weight_decay,
        betas=(recipe.train.beta1, recipe.train.beta2),
        epsilon=recipe.train.epsilon,
        clip=recipe.train.clip,
        compute=device.dtype,
    )
    loader = Loader(tokens, phases(recipe), recipe.tokens.sequence, recipe.tokens.packing, recipe.seed)
    batches = Batches(loader, rows_at_once(recipe, device), device.place)
    held_out = heldout(tokens)
    return Training(
        recipe=recipe,
        folder=folder,
        model=model,
        optimizer=optimizer,
        loss=torch.compile(model.loss, fullgraph=True, dynamic=False) if device.compile else model.loss,
        batches=batches,
        meter=Meter(folder),
        validate=lambda: _score(recipe, model, held_out, int(recipe.train.validate_megabytes * 1e6)),
        sample=lambda: _write_samples(recipe, model, vocabulary),
        on_not_finite=lambda *figures: stop_with_evidence(folder, loader, vocabulary, *figures),
        tokenizer=tokens,
        inputs=inputs,
        environment=_environment(device, batches),
    )


def _environment(device: Device, batches: Batches) -> dict[str, Any]:
    """List what the last bits of a result depend on."""
    facts = {key: value for key, value in device.describe().items() if not key.startswith("why_")}
    return {**facts, "micro_batch": batches.most_rows}


def _score(recipe: Recipe, model: Llama, held_out: list[HeldOut], limit: int | None = None) -> dict[str, Any] | None:
    """Measure bits per byte on held-out text, each source apart; None where nothing was held out."""
    if not held_out:
        return None
    figures = bits_per_byte(model, held_out, recipe.tokens.sequence, limit_bytes=limit).figures()
    figures["scored_tokens"] = figures.pop("tokens")  # a row's `tokens` are those trained on
    return figures


def _write_samples(recipe: Recipe, model: Llama, vocabulary: Vocabulary) -> list[tuple[str, str]]:
    """Let the model continue the recipe's prompts, with the same draws each time."""
    prompts = recipe.train.sample_prompts
    settings = recipe.serve.model_copy(update={"max_new_tokens": recipe.train.sample_tokens})
    ids = [[vocabulary.bos, *vocabulary.encode(prompt)] for prompt in prompts]
    answers = complete_many(model, ids, settings, recipe.seed, stop=(vocabulary.eos,), purpose="sample")
    return [(prompt, vocabulary.decode(answer)) for prompt, answer in zip(prompts, answers, strict=True)]


def _finish(training: Training, run: Run, stage: Stage) -> None:
    """Score all held-out text, judge a model of tales, and write final.json."""
    recipe, model = training.recipe, training.model
    checkpoint = save.folder_name(training.step)
    final: dict[str, Any] = {
        "tokens": training.tokens,
        "steps": training.step,
        "seconds": training.clock.seconds(),
        "checkpoint": checkpoint,
        "parameters": model.parameters_by_role(),
        "epochs": training.batches.loader.epochs(training.step),
        "validation": _score(recipe, model, heldout(run.path("tokens"))),
        "environment": dict(training.environment),
    }
    if any(source.kind == "tales" for source in recipe.corpus.source):
        vocabulary = Vocabulary.load(run.path("tokens"))
        final["tales"] = judge(model, vocabulary, recipe.serve, recipe.seed)
    write_json(training.folder / "final.json", final)
    # Later stages build on the last weights; the others come and go, and records of time are never twice the same.
    stage.hashed(save.hashes(training.folder))
    others = {folder.name for folder in training.folder.glob("step-*")} - {checkpoint}
    stage.keep_out("final.json", "*.jsonl", "*/trainer/*", "*/manifest.json", *(f"{name}/*" for name in others))
