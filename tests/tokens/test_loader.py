"""The order of data: quotas, epochs, seeking, splitting over processes, going on in the next phase."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lhama.plan.problem import Problem
from lhama.tokens.loader import IGNORED, PERIOD, Loader, quotas
from tests.tokens.conftest import WriteTokens, phase

T = 8


@pytest.mark.parametrize("packing", ["stream", "best-fit", "alone"])
def test_an_epoch_is_every_token_once(write_tokens: WriteTokens, packing: str) -> None:
    lengths = [2, 30, 5, 9, 17, 3, 3, 8, 41]
    folder = write_tokens({"um": lengths})
    rows = Loader(folder, [phase(1, 1, T)], T, packing, 0).source("um").rows.count
    loader = Loader(folder, [phase(1, 3 * rows, T)], T, packing, 0)
    starts = {10} if packing == "stream" else {10 + int(start) for start in np.cumsum([0, *lengths[:-1]])}
    for epoch in range(3):
        targets = [loader.batch(epoch * rows + i).targets for i in range(rows)]
        seen = np.concatenate([one[one != IGNORED] for one in targets])
        assert sorted(seen.tolist()) == sorted({*range(10, 10 + sum(lengths))} - starts)
    orders = [[row.row for step in range(e * rows, e * rows + rows) for row in loader.rows(step)] for e in range(3)]
    assert orders[0] != orders[1] != orders[2]


def test_a_batch_by_hand(write_tokens: WriteTokens) -> None:
    # One source of 12 tokens, 10 to 21: rows of T+1 = 9 are [10..18] and [18..21, five pads].
    loader = Loader(write_tokens({"um": [12]}), [phase(2, 1, T)], T, "stream", 0)
    batch = loader.batch(0)
    by_row = {row.row: i for i, row in enumerate(loader.rows(0))}
    full, short = by_row[0], by_row[1]
    assert batch.tokens[full].tolist() == [10, 11, 12, 13, 14, 15, 16, 17, 18]
    assert batch.targets[full].tolist() == [11, 12, 13, 14, 15, 16, 17, 18]
    assert batch.tokens[short].tolist() == [18, 19, 20, 21, 3, 3, 3, 3, 3]
    assert batch.targets[short].tolist() == [19, 20, 21, -100, -100, -100, -100, -100]
    assert (batch.lengths[full], batch.lengths[short]) == (9, 4)
    assert batch.source.tolist() == [0, 0]


def test_any_split_of_a_step_is_the_same_step(write_tokens: WriteTokens) -> None:
    loader = Loader(write_tokens({"um": [50] * 9, "dois": [20] * 30}), [phase(12, 9, T)], T, "stream", 3)
    for step in (0, 4, 8):
        whole = loader.batch(step)
        for each in (1, 2, 3, 4, 6):  # 12 rows as micro-batches, or as the shares of 12 / each processes
            parts = [loader.batch(step, first, each) for first in range(0, 12, each)]
            for field in ("tokens", "targets", "lengths", "source"):
                joined = np.concatenate([getattr(part, field) for part in parts])
                assert np.array_equal(joined, getattr(whole, field))


def test_seeking_equals_walking_and_phases_go_on(write_tokens: WriteTokens) -> None:
    """Phase boundaries fall inside a period here; a position computed per period once repeated and skipped rows."""
    folder = write_tokens({"um": [33] * 300, "dois": [7] * 900})
    laid = [
        phase(500, 11, T),
        phase(300, 20, T, first_step=11, mixture={"um": 0.25, "dois": 0.75}),
        phase(700, 9, T, first_step=31, mixture={"dois": 1.0}),
    ]
    loader = Loader(folder, laid, T, "stream", 1)
    position: Counter[str] = Counter()
    seen: dict[tuple[str, int], list[int]] = {}
    for step in range(40):
        fresh = Loader(folder, laid, T, "stream", 1)
        assert fresh.rows(step) == loader.rows(step)
        for name, epochs in fresh.epochs(step).items():
            assert epochs == pytest.approx(position[name] / loader.source(name).rows.count)
        for row in loader.rows(step):
            assert row.epoch == position[row.source] // loader.source(row.source).rows.count
            position[row.source] += 1
            seen.setdefault((row.source, row.epoch), []).append(row.row)
    for (name, _), rows in seen.items():
        count = loader.source(name).rows.count
        assert len(set(rows)) == len(rows) <= count
    full = [len(rows) == loader.source(name).rows.count for (name, _), rows in seen.items()]
    assert sum(full) >= 5


def test_quotas_hold_in_every_period(write_tokens: WriteTokens) -> None:
    mixture = {"um": 0.7, "dois": 0.3}
    folder = write_tokens({"um": [100] * 10, "dois": [100] * 10, "tres": [100]})
    loader = Loader(folder, [phase(PERIOD // 4, 12, T, mixture=mixture)], T, "stream", 0)
    orders = []
    for period in range(3):
        names = [row.source for step in range(4 * period, 4 * period + 4) for row in loader.rows(step)]
        assert Counter(names) == {"um": 2867, "dois": 1229}  # 0.7 * 4096 = 2867.2 and 0.3 * 4096 = 1228.8
        orders.append(names)
    assert orders[0] != orders[1] != orders[2]


def test_a_tiny_source_gets_a_row_of_every_period(write_tokens: WriteTokens) -> None:
    folder = write_tokens({"grande": [100_000], "pequena": [5]})
    loader = Loader(folder, [phase(PERIOD, 2, T)], T, "stream", 0)
    for step in (0, 1):
        assert Counter(row.source for row in loader.rows(step)) == {"grande": PERIOD - 1, "pequena": 1}


WEIGHTS = st.dictionaries(st.text(min_size=1, max_size=3), st.integers(1, 10**6), min_size=1, max_size=50)


@given(WEIGHTS, st.booleans())
def test_quotas_add_up_and_are_near_their_ideal(weights: dict[str, int], at_least_one: bool) -> None:
    shares = quotas(weights, at_least_one)
    total = sum(weights.values())
    assert sum(shares.values()) == PERIOD
    assert min(shares.values()) >= int(at_least_one)
    if not at_least_one or all(weight * PERIOD >= total for weight in weights.values()):
        assert all(abs(shares[name] - weight * PERIOD / total) < 1 for name, weight in weights.items())


def test_seeds_make_other_orders(write_tokens: WriteTokens) -> None:
    folder = write_tokens({"um": [50] * 40})
    orders = [[row.row for row in Loader(folder, [phase(64, 1, T)], T, "stream", seed).rows(0)] for seed in (0, 1)]
    assert orders[0] != orders[1]


def test_a_weight_too_small_for_a_row_is_a_problem(write_tokens: WriteTokens) -> None:
    folder = write_tokens({"um": [50], "dois": [50]})
    with pytest.raises(Problem, match="would get no row of 4096"):
        Loader(folder, [phase(1, 1, T, mixture={"um": 1.0, "dois": 0.0001})], T, "stream", 0)


def test_a_source_without_tokens_is_a_problem(write_tokens: WriteTokens) -> None:
    folder = write_tokens({"um": [50]})
    with pytest.raises(Problem, match="'outro' has no training tokens"):
        Loader(folder, [phase(1, 1, T, mixture={"outro": 1.0})], T, "stream", 0)


def test_a_longer_run_begins_with_the_shorter_one(write_tokens: WriteTokens) -> None:
    folder = write_tokens({"um": [50] * 40, "dois": [9] * 40})
    short = Loader(folder, [phase(16, 5, T)], T, "stream", 0)
    long = Loader(folder, [phase(16, 50, T)], T, "stream", 0)
    assert all(short.rows(step) == long.rows(step) for step in range(5))


def test_a_group_shares_its_weight_by_the_tokens_of_sources_that_are_not_named(write_tokens: WriteTokens) -> None:
    folder = write_tokens({"livros": [40] * 300, "web": [40] * 100, "tarefas": [40] * 50, "python": [40] * 50})
    contents = {"livros": "text", "web": "text", "tarefas": "instruct", "python": "code"}
    asked = {"@text": 4.0, "@instruct": 2.0, "python": 2.0}
    mixed = replace(phase(PERIOD, 2, T, mixture=asked), contents=contents)
    loader = Loader(folder, [mixed], T, "stream", 0)
    drawn = Counter(row.source for row in loader.rows(0))
    assert drawn == {"livros": 3 * PERIOD // 8, "web": PERIOD // 8, "tarefas": PERIOD // 4, "python": PERIOD // 4}
    with pytest.raises(Problem, match="@code") as refused:
        Loader(folder, [replace(mixed, mixture={"python": 1.0, "@code": 1.0})], T, "stream", 0)
    assert "mixture" in str(refused.value.key)
