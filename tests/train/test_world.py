"""What processes say to each other, without processes: the corners of a store, who is started, whose energy counts."""

import json
import threading
from pathlib import Path

import pytest
import torch
from torch.distributed import HashStore  # type: ignore[attr-defined]  # it is there, but not declared

from lhama.plan.problem import Problem
from lhama.plan.recipe import load
from lhama.record.energy import LEDGER, totals
from lhama.record.meter import append_row
from lhama.train import launch
from lhama.train.attempt import own_corner
from lhama.train.shares import Moments, Share, labelled
from lhama.train.world import ALONE, LOST, World


def corners(store: HashStore, size: int) -> list[str]:
    """Let so many threads agree on a corner and leave a word of each there."""
    found: dict[int, str] = {}

    def come(rank: int) -> None:
        corner = own_corner(store, rank, size, patience=20)
        corner.set(f"word/{rank}", "here")
        for other in range(size):
            corner.wait([f"word/{other}"])
        found[rank] = corner.get("word/0").decode()

    threads = [threading.Thread(target=come, args=(rank,)) for rank in reversed(range(size))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(found) == size
    return list(found.values())


def test_every_attempt_has_a_corner_of_its_own_in_a_store_that_stays() -> None:
    """torchrun keeps its store over restarts: a new process once waited for the addresses of dead ones."""
    store = HashStore()
    corners(store, 3)
    before = store.get("lhama/list")
    corners(store, 3)
    assert store.get("lhama/list") != before


def test_who_never_comes_is_missed() -> None:
    with pytest.raises(Problem, match="not all processes"):
        own_corner(HashStore(), 0, 2, patience=0.05)


def test_one_alone_needs_no_store_and_no_group() -> None:
    assert (ALONE.size, ALONE.nodes, ALONE.first, ALONE.alone) == (1, 1, True, True)
    numbers = torch.tensor([2.0])
    assert ALONE.sum(numbers) is numbers and ALONE.count(7) == 7 and ALONE.agree(True)
    assert ALONE.from_first("word", lambda: 3) == 3 and ALONE.collect("word", 4) == [4]


def test_machines_are_counted() -> None:
    last = World(rank=15, size=16, local_rank=7, local_size=8)
    assert (last.nodes, last.node, last.first) == (2, 1, False)


def test_who_waits_hears_of_a_failure() -> None:
    store = HashStore()
    one, other = (World(rank, 2, rank, 2, store) for rank in range(2))
    one.say("word", {"a": 1})
    assert other.hear("word") == {"a": 1}
    other.fail(ValueError("no luck"))
    assert store.get(LOST) == b"rank 1: no luck"
    with pytest.raises(Problem, match="rank 1: no luck"):
        one.hear("never said")


def test_as_many_processes_as_the_recipe_plans_and_the_machine_has(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1,2,3")
    for changes, expected in (
        ((), 1),
        (("hardware.count=4",), 4),
        (("hardware.count=16",), 4),
        (("hardware.count=2",), 2),
        (("hardware.count=4", "hardware.accelerator=cpu"), 1),
        (("hardware.processes=3", "hardware.accelerator=cpu"), 3),
    ):
        assert launch.processes(load("demo", ["hardware.accelerator=auto", *changes])) == expected, changes


def test_spans_of_several_files_are_whole_moments(tmp_path: Path) -> None:
    """Ten numbers of a tensor (5, 2), the first two rows with one process and three with the other."""
    (tmp_path / "trainer").mkdir()
    whole = torch.arange(10.0)
    said: dict[str, object] = {}

    class Talk:
        def say(self, topic: str, value: object) -> None:
            said[topic] = value

        def hear(self, topic: str) -> object:
            return said[topic]

    for number, (start, end) in ((1, (4, 10)), (0, (0, 4))):
        share = Share(number, 2, "save-1", Talk())
        share.write(
            tmp_path, {labelled(f"{which}.w", start): whole[start:end].clone() for which in ("first", "second")}
        )
    assert list(Share(0, 2, "save-1", Talk()).of_others()) == ["trainer/optimizer-00002-of-00002.safetensors"]
    moments = Moments(tmp_path, {"w": torch.Size((5, 2))})
    assert set(moments) == {"first.w", "second.w"}
    assert torch.equal(moments["second.w"], whole.view(5, 2))
    (tmp_path / "trainer/optimizer-00002-of-00002.safetensors").unlink()
    with pytest.raises(Problem, match="1 of 2 files"):
        Moments(tmp_path, {"w": torch.Size((5, 2))})


def test_further_machines_add_energy_and_no_time(tmp_path: Path) -> None:
    rows = [("train", 60.0, 0.5, None), ("train/node-1", 0.0, 0.4, 1), ("train/node-2", 0.0, 0.4, 2)]
    for folder, seconds, kwh, node in rows:
        (tmp_path / folder).mkdir(parents=True)
        row = {
            "time": "2026-01-01T00:00:00.000",
            "stage": "train",
            "seconds": seconds,
            "kwh": kwh,
            "method": "measured",
        }
        append_row(tmp_path / folder / LEDGER, row if node is None else row | {"node": node})
    (tmp_path / "recipe.toml").write_text(json.dumps({}))
    found = totals(tmp_path)
    assert found["seconds"] == 60.0 and found["kwh"] == pytest.approx(1.3)
