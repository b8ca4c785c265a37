"""Keyed permutations: bijections, different by key, the same on every machine."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from lhama.tokens.permutation import key_of, permute, shuffled

KEYS = st.integers(0, 2**64 - 1)


@given(st.integers(1, 3000), KEYS)
def test_every_position_has_its_own_place(count: int, key: int) -> None:
    assert sorted(permute(np.arange(count), count, key).tolist()) == list(range(count))


@given(st.integers(1, 10**15), KEYS, st.data())
def test_one_position_at_a_time_is_the_same_as_many(count: int, key: int, data: st.DataObject) -> None:
    positions = data.draw(st.lists(st.integers(0, count - 1), min_size=1, max_size=20, unique=True))
    together = permute(np.array(positions), count, key)
    alone = [int(permute(np.array([position]), count, key)[0]) for position in positions]
    assert together.tolist() == alone
    assert len(set(alone)) == len(positions)
    assert all(0 <= place < count for place in alone)


def test_keys_make_different_orders_without_a_trend() -> None:
    orders = [permute(np.arange(1000), 1000, key_of("rows", 0, "source", epoch)) for epoch in range(20)]
    assert len({tuple(order.tolist()) for order in orders}) == 20
    # A correlation of 1,000 shuffled places has a standard deviation of 1/sqrt(999) = 0.032: 0.16 is five of them.
    for order in orders:
        assert abs(np.corrcoef(np.arange(1000), order)[0, 1]) < 0.16
        assert abs(np.corrcoef(order[:-1], order[1:])[0, 1]) < 0.16


def test_the_order_is_pinned() -> None:
    # These numbers may never change: a run that is resumed with another order would see rows twice.
    assert key_of("rows", 0, "contos", 0) == PINNED_KEY
    assert permute(np.arange(10), 10, 7).tolist() == PINNED_ROWS
    assert shuffled(10, 7).tolist() == PINNED_SHUFFLE


PINNED_KEY = 11029198904020814033
PINNED_ROWS = [9, 2, 8, 1, 4, 0, 5, 6, 7, 3]
PINNED_SHUFFLE = [1, 8, 5, 7, 0, 9, 4, 6, 3, 2]
