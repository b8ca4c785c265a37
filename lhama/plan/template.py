"""Write the first recipe for a text of one's own: commented TOML in pipeline order that runs as written.

In go a name, a language, the places of the text and the Numbers: those of a small model that a laptop trains in about
half an hour, or those that sizing.py found for a budget. Without any text it takes the embedded tales, so that the
first try needs nothing.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
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
{budget}
[hardware]
# What the plan is made for: auto is this machine; h100, a100-80, rtx4090 and others are in the plan's table.
accelerator = "{accelerator}"
{count}# The country whose electricity is used, as an ISO 3166 alpha-3 code.
country = "BRA"

[corpus]
{cleaning}# Documents with fewer characters are dropped as tiny.
minimum_characters = 50
# Of texts that are exactly the same, only the first is kept.
exact_duplicates = true
{sources}
[tokens]
# The size of the vocabulary, a multiple of 128; small models want a small one.
vocabulary = {vocabulary:_}
# How much text the vocabulary is trained on.
sample_megabytes = {sample_megabytes}
# How many tokens the model sees at once.
sequence = {sequence:_}
# best-fit keeps documents whole where they fit into a row.
packing = "best-fit"

[model]
# The width of the model; with {layers} layers this makes about {about}.
hidden_size = {hidden_size:_}
# The width inside the feed-forward: about 8/3 of hidden_size.
intermediate_size = {intermediate_size:_}
# How many blocks follow each other.
layers = {layers}
# How many attention heads each block has.
heads = {heads}
{key_value_heads}# One matrix reads and writes tokens: a small model cannot afford two.
tied = {tied}
# How large the first weights are: 1 / sqrt(hidden_size) saves a small model the time of growing them.
initializer_range = {initializer_range}

[train]
# How many tokens to train on, repeats counted; raise it later and the run continues.
tokens = {tokens:_}
# Tokens per optimizer step; few tokens to train on are better cut into many small steps.
batch_tokens = {batch_tokens:_}
# The peak learning rate; larger models want a lower one.
learning_rate = {learning_rate}
{schedule}# Tokens over which the rate rises to its peak.
warmup_tokens = {warmup_tokens:_}
# How much the matrices are pulled towards 0.
weight_decay = 0.1
# AdamW's memory of the squared gradient; small batches want it near 1.
beta2 = {beta2}
# The largest norm a gradient may have.
clip = 1.0
# Tokens between two lines of progress.
log_every = {log_every:_}
# Tokens between two validations on held-out text.
validate_every = {validate_every:_}
# How much held-out text each of them reads; the last one reads all.
validate_megabytes = {validate_megabytes}
# Tokens between two sets of samples.
sample_every = {sample_every:_}
# What the model is asked to continue.
sample_prompts = {prompts}
# Tokens between two checkpoints, from which a stopped run resumes.
save_every = {save_every:_}
{suite}
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


LIMITS = {
    "money": "Training that would cost more USD than this is refused before it starts.",
    "hours": "Training that would take more hours than this is refused before it starts.",
    "kwh": "Training that would use more kilowatt hours than this is refused before it starts.",
    "tokens_available": "How much text there is, in tokens; training on more repeats it.",
}


@dataclass(frozen=True)
class Numbers:
    """What differs between recipes of `lhama new`; the defaults are the laptop's."""

    budget: tuple[tuple[str, float], ...] = (("hours", 24),)
    accelerator: str = "auto"
    count: int = 1
    vocabulary: int = 8_192
    sample_megabytes: int = 32
    sequence: int = 512
    about: str = "8.5 million parameters"
    hidden_size: int = 256
    intermediate_size: int = 704
    layers: int = 8
    heads: int = 4
    key_value_heads: int | None = None
    tied: bool = True
    initializer_range: float = 0.0625
    tokens: int = 12_288_000
    batch_tokens: int = 4_096
    learning_rate: float = 3e-3
    decay_tokens: int | None = None
    warmup_tokens: int = 204_800
    beta2: float = 0.99
    log_every: int = 81_920
    validate_every: int = 1_024_000
    validate_megabytes: float = 0.5
    sample_every: int = 2_048_000
    save_every: int = 1_024_000
    suite_every: int | None = None


LAPTOP = Numbers()


def new_recipe(name: str, language: str, paths: Sequence[str], numbers: Numbers = LAPTOP, *, tales: bool = True) -> str:
    """Return a commented recipe that runs as written on the given files, folders or globs.

    Without any of them it takes the tales, or with `tales=False` the folder `text`, which is still to be filled.
    """
    _check("name", RunName, name)
    _check("language", Language, language)
    sources, taken = "", set[str]()
    for path in paths or (() if tales else ("text",)):
        label = _label(path, taken)
        taken.add(label)
        sources += SOURCE.format(name=value(label), path=value(_slashes(path)))
    written = {field: getattr(numbers, field) for field in Numbers.__dataclass_fields__}
    return TEMPLATE.format(
        **written
        | {
            "name": name,
            "quoted_name": value(name),
            "language": value(language),
            "cleaning": _cleaning(language) if sources else "",
            "sources": sources or TALES,
            "prompts": value(list(OPENINGS.get(language, ()))),
        }
        | _lines(numbers)
    )


def _lines(numbers: Numbers) -> dict[str, str]:
    """Write the lines that are there in some recipes only."""
    budget = "".join(f"# {LIMITS[key]}\n{key} = {amount:_}\n" for key, amount in numbers.budget)
    count = f"# How many of them work together.\ncount = {numbers.count}\n" if numbers.count > 1 else ""
    shared = numbers.key_value_heads
    sharing = (
        f"# Four heads share their keys and values, which makes the model faster to use.\nkey_value_heads = {shared}\n"
    )
    decay = (
        "# The rate stays at its peak and falls over the last tokens; a longer run repeats only the fall.\n"
        'schedule = "wsd"\n'
        f"# The last tokens, over which the rate falls to 0.\ndecay_tokens = {numbers.decay_tokens or 0:_}\n"
    )
    cosine = '# How the rate falls from its peak to 0.\nschedule = "cosine"\n'
    suite = f"# Tokens between two checkpoints that are kept for ever.\nsuite_every = {numbers.suite_every or 0:_}\n"
    return {
        "budget": budget,
        "count": count,
        "key_value_heads": "" if shared is None else sharing,
        "tied": "true" if numbers.tied else "false",
        "schedule": cosine if numbers.decay_tokens is None else decay,
        "suite": "" if numbers.suite_every is None else suite,
        "learning_rate": f"{numbers.learning_rate:.2g}",
    }


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
