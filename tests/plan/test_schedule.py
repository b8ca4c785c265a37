"""The schedule as arithmetic: by hand, by the closed forms of the papers, and by invariants over any recipe."""

import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lhama.plan.recipe import Recipe, loads
from lhama.plan.schedule import crosses, learning_rate, phase_of, phases, tokens_after, total_steps, total_tokens


def recipe(train: str, phase: str = "") -> Recipe:
    return loads(
        f"""
name = "small"
[[corpus.source]]
name = "a"
path = "a"
[[corpus.source]]
name = "b"
path = "b"
[tokens]
vocabulary = 512
sequence = 10
[model]
hidden_size = 32
intermediate_size = 64
layers = 2
heads = 4
[train]
batch_tokens = 100
learning_rate = 1.0
{train}
{phase}
"""
    )


def test_one_phase_by_hand() -> None:
    plain = recipe("tokens = 950")
    (main,) = phases(plain)
    assert (main.name, main.tokens, main.batch_tokens, main.mixture) == ("main", 950, 100, None)
    assert (main.first_step, main.steps, main.first_token, main.learning_rate) == (0, 10, 0, 1.0)
    assert total_steps(plain) == 10 and total_tokens(plain) == 1000
    assert [tokens_after(plain, step) for step in (0, 1, 10, 11)] == [0, 100, 1000, 1000]


TWO = """
[[train.phase]]
name = "first"
tokens = 250
mixture = { a = 7, b = 3 }
[[train.phase]]
name = "second"
tokens = 400
batch_tokens = 200
learning_rate = 0.5
"""


def test_two_phases_by_hand() -> None:
    both = recipe("", TWO)
    first, second = phases(both)
    assert (first.steps, first.batch_tokens, first.mixture) == (3, 100, {"a": 7, "b": 3})
    assert (second.first_step, second.steps, second.first_token, second.batch_tokens) == (3, 2, 300, 200)
    assert [tokens_after(both, step) for step in range(6)] == [0, 100, 200, 300, 500, 700]
    assert [phase_of(both, step).name for step in (0, 2, 3, 4, 9)] == ["first", "first", "second", "second", "second"]
    assert total_steps(both) == 5 and total_tokens(both) == 700
    # The rate after a phase's last step is that phase's.
    constant = recipe('schedule = "constant"', TWO)
    assert [learning_rate(constant, seen) for seen in (100, 300, 301, 700)] == [1.0, 1.0, 0.5, 0.5]


def test_cosine_with_warm_up() -> None:
    run = recipe("tokens = 1000\nwarmup_tokens = 200\nfinal_learning_rate_fraction = 0.1")
    assert learning_rate(run, 0) == 0.0
    assert learning_rate(run, 100) == 0.5
    assert learning_rate(run, 200) == 1.0
    assert learning_rate(run, 600) == pytest.approx(0.55)  # half way down between 1 and 0.1
    assert learning_rate(run, 1000) == pytest.approx(0.1)
    assert learning_rate(run, 400) == pytest.approx(0.1 + 0.9 * (1 + math.cos(math.pi / 4)) / 2)
    assert learning_rate(run, 5000) == learning_rate(run, 1000)


@pytest.mark.parametrize(("shape", "half"), [("linear", 0.5), ("1-sqrt", 1 - math.sqrt(0.5))])
def test_warm_up_stable_decay(shape: str, half: float) -> None:
    run = recipe(f'tokens = 1000\nwarmup_tokens = 100\nschedule = "wsd"\ndecay_tokens = 400\ndecay_shape = "{shape}"')
    assert [learning_rate(run, seen) for seen in (50, 100, 350, 600)] == [0.5, 1.0, 1.0, 1.0]
    assert learning_rate(run, 800) == pytest.approx(half)
    assert learning_rate(run, 1000) == pytest.approx(0.0)


def test_intervals() -> None:
    assert not crosses(None, 0, 10**9) and not crosses(0, 0, 10**9)
    assert crosses(100, 99, 100) and not crosses(100, 100, 199) and crosses(100, 150, 420)
    assert not crosses(100, 0, 99) and crosses(1, 0, 1)


@given(st.integers(1, 1000), st.lists(st.integers(1, 300), max_size=20))
def test_an_interval_fires_as_often_as_its_multiples_pass(every: int, strides: list[int]) -> None:
    # Where a step is shorter than the interval, every multiple fires exactly once.
    seen, fired = 0, 0
    for stride in (min(one, every) for one in strides):
        fired += crosses(every, seen, seen + stride)
        seen += stride
    assert fired == seen // every


@given(
    st.lists(st.tuples(st.integers(1, 5000), st.integers(1, 20)), min_size=1, max_size=4),
    st.integers(0, 60),
)
def test_phases_tile_the_run(shape: list[tuple[int, int]], step: int) -> None:
    text = "".join(
        f'[[train.phase]]\nname = "p{number}"\ntokens = {tokens}\nbatch_tokens = {rows * 10}\n'
        for number, (tokens, rows) in enumerate(shape)
    )
    run = recipe("", text)
    laid = phases(run)
    assert laid[0].first_step == laid[0].first_token == 0
    for before, after in pairwise(laid):
        assert after.first_step == before.first_step + before.steps
        assert after.first_token == before.first_token + before.steps * before.batch_tokens
    for one in laid:
        assert 0 <= one.steps * one.batch_tokens - one.tokens < one.batch_tokens
    assert tokens_after(run, total_steps(run)) == total_tokens(run)
    taken = tokens_after(run, step + 1) - tokens_after(run, step)
    assert taken == (phase_of(run, step).batch_tokens if step < total_steps(run) else 0)
