"""Tokens for probes: the run's own where it has some, else made-up ones.

In go a recipe and a run, out comes a folder of a run that holds nothing but `tokens`. A product takes as long whatever
its numbers are, so for speed and memory made-up ids do; and each id depends on the one before it, so that there is
something to learn and the losses of the first steps can be compared.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np

from lhama.plan.recipe import Recipe
from lhama.record.files import write_json
from lhama.record.manifest import read_manifest
from lhama.record.run import Run
from lhama.tokens.streams import dtype_for, save_array

MOST = 4_000_000  # made-up tokens; steps that come after them see them again
FOLLOWERS = 8  # ids that may come after an id
FIRST_ID = 4  # below are the special tokens: unk, bos, eos, pad


def tokens_for_probes(recipe: Recipe, run: Run, home: Path, needed: int) -> bool:
    """Put tokens into `home` and say whether they are the run's own; `needed` is how many the probes will read."""
    home.mkdir(parents=True, exist_ok=True)
    tokens = run.path("tokens").resolve()
    if read_manifest(tokens) is None:
        make_up(recipe, home / "tokens", min(MOST, max(needed, 8 * recipe.tokens.sequence)))
        return False
    try:
        (home / "tokens").symlink_to(tokens, target_is_directory=True)
    except OSError:  # Windows asks for a right to make links
        shutil.copytree(tokens, home / "tokens")
    return True


def make_up(recipe: Recipe, folder: Path, count: int) -> None:
    """Write a tokens folder of one source: documents of about two thirds of a row, each `<s> ... </s>`."""
    vocabulary, length = recipe.tokens.vocabulary, max(8, 2 * recipe.tokens.sequence // 3)
    random = np.random.default_rng(recipe.seed)
    documents = -(-count // length)
    follows = FIRST_ID + random.zipf(1.3, (vocabulary, FOLLOWERS)) % (vocabulary - FIRST_ID)
    ids = np.empty((documents, length), np.int64)
    ids[:, 0], ids[:, -1] = 1, 2
    ids[:, 1] = random.integers(FIRST_ID, vocabulary, documents)
    for place in range(2, length - 1):
        ids[:, place] = follows[ids[:, place - 1], random.integers(0, FOLLOWERS, documents)]
    home = folder / "made-up"
    home.mkdir(parents=True)
    dtype = dtype_for(vocabulary)
    save_array(home / "stream-00000.npy", ids.ravel().astype(dtype))
    save_array(home / "documents.npy", np.arange(0, ids.size + 1, length, dtype=np.int64))
    entry = {
        "name": "made-up",
        "folder": home.name,
        "documents": documents,
        "tokens": ids.size,
        "streams": [{"file": "stream-00000.npy", "documents": documents, "tokens": ids.size}],
        "heldout": {"documents": 0},
    }
    special = {"unk": 0, "bos": 1, "eos": 2, "pad": 3}
    write_json(
        folder / "tokens.json", {"format": 1, "vocabulary": vocabulary, "dtype": dtype, **special, "sources": [entry]}
    )
