"""Train a prepared run in a process of its own, as the command line does, so that tests can kill it."""

import sys
from pathlib import Path

from lhama.plan.recipe import load
from lhama.record.run import Run
from lhama.train.stage import run_stage


def main(recipe_path: str, runs: str, *changes: str) -> None:
    """Do the training stage."""
    recipe = load(recipe_path, changes)
    run_stage(recipe, Run.open(recipe, Path(runs)))


if __name__ == "__main__":
    main(*sys.argv[1:])
