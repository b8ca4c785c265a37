"""Walk folders and globs in the order of names, holding no more than the names of one folder for each level.

In goes a path of a recipe, out come `Found` files in the order of their names below it, compared as text. Folders are
sorted as NAME/, so that walking them one inside the other gives the order of whole names and nothing needs sorting in
the end. Linked folders are not entered unless a glob names them, so a loop of links cannot trap us; hidden names are
left out. What is no regular file (a dead link, a pipe, a linked folder) comes out without a size, to be told.
"""

import glob
import os
import stat
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path
from typing import NamedTuple

from lhama.plan.problem import Problem

DEEP = "**"


class Found(NamedTuple):
    """A file: `root/name` leads to it, `real` is where it lies; `size` is None for what cannot be read as a file."""

    root: str
    name: str
    real: str
    size: int | None


class _Folder(NamedTuple):
    """A folder that is being walked: its name below the root, where it lies, what is left, and which names are links.

    `states` are the parts of a pattern that may come next here.
    """

    below: str
    real: str
    names: Iterator[str]
    links: frozenset[str]
    states: frozenset[int] = frozenset()


def expand(path: Path, key: str) -> Iterator[Found]:
    """Yield the files that a path of a recipe means: itself, all below a folder, or what a glob finds."""
    if path.is_file():
        yield Found(str(path.parent), path.name, os.path.realpath(path), path.stat().st_size)
    elif path.is_dir():
        yield from _walk(str(path), "", os.path.realpath(path))
    elif glob.has_magic(str(path)):
        magic = next(place for place, part in enumerate(path.parts) if glob.has_magic(part))
        base, parts = Path(*path.parts[:magic]), path.parts[magic:]
        if base.is_dir():
            yield from _match(str(base), tuple(parts))
    else:
        raise Problem(f"{path} does not exist", key=key, remedy="paths are relative to the recipe's folder")


def _walk(root: str, below: str, real: str) -> Iterator[Found]:
    """Yield every file below root/below, whose real place is given."""
    walked = [_open(root, below, real)]
    while walked:
        folder = walked[-1]
        entry = next(folder.names, None)
        if entry is None:
            walked.pop()
        elif not entry.startswith("."):
            name, place = _under(folder.below, entry), _under(folder.real, entry)
            if entry.endswith("/"):
                walked.append(_open(root, name, place))
            else:
                yield _found(root, name, place, entry in folder.links)


def _match(root: str, parts: tuple[str, ...]) -> Iterator[Found]:
    """Yield the files that a pattern finds below a folder, and all below each folder that it finds."""
    if set(parts) == {DEEP}:
        yield from _walk(root, "", os.path.realpath(root))
        return
    walked = [_open(root, "", os.path.realpath(root), _with_skipped({0}, parts))]
    while walked:
        folder = walked[-1]
        entry = next(folder.names, None)
        if entry is None:
            walked.pop()
            continue
        linked = entry in folder.links
        name, place = _under(folder.below, entry), _under(folder.real, entry)
        inside = entry.endswith("/") or (linked and Path(root, name).is_dir())
        states = _step(folder.states, parts, entry.rstrip("/"), inside and not linked)
        if not inside:
            if len(parts) in states and parts[-1] != DEEP:
                yield _found(root, name, place, linked)
        elif states:
            place = os.path.realpath(place) if linked else place
            if len(parts) in states:
                yield from _walk(root, name, place)
            else:
                walked.append(_open(root, name, place, states))


def _step(states: frozenset[int], parts: tuple[str, ...], name: str, deeper: bool) -> frozenset[int]:
    """Say which parts of the pattern may follow after this name; none if it is not wanted."""
    after = set()
    hidden = name.startswith(".")
    for state in states:
        if state == len(parts):
            continue
        if parts[state] == DEEP:
            if deeper and not hidden:
                after.add(state)
        elif fnmatchcase(name, parts[state]) and (not hidden or parts[state].startswith(".")):
            after.add(state + 1)
    return _with_skipped(after, parts)


def _with_skipped(states: set[int], parts: tuple[str, ...]) -> frozenset[int]:
    """Add the parts that come next where ** stands for no folder at all."""
    skipped = set(states)
    for place, part in enumerate(parts):
        if part == DEEP and place in skipped:
            skipped.add(place + 1)
    return frozenset(skipped)


def _under(folder: str, entry: str) -> str:
    name = entry.rstrip("/")
    return f"{folder}/{name}" if folder else name


def _open(root: str, below: str, real: str, states: frozenset[int] = frozenset()) -> _Folder:
    """List a folder: names in order, those of folders with a slash behind them."""
    names, links = [], []
    folder = Path(root, below)
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                names.append(entry.name + "/" if entry.is_dir(follow_symlinks=False) else entry.name)
                if entry.is_symlink():
                    links.append(entry.name)
    except OSError as error:
        raise Problem(
            f"cannot list {folder}: {error.strerror}", remedy="give access to it, or name its files"
        ) from error
    names.sort()
    return _Folder(below, real, iter(names), frozenset(links), states)


def _found(root: str, name: str, real: str, linked: bool) -> Found:
    path = Path(root, name)
    try:
        status = path.stat()
    except OSError:  # a dead link, or gone since the folder was listed
        return Found(root, name, real, None)
    size = status.st_size if stat.S_ISREG(status.st_mode) else None
    return Found(root, name, os.path.realpath(path) if linked else real, size)
