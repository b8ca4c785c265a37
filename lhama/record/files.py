"""Files that are whole or absent: every lasting write of Lhama goes through here.

In: bytes, text or JSON. Out: a file that a reader finds either in its old or in its new state, never half written, and
that survives a power cut once the call returns (temporary file beside the target, fsync, rename, fsync of the folder;
see Pillai et al. 2014, "All File Systems Are Not Created Equal"). A killed writer leaves only a `.NAME.PID.tmp` behind.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from lhama.plan.problem import Problem

CHUNK = 1 << 20
FULL = (errno.ENOSPC, errno.EDQUOT)
REFUSING = (errno.EROFS, errno.EIO, errno.EACCES, errno.EPERM)


@contextmanager
def writing(path: Path) -> Iterator[Path]:
    """Yield a temporary path in the same folder; on a clean exit it is made durable and takes the place of `path`."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        yield temporary
        sync_file(temporary)
        os.replace(temporary, path)  # noqa: PTH105 - one name for all platforms, and the crash tests count it
    except OSError as error:
        temporary.unlink(missing_ok=True)
        if error.errno in FULL:
            raise _no_space(path) from error
        raise
    except Exception:
        temporary.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


@contextmanager
def disk_problems(folder: Path) -> Iterator[None]:
    """Turn what a full, read-only or broken disk does to any work in the block into a Problem that says it."""
    try:
        yield
    except OSError as error:
        path = Path(str(error.filename)) if error.filename else folder
        if error.errno in FULL:
            raise _no_space(path) from error
        if error.errno in REFUSING:
            raise Problem(
                f"{path} cannot be read or written: {error.strerror}",
                remedy="see to the disk and its rights, then type the same command; what was finished before is intact",
            ) from error
        raise


def write_bytes(path: Path, data: bytes) -> None:
    """Write a whole file atomically and durably."""
    try:
        with writing(path) as temporary:
            temporary.write_bytes(data)
    except Problem as problem:
        raise Problem(f"{problem.what} ({size(len(data))} were to be written)", remedy=problem.remedy) from problem


def write_text(path: Path, text: str) -> None:
    """Write a whole UTF-8 text file atomically, with the same bytes on every platform."""
    write_bytes(path, text.encode("utf-8"))


def write_json(path: Path, value: Any) -> None:
    """Write a JSON document for people and programs, atomically."""
    write_text(path, json.dumps(value, ensure_ascii=False, indent=2, allow_nan=False) + "\n")


def read_json(path: Path) -> Any:
    """Read a JSON document; a missing or damaged one is a Problem that names the file."""
    try:
        return json.loads(path.read_bytes())
    except FileNotFoundError as error:
        raise Problem(f"{path} is missing") from error
    except ValueError as error:  # also UnicodeDecodeError and JSONDecodeError
        raise Problem(
            f"{path} is damaged: {error}", remedy="restore it from a copy, or do its stage --again"
        ) from error


def sha256_file(path: Path) -> str:
    """Hash a file without holding it in memory."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(CHUNK):
            digest.update(block)
    return digest.hexdigest()


def sync_file(path: Path) -> None:
    """Force a finished file to the disk."""
    with path.open("r+b" if os.name == "nt" else "rb") as file:  # Windows flushes only what is open for writing
        os.fsync(file.fileno())


def sync_folder(path: Path) -> None:
    """Force the names in a folder to the disk; a system that cannot (Windows, some network disks) skips it."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except OSError:
        return
    try:
        with suppress(OSError):
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_tree(folder: Path) -> None:
    """Force every file and name under a folder to the disk, deepest first."""
    for path in sorted(folder.rglob("*"), reverse=True):
        if path.is_dir():
            sync_folder(path)
        elif path.is_file():
            sync_file(path)
    sync_folder(folder)


def move(source: Path, target: Path) -> None:
    """Rename a file or folder to a free name and make the rename durable."""
    source.rename(target)
    sync_folder(target.parent)


def remove_tree(folder: Path) -> None:
    """Delete a folder and all that is in it."""
    shutil.rmtree(folder)
    sync_folder(folder.parent)


def remove_leftovers(folder: Path) -> None:
    """Delete the temporary files that killed writers left under a folder."""
    for path in list(folder.rglob(".*.tmp")):
        path.unlink(missing_ok=True)


def free_bytes(path: Path) -> int:
    """Count the free bytes of the disk that holds a path, which need not exist yet."""
    while not path.exists() and path != path.parent:
        path = path.parent
    return shutil.disk_usage(path).free


def size(count: float) -> str:
    """Say a number of bytes as people do."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if abs(count) < 1000:
            return f"{count:.0f} {unit}" if unit == "bytes" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"


def _no_space(path: Path) -> Problem:
    return Problem(
        f"no space left for {path}: {size(free_bytes(path.parent))} are free there",
        remedy="make room and start again; what was finished before is intact",
    )
