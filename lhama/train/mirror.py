"""A second place for checkpoints: every finished one is copied there, and training is restored from it.

In: a folder on another disk, `train.mirror`. Out: `MIRROR/RUN/train/`, which looks like the run's own training folder:
checkpoints that were compared with their hashes after copying, and the records up to them. A thread of its own copies,
so that a slow place never holds up a step; it always takes the newest checkpoint and leaves out what became old while
it was busy. A mirror that fails is said and training goes on, since the checkpoint itself is safe.
The subtle thing: a mirror must not bring back what was put aside on purpose. What `--again` moved aside is known by the
moment it was begun, and checkpoints that a rollback left behind are not taken.
"""

import shutil
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

from lhama.plan.problem import Problem
from lhama.record import console
from lhama.record.files import move, read_json, remove_tree, sync_tree, writing
from lhama.record.identity import differences, differing_inputs
from lhama.record.manifest import BEGIN
from lhama.record.parts import set_aside
from lhama.train import save

Belongs = Callable[[int, Mapping[str, Any]], bool]


class Mirror:
    """The copy of one run's training folder."""

    def __init__(self, place: Path, train: Path, keep: int) -> None:
        self.train = train
        self.home = place / train.parent.name / train.name
        self.keep = keep
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="mirror")
        self._job: Future[None] | None = None
        self._taken = -1

    def ask(self) -> None:
        """Start to copy the newest checkpoint; returns at once."""
        self._job = self._thread.submit(self._copy_newest)

    def wait(self) -> None:
        """Wait until everything asked for is copied."""
        if self._job is not None:
            self._job.result()

    def close(self) -> None:
        """End the thread."""
        self._thread.shutdown(wait=True)

    def open(self) -> None:
        """Look whose mirror it is: put aside what belongs to work that was put aside, refuse that of another run."""
        theirs = self._begin(self.home)
        if theirs is None:
            return
        aside = [self._begin(folder) for folder in self.train.parent.glob(f"{self.train.name}.*")]
        if any(begin is not None and begin["begun"] == theirs["begun"] for begin in aside):
            kept = set_aside(self.home, "aside")
            console.say(f"The mirror belongs to training that was put aside; it is kept as {kept}.")
            return
        ours = read_json(self.train / BEGIN)
        changes = differences(theirs["slice"], ours["slice"]) + differing_inputs(theirs["inputs"], ours["inputs"])
        changes = [change for change in changes if change.kind != "extend"]
        if changes:
            raise Problem(
                f"{self.home} mirrors another training ({', '.join(map(str, changes))})",
                key="train.mirror",
                remedy="choose another place, or move that folder away",
            )

    def restore(self, belongs: Belongs) -> Path | None:
        """Bring the newest whole checkpoint of the mirror back, and the records that are missing; None if it has none.

        Every file is compared with its hash, before and after it is copied.
        """
        for step, folder in reversed(save.checkpoints(self.home).items()):
            found = save.faults(folder)
            if found:
                console.warn(f"{folder} in the mirror is damaged: {'; '.join(found)}.")
                continue
            if not belongs(step, read_json(folder / save.STATE)):
                continue
            for record in self.home.glob("*.jsonl"):
                if not (self.train / record.name).exists():
                    _copy_file(record, self.train / record.name)
            restored = _copy_checkpoint(folder, self.train)
            console.warn(f"There is no whole checkpoint in {self.train}: {folder.name} was restored from {self.home}.")
            return restored
        return None

    def drop(self, step: int) -> None:
        """Forget the checkpoints after a step, which a rollback has left behind."""
        self.wait()
        self._taken = min(self._taken, step)
        for known, folder in save.checkpoints(self.home).items():
            if known > step:
                save.remove(folder)

    def _copy_newest(self) -> None:
        newest = max(save.checkpoints(self.train), default=-1)
        if newest <= self._taken:
            return
        source = self.train / save.folder_name(newest)
        try:
            self.home.mkdir(parents=True, exist_ok=True)
            save.tidy(self.home)
            # The records first: a checkpoint without the rows before it would leave a gap.
            for record in [self.train / BEGIN, *sorted(self.train.glob("*.jsonl"))]:
                _copy_file(record, self.home / record.name)
            if (self.home / source.name).exists():
                if not save.faults(self.home / source.name) and _same_manifest(source, self.home / source.name):
                    self._taken = newest
                    return
                save.remove(self.home / source.name)
            _copy_checkpoint(source, self.home)
            save.prune(self.home, self.keep)
            self._taken = newest
        except (OSError, Problem) as error:
            if source.exists():  # else it grew old and was removed: a newer one is on its way
                console.warn(f"The mirror {self.home} could not take {source.name}: {error}. Training goes on.")

    def _begin(self, folder: Path) -> dict[str, Any] | None:
        return dict(read_json(folder / BEGIN)) if (folder / BEGIN).is_file() else None


def _copy_checkpoint(source: Path, home: Path) -> Path:
    """Copy a checkpoint under a name that does not count, compare it with its hashes, then give it its name."""
    part = home / f"{source.name}.part"
    if part.exists():
        remove_tree(part)
    try:
        shutil.copytree(source, part)
        found = save.file_faults(part)
        if found:
            raise Problem(f"the copy of {source} in {home} is not whole: {'; '.join(found)}")
        sync_tree(part)
        move(part, home / source.name)
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)
        raise
    return home / source.name


def _copy_file(source: Path, target: Path) -> None:
    if source.exists():
        with writing(target) as temporary:
            shutil.copyfile(source, temporary)


def _same_manifest(one: Path, other: Path) -> bool:
    return (one / save.MANIFEST).read_bytes() == (other / save.MANIFEST).read_bytes()
