"""What the verbs have in common: their arguments, and how a recipe is loaded, a run opened and its stages done.

Every stage is imported when it is done, so that help is instant and a machine without torch can still plan.
"""

from __future__ import annotations

import time
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lhama.plan.problem import Problem

if TYPE_CHECKING:
    from lhama.plan.recipe import Recipe
    from lhama.record.run import Run

STAGES = ("corpus", "tokens", "train", "release")
AGAIN = ("read", *STAGES)  # the first stage has two halves, each with a folder of its own
PREPARATION = {"corpus": (), "tokens": ("corpus",), "train": ("corpus", "tokens")}

RecipeArgument = Annotated[
    str, typer.Argument(metavar="RECIPE", help="A recipe file, the name of a shipped recipe, or the name of a run.")
]
RunArgument = Annotated[str, typer.Argument(metavar="RUN", help="The name of a run, or its folder.")]
Set = Annotated[
    list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Change one recipe key; may be repeated.")
]
Runs = Annotated[Path, typer.Option("--runs", metavar="DIR", help="The folder that holds the runs.")]
Again = Annotated[
    list[str] | None,
    typer.Option("--again", metavar="STAGE", help="Do this stage anew; the old folder is moved aside, never deleted."),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document instead of text.")]

RUNS = Path("runs")
MaxTime = Annotated[
    str | None, typer.Option("--max-time", metavar="TIME", help="Stop training, saved, before this is over: 3h30m.")
]
Words = list[str] | None
STARTED = time.monotonic()


def load_recipe(what: str, runs: Path, changes: list[str] | None) -> Recipe:
    """Load a recipe by file, by shipped name, or from the run of that name."""
    from lhama.plan.recipe import load, shipped

    saved = runs / what / "recipe.toml"
    if not Path(what).is_file() and what not in shipped() and saved.is_file():
        return load(saved, changes or ())
    return load(what, changes or ())


def do_stage(name: str, recipe: Recipe, run: Run) -> None:
    """Do one stage of an open run, on all processes where several train; a Problem names a library that is missing."""
    from lhama.train import launch

    if name == "train" and launch.trained_by_many(run):
        return
    try:
        stage = import_module(f"lhama.{name}.stage")
    except ModuleNotFoundError as missing:
        if missing.name is None or missing.name.startswith("lhama"):
            raise
        extra = "corpus" if name == "corpus" else "train"
        raise Problem(
            f"the {name} stage needs the library {missing.name!r}", remedy=f"pip install 'lhama[{extra}]'"
        ) from missing
    stage.run_stage(recipe, run)


def work(
    stages: tuple[str, ...], what: str, runs: Path, changes: Words, again: Words, max_time: str | None = None
) -> Run:
    """Open the run of a recipe and do its stages in order; what is done already is skipped by the run itself."""
    from lhama.plan.duration import seconds_of
    from lhama.record import console
    from lhama.record.files import write_json
    from lhama.record.intended import intend
    from lhama.record.run import Until
    from lhama.train.launch import is_worker, open_run, rank

    recipe = load_recipe(what, runs, changes)
    if unknown := [stage for stage in again or () if stage not in AGAIN]:
        raise Problem(f"--again {unknown[0]}: there is no such stage", remedy=f"stages: {', '.join(AGAIN)}")
    intended = intend(recipe, what, runs)
    run = open_run(recipe, runs, tuple(again or ()))
    run.until = Until(moment=None if max_time is None else STARTED + seconds_of(max_time))
    if rank() == 0:
        write_json(run.folder / "plan.json", intended)
    if recipe.train.stream is not None:
        from lhama.train.data import is_streamed

        if is_streamed(recipe, run):  # the tokens were made elsewhere
            stages = tuple(stage for stage in stages if stage not in ("corpus", "tokens"))
    for stage in ("train",) if is_worker() else stages:
        console.heading(stage)
        do_stage(stage, recipe, run)
    return run


def one_stage(
    name: str, recipe: str, runs: Path, changes: Words, again: Words, as_json: bool, max_time: str | None = None
) -> None:
    """Do one stage and the ones it stands on."""
    from lhama.record import console
    from lhama.record.status import status as read_status

    console.quiet(as_json)
    opened = work((*PREPARATION.get(name, ()), name), recipe, runs, changes, again, max_time)
    if as_json:
        console.json_out(read_status(opened))
