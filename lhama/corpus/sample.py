"""Read a sample of clean text in a new language and derive its thresholds: what `lhama calibrate` does.

In go files, folders or globs of any kind that a source may have, out come thresholds, the same as a file for a recipe,
and how many documents they rest on. What cannot be read is counted and left out, and a large sample is read as far as
it helps.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa

from lhama.corpus.calibrate import CALIBRATED, calibrate, toml_of
from lhama.corpus.filelist import SourceFile
from lhama.corpus.listing import expand
from lhama.corpus.readers import Columns, Row
from lhama.corpus.reading import Reading, read_rows
from lhama.corpus.rule_table import RULES, Thresholds
from lhama.corpus.sources import known_kind
from lhama.corpus.words import texts_of
from lhama.plan.problem import Problem
from lhama.record import console

ENOUGH = 256_000_000  # characters; more text moves no threshold in its third digit
SHOWN_EVERY = 1000  # documents


class Calibrated(NamedTuple):
    """What was derived from a sample, and what was left out of it."""

    thresholds: Thresholds
    toml: str
    documents: int
    unread: int
    """Rows that hold no document."""


def calibrate_files(paths: list[str], language: str, name: str = "") -> Calibrated:
    """Derive the thresholds of a language (ISO 639-1 or 639-3) from all documents that the paths mean."""
    if not (language.isascii() and language.isalpha() and language.islower()):
        raise Problem(f"{language!r} is no code of a language", remedy="give one of ISO 639, such as gn or qu")
    documents, unread = _read(paths, language)
    thresholds = calibrate(texts_of(pa.array(documents, pa.large_string())), language)
    return Calibrated(thresholds, toml_of(thresholds, name or language, len(documents)), len(documents), unread)


def _read(paths: list[str], language: str) -> tuple[list[str], int]:
    """Return the texts of all readable documents, as many as help, and the number of the others."""
    documents: list[str] = []
    size = unread = 0
    with console.progress("reading", unit="documents") as bar:
        for row in _rows(paths, language):
            if row.reason:
                unread += 1
                continue
            documents.append(row.text)
            size += len(row.text)
            if len(documents) % SHOWN_EVERY == 0:
                bar.advance(SHOWN_EVERY)
            if size >= ENOUGH:
                break
        bar.advance(len(documents) % SHOWN_EVERY)
    return documents, unread


def _rows(paths: list[str], language: str) -> Iterator[Row]:
    reading, number = Reading(language=language), 0
    for path in paths:
        for found in expand(Path(path), "SAMPLE"):
            kind = known_kind(Path(found.name))
            if kind is not None and found.size is not None:
                number += 1
                file = SourceFile(number, found.name, kind, Path(found.root, found.name), found.size, Path(found.root))
                yield from read_rows(file, Columns(), reading)
    if not number:
        raise Problem(f"no file of a known kind in {', '.join(paths)}", remedy="give jsonl, parquet, csv or txt files")


def rows_of(calibrated: Calibrated) -> Iterator[tuple[str, str, str]]:
    """Yield a line of a table for each threshold that was derived: the rule, the default, the language's own value."""
    for rule in RULES:
        if rule.name in CALIBRATED:
            default = "off" if rule.default is None else f"{rule.default:g}"
            yield rule.name, default, f"{calibrated.thresholds.values[rule.name]:g}"
