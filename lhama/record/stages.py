"""One stage being entered, worked on and left: skipped, continued or begun, then finished or kept for the next start.

In: the recipe slice, the inputs' hashes and the format a room asks for. Out: a folder to work in and, on a clean
exit, a finished stage. A stage works in `NAME.part`, which takes the place of `NAME` when it is complete; an in-place
stage (training) works in `NAME` itself, because its checkpoints are whole by themselves. What begin.json says tells a
part that may be continued from one that was made by another recipe, and those are never mixed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from rich.markup import escape

from lhama.plan.problem import Problem
from lhama.record import console
from lhama.record.emissions import EMISSIONS
from lhama.record.energy import LEDGER, track
from lhama.record.files import read_json, sync_folder, write_bytes, write_json
from lhama.record.identity import Difference, differences, differing_inputs
from lhama.record.lock import Lock
from lhama.record.manifest import BEGIN, MANIFEST, Json, check, identity_of, read_manifest, seal, versions
from lhama.record.meter import line, now, read_rows
from lhama.record.parts import finish, is_begun, part_of, repair, set_aside
from lhama.record.room import require
from lhama.record.trackers import followed

if TYPE_CHECKING:
    from lhama.plan.recipe import Recipe

EXPENSIVE_SECONDS = 600  # ten minutes of work are never thrown away unasked


class Stage:
    """What a room holds while it works; made by `Run.stage`."""

    def __init__(
        self,
        run_folder: Path,
        recipe: Recipe,
        name: str,
        inputs: dict[str, str],
        layout: int,
        in_place: bool,
        needs: Callable[[], int] | None = None,
    ) -> None:
        from lhama.plan.recipe import slice_for

        self.name = name
        self.done = False
        """The stage is finished as the recipe wants it; there is nothing to do."""
        self.continuing = False
        """An earlier process began this very work; its units that are whole can be kept."""
        self.extended = False
        """Only keys that extend the work have grown since it was begun or finished."""
        self._run_folder, self._home = run_folder, run_folder / name
        self.folder = self._home if in_place else part_of(self._home)
        """The folder to work in."""
        self._recipe, self._inputs, self._format, self._in_place = recipe, inputs, layout, in_place
        self._needs = needs
        self._slice = slice_for(recipe, name)
        self._lock = stage_lock(run_folder, name)
        self._kept_out: list[str] = []
        self._known: dict[str, str] = {}
        self._complete = True
        self._tracking: AbstractContextManager[None] | None = None

    def keep_out(self, *patterns: str) -> None:
        """Leave outputs out of the identity, reports for instance, on which no stage builds; `*` also spans `/`."""
        self._kept_out += patterns

    def hashed(self, hashes: dict[str, str]) -> None:
        """Give SHA-256 hashes of outputs that were computed while writing, so that they are not read again."""
        self._known |= hashes

    def incomplete(self) -> None:
        """Leave the stage unfinished when the block ends: it was asked to stop and will be continued."""
        self._complete = False

    def __enter__(self) -> Stage:
        self._lock.take()
        try:
            if self._in_place:
                self._enter_in_place()
            else:
                self._enter_part()
            if not self.done:
                require(self.folder, self.name, self._needs() if self._needs else 0)
                self._tracking = self._recorded()
                self._tracking.__enter__()
        except BaseException:
            self._lock.free()
            raise
        if self.done:
            self.folder = self._home
            self._lock.free()
            console.say(f"{self.name} is done already; nothing to do.")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.done:
            return
        try:
            if kind is None and self._complete:
                self._finish()
        finally:
            self._stop_tracking()
            self._lock.free()

    @contextmanager
    def _recorded(self) -> Iterator[None]:
        """Keep the ledger while the block works, and let trackers follow what is written."""
        trackers = followed(self._recipe, self._run_folder, self.name, self.folder, self.continuing)
        with trackers, track(self.folder, self._recipe, self.name):
            yield

    def _enter_part(self) -> None:
        repair(self._home)
        manifest = read_manifest(self._home)
        if manifest is not None:
            changes = self._changes(manifest, finished=True)
            if not changes:
                check(self._home, manifest, self.name)
                self.done = True
                return
            self._refuse_if_expensive(manifest, changes)
            console.say(escape(f"{self.name} is done anew: {_listed(changes)}"))
        if is_begun(self.folder):
            changes = self._changes(read_json(self.folder / BEGIN))
            self.continuing = not changes
            if changes:
                aside = set_aside(self.folder, "aside")
                said = f"unfinished work of {self.name} was made otherwise ({_listed(changes)}): kept in {aside}"
                console.warn(escape(said))
        elif self.folder.exists() and _holds_work(self.folder):
            set_aside(self.folder, "aside")
        if not self.continuing:
            self._begin([])

    def _enter_in_place(self) -> None:
        if not is_begun(self.folder):
            if self.folder.exists() and _holds_work(self.folder):
                set_aside(self.folder, "aside")
            self._begin([])
            return
        begin = read_json(self.folder / BEGIN)
        manifest = read_manifest(self.folder)
        changes = self._changes(begin)
        if any(change.kind != "extend" for change in changes):
            self._refuse_if_precious(changes)
            aside = set_aside(self.folder, "aside")
            console.warn(escape(f"{self.name} begins anew ({_listed(changes)}): what was there is kept in {aside}"))
            self._begin([])
            return
        self.continuing = True
        if changes:
            self.extended = True
            # Manifest first: a finished stage whose begin.json already asked for more would look finished for ever.
            (self.folder / MANIFEST).unlink(missing_ok=True)
            sync_folder(self.folder)
            self._begin([*begin.get("extended", []), {"time": now(), "changes": _listed(changes)}])
        elif manifest is not None:
            check(self.folder, manifest, self.name)
            self.done = True

    def _begin(self, extensions: list[Json]) -> None:
        """Write down what is begun; the energy of a result that will be replaced moves along, marked as lost."""
        self.folder.mkdir(parents=True, exist_ok=True)
        if not self._in_place and (self._home / LEDGER).is_file():
            spent = [{**row, "lost": True} for row in read_rows(self._home / LEDGER)]
            write_bytes(self.folder / LEDGER, b"".join(map(line, spent)))
            if (self._home / EMISSIONS).is_file():
                write_bytes(self.folder / EMISSIONS, (self._home / EMISSIONS).read_bytes())
        begin = {"stage": self.name, **self._asked(), "begun": now(), "versions": versions()}
        write_json(self.folder / BEGIN, {**begin, "in_place": self._in_place, "extended": extensions})
        sync_folder(self.folder.parent)

    def _asked(self) -> Json:
        return {"format": self._format, "slice": self._slice, "inputs": self._inputs}

    def _changes(self, then: Json, finished: bool = False) -> list[Difference]:
        """Say what differs between the work that is there and the work that is asked for."""
        changes = differences(then["slice"], self._slice, finished and self.name == "read") + differing_inputs(
            then["inputs"], self._inputs
        )
        if then.get("format", 1) != self._format:
            changes.append(Difference("format", then.get("format", 1), self._format, "result"))
        return changes

    def _refuse_if_expensive(self, manifest: Json, changes: list[Difference]) -> None:
        if manifest["seconds"] > EXPENSIVE_SECONDS:
            spent = f"it took {console.duration(manifest['seconds'])}"
            raise refusal(self.name, changes, spent)

    def _refuse_if_precious(self, changes: list[Difference]) -> None:
        reason = precious(self.folder)
        if reason:
            raise refusal(self.name, [change for change in changes if change.kind != "extend"], reason)

    def _finish(self) -> None:
        outputs = seal(self.folder, self._kept_out, self._known)
        self._stop_tracking()
        rows = [row for row in read_rows(self.folder / LEDGER) if not row.get("lost")]
        seconds = round(sum(row.get("seconds", 0.0) for row in rows), 3)
        manifest: dict[str, Any] = {"stage": self.name, **self._asked(), "identity": identity_of(outputs)}
        manifest |= {"seconds": seconds, "finished": now(), "in_place": self._in_place}
        manifest |= {"versions": versions(), "outputs": outputs}
        write_json(self.folder / MANIFEST, manifest)
        if not self._in_place:
            finish(self._home)
            self.folder = self._home

    def _stop_tracking(self) -> None:
        tracking, self._tracking = self._tracking, None
        if tracking is not None:
            tracking.__exit__(None, None, None)


def stage_lock(run_folder: Path, stage: str) -> Lock:
    """Make the lock of a stage; it lies outside the stage's folder, because that is renamed."""
    return Lock(run_folder / "locks" / stage.replace("/", "-"), f"the {stage} stage of {run_folder.name}")


def precious(folder: Path) -> str | None:
    """Say why a stage's folder must not be redone unasked; None if it may be."""
    if any(folder.glob("step-*/manifest.json")):
        return "it holds checkpoints"
    manifest = read_manifest(folder)
    if manifest is not None and manifest["seconds"] > EXPENSIVE_SECONDS:
        return f"it took {console.duration(manifest['seconds'])}"
    return None


def refusal(stage: str, changes: list[Difference], reason: str) -> Problem:
    """Make the Problem that stops silent redoing: the keys, old and new, and the ways out."""
    first = changes[0]
    others = f" (and {_listed(changes[1:])})" if changes[1:] else ""
    verb = f"asks {stage} for less than before" if first.kind == "shrink" else f"needs {stage} done anew"
    return Problem(
        f"{str(first).removeprefix(first.key).strip()}{others} {verb}, and {reason}",
        key=first.key,
        remedy=f"change it back, give the recipe another name, or do it anew with --again {stage} (nothing is deleted)",
    )


def _listed(changes: list[Difference]) -> str:
    return ", ".join(map(str, changes))


def _holds_work(folder: Path) -> bool:
    """Say whether a folder without begin.json holds more than the beginnings of a begin."""
    return any(path.name not in (LEDGER, EMISSIONS) and not path.name.endswith(".tmp") for path in folder.iterdir())
