"""What the corpus tests share: a recipe around some sources, and its corpus made for real in a folder of the test."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pytest

from lhama.corpus.shards import documents
from lhama.corpus.stage import run_stage
from lhama.plan.recipe import load
from lhama.record.run import Run

REST = """
[model]
hidden_size = 32
intermediate_size = 64
layers = 1
heads = 2

[train]
tokens = 4096
batch_tokens = 2048
learning_rate = 1e-3
schedule = "constant"
warmup_tokens = 0
weight_decay = 0.1
beta1 = 0.9
beta2 = 0.95
log_every = 2048
validate_every = 2048
sample_every = 2048
save_every = 2048
"""


class Made(NamedTuple):
    """A finished corpus, read back."""

    folder: Path
    report: dict[str, Any]
    train: list[dict[str, Any]]
    heldout: list[dict[str, Any]]
    rejected: list[dict[str, Any]]


MakeCorpus = Callable[..., Made]


def read_split(folder: Path, split: str) -> list[dict[str, Any]]:
    batches = list(documents(folder, split))
    return pa.Table.from_batches(batches).to_pylist() if batches else []


def write_recipe(home: Path, sources: str, corpus: str = "") -> Path:
    path = home / "recipe.toml"
    text = f'name = "text"\n[record]\nenergy = false\n[corpus]\nworkers = 1\n{corpus}\n{sources}\n{REST}'
    path.write_text(text, encoding="utf-8")
    return path


@pytest.fixture
def make_corpus(tmp_path: Path) -> MakeCorpus:
    """Return a function that makes the corpus of sources given as TOML; more keys of [corpus] may come first."""

    def make(sources: str, corpus: str = "", changes: tuple[str, ...] = ()) -> Made:
        recipe = load(write_recipe(tmp_path, sources, corpus), changes)
        run = Run.open(recipe, tmp_path / "runs")
        run_stage(recipe, run)
        folder = run.path("corpus")
        report = json.loads((folder / "report.json").read_text(encoding="utf-8"))
        return Made(folder, report, *(read_split(folder, split) for split in ("train", "heldout", "rejected")))

    return make
