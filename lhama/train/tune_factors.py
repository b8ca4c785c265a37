"""What `lhama tune` tries, in the order of expected worth: a recipe and what the first probe was go in, factors out.

Only keys that the recipe leaves to Lhama are changed: what a person has set is a decision, not a proposal. Precision is
another matter: it belongs to the result, so other precisions are measured and shown, and never taken. The optimizer is
AdamW; there is no other one to try.
"""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from lhama.plan.computing import tokens_with_logits
from lhama.plan.hardware import usable_cores
from lhama.plan.keys import default_of
from lhama.plan.recipe import Recipe
from lhama.train.tune_search import Change, Factor, Kind

ALLOCATORS = ("jemalloc", "tcmalloc_minimal", "tcmalloc", "mimalloc")
LIBRARIES = ("/usr/lib", "/usr/lib64", "/usr/local/lib", "/lib", "/opt/homebrew/lib")
PRECISIONS = {"cpu": ("fp32", "bf16"), "cuda": ("bf16", "tf32", "fp16", "fp32"), "mps": ("fp32",)}
HUGE_PAGES = (2, 35)  # the glibc that can be told to ask for them


def is_free(recipe: Recipe, key: str) -> bool:
    """Tell whether a recipe leaves a key at its default."""
    section, name = key.split(".")
    return bool(getattr(getattr(recipe, section), name) == default_of(key))


def ladder(recipe: Recipe) -> list[Change]:
    """Return the settings to begin with: the recipe's, and what needs less memory, where that does not fit."""
    found = [Change("recipe", label="the recipe as it is")]
    if is_free(recipe, "train.micro_batch"):
        found.append(Change("recipe", {"train.micro_batch": 1}))
    if is_free(recipe, "train.gradient_checkpointing"):
        found.append(Change("recipe", {**found[-1].settings, "train.gradient_checkpointing": "full"}))
    return found


def factors(recipe: Recipe, first: Mapping[str, Any], taken: Mapping[str, Any], own_tokens: bool) -> Iterator[Factor]:
    """Yield what to try after the first probe, whose answer is `first`; `taken` are the settings that it needed."""
    device = first["device"]

    def free(key: str) -> bool:
        return is_free(recipe, key) and key not in taken

    def each(factor: str, key: str, *values: Any, kind: Kind = "rounding", **how: bool) -> Factor:
        asked = values if free(key) or kind == "other" else ()
        return Factor(tuple(Change(factor, {key: one}, kind=kind) for one in asked), **how)

    yield each("compilation", "train.compile", "off" if device["compile"] else "on")
    rows, most = first["rows_at_once"], first["batch_tokens"] // recipe.tokens.sequence
    yield each("micro-batch", "train.micro_batch", *_more(rows, most), climbing=True)
    yield each("micro-batch", "train.micro_batch", *_fewer(rows), climbing=True, otherwise=True)
    other = [one for one in PRECISIONS[device["kind"]] if one != device["precision"]]
    yield each("precision", "train.precision", *other, kind="other")
    yield each("attention", "train.attention", *(one for one in ("sdpa", "plain") if one != recipe.train.attention))
    yield each("threads", "train.threads", *_threads(device["threads"]))
    yield Factor(tuple(allocators(device["kind"])))
    yield each("loss", "train.loss_tokens", *_slices(recipe, device["compile"], rows * recipe.tokens.sequence))
    yield each("checkpointing", "train.gradient_checkpointing", "selective", "full")
    if own_tokens:
        yield each("data", "train.data", *_places(recipe), kind="same")


def _more(rows: int, most: int) -> list[int]:
    return [count for count in (2 * rows, 4 * rows, 8 * rows) if count <= most]


def _fewer(rows: int) -> list[int]:
    return [count for count in (rows // 2, rows // 4, rows // 8) if count]


def _threads(now: int) -> list[int]:
    cores = usable_cores()
    return [count for count in dict.fromkeys((cores, cores // 2, cores - 1)) if 0 < count != now]


def _slices(recipe: Recipe, compiled: bool, tokens: int) -> list[int]:
    """Return other numbers of tokens with logits at once; more than go through the model make no difference."""
    now = min(tokens, tokens_with_logits(recipe.tokens.vocabulary, compiled))
    return [count for count in dict.fromkeys((max(1, now // 4), min(tokens, 4 * now))) if count != now]


def _places(recipe: Recipe) -> tuple[str, ...]:
    return ("mapped", "memory") if recipe.train.stream is None else ("mapped", "memory", "streamed")


def allocators(kind: str) -> Iterator[Change]:
    """Yield other ways to have memory that this machine offers; each is a variable of the environment."""
    if kind == "cuda":
        variables = {"PYTORCH_CUDA_ALLOC_CONF": "expandable_segments:True"}
        yield Change("allocator", variables=variables, label="allocator: expandable segments", kind="same")
        return
    if sys.platform != "linux" or "LD_PRELOAD" in os.environ:
        return
    for name in ALLOCATORS:
        library = find_library(name)
        if library is not None:
            yield Change("allocator", variables={"LD_PRELOAD": library}, label=f"allocator: {name}", kind="same")
    kind_of_libc, version = platform.libc_ver()
    if kind_of_libc == "glibc" and tuple(int(part) for part in version.split(".")[:2]) >= HUGE_PAGES:
        variables = {"GLIBC_TUNABLES": "glibc.malloc.hugetlb=1"}
        yield Change("allocator", variables=variables, label="allocator: glibc, huge pages", kind="same")


def find_library(name: str) -> str | None:
    """Return where a shared library lies, or None."""
    for place in LIBRARIES:
        for folder in (Path(place), *sorted(Path(place).glob("*-linux-gnu"))):
            found = sorted(folder.glob(f"lib{name}.so*"))
            if found:
                return str(found[0])
    return None
