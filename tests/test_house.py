"""The house rules that a machine can hold: arrows only downward, no drains, no loose ends, nothing that unpickles."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "lhama"
ROOMS = (
    "plan",
    "record",
    "corpus",
    "tokens",
    "model",
    "train",
    "evaluate",
    "finetune",
    "export",
    "release",
    "serve",
    "working",
    "cli",
)
SOURCES = sorted(PACKAGE.rglob("*.py"))
EVERYTHING = [*SOURCES, *sorted((ROOT / "tests").rglob("*.py")), *sorted((ROOT / "benchmarks").rglob("*.py"))]
DRAINS = {"utils", "util", "common", "helpers", "helper", "misc"}
LONGEST_FILE, LONGEST_FUNCTION = 400, 60


def room_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported_rooms(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the line and the room of each import of ours in a file, at any depth of the code."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names, line = [alias.name for alias in node.names], node.lineno
        elif isinstance(node, ast.ImportFrom):
            line = node.lineno
            assert node.level == 0, f"{path}: a relative import hides which room it enters"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        for name in names:
            parts = name.split(".")
            if parts[0] == "lhama" and len(parts) > 1 and parts[1] in ROOMS:
                yield line, parts[1]


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_arrows_point_only_downward(path: Path) -> None:
    room = room_of(path)
    if room == "__init__":
        return
    assert room in ROOMS, f"{path}: {room} is not a room of the house"
    for line, other in imported_rooms(path):
        assert ROOMS.index(other) <= ROOMS.index(room), f"{path}:{line}: {room} imports {other}, a room above it"


def test_the_upward_import_check_can_fail(tmp_path: Path) -> None:
    offender = tmp_path / "offender.py"
    offender.write_text("from lhama.train.loop import fit\nimport lhama.plan.recipe\n")
    assert list(imported_rooms(offender)) == [(1, "train"), (2, "plan")]


def test_mechanisms_never_import_their_stage() -> None:
    for path in SOURCES:
        if path.name in ("stage.py", "cli.py"):
            continue
        assert not re.search(r"import stage\b|\.stage import", path.read_text(encoding="utf-8")), f"{path}"


def test_serve_and_release_are_imported_by_nothing_but_the_command_line() -> None:
    for path in SOURCES:
        if room_of(path) in ("release", "serve", "working", "cli"):
            continue
        assert not {room for _, room in imported_rooms(path)} & {"release", "serve"}, f"{path}"


def test_there_are_no_drains() -> None:
    for path in EVERYTHING:
        assert not DRAINS & {part.removesuffix(".py") for part in path.relative_to(ROOT).parts}, f"{path}"


@pytest.mark.parametrize("path", EVERYTHING, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_loose_ends(path: Path) -> None:
    marks = [mark + ":" for mark in ("TO" + "DO", "FIX" + "ME", "X" + "XX")] + ["TO" + "DO(", "type: ignore\n"]
    text = path.read_text(encoding="utf-8")
    assert not [mark for mark in marks if mark in text], f"{path}"


def test_only_the_console_prints() -> None:
    for path in SOURCES:
        if path.relative_to(PACKAGE) == Path("record/console.py"):
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            called = node.func if isinstance(node, ast.Call) else None
            assert not (isinstance(called, ast.Name) and called.id == "print"), f"{path}"


def test_nothing_unpickles_or_trusts_remote_code() -> None:
    dangerous = re.compile(
        r"\bimport pickle|\bpickle\.|torch\.load\(|allow_pickle\s*=\s*True|weights_only\s*=\s*False"
        r"|trust_remote_code\s*=\s*True|\beval\(|\bexec\(|yaml\.load\("
    )
    allowed = re.compile(r"\.eval\(\)")
    for path in SOURCES:
        text = allowed.sub("", path.read_text(encoding="utf-8"))
        assert not dangerous.search(text), f"{path}: {dangerous.search(text)}"


def test_the_plan_room_and_the_command_line_stay_light() -> None:
    heavy = {"torch", "daft", "numba", "transformers", "pyarrow", "sentencepiece", "codecarbon", "numpy"}
    for path in SOURCES:
        if room_of(path) not in ("plan", "record", "cli"):
            continue
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            names = []
            if isinstance(node, ast.Import):
                names = [alias.name.split(".")[0] for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                names = [(node.module or "").split(".")[0]]
            assert not heavy & set(names), f"{path}:{node.lineno}"


def functions(path: Path) -> Iterator[tuple[str, int]]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield f"{path.relative_to(ROOT)}:{node.lineno} {node.name}", (node.end_lineno or 0) - node.lineno + 1


def test_files_and_functions_stay_short() -> None:
    files = {str(path.relative_to(ROOT)): len(path.read_text(encoding="utf-8").splitlines()) for path in SOURCES}
    long_files = {name: lines for name, lines in files.items() if lines > LONGEST_FILE}
    long_functions = {name: lines for path in SOURCES for name, lines in functions(path) if lines > LONGEST_FUNCTION}
    assert not long_files, f"longer than {LONGEST_FILE} lines: {long_files}"
    assert not long_functions, f"longer than {LONGEST_FUNCTION} lines: {long_functions}"


@pytest.mark.parametrize("stage", sorted(PACKAGE.glob("*/stage.py")), ids=lambda path: path.parent.name)
def test_every_stage_has_one_public_function(stage: Path) -> None:
    tree = ast.parse(stage.read_text(encoding="utf-8"))
    public = [node.name for node in tree.body if isinstance(node, ast.FunctionDef) and not node.name.startswith("_")]
    assert public == ["run_stage"]
    story = next(node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == "run_stage")
    assert [argument.arg for argument in story.args.args] == ["recipe", "run"]
