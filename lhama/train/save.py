"""Checkpoint folders: written whole or not at all, found by number, verified by their hashes.

In goes a Snapshot of a training run, out comes `step-0001000/`: a Hugging Face folder whose `model.safetensors` holds
the float32 masters, `trainer/` with the moments and the position, and `manifest.json` with the SHA-256 of every file.
All of it is written to `step-0001000.part`, fsynced and renamed, so that a crash at any line leaves the older whole.
The newest checkpoint is the one with the largest NUMBER (10000000 comes after 9999999, though not as text).
Subtle: `write` only reads the snapshot; saver.py hands it copies of the tensors in a thread, beside the training.
"""

import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor

from lhama.model.checkpoint import read_config, read_tensors, save_model
from lhama.model.config import LlamaConfig
from lhama.plan.problem import Problem
from lhama.record import console
from lhama.record.files import move, read_json, remove_tree, sha256_file, size, sync_tree, write_json
from lhama.train.shares import MOMENTS, Moments, Share, described

FORMAT = 1
MANIFEST = "manifest.json"
STATE = "trainer/state.json"
BYTES_PER_PARAMETER = 12  # float32 master and two moments


@dataclass(frozen=True)
class Snapshot:
    """All that a checkpoint holds; `state` is JSON: position, identity, environment and sums not yet logged."""

    step: int
    suite: bool
    config: LlamaConfig
    weights: Mapping[str, Tensor]
    moments: Mapping[str, Tensor]
    state: Mapping[str, Any]
    tokenizer: Path | None = None
    share: Share | None = None
    """What this process writes of it; None where it writes all."""


@dataclass(frozen=True)
class Loaded:
    """A verified checkpoint in memory."""

    folder: Path
    weights: dict[str, Tensor]
    moments: Mapping[str, Tensor]
    state: dict[str, Any]


def folder_name(step: int) -> str:
    """Name the folder of a step."""
    return f"step-{step:07d}"


def write(snapshot: Snapshot, train: Path) -> Path:
    """Write a checkpoint folder; its name appears only when every byte is on the disk."""
    final = train / folder_name(snapshot.step)
    part = final.with_name(final.name + ".part")
    share = snapshot.share
    try:
        if share is not None and share.number:
            share.begin()
            share.write(part, snapshot.moments)
        else:
            if part.exists():
                remove_tree(part)
            _fill(part, snapshot)
            move(part, final)
        if share is not None:
            share.finished()
    except (OSError, Problem, SafetensorError) as error:
        if share is None or not share.number:
            shutil.rmtree(part, ignore_errors=True)
        needed = BYTES_PER_PARAMETER * sum(weight.numel() for weight in snapshot.weights.values())
        raise Problem(
            f"the checkpoint {final} could not be written: {error}",
            remedy=f"it needs {size(needed)}; make room and type the same command, which goes on from the last",
        ) from error
    return final


def _fill(part: Path, snapshot: Snapshot) -> None:
    (part / "trainer").mkdir(parents=True)
    share = snapshot.share
    if share is not None:
        share.begin()
    save_model(part, dict(snapshot.weights), snapshot.config, snapshot.tokenizer)
    if share is None:
        save_file(dict(snapshot.moments), part / MOMENTS)
    else:
        share.write(part, snapshot.moments)
    write_json(part / STATE, {"format": FORMAT, "step": snapshot.step, "suite": snapshot.suite, **snapshot.state})
    files = {} if share is None else share.of_others()
    for path in sorted(path for path in part.rglob("*") if path.is_file()):
        name = path.relative_to(part).as_posix()
        files[name] = files.get(name) or described(path)
    write_json(part / MANIFEST, {"format": FORMAT, "step": snapshot.step, "suite": snapshot.suite, "files": files})
    sync_tree(part)


def checkpoints(train: Path) -> dict[int, Path]:
    """List the checkpoints of a run by step, oldest first."""
    found = {}
    for path in train.glob("step-*"):
        match = re.fullmatch(r"step-(\d+)", path.name)
        if match and path.is_dir():
            found[int(match[1])] = path
    return dict(sorted(found.items()))


def faults(folder: Path) -> list[str]:
    """Say what is wrong with a checkpoint: a file that is missing, or not the one that was written."""
    try:
        step = read_json(folder / MANIFEST)["step"]
        if folder.name != folder_name(step):
            return [f"{MANIFEST} belongs to step {step}"]
    except (OSError, Problem, KeyError, TypeError):
        return [f"{MANIFEST} is missing or damaged"]
    return file_faults(folder)


def file_faults(folder: Path) -> list[str]:
    """Compare the files of a checkpoint, whatever its folder is called, with the sizes and hashes of its manifest."""
    try:
        files = read_json(folder / MANIFEST)["files"]
        return [fault for name, entry in files.items() if (fault := _fault(folder / name, name, entry))]
    except (OSError, Problem, KeyError, TypeError, AttributeError):
        return [f"{MANIFEST} is missing or damaged"]


def _fault(path: Path, name: str, entry: Mapping[str, Any]) -> str:
    if not path.is_file():
        return f"{name} is missing"
    if path.stat().st_size != entry["bytes"]:
        return f"{name} has {path.stat().st_size} bytes, not {entry['bytes']}"
    return "" if sha256_file(path) == entry["sha256"] else f"{name} is not what was written (its hash differs)"


def hashes(train: Path) -> dict[str, str]:
    """Give the hash of every file in every checkpoint as its manifest has it, under its path in the folder."""
    return {
        f"{folder.name}/{name}": entry["sha256"]
        for folder in checkpoints(train).values()
        for name, entry in read_json(folder / MANIFEST)["files"].items()
    }


def tidy(train: Path) -> None:
    """Remove what a crash left half written or half removed."""
    for path in [*train.glob("step-*.part"), *train.glob("step-*.removed")]:
        remove_tree(path)


def newest(train: Path) -> Path | None:
    """Find the newest checkpoint that is what was written; nothing is touched, so a reader may ask at any time."""
    return next((folder for folder in reversed(checkpoints(train).values()) if not faults(folder)), None)


def set_damaged_aside(train: Path) -> None:
    """Rename the checkpoints that are newer than the newest whole one and say what is wrong; nothing is deleted."""
    for folder in reversed(checkpoints(train).values()):
        found = faults(folder)
        if not found:
            return
        aside = _free_name(folder.with_name(folder.name + ".damaged"))
        move(folder, aside)
        console.warn(f"{folder} is damaged: {'; '.join(found)}. It is now {aside.name}; the one before it is used.")


def _free_name(path: Path) -> Path:
    number = 2
    free = path
    while free.exists():
        free = path.with_name(f"{path.name}-{number}")
        number += 1
    return free


def read(folder: Path) -> Loaded:
    """Read a checkpoint whose hashes were verified."""
    weights = read_tensors(folder, read_config(folder))
    moments = Moments(folder, {name: weight.shape for name, weight in weights.items()})
    return Loaded(folder, weights, moments, read_json(folder / STATE))


def prune(train: Path, keep: int) -> None:
    """Remove the rolling checkpoints that are not among the newest `keep`; suite checkpoints stay for good."""
    for folder in list(checkpoints(train).values())[:-keep]:
        if not _is_suite(folder):
            remove(folder)


def abandon(folder: Path) -> None:
    """Take a checkpoint out of the run that a rollback has left behind: a suite checkpoint is only renamed."""
    if _is_suite(folder):
        move(folder, _free_name(folder.with_name(folder.name + ".abandoned")))
    else:
        remove(folder)


def remove(folder: Path) -> None:
    """Delete a checkpoint; a crash inside the deletion must not leave a folder that looks like one."""
    removed = _free_name(folder.with_name(folder.name + ".removed"))
    move(folder, removed)
    remove_tree(removed)


def _is_suite(folder: Path) -> bool:
    """Tell whether a checkpoint is kept for ever; one that cannot say so is not ours to delete."""
    try:
        return bool(read_json(folder / MANIFEST)["suite"])
    except (Problem, KeyError, TypeError):
        return True
