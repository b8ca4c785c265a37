"""Thresholds and stop words from a sample: against plain Python, and as a file that rules read again."""

import json
import random
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lhama.corpus import tales
from lhama.corpus.calibrate import (
    CALIBRATED,
    FEWEST_STOP_WORDS,
    MOST_STOP_WORDS,
    calibrate,
    clean_reference,
    common_words,
    toml_of,
)
from lhama.corpus.rule_table import RULES, Thresholds, judge_rules, load_thresholds, read_thresholds
from lhama.corpus.rules import measure_rules
from lhama.corpus.sample import calibrate_files, rows_of
from lhama.corpus.words import texts_of
from lhama.plan.problem import Problem
from tests.corpus.test_kernels import ANYTHING, words_of

TALES = [tale.text for tale in tales.documents(400, seed=7)]


def texts(documents: list[str]) -> Any:
    return texts_of(pa.array(documents, pa.large_string()))


@settings(deadline=None)
@given(
    st.lists(st.one_of(ANYTHING, st.sampled_from(["o gato viu o rato", "A casa É azul, é sim", "b b c d e f g h i"])))
)
def test_common_words_are_the_commonest_in_lower_case(documents: list[str]) -> None:
    counts = Counter(word for text in documents for word in words_of(text) if any(map(str.isalpha, word)))
    found = common_words(texts(documents))
    lower = {word: count for word, count in counts.items() if word == word.lower()}
    assert set(found) <= set(lower) and len(found) == len(set(found)) <= MOST_STOP_WORDS
    assert [counts[word] for word in found] == sorted((counts[word] for word in found), reverse=True)
    left = [count for word, count in lower.items() if word not in found]
    if len(found) < FEWEST_STOP_WORDS:
        assert not left
    elif len(found) < MOST_STOP_WORDS:
        assert max(left, default=0) <= counts[found[-1]] and max(left, default=0) < 0.008 * counts.total() + 1


def test_every_calibrated_rule_has_a_reference() -> None:
    reference, by_name = clean_reference(), {rule.name: rule for rule in RULES}
    assert {by_name[name].measurement for name in CALIBRATED} == set(reference)
    assert set(CALIBRATED) <= set(load_thresholds("pt").values)


def test_thresholds_are_as_far_from_the_sample_as_those_of_portuguese_from_theirs() -> None:
    found = calibrate(texts(TALES), "qu")
    measures = measure_rules(texts(TALES), "qu", found.stop_words)
    long = measures["rule_words"] >= 50
    known, reference = load_thresholds("pt").values, clean_reference()
    for rule in RULES:
        value = found.values.get(rule.name)
        if rule.name not in CALIBRATED:
            assert value == known.get(rule.name)
            continue
        mean, deviation = reference[rule.measurement]
        sample = measures[rule.measurement][long].astype(np.float64)
        moved = sample.mean() + (known[rule.name] - mean) / deviation * sample.std()
        if rule.comparison == "<":
            expected = min(np.clip(moved, known[rule.name] / 3, known[rule.name] * 1.5), np.quantile(sample, 0.02))
            assert expected - 0.0011 <= value <= expected + 1e-6
        else:
            expected = max(np.clip(moved, known[rule.name] * 2 / 3, known[rule.name] * 3), np.quantile(sample, 0.98))
            assert expected - 1e-6 <= value <= expected + 0.0011


def test_no_calibrated_rule_takes_more_than_two_in_a_hundred_of_the_sample() -> None:
    found = calibrate(texts(TALES), "qu")
    measures = measure_rules(texts(TALES), "qu", found.stop_words)
    long = measures["rule_words"] >= 50
    for name in CALIBRATED:
        alone = Thresholds("qu", {name: found.values[name]}, found.stop_words)
        assert (judge_rules(measures, alone)[long] > 0).mean() <= 0.02


def test_what_is_no_text_of_the_language_fails() -> None:
    found = calibrate(texts(TALES), "qu")
    letters = random.Random(5)
    noise = [" ".join("".join(letters.choices("bcdfghjklm", k=6)) for _ in range(80)) for _ in range(50)]
    assert judge_rules(measure_rules(texts(noise), "qu", found.stop_words), found).all()


def test_the_file_says_what_was_derived() -> None:
    found = calibrate(texts(TALES), "qu")
    toml = toml_of(found, 'Qué "chua"\n[c4]', 400)
    again = read_thresholds(toml, "qu")
    assert dict(again.values) == pytest.approx(dict(found.values)) and again.stop_words == found.stop_words
    assert 'name = "Qué \\"chua\\" [c4]"' in toml and toml.startswith("# Qué")


def test_too_small_a_sample_is_refused() -> None:
    with pytest.raises(Problem, match="the sample has 99 documents of 50 words"):
        calibrate(texts(["a casa " * 30] * 99 + ["curto"] * 500), "qu")


def test_a_sample_may_be_files_folders_and_globs(tmp_path: Path) -> None:
    (tmp_path / "pasta").mkdir()
    for number, text in enumerate(TALES[:150]):
        (tmp_path / "pasta" / f"{number:03}.txt").write_text(text, encoding="utf-8")
    rows = [json.dumps({"text": text}) for text in TALES[150:]]
    (tmp_path / "a.jsonl").write_text("\n".join([*rows, "{", '{"outro": 1}']) + "\n", encoding="utf-8")
    found = calibrate_files([str(tmp_path / "pasta"), str(tmp_path / "*.jsonl")], "qu", "Quechua")
    assert (found.documents, found.unread) == (400, 2)
    assert found.thresholds == calibrate(texts(TALES), "qu")
    assert found.toml == toml_of(found.thresholds, "Quechua", 400)
    assert [name for name, _, _ in rows_of(found)] == [rule.name for rule in RULES if rule.name in CALIBRATED]


def test_a_file_of_thresholds_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    broken = tmp_path / "broken.toml"
    broken.write_text("stop_words = ")
    for path in (tmp_path / "missing.toml", broken):
        with pytest.raises(Problem, match=path.name) as refused:
            load_thresholds("pt", path)
        assert refused.value.key == "corpus.thresholds_file"
