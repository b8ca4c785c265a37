"""One process at a time in one stage: a kernel lock, which dies with its process.

In: a path. Out: a lock, or a Problem that names the process which holds it. The kernel frees the lock of a killed
process, so there is nothing to clean up by hand; the number in the file is only for the message.
"""

from __future__ import annotations

import errno
import os
from contextlib import suppress
from importlib import import_module
from io import FileIO
from pathlib import Path
from types import ModuleType
from typing import IO

from lhama.plan.problem import Problem

FAR = 1 << 30  # Windows locks bytes, and a locked byte cannot be read: the number stays readable before it
HELD = (errno.EAGAIN, errno.EACCES, errno.EDEADLK)


def _optional(name: str) -> ModuleType | None:
    try:
        return import_module(name)
    except ImportError:
        return None


FCNTL, MSVCRT = _optional("fcntl"), _optional("msvcrt")


class Lock:
    """A lock that is held from `take` to `free`."""

    def __init__(self, path: Path, what: str) -> None:
        self._path, self._what = path, what
        self._file: IO[bytes] | FileIO | None = None

    def take(self) -> None:
        """Take the lock now or raise a Problem; a disk that knows no locks is worked on without."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        file = self._path.open("a+b", buffering=0)
        try:
            _lock(file)
        except OSError as error:
            if error.errno in HELD:
                holder = _holder(file)
                file.close()
                raise Problem(
                    f"{self._what} is being worked on by {holder}", remedy="wait for it, or stop it first"
                ) from None
        with suppress(OSError):  # on a full disk the lock holds all the same, only without a name
            file.truncate(0)
            file.write(str(os.getpid()).encode())
        self._file = file

    def free(self) -> None:
        """Free the lock by name: closing the file would not do while a child that was forked meanwhile has it open."""
        if self._file is not None:
            with suppress(OSError):  # a disk that knows no locks, or became read-only
                self._file.truncate(0)
            with suppress(OSError):
                _unlock(self._file)
            self._file.close()
            self._file = None

    def holder(self) -> str | None:
        """Say which process holds the lock; a number left by a killed process does not count."""
        if not self._path.is_file() or self._path.stat().st_size == 0:
            return None
        with self._path.open("a+b") as file:
            try:
                _lock(file)
            except OSError as error:
                return _holder(file) if error.errno in HELD else None
        return None


def _lock(file: IO[bytes] | FileIO) -> None:
    if FCNTL is not None:
        FCNTL.flock(file.fileno(), FCNTL.LOCK_EX | FCNTL.LOCK_NB)
    elif MSVCRT is not None:
        file.seek(FAR)
        MSVCRT.locking(file.fileno(), MSVCRT.LK_NBLCK, 1)


def _unlock(file: IO[bytes] | FileIO) -> None:
    if FCNTL is not None:
        FCNTL.flock(file.fileno(), FCNTL.LOCK_UN)
    elif MSVCRT is not None:
        file.seek(FAR)
        MSVCRT.locking(file.fileno(), MSVCRT.LK_UNLCK, 1)


def _holder(file: IO[bytes] | FileIO) -> str:
    file.seek(0)
    number = file.read(20).decode("ascii", errors="replace").strip()
    return f"process {number}" if number.isdigit() else "another process"
