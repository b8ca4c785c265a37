"""What is done to a batch of documents while it is read: mend, look, measure, mask, take out, fingerprint.

In goes a column of texts of one source, out comes a struct of columns: the text as training would see it where that is
another one, and everything that the judge (judge.py) may ask about it. Nothing is dropped here, so another threshold
needs no second reading. Settings are plain values and travel to every worker; what they need is opened there once.
Kernels are compiled when they are first imported, so each step imports its own: a recipe without it does not wait.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lhama.corpus import looking, measure
from lhama.corpus.judging import is_prose
from lhama.corpus.looking import Looking, Scoring
from lhama.corpus.records import packed
from lhama.plan.recipe import Recipe, Source

TESTS = "tests.npz"  # in the folder of tools
OF_CODE = frozenset(["unicode"])
"""The only repair that source code gets."""
UNTOLD = iter((True,))  # what a process has compiled for one recipe is there for the next one


@dataclass(frozen=True)
class Cleaning:
    """What the recipe asks for, for the documents of one source."""

    source: str
    looking: Looking
    repair: frozenset[str] = frozenset()
    lines: tuple[str, ...] = ()
    """Rules of C4 by which single lines leave a document."""
    personal_data: str = "keep"
    bands: int = 0
    rows: int = 8
    words: int = 5
    contained: bool = False
    repeated_lines: bool = False
    tests: Path | None = None
    """The index of test sets."""


def cleaning_of(recipe: Recipe, source: Source, tools: Path) -> Cleaning:
    """Say what is to be done to the documents of a source; `tools` holds classifiers and the index of test sets."""
    corpus, language = recipe.corpus, source.language or recipe.language
    own = Path(corpus.thresholds_file) if corpus.thresholds_file and language == recipe.language else None
    ruled = corpus.rules or corpus.upper_case == "drop" or any(one.rules for one in corpus.source)
    looking = Looking(
        language=language,
        prose=is_prose(source),
        identify=bool(corpus.languages),
        variety=corpus.variety != "any",
        rules=bool(ruled),
        stop_words=_stop_words(language, own) if ruled else (),
        scorings=tuple(
            Scoring(one.name, one.target, one.model, one.revision, tools / one.name) for one in corpus.classifier
        ),
    )
    return Cleaning(
        source=source.name,
        looking=looking,
        repair=frozenset(corpus.repair),
        lines=corpus.lines,
        personal_data=corpus.personal_data,
        bands=corpus.near_bands if corpus.near_duplicates else 0,
        rows=corpus.near_rows,
        words=corpus.near_words,
        contained=corpus.contained is not None,
        repeated_lines=corpus.repeated_lines is not None,
        tests=tools / TESTS if corpus.decontaminate else None,
    )


def is_new_here() -> bool:
    """Tell whether no kernel was ever compiled and kept on this machine; a process is told so once."""
    from lhama.corpus import words

    return not words.cut.stats.cache_hits and next(UNTOLD, False)


def compile_kernels(cleanings: Iterable[Cleaning]) -> None:
    """Compile the kernels that the steps need, before several processes would all do it."""
    for cleaning in dict.fromkeys(replace(one, source="") for one in cleanings):
        clean(pa.array([""], pa.large_string()), cleaning)


def _stop_words(language: str, own: Path | None) -> tuple[str, ...]:
    from lhama.corpus.rule_table import load_thresholds

    return load_thresholds(language, own).stop_words


def fields_of(cleaning: Cleaning) -> dict[str, Any]:
    """Name the columns that `clean` makes, with their Arrow types; they are the same for all sources of a recipe."""
    fields: dict[str, Any] = {"clean": pa.large_string(), **measure.FIELDS}
    fields |= {f"repair_{kind}": pa.int32() for kind in _repairs(cleaning)}
    fields |= looking.fields_of(cleaning.looking)
    if cleaning.personal_data != "keep":
        from lhama.corpus import pii

        fields |= {"personal": pa.int32(), **{f"personal_{kind}": pa.int32() for kind in pii.KINDS}}
    fields |= {"taken_bytes": pa.int64(), "tests": pa.large_string()} if cleaning.tests else {}
    fields |= {"near": pa.binary(8 * cleaning.bands)} if cleaning.bands else {}
    fields |= {"samples": pa.large_binary()} if cleaning.contained else {}
    fields |= {"lines": pa.large_binary()} if cleaning.repeated_lines else {}
    return fields


def clean(texts: Any, cleaning: Cleaning) -> Any:
    """Do all that is asked for to a large_string array; return a struct array with the columns of `fields_of`.

    `clean` is null where the text stays as it came.
    """
    came = pc.cast(texts, pa.large_string())
    columns: dict[str, Any] = {}
    text = _mended(measure.without_marks(came), cleaning, columns)
    columns |= looking.look(text, cleaning.looking)
    if cleaning.personal_data != "keep":
        text = _masked(text, cleaning, columns)
    if cleaning.tests:
        text = _without_tests(text, cleaning.tests, columns)
    if cleaning.bands or cleaning.contained or cleaning.repeated_lines:
        _fingerprint(text, cleaning, columns)
    same = np.ones(len(came), np.bool_) if text is came else pc.equal(came, text).to_numpy(zero_copy_only=False)
    columns |= measure.measure(came, text, np.flatnonzero(~same))
    columns["clean"] = pc.if_else(pa.array(same), pa.nulls(len(came), pa.large_string()), text)
    arrays = [pc.cast(columns[name], kind) for name, kind in fields_of(cleaning).items()]
    return pa.StructArray.from_arrays(arrays, list(fields_of(cleaning)))


def final_text(table: Any) -> Any:
    """Return the texts of a read table as they are after all that is done to a document by itself."""
    return pc.coalesce(table["clean"], pc.cast(table["text"], pa.large_string()))


def _mended(text: Any, cleaning: Cleaning, columns: dict[str, Any]) -> Any:
    """Repair what is broken, and take out the lines that C4's rules forbid; count both."""
    counts: dict[str, Any] = dict.fromkeys(_repairs(cleaning), np.zeros(len(text), np.int64))
    steps = cleaning.repair if cleaning.looking.prose else cleaning.repair & OF_CODE
    if steps:
        from lhama.corpus.repair import repair

        text, found = repair(text, steps)
        counts |= found
    if cleaning.lines and cleaning.looking.prose:
        text, removed = _without_lines(text, cleaning.lines, cleaning.looking.language)
        counts |= removed
    columns |= {f"repair_{kind}": pa.array(count) for kind, count in counts.items()}
    return text


def _repairs(cleaning: Cleaning) -> list[str]:
    """Name the kinds of repair that are counted."""
    names: list[str] = []
    if cleaning.repair:
        from lhama.corpus.repair import kinds

        names += kinds(cleaning.repair)
    if cleaning.lines:
        from lhama.corpus.kernels.c4_lines import REMOVED

        names += REMOVED
    return names


def _without_lines(text: Any, names: tuple[str, ...], language: str) -> tuple[Any, dict[str, Any]]:
    from lhama.corpus.kernels.c4_lines import remove_lines
    from lhama.corpus.kernels.measure import LineRules
    from lhama.corpus.spans import column_of
    from lhama.corpus.words import texts_of

    off = LineRules(terminal=False, words=0, longest=0, javascript=False, policy=False, citations=False)
    rules = off._replace(**{name: getattr(LineRules(), name) for name in names})
    left, removed = remove_lines(texts_of(text), rules, language)
    return column_of(left), removed


def _masked(text: Any, cleaning: Cleaning, columns: dict[str, Any]) -> Any:
    from lhama.corpus import pii

    masked = pii.mask(text, "drop" if cleaning.personal_data == "drop" else "mask")
    columns |= {f"personal_{kind}": pa.array(found) for kind, found in masked.counts.items()}
    columns["personal"] = pa.array(sum(masked.counts.values()))
    return masked.column


def _without_tests(text: Any, index: Path, columns: dict[str, Any]) -> Any:
    """Take out the passages that stand in a test set, and name them."""
    from lhama.corpus import decontaminate
    from lhama.corpus.spans import column_of
    from lhama.corpus.words import texts_of

    texts, tests = texts_of(text), decontaminate.opened(index)
    left = decontaminate.without(texts, tests)
    columns["taken_bytes"] = pa.array(left.taken)
    columns["tests"] = pa.array(decontaminate.described(texts, left, tests), pa.string())
    return column_of(left.texts) if len(left.found.documents) else text


def _fingerprint(text: Any, cleaning: Cleaning, columns: dict[str, Any]) -> None:
    """Keep what the decisions about several documents will ask for."""
    from lhama.corpus.words import texts_of

    texts = texts_of(text)
    if cleaning.bands:
        from lhama.corpus import minhash

        keys = minhash.signatures(texts, cleaning.bands, cleaning.rows, cleaning.words)
        columns["near"] = minhash.as_column(keys)
    if cleaning.contained:
        from lhama.corpus import contained

        found = contained.sampled(texts, cleaning.words)
        columns["samples"] = packed(found.documents, len(text), (found.keys,))
    if cleaning.repeated_lines:
        from lhama.corpus import boilerplate

        lines = boilerplate.lines_of(texts, cleaning.source)
        columns["lines"] = packed(lines.documents, len(text), (lines.keys, lines.sizes, lines.words))
