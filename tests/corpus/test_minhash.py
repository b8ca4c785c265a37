"""MinHash against plain Python, against brute-force Jaccard, and against what a signature must not depend on."""

import random
import unicodedata
from functools import cache
from itertools import groupby

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lhama.corpus.minhash import (
    NO_KEY,
    Keys,
    as_column,
    expected_recall,
    keys_of,
    permutations,
    recall_table,
    signatures,
)
from lhama.corpus.words import FIRST, MULTIPLIER, tables, texts_of

MODULO = 1 << 64
FEW = st.text(alphabet="aàÁb B1٣,\n.-_日🦙", max_size=60)


def sign(*texts: str, bands: int = 14, rows: int = 8, words: int = 5) -> Keys:
    return signatures(texts_of(pa.array(texts, pa.large_string())), bands, rows, words)


def plain_words(text: str) -> list[str]:
    """Cut into real words in their plain form, as words.py documents it."""
    runs = groupby(text, lambda one: unicodedata.category(one)[0] in "LMN" or one == "_")
    plain = tables().plain
    return ["".join(chr(plain[ord(one)]) for one in run) for is_word, run in runs if is_word]


def mix(value: int) -> int:
    value = (value ^ value >> 33) * 0xFF51AFD7ED558CCD % MODULO
    value = (value ^ value >> 33) * 0xC4CEB9FE1A85EC53 % MODULO
    return value ^ value >> 33


def word_hash(word: str) -> int:
    value = int(FIRST)
    for character in word:
        value = (value ^ ord(character)) * int(MULTIPLIER) % MODULO
    return mix(value)


@cache
def run_hash(run: tuple[str, ...]) -> int:
    value = 0
    for word in run:
        value = (value * int(MULTIPLIER) + word_hash(word)) % MODULO
    return mix(value) >> 32


def runs_of(words: list[str], size: int) -> set[tuple[str, ...]]:
    if not words:
        return set()
    return {tuple(words[at : at + size]) for at in range(max(1, len(words) - size + 1))}


def by_definition(text: str, bands: int, rows: int, size: int) -> list[int]:
    hashes = [run_hash(run) for run in runs_of(plain_words(text), size)]
    if not hashes:
        return [0] * bands
    made = permutations(bands * rows)
    minima = [
        min((int(a) * one + int(b)) % (1 << 32) for one in hashes)
        for a, b in zip(made.multipliers, made.increments, strict=True)
    ]
    keys = []
    for band in range(bands):
        value = band + 1
        for row in range(band * rows, band * rows + rows):
            value = mix((value * int(MULTIPLIER) % MODULO) ^ minima[row])
        keys.append(value)
    return keys


@settings(deadline=None)
@given(
    st.lists(st.one_of(FEW, st.text(max_size=60)), max_size=5), st.integers(1, 4), st.integers(1, 3), st.integers(1, 6)
)
def test_keys_are_those_of_the_definition(texts: list[str], bands: int, rows: int, size: int) -> None:
    expected = [by_definition(text, bands, rows, size) for text in texts]
    assert sign(*texts, bands=bands, rows=rows, words=size).tolist() == expected


def similar_pair(generator: random.Random, changed: int) -> tuple[str, str]:
    """Make a document of 200 words, and a copy in which some are others."""
    words = [f"w{generator.randrange(5000):x}" for _ in range(200)]
    copy = list(words)
    for place in generator.sample(range(200), changed):
        copy[place] = "x" + copy[place]
    return " ".join(words), " ".join(copy)


def jaccard(one: str, two: str, size: int = 5) -> float:
    first, second = runs_of(plain_words(one), size), runs_of(plain_words(two), size)
    return len(first & second) / len(first | second)


@cache
def similarities() -> dict[tuple[str, str], float]:
    """Draw pairs of all similarities, and count them."""
    generator = random.Random("pairs")
    pairs = [similar_pair(generator, generator.randint(1, 25)) for _ in range(1500)]
    return {pair: jaccard(*pair) for pair in pairs}


@pytest.mark.parametrize(("low", "high"), [(0.4, 0.6), (0.6, 0.7), (0.7, 0.8), (0.8, 0.9), (0.9, 1.0)])
def test_recall_is_the_expected_one(low: float, high: float) -> None:
    """Letters and digits stand for words here, and digits fold, so the similarity is counted and not computed."""
    similar = similarities()
    chosen = [pair for pair, similarity in similar.items() if low <= similarity < high]
    assert len(chosen) > 100
    ours, theirs = (sign(*side) for side in zip(*chosen, strict=True))
    found = int((ours == theirs).any(axis=1).sum())
    chances = [expected_recall(similar[pair]) for pair in chosen]
    expected, deviation = sum(chances), sum(chance * (1 - chance) for chance in chances) ** 0.5
    # Independent trials with these chances: beyond 4 deviations, and the half for whole numbers, is 1 in 16,000.
    assert abs(found - expected) <= 4 * deviation + 0.5


def test_each_hash_agrees_as_often_as_runs_are_shared() -> None:
    """One row a band: 112 keys estimate the similarity itself, with the deviation of independent hashes."""
    generator = random.Random(1)
    errors = []
    for _ in range(300):
        pair = similar_pair(generator, generator.randint(1, 30))
        ours, theirs = sign(*pair, bands=112, rows=1)
        similarity = jaccard(*pair)
        errors.append(((ours == theirs).mean() - similarity) / (similarity * (1 - similarity) / 112) ** 0.5)
    # The mean of 300 normal deviates stays within 4 / sqrt(300); their deviation within 4 / sqrt(600) of 1.
    assert abs(np.mean(errors)) < 4 / 300**0.5
    assert abs(np.std(errors) - 1) < 4 / 600**0.5


def test_expected_recall() -> None:
    assert expected_recall(0.75) == pytest.approx(0.77, abs=0.005)
    assert expected_recall(0.8) == pytest.approx(0.924, abs=0.0005)
    assert [expected_recall(end) for end in (0.0, 1.0)] == [0.0, 1.0]
    assert expected_recall(0.3, bands=1, rows=1) == pytest.approx(0.3)
    assert [similarity for similarity, _ in recall_table()] == [0.5 + step / 20 for step in range(11)]


def test_case_accents_digits_and_punctuation_make_no_difference() -> None:
    one, two, three = sign(
        "João pôs 3 pães à mesa; a avó não comeu.", "JOAO POS 7 PAES\n\na mesa a avo nao comeu", "joão pôs três pães"
    )
    assert (one == two).all()
    assert not (one == three).any()


def test_documents_without_words_have_no_key_and_short_ones_are_their_own_run() -> None:
    nothing, signs, one, same, other, longer = sign(
        "", " ...!\n", "Bolo de fubá", "bolo, de FUBA!", "bolo", "a b c d bolo"
    )
    assert (nothing == NO_KEY).all() and (signs == NO_KEY).all()
    assert (one == same).all() and not (one == other).any() and not (other == longer).any()
    assert (one != NO_KEY).all()


@settings(deadline=None)
@given(st.lists(st.text(max_size=80), min_size=1, max_size=8))
def test_a_signature_does_not_depend_on_its_neighbours(texts: list[str]) -> None:
    together = sign(*texts)
    assert (together == np.concatenate([sign(text) for text in texts])).all()
    assert (together[::-1] == sign(*texts[::-1])).all()


def test_signatures_stay_the_same_over_versions_and_machines() -> None:
    keys = sign("O rato roeu a roupa do rei de Roma, e a rainha, de raiva, roeu o resto.")
    assert [f"{key:016x}" for key in keys[0, :2]] == ["e8821ad0716111b3", "88218667597bcb39"]


def test_the_column_gives_the_keys_back() -> None:
    keys = sign("um dois três quatro cinco seis", "", "sete")
    column = as_column(keys)
    assert column.type == pa.binary(8 * 14)
    assert (keys_of(column) == keys).all()
    assert (keys_of(column[1:]) == keys[1:]).all()
    assert (keys_of(pa.chunked_array([column[:1], column[1:]])) == keys).all()


def test_a_sliced_array_of_texts_is_read_where_it_begins() -> None:
    whole = pa.array(["a b c d e f g", "h i j k l m n", "o p q r s t u"], pa.large_string())
    assert (signatures(texts_of(whole[1:2])) == sign("h i j k l m n")).all()
