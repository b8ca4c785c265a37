"""Judge documents by what was measured of them: each rule is a name, a measurement, a comparison and a threshold.

In go the columns of `measure_rules` (rules.py) and the thresholds of a language, out comes for each document 0, or the
number of the first rule that it fails. The name of a rule is the reason under which a document is counted; names,
definitions and order within a group are those of datatrove 0.10.1, so that reports can be compared. Nothing here looks
at a text or waits for a compiler: millions of documents are judged anew in seconds when a threshold changes.
"""

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from lhama.plan.problem import Problem

GROUPS = ("upper-case", "code", "gopher-quality", "gopher-repetition", "c4", "fineweb")
"""Sets of rules that are switched on together, in the order of judgement."""
Measures = Mapping[str, npt.NDArray[Any]]


class Rule(NamedTuple):
    """A document fails where its measurement is below (<) or above (>) the threshold."""

    name: str
    group: str
    measurement: str
    comparison: Literal["<", ">"]
    default: float | None
    """What holds where a language says nothing; None is off."""
    meaning: str


def _runs() -> Iterable[Rule]:
    """Make the rules about runs of words (Rae et al. 2021, table A1)."""
    for size, limit in ((2, 0.20), (3, 0.18), (4, 0.16)):
        meaning = f"The commonest run of {size} words takes too much of the text."
        yield Rule(f"top_{size}_gram", "gopher-repetition", f"top_{size}_gram_chars", ">", limit, meaning)
    for size, limit in ((5, 0.15), (6, 0.14), (7, 0.13), (8, 0.12), (9, 0.11), (10, 0.10)):
        meaning = f"Runs of {size} words that came before take too much of the text."
        yield Rule(f"duplicated_{size}_n_grams", "gopher-repetition", f"dup_{size}_gram_chars", ">", limit, meaning)


RULES: tuple[Rule, ...] = (
    Rule("upper_case", "upper-case", "upper_words", ">", 0.5, "Most words are in capitals."),
    Rule("mostly_code", "code", "code_share", ">", 0.9, "There is hardly anything but program code."),
    Rule("translated_code", "code", "translated_lines", ">", 0, "Program code was machine-translated."),
    # Rae et al. 2021, section A1.1, with the numbers of the paper.
    Rule("gopher_short_doc", "gopher-quality", "rule_words", "<", 50, "There are too few words."),
    Rule("gopher_long_doc", "gopher-quality", "rule_words", ">", 100_000, "There are too many words."),
    Rule("gopher_below_avg_threshold", "gopher-quality", "word_length", "<", 3, "Words are too short on average."),
    Rule("gopher_above_avg_threshold", "gopher-quality", "word_length", ">", 10, "Words are too long on average."),
    Rule("gopher_too_many_hashes", "gopher-quality", "hashes", ">", 0.1, "There are too many # signs."),
    Rule("gopher_too_many_ellipsis", "gopher-quality", "ellipses", ">", 0.1, "There are too many ellipses."),
    Rule("gopher_too_many_bullets", "gopher-quality", "bullet_lines", ">", 0.9, "Nearly all lines are bullet points."),
    Rule("gopher_too_many_end_ellipsis", "gopher-quality", "ellipsis_lines", ">", 0.3, "Too many lines break off."),
    # datatrove counts marks as words here, and each comma of a dialogue against it: 0.8 of words would take 36% of the
    # chapters of Machado de Assis, and FineWeb-2's 0.814 takes 56% (docs/rules.md). The paper means what white space
    # parts: gopher_below_alpha_parts.
    Rule(
        "gopher_below_alpha_threshold",
        "gopher-quality",
        "alpha_words",
        "<",
        None,
        "Too few words have letters, marks counted.",
    ),
    Rule("gopher_below_alpha_parts", "gopher-quality", "alpha_parts", "<", 0.8, "Too few words have letters."),
    Rule("gopher_few_stop_words", "gopher-quality", "stop_words", "<", 2, "The commonest words are missing."),
    # Rae et al. 2021, table A1.
    Rule("dup_para_frac", "gopher-repetition", "dup_paragraphs", ">", 0.3, "Too many paragraphs repeat."),
    Rule(
        "dup_para_char_frac", "gopher-repetition", "dup_paragraph_chars", ">", 0.2, "Repeated paragraphs are too long."
    ),
    Rule("dup_line_frac", "gopher-repetition", "dup_lines", ">", 0.3, "Too many lines repeat."),
    Rule("dup_line_char_frac", "gopher-repetition", "dup_line_chars", ">", 0.2, "Repeated lines take too much."),
    *_runs(),
    # Raffel et al. 2020, section 2.2.
    Rule("lorem_ipsum", "c4", "lorem_ipsum_lines", ">", 0, "The placeholder text lorem ipsum occurs."),
    Rule("curly_bracket", "c4", "curly_bracket_lines", ">", 0, "A curly bracket occurs."),
    Rule("too_few_sentences", "c4", "sentences", "<", 5, "Too few sentences are left in good lines."),
    # Penedo et al. 2024, section 3.6.
    Rule("line_punct_ratio", "fineweb", "punctuated_lines", "<", 0.12, "Too few lines end a sentence."),
    Rule("short_line_ratio", "fineweb", "short_lines", ">", 0.67, "Too many lines have 30 characters or fewer."),
    Rule("char_dup_ratio", "fineweb", "dup_full_line_chars", ">", 0.01, "Repeated lines take too much."),
    Rule("list_ratio", "fineweb", "line_feeds", ">", 0.3, "There are too many line breaks for so few words."),
)
"""All rules, in the order of judgement."""
NAMES = tuple(rule.name for rule in RULES)
MEANING = {rule.name: rule.meaning for rule in RULES}


@dataclass(frozen=True)
class Thresholds:
    """What a language asks of a text; a rule without a value is off."""

    language: str
    values: Mapping[str, float]
    stop_words: tuple[str, ...] = ()
    known: bool = True
    """Whether there is a file for the language; without one the defaults hold, and nobody looks for stop words."""

    def override(self, changes: Mapping[str, float | Literal["off"]]) -> "Thresholds":
        """Return other thresholds: a number for a rule by its name, or "off"."""
        for name in changes:
            if name not in NAMES:
                raise Problem(f"there is no rule {name}", key="corpus.thresholds", remedy=f"known: {', '.join(NAMES)}")
        kept = {name: value for name, value in self.values.items() if changes.get(name) != "off"}
        return replace(self, values=kept | {name: float(value) for name, value in changes.items() if value != "off"})

    def only(self, groups: Iterable[str]) -> "Thresholds":
        """Return the thresholds of some groups of rules; the others are off."""
        wanted = set(groups)
        if unknown := wanted - set(GROUPS):
            raise Problem(f"there is no set of rules {min(unknown)}", key="corpus.rules", remedy=", ".join(GROUPS))
        chosen = {rule.name for rule in RULES if rule.group in wanted}
        return replace(self, values={name: value for name, value in self.values.items() if name in chosen})


def load_thresholds(language: str, path: Path | None = None) -> Thresholds:
    """Read the thresholds of a language (ISO 639-1), or of a file; without one, the defaults and no stop words."""
    if path is not None:
        try:
            return read_thresholds(path.read_text(encoding="utf-8"), language)
        except (OSError, ValueError) as error:
            remedy = "write it with lhama calibrate, or name another file"
            raise Problem(f"cannot read {path}: {error}", key="corpus.thresholds_file", remedy=remedy) from error
    known = files("lhama.corpus.languages") / f"{language}.toml"
    if not known.is_file():
        return read_thresholds("", language, known=False)
    return read_thresholds(known.read_text(encoding="utf-8"), language)


def read_thresholds(toml: str, language: str, *, known: bool = True) -> Thresholds:
    """Read thresholds as languages/*.toml has them: defaults where it is silent, off where it says so."""
    table = tomllib.loads(toml)
    stop_words = tuple(table.get("stop_words", "").split())
    changes = {name: value for group in GROUPS for name, value in table.get(group, {}).items()}
    defaults = {rule.name: rule.default for rule in RULES if rule.default is not None}
    thresholds = Thresholds(language, defaults, stop_words, known)
    without = {} if stop_words else {"gopher_few_stop_words": "off"}
    return thresholds.override(changes | without)


def all_failures(measures: Measures, thresholds: Thresholds) -> npt.NDArray[np.bool_]:
    """Say for each document (row) and each of RULES (column) whether it fails; a rule that is off fails nobody."""
    documents = len(measures["rule_words"])
    failures = np.zeros((documents, len(RULES)), np.bool_)
    for number, rule in enumerate(RULES):
        if rule.name in thresholds.values:
            failures[:, number] = _fails(rule, measures, thresholds.values[rule.name])
    return failures


def judge_rules(measures: Measures, thresholds: Thresholds) -> npt.NDArray[np.int16]:
    """Return 0 for each document that passes, else the number, from 1, of the first of RULES that it fails."""
    verdicts = np.zeros(len(measures["rule_words"]), np.int16)
    for number, rule in reversed(list(enumerate(RULES, 1))):
        if rule.name in thresholds.values:
            verdicts[_fails(rule, measures, thresholds.values[rule.name])] = number
    return verdicts


def _fails(rule: Rule, measures: Measures, threshold: float) -> npt.NDArray[np.bool_]:
    column = measures[rule.measurement]
    if rule.name == "gopher_few_stop_words":
        # In capitals no stop word is written as in the list; such a text is not to fail for that alone.
        column = np.where(measures["upper_words"] > 0.5, measures["stop_words_any_case"], column)
    # As a measurement is rounded to 32 bits, so is the threshold: 3 of 10 lines are not more than 0.3.
    limit = np.asarray(threshold, column.dtype if column.dtype.kind == "f" else np.float64)
    failed: npt.NDArray[np.bool_] = column < limit if rule.comparison == "<" else column > limit
    return failed
