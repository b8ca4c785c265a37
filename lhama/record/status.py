"""Where a run stands: its stages, its training, and what it took against what was planned.

In: a run opened for reading. Out: one JSON-able dict; nothing is written, so a working process is left in peace.
    stages      name, state (done, working, stopped, waiting), seconds, holder
    train       step, tokens, total_tokens, loss, tokens_per_second, seconds_left, validation, checkpoints
    energy      energy.totals: seconds, kwh, kgco2e, money, over all and by stage
    comparison  figure, planned, actual: of the training, which is what the plan is about
    plan        the plan.json of the run; `final` is train/final.json; both are None where there is none
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from lhama.plan.problem import Problem
from lhama.plan.schedule import total_tokens
from lhama.record.energy import LEDGER, totals
from lhama.record.files import read_json
from lhama.record.manifest import read_manifest
from lhama.record.meter import read_rows
from lhama.record.parts import is_begun, part_of
from lhama.record.stages import stage_lock

if TYPE_CHECKING:
    from lhama.record.run import Run

STAGES = ("read", "corpus", "tokens", "train", "release")

Json = dict[str, Any]


def status(run: Run) -> Json:
    """Gather everything that a person who looks at a run wants to know."""
    train, energy, plan = _train(run), totals(run.folder), _json(run.folder / "plan.json")
    return {
        "name": run.name,
        "folder": str(run.folder),
        "stages": [_stage(run.folder, name) for name in STAGES],
        "train": train,
        "energy": energy,
        "comparison": _comparison(plan, train, energy["by_stage"].get("train")),
        "plan": plan,
        "final": _json(run.path("train") / "final.json"),
    }


def _stage(folder: Path, name: str) -> Json:
    """Say how far one stage is; a stage that is worked on is `working` even if an older result is there."""
    home = folder / name
    holder = stage_lock(folder, name).holder()
    manifest = _manifest(home)
    begun = part_of(home) if is_begun(part_of(home)) else home if is_begun(home) else None
    seconds = manifest["seconds"] if manifest else 0.0
    if manifest is None and begun is not None:
        seconds = sum(row.get("seconds", 0.0) for row in read_rows(begun / LEDGER) if not row.get("lost"))
    state = "working" if holder else "done" if manifest else "stopped" if begun else "waiting"
    return {"name": name, "state": state, "seconds": seconds, "holder": holder}


def _manifest(home: Path) -> Json | None:
    try:
        return read_manifest(home)
    except Problem:
        return None


def _train(run: Run) -> Json | None:
    """Say how the training goes; None before its first step."""
    folder = run.path("train")
    losses = read_rows(folder / "loss.jsonl")
    if not losses:
        return None
    last = losses[-1]
    speed = _speed(folder)
    goal = total_tokens(run.recipe)
    left = max(0, goal - last["tokens"])
    validations = read_rows(folder / "validation.jsonl")
    return {
        "step": last["step"],
        "tokens": last["tokens"],
        "total_tokens": goal,
        "loss": last["loss"],
        "tokens_per_second": speed,
        "seconds_left": left / speed if speed else None,
        "validation": validations[-1] if validations else None,
        "checkpoints": sorted(path.parent.name for path in folder.glob("step-*/manifest.json")),
    }


def _comparison(plan: Json | None, train: Json | None, spent: Json | None) -> list[Json]:
    """Set the plan's figures against what the training took so far."""
    if plan is None:
        return []
    actual: Json = {"tokens": train and train["tokens"], "tokens_per_second": train and train["tokens_per_second"]}
    for figure in ("hours", "kwh", "kgco2e", "money"):
        actual[figure] = spent and (spent["seconds"] / 3600 if figure == "hours" else spent[figure])
    planned = {
        "tokens": plan["training"]["tokens"],
        "tokens_per_second": plan["time"]["tokens_per_second"],
        "hours": plan["time"]["hours"],
        "kwh": plan["energy"]["kwh"],
        "kgco2e": plan["energy"]["kgco2e"],
        "money": plan["money"]["amount"],
    }
    return [{"figure": figure, "planned": value, "actual": actual[figure]} for figure, value in planned.items()]


def _speed(folder: Path) -> float | None:
    """Read the newest throughput that the training wrote down."""
    speeds = [row["tokens_per_second"] for row in read_rows(folder / "metrics.jsonl") if row.get("tokens_per_second")]
    return float(speeds[-1]) if speeds else None


def _json(path: Path) -> Any:
    """Read a file that need not be there, nor whole while it is made."""
    try:
        return read_json(path)
    except Problem:
        return None
