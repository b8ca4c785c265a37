"""The search of `lhama tune` on machines that are made up: what is kept, what is not begun, what the figures are."""

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lhama.train.tune_search import Change, Factor, Search, distances, speed

STEP = 0.5  # seconds of a step with nothing changed
COMPILED = {"train.compile": "on"}


class Machine:
    """Answers as a probe does; `gains` says by how much a setting speeds a step up, `losses` what it adds to a loss."""

    def __init__(
        self,
        seconds: float = 1e6,
        gains: Mapping[Any, float] | None = None,
        losses: Mapping[Any, float] | None = None,
        fails: Mapping[Any, str] | None = None,
        takes: float = 10.0,
        drift: float = 1.0,
    ) -> None:
        self.now, self.end = 0.0, seconds
        self.gains, self.losses, self.fails = dict(gains or {}), dict(losses or {}), dict(fails or {})
        self.takes, self.drift = takes, drift
        self.asked: list[dict[str, Any]] = []

    def left(self) -> float:
        return self.end - self.now

    def measure(
        self, settings: Mapping[str, Any], variables: Mapping[str, str], limit: float
    ) -> tuple[dict[str, Any], float]:
        self.asked.append(dict(settings))
        things = {*settings.items(), *variables.items()}
        compiled = ("train.compile", "on") in things
        took = min(limit, self.takes + (40.0 if compiled else 0.0))
        late = self.drift if self.now else 1.0
        self.now += took
        for thing in things:
            if thing in self.fails:
                return {"error": self.fails[thing]}, took
        seconds, loss = STEP / late, 7.0
        for thing in things:
            seconds /= self.gains.get(thing, 1.0)
            loss += self.losses.get(thing, 0.0)
        step = {"seconds": seconds, "update": 0.1 * seconds, "loss": loss, "norm": 1.0}
        return {
            "device": {"kind": "cpu", "precision": "fp32", "compile": compiled},
            "batch_tokens": 1000,
            "ready_seconds": 4 * seconds + (40.0 if compiled else 0.0),
            "compared": [step] * 4,
            "timed": [step] * 3,
        }, took

    def search(self, run_tokens: int = 10_000_000) -> Search:
        return Search(self.measure, self.left, run_tokens, 1000)


FIRST = [Change("recipe", label="as it is")]
TWO = Change("threads", {"train.threads": 2})


def explored(machine: Machine, *changes: Change, climbing: bool = False, run_tokens: int = 10_000_000) -> Search:
    search = machine.search(run_tokens)
    assert search.start(FIRST) is not None
    search.explore(Factor(changes, climbing))
    return search


def test_what_is_faster_at_the_same_loss_stays_and_later_changes_build_on_it() -> None:
    machine = Machine(gains={("train.threads", 2): 1.5, ("train.micro_batch", 4): 1.2})
    search = explored(machine, TWO, Change("micro", {"train.micro_batch": 4}))
    assert search.best is not None
    assert search.best.settings == {"train.threads": 2, "train.micro_batch": 4}
    # A step of 0.5 s / 1.8 for 1,000 tokens.
    assert search.best.tokens_per_second == pytest.approx(1000 * 1.8 / 0.5)


@pytest.mark.parametrize(
    ("change", "added", "kept"),
    [
        (TWO, 0.0, True),
        (TWO, 1e-3, True),  # rounding
        (TWO, 1e-2, False),  # more than rounding, in fp32
        (Change("data", {"train.data": "mapped"}, kind="same"), 0.0, True),
        (Change("data", {"train.data": "mapped"}, kind="same"), 1e-6, False),  # where not a bit may change
        (Change("precision", {"train.precision": "bf16"}, kind="other"), 0.0, False),
        (Change("allocator", variables={"LD_PRELOAD": "x"}, kind="same"), 0.0, False),
    ],
)
def test_only_what_gives_the_same_and_can_be_taken_over_is_kept(change: Change, added: float, kept: bool) -> None:
    thing = next(iter({**change.settings, **change.variables}.items()))
    search = explored(Machine(gains={thing: 2.0}, losses={thing: added}), change)
    assert (search.best is search.rows[1]) is kept
    assert search.rows[1].tokens_per_second == pytest.approx(4000)  # shown, kept or not


def test_a_gain_that_noise_could_be_is_none() -> None:
    search = explored(Machine(gains={("train.threads", 2): 1.015}), TWO)
    assert search.best is search.first


def test_compiling_must_pay_within_the_run() -> None:
    compile_it = Change("compilation", COMPILED)
    gains = {("train.compile", "on"): 1.5}
    # It saves 0.5 - 0.5 / 1.5 = 1/6 s a step and costs 40 s: 240 steps.
    assert explored(Machine(gains=gains), compile_it, run_tokens=200_000).best.settings == {}  # type: ignore[union-attr]
    assert explored(Machine(gains=gains), compile_it, run_tokens=300_000).best.settings == COMPILED  # type: ignore[union-attr]


def test_steps_that_were_compiled_before_the_search_win_nothing_by_it() -> None:
    machine = Machine(gains={("train.loss_tokens", 384): 1.1})
    cold = machine.measure

    def measure(settings: Mapping[str, Any], variables: Mapping[str, str], limit: float) -> Any:
        answer, took = cold({**settings, **COMPILED}, variables, limit)
        if "train.loss_tokens" not in settings:  # found in the compiler's cache
            answer |= {"ready_seconds": answer["ready_seconds"] - 40}
        return answer, took

    # 100 steps: a tenth faster saves 4.5 s, which 40 s of compiling would eat up.
    search = Search(measure, machine.left, 100_000, 1000)
    assert search.start(FIRST) is not None
    assert search.try_one(Change("loss", {"train.loss_tokens": 384}))
    # Steps of 0.5 / 1.1 s; both begin at once, after the steps that are compared.
    assert search.rows[1].run_seconds == pytest.approx(100 * 0.5 / 1.1)


def test_a_direction_is_left_where_it_gets_no_better() -> None:
    machine = Machine(gains={("m", 2): 1.3, ("m", 4): 1.2, ("m", 8): 9.0})
    search = explored(machine, *(Change("micro", {"m": rows}) for rows in (2, 4, 8)), climbing=True)
    assert machine.asked == [{}, {"m": 2}, {"m": 4}]
    assert search.best is not None and search.best.settings == {"m": 2}


def test_the_other_direction_is_tried_only_where_the_first_was_no_better() -> None:
    fewer = Factor((Change("micro", {"m": 1}),), climbing=True, otherwise=True)
    for gain, asked in ((1.3, [{}, {"m": 4}]), (0.9, [{}, {"m": 4}, {"m": 1}])):
        machine = Machine(gains={("m", 4): gain})
        explored(machine, Change("micro", {"m": 4}), climbing=True).explore(fewer)
        assert machine.asked == asked


def test_memory_that_ends_is_a_row_and_the_first_that_fits_is_the_start() -> None:
    machine = Machine(fails={("m", 8): "out of memory", ("m", 4): "out of memory (ended by the system)"})
    search = machine.search()
    ladder = [Change("recipe", {"m": rows}) for rows in (8, 4, 1)]
    start = search.start(ladder)
    assert start is not None and start.settings == {"m": 1}
    assert [row.answer.get("error") for row in search.rows] == [
        "out of memory",
        "out of memory (ended by the system)",
        None,
    ]
    search.explore(Factor((Change("micro", {"m": 8}),)))
    assert search.best is start and search.rows[-1].answer == {"error": "out of memory"}
    assert Machine(fails={("m", 1): "failed: x"}).search().start(ladder[2:]) is None


def test_what_would_not_end_in_time_is_not_begun() -> None:
    # 10 s for the first; a compiled one is expected to take 1.25 x 10 + 60 and would not end.
    search = explored(Machine(seconds=60), Change("compilation", COMPILED), TWO)
    assert [row.change.name for row in search.rows] == ["as it is", "threads 2"]
    assert search.skipped == ["compile on"]


@given(
    takes=st.floats(0.5, 30.0),
    seconds=st.floats(1.0, 300.0),
    gains=st.lists(st.floats(0.5, 3.0), min_size=8, max_size=8),
)
def test_it_ends_in_time_whatever_probes_take(takes: float, seconds: float, gains: list[float]) -> None:
    settings = [("train.compile", "on"), *(("m", rows) for rows in (2, 4, 8)), *(("n", rows) for rows in (2, 4, 8, 16))]
    machine = Machine(seconds, dict(zip(settings, gains, strict=True)), takes=takes)
    search = machine.search()
    if search.start(FIRST) is not None:
        search.explore(Factor(tuple(Change(key, {key: one}) for key, one in settings)))
        search.repeat()
    assert machine.now <= seconds + 1e-6
    best = search.best
    assert best is not None and best.run_seconds is not None and search.first.run_seconds is not None
    assert best.run_seconds <= search.first.run_seconds


def test_the_second_round_tells_the_drift_and_may_take_the_crown_away() -> None:
    machine = Machine(gains={("train.threads", 2): 1.5})
    search = explored(machine, TWO)
    machine.drift = 0.8  # the machine became slower
    assert search.repeat() == pytest.approx(0.8)
    assert search.best is search.rows[1]
    assert len(search.rows[0].answer["timed"]) == 6  # both rounds count
    machine.gains[("train.threads", 2)] = 0.9  # and what was faster was so by luck
    search.repeat()
    assert search.best is search.first
    machine.end = machine.now + 5  # no time for another one
    assert search.repeat() is None


def test_the_speed_of_whole_steps_from_steps_of_a_part() -> None:
    # 3 s for 1,000 tokens and 1 s for the update: a step of 4,000 tokens takes 3 x 4 + 1 = 13 s.
    assert speed([{"seconds": 4.0, "update": 1.0}] * 3, 1000, 4000) == pytest.approx(4000 / 13)


def test_distances_by_hand() -> None:
    def steps(*losses: float, norm: float) -> dict[str, Any]:
        made = [{"loss": loss, "norm": norm} for loss in losses]
        return {"compared": made[:2], "timed": made[2:]}

    # The last steps are beyond the three timed ones that are compared.
    first = steps(7.0, 6.5, 6.0, 5.5, 5.0, 4.0, norm=2.0)
    loss, norm = distances(first, steps(7.0, 6.25, 6.0, 5.5, 5.0, 9.0, norm=2.1))
    assert loss == 0.25 and norm == pytest.approx(0.05)
    assert distances(first, first) == (0.0, 0.0)
