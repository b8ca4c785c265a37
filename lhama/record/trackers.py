"""Trackers receive the rows of the record, from a process of their own that reads the files as they grow.

In: `record.trackers` of the recipe. Out: RUN/trackers/NAME/, which each tracker's own program opens. Training only
writes its files, as ever; so no tracker can slow a step down, print into our output, or stop the work when it fails.
The process ends when its input does, that is with the stage, or when the stage is killed, after the rows that are left.
What was sent is kept in RUN/trackers/STAGE.json, by which the next process continues the same tracker run.
"""

from __future__ import annotations

import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lhama.plan.problem import Problem
from lhama.record import console
from lhama.record.files import read_json, write_json
from lhama.record.forward import Forward
from lhama.record.lock import Lock
from lhama.record.tracker_kinds import KINDS, Kind

if TYPE_CHECKING:
    from lhama.plan.recipe import Recipe

Json = dict[str, Any]

FOLDER = "trackers"
FOLLOWED = ("train", "finetune")  # the stages that write losses
EVERY_SECONDS = 5.0
PATIENCE = 60.0  # seconds that a stage's end waits for trackers


def check(recipe: Recipe) -> None:
    """Refuse, before any work, a tracker that is not installed."""
    for name in recipe.record.trackers:
        found = find_spec(name)
        if found is None or found.origin is None:  # a folder of that name, as W&B leaves them, is no library
            raise Problem(
                f"{name} is not installed", key="record.trackers", remedy=f"pip install {name}, or leave it out"
            )


@contextmanager
def followed(recipe: Recipe, run_folder: Path, stage: str, folder: Path, continuing: bool) -> Iterator[None]:
    """Let the recipe's trackers follow a stage while the block works."""
    if not recipe.record.trackers or stage.partition("/")[0] not in FOLLOWED:
        yield
        return
    place = run_folder / FOLDER
    place.mkdir(exist_ok=True)
    if not continuing:
        _state_path(run_folder, stage).unlink(missing_ok=True)
    log = place / f"{_plain(stage)}.log"
    command = [sys.executable, "-m", "lhama.record.trackers", str(run_folder), stage, str(folder)]
    with log.open("ab") as output:
        # A session of its own: Ctrl-C is for the work, and the trackers hear of it by the end of their input.
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=output, stderr=output, start_new_session=True
        )  # fmt: skip
    try:
        yield
    finally:
        _end(process, log)


def _end(process: subprocess.Popen[bytes], log: Path) -> None:
    """Wait for the trackers to write what is left; one that hangs is left behind, which harms nobody."""
    assert process.stdin is not None
    with suppress(OSError):  # it may have ended long ago
        process.stdin.write(b"end\n")  # closing alone would not do while a forked process has the pipe open, too
        process.stdin.close()
    try:
        failed = process.wait(PATIENCE) != 0
    except subprocess.TimeoutExpired:
        failed = True
        process.kill()
        process.wait()
    if failed:
        console.warn(f"A tracker gave up; the work and its record are whole. Why: {log}")


def main(run_folder: Path, stage: str, folder: Path) -> int:
    """Follow a stage until the input ends; 1 where a tracker failed."""
    from lhama.plan.recipe import load, slice_for

    recipe = load(run_folder / "recipe.toml")
    lock = _locked(run_folder, stage)
    path = _state_path(run_folder, stage)
    state: Json = read_json(path) if path.exists() else {"run": _name(run_folder, stage), "sent": {}}
    write_json(path, state)
    settings = {"recipe": recipe.name, **slice_for(recipe, stage.partition("/")[0])}
    following = Following(run_folder, state["run"], recipe.record.trackers, settings)
    forward, ended, last = Forward(folder, state["sent"]), _end_of_input(), False
    try:
        while not last:
            last = ended.wait(EVERY_SECONDS)
            if forward.poll(following.give, last):
                following.flush()
                write_json(path, state)
    finally:
        following.close()
        lock.free()
    return int(following.failed)


class Following:
    """The trackers of a run; each is begun with the first figures, and dropped when it fails."""

    def __init__(self, run_folder: Path, run: str, names: tuple[str, ...], settings: Json) -> None:
        self._place, self._run, self._names, self._settings = run_folder / FOLDER, run, names, settings
        self._kinds: dict[str, Kind] | None = None
        self.failed = False

    def give(self, step: int, figures: Mapping[str, float]) -> None:
        """Give every tracker the figures of a step."""
        if self._kinds is None:
            self._kinds = {}
            for name in self._names:
                self._try(name, lambda name=name: self._begin(name))
        for name, kind in list(self._kinds.items()):
            self._try(name, lambda kind=kind: kind.give(step, figures))

    def flush(self) -> None:
        """Make lasting what was given."""
        for name, kind in list((self._kinds or {}).items()):
            self._try(name, kind.flush)

    def close(self) -> None:
        """End all."""
        for name, kind in list((self._kinds or {}).items()):
            self._try(name, kind.close)

    def _begin(self, name: str) -> None:
        folder = self._place / name
        folder.mkdir(exist_ok=True)
        assert self._kinds is not None
        self._kinds[name] = KINDS[name](folder, self._run, self._settings)

    def _try(self, name: str, act: Any) -> None:
        try:
            act()
        except Exception:  # whatever a tracker's library does, the others go on
            traceback.print_exc()
            self.failed = True
            if self._kinds is not None:
                self._kinds.pop(name, None)


def _end_of_input() -> threading.Event:
    """Make an event of the end of the input, or of anything that is written there."""
    ended = threading.Event()

    def wait() -> None:
        sys.stdin.buffer.read(1)
        ended.set()

    threading.Thread(target=wait, daemon=True).start()
    return ended


def _locked(run_folder: Path, stage: str) -> Lock:
    """Wait for the trackers of a killed process, which are still writing what it left."""
    lock = Lock(run_folder / FOLDER / f".{_plain(stage)}.lock", "the trackers")
    until = time.monotonic() + PATIENCE
    while True:
        try:
            lock.take()
            return lock
        except Problem:
            if time.monotonic() > until:
                raise
            time.sleep(0.2)


def _name(run_folder: Path, stage: str) -> str:
    return f"{run_folder.name}-{_plain(stage)}-{datetime.now(UTC):%Y%m%d-%H%M%S}"


def _plain(stage: str) -> str:
    return stage.replace("/", "-")


def _state_path(run_folder: Path, stage: str) -> Path:
    return run_folder / FOLDER / f"{_plain(stage)}.json"


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3])))
