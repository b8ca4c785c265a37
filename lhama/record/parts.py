"""The rename dance: how a finished part takes the place of the stage's folder, whatever line the process dies at.

In: `NAME.part`, complete once its manifest.json is there (written last, after every file is on the disk). Out: `NAME`.
    1. NAME -> NAME.old   (if there is one)      2. NAME.part -> NAME      3. delete NAME.old
`repair` runs at every start and finishes a dance that was cut off, from any state between these steps. Everything that
is not part of a dance is only ever renamed aside, never deleted.
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from lhama.record.files import move, remove_tree
from lhama.record.manifest import BEGIN, MANIFEST


def part_of(folder: Path) -> Path:
    """Name the folder in which a stage works."""
    return folder.with_name(folder.name + ".part")


def old_of(folder: Path) -> Path:
    """Name the place of the former folder during the dance."""
    return folder.with_name(folder.name + ".old")


def repair(folder: Path) -> None:
    """Bring a stage's folders into a state without half-done renames; doing it twice changes nothing."""
    part, old = part_of(folder), old_of(folder)
    if (part / MANIFEST).is_file():
        finish(folder)
    elif old.exists() and not folder.exists():
        move(old, folder)  # only a disk that lost a rename leaves this: the former result is still the result
    elif old.exists():
        remove_tree(old)


def finish(folder: Path) -> None:
    """Put a complete part in place."""
    part, old = part_of(folder), old_of(folder)
    if old.exists() and folder.exists():
        remove_tree(old)
    if folder.exists():
        move(folder, old)
    move(part, folder)
    if old.exists():
        remove_tree(old)


def set_aside(folder: Path, word: str) -> Path:
    """Rename a folder to NAME.WORD-date-time, a name that is free, and say which."""
    stamp = datetime.now().astimezone().strftime("%Y%m%d-%H%M%S")
    target = folder.with_name(f"{folder.name}.{word}-{stamp}")
    number = 2
    while target.exists():
        target = folder.with_name(f"{folder.name}.{word}-{stamp}-{number}")
        number += 1
    move(folder, target)
    return target


def is_begun(folder: Path) -> bool:
    """Say whether work has begun in a folder; before its begin.json there is nothing worth keeping."""
    return (folder / BEGIN).is_file()
