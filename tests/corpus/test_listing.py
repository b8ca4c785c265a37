"""Walking folders and globs in order, and holding millions of names in little memory."""

import os
import pickle
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lhama.corpus.filelist import Gathering, SourceFile
from lhama.corpus.listing import expand
from lhama.plan.problem import Problem

KEY = "corpus.source.fonte.path"


def put(folder: Path, *names: str) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x" * len(name))


def names(path: Path) -> list[str]:
    return [found.name for found in expand(path, KEY)]


def test_a_folder_is_walked_in_the_order_of_whole_names(tmp_path: Path) -> None:
    put(tmp_path, "a/z", "a-b/x", "a.txt", "ab", "b", "a/b/c", "Z", "é", ".hidden", "c/.d/e")
    found = list(expand(tmp_path, KEY))
    assert [one.name for one in found] == sorted(one.name for one in found)
    assert len(found) == 8
    assert {one.name: one.size for one in found}["a/b/c"] == 5
    assert all(one.real == os.path.realpath(tmp_path / one.name) for one in found)


@given(st.lists(st.lists(st.sampled_from(["a", "b", "a-", "a.", "ab", "é"]), min_size=1, max_size=3), max_size=8))
def test_the_walk_is_what_sorting_gives(tmp_path_factory: pytest.TempPathFactory, paths: list[list[str]]) -> None:
    root = tmp_path_factory.mktemp("walk")
    for parts in paths:
        put(root, "/".join([*(f"{part}d" for part in parts[:-1]), f"{parts[-1]}f"]))
    expected = sorted(path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file())
    assert names(root) == expected
    assert names(root / "**") == expected
    assert names(root / "*") == expected
    flat = sorted(path.relative_to(root).as_posix() for path in root.glob("**/a*f"))
    assert [name for name in names(root / "**" / "a*f") if name.rpartition("/")[2].startswith("a")] == flat


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("*.txt", ["a.txt"]),
        ("**/*.txt", ["a.txt", "sub/b.txt", "sub/deep/c.txt"]),
        ("*/*.txt", ["sub/b.txt"]),
        ("s*", ["sub/b.txt", "sub/d.csv", "sub/deep/c.txt"]),
        ("sub/**", ["b.txt", "d.csv", "deep/c.txt"]),
        ("*/**/c.*", ["sub/deep/c.txt"]),
        ("sub/[bd].*", ["b.txt", "d.csv"]),
        ("?.txt", ["a.txt"]),
        (".*/*.txt", [".h/e.txt"]),
        ("*.nothing", []),
        ("nothing/*.txt", []),
    ],
)
def test_globs(pattern: str, expected: list[str], tmp_path: Path) -> None:
    put(tmp_path, "a.txt", "sub/b.txt", "sub/deep/c.txt", "sub/d.csv", ".h/e.txt", "sub/.f.txt")
    assert names(tmp_path / pattern) == expected


def test_links_are_followed_to_files_and_never_into_folders(tmp_path: Path) -> None:
    put(tmp_path, "home/a.txt", "home/sub/b.txt", "other/c.txt")
    home = tmp_path / "home"
    (home / "loop").symlink_to(home, target_is_directory=True)
    (home / "sub/up").symlink_to(tmp_path, target_is_directory=True)
    (home / "file").symlink_to(tmp_path / "other/c.txt")
    (home / "dead").symlink_to(tmp_path / "nothing")
    (home / "self").symlink_to(home / "self")
    os.mkfifo(home / "pipe")
    found = {one.name: one for one in expand(home, KEY)}
    assert {name for name, one in found.items() if one.size is not None} == {"a.txt", "file", "sub/b.txt"}
    assert {name for name, one in found.items() if one.size is None} == {"loop", "sub/up", "dead", "self", "pipe"}
    assert found["file"].real == str(tmp_path / "other/c.txt")
    for pattern in ("**/*.txt", "*/*.txt", "*/*/*.txt"):
        assert len(names(home / pattern)) < 5
    inside = ["a.txt", "dead", "file", "loop", "pipe", "self", "sub/b.txt", "sub/up"]
    assert names(home / "lo*") == [f"loop/{name}" for name in inside]


def test_a_deep_tree_needs_no_deep_stack(tmp_path: Path) -> None:
    deep = tmp_path.joinpath(*"d" * 1200)
    folders = [folder for folder in (deep, *deep.parents) if folder.is_relative_to(tmp_path)]
    try:
        for folder in reversed(folders):
            folder.mkdir(exist_ok=True)
        assert names(tmp_path) == []
    finally:
        for folder in folders:  # because what removes folders of tests is recursive
            folder.rmdir()


def test_a_folder_that_may_not_be_listed_is_a_problem(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(Problem, match="cannot list"):
        names(tmp_path)


def gathered(*files: tuple[str, str, str]) -> list[SourceFile]:
    gathering = Gathering()
    for place, (root, name, real) in enumerate(files):
        gathering.add(root, name, real, ("txt", "jsonl")[place % 2], place)
    return list(gathering.files(5))


def test_each_file_is_held_once_and_named_apart() -> None:
    found = gathered(("/r", "a", "/r/a"), ("/s", "a", "/s/a"), ("/r", "a", "/r/a"), ("/s", "b/c", "/r/d"))
    assert [(one.number, one.label, one.kind, str(one.path), one.bytes, str(one.root)) for one in found] == [
        (5, "a", "txt", "/r/a", 0, "/r"),
        (6, "/s/a", "jsonl", "/s/a", 1, "/s"),
        (7, "b/c", "jsonl", "/s/b/c", 3, "/s"),
    ]


def test_names_that_are_not_unicode_can_be_opened_and_shown(tmp_path: Path) -> None:
    (tmp_path / "bom.txt").write_text("x")
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.txt")).write_text("y")
    found = gathered(*((one.root, one.name, one.real) for one in expand(tmp_path, KEY)))
    assert [one.label for one in found] == ["bom.txt", "caf\\udce9.txt"]
    assert [one.path.read_text() for one in found if one.path] == ["x", "y"]


def test_slices_travel_alone() -> None:
    gathering = Gathering()
    for number in range(20_000):
        gathering.add("/root/folder", f"sub/arquivo-{number:06d}.txt", f"/x/{number}", "txt", number)
    files = gathering.files(0)
    part = files[100:103]
    assert [one.label for one in part] == [f"sub/arquivo-{number:06d}.txt" for number in (100, 101, 102)]
    assert part[1] == files[101] == part[-2]
    assert [one.number for one in part[1:]] == [101, 102]
    assert len(pickle.dumps(part)) < 2000
    assert len(pickle.dumps(files)) < 20_000 * (len("sub/arquivo-000000.txt") + 24)
    assert list(files[5:2]) == []
    with pytest.raises(IndexError):
        files[20_000]


def test_the_generator_has_no_path() -> None:
    gathering = Gathering()
    gathering.add("", "tales", "tales", "tales", 0)
    (one,) = gathering.files(3)
    assert one == SourceFile(3, "tales", "tales", None, 0)
