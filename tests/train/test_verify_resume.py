"""`lhama verify-resume`: two trainings on the user's machine are compared, and a difference is found and named."""

import json
import shutil
from pathlib import Path

import pytest

from lhama.record.run import Run
from lhama.train import save, verify_resume
from lhama.train.verify_resume import PROGRAM, TOLERANCE, compare, report
from tests.conftest import run_lhama
from tests.train.conftest import MakePlace, Place


@pytest.fixture(scope="module")
def trained(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished training, made once; tests copy it."""
    place = Place(Path(shutil.copytree(prepared, tmp_path_factory.mktemp("trained") / "place")))
    place.run("train.tokens=4096", "train.schedule=constant")
    return place.train


@pytest.fixture
def pair(trained: Path, tmp_path: Path) -> tuple[Path, Path]:
    whole, killed = (Path(shutil.copytree(trained, tmp_path / name)) for name in ("whole", "killed"))
    return whole, killed


def test_two_that_are_the_same_are_identical(pair: tuple[Path, Path]) -> None:
    found = compare(*pair, 8)
    assert found["identical"] and found["passed"] and found["exact"]
    assert {row["what"] for row in found["rows"]} == {"weights", "moments", "records"}
    assert found["first_difference"] is None


@pytest.mark.parametrize(
    ("file", "where"),
    [
        ("step-0000008/model.safetensors", "in the weights of"),
        ("step-0000008/trainer/optimizer.safetensors", "in the moments"),
    ],
)
def test_one_bit_in_the_last_checkpoint_is_a_difference(pair: tuple[Path, Path], file: str, where: str) -> None:
    path = pair[1] / file
    data = bytearray(path.read_bytes())
    data[-2] ^= 1
    path.write_bytes(data)
    found = compare(*pair, 8)
    assert not found["identical"] and not found["passed"]
    assert where in found["first_difference"]


def test_the_first_row_that_differs_is_named_and_a_tolerance_may_pass_it(
    pair: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    path = pair[1] / "loss.jsonl"
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    rows[1]["loss"] += TOLERANCE / 2
    path.write_text("".join(json.dumps(row, separators=(",", ":")) + "\n" for row in rows))
    found = compare(*pair, 8)
    assert "loss.jsonl at step 4" in found["first_difference"]
    assert not found["passed"]
    for folder in pair:  # a device that adds up in no fixed order says so in the checkpoint
        state = folder / "step-0000008" / save.STATE
        said = json.loads(state.read_text())
        said["environment"] |= {"kind": "cuda", "deterministic": False}
        state.write_text(json.dumps(said))
    found = compare(*pair, 8)
    assert found["passed"] and not found["identical"]
    assert found["loss_distance"] == pytest.approx(TOLERANCE / 2)
    report(found | {"kills": [], "steps": 8})
    said = capsys.readouterr().out.replace("\n", " ")
    assert "within the tolerance of 0.01" in said and "train.deterministic = true" in said
    for folder in pair:  # and one that was told to add up in a fixed order is held to it
        state = folder / "step-0000008" / save.STATE
        told = json.loads(state.read_text())
        told["environment"]["deterministic"] = True
        state.write_text(json.dumps(told))
    found = compare(*pair, 8)
    assert found["exact"] and not found["passed"] and found["tolerance"] is None


def test_killed_and_resumed_processes_end_identical_and_leave_no_trace(
    make_place: MakePlace, capsys: pytest.CaptureFixture[str]
) -> None:
    place = make_place()
    run = Run.open(place.recipe(f"train.mirror={place.folder / 'real'}"), place.folder / "runs")
    before = sorted(path.name for path in run.folder.iterdir())
    found = verify_resume.verify(run, PROGRAM, 8, 1)
    verify_resume.report(found)
    assert found["identical"], found
    assert found["steps"] == 8 and len(found["kills"]) == 1
    said = capsys.readouterr().out
    assert "to be killed after step" in said and said.rstrip().endswith("identical")
    assert sorted(path.name for path in run.folder.iterdir()) == before
    assert not (place.folder / "real").exists()  # the user's own mirror is not written to


@pytest.mark.slow
def test_the_command_on_the_tiny_recipe(tmp_path: Path) -> None:
    tiny = str(Path(__file__).parents[1] / "tiny.toml")
    done = run_lhama("verify-resume", tiny, "--steps", "12", "--kills", "3", cwd=tmp_path)
    assert "identical" in done.stdout, done.stdout + done.stderr


def test_it_fails_where_resuming_loses_something(make_place: MakePlace, monkeypatch: pytest.MonkeyPatch) -> None:
    """A killed training that takes up its weights a little wrong is found out."""
    place = make_place()
    place.run("train.tokens=4096", "train.schedule=constant")

    def spoil(program: object, there: verify_resume.Place, *_: object) -> list[object]:
        shutil.copytree(place.train, there.train)
        path = there.train / "step-0000008" / "model.safetensors"
        data = bytearray(path.read_bytes())
        data[-2] ^= 1
        path.write_bytes(data)
        return []

    def train(program: object, there: verify_resume.Place, *_: object) -> None:
        shutil.copytree(place.train, there.train)

    monkeypatch.setattr(verify_resume, "_train", train)
    monkeypatch.setattr(verify_resume, "_train_and_kill", spoil)
    run = Run.open(place.recipe("train.tokens=4096", "train.schedule=constant"), place.folder / "runs")
    found = verify_resume.verify(run, ("nothing",), 8, 1)
    assert not found["passed"]
    assert Path(found["kept"]).is_dir()
