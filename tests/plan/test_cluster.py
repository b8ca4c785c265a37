"""Several accelerators: machines, the torchrun line, and a Slurm script that a shell can read."""

import shutil
import subprocess
from pathlib import Path

import pytest

from lhama.plan.bill import bill
from lhama.plan.cluster import machines, slurm_script, torchrun_line
from lhama.plan.recipe import load


@pytest.mark.parametrize(
    ("count", "expected"),
    [(1, (1, 1)), (4, (1, 4)), (8, (1, 8)), (12, (2, 6)), (16, (2, 8)), (7, (1, 7)), (22, (11, 2))],
)
def test_machines_are_evenly_full(count: int, expected: tuple[int, int]) -> None:
    assert machines(count) == expected


def test_the_line_that_starts_it() -> None:
    assert torchrun_line(load("demo"), "demo") is None
    one = torchrun_line(load("demo", ["hardware.count=4"]), "my recipe.toml")
    assert one == "torchrun --standalone --nproc-per-node 4 -m lhama.cli train 'my recipe.toml'"
    two = torchrun_line(load("tinyllama-1.1b"), "tinyllama-1.1b")
    assert two is not None and two.startswith("torchrun --nnodes 2 --nproc-per-node 8 ")


def test_tinyllamas_script(tmp_path: Path) -> None:
    recipe = load("tinyllama-1.1b")
    asked = bill(recipe)
    script = slurm_script(recipe, "tinyllama-1.1b", ["train.micro_batch=8"], "my runs", asked)
    lines = script.splitlines()
    assert lines[0] == "#!/bin/bash"
    for line in ("#SBATCH --nodes=2", "#SBATCH --gpus-per-node=8", "#SBATCH --time=24:00:00"):
        assert line in lines
    assert "train tinyllama-1.1b --set train.micro_batch=8 --runs 'my runs' --max-time 23h40m || exit 1" in script
    assert "[ -f 'my runs/tinyllama-1.1b/train/final.json' ] || sbatch \"$0\"" in lines
    bash = shutil.which("bash")
    if bash is None:
        pytest.skip("no bash here")
    (tmp_path / "job.slurm").write_text(script, encoding="utf-8")
    subprocess.run([bash, "-n", str(tmp_path / "job.slurm")], check=True)


def test_a_short_run_asks_for_no_more_than_it_needs() -> None:
    recipe = load("lhama-160m", ["hardware.count=8"])
    asked = bill(recipe)
    assert asked.hours < 0.5
    script = slurm_script(recipe, "lhama-160m", [], "runs", asked)
    assert "--time=01:00:00" in script and "--max-time 40m" in script and "#SBATCH --nodes=1" in script


def test_the_bill_of_several_counts_what_they_say_to_each_other() -> None:
    alone, eight = bill(load("lhama-460m")), bill(load("lhama-460m", ["hardware.count=8"]))
    assert alone.efficiency == 1 and 0.8 < eight.efficiency < 1
    assert eight.hours == pytest.approx(alone.hours / 8 / eight.efficiency)
    assert eight.money == pytest.approx((alone.money or 0) / eight.efficiency)
