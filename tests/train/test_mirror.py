"""The mirror: a verified copy of every checkpoint elsewhere, from which a lost run goes on to the bit."""

import shutil
from pathlib import Path

import pytest

from lhama.plan.problem import Problem
from lhama.plan.recipe import load
from lhama.record.run import Run
from lhama.train import guard, mirror, save
from lhama.train.shares import MOMENTS
from tests.train.conftest import MakePlace, Place, same_outcome
from tests.train.test_guard import ROLLBACK, bad_batches, die_at
from tests.train.test_save import Crash


def stop_at(place: Place, step: int, *changes: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        die_at(patch, step)
        with pytest.raises(Crash):
            place.run(*changes)


def mirrored(place: Place, where: Path) -> tuple[str, Path]:
    return f"train.mirror={where}", where / "pequeno" / "train"


def test_the_mirror_holds_whole_checkpoints_and_the_records(make_place: MakePlace, tmp_path: Path) -> None:
    place = make_place()
    key, home = mirrored(place, tmp_path / "elsewhere")
    place.run(key)
    newest = save.newest(home)
    assert newest is not None and newest.name == "step-0000024"
    assert not save.faults(newest)
    assert len(save.checkpoints(home)) <= 2  # train.keep
    assert (home / "begin.json").read_bytes() == (place.train / "begin.json").read_bytes()
    assert not list(home.glob("*.part"))


@pytest.mark.parametrize("loss", ["the folder", "every checkpoint", "the whole run"])
def test_what_is_lost_is_restored_and_ends_the_same(
    make_place: MakePlace, finished: Place, tmp_path: Path, capsys: pytest.CaptureFixture[str], loss: str
) -> None:
    lost = make_place()
    key, home = mirrored(lost, tmp_path / "elsewhere")
    stop_at(lost, 15, key)
    assert max(save.checkpoints(home)) == 12
    if loss == "the folder":
        shutil.rmtree(lost.train)
    elif loss == "every checkpoint":
        for folder in save.checkpoints(lost.train).values():
            data = bytearray((folder / "model.safetensors").read_bytes())
            data[-3] ^= 4
            (folder / "model.safetensors").write_bytes(data)
    else:
        tokens = lost.train.parent / "tokens"
        shutil.move(tokens, tmp_path / "tokens")  # made anew, they would have the same identity
        shutil.rmtree(lost.train.parent)
        lost.train.parent.mkdir()
        shutil.move(tmp_path / "tokens", tokens)
    capsys.readouterr()
    lost.run(key)
    assert "step-0000012 was restored from" in capsys.readouterr().out.replace("\n", " ")
    same_outcome(finished.train, lost.train)


def test_a_damaged_copy_in_the_mirror_is_passed_over(
    make_place: MakePlace, finished: Place, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lost = make_place()
    key, home = mirrored(lost, tmp_path / "elsewhere")
    stop_at(lost, 15, key)
    data = bytearray((home / "step-0000012" / MOMENTS).read_bytes())
    data[-1] ^= 1
    (home / "step-0000012" / MOMENTS).write_bytes(data)
    shutil.rmtree(lost.train)
    capsys.readouterr()
    lost.run(key)
    said = capsys.readouterr().out.replace("\n", " ")
    assert "step-0000012 in the mirror is damaged" in said
    assert "step-0000008 was restored" in said or 8 not in save.checkpoints(home)
    same_outcome(finished.train, lost.train)


def test_a_mirror_that_fails_is_said_and_training_goes_on(
    make_place: MakePlace, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("not a folder")
    place = make_place()
    place.run(f"train.mirror={tmp_path / 'file' / 'inside'}")
    assert "could not take step-" in capsys.readouterr().out
    assert max(save.checkpoints(place.train)) == 24


def test_the_mirror_of_another_training_is_refused(make_place: MakePlace, tmp_path: Path) -> None:
    one, other = make_place(), make_place()
    key, home = mirrored(one, tmp_path / "elsewhere")
    one.run(key)
    before = sorted(path.name for path in home.iterdir())
    with pytest.raises(Problem, match=r"train\.mirror.*train\.learning_rate"):
        other.run(key, "train.learning_rate=1e-3")
    assert sorted(path.name for path in home.iterdir()) == before


def test_training_put_aside_is_not_brought_back(make_place: MakePlace, tmp_path: Path) -> None:
    place = make_place()
    key, home = mirrored(place, tmp_path / "elsewhere")
    place.run(key)
    recipe = load(place.folder / "pequeno.toml", [key])
    Run.open(recipe, place.folder / "runs", again=("train",))
    place.run(key)
    assert [row["step"] for row in place.rows("loss")] == list(range(2, 25, 2))
    assert [path.name.split("-")[0] for path in home.parent.iterdir() if path.name != "train"] == ["train.aside"]


def test_a_rollback_leaves_its_checkpoints_out_of_the_mirror_too(make_place: MakePlace, tmp_path: Path) -> None:
    whole, lost = make_place(), make_place()
    key, home = mirrored(lost, tmp_path / "elsewhere")
    with bad_batches(14):
        whole.run(*ROLLBACK)
        stop_at(lost, 15, key, *ROLLBACK)  # it went back to step 8, skipped 12 to 14 and dies
        assert max(save.checkpoints(home)) == 12
        shutil.rmtree(lost.train)
        lost.run(key, *ROLLBACK)
    assert (lost.train / guard.ROLLBACKS).is_file()
    same_outcome(whole.train, lost.train)


def test_a_copy_that_came_out_otherwise_never_gets_its_name(make_place: MakePlace, tmp_path: Path) -> None:
    place = make_place()
    place.run()
    source = place.train / "step-0000024"
    data = bytearray((source / "config.json").read_bytes())
    data[-2] ^= 1
    (source / "config.json").write_bytes(data)
    (tmp_path / "elsewhere").mkdir()
    copier = mirror.Mirror(tmp_path / "elsewhere", place.train, keep=2)
    copier.ask()
    copier.wait()
    copier.close()
    assert save.checkpoints(copier.home) == {}
    assert not list(copier.home.glob("*.part"))


def test_a_mirror_is_named_relative_to_the_recipe(make_place: MakePlace) -> None:
    place = make_place()
    path = place.folder / "pequeno.toml"
    path.write_text(path.read_text() + 'mirror = "copies"\n')
    assert place.recipe().train.mirror == str(place.folder / "copies")
