"""Groups of near duplicates against a plain search for what is connected, whatever the parts and slices."""

import random
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lhama.corpus import engine
from lhama.corpus.minhash import NO_KEY, Keys, signatures
from lhama.corpus.near import Integers, Links, group, joined, links_between, none
from lhama.corpus.words import texts_of


def keys_from(rows: list[list[int]]) -> Keys:
    """Spread small numbers over all 64 bits, each band with its own, and leave 0 for no key."""
    keys = np.array(rows, np.uint64).reshape(len(rows), -1)
    bands = np.arange(1, keys.shape[1] + 1, dtype=np.uint64)
    return np.where(keys == 0, NO_KEY, (keys * np.uint64(1000) + bands) * np.uint64(0x9E3779B97F4A7C15))


def connected(orders: list[int], rows: list[list[int]]) -> dict[int, int]:
    """Return for each order the smallest one that can be reached, by walking."""
    first = {}
    for start in range(len(orders)):
        seen, open_ = {start}, [start]
        while open_:
            at = open_.pop()
            for other in range(len(orders)):
                if other not in seen and any(a and a == b for a, b in zip(rows[at], rows[other], strict=True)):
                    seen.add(other)
                    open_.append(other)
        first[orders[start]] = min(orders[one] for one in seen)
    return first


@settings(deadline=None)
@given(st.data())
def test_groups_are_what_is_connected(data: st.DataObject) -> None:
    bands = data.draw(st.integers(1, 3))
    rows = data.draw(st.lists(st.lists(st.integers(0, 6), min_size=bands, max_size=bands), max_size=14))
    orders = data.draw(st.lists(st.integers(-50, 1 << 40), min_size=len(rows), max_size=len(rows), unique=True))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(rows)), max_size=3)))
    slice_keys = data.draw(st.integers(1, 60))
    keys, numbers = keys_from(rows) if rows else np.zeros((0, bands), np.uint64), np.array(orders, np.int64)

    def parts() -> Iterator[tuple[Integers, Keys]]:
        for begin, end in zip([0, *cuts], [*cuts, len(rows)], strict=True):
            yield numbers[begin:end], keys[begin:end]

    with tempfile.TemporaryDirectory() as folder:
        clusters = group(parts(), len(rows), bands, Path(folder) / "scratch", slice_keys)
    expected = {order: first for order, first in connected(orders, rows).items() if order != first}
    assert dict(zip(clusters.dropped.tolist(), clusters.original.tolist(), strict=True)) == expected
    assert (np.diff(clusters.dropped) > 0).all()


def test_union_by_hand() -> None:
    # 1-2 and 4-9 are two groups until 9-2 joins them; 7-8 stays apart; 3 is linked to nobody.
    clusters = joined(none(), Links(np.array([2, 9, 8]), np.array([1, 4, 7])))
    assert clusters.dropped.tolist() == [2, 8, 9]
    assert clusters.original.tolist() == [1, 7, 4]
    clusters = joined(clusters, Links(np.array([9]), np.array([2])))
    assert clusters.dropped.tolist() == [2, 4, 8, 9]
    assert clusters.original.tolist() == [1, 1, 7, 1]
    originals, sizes = clusters.sizes()
    assert (originals.tolist(), sizes.tolist()) == ([1, 7], [4, 2])
    assert clusters.histogram() == {2: 1, 4: 1}


def test_a_long_chain_is_one_group(tmp_path: Path) -> None:
    orders = np.arange(100_000)
    keys = np.stack([orders // 2, (orders + 1) // 2 + 1_000_000], axis=1).astype(np.uint64) + np.uint64(1)
    clusters = group([(orders, keys)], len(orders), 2, tmp_path / "scratch", slice_keys=20_000)
    assert (clusters.dropped == orders[1:]).all()
    assert not clusters.original.any()


def test_the_order_of_links_changes_nothing() -> None:
    generator = random.Random(0)
    pairs = [(generator.randrange(300), generator.randrange(300)) for _ in range(200)]
    links = [(max(pair), min(pair)) for pair in pairs if pair[0] != pair[1]]
    wanted = None
    for _ in range(5):
        generator.shuffle(links)
        clusters = none()
        for begin in range(0, len(links), 37):
            later, first = zip(*links[begin : begin + 37], strict=True)
            clusters = joined(clusters, Links(np.array(later), np.array(first)))
        found = (clusters.dropped.tolist(), clusters.original.tolist())
        wanted = wanted or found
        assert found == wanted


def test_held_out_documents_come_first() -> None:
    texts = [
        "um dois três quatro cinco seis sete",
        "outra coisa bem diferente daquela ali",
        "UM, dois: três quatro cinco seis sete!",
    ]
    keys = signatures(texts_of(pa.array(texts)))
    clusters = group([(np.array([3, 7, 900 - (1 << 62)]), keys)], 3, 14, Path("unused"))
    assert clusters.dropped.tolist() == [3]
    assert clusters.original.tolist() == [900 - (1 << 62)]


def test_the_engine_of_a_cluster_finds_the_same_links() -> None:
    generator = np.random.default_rng(1)
    keys, orders = generator.integers(1, 40, 200), generator.permutation(200)
    ours = links_between(orders, keys.astype(np.uint64))
    table = pa.table({"high": keys, "low": np.zeros(200, np.int64), "order": orders})
    theirs = engine.not_first(table)
    assert sorted(zip(ours.later, ours.first, strict=True)) == sorted(
        zip(theirs["order"].to_pylist(), theirs["first"].to_pylist(), strict=True)
    )


@pytest.mark.parametrize("documents", [0, 1])
def test_nothing_to_group(documents: int) -> None:
    clusters = group([(np.arange(documents), np.ones((documents, 14), np.uint64))], documents, 14, Path("unused"))
    assert not len(clusters.dropped) and not len(clusters.original)
    assert clusters.histogram() == {}
