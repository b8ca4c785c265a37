"""Measure documents for all rules: what is code apart, and the prose around it word by word and line by line.

In go documents as bytes and offsets, out comes a column of numbers for each measurement. The rules themselves and their
judgement are in rule_table.py, which needs no kernel; what is public there can be had from here, too.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from lhama.corpus import prose
from lhama.corpus.kernels import measure
from lhama.corpus.kernels.measure import ALL_LINES, LineRules, measure_texts
from lhama.corpus.prose import without_code
from lhama.corpus.rule_table import (
    GROUPS,
    MEANING,
    NAMES,
    RULES,
    Rule,
    Thresholds,
    all_failures,
    judge_rules,
    load_thresholds,
    read_thresholds,
)
from lhama.corpus.words import Texts

__all__ = [
    "GROUPS",
    "MEANING",
    "MEASURES",
    "NAMES",
    "RULES",
    "Rule",
    "Thresholds",
    "all_failures",
    "judge_rules",
    "load_thresholds",
    "measure_rules",
    "read_thresholds",
]
MEASURES: dict[str, Any] = measure.MEASURES | prose.MEASURES
"""What `measure_rules` gives for each document, with Arrow types."""


def measure_rules(
    texts: Texts,
    language: str = "",
    stop_words: tuple[str, ...] | None = None,
    lines: LineRules = ALL_LINES,
    *,
    apart: bool = True,
) -> dict[str, npt.NDArray[Any]]:
    """Measure documents for all rules: a column for each of MEASURES, a number for each document.

    The stop words are those of the language where none are given. Code is measured apart from the prose around it,
    unless `apart` is false; then all of the text is prose, as it is for other tools.
    """
    wanted = load_thresholds(language).stop_words if stop_words is None else stop_words
    if apart:
        texts, code_share, translated = without_code(texts, language)
    else:
        documents = len(texts.offsets) - 1
        code_share, translated = np.zeros(documents, np.float32), np.zeros(documents, np.int32)
    return measure_texts(texts, wanted, lines) | {"code_share": code_share, "translated_lines": translated}
