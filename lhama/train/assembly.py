"""Everything that training needs, built: a recipe, a run with tokens and a device go in, a Training comes out.

The stage runs the loop with it; a probe of `lhama tune` takes a few of its steps, so what is tried is what trains. The
subtle thing: the vocabulary is opened only by what reads text, so a probe does with tokens that nobody wrote.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from lhama.model.bits import bits_per_byte
from lhama.model.config import LlamaConfig
from lhama.model.device import Device
from lhama.model.generate import complete_many
from lhama.model.llama import Llama
from lhama.plan.recipe import Recipe
from lhama.plan.schedule import phases
from lhama.record.meter import Meter
from lhama.record.run import Run
from lhama.tokens.loader import HeldOut, Loader, heldout, read_index
from lhama.tokens.vocabulary import Vocabulary
from lhama.train.batches import Batches, rows_at_once
from lhama.train.data import open_streams
from lhama.train.evidence import keep_evidence
from lhama.train.guard import Guard
from lhama.train.loop import Training
from lhama.train.mirror import Mirror
from lhama.train.parallel import build, compiled, of_size, way, whole
from lhama.train.saver import Saver
from lhama.train.world import World

if TYPE_CHECKING:
    from lhama.train.parallel import Optimizer


def assemble(
    recipe: Recipe, run: Run, world: World, device: Device, folder: Path, records: Path, inputs: dict[str, str]
) -> Training:
    """Build everything that training needs, at step 0; it writes its checkpoints to `folder` and rows to `records`."""
    tokens = run.path("tokens")
    index = read_index(tokens)
    model = Llama(LlamaConfig.from_recipe(recipe, index["vocabulary"]))
    model.init_weights(recipe.seed)
    optimizer = build(recipe, world, device, model.to(device.place))
    model.compute_with(device.attention, recipe.train.gradient_checkpointing, recipe.train.loss_tokens)
    streams = open_streams(recipe, run, world.rank, world.local_size)
    loader = Loader(tokens, phases(recipe), recipe.tokens.sequence, recipe.tokens.packing, recipe.seed, streams)
    separator = index["eos"] if recipe.train.documents_apart else None
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
        validate=lambda: score(training, held_out, int(recipe.train.validate_megabytes * 1e6)),
        sample=lambda: _write_samples(training, Vocabulary.load(tokens)),
        guard=Guard(
            recipe, records, lambda *figures: keep_evidence(records, loader, Vocabulary.load(tokens), *figures)
        ),
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


def score(training: Training, held_out: list[HeldOut], limit: int | None = None) -> dict[str, Any] | None:
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
