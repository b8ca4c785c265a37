"""Fitting a law: known constants come back, an outlier does not move them, and too few runs borrow what they lack."""

import random

import pytest

from lhama.plan.fit import Point, constants, fit, forecast
from lhama.plan.problem import Problem
from lhama.plan.scaling import LAWS, Law, expected_loss

SMALL = Law("small", 1.2, 60.0, 900.0, 0.28, 0.41)


def runs(law: Law, sizes: tuple[float, ...], lengths: tuple[float, ...], noise: float = 0.0) -> list[Point]:
    chance = random.Random(1)
    return [
        Point(f"{n:g}-{d:g}", int(n), int(d), expected_loss(n, d, law) * (1 + chance.gauss(0, noise)))
        for n in sizes
        for d in lengths
    ]


@pytest.mark.parametrize(
    ("law", "sizes", "lengths"),
    [
        (SMALL, (5e5, 1e6, 3e6, 9e6), (1e6, 1e7, 6e7)),
        (LAWS["besiroglu"], (5e7, 1e8, 4e8), (1e9, 4e9, 1.6e10)),
        (LAWS["hoffmann-digits"], (5e7, 1e8, 4e8), (1e9, 4e9, 1.6e10)),
    ],
)
def test_known_constants_come_back(law: Law, sizes: tuple[float, ...], lengths: tuple[float, ...]) -> None:
    found = fit(runs(law, sizes, lengths))
    assert found.free == ("E", "A", "B", "alpha", "beta")
    for name in found.free:
        assert getattr(found.law, name) == pytest.approx(getattr(law, name), rel=1e-5), name
    assert max(map(abs, found.errors)) < 1e-9


def test_one_run_that_went_wrong_does_not_move_the_law() -> None:
    points = runs(SMALL, (5e5, 1e6, 3e6, 9e6), (1e6, 1e7, 6e7))
    points[3] = Point("diverged", points[3].parameters, points[3].tokens, 1.3 * points[3].loss)
    found = fit(points)
    # Least squares would be off by some hundredths everywhere.
    assert max(abs(error) for place, error in enumerate(found.errors) if place != 3) < 3e-3
    assert found.errors[3] < -0.3


def test_noise_of_two_thousandths_is_forecast_to_one_hundredth() -> None:
    ahead = forecast(runs(SMALL, (5e5, 1e6, 3e6, 9e6), (1e6, 1e7, 6e7), noise=0.002))
    assert ahead is not None and ahead.largest.name == "9e+06-6e+07"
    assert abs(ahead.error) < 0.01 * ahead.largest.loss


def test_four_runs_with_known_exponents_are_fitted_exactly() -> None:
    law = Law("", 0.9, 30.0, 700.0, LAWS["besiroglu"].alpha, LAWS["besiroglu"].beta)
    found = fit(runs(law, (1e6, 9e6), (1e7, 6e7)))
    assert found.free == ("E", "A", "B")
    constants_found = [found.law.E, found.law.A, found.law.B]
    assert constants_found == pytest.approx([0.9, 30.0, 700.0], rel=1e-6)


def test_the_three_smallest_of_four_foretell_the_fourth() -> None:
    # Of one family: A and B are those of the literature times 0.4, which two constants can say.
    base = LAWS["besiroglu"]
    law = Law("", 1.1, 0.4 * base.A, 0.4 * base.B, base.alpha, base.beta)
    line = [Point(str(n), int(n), int(20 * n), expected_loss(n, 20 * n, law)) for n in (1e5, 3e5, 1e6, 3e6)]
    ahead = forecast(line)
    assert ahead is not None and ahead.fit.free == ("E", "scale")
    assert ahead.error == pytest.approx(0, abs=1e-9) and ahead.largest.name == "3000000.0"


def test_what_cannot_be_told_apart_is_borrowed() -> None:
    # Twenty tokens a parameter throughout: no run says whether size or text made the difference.
    line = [Point(str(n), int(n), int(20 * n), expected_loss(n, 20 * n, SMALL)) for n in (1e5, 3e5, 1e6, 3e6, 1e7, 3e7)]
    assert constants(line) == ("E", "scale")
    assert constants(runs(SMALL, (1e6, 2e6), (1e7, 6e7))) == ("E", "A", "B")
    assert constants(runs(SMALL, (1e6, 2e6), (1e7, 3e7, 6e7))) == ("E", "A", "B")  # two sizes make no exponent
    assert fit(line).law.alpha == LAWS["besiroglu"].alpha


def test_runs_that_do_not_show_what_size_is_worth_borrow_the_ratio() -> None:
    # Four runs of this project whose learning rates differed more than their sizes: A came out as nothing, and the best
    # size for more operations as no parameters at all.
    sizes, tokens = (4_262_144, 2_557_632, 4_262_144, 2_557_632), (2_000_896, 2_000_896, 1_501_184, 2_002_944)
    losses = (0.7481, 0.8034, 0.9169, 0.8427)
    found = fit([Point(str(at), *one) for at, one in enumerate(zip(sizes, tokens, losses, strict=True))])
    assert found.free == ("E", "scale") and found.law.A > 0


def test_too_few_or_broken_runs_are_refused() -> None:
    one = Point("one", 10**6, 10**7, 3.0)
    for points in ([], [one], [one, Point("again", 10**6, 10**7, 3.1)]):
        with pytest.raises(Problem, match="two finished runs"):
            fit(points)
    with pytest.raises(Problem, match="leave it out"):
        fit([one, Point("two", 10**6, 10**8, float("inf"))])
    assert forecast([one, Point("two", 10**6, 10**8, 2.5)]) is None


def test_no_constant_becomes_negative() -> None:
    # Longer training that ends worse: the law keeps the text term at nothing rather than below it.
    worse = [Point("a", 10**6, 10**7, 3.0), Point("b", 10**6, 10**8, 3.2), Point("c", 10**7, 10**8, 3.0)]
    found = fit(worse).law
    assert min(found.E, found.A, found.B) >= 0
