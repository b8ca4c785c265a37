"""The story of the release room: compare tokenizers, read what the run recorded, write the page, its figures, the card.

In: the files of a run's folder. Out: release/report.html, figures/ with the page's figures, README.md, emissions.csv
as CodeCarbon writes it but without coordinates, and what the comparison found. All are made anew whenever one of those
files changed, which takes a few seconds, and also for a run whose training has not come to its end.
"""

import hashlib
from pathlib import Path

from lhama.plan.recipe import Recipe
from lhama.record import console
from lhama.record.emissions import EMISSIONS, published
from lhama.record.files import write_bytes, write_json, write_text
from lhama.record.run import Run
from lhama.release.album import album, png
from lhama.release.card import card
from lhama.release.comparison import compare, named
from lhama.release.facts import COMPARISON, read, recorded_files
from lhama.release.report import page

FORMAT = 2


def run_stage(recipe: Recipe, run: Run) -> None:
    """Write the report, its figures and the model card of a run."""
    others = named(recipe.resolve(path) for path in recipe.release.compare_tokenizers)
    with run.stage("release", inputs=_inputs(recipe, run, others), format=FORMAT) as stage:
        if stage.done:
            return
        _compare(run, stage.folder, others)
        facts = read(recipe, run.folder, stage.folder)
        report = page(facts)
        write_text(stage.folder / "report.html", report)
        _write_figures(report, stage.folder / "figures")
        write_text(stage.folder / "README.md", card(facts))
        emissions = published(run.folder)
        if emissions:
            write_text(stage.folder / EMISSIONS, emissions)
    console.say(f"The report: {run.path('release') / 'report.html'}")
    console.say(f"The model card: {run.path('release') / 'README.md'}")


def _compare(run: Run, folder: Path, others: dict[str, Path]) -> None:
    """Count what tokenizers make of held-out words; a machine without the libraries for it gets a page without."""
    try:
        found = compare(run.path("corpus"), run.path("tokens"), others)
    except ImportError as error:
        console.warn(f"tokenizers are not compared: {error.name} is missing; pip install 'lhama[train]'")
        return
    if found is not None:
        write_json(folder / COMPARISON, found)


def _write_figures(report: str, folder: Path) -> None:
    """Write each figure of the page as SVG, and as PNG where that can be rendered."""
    folder.mkdir(exist_ok=True)
    without = False
    for name, drawing in album(report).items():
        write_text(folder / f"{name}.svg", drawing)
        image = png(drawing)
        without = without or image is None
        if image is not None:
            write_bytes(folder / f"{name}.png", image)
    if without:
        console.say("figures are saved as SVG only: PNG needs pip install 'lhama[figures]' and a font")


def _inputs(recipe: Recipe, run: Run, others: dict[str, Path]) -> dict[str, str]:
    """Hash all that the page is made of; prices, country and the meter at the wall change what the record is worth."""
    hardware = f"{recipe.hardware.model_dump_json()} {recipe.record.wall_meter_kwh}".encode()
    files = recorded_files(run.folder) | {f"tokenizer {name}": file for name, file in others.items()}
    return run.hash_inputs(files) | {"hardware": hashlib.sha256(hardware).hexdigest()}
