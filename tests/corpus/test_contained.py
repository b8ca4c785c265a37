"""Contained documents against a plain search, by hand, and whatever the slices."""

import random
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from lhama.corpus.contained import FEW, HOLDERS, LEAST, RATE, Record, contained, sampled
from lhama.corpus.words import Texts, texts_of

Sets = dict[int, set[int]]


def as_texts(texts: list[str]) -> Texts:
    return texts_of(pa.array(texts, pa.large_string()))


def story(seed: int, words: int) -> list[str]:
    """Make so many words that no other seed repeats in a row."""
    generator = random.Random(seed)
    return ["".join(generator.choices("abcdefghij", k=5)) for _ in range(words)]


def found_among(texts: list[str], orders: list[int] | None = None) -> dict[int, int]:
    numbers = np.array(orders if orders is not None else range(len(texts)), np.int64)
    samples = sampled(as_texts(texts))
    clusters = contained([(samples.keys, numbers[samples.documents])], len(samples.keys), Path("unused"))
    return dict(zip(clusters.dropped.tolist(), clusters.original.tolist(), strict=True))


def by_definition(sets: Sets, share: float) -> dict[int, int]:
    """Decide by comparing every document with every earlier one; only the first HOLDERS of a run hold anything."""
    holders: dict[int, list[int]] = {}
    for order in sorted(sets):
        for run in sets[order]:
            holders.setdefault(run, []).append(order)
    dropped: dict[int, int] = {}
    for order in sorted(sets):
        of = len(sets[order])
        best = 0
        for other in sorted(sets):
            if other >= order or other in dropped or order < 0 or of < LEAST:
                continue
            both = sum(other in holders[run][:HOLDERS] for run in sets[order])
            enough = both == of if of < FEW else both >= share * of
            if enough and both > best:
                dropped[order], best = other, both
    return dropped


@settings(deadline=None, max_examples=200)
@given(st.data())
def test_decisions_are_those_of_the_definition(data: st.DataObject) -> None:
    orders = data.draw(st.lists(st.integers(-3, 60), max_size=25, unique=True))
    runs = st.sets(st.integers(1, 14), max_size=12)
    sets = {order: data.draw(runs) for order in orders}
    share = data.draw(st.sampled_from([0.5, 0.8, 1.0]))
    slice_records = data.draw(st.integers(20, 200))
    cut_at = data.draw(st.integers(0, len(orders)))

    def parts() -> Iterator[Record]:
        for some in (orders[cut_at:], orders[:cut_at]):
            records = [(run, order) for order in some for run in sorted(sets[order])]
            columns = np.array(records, np.int64).reshape(-1, 2)
            yield columns[:, 0].astype(np.uint64), columns[:, 1].copy()

    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder) / "scratch"
        clusters = contained(parts(), sum(map(len, sets.values())), scratch, share, slice_records)
        assert not scratch.exists()
    found = dict(zip(clusters.dropped.tolist(), clusters.original.tolist(), strict=True))
    assert found == by_definition(sets, share)
    assert clusters.dropped.tolist() == sorted(found)


def test_a_truncated_copy_is_dropped_for_the_whole() -> None:
    whole = story(1, 2000)
    copy, other = " ".join(whole[:700]).upper(), " ".join(story(2, 700))
    assert found_among([" ".join(whole), copy, other]) == {1: 0}
    assert found_among([other, " ".join(whole), ", ".join(whole[900:1500])]) == {2: 1}


def test_the_longer_document_is_not_dropped_for_its_part() -> None:
    whole = story(1, 2000)
    assert found_among([" ".join(whole[:700]), " ".join(whole)]) == {}


def test_half_of_another_text_is_no_copy() -> None:
    whole, other = story(1, 1600), story(2, 1600)
    assert found_among([" ".join(whole), " ".join(whole[:800] + other[:800])]) == {}


def test_two_halves_of_two_documents_are_held_by_neither() -> None:
    one, two = story(1, 1600), story(2, 1600)
    assert found_among([" ".join(one), " ".join(two), " ".join(one[:600] + two[:600])]) == {}


def test_short_documents_are_left_alone() -> None:
    whole = story(3, 900)
    assert found_among([" ".join(whole), " ".join(whole[:12])]) == {}


def test_held_out_documents_hold_others_and_stay() -> None:
    whole = story(1, 2000)
    texts = [" ".join(whole), " ".join(whole[:900]), " ".join(whole[300:900])]
    assert found_among(texts, [-100, -50, 7]) == {7: -100}


def test_one_run_in_so_many_is_sampled_once() -> None:
    words = story(5, 40_000)
    samples = sampled(as_texts([" ".join(words), " ".join(words + words), "", "poucas palavras"]))
    counts = np.bincount(samples.documents, minlength=4)
    # 39,996 runs, each with the chance of 1 in 16: 5 deviations are 242.
    assert abs(int(counts[0]) - 39_996 / RATE) < 242
    assert counts[0] <= counts[1] <= counts[0] + 4
    assert counts[2:].tolist() == [0, 0]
    again = sampled(as_texts([" ".join(words[100:])]))
    assert np.isin(again.keys, samples.keys).all()
