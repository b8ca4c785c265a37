"""Where a run stands: its stages, its training, and what it took against what was planned.

In: a run opened for reading. Out: one JSON-able dict; nothing is written, so a working process is left in peace.
    stages      name, state (done, working, stopped, waiting), seconds, holder
    train       step, tokens, total_tokens, loss, check (is it normal?), tokens_per_second, seconds_left, validation,
                checkpoints
    energy      energy.totals: seconds, kwh, joules, kgco2e, money, over all and by stage
    comparison  figure, planned, by_now (the plan's share for the tokens seen), actual, forecast (at the end, as it
                goes): of the training, which is what the plan is about
    checkpoints what training had taken at each checkpoint
    second      the ledger beside other readings
    price       what the newest improvement cost, and sentences about the price of all
    plan        the plan.json of the run; `final` is train/final.json; both are None where there is none
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from lhama.plan.problem import Problem
from lhama.plan.schedule import total_tokens
from lhama.record.energy import LEDGER, ledger_rows, totals
from lhama.record.expectation import expectation
from lhama.record.files import read_json
from lhama.record.manifest import read_manifest
from lhama.record.meter import read_rows, without_lost
from lhama.record.parts import is_begun, part_of
from lhama.record.price import price_of_improvement
from lhama.record.run import ORDER, Run
from lhama.record.second_reading import compare
from lhama.record.spending import Spending, checkpoints
from lhama.record.stages import stage_lock

STAGES = (*ORDER, "release")

Json = dict[str, Any]

PACE_ROWS = 30  # the time left follows from the pace of so many newest rows, saving and validating included


def status(run: Run, losses: Sequence[Json] | None = None) -> Json:
    """Gather everything that a person who looks at a run wants to know.

    `losses` are the rows of loss.jsonl, where the caller has read them already.
    """
    folder = run.path("train")
    losses = read_rows(folder / "loss.jsonl") if losses is None else losses
    validations = read_rows(folder / "validation.jsonl")
    metrics = without_lost(read_rows(folder / "metrics.jsonl"))
    ledger = list(ledger_rows(run.folder))
    energy, plan = totals(run.folder, ledger), _readable(read_json, run.folder / "plan.json")
    train = _train(run, plan, losses, validations, metrics)
    spending = Spending.read(run.folder, metrics)
    saved = checkpoints(run.recipe, run.folder, spending)
    price = price_of_improvement(validations, spending, saved, run.recipe.release.worth_gain)
    return {
        "name": run.name,
        "folder": str(run.folder),
        "stages": [_stage(run.folder, name) for name in STAGES],
        "train": train,
        "energy": energy,
        "comparison": _comparison(plan, train, energy["by_stage"].get("train")),
        "checkpoints": saved,
        "second": compare(run.recipe, ledger),
        "price": {"newest": price["intervals"][-1] if price["intervals"] else None, "words": price["words"]},
        "plan": plan,
        "final": _readable(read_json, folder / "final.json"),
    }


def _stage(folder: Path, name: str) -> Json:
    """Say how far one stage is; a stage that is worked on is `working` even if an older result is there."""
    home = folder / name
    holder = stage_lock(folder, name).holder()
    manifest = _readable(read_manifest, home)
    begun = part_of(home) if is_begun(part_of(home)) else home if is_begun(home) else None
    seconds = manifest["seconds"] if manifest else 0.0
    if manifest is None and begun is not None:
        seconds = sum(row.get("seconds", 0.0) for row in read_rows(begun / LEDGER) if not row.get("lost"))
    state = "working" if holder else "done" if manifest else "stopped" if begun else "waiting"
    return {"name": name, "state": state, "seconds": seconds, "holder": holder}


def _train(
    run: Run, plan: Json | None, losses: Sequence[Json], validations: Sequence[Json], metrics: Sequence[Json]
) -> Json | None:
    """Say how the training goes; None before its first step."""
    if not losses:
        return None
    last = losses[-1]
    pace, goal = _pace(metrics), total_tokens(run.recipe)
    left = max(0, goal - last["tokens"])
    size = plan["model"]["parameters"]["total"] if plan else None
    return {
        "step": last["step"],
        "tokens": last["tokens"],
        "total_tokens": goal,
        "loss": last["loss"],
        "check": expectation(losses, run.recipe.tokens.vocabulary, goal, size),
        "tokens_per_second": _speed(metrics),
        "seconds_left": left / pace if pace else None,
        "validation": validations[-1] if validations else None,
        "checkpoints": sorted(path.parent.name for path in run.path("train").glob("step-*/manifest.json")),
    }


def _comparison(plan: Json | None, train: Json | None, spent: Json | None) -> list[Json]:
    """Set the plan's figures against what the training took so far, and against what it will have taken."""
    if plan is None:
        return []
    planned = {
        "tokens": plan["training"]["tokens"],
        "tokens_per_second": plan["time"]["tokens_per_second"],
        "hours": plan["time"]["hours"],
        "kwh": plan["energy"]["kwh"],
        "kgco2e": plan["energy"]["kgco2e"],
        "money": plan["money"]["amount"],
    }
    seen = train["tokens"] / planned["tokens"] if train and planned["tokens"] else 0.0
    longer = _longer(train, spent)
    rows = []
    for figure, value in planned.items():
        row: Json = {"figure": figure, "planned": value, "by_now": None, "actual": None, "forecast": None}
        if figure == "tokens":
            row |= {"actual": train and train["tokens"], "forecast": train and train["total_tokens"]}
        elif figure == "tokens_per_second":
            row |= {"by_now": value, "actual": train and train["tokens_per_second"]}
        elif spent:
            amount = spent["seconds"] / 3600 if figure == "hours" else spent[figure]
            row |= {"by_now": None if value is None else value * min(1.0, seen), "actual": amount}
            row["forecast"] = amount * longer if amount is not None and longer else None
        rows.append(row)
    return rows


def _longer(train: Json | None, spent: Json | None) -> float | None:
    """Say how many times what was taken so far the end will have taken, at the present pace."""
    if not train or not spent or not spent["seconds"] or train["seconds_left"] is None:
        return None
    return float((spent["seconds"] + train["seconds_left"]) / spent["seconds"])


def _speed(metrics: Sequence[Json]) -> float | None:
    """Read the newest throughput that the training wrote down."""
    speeds = [row["tokens_per_second"] for row in metrics if row.get("tokens_per_second")]
    return float(speeds[-1]) if speeds else None


def _pace(metrics: Sequence[Json]) -> float | None:
    """Say the tokens for each second of late, all that is not training included; else the newest throughput."""
    timed = [(row["seconds"], row["tokens"]) for row in metrics if row.get("seconds") and row.get("tokens")]
    (early, before), (late, after) = (timed[-PACE_ROWS:][0], timed[-1]) if timed else ((0.0, 0), (0.0, 0))
    return float((after - before) / (late - early)) if late > early else _speed(metrics)


def _readable(read: Callable[[Path], Any], path: Path) -> Any:
    """Read what need not be there, nor be whole while it is made; None where it is not."""
    try:
        return read(path)
    except Problem:
        return None
