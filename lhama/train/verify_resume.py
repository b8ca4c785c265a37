"""Does training on this machine survive being killed? The user's own recipe is trained twice, and the results compared.

In: a run whose tokens are made, and the program that trains (a process of its own, so that it can be killed). Out: a
table of hashes of weights, moments and records of both trainings, and where they differ first. The tokens are read in
place; everything else happens in a scratch folder inside the run, which is removed where the two are the same.
One training goes through. The other is ended with SIGKILL, in the middle of a step or of a save by turns, and started
again each time. On a processor, or a GPU with `train.deterministic`, both must be the same to the bit; elsewhere sums
come in whatever order they come, and the rows of the loss must agree within a tolerance that is said.
"""

import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from lhama.model.checkpoint import read_config, read_tensors
from lhama.plan.problem import Problem
from lhama.plan.recipe import Recipe, dumps, load
from lhama.plan.schedule import total_steps
from lhama.record import console
from lhama.record.files import read_json, remove_tree, sha256_file, write_text
from lhama.record.meter import read_rows
from lhama.record.run import Run
from lhama.train import save
from lhama.train.signals import EXIT_CODE

PROGRAM = (sys.executable, "-c", "import sys; from lhama.cli import train_until; train_until(*sys.argv[1:])")
TOLERANCE = 0.01  # nats per token, of every row of the loss, where sums have no fixed order
RECORDS = ("loss.jsonl", "validation.jsonl", "samples.jsonl")
MEGABYTES = 0.05  # of held-out text per validation: it is to happen, not to measure


@dataclass(frozen=True)
class Place:
    """One of the two trainings: its recipe, and the folder of runs it works in."""

    recipe: Path
    runs: Path
    train: Path
    log: Path


def verify(run: Run, program: Sequence[str], steps: int, kills: int) -> dict[str, Any]:
    """Train `steps` steps with and without kills and compare; the scratch folder stays where they differ."""
    begun = time.monotonic()
    recipe = run.recipe
    steps = min(steps, total_steps(recipe))
    scratch = Path(tempfile.mkdtemp(prefix="verify-resume-", dir=run.folder))
    try:
        whole, killed = (_place(run, scratch, name, steps) for name in ("uninterrupted", "killed"))
        console.say(f"Training {steps} steps without a break.")
        _train(program, whole, steps)
        deaths = _train_and_kill(program, killed, steps, kills, random.Random(recipe.seed))
        found = compare(whole.train, killed.train, steps)
        found |= {"steps": steps, "kills": deaths, "seconds": round(time.monotonic() - begun, 1)}
    except BaseException:
        shutil.rmtree(scratch, ignore_errors=True)
        raise
    if found["passed"]:
        remove_tree(scratch)
    else:
        found["kept"] = str(scratch)
    return found


def compare(whole: Path, killed: Path, steps: int) -> dict[str, Any]:
    """Compare two training folders at a step: files by hash, and what differs first, by tensor or row."""
    ours, theirs = whole / save.folder_name(steps), killed / save.folder_name(steps)
    rows = []
    for what, pattern in (("weights", "model*.safetensors"), ("moments", "trainer/*.safetensors")):
        for path in sorted(ours.glob(pattern)):
            rows.append(_row(what, path, theirs / path.relative_to(ours)))
    rows += [_row("records", whole / name, killed / name) for name in RECORDS if (whole / name).exists()]
    environment = read_json(ours / save.STATE)["environment"]
    exact = bool(environment["deterministic"])
    identical = all(row["same"] for row in rows)
    distance = _distance(whole, killed)
    return {
        "device": f"{environment['name']}, {environment['precision']}, "
        f"{'compiled' if environment['compile'] else 'not compiled'}, {environment['threads']} threads, "
        f"{'sums in a fixed order' if exact else 'sums in no fixed order'}",
        "rows": rows,
        "identical": identical,
        "kind": environment["kind"],
        "exact": exact,
        "loss_distance": distance,
        "tolerance": None if exact else TOLERANCE,
        "first_difference": None if identical else _first_difference(whole, killed, ours, theirs),
        "passed": identical or (not exact and distance is not None and distance <= TOLERANCE),
    }


def report(found: dict[str, Any]) -> None:
    """Say what came out, for people."""
    where = ", ".join(f"step {kill['after_step']} ({kill['during']})" for kill in found["kills"])
    console.say(f"{found['device']}. Killed after {where}.")
    columns = ("", "file", "uninterrupted", "killed and resumed", "")
    listed = [
        (row["what"], row["file"], row["whole"][:16], row["killed"][:16], "same" if row["same"] else "DIFFERENT")
        for row in found["rows"]
    ]
    console.table(f"{found['steps']} steps", columns, listed)
    if found["identical"]:
        console.say("[bold]identical[/bold]")
        return
    console.warn(f"They differ first {found['first_difference']}.")
    if not found["exact"]:
        verdict = "within" if found["passed"] else "beyond"
        distance = found["loss_distance"]
        apart = "are not of the same steps" if distance is None else f"differ by {distance:.2e} nats at most"
        remedy = " With train.deterministic = true it must be the same to the bit." if found["kind"] == "cuda" else ""
        console.say(
            f"This device adds up in no fixed order; the losses {apart}, {verdict} the tolerance of "
            f"{found['tolerance']}.{remedy}"
        )
    if "kept" in found:
        console.say(f"Both trainings are kept in {found['kept']}.")


def _place(run: Run, scratch: Path, name: str, steps: int) -> Place:
    """Make a folder of runs with the user's recipe, eventful within so few steps, and the tokens of the run."""
    recipe = _eventful(run, scratch / name, steps)
    folder = scratch / name / "runs" / recipe.name
    folder.mkdir(parents=True)
    tokens = run.path("tokens").resolve()
    try:
        (folder / "tokens").symlink_to(tokens, target_is_directory=True)
    except OSError:  # Windows asks for a right to make links
        shutil.copytree(tokens, folder / "tokens")
    path = scratch / name / "recipe.toml"
    write_text(path, dumps(recipe))
    return Place(path, folder.parent, folder / "train", scratch / name / "log.txt")


def _eventful(run: Run, folder: Path, steps: int) -> Recipe:
    batch = run.recipe.train.batch_tokens
    changes = [
        "record.energy=false",
        "train.log_every=1",
        f"train.save_every={batch * max(1, steps // 5)}",
        f"train.validate_every={batch * max(2, steps // 3)}",
        f"train.sample_every={batch * max(2, steps // 3)}",
        f"train.validate_megabytes={min(MEGABYTES, run.recipe.train.validate_megabytes)}",
        "train.keep=2",
    ]
    if run.recipe.train.mirror is not None:
        changes.append(f"train.mirror={folder / 'mirror'}")  # the real one is not to be touched
    return load(run.folder / "recipe.toml", changes)


def _start(program: Sequence[str], place: Place, steps: int) -> subprocess.Popen[bytes]:
    with place.log.open("ab") as log:
        command = [*program, str(place.recipe), str(place.runs), str(steps)]
        return subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)


def _train(program: Sequence[str], place: Place, steps: int) -> None:
    process = _start(program, place, steps)
    try:
        process.wait()
    finally:
        process.kill()
    if process.returncode not in (0, EXIT_CODE):
        said = place.log.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-12:]
        raise Problem("training failed:\n" + "\n".join(said), remedy="make `lhama train` work with this recipe first")


def _train_and_kill(
    program: Sequence[str], place: Place, steps: int, kills: int, draw: random.Random
) -> list[dict[str, Any]]:
    """Train, dying at random steps; say where it died."""
    deaths = []
    for number, target in enumerate(sorted(draw.choices(range(1, steps), k=kills))):
        console.say(f"Training again; to be killed after step {target}.")
        process = _start(program, place, steps)
        try:
            during = "in a step"
            _wait(lambda: _step(place.train) >= target, process)  # noqa: B023 - used up in this turn
            if number % 2 and _wait(lambda: any(place.train.glob("step-*.part")), process):
                during = "in a save"
            else:
                time.sleep(draw.uniform(0, 0.2))
        finally:
            process.kill()
            process.wait()
        died = process.returncode not in (0, EXIT_CODE)
        deaths.append({"after_step": _step(place.train), "during": during if died else "too late: it had ended"})
    _train(program, place, steps)
    return deaths


def _wait(condition: Callable[[], bool], process: subprocess.Popen[bytes]) -> bool:
    """Wait until something is so; False where the process ended before."""
    while not condition():
        if process.poll() is not None:
            return False
        time.sleep(0.002)
    return True


def _step(train: Path) -> int:
    rows = read_rows(train / "loss.jsonl")
    return int(rows[-1]["step"]) if rows else 0


def _row(what: str, ours: Path, theirs: Path) -> dict[str, Any]:
    hashes = [sha256_file(path) if path.is_file() else "missing" for path in (ours, theirs)]
    return {"what": what, "file": ours.name, "whole": hashes[0], "killed": hashes[1], "same": hashes[0] == hashes[1]}


def _distance(whole: Path, killed: Path) -> float | None:
    """Return how far the losses are apart at most; None where the rows are not of the same steps."""
    ours, theirs = (read_rows(folder / "loss.jsonl") for folder in (whole, killed))
    if [row["step"] for row in ours] != [row["step"] for row in theirs]:
        return None
    return max((abs(one["loss"] - other["loss"]) for one, other in zip(ours, theirs, strict=True)), default=None)


def _first_difference(whole: Path, killed: Path, ours: Path, theirs: Path) -> str:
    for name in RECORDS:
        rows = [read_rows(folder / name) for folder in (whole, killed)]
        for one, other in zip(*rows, strict=False):
            if one != other:
                return f"in {name} at step {one['step']}: {one} against {other}"
        if len(rows[0]) != len(rows[1]):
            return f"in {name}: {len(rows[0])} rows against {len(rows[1])}"
    if not theirs.is_dir():
        return f"in {theirs.name}, which the killed training does not have"
    weights = [read_tensors(folder, read_config(folder)) for folder in (ours, theirs)]
    for name, weight in weights[0].items():
        if not torch.equal(weight, weights[1][name]):
            return f"in the weights of {name}, by {float((weight - weights[1][name]).abs().max()):.2e} at most"
    return "in the moments of the optimizer"
