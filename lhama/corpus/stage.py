"""The story of the corpus room: find the sources, read and measure them, decide, write the shards, tell what happened.

In goes text of many kinds. The first half, read/, holds every document as it came with all that was measured on it;
the second, corpus/, what the recipe makes of that: data/train-*.parquet and data/heldout-*.parquet in the order
(source, file, row), rejected/ with a reason for each document that was dropped, report.json and the page that shows it,
and a dataset card. So another threshold judges again what was read already. Parts and shards are whole or absent: a
killed stage goes on where it was and ends with the same bytes.
"""

import hashlib
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from lhama.corpus.advice import advice
from lhama.corpus.card import make_card
from lhama.corpus.cleaning import cleaning_of, compile_kernels, is_new_here
from lhama.corpus.dedup import decide
from lhama.corpus.inputs import inputs_of
from lhama.corpus.judging import Judging, judging_of
from lhama.corpus.memory import give_back_memory
from lhama.corpus.page import make_page
from lhama.corpus.places import Places
from lhama.corpus.pool import apart, work
from lhama.corpus.report import make_report, survey
from lhama.corpus.rule_table import load_thresholds
from lhama.corpus.shards import REJECTED, Planner, Writing, write_shard
from lhama.corpus.sources import CorpusSource, cut, find_sources
from lhama.corpus.staged import Staged
from lhama.corpus.tools import files_read, make_tools, reports
from lhama.corpus.units import Done, Part, read_part
from lhama.plan.disk import reading_needs
from lhama.plan.problem import Problem
from lhama.plan.recipe import Recipe
from lhama.record import console
from lhama.record.files import write_json, write_text
from lhama.record.room import bytes_in
from lhama.record.run import Run

FORMAT = 3
SCRATCH = "scratch"  # of the folder corpus/: there while decisions are taken
TOOLS = "tools"  # of the folder read/: what was trained or indexed before the reading
TOLD = 12  # lines of the table of reasons; what has no room is summed in the last one
WORTH_A_PROCESS = 8 << 20  # bytes on disk; less is read before a second process has started


def run_stage(recipe: Recipe, run: Run) -> None:
    """Make the clean corpus of a recipe."""
    judging = judging_of(recipe)  # what is wrong in it is refused before hours of reading
    home = run.folder.absolute()  # the nodes of a cluster stand elsewhere
    sources = find_sources(recipe, home.parent / ".hub")  # no run can have this name
    files = [(file.label, file.bytes) for source in sources for file in source.files]
    inputs = _inputs(recipe, sources, run)
    with run.stage("read", inputs=inputs, format=FORMAT, needs=lambda: reading_needs(files)) as stage:
        if not stage.done:
            make_tools(recipe, stage.folder / TOOLS)
            _read(recipe, sources, home / stage.folder.name, _workers(recipe, sources))
    inputs = {"read": run.identity("read"), **run.hash_inputs(_files_that_judge(recipe))}
    with run.stage("corpus", inputs=inputs, format=FORMAT, needs=lambda: bytes_in(home / "read")) as stage:
        if stage.done:
            return
        stage.keep_out("rejected/*", "report.json", "report.html", "README.md")
        if not (stage.folder / "README.md").is_file():
            _make(recipe, judging, sources, home / stage.folder.name, home / "read")


def _make(recipe: Recipe, judging: Judging, sources: tuple[CorpusSource, ...], folder: Path, read: Path) -> None:
    """Make everything in the stage's folder; the card comes last and says that all is there."""
    shard_bytes = recipe.corpus.shard_megabytes * 1_000_000
    staged, places = Staged(read), Places(sources)
    console.say("Looking for repeated names, copies of held-out text and exact duplicates.")
    decisions = decide(staged, places, judging, folder / SCRATCH)
    funnel, findings, planner = survey(staged, places, decisions, judging, shard_bytes)
    report = make_report(funnel, findings, staged, places, decisions, judging)
    report["tools"] = reports(recipe, read / TOOLS)
    report["advice"] = advice(report)
    for source in report["sources"]:
        source["content"] = recipe.contents[source["name"]]

    writing = Writing(read, folder, places, decisions, judging)
    give_back_memory()  # the slices of decisions are gone, and the writers begin
    _write(writing, planner, recipe, _workers(recipe, sources))
    write_json(folder / "report.json", report)
    write_text(folder / "report.html", make_page(recipe.name, report))
    write_text(folder / "README.md", make_card(recipe.name, report))
    _tell(report, read.with_name("corpus") / "report.html")


def _inputs(recipe: Recipe, sources: tuple[CorpusSource, ...], run: Run) -> dict[str, str]:
    """Name what the stage reads: sources, and all files that say what is to be done to their documents."""
    files = files_read(recipe)
    if recipe.corpus.opt_out:
        files["opt_out"] = Path(recipe.corpus.opt_out)
    inputs = inputs_of(sources, run) | run.hash_inputs(files)
    if recipe.corpus.thresholds_file:  # of which the judge asks the rest
        words = load_thresholds(recipe.language, Path(recipe.corpus.thresholds_file)).stop_words
        inputs["stop_words"] = hashlib.sha256(" ".join(words).encode()).hexdigest()
    return inputs


def _files_that_judge(recipe: Recipe) -> dict[str, Path]:
    """Name the files whose content the judge asks for."""
    file = recipe.corpus.thresholds_file
    return {"thresholds": Path(file)} if file else {}


def _workers(recipe: Recipe, sources: tuple[CorpusSource, ...]) -> int:
    """Take all cores, or fewer where there is little to read."""
    size = sum(file.bytes for source in sources for file in source.files)
    return recipe.corpus.workers or max(1, min(os.cpu_count() or 1, size // WORTH_A_PROCESS))


def _read(recipe: Recipe, sources: tuple[CorpusSource, ...], folder: Path, workers: int) -> None:
    """Read every unit, part by part."""
    cleanings = [cleaning_of(recipe, source, folder / TOOLS) for source in recipe.corpus.source]
    opt_out = Path(recipe.corpus.opt_out) if recipe.corpus.opt_out else None
    domains = any(source.documents_per_domain is not None for source in recipe.corpus.source)
    first = (
        Part(unit, 0, folder, recipe.seed, cleanings[unit.source.number], opt_out, domains) for unit in cut(sources)
    )
    if is_new_here():
        console.say("Compiling the kernels of these steps for this machine, once: up to a minute.")
        apart(compile_kernels, cleanings)  # the compiler takes half a gigabyte and would keep it
    documents, megabytes = 0, 0.0
    following: Callable[[Done], Part | None] = lambda done: done.next  # noqa: E731 - a name for its type
    with console.progress("reading", unit="MB of text") as bar:
        for done in work(read_part, first, workers, following, recipe.corpus.engine):
            documents += done.documents
            megabytes += done.bytes / 1e6
            bar.update(round(megabytes, 1), documents=documents, source=done.part.unit.source.name)


def _write(writing: Writing, planner: Planner, recipe: Recipe, workers: int) -> None:
    """Write every shard of the plan."""
    plan = planner.shards()
    if not plan["train"][0].rows:
        raise Problem("no document is left for training", key="corpus.source", remedy="add text")
    if not plan["heldout"][0].rows:
        console.warn("No document fell into the held-out split (one in fifty does); nothing can be measured on it.")
    tasks = [
        (shard, len(shards))
        for split, shards in plan.items()
        if recipe.corpus.keep_rejected or split != REJECTED
        for shard in shards
    ]
    with console.progress("writing", total=sum(shard.rows for shard, _ in tasks), unit="documents") as bar:
        write = partial(_write_one, writing)
        for rows in work(write, tasks, min(workers, len(tasks)), engine=recipe.corpus.engine):
            bar.advance(rows)


def _write_one(writing: Writing, task: Any) -> int:
    shard, total = task
    rows = write_shard(writing, shard, total)
    give_back_memory()
    return rows


def _tell(report: dict[str, Any], page: Path) -> None:
    """Say the funnel in a few lines: the reasons that took most, the sum, and where all of it can be seen."""
    totals, reasons = report["totals"], report["reasons"]
    ranked = sorted(reasons, key=lambda reason: (-reasons[reason]["documents"], reason))
    most = ranked if len(ranked) <= TOLD else ranked[: TOLD - 1]
    rows = [[reason, *_amounts(reasons[reason]), reasons[reason]["meaning"]] for reason in reasons if reason in most]
    rest = [of for reason, of in reasons.items() if reason not in most]
    if rest:
        sums = {name: sum(of[name] for of in rest) for name in ("documents", "bytes")}
        rows.append([f"{len(rest)} more reasons", *_amounts(sums), "report.html has them all."])
    if rows:
        console.table("dropped", ["reason", "documents", "MB", "meaning"], rows)
    console.say(
        f"{totals['documents_in']:,} documents read: {totals['kept']:,} kept ({totals['bytes_out'] / 1e6:,.1f} MB), "
        f"{totals['heldout']:,} held out, {totals['dropped']:,} dropped."
    )
    if report["broken_total"]:
        console.warn(f"Rows that could not be read: {report['broken_total']:,}; report.json says which and why.")
    if report["replaced_characters"]:
        console.say(f"{report['replaced_characters']:,} characters U+2581 became spaces.")
    for sentence in report["advice"]:
        console.warn(sentence)
    console.plain(f"See {page}")


def _amounts(of: dict[str, Any]) -> list[str]:
    """Write documents and MB so that they stand below one another."""
    return [f"{of['documents']:,}", f"{of['bytes'] / 1e6:,.2f}"]
