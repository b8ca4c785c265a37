"""A law from finished runs: their records are read, a law is fitted, and the largest run is predicted from the others.

In: names or folders of runs. Out: a JSON-able document and its tables. Losses are of all held-out text after the last
step (train/final.json); they can be compared only where vocabulary and held-out text are the same, so runs whose tokens
differ are refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from lhama.plan.fit import Point, fit, forecast
from lhama.plan.plan_text import amount
from lhama.plan.problem import Problem
from lhama.plan.scaling import best
from lhama.record import console
from lhama.record.files import read_json
from lhama.record.run import Run

Json = dict[str, Any]

AHEAD = (10, 100)  # times the operations of the largest run, for which the law names the best size


def fitted(names: Sequence[str], runs: Path) -> Json:
    """Fit a law on finished runs."""
    found = [Run.find(name, runs) for name in dict.fromkeys(names)]
    points = [_point(run) for run in found]
    _refuse_mixed(found)
    law, ahead = fit(points), forecast(points)
    largest = max(one.parameters * one.tokens for one in points)
    return {
        "runs": [asdict(one) | {"fitted": one.loss + error} for one, error in zip(points, law.errors, strict=True)],
        "law": asdict(law.law),
        "free": list(law.free),
        "forecast": None
        if ahead is None
        else {
            "run": ahead.largest.name,
            "law": asdict(ahead.fit.law),
            "free": list(ahead.fit.free),
            "predicted": ahead.predicted,
            "measured": ahead.largest.loss,
            "error": ahead.error,
        },
        "best": [{"times": times} | asdict(best(6.0 * largest * times, law.law)) for times in AHEAD],
    }


def _point(run: Run) -> Point:
    final = run.path("train") / "final.json"
    if not final.is_file():
        raise Problem(
            f"run {run.name} is not finished", key="--fit", remedy=f"leave it out, or end lhama train {run.name}"
        )
    said = read_json(final)
    if not said.get("validation"):
        raise Problem(f"run {run.name} has no held-out text, so no loss to fit on", key="--fit", remedy="leave it out")
    return Point(run.name, said["parameters"]["total"], said["tokens"], said["validation"]["loss"])


def _refuse_mixed(found: Sequence[Run]) -> None:
    first = found[0]
    for run in found[1:]:
        if run.identity("tokens") != first.identity("tokens"):
            raise Problem(
                f"{first.name} and {run.name} have other tokens, so their losses cannot be compared",
                key="--fit",
                remedy="give them one corpus and one vocabulary",
            )


def fit_tables(found: Json) -> None:
    """Show the runs beside the law, what the law is, and how well the small runs foretold the largest."""
    rows = [
        [one["name"], amount(one["parameters"]), amount(one["tokens"]), f"{one['loss']:.4f}", f"{one['fitted']:.4f}"]
        for one in found["runs"]
    ]
    console.table("The runs and the law", ("run", "parameters", "tokens", "loss", "by the law"), rows)
    law = found["law"]
    console.say("")
    console.plain(
        f"L = {law['E']:.4g} + {law['A']:.4g} / N^{law['alpha']:.4g} + {law['B']:.4g} / D^{law['beta']:.4g}, "
        f"in nats a token. {_decided(found['free'])}"
    )
    ahead = found["forecast"]
    if ahead is None:
        console.plain("With one run more, the smaller ones could show whether they foretell the largest.")
    else:
        console.plain(
            f"Fitted without {ahead['run']}, the law says {ahead['predicted']:.4f} for it, and {ahead['measured']:.4f} "
            f"was measured: off by {ahead['error']:+.4f} nats ({100 * ahead['error'] / ahead['measured']:+.1f}%)."
        )
    for one in found["best"]:
        console.plain(
            f"For {one['times']} times the operations of the largest run: {amount(one['parameters'])} parameters on "
            f"{amount(one['tokens'])} tokens, {one['loss']:.3f} nats."
        )
    console.plain("A law is a guide for a few times more, not for a thousand times.")


def _decided(free: Sequence[str]) -> str:
    """Say which constants the runs decided, and where the others are from."""
    if "alpha" in free:
        return "All five constants are the runs' own."
    borrowed = "exponents" if "A" in free else "exponents and the ratio of A to B"
    return (
        f"So few runs, or runs that differ in one direction only, cannot decide five constants: the {borrowed} are "
        "those of Besiroglu et al. 2024; six runs that differ in size and in tokens decide all."
    )
