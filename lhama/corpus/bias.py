"""Show how a classifier's score moves on sentences that differ in one identity term.

In goes anything that scores texts, out comes for each group of terms how far apart their scores are on the same
sentences. Words that often stand in insults make a classifier call their innocent use an insult too (Dixon et al.
2018, "Measuring and Mitigating Unintended Bias in Text Classification"); who is then removed from a corpus is written
about no more. The sentences stand in languages_data/identity_pt.toml and say nothing bad of anybody.
"""

import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from lhama.corpus.words import Texts, texts_of

Scorer = Callable[[Texts], npt.NDArray[np.float32]]


@dataclass(frozen=True)
class Sentences:
    """Templates with one place each, and the terms of each group that take it."""

    templates: tuple[str, ...]
    terms: dict[str, tuple[str, ...]]


@dataclass(frozen=True)
class TermBias:
    """One term over all templates: mean score, how far that is from its group's, and the share at the threshold."""

    term: str
    mean: float
    difference: float
    called: float


@dataclass(frozen=True)
class GroupBias:
    """A group of terms, the highest first; `gap` is the distance of the two ends."""

    group: str
    gap: float
    terms: tuple[TermBias, ...]


def knows(language: str) -> bool:
    """Tell whether there are sentences of a language."""
    return _path(language).is_file()


def sentences(language: str = "pt") -> Sentences:
    """Read the sentences of a language."""
    data = tomllib.loads(_path(language).read_text(encoding="utf-8"))
    return Sentences(tuple(data["templates"]), {group: tuple(terms) for group, terms in data["terms"].items()})


def bias(
    score: Scorer, positive: int = 1, threshold: float = 0.5, material: Sentences | None = None
) -> tuple[GroupBias, ...]:
    """Measure the bias of a scorer for the class at `positive`; what reaches `threshold` is what it would remove."""
    material = material or sentences()
    groups = []
    for group, terms in material.terms.items():
        written = [template.format(term) for term in terms for template in material.templates]
        scores = score(texts_of(pa.array(written, pa.large_string())))[:, positive]
        table = scores.astype(np.float64).reshape(len(terms), len(material.templates))
        means = table.mean(axis=1)
        found = [
            TermBias(term, float(mean), float(mean - means.mean()), float((row >= threshold).mean()))
            for term, mean, row in zip(terms, means, table, strict=True)
        ]
        found.sort(key=lambda one: (-one.mean, one.term))
        groups.append(GroupBias(group, found[0].mean - found[-1].mean, tuple(found)))
    return tuple(groups)


def _path(language: str) -> Path:
    return Path(__file__).parent / "languages_data" / f"identity_{language}.toml"
