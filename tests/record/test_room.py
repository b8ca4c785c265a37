"""A stage that has no room is refused before it begins, with both numbers; what is written already counts."""

from pathlib import Path

import pytest

from lhama.plan.problem import Problem
from lhama.plan.recipe import load
from lhama.record import room
from lhama.record.room import SPARE, bytes_in, require
from lhama.record.run import Run


@pytest.fixture
def free(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    left = [0]
    monkeypatch.setattr(room, "free_bytes", lambda path: left[0])
    return left


def test_both_numbers_are_said(tmp_path: Path, free: list[int]) -> None:
    free[0] = 1_000_000 + SPARE
    require(tmp_path, "tokens", 1_000_000)
    with pytest.raises(Problem, match=r"no space for the tokens stage: about 9\.2 MB more .* and 5\.2 MB are free"):
        require(tmp_path, "tokens", 5_000_000)
    require(tmp_path, "release", 0)  # nothing is asked where nothing is known


def test_what_is_written_already_is_not_asked_for_again(tmp_path: Path, free: list[int]) -> None:
    (tmp_path / "step").mkdir()
    (tmp_path / "step" / "weights").write_bytes(bytes(3_000))
    assert bytes_in(tmp_path) == 3_000
    free[0] = 2_000 + SPARE
    require(tmp_path, "train", 5_000)
    with pytest.raises(Problem, match=r"train\.suite_every"):
        require(tmp_path, "train", 5_001)


def test_a_stage_is_refused_before_it_begins_and_goes_on_when_there_is_room(tmp_path: Path, free: list[int]) -> None:
    run = Run.open(load("demo", ["record.energy=false"]), tmp_path)
    with pytest.raises(Problem, match="no space for the corpus stage"), run.stage("corpus", needs=lambda: 10**6):
        raise AssertionError("it began")
    free[0] = 10**9
    with run.stage("corpus", needs=lambda: 10**6) as stage:
        (stage.folder / "text").write_text("Era uma vez", encoding="utf-8")
    free[0] = 0

    def unasked() -> int:
        raise AssertionError("finished work needs no room")

    with run.stage("corpus", needs=unasked) as again:
        assert again.done
