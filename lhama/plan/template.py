"""Write the first recipe for a text of one's own: a small model that a laptop trains in about half an hour.

In go a name, a language and the places of the text; out comes commented TOML in pipeline order that runs as written.
Without any text it takes the embedded tales, so that the first try needs nothing.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from lhama.plan.kinds import Language, RunName
from lhama.plan.problem import Problem
from lhama.plan.writing import value

OPENINGS = {
    "pt": ("Era uma vez", "O Brasil é", "A melhor maneira de aprender é"),
    "es": ("Había una vez", "La mejor manera de aprender es"),
    "en": ("Once upon a time", "The best way to learn is"),
    "fr": ("Il était une fois", "La meilleure façon d'apprendre est"),
    "de": ("Es war einmal", "Am besten lernt man"),
    "it": ("C'era una volta", "Il modo migliore per imparare è"),
}

TEMPLATE = """\
# A recipe: one file says everything a run does, from raw text to a model that talks.
# `lhama plan {name}.toml` says what it takes, `lhama run {name}.toml` does it, `lhama explain KEY` explains a key.

# The name of the run; everything it makes lies in runs/{name}.
name = {quoted_name}
# The main language of the text, as an ISO 639 code.
language = {language}
# The number all chance comes from.
seed = 0

[budget]
# Training that would take more hours than this is refused before it starts.
hours = 24

[hardware]
# What the plan is made for: auto is this machine; h100, a100-80, rtx4090 and others are in the plan's table.
accelerator = "auto"
# The country whose electricity is used, as an ISO 3166 alpha-3 code.
country = "BRA"

[corpus]
{cleaning}# Documents with fewer characters are dropped as tiny.
minimum_characters = 50
# Of texts that are exactly the same, only the first is kept.
exact_duplicates = true
{sources}
[tokens]
# The size of the vocabulary, a multiple of 128; small models want a small one.
vocabulary = 8_192
# How much text the vocabulary is trained on.
sample_megabytes = 32
# How many tokens the model sees at once.
sequence = 512
# best-fit keeps documents whole where they fit into a row.
packing = "best-fit"

[model]
# The width of the model; with 8 layers this makes about 8.5 million parameters.
hidden_size = 256
# The width inside the feed-forward: about 8/3 of hidden_size.
intermediate_size = 704
# How many blocks follow each other.
layers = 8
# How many attention heads each block has.
heads = 4
# One matrix reads and writes tokens: a small model cannot afford two.
tied = true
# How large the first weights are: 1 / sqrt(hidden_size) saves a small model the time of growing them.
initializer_range = 0.0625

[train]
# How many tokens to train on, repeats counted; raise it later and the run continues.
tokens = 12_288_000
# Tokens per optimizer step; few tokens to train on are better cut into many small steps.
batch_tokens = 4_096
# The peak learning rate; larger models want a lower one.
learning_rate = 3e-3
# How the rate falls from its peak to 0.
schedule = "cosine"
# Tokens over which the rate rises to its peak.
warmup_tokens = 204_800
# How much the matrices are pulled towards 0.
weight_decay = 0.1
# AdamW's memory of the squared gradient; small batches want it near 1.
beta2 = 0.99
# The largest norm a gradient may have.
clip = 1.0
# Tokens between two lines of progress.
log_every = 81_920
# Tokens between two validations on held-out text.
validate_every = 1_024_000
# How much held-out text each of them reads; the last one reads all.
validate_megabytes = 0.5
# Tokens between two sets of samples.
sample_every = 2_048_000
# What the model is asked to continue.
sample_prompts = {prompts}
# Tokens between two checkpoints, from which a stopped run resumes.
save_every = 1_024_000

[release]
# The licence of the weights; look at the licences of your text first.
license = "apache-2.0"

[serve]
# How freely the model speaks; 0 always takes the likeliest word.
temperature = 0.8
"""

CLEANING = """\
# What is mended first; add "pages" for text from PDFs and old editions, "front-matter" for Markdown.
repair = ["unicode", "markup", "spaces"]
# Rules about single documents; they drop much of what the web is full of, and little of books and news. To try them:
# rules = ["gopher-quality", "gopher-repetition"]
# Addresses, telephone numbers and the like give way to values that nobody has.
personal_data = "mask"
# Of texts that are nearly the same, only the first is kept.
near_duplicates = true
"""

LANGUAGES = """\
# Documents in other languages are dropped.
languages = [{language}]
"""

SOURCE = """
[[corpus.source]]
# A short name for this text.
name = {name}
# Where it is: a file, a folder or a glob of jsonl, parquet, csv or txt, relative to this file.
path = {path}
# The licence of the text, best as an SPDX name.
license = "unknown"
"""

TALES = """
[[corpus.source]]
# A teaching corpus of Portuguese tales that Lhama writes itself, until you put a path to your own text here.
name = "tales"
kind = "tales"
documents = 60_000
license = "CC0-1.0"
"""


def new_recipe(name: str, language: str, paths: Sequence[str]) -> str:
    """Return a commented recipe that runs as written on the given files, folders or globs."""
    _check("name", RunName, name)
    _check("language", Language, language)
    sources, taken = "", set[str]()
    for path in paths:
        label = _label(path, taken)
        taken.add(label)
        sources += SOURCE.format(name=value(label), path=value(_slashes(path)))
    return TEMPLATE.format(
        name=name,
        quoted_name=value(name),
        language=value(language),
        cleaning=_cleaning(language) if sources else "",
        sources=sources or TALES,
        prompts=value(list(OPENINGS.get(language, ()))),
    )


def _cleaning(language: str) -> str:
    """Choose the steps that nearly any text needs; the written tales are clean, and like each other on purpose."""
    return CLEANING + (LANGUAGES.format(language=value(language)) if language in OPENINGS else "")


def _check(key: str, kind: Any, text: str) -> None:
    """Refuse a bad name or language before it stands in a file."""
    try:
        TypeAdapter(kind).validate_python(text)
    except ValidationError as error:
        raise Problem(
            f"{text!r} has not the form it must have", key=key, remedy=f"see `lhama explain {key}`"
        ) from error


def _slashes(path: str) -> str:
    """Write a path so that it means the same on every system; a glob is left alone."""
    return Path(path).as_posix()


def _label(path: str, taken: set[str]) -> str:
    """Make a source's name of the last word of its path that is a name, made unique."""
    words = [re.sub(r"[^A-Za-z0-9_-]+", "-", part.partition(".")[0]).strip("-_") for part in Path(path).parts]
    label = next((word for word in reversed(words) if word), "text")
    number = 2
    unique = label
    while unique in taken:
        unique, number = f"{label}-{number}", number + 1
    return unique
