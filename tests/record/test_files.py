"""A file is whole or absent, and a damaged one is named."""

import errno
import os
from pathlib import Path

import pytest

from lhama.plan.problem import Problem
from lhama.record import files
from lhama.record.files import read_json, sha256_file, size, write_bytes, write_json, write_text, writing


def test_what_is_written_is_read(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"língua": ["pt", 1, None]})
    assert read_json(tmp_path / "a.json") == {"língua": ["pt", 1, None]}
    write_text(tmp_path / "b.txt", "uma\r\nlhama\n")
    assert (tmp_path / "b.txt").read_bytes() == b"uma\r\nlhama\n"
    # sha256 of "abc", FIPS 180-2, appendix B.1
    write_bytes(tmp_path / "c", b"abc")
    assert sha256_file(tmp_path / "c") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.json", "b.txt", "c"]


def test_a_writer_that_fails_leaves_the_old_file_and_no_other(tmp_path: Path) -> None:
    path = tmp_path / "a"
    write_bytes(path, b"old")
    with pytest.raises(ZeroDivisionError), writing(path) as temporary:
        temporary.write_bytes(b"half")
        raise ZeroDivisionError
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_damaged_and_missing_json_are_problems_that_name_the_file(tmp_path: Path) -> None:
    for content in (b"", b'{"a": ', b"\xff\xfe", b"{]"):
        (tmp_path / "m.json").write_bytes(content)
        with pytest.raises(Problem, match=r"m\.json is damaged"):
            read_json(tmp_path / "m.json")
    with pytest.raises(Problem, match=r"absent\.json is missing"):
        read_json(tmp_path / "absent.json")
    with pytest.raises(ValueError, match="Out of range float"):
        write_json(tmp_path / "nan.json", float("nan"))


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs Linux's always full device")
def test_a_full_disk_says_what_was_to_be_written_and_keeps_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a"
    write_bytes(path, b"old")

    def full(self: Path, data: bytes) -> int:
        self.touch()
        with open("/dev/full", "wb", buffering=0) as device:  # noqa: PTH123 - Path.write_bytes is what is replaced
            return device.write(data)

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(Problem, match=r"no space left for .*2\.0 MB were to be written"):
        write_bytes(path, bytes(2_000_000))
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_other_errors_pass_as_they_are(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        write_bytes(tmp_path / "no" / "such" / "folder", b"")


def test_a_system_without_folder_fsync_is_served_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.open

    def windows(path: str | Path, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
        if Path(path).is_dir():
            raise PermissionError(errno.EACCES, "a folder cannot be opened")
        return real(path, flags, mode, dir_fd=dir_fd)

    monkeypatch.setattr(os, "open", windows)
    write_bytes(tmp_path / "a", b"abc")
    assert (tmp_path / "a").read_bytes() == b"abc"


def test_sizes_as_people_say_them() -> None:
    assert [size(count) for count in (0, 999, 1000, 2_340_000, 5.6e9, 7e12)] == [
        "0 bytes", "999 bytes", "1.0 kB", "2.3 MB", "5.6 GB", "7.0 TB",
    ]  # fmt: skip
    assert files.free_bytes(Path.cwd() / "not" / "there") > 0
