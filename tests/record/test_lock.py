"""Locks where there is fcntl, where there is msvcrt, and where a disk knows neither."""

import errno
import os
from pathlib import Path
from types import ModuleType

import pytest

from lhama.plan.problem import Problem
from lhama.record import lock as lock_module
from lhama.record.lock import Lock


def test_a_lock_excludes_and_names_its_holder(tmp_path: Path) -> None:
    first, second = (Lock(tmp_path / "locks" / "train", "the train stage of small") for _ in range(2))
    assert first.holder() is None
    first.take()
    assert second.holder() == f"process {os.getpid()}"
    with pytest.raises(Problem, match=f"the train stage of small is being worked on by process {os.getpid()}"):
        second.take()
    first.free()
    assert second.holder() is None
    second.take()
    second.free()
    second.free()


def test_a_number_left_by_a_killed_process_is_no_holder(tmp_path: Path) -> None:
    (tmp_path / "train").write_text("4242")
    lock = Lock(tmp_path / "train", "the train stage")
    assert lock.holder() is None
    lock.take()
    assert (tmp_path / "train").read_text() == str(os.getpid())
    lock.free()


def test_windows_locks_one_far_byte(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    held: list[int] = []

    class Fake(ModuleType):
        LK_UNLCK, LK_NBLCK = 0, 2

        @staticmethod
        def locking(descriptor: int, mode: int, count: int) -> None:
            position = os.lseek(descriptor, 0, os.SEEK_CUR)
            if mode == 0:
                held.remove(position)
                return
            assert (mode, count) == (2, 1)
            if held:
                raise PermissionError(errno.EACCES, "held")
            held.append(position)

    monkeypatch.setattr(lock_module, "FCNTL", None)
    monkeypatch.setattr(lock_module, "MSVCRT", Fake("msvcrt"))
    lock = Lock(tmp_path / "train", "the train stage")
    lock.take()
    with pytest.raises(Problem, match=f"process {os.getpid()}"):
        Lock(tmp_path / "train", "the train stage").take()
    assert held == [1 << 30]
    lock.free()
    assert not held


def test_a_disk_without_locks_is_worked_on_without(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Fake(ModuleType):
        LOCK_EX, LOCK_NB, LOCK_UN = 2, 4, 8

        @staticmethod
        def flock(descriptor: int, mode: int) -> None:
            raise OSError(errno.ENOLCK, "no locks here")

    monkeypatch.setattr(lock_module, "FCNTL", Fake("fcntl"))
    lock = Lock(tmp_path / "train", "the train stage")
    lock.take()
    assert lock.holder() is None
    lock.free()
