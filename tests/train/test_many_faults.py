"""Bad steps, spikes, lost disks, signals and limited time with two processes: all decide alike, one of them writes.

fault_worker.py trains the cases; what they end with is compared with one process that met the same, up to the order of
sums, or with two processes that met nothing, to the bit.
"""

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from lhama.record.meter import read_rows
from lhama.train import guard, save
from lhama.train.shares import MOMENTS
from tests.train import many
from tests.train.conftest import STEPS, MakePlace, Place
from tests.train.test_guard import ROLLBACK, bad_batches
from tests.train.test_many import same_bits, same_training

Case = dict[str, Any]


def play(folder: Path, cases: Sequence[Case]) -> list[tuple[str, str]]:
    """Let two processes train the cases in turn; return how each ended in the first and in the second."""
    listed = [case | {"place": str(case["place"].folder), "port": many.free_port()} for case in cases]
    (folder / "cases.json").write_text(json.dumps(listed))
    many.pair("tests.train.fault_worker", str(folder / "cases.json"))
    ends = [json.loads((folder / f"ended-{rank}.json").read_text()) for rank in range(2)]
    return list(zip(*ends, strict=True))


def same_ledgers(one: Place, other: Place) -> None:
    """Assert that what was decided is written down once, as by one process; figures may differ in rounding."""
    for name in ("incidents", "rollbacks"):
        ours, theirs = (
            [
                {key: value for key, value in row.items() if key not in ("loss", "gradient_norm")}
                for row in place.rows(name)
            ]
            for place in (one, other)
        )
        assert ours == theirs, name
    names = [sorted(path.name for path in place.train.glob("*.json")) for place in (one, other)]
    assert names[0] == names[1]  # the evidence, too


def test_a_bad_batch_in_one_process_is_left_out_by_all(make_place: MakePlace, tmp_path: Path) -> None:
    alone, place = make_place(), make_place()
    changes = ("train.not_finite=skip", "train.keep=9")
    with bad_batches(7, 13):
        alone.run(*changes)
    ends = play(tmp_path, [{"place": place, "changes": (*changes, "train.parallel=ddp"), "bad": [7, 13], "rank": 1}])
    assert ends == [("done", "done")]
    same_training(alone, place)
    same_ledgers(alone, place)
    assert [row["step"] for row in place.rows("incidents")] == [7, 13]
    states = [save.read(folder).state["updates"] for folder in save.checkpoints(place.train).values()]
    assert states[-1] == STEPS - 2


@pytest.mark.slow
def test_all_go_back_alike_and_the_mirror_with_them(make_place: MakePlace, tmp_path: Path) -> None:
    """A bad batch in one of two shards, then a spike in both replicas: the same way back as one process takes."""
    alone, shards, jumped, replicas = (make_place() for _ in range(4))
    with bad_batches(14):
        alone.run(*ROLLBACK)
    spiky = ("train.spikes=rollback", *ROLLBACK[1:])
    with bad_batches(20, value=200.0), pytest.MonkeyPatch.context() as patch:
        patch.setattr(guard, "FEWEST", 8)
        jumped.run(*spiky)
    assert [row["kind"] for row in jumped.rows("rollbacks")] == ["spike"]
    mirror = f"train.mirror={tmp_path / 'elsewhere'}"
    cases: list[Case] = [
        {"place": shards, "changes": (*ROLLBACK, mirror, "train.parallel=fsdp"), "bad": [14], "rank": 0},
        {"place": replicas, "changes": (*spiky, "train.parallel=ddp"), "bad": [20], "value": 200.0, "few": 8},
    ]
    assert play(tmp_path, cases) == [("done", "done")] * 2
    for ours, theirs in ((alone, shards), (jumped, replicas)):
        same_training(ours, theirs)
        same_ledgers(ours, theirs)
    home = tmp_path / "elsewhere" / "pequeno" / "train"
    newest = save.newest(home)
    assert newest is not None and newest.name == f"step-{STEPS:07d}"
    assert read_rows(home / guard.ROLLBACKS) == shards.rows("rollbacks")


@pytest.mark.slow
@pytest.mark.parametrize("way", ["ddp", "fsdp"])
def test_a_wish_of_one_process_stops_both_and_the_mirror_brings_them_back(
    make_place: MakePlace, tmp_path: Path, way: str
) -> None:
    """SIGTERM to the second process, then the time of the second is up, then the disk is lost."""
    healthy, hurt = make_place(), make_place()
    parallel = f"train.parallel={way}"
    changes = (parallel, f"train.mirror={tmp_path / 'elsewhere'}")
    cases: list[Case] = [
        {"place": healthy, "changes": (parallel,)},
        {"place": hurt, "changes": changes, "signal": 6},
        {"place": hurt, "changes": changes, "time is up": 15},
        {"place": hurt, "changes": changes, "lost": "runs/pequeno/train"},
    ]
    ends = play(tmp_path, cases)
    assert all(first == second for first, second in ends), ends
    said = [first for first, _ in ends]
    assert said[0] == said[3] == "done"
    # A wish is heard one step after the step that was on its way.
    assert said[1] in ("stopped after step 7", "stopped after step 8"), said
    assert said[2] in ("stopped after step 16", "stopped after step 17"), said
    same_bits(healthy.train, hurt.train)
    assert len(list((hurt.train / f"step-{STEPS:07d}").glob(MOMENTS))) == (way == "ddp")


@pytest.mark.slow
def test_a_stop_at_a_bad_batch_is_said_once(make_place: MakePlace, tmp_path: Path) -> None:
    place = make_place()
    ((first, second),) = play(tmp_path, [{"place": place, "changes": ("train.parallel=ddp",), "bad": [5], "rank": 1}])
    assert "at step 5 the loss was nan" in first
    assert second == "2"  # the exit code alone: the words of the first are enough
    assert [path.name for path in place.train.glob("non-finite-*.json")] == ["non-finite-step-5.json"]
    shutil.rmtree(place.folder)
