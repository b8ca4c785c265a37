"""The story of the release room: read what the run recorded, write the page and the card.

In: the files of a run's folder. Out: release/report.html and release/README.md. Both are made anew whenever one of
those files changed, which takes a second, and also for a run whose training has not come to its end.
"""

import hashlib

from lhama.plan.recipe import Recipe
from lhama.record import console
from lhama.record.files import write_text
from lhama.record.run import Run
from lhama.release.card import card
from lhama.release.facts import read, recorded_files
from lhama.release.report import page

FORMAT = 1


def run_stage(recipe: Recipe, run: Run) -> None:
    """Write the report and the model card of a run."""
    with run.stage("release", inputs=_inputs(recipe, run), format=FORMAT) as stage:
        if stage.done:
            return
        facts = read(recipe, run.folder)
        write_text(stage.folder / "report.html", page(facts))
        write_text(stage.folder / "README.md", card(facts))
    console.say(f"The report: {run.path('release') / 'report.html'}")
    console.say(f"The model card: {run.path('release') / 'README.md'}")


def _inputs(recipe: Recipe, run: Run) -> dict[str, str]:
    """Hash all that the page is made of; prices and country count, for they change what the record is worth."""
    hardware = recipe.hardware.model_dump_json().encode()
    return run.hash_inputs(recorded_files(run.folder)) | {"hardware": hashlib.sha256(hardware).hexdigest()}
