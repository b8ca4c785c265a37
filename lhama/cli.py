"""The command line: it parses, and calls what does the work (working.py and the stages). Nothing else happens here.

Everything heavy is imported inside its verb, so that help is instant and a machine without torch can still plan.
The verbs and options are frozen by `tests/test_cli.py`: a new hyper-parameter is a recipe key, tried with `--set`.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from lhama.plan.problem import Problem
from lhama.working import (
    PREPARATION,
    RUNS,
    STAGES,
    STARTED,
    Again,
    Json,
    MaxTime,
    RecipeArgument,
    RunArgument,
    Runs,
    Set,
    do_stage,
    load_recipe,
    one_stage,
    work,
)

app = typer.Typer(
    name="lhama",
    help="Train the best small language model of your own language that your budget buys.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)


@app.command()
def new(
    name: Annotated[str, typer.Argument(help="The name of the run; NAME.toml is written here.")],
    text: Annotated[
        list[Path] | None, typer.Argument(help="Your text: files, folders or globs (jsonl, parquet, csv, txt).")
    ] = None,
    language: Annotated[str, typer.Option("--language", help="ISO 639-1 code of the language.")] = "pt",
    budget: Annotated[float | None, typer.Option("--budget", help="The most that training may cost, in USD.")] = None,
    hours: Annotated[float | None, typer.Option("--hours", help="The most hours that training may take.")] = None,
    kwh: Annotated[float | None, typer.Option("--kwh", help="The most electricity, in kilowatt hours.")] = None,
    gpu: Annotated[
        str | None, typer.Option("--gpu", help="The machine: h100, 8xh100, rtx4090, cpu ...; else this one.")
    ] = None,
    tokens_available: Annotated[
        str | None, typer.Option("--tokens-available", help="How much text there is, in tokens: 6.2B.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Write a commented recipe for your own text: for a laptop, or the best that a budget buys."""
    from lhama.plan.reasons import document, order_of
    from lhama.plan.recipe import new_recipe
    from lhama.plan.sizing import choose
    from lhama.record import console
    from lhama.record.files import write_text
    from lhama.record.frontier import frontier_plot

    target, paths = Path(f"{name}.toml"), tuple(str(path) for path in text or ())
    if target.exists():
        raise Problem(f"{target} exists already", remedy="choose another name, or edit that file")
    found: dict[str, object] = {}
    if (budget, hours, kwh, gpu, tokens_available) == (None,) * 5:
        written = new_recipe(name, language, paths)
    else:
        order = order_of(name, language, paths, gpu, (budget, hours, kwh), tokens_available)
        choice = choose(order)
        written, found = choice.best.text, document(order, choice)
    write_text(target, written)
    if as_json:
        console.json_out({"recipe": str(target), **found})
        return
    if found:
        frontier_plot(found)
    console.say(f"Wrote [bold]{target}[/bold]. Read it; every key has a sentence above it. Then:")
    console.say(f"  lhama plan {target}    what it will take")
    console.say(f"  lhama run {target}     from text to a model")


@app.command()
def plan(
    what: Annotated[
        list[str],
        typer.Argument(metavar="RECIPE", help="A recipe file, a shipped recipe or a run; with --fit, finished runs."),
    ],
    changes: Set = None,
    fit: Annotated[bool, typer.Option("--fit", help="Fit a scaling law on finished runs.")] = False,
    slurm: Annotated[bool, typer.Option("--slurm", help="Write a script for Slurm next to the recipe.")] = False,
    runs: Runs = RUNS,
    as_json: Json = False,
) -> None:
    """Say what a recipe will take: memory, hours, kWh, money, and which loss to expect."""
    from lhama.record import console
    from lhama.record.fitting import fit_tables, fitted
    from lhama.record.intended import intend
    from lhama.record.tables import plan_tables

    if fit:
        found = fitted(what, runs)
    elif len(what) > 1:
        raise Problem("plan takes one recipe", remedy="plan them one after the other; only --fit takes several runs")
    else:
        found = intend(load_recipe(what[0], runs, changes), what[0], runs, changes or [], slurm)
    if as_json:
        console.json_out(found)
    elif fit:
        fit_tables(found)
    else:
        plan_tables(found)


@app.command()
def run(
    recipe: RecipeArgument,
    changes: Set = None,
    runs: Runs = RUNS,
    again: Again = None,
    max_time: MaxTime = None,
    as_json: Json = False,
) -> None:
    """Do everything the recipe says: text to tokens to model to report. What is done already is skipped."""
    from lhama.record import console
    from lhama.record.status import status as read_status
    from lhama.record.tables import closing

    console.quiet(as_json)
    done = work(STAGES, recipe, runs, changes, again, max_time)
    if as_json:
        console.json_out(read_status(done))
    else:
        closing(done)


@app.command()
def status(run: RunArgument, runs: Runs = RUNS, as_json: Json = False) -> None:
    """Say where a run stands, as it works: stages, loss, speed, time left, energy and money against the plan."""
    from lhama.record import console
    from lhama.record.run import Run
    from lhama.record.status import status as read_status
    from lhama.record.status_screen import show_status

    found = Run.find(run, runs)
    if as_json:
        console.json_out(read_status(found))
    else:
        show_status(found)


@app.command()
def explain(
    key: Annotated[str | None, typer.Argument(help="A recipe key, such as train.batch_tokens, or a section.")] = None,
    as_json: Json = False,
) -> None:
    """Explain a recipe key or section; with --json and no key, print the JSON Schema of a recipe."""
    from lhama.plan.recipe import explain as explain_key
    from lhama.plan.recipe import json_schema
    from lhama.record import console

    if as_json:
        console.json_out(json_schema() if key is None else {"key": key, "explanation": explain_key(key)})
    else:
        console.plain(explain_key(key or ""))


@app.command()
def calibrate(
    sample: Annotated[
        list[str], typer.Argument(help="Clean text: files, folders or globs (jsonl, parquet, csv, txt).")
    ],
    language: Annotated[str, typer.Option("--language", help="ISO 639 code of the language.")],
    name: Annotated[str, typer.Option("--name", help="The name of the language in the file; else its code.")] = "",
    output: Annotated[
        Path | None, typer.Option("--output", metavar="FILE", help="Write this file; else print it.")
    ] = None,
) -> None:
    """Derive the thresholds and stop words of a language from clean text, for `corpus.thresholds_file`."""
    from lhama.corpus.sample import calibrate_files, rows_of
    from lhama.record import console
    from lhama.record.files import write_text

    if output is not None and output.exists():
        raise Problem(f"{output} exists already", remedy="choose another name, or move that file away")
    console.quiet(output is None)
    found = calibrate_files(sample, language, name)
    if output is None:
        typer.echo(found.toml, nl=False)
        return
    write_text(output, found.toml)
    console.table(f"{found.documents} documents, {found.unread} unread", ("rule", "default", language), rows_of(found))
    console.say(f"Stop words: {' '.join(found.thresholds.stop_words)}")
    console.say(f'Wrote [bold]{output}[/bold]. In a recipe: corpus.thresholds_file = "{output.name}"')


@app.command()
def doctor(runs: Runs = RUNS, as_json: Json = False) -> None:
    """Say what this machine has and what Lhama will use of it."""
    from lhama.model.doctor import examine
    from lhama.record import console
    from lhama.record.tables import doctor_tables

    findings = examine(runs)
    if as_json:
        console.json_out(findings)
    else:
        doctor_tables(findings)


@app.command()
def show(
    run: RunArgument,
    step: Annotated[
        int | None, typer.Option("--step", help="The training step whose batch is shown; the first is 1.")
    ] = None,
    reason: Annotated[
        str | None, typer.Option("--reason", help="Show documents dropped for this reason; or `kept`, or `heldout`.")
    ] = None,
    source: Annotated[
        str | None, typer.Option("--source", help="With --reason: documents of this source only.")
    ] = None,
    count: Annotated[int, typer.Option("--count", help="With --reason: how many documents.")] = 10,
    runs: Runs = RUNS,
    as_json: Json = False,
) -> None:
    """Show the text that a training step saw or will see, or documents that were dropped or kept."""
    from lhama.record import console
    from lhama.record.run import Run
    from lhama.record.tables import batch_rows, document_rows

    opened = Run.find(run, runs)
    if step is not None and reason is None:
        from lhama.tokens.show import show_step

        rows = show_step(opened, step)
        if as_json:
            console.json_out(rows)
        else:
            batch_rows(step, rows)
    elif reason is not None and step is None:
        from lhama.corpus.show import show_documents

        found = show_documents(opened.path("corpus"), reason, source, count)
        if as_json:
            console.json_out(found)
        else:
            document_rows(found)
    else:
        raise Problem("show either a step or documents", remedy="give --step NUMBER or --reason REASON, one of them")


@app.command()
def corpus(
    recipe: RecipeArgument, changes: Set = None, runs: Runs = RUNS, again: Again = None, as_json: Json = False
) -> None:
    """Clean the text: read, split, drop with a reason, write shards."""
    one_stage("corpus", recipe, runs, changes, again, as_json)


@app.command()
def tokens(
    recipe: RecipeArgument, changes: Set = None, runs: Runs = RUNS, again: Again = None, as_json: Json = False
) -> None:
    """Train the vocabulary and turn the clean text into token streams."""
    one_stage("tokens", recipe, runs, changes, again, as_json)


@app.command()
def train(
    recipe: RecipeArgument,
    changes: Set = None,
    runs: Runs = RUNS,
    again: Again = None,
    max_time: MaxTime = None,
    as_json: Json = False,
) -> None:
    """Train the model, or continue where it stopped."""
    one_stage("train", recipe, runs, changes, again, as_json, max_time)


@app.command()
def tune(
    recipe: RecipeArgument,
    minutes: Annotated[float, typer.Option("--minutes", help="End within so many minutes.")] = 10.0,
    changes: Set = None,
    runs: Runs = RUNS,
    as_json: Json = False,
) -> None:
    """Try on this machine what trains a recipe fastest, for `plan` and `train` to use."""
    from lhama.record import console
    from lhama.record.run import Run
    from lhama.train.tune import tune as try_out
    from lhama.train.tune_report import tables

    console.quiet(as_json)
    asked = load_recipe(recipe, runs, changes)
    found = try_out(asked, Run.open(asked, runs), minutes, STARTED)
    if as_json:
        console.json_out(found)
    else:
        tables(found, asked)


@app.command(name="verify-resume")
def verify_resume(
    recipe: RecipeArgument,
    changes: Set = None,
    steps: Annotated[int, typer.Option("--steps", min=2, help="Train so many steps.")] = 24,
    kills: Annotated[int, typer.Option("--kills", min=1, help="Kill the second training so often.")] = 3,
    runs: Runs = RUNS,
    as_json: Json = False,
) -> None:
    """Train a few steps twice, once killed and resumed at random, and compare the results to the bit."""
    from lhama.record import console
    from lhama.train.verify_resume import PROGRAM, report, verify

    console.quiet(as_json)
    prepared = work(PREPARATION["train"], recipe, runs, changes, None)
    found = verify(prepared, PROGRAM, steps, kills)
    (console.json_out if as_json else report)(found)
    raise typer.Exit(0 if found["passed"] else 1)


def train_until(recipe: str, runs: str, step: str) -> None:
    """Do the training stage alone, up to a step; `verify-resume` starts this as a process that it can kill."""
    from lhama.record.run import Run, Until

    opened = Run.open(load_recipe(recipe, Path(runs), None), Path(runs))
    opened.until = Until(step=int(step))
    do_stage("train", opened.recipe, opened)


@app.command()
def release(
    recipe: RecipeArgument, changes: Set = None, runs: Runs = RUNS, again: Again = None, as_json: Json = False
) -> None:
    """Write the report and the model card from what the run recorded."""
    one_stage("release", recipe, runs, changes, again, as_json)


@app.command()
def chat(run: RunArgument, changes: Set = None, runs: Runs = RUNS) -> None:
    """Talk with a trained model in the terminal; a base model continues your text."""
    from lhama.record.run import Run
    from lhama.serve.chat import chat_loop

    opened = Run.find(run, runs)
    chat_loop(opened, load_recipe(str(opened.folder / "recipe.toml"), runs, changes))


def main() -> None:
    """Run the command line; a Problem becomes one clear message and exit code 2, never a traceback."""
    from lhama.record import console
    from lhama.record.energy import count_from
    from lhama.record.files import disk_problems

    count_from(STARTED)
    try:
        with disk_problems(Path.cwd()):
            app()
    except Problem as problem:
        console.fail(problem)
        sys.exit(2)
    except KeyboardInterrupt:
        console.warn("stopped")
        sys.exit(130)


if __name__ == "__main__":  # torchrun -m lhama.cli train RECIPE
    main()
