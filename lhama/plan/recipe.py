"""The front door of a recipe: read it, write it, say which keys decide about which stage, and explain it.

In goes a TOML file or the name of a shipped recipe, with changes such as `train.learning_rate=3e-4`; out comes a frozen
`Recipe`, or a `Problem` with the key, the reason and a remedy. Paths become absolute when a recipe is loaded, so the
copy in a run folder still finds its text; no path is ever part of a stage's identity.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from lhama.plan.changes import apply_changes
from lhama.plan.fields_corpus import Classifier, Corpus, is_file_name
from lhama.plan.fields_model import Model, PhaseSettings, Release, Serve, Train
from lhama.plan.fields_source import Source, is_folder
from lhama.plan.fields_text import Budget, Hardware, Record, Tokens
from lhama.plan.keys import default_of, kind_of
from lhama.plan.layout import RECIPE_VERSION, Recipe
from lhama.plan.manual import explain, json_schema, recipe_reference
from lhama.plan.problem import Problem
from lhama.plan.refusal import refusal
from lhama.plan.template import new_recipe
from lhama.plan.writing import dumps

__all__ = [
    "Budget",
    "Classifier",
    "Corpus",
    "Hardware",
    "Model",
    "PhaseSettings",
    "Recipe",
    "Record",
    "Release",
    "Serve",
    "Source",
    "Tokens",
    "Train",
    "default_of",
    "dumps",
    "explain",
    "json_schema",
    "kind_of",
    "load",
    "loads",
    "new_recipe",
    "recipe_reference",
    "shipped",
    "slice_for",
]


# The keys above the sections and the sections that decide about a stage; a stage not named has its own section.
TOP_KEYS = {"read": ("language", "seed"), "corpus": ("language",), "tokens": ("language", "seed"), "train": ("seed",)}
SECTIONS = {"train": ("tokens", "model", "train")}
# Rows are cut when training asks for them: these two keys of [tokens] are training's.
ROW_KEYS = ("sequence", "packing")
# What is done to a document and measured on it while it is read; the other keys of [corpus] judge what was measured.
READ_KEYS = (
    *("source", "opt_out", "repair", "lines", "languages", "variety", "rules", "classifier", "personal_data"),
    *("near_duplicates", "near_bands", "near_rows", "near_words", "contained", "repeated_lines"),
    *("decontaminate", "decontaminate_words"),
)
# Of these only whether they are asked for decides what is measured; what they ask for is judged later.
MEASURED_IF_ANY = ("contained", "repeated_lines", "languages", "rules", "variety", "near_duplicates")
# What was measured and is no longer asked for does no harm: a finished reading stays when one of these turns None.
MAY_STAY = frozenset(f"corpus.{key}" for key in (*MEASURED_IF_ANY, "near_bands", "near_rows", "near_words")) | {
    "corpus.source.documents_per_domain"
}
JUDGING_KEYS = ("near_duplicates", "contained", "repeated_lines", "languages", "variety", "rules")
JUDGING_OF_SOURCE = {"rules", "documents_per_domain"}


def shipped() -> dict[str, Path]:
    """Return the recipes that come with Lhama by name: beside the package when installed, else in the checkout."""
    package = Path(__file__).parent.parent
    for folder in (package / "recipes", package.parent / "recipes"):
        found = sorted(folder.glob("*.toml"))
        if found:
            return {path.stem: path for path in found}
    return {}


def load(what: str | Path, overrides: Sequence[str] = ()) -> Recipe:
    """Load a recipe file, or a shipped recipe by name, with typed changes."""
    path = _find(what)
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise Problem(f"cannot read {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise Problem(f"{path} is not UTF-8 text", remedy="save it as UTF-8") from error
    return loads(text, overrides, path.absolute().parent, str(path))


def loads(text: str, overrides: Sequence[str] = (), folder: Path | None = None, where: str = "the recipe") -> Recipe:
    """Load a recipe from its text; its paths are relative to the folder, or to where the user stands."""
    try:
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise Problem(f"{where} is not valid TOML: {error}", remedy="mend that line") from error
    return _build(apply_changes(raw, overrides), folder or Path.cwd())


def _build(raw: dict[str, Any], folder: Path) -> Recipe:
    """Make a recipe of parsed TOML; its paths are relative to the folder."""
    version = raw.get("recipe_version", RECIPE_VERSION)
    if isinstance(version, int) and version != RECIPE_VERSION:
        raise Problem(
            f"this Lhama reads version {RECIPE_VERSION}, the recipe is of version {version}",
            key="recipe_version",
            remedy="update Lhama" if version > RECIPE_VERSION else f"write recipe_version = {RECIPE_VERSION}",
        )
    try:
        # By way of JSON, because pydantic's strict mode takes a list for a tuple only there: 1 is not true, "1" not 1.
        recipe = Recipe.model_validate_json(json.dumps(_absolute(raw, folder)), strict=True)
    except TypeError as error:
        raise Problem("a date or time stands where none belongs", remedy="put it in quotes") from error
    except ValidationError as error:
        raise refusal(error, raw) from error
    recipe._folder = folder
    return recipe


def _find(what: str | Path) -> Path:
    path = Path(what)
    if path.is_file():
        return path
    known = shipped()
    if isinstance(what, str) and what in known:
        return known[what]
    raise Problem(
        f"there is no recipe {str(what)!r}", remedy=f"give a .toml file, or one of: {', '.join(known) or 'none'}"
    )


def _absolute(raw: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Return the parsed TOML with its paths made absolute; wrong types pass untouched and are refused later."""
    changed = dict(raw)
    tokens = raw.get("tokens")
    if isinstance(tokens, dict) and isinstance(tokens.get("from"), str):
        changed["tokens"] = tokens | {"from": _from(folder, tokens["from"])}
    train = raw.get("train")
    if isinstance(train, dict):
        places = {key: _from(folder, train[key]) for key in ("stream", "mirror") if isinstance(train.get(key), str)}
        changed["train"] = train | places
    corpus = raw.get("corpus")
    if isinstance(corpus, dict):
        changed["corpus"] = _absolute_corpus(corpus, folder)
    release = raw.get("release")
    if isinstance(release, dict) and isinstance(release.get("compare_tokenizers"), list):
        paths = [_from(folder, one) if isinstance(one, str) else one for one in release["compare_tokenizers"]]
        changed["release"] = release | {"compare_tokenizers": paths}
    return changed


def _absolute_corpus(corpus: dict[str, Any], folder: Path) -> dict[str, Any]:
    changed = dict(corpus)
    for key in ("opt_out", "tasks", "thresholds_file"):
        if isinstance(corpus.get(key), str):
            changed[key] = _from(folder, corpus[key])
    sources, classifiers, tests = (corpus.get(key) for key in ("source", "classifier", "decontaminate"))
    if isinstance(sources, list):
        changed["source"] = [_absolute_source(one, folder) for one in sources]
    if isinstance(classifiers, list):
        changed["classifier"] = [_absolute_labels(one, folder) for one in classifiers]
    if isinstance(tests, list):
        changed["decontaminate"] = [
            _from(folder, one) if isinstance(one, str) and is_file_name(one) else one for one in tests
        ]
    return changed


def _absolute_labels(classifier: Any, folder: Path) -> Any:
    labels = classifier.get("labels") if isinstance(classifier, dict) else None
    if isinstance(labels, str):
        return classifier | {"labels": _from(folder, labels)}
    if isinstance(labels, list):
        return classifier | {"labels": [_from(folder, one) if isinstance(one, str) else one for one in labels]}
    return classifier


def _absolute_source(source: Any, folder: Path) -> Any:
    if not isinstance(source, dict):
        return source
    changed = dict(source)
    if isinstance(source.get("blocklist"), str):
        changed["blocklist"] = _from(folder, source["blocklist"])
    path = source.get("path")
    if isinstance(path, str) and (source.get("kind") != "hub" or is_folder(path)):
        changed["path"] = _from(folder, path)
    if isinstance(path, list):
        changed["path"] = [_from(folder, one) if isinstance(one, str) else one for one in path]
    return changed


def _from(folder: Path, path: str) -> str:
    return path if "://" in path or not path else (folder / Path(path).expanduser()).as_posix()


def slice_for(recipe: Recipe, stage: str) -> dict[str, Any]:
    """Return the keys that belong to a stage's identity, flat and dotted, as JSON values.

    Tables in a list leave out what is at its default, so that a key of a later version changes no old identity.
    """
    whole = recipe.model_dump(mode="json", by_alias=True)
    chosen: dict[str, Any] = {key: whole[key] for key in TOP_KEYS.get(stage, ())}
    if stage in ("read", "corpus"):
        return chosen | _slice_of_corpus(recipe, whole["corpus"], stage)
    for section in SECTIONS.get(stage, (stage,)):
        for key, value in whole.get(section, {}).items():
            if section != "tokens" or (key in ROW_KEYS) == (stage == "train"):
                chosen[f"{section}.{key}"] = value
    if stage == "tokens":
        # Whose vocabulary it is belongs here; its content is one of the inputs that the tokens stage hashes.
        chosen["tokens.from"] = True if recipe.tokens.from_ else None
    if stage == "train":
        chosen["train.phase"] = [one.model_dump(mode="json", exclude_defaults=True) for one in recipe.train.phase]
    return chosen


def _slice_of_corpus(recipe: Recipe, whole: dict[str, Any], stage: str) -> dict[str, Any]:
    """Share the keys of [corpus] between reading and judging; the content of files they name is an input of its own."""
    corpus = recipe.corpus
    judging = {"action", "threshold"}
    reading = set(Classifier.model_fields) - judging - {"name"}
    if stage == "corpus":
        chosen = {key: value for key, value in whole.items() if key not in READ_KEYS or key in JUDGING_KEYS}
        sources = [
            one.model_dump(mode="json", exclude_defaults=True, include={"name", *JUDGING_OF_SOURCE})
            for one in corpus.source
        ]
        chosen["source"] = [one for one in sources if set(one) != {"name"}]
        chosen["classifier"] = [
            one.model_dump(mode="json", exclude_defaults=True, exclude=reading) for one in corpus.classifier
        ]
    else:
        chosen = {key: whole[key] for key in READ_KEYS}
        asked = {key: whole[key] not in (None, [], False, "any") for key in MEASURED_IF_ANY}
        asked["rules"] |= corpus.upper_case == "drop" or any(one.rules for one in corpus.source)
        chosen |= {key: "measured" if one else None for key, one in asked.items()}
        if not corpus.near_duplicates:
            chosen |= {"near_bands": None, "near_rows": None}
            chosen["near_words"] = chosen["near_words"] if asked["contained"] else None
        chosen["source"] = [
            one.model_dump(mode="json", exclude_defaults=True, exclude={"path", "blocklist", *JUDGING_OF_SOURCE})
            | ({} if one.documents_per_domain is None else {"documents_per_domain": "measured"})
            for one in corpus.source
        ]
        chosen["classifier"] = [
            one.model_dump(mode="json", exclude_defaults=True, exclude={"labels", *judging})
            for one in corpus.classifier
        ]
        # Where the file of a test set lies is no part of what is done.
        chosen["decontaminate"] = [Path(name).name if is_file_name(name) else name for name in corpus.decontaminate]
    # Of files what counts is whether there is one; their content is an input of the stage that reads them.
    chosen |= {key: True if whole[key] else None for key in ("opt_out", "tasks", "thresholds_file") if key in chosen}
    return {f"corpus.{key}": value for key, value in chosen.items()}
