"""Look at documents as they are read, and write down what is seen: language, variety, rules, classifiers.

In go mended documents of one source, out comes a column for each thing that was asked for. Source code is not prose:
nobody asks it for its language or measures it by rules for prose, and its columns say so with neutral values.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

if TYPE_CHECKING:
    from lhama.corpus.words import Texts

PORTUGUESE = "pt"


@dataclass(frozen=True)
class Scoring:
    """A classifier and the class whose probability is the score: trained here (in a folder), or a model by name."""

    name: str
    target: str
    model: str | None
    revision: str | None
    folder: Path


@dataclass(frozen=True)
class Looking:
    """What is to be seen of the documents of one source."""

    language: str
    prose: bool = True
    identify: bool = False
    variety: bool = False
    rules: bool = False
    stop_words: tuple[str, ...] = ()
    scorings: tuple[Scoring, ...] = ()


def fields_of(looking: Looking) -> dict[str, Any]:
    """Name the columns that `look` makes, with their Arrow types."""
    fields: dict[str, Any] = {}
    if looking.identify:
        fields |= {"language": pa.large_string(), "language_score": pa.float32(), "language_wanted": pa.float32()}
    if looking.variety:
        fields |= {"european": pa.float32(), "old_spelling": pa.float32()}
    if looking.rules:
        from lhama.corpus.rules import MEASURES

        fields |= MEASURES
    return fields | {f"score_{scoring.name}": pa.float32() for scoring in looking.scorings}


def look(column: Any, looking: Looking) -> dict[str, Any]:
    """Return the columns of `fields_of` for a large_string array."""
    if not fields_of(looking):
        return {}
    from lhama.corpus.words import texts_of

    texts, documents = texts_of(column), len(column)
    if not looking.prose:
        neutral: dict[str, Any] = {
            name: np.zeros(documents, kind.to_pandas_dtype() if kind != pa.large_string() else "U1")
            for name, kind in fields_of(looking).items()
        }
        columns = neutral
    else:
        columns = _of_language(texts, looking)
        if looking.rules:
            from lhama.corpus.rules import measure_rules

            columns |= measure_rules(texts, looking.language, looking.stop_words)
    for scoring in looking.scorings:
        columns[f"score_{scoring.name}"] = score(texts, scoring)
    return {name: pa.array(values) for name, values in columns.items()}


def _of_language(texts: Texts, looking: Looking) -> dict[str, Any]:
    columns: dict[str, Any] = {}
    if looking.identify:
        from lhama.corpus.language import identify

        found = identify(texts, looking.language)
        columns |= {"language": found.codes, "language_score": found.scores, "language_wanted": found.wanted}
    if looking.variety:
        columns |= _variety(texts, looking.language)
    return columns


def _variety(texts: Texts, language: str) -> dict[str, Any]:
    if language != PORTUGUESE:
        zeros = np.zeros(len(texts.offsets) - 1, np.float32)
        return {"european": zeros, "old_spelling": zeros}
    from lhama.corpus.variety import judge

    found = judge(texts)
    return {"european": found.european, "old_spelling": found.old}


def score(texts: Texts, scoring: Scoring) -> npt.NDArray[np.float32]:
    """Return the probability of the target for each document."""
    classifier = _opened(scoring)
    scores: npt.NDArray[np.float32] = classifier.score(texts)[:, classifier.classes.index(scoring.target)]
    return scores


@cache
def _opened(scoring: Scoring) -> Any:
    """Open a classifier once in a process."""
    if scoring.model is not None:
        from lhama.corpus.sequence_classifier import SequenceClassifier

        return SequenceClassifier(scoring.model, scoring.revision)
    from lhama.corpus.classifier import load

    return load(scoring.folder)
