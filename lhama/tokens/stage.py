"""The tokens stage: a vocabulary, then every document as integers.

In goes the finished corpus, out come the tokenizer's files, a stream per source, tokens.json (what lies where) and
fertility.json. Killed at any moment, it goes on with the first shard that has no record. How the rows are cut
(`tokens.sequence`, `tokens.packing`) is not decided here, so another length never tokenizes again.
"""

import os
from collections import Counter
from pathlib import Path
from typing import Any

from lhama.plan.disk import encoding_needs
from lhama.plan.problem import Problem
from lhama.plan.recipe import Recipe
from lhama.record import console, files
from lhama.record.room import bytes_in
from lhama.record.run import Run
from lhama.tokens import encode, fertility, tokenizer_json
from lhama.tokens.blocks import HASHES, TABLE, write_blocks
from lhama.tokens.encoder import open_encoder
from lhama.tokens.loader import usable
from lhama.tokens.vocabulary import Vocabulary, VocabularySettings, check_size, train_vocabulary

FORMAT = 1


def run_stage(recipe: Recipe, run: Run) -> None:
    """Make the tokens of a run."""
    inputs = {"corpus": run.identity("corpus"), **_own_tokenizer(recipe, run)}

    def needs() -> int:
        return encoding_needs(bytes_in(run.path("corpus") / "data"), recipe.tokens.vocabulary)

    with run.stage("tokens", inputs=inputs, format=FORMAT, needs=needs) as stage:
        if stage.done:
            return
        run.verify("corpus")
        stage.keep_out("fertility.json")
        corpus, folder = run.path("corpus"), stage.folder
        vocabulary = _vocabulary(recipe, corpus, folder)
        if not (folder / "tokens.json").exists():
            index = _encode(corpus, folder, vocabulary, recipe.tokens.vocabulary)
            files.write_json(folder / "tokens.json", index)
        index = files.read_json(folder / "tokens.json")
        files.write_json(folder / "fertility.json", fertility.of_index(index))
        encode.clean(folder)
        stage.keep_out(TABLE, HASHES)
        stage.hashed(write_blocks(folder, index))
    _tell(index, fertility.of_index(index))


def _own_tokenizer(recipe: Recipe, run: Run) -> dict[str, str]:
    """Hash the files of the user's own tokenizer: its content counts, not where it lies."""
    if recipe.tokens.from_ is None:
        return {}
    origin = recipe.resolve(recipe.tokens.from_)
    present = {name: origin / name for name in tokenizer_json.TOKENIZER_FILES if (origin / name).is_file()}
    return run.hash_inputs(present)


def _vocabulary(recipe: Recipe, corpus: Path, folder: Path) -> Vocabulary:
    """Train the vocabulary, take the user's own, or open the one that an earlier start left."""
    settings = recipe.tokens
    threads = settings.workers or _cores()
    if settings.from_ is not None:
        tokenizer_json.adopt(recipe.resolve(settings.from_), folder)
        vocabulary = Vocabulary.load(folder, threads)
        check_size(vocabulary.size, settings.vocabulary)
        return vocabulary
    if not (folder / tokenizer_json.LAST_WRITTEN).exists():
        budget = settings.sample_megabytes * 1_000_000
        console.say(f"training a vocabulary of {settings.vocabulary:,} pieces")
        wanted = VocabularySettings(settings.vocabulary, budget, recipe.seed, threads)
        train_vocabulary(encode.samples(corpus), wanted, folder)
    return Vocabulary.load(folder, threads)


def _encode(corpus: Path, folder: Path, vocabulary: Vocabulary, size: int) -> dict[str, Any]:
    """Encode every shard and return tokens.json."""
    (folder / encode.UNITS).mkdir(exist_ok=True)
    encoder = open_encoder(vocabulary)
    if encoder.slow_because:
        console.say(f"the library encodes, about ten times as slowly: {encoder.slow_because}")
    made: dict[str, dict[str, list[encode.Entry]]] = {split: {} for split in encode.FILES}
    todo = {split: encode.shards(corpus, split) for split in encode.FILES}
    total = sum(encode.text_bytes(shard) for shards in todo.values() for shard in shards)
    with console.progress("text to tokens", total / 1e6, "MB") as bar:
        for split, shards in todo.items():
            for shard in shards:
                before = Counter({source: len(entries) for source, entries in made[split].items()})
                done = encode.encode_shard(shard, folder, encoder, before, lambda size: bar.advance(size / 1e6))
                for source, entry in done.items():
                    made[split].setdefault(source, []).append(entry)
    entries = [
        encode.assemble(folder, name, made["train"].get(name, []), made["heldout"].get(name, []), encoder.dtype)
        for name in sorted(made["train"].keys() | made["heldout"].keys())
    ]
    ids = {"bos": vocabulary.bos, "eos": vocabulary.eos, "pad": vocabulary.pad, "unk": vocabulary.unk}
    totals = {key: sum(entry[key] for entry in entries) for key in ("documents", "tokens", "bytes")}
    index = {"format": FORMAT, "vocabulary": size, "dtype": encoder.dtype, **ids, "totals": totals, "sources": entries}
    if not usable(index):
        raise Problem("the corpus has no training document", remedy="see corpus/report.json for what was dropped")
    return index


def _tell(index: dict[str, Any], measured: dict[str, Any]) -> None:
    totals = index["totals"]
    said = f"{totals['tokens']:,} tokens of {totals['documents']:,} documents from {len(index['sources'])} sources"
    if measured["tokens_per_word"]:
        said += (
            f"; {measured['tokens_per_word']:.2f} tokens per word, {measured['bytes_per_token']:.2f} bytes per token"
        )
    console.say(said)


def _cores() -> int:
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # macOS and Windows
        return os.cpu_count() or 1
