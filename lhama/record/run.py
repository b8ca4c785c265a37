"""One run, one folder: what a recipe may touch there, and who works on which stage.

In: a recipe and the folder that holds the runs. Out: `with run.stage("corpus", inputs=...) as stage`, inside which a
room works in `stage.folder` (stages.py tells how a stage is skipped, continued and finished). Opening a run for work
repairs what a killed process left and refuses a recipe that would cost checkpoints or much finished work, before
anything is written; reading a run touches nothing, so that it can be watched while it works.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from lhama.plan.problem import Problem
from lhama.record import console
from lhama.record.files import read_json, sha256_file, write_json, write_text
from lhama.record.identity import Difference, differences
from lhama.record.manifest import BEGIN, Json, check, read_manifest
from lhama.record.parts import part_of, repair, set_aside
from lhama.record.stages import Stage, precious, refusal, stage_lock
from lhama.record.trackers import check as check_trackers

if TYPE_CHECKING:
    from lhama.plan.recipe import Recipe

ORDER = ("read", "corpus", "tokens", "train")  # each stands on those before it
SETTLED_NS = 2_000_000_000  # a younger file may change again within one tick of its time stamp


@dataclass(frozen=True)
class Until:
    """When a stage that can be continued is to stop, with what it has made kept."""

    moment: float | None = None
    """As time.monotonic() tells it."""
    step: int | None = None
    """After this step of training."""


class Run:
    """A run's folder, its recipe, and its stages."""

    def __init__(self, folder: Path, recipe: Recipe) -> None:
        self.name = folder.name
        self.folder = folder
        self.recipe = recipe
        self.until = Until()

    @classmethod
    def open(cls, recipe: Recipe, runs: Path, again: Sequence[str] = ()) -> Run:
        """Create or repair the run of a recipe; stages named in `again` are moved aside to be done anew."""
        from lhama.plan.recipe import dumps

        check_trackers(recipe)
        run = cls(runs / recipe.name, recipe)
        run.folder.mkdir(parents=True, exist_ok=True)
        for stage in dict.fromkeys((*ORDER, *again)):
            run._repair(stage, must=stage in again)
        run._refuse_losses(again)
        for stage in again:
            run._move_aside(stage)
        path, text = run.folder / "recipe.toml", dumps(recipe)
        if not path.is_file() or path.read_text(encoding="utf-8") != text:
            write_text(path, text)
        return run

    @classmethod
    def read(cls, folder: Path) -> Run:
        """Open a run for reading; nothing is repaired, locked or written."""
        from lhama.plan.recipe import load

        path = folder / "recipe.toml"
        if not path.is_file():
            raise Problem(f"{folder} is not the folder of a run: it has no recipe.toml")
        return cls(folder.resolve(), load(path))

    @classmethod
    def find(cls, what: str, runs: Path) -> Run:
        """Open a run for reading, by name or folder."""
        for folder in (Path(what), runs / what):
            if (folder / "recipe.toml").is_file():
                return cls.read(folder)
        known = sorted(path.parent.name for path in runs.glob("*/recipe.toml"))
        remedy = (
            f"runs in {runs}: {', '.join(known)}" if known else f"there is none in {runs} yet; try `lhama run demo`"
        )
        raise Problem(f"no run named {what!r}", remedy=remedy)

    def path(self, stage: str) -> Path:
        """Say where a stage's finished folder is."""
        return self.folder / stage

    def identity(self, stage: str) -> str:
        """Say what a finished stage made, as one hash."""
        return str(self._finished(stage)["identity"])

    def verify(self, stage: str) -> None:
        """Read a finished stage's outputs again; a Problem names the first file with as much as one altered byte."""
        check(self.path(stage), self._finished(stage), stage, rehash=True)

    def _finished(self, stage: str) -> Json:
        manifest = read_manifest(self.path(stage))
        if manifest is None:
            raise Problem(f"the {stage} stage of {self.name} is not finished", remedy=f"do it with lhama {stage}")
        return manifest

    def hash_inputs(self, files: Mapping[str, Path]) -> dict[str, str]:
        """Hash files by label; a file whose size and time are as before is not read again."""
        path = self.folder / "inputs.json"
        cache: Json = read_json(path) if path.is_file() else {}
        before = dict(cache)
        try:
            return {label: _hash(file, cache) for label, file in files.items()}
        finally:
            if cache != before:
                write_json(path, cache)

    def stage(
        self,
        name: str,
        inputs: Mapping[str, str] | None = None,
        format: int = 1,  # noqa: A002 - the manifest's own word
        in_place: bool = False,
        needs: Callable[[], int] | None = None,
    ) -> Stage:
        """Enter a stage: `if stage.done: return`, else work in `stage.folder`.

        `inputs` are hashes of all that the stage reads; `format` counts the changes in how its output is written;
        `in_place` is for a stage whose checkpoints are its own whole units; `needs` counts the bytes that it
        will write, and is asked only when there is work to do.
        """
        return Stage(self.folder, self.recipe, name, dict(inputs or {}), format, in_place, needs)

    def _repair(self, stage: str, must: bool) -> None:
        """Finish a dance that was cut off; a stage that another process works on is left to it."""
        lock = stage_lock(self.folder, stage)
        try:
            lock.take()
        except Problem:
            if must:
                raise
            return
        try:
            repair(self.path(stage))
        finally:
            lock.free()

    def _refuse_losses(self, again: Sequence[str]) -> None:
        """Refuse a recipe under which a precious stage, or one that it stands on, would have to be done anew."""
        changes: list[Difference] = []
        for stage in ORDER:
            if stage in again:
                continue
            changes = changes or self._stale(stage)
            reason = precious(self.path(stage)) if changes else None
            if reason:
                raise refusal(stage, changes, reason)

    def _stale(self, stage: str) -> list[Difference]:
        """List the keys for which what is there cannot stay."""
        from lhama.plan.recipe import slice_for

        folder = self.path(stage)
        begin = folder / BEGIN
        if not begin.is_file():
            return []
        then = read_json(begin)
        found = differences(then["slice"], slice_for(self.recipe, stage), finished=stage == "read")
        return [change for change in found if not (then.get("in_place") and change.kind == "extend")]

    def _move_aside(self, stage: str) -> None:
        lock = stage_lock(self.folder, stage)
        lock.take()
        try:
            for folder in (self.path(stage), part_of(self.path(stage))):
                if folder.exists():
                    aside = set_aside(folder, "again")
                    console.say(f"{stage} is done again; the old folder is kept as {aside.name}.")
        finally:
            lock.free()


def _hash(file: Path, cache: Json) -> str:
    """Hash a file through the cache, which never keeps a file young enough to change unnoticed."""
    try:
        state = file.stat()
    except OSError as error:
        raise Problem(f"{file} cannot be read: {error.strerror}") from error
    name, mark = str(file.resolve()), [state.st_size, state.st_mtime_ns]
    known = cache.get(name)
    if known is not None and known["mark"] == mark:
        return str(known["sha256"])
    digest = sha256_file(file)
    if time.time_ns() - state.st_mtime_ns > SETTLED_NS:
        cache[name] = {"mark": mark, "sha256": digest}
    return digest
