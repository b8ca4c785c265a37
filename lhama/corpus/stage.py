"""The story of the corpus room: find the sources, read them, decide, write the shards, tell what happened.

In goes text of many kinds, out comes corpus/: data/train-*.parquet and data/heldout-*.parquet in the order (source,
file, row), rejected/ with a reason for each document that was dropped, report.json, and a dataset card. Parts and
shards are whole or absent, so a killed stage goes on where it was and ends with the same bytes.
"""

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from shutil import rmtree
from typing import Any

from lhama.corpus.card import make_card
from lhama.corpus.dedup import Places, decide
from lhama.corpus.pool import work
from lhama.corpus.report import make_report, survey
from lhama.corpus.shards import REJECTED, Planner, Writing, write_shard
from lhama.corpus.sources import CorpusSource, cut, find_sources
from lhama.corpus.staged import Staged
from lhama.corpus.units import Done, Part, read_part
from lhama.plan.problem import Problem
from lhama.plan.recipe import Recipe
from lhama.record import console
from lhama.record.files import write_json, write_text
from lhama.record.run import Run

FORMAT = 1
WORTH_A_PROCESS = 8 << 20  # bytes on disk; less is read before a second process has started


def run_stage(recipe: Recipe, run: Run) -> None:
    """Make the clean corpus of a recipe."""
    sources = find_sources(recipe, run.folder.parent / ".hub")  # no run can have this name
    with run.stage("corpus", inputs=_inputs(sources, run), format=FORMAT) as stage:
        if stage.done:
            return
        stage.keep_out("rejected/*", "report.json", "README.md")
        staging = stage.folder / "staging"
        if not (stage.folder / "README.md").is_file():
            _make(recipe, sources, stage.folder, staging)
        rmtree(staging, ignore_errors=True)


def _make(recipe: Recipe, sources: tuple[CorpusSource, ...], folder: Path, staging: Path) -> None:
    """Make everything in the stage's folder; the card comes last and says that all is there."""
    workers = _workers(recipe, sources)
    _read(recipe, sources, staging, workers)

    staged, places = Staged(staging), Places(sources)
    console.say("Looking for repeated names, copies of held-out text and exact duplicates.")
    decisions = decide(staged, places)
    funnel, planner = survey(staged, places, decisions, recipe)
    report = make_report(funnel, staged, places, decisions)

    corpus = recipe.corpus
    writing = Writing(staging, folder, places, decisions, corpus.minimum_characters, corpus.exact_duplicates)
    _write(writing, planner, corpus.keep_rejected, workers)
    write_json(folder / "report.json", report)
    write_text(folder / "README.md", make_card(recipe.name, report))
    _tell(report)


def _inputs(sources: tuple[CorpusSource, ...], run: Run) -> dict[str, str]:
    """Name what the stage reads: files by their content, a dataset of the Hub by its commit."""
    files: dict[str, Path] = {}
    inputs: dict[str, str] = {}
    for source in sources:
        if source.origin.startswith("hf://"):
            inputs[f"{source.name}/hub"] = source.origin
        else:
            files |= {f"{source.name}/{file.label}": file.path for file in source.files if file.path is not None}
    return inputs | run.hash_inputs(files)


def _workers(recipe: Recipe, sources: tuple[CorpusSource, ...]) -> int:
    """Take all cores, or fewer where there is little to read."""
    size = sum(file.bytes for source in sources for file in source.files)
    return recipe.corpus.workers or max(1, min(os.cpu_count() or 1, size // WORTH_A_PROCESS))


def _read(recipe: Recipe, sources: tuple[CorpusSource, ...], staging: Path, workers: int) -> None:
    """Stage every unit, part by part."""
    staging.mkdir(exist_ok=True)
    first = [Part(unit, 0, staging, recipe.seed) for unit in cut(sources)]
    documents, megabytes = 0, 0.0
    following: Callable[[Done], Part | None] = lambda done: done.next  # noqa: E731 - a name for its type
    with console.progress("reading", unit="MB of text") as bar:
        for done in work(read_part, first, workers, following):
            documents += done.documents
            megabytes += done.bytes / 1e6
            bar.update(round(megabytes, 1), documents=documents, source=done.part.unit.source.name)


def _write(writing: Writing, planner: Planner, keep_rejected: bool, workers: int) -> None:
    """Write every shard of the plan."""
    plan = planner.shards()
    if not plan["train"][0].rows:
        raise Problem("no document is left for training", key="corpus.source", remedy="add text")
    if not plan["heldout"][0].rows:
        console.warn("No document fell into the held-out split (one in fifty does); nothing can be measured on it.")
    tasks = [
        (shard, len(shards)) for split, shards in plan.items() if keep_rejected or split != REJECTED for shard in shards
    ]
    with console.progress("writing", total=sum(shard.rows for shard, _ in tasks), unit="documents") as bar:
        for rows in work(partial(_write_one, writing), tasks, min(workers, len(tasks))):
            bar.advance(rows)


def _write_one(writing: Writing, task: Any) -> int:
    shard, total = task
    return write_shard(writing, shard, total)


def _tell(report: dict[str, Any]) -> None:
    """Say the funnel in a few lines."""
    totals = report["totals"]
    rows = [
        [reason, of["documents"], f"{of['bytes'] / 1e6:.1f}", of["meaning"]] for reason, of in report["reasons"].items()
    ]
    if rows:
        console.table("dropped", ["reason", "documents", "MB", "meaning"], rows)
    console.say(
        f"{totals['documents_in']:,} documents read: {totals['kept']:,} kept ({totals['bytes_out'] / 1e6:,.1f} MB), "
        f"{totals['heldout']:,} held out, {totals['dropped']:,} dropped."
    )
    if report["broken_total"]:
        console.warn(f"{report['broken_total']:,} rows could not be read; rejected/ and report.json say which and why.")
    if report["replaced_characters"]:
        console.say(f"{report['replaced_characters']:,} characters U+2581 became spaces.")
