"""A finished tokens folder of two small sources, and runs that train on copies of it."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lhama.corpus.tales import documents
from lhama.plan.recipe import Recipe, load
from lhama.record.meter import read_rows
from lhama.record.run import Run
from lhama.tokens import stage as tokens_stage
from lhama.train import save
from lhama.train.stage import run_stage

# 24 steps of 512 tokens: 8 rows of 64; logged every 2, validated and saved every 4, sampled every 8.
RECIPE = """
name = "pequeno"
[hardware]
accelerator = "cpu"
[record]
energy = false
[[corpus.source]]
name = "contos"
path = "contos.txt"
[[corpus.source]]
name = "somas"
path = "somas.txt"
[tokens]
vocabulary = 640
sequence = 64
workers = 1
[model]
hidden_size = 32
intermediate_size = 64
layers = 2
heads = 2
[train]
tokens = 12288
batch_tokens = 512
micro_batch = 4
learning_rate = 3e-3
warmup_tokens = 1024
clip = 1.0
precision = "fp32"
compile = "off"
threads = 1
log_every = 1024
validate_every = 2048
validate_megabytes = 0.002
sample_every = 4096
sample_prompts = ["Era uma vez"]
sample_tokens = 6
save_every = 2048
"""
STEPS = 24


def write_corpus(run: Run) -> None:
    """Make a finished corpus of tales and sums, two documents in fifty of it held out."""
    texts = [("contos", str(number), tale.text) for number, tale in enumerate(documents(120, seed=7))]
    texts += [("somas", str(n), f"{n} mais {n % 7} são {n + n % 7}.\nE {n} vezes 3 são {3 * n}.") for n in range(400)]
    with run.stage("corpus") as corpus:
        (corpus.folder / "data").mkdir()
        for split, rows in (("heldout", texts[::25]), ("train", [row for i, row in enumerate(texts) if i % 25])):
            source, identifier, text = ([row[i] for row in rows] for i in range(3))
            table = pa.table({"id": identifier, "text": text, "source": source})
            pq.write_table(table, corpus.folder / "data" / f"{split}-00000-of-00001.parquet")


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a folder with the recipe and a run whose corpus and tokens are finished, once for all tests."""
    folder = tmp_path_factory.mktemp("prepared")
    (folder / "pequeno.toml").write_text(RECIPE)
    recipe = load(folder / "pequeno.toml")
    run = Run.open(recipe, folder / "runs")
    write_corpus(run)
    tokens_stage.run_stage(recipe, run)
    return folder


@dataclass
class Place:
    """A copy of the prepared folder, in which a test trains."""

    folder: Path

    @property
    def train(self) -> Path:
        return self.folder / "runs" / "pequeno" / "train"

    def recipe(self, *changes: str) -> Recipe:
        return load(self.folder / "pequeno.toml", list(changes))

    def run(self, *changes: str) -> Path:
        """Train in this process and return the folder of training."""
        recipe = self.recipe(*changes)
        run_stage(recipe, Run.open(recipe, self.folder / "runs"))
        return self.train

    def rows(self, name: str) -> list[dict[str, Any]]:
        return read_rows(self.train / f"{name}.jsonl")


MakePlace = Callable[[], Place]


@pytest.fixture(scope="session")
def finished(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Place:
    """Train to the end, undisturbed, once for all tests, which only read what came out."""
    place = Place(Path(shutil.copytree(prepared, tmp_path_factory.mktemp("finished") / "place")))
    place.run()
    return place


@pytest.fixture
def make_place(prepared: Path, tmp_path: Path) -> MakePlace:
    """Make fresh copies of the prepared folder."""
    made = 0

    def make() -> Place:
        nonlocal made
        made += 1
        return Place(Path(shutil.copytree(prepared, tmp_path / f"place-{made}")))

    return make


def same_outcome(one: Path, other: Path) -> None:
    """Assert that two trainings are the same to the bit: records, and every checkpoint both of them hold."""
    for name in ("loss", "validation", "samples", "incidents", "rollbacks"):
        paths = [folder / f"{name}.jsonl" for folder in (one, other)]
        contents = [path.read_bytes() if path.exists() else b"" for path in paths]
        assert contents[0] == contents[1], name
    ours, theirs = save.checkpoints(one), save.checkpoints(other)
    assert max(ours) == max(theirs)
    for step in ours.keys() & theirs.keys():
        for name in ("model.safetensors", "config.json", "trainer/optimizer.safetensors"):
            assert (ours[step] / name).read_bytes() == (theirs[step] / name).read_bytes(), (step, name)
