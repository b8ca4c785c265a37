"""Judge each document by itself, as far as no other document matters.

In go a read table and what the recipe asks for, out comes an array of verdicts: kept, or the name of the first reason
that holds. Duplicates are decided (dedup.py) among the documents that pass here, because a copy that is dropped for
itself should not take the good one with it. judge.py puts both together.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lhama.corpus.rule_table import NAMES, RULES, Thresholds, judge_rules, load_thresholds
from lhama.corpus.staged import Integers
from lhama.plan.recipe import Recipe, Source

KEPT = "kept"
MEASUREMENTS = {rule.name: rule.measurement for rule in RULES}
Verdicts = npt.NDArray[Any]


@dataclass(frozen=True)
class OfSource:
    """What holds for the documents of one source."""

    language: str
    prose: bool = True
    """Whether it is prose, whose language counts; source code is not."""
    thresholds: tuple[tuple[str, float], ...] = ()
    """The rules that hold, with their thresholds."""
    domain_cap: int | None = None


@dataclass(frozen=True)
class Judging:
    """What the recipe asks for, as plain values that travel to every worker."""

    sources: tuple[OfSource, ...]
    minimum: int = 50
    languages: tuple[str, ...] = ()
    language_score: float = 0.5
    european: float | None = None
    """From which chance on European Portuguese is dropped."""
    classifiers: tuple[tuple[str, float], ...] = ()
    """Those that drop, each with its threshold."""
    buckets: tuple[tuple[str, float], ...] = ()
    """Those that make a source of their own, each with its threshold."""
    personal: bool = False
    tests: bool = False
    exact: bool = True
    near: int = 0
    """How many bands a signature has; 0 where nobody looks."""
    near_rows: int = 8
    contained: float | None = None
    repeated_lines: int | None = None

    @property
    def columns(self) -> tuple[str, ...]:
        """Name the columns that `alone` looks at."""
        names = ["position", "reason", "heldout", "characters", "clean_characters"]
        names += ["language", "language_score", "language_wanted"] if self.languages else []
        names += ["european"] if self.european is not None else []
        names += self.measurements
        names += [f"score_{name}" for name, _ in self.classifiers]
        names += ["personal"] if self.personal else []
        names += ["clean_bytes", "taken_bytes"] if self.tests else []
        return tuple(names)

    @property
    def measurements(self) -> list[str]:
        """Name the measurements that the rules look at."""
        ruled = {name for source in self.sources for name, _ in source.thresholds}
        found = {MEASUREMENTS[name] for name in ruled}
        if "gopher_few_stop_words" in ruled:
            found |= {"upper_words", "stop_words_any_case"}
        return sorted(found | {"rule_words"}) if ruled else []


def judging_of(recipe: Recipe) -> Judging:
    """Say what a recipe asks the judge."""
    corpus = recipe.corpus
    chosen = {action: [one for one in corpus.classifier if one.action == action] for action in ("drop", "bucket")}
    return Judging(
        sources=tuple(_of_source(recipe, source) for source in corpus.source),
        minimum=corpus.minimum_characters,
        languages=corpus.languages,
        language_score=corpus.language_score,
        european=corpus.variety_score if corpus.variety == "brazilian" else None,
        classifiers=tuple((one.name, one.threshold) for one in chosen["drop"]),
        buckets=tuple((one.name, one.threshold) for one in chosen["bucket"]),
        personal=corpus.personal_data == "drop",
        tests=bool(corpus.decontaminate),
        exact=corpus.exact_duplicates,
        near=corpus.near_bands if corpus.near_duplicates else 0,
        near_rows=corpus.near_rows,
        contained=corpus.contained,
        repeated_lines=corpus.repeated_lines,
    )


def is_prose(source: Source) -> bool:
    """Tell whether a source holds prose, for which languages and rules are made; a folder of source code does not."""
    return source.kind != "code"


def _of_source(recipe: Recipe, source: Source) -> OfSource:
    language = source.language or recipe.language
    thresholds: Mapping[str, float] = {}
    if is_prose(source):
        thresholds = thresholds_of(recipe, source).values
    return OfSource(language, is_prose(source), tuple(sorted(thresholds.items())), source.documents_per_domain)


def thresholds_of(recipe: Recipe, source: Source) -> Thresholds:
    """Return the thresholds of the rules that hold for a source."""
    corpus, language = recipe.corpus, source.language or recipe.language
    own = Path(corpus.thresholds_file) if corpus.thresholds_file and language == recipe.language else None
    groups: tuple[str, ...] = corpus.rules if source.rules is None else source.rules
    if corpus.upper_case == "drop":
        groups = ("upper-case", *groups)
    return load_thresholds(language, own).override(corpus.thresholds).only(groups)


def readable(table: Any) -> npt.NDArray[np.bool_]:
    """Tell the rows that hold a document with any character."""
    found: npt.NDArray[np.bool_] = (table["reason"].to_numpy() == "") & (table["characters"].to_numpy() > 0)
    return found


def alone(table: Any, judging: Judging, numbers: Integers) -> Verdicts:
    """Return the verdict of each row by itself; one that only a document before it can spoil is `kept`.

    `numbers` says which source each row belongs to.
    """
    reasons = table["reason"].to_numpy().astype(object)
    verdicts: Verdicts = reasons.copy()
    verdicts[reasons == ""] = KEPT
    # Written from the weakest to the strongest, so that the first reason in the order of judgement has the last word.
    spoiled = _contaminated(table, judging)
    verdicts[spoiled] = "contaminated"
    if judging.personal:
        verdicts[table["personal"].to_numpy() > 0] = "personal_data"
    for name, threshold in reversed(judging.classifiers):
        verdicts[table[f"score_{name}"].to_numpy() >= threshold] = name
    prose = np.array([source.prose for source in judging.sources])[numbers]
    _judge_rules(verdicts, table, judging, numbers)
    if judging.european is not None:
        verdicts[prose & (table["european"].to_numpy() >= judging.european)] = "european"
    if judging.languages:
        verdicts[prose & ~_in_languages(table, judging, numbers)] = "other_language"
    # What is short only because passages of tests were taken out stands in a test set.
    verdicts[~spoiled & (table["clean_characters"].to_numpy() < judging.minimum)] = "too_short"
    verdicts[(reasons == "") & (table["characters"].to_numpy() == 0)] = "empty"
    broken = reasons != ""
    verdicts[broken] = reasons[broken]
    return verdicts


def _contaminated(table: Any, judging: Judging) -> npt.NDArray[np.bool_]:
    """Tell the rows of which too little is left without what stands in a test set."""
    if not judging.tests:
        return np.zeros(len(table), np.bool_)
    from lhama.corpus.decontaminate import contaminated

    taken = table["taken_bytes"].to_numpy()
    return contaminated(table["clean_bytes"].to_numpy() + taken, taken)


def _judge_rules(verdicts: Verdicts, table: Any, judging: Judging, numbers: Integers) -> None:
    """Give the documents of each source that fail a rule its name."""
    wanted = judging.measurements
    if not wanted:
        return
    measures = {name: table[name].to_numpy() for name in wanted}
    names = np.array(["", *NAMES], dtype=object)
    for number, source in enumerate(judging.sources):
        rows = np.flatnonzero(numbers == number)
        if source.thresholds and len(rows):
            mine = {name: column[rows] for name, column in measures.items()}
            failed = judge_rules(mine, Thresholds(source.language, dict(source.thresholds)))
            verdicts[rows[failed > 0]] = names[failed[failed > 0]]


def _in_languages(table: Any, judging: Judging, numbers: Integers) -> npt.NDArray[np.bool_]:
    """Tell the rows that are surely enough in a wanted language: the likeliest one, or the one of their source."""
    score = judging.language_score
    likeliest: npt.NDArray[np.bool_] = np.isin(table["language"].to_numpy().astype(str), judging.languages)
    of_source = np.array([source.language in judging.languages for source in judging.sources])[numbers]
    likeliest &= table["language_score"].to_numpy() >= score
    likeliest |= of_source & (table["language_wanted"].to_numpy() >= score)
    return likeliest
