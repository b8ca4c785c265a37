"""Find the thresholds and stop words of a new language in a sample of clean text.

In go some hundreds of clean documents, out come thresholds as languages/*.toml has them. Stop words are the words that
make up more than 0.8% of the sample, but at least eight. A threshold is set as many standard deviations from the mean
of the sample as that of Portuguese is from the mean of clean Portuguese (the method MeanStd of FineWeb-2, Penedo et al.
2025, arXiv 2506.20920, with Portuguese in the place of English), and loosened where more than 2% of the clean documents
would fail. Rules that do not depend on the language keep their defaults.
"""

import json
import tomllib
from importlib.resources import files
from typing import Any

import numba
import numpy as np
import numpy.typing as npt

from lhama.corpus.kernels.measure import WORDS
from lhama.corpus.rule_table import RULES, Rule, Thresholds, load_thresholds
from lhama.corpus.rules import measure_rules
from lhama.corpus.words import LETTER, Texts, cut, looked_at, room, tables
from lhama.plan.problem import Problem

REFERENCE = "pt"
"""The language whose thresholds and clean text others are compared with."""
CALIBRATED = (
    *("gopher_below_avg_threshold", "gopher_above_avg_threshold", "gopher_below_alpha_parts", "dup_line_frac"),
    *(f"top_{size}_gram" for size in (2, 3, 4)),
    *(f"duplicated_{size}_n_grams" for size in range(5, 11)),
    *("line_punct_ratio", "list_ratio"),
)
"""The rules that FineWeb-2 sets for each language."""
FEWEST, SHORTEST = 100, 50  # documents that a sample needs, words that a document needs to count
MAY_FAIL = 0.02  # of clean documents, by one rule
COMMON, FEWEST_STOP_WORDS, MOST_STOP_WORDS = 0.008, 8, 30  # a share of all words, and how many words
TIGHTEST, LOOSEST = 2 / 3, 3.0  # how far a threshold moves, as a factor; a sample of one kind of text varies little


def calibrate(texts: Texts, language: str) -> Thresholds:
    """Return the thresholds of a language, from documents that are known to be clean."""
    stop_words = common_words(texts)
    measures = measure_rules(texts, language, stop_words)
    counted = measures["rule_words"] >= SHORTEST
    if counted.sum() < FEWEST:
        raise Problem(
            f"the sample has {counted.sum()} documents of {SHORTEST} words and more",
            remedy=f"give at least {FEWEST}, better 1000, of several kinds",
        )
    values = dict(load_thresholds(REFERENCE).values)
    reference = clean_reference()
    for rule in RULES:
        if rule.name in CALIBRATED:
            mean, deviation = reference[rule.measurement]
            values[rule.name] = _threshold(
                rule, values[rule.name], measures[rule.measurement][counted], mean, deviation
            )
    return Thresholds(language, values, stop_words)


def _threshold(rule: Rule, known: float, sample: npt.NDArray[Any], mean: float, deviation: float) -> float:
    """Move a threshold of the reference to a sample, and round it to the loose side."""
    distance = (known - mean) / deviation
    moved = float(sample.mean(dtype=np.float64) + distance * sample.std(dtype=np.float64))
    if rule.comparison == "<":
        moved = min(max(moved, known / LOOSEST), known / TIGHTEST)
        return float(np.floor(1000 * min(moved, float(np.quantile(sample, MAY_FAIL)))) / 1000)
    moved = min(max(moved, known * TIGHTEST), known * LOOSEST)
    return float(np.ceil(1000 * max(moved, float(np.quantile(sample, 1 - MAY_FAIL)))) / 1000)


def clean_reference() -> dict[str, tuple[float, float]]:
    """Return mean and standard deviation of each measurement over clean text of the reference language."""
    table = tomllib.loads((files("lhama.corpus.languages") / f"{REFERENCE}.toml").read_text(encoding="utf-8"))
    return {name: (float(mean), float(deviation)) for name, (mean, deviation) in table["clean-text"].items()}


@numba.njit(
    f"int64(uint8[::1], int64[::1], uint8[::1], int32[::1], {WORDS}, uint64[::1], int64[::1], int32[::1])",
    cache=True,
    nogil=True,
)
def _list_words(
    data: Any, offsets: Any, kinds: Any, plain: Any, words: Any, hashes: Any, places: Any, sizes: Any
) -> int:
    """List the hash, place and size of every word with a letter, and return how many there are."""
    begins, ends, lengths, word_kinds, exact, plain_hashes = words
    listed = 0
    for document in range(len(offsets) - 1):
        begin = offsets[document]
        end = looked_at(data, begin, offsets[document + 1])
        count = cut(data, begin, end, kinds, plain, begins, ends, lengths, word_kinds, exact, plain_hashes)
        for word in range(count):
            if word_kinds[word] & LETTER:
                hashes[listed] = exact[word]
                places[listed] = begin + begins[word]
                sizes[listed] = ends[word] - begins[word]
                listed += 1
    return listed


def common_words(texts: Texts) -> tuple[str, ...]:
    """Return the commonest words of a sample in lower case, from the commonest on."""
    size = len(texts.data) + 1
    hashes, places, sizes = np.empty(size, np.uint64), np.empty(size, np.int64), np.empty(size, np.int32)
    listed = _list_words(*texts, *tables(), tuple(room(texts)), hashes, places, sizes)
    _, firsts, counts = np.unique(hashes[:listed], return_index=True, return_counts=True)
    chosen: list[str] = []
    for number in np.argsort(-counts, kind="stable").tolist():
        first = firsts[number]
        word = texts.data[places[first] : places[first] + sizes[first]].tobytes().decode()
        rare = counts[number] < COMMON * listed
        if len(chosen) == MOST_STOP_WORDS or (rare and len(chosen) >= FEWEST_STOP_WORDS):
            break
        if word == word.lower():
            chosen.append(word)
    return tuple(chosen)


def toml_of(thresholds: Thresholds, name: str, documents: int) -> str:
    """Write thresholds as a file for languages/; `name` is the language's, `documents` the size of the sample."""
    name = " ".join(name.split())
    lines = [
        f"# {name}: calibrated on {documents} documents of clean text by lhama calibrate (docs/rules.md).",
        *("", f"name = {json.dumps(name, ensure_ascii=False)}", "", "# The commonest words of the sample."),
        f'stop_words = "{" ".join(thresholds.stop_words)}"',
    ]
    group = ""
    for rule in RULES:
        value = thresholds.values.get(rule.name)
        if value == rule.default:
            continue
        if rule.group != group:
            group = rule.group
            lines += ["", f"[{group}]"]
        source = "calibrated" if rule.name in CALIBRATED else f"as for {REFERENCE}"
        shown = '"off"' if value is None else f"{value:g}"
        lines.append(f"{rule.name} = {shown}  # {source}")
    return "\n".join(lines) + "\n"
