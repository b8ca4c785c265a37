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
from lhama.corpus.near import Clusters
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
    found = contained([(samples.keys, numbers[samples.documents])], len(samples.keys), Path("unused"))
    return as_dict(found.dropped) | as_dict(found.holding) | as_dict(found.leaving)


def as_dict(clusters: Clusters) -> dict[int, int]:
    assert clusters.dropped.tolist() == sorted(set(clusters.dropped.tolist()))
    return dict(zip(clusters.dropped.tolist(), clusters.original.tolist(), strict=True))


def is_enough(both: int, of: int, share: float) -> bool:
    return of >= LEAST and (both == of if of < FEW else both >= share * of)


def of_heldout(sets: Sets, share: float) -> tuple[dict[int, int], dict[int, int]]:
    """Compare every held-out document with every training one: (training ones that go, held-out ones that go)."""
    training = {order: sets[order] for order in sorted(sets) if order >= 0}
    held = {order: sets[order] for order in sorted(sets) if order < 0}
    copies = {
        order
        for order, runs in training.items()
        for other in held
        if is_enough(
            sum(other in sorted(o for o in sets if run in sets[o])[:HOLDERS] for run in runs), len(runs), share
        )
        and runs & held[other]
    }
    holding: dict[int, int] = {}
    leaving: dict[int, int] = {}
    for order, runs in held.items():
        holders = []
        for other, theirs in training.items():
            both = sum(other in [one for one in training if run in training[one]][:HOLDERS] for run in runs)
            if both and is_enough(both, len(runs), share):
                holders.append((other, 2 * both >= len(theirs)))
        longer = [other for other, mostly in holders if not mostly and other not in copies]
        if longer:
            leaving[order] = longer[0]
        elif len(holders) >= HOLDERS:
            leaving[order] = holders[0][0]
        else:
            for other in [other for other, _ in holders if other not in copies]:
                holding.setdefault(other, order)
    return holding, leaving


def by_definition(sets: Sets, share: float, gone: dict[int, int]) -> dict[int, int]:
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
            if other >= order or other in dropped or order < 0 or gone.keys() & {order, other}:
                continue
            both = sum(other in holders[run][:HOLDERS] for run in sets[order])
            if is_enough(both, of, share) and both > best:
                dropped[order], best = other, both
    return dropped


@settings(deadline=None, max_examples=200)
@given(st.data())
def test_decisions_are_those_of_the_definition(data: st.DataObject) -> None:
    orders = data.draw(st.lists(st.integers(-6, 30), max_size=30, unique=True))
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
        found = contained(parts(), sum(map(len, sets.values())), scratch, share, slice_records)
        assert not scratch.exists()
    holding, leaving = of_heldout(sets, share)
    assert (as_dict(found.holding), as_dict(found.leaving)) == (holding, leaving)
    assert as_dict(found.dropped) == by_definition(sets, share, holding)


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


def five_in_a_row(words: list[str]) -> set[tuple[str, ...]]:
    return {tuple(words[at : at + 5]) for at in range(len(words) - 4)}


def test_copies_of_40_to_400_words_are_found_as_sets_of_all_runs_say() -> None:
    """Of true copies nearly all are found, even short ones, and of what is no copy nearly nothing."""
    generator = random.Random(7)
    wholes = [story(seed, generator.randint(500, 1500)) for seed in range(40)]
    held = [five_in_a_row(whole) for whole in wholes]
    pieces, shares = [], []
    for number in range(600):
        whole, size = wholes[number % 40], generator.randint(40, 400)
        start, own = generator.randint(0, len(whole) - size), generator.choice([0, 0, 0.02, 0.1, 0.3, 0.6, 1])
        piece = whole[start : start + size]
        piece = piece[: round(size * (1 - own))] + story(10_000 + number, round(size * own))
        runs = five_in_a_row(piece)
        pieces.append(piece)
        shares.append(max(len(runs & one) for one in held) / len(runs))
    found = found_among([" ".join(words) for words in (*wholes, *pieces)])
    share, said = np.array(shares), np.array([40 + number in found for number in range(600)])
    short = np.array([len(piece) < 80 for piece in pieces])
    assert said[(share > 0.9) & short].mean() > 0.75 and said[(share > 0.95) & ~short].mean() > 0.98
    assert said[share < 0.5].mean() < 0.02 and (share < 0.5).sum() > 100
    assert all(found[40 + number] == number % 40 for number in np.flatnonzero(said).tolist())


def test_held_out_text_in_longer_training_text() -> None:
    """The smaller loss is taken: a document that is mostly held-out text goes, for a long one the held-out one does."""
    tested, other, book = story(1, 300), story(2, 250), story(3, 2000)
    long = " ".join(book[:900] + tested + book[900:])
    mostly, copy = " ".join(other + tested), " ".join(tested + other[:20])
    assert found_among([" ".join(tested), mostly], [-9, 4]) == {4: -9}
    assert found_among([" ".join(tested), long], [-9, 4]) == {-9: 4}
    assert found_among([" ".join(tested), mostly, long], [-9, 4, 5]) == {-9: 5}
    assert found_among([" ".join(tested), copy], [-9, 4]) == {4: -9}, "a copy goes as a copy"
    assert found_among([" ".join(tested), " ".join(tested[:100] + book)], [-9, 4]) == {}
    many = [" ".join(tested + story(20 + number, 200)) for number in range(HOLDERS)]
    assert found_among([" ".join(tested), *many], [-9, *range(HOLDERS)]) == {-9: 0}
    assert found_among([" ".join(tested), *many[1:]], [-9, *range(1, HOLDERS)]) == dict.fromkeys(range(1, HOLDERS), -9)


def test_held_out_documents_hold_others_and_stay() -> None:
    whole = story(1, 2000)
    texts = [" ".join(whole), " ".join(whole[:900]), " ".join(whole[300:900])]
    assert found_among(texts, [-100, -50, 7]) == {7: -100}


def test_one_run_in_so_many_is_sampled_once() -> None:
    words = story(5, 40_000)
    samples = sampled(as_texts([" ".join(words), " ".join(words + words), "", "poucas palavras"]))
    counts = np.bincount(samples.documents, minlength=4)
    # 39,996 runs, each with the chance of 1 in 8: 5 deviations are 331.
    assert abs(int(counts[0]) - 39_996 / RATE) < 331
    assert counts[0] <= counts[1] <= counts[0] + 4
    assert counts[2:].tolist() == [0, 0]
    again = sampled(as_texts([" ".join(words[100:])]))
    assert np.isin(again.keys, samples.keys).all()
