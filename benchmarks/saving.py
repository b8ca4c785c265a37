"""What a save costs the training: no saves, saves that are waited for, saves beside the steps, and these with a mirror.

Each turn is a `lhama train` of its own over the same tokens (tales, made once), the same recipe and as many steps; a
round gives every way one turn, in an order that turns round. The first steps warm up and are not counted. Printed are,
over all rounds, the median step without a save in it, the seconds that steps stood still for a save and the seconds
until it was whole on the disk (medians, from metrics.jsonl), and the share of the time between two saves that went into
standing still. The last column is the mean step, writing beside it and standing still included, over that of the same
round without saves: what a save costs in all, such as cores and memory bandwidth that the writing takes.

    python benchmarks/saving.py [--shape 8m] [--steps 40] [--every 8] [--rounds 3] [--work FOLDER] [--mirror FOLDER]

FOLDER is where checkpoints are written: name one on the disk in question. The last save of each turn ends a training
and hides behind no step, so it is left out. Written to benchmarks/results/saving-SHAPE-HARDWARE-DATE.json.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from datetime import date
from pathlib import Path
from statistics import mean, median
from typing import Any

import torch

HERE = Path(__file__).parent
WARM = 3  # steps that do not count
BATCH = 2_048
SEQUENCE = 256
SHAPES = {  # hidden, intermediate, layers, heads; 4,096 pieces
    "8m": (256, 1_024, 6, 4),
    "50m": (512, 2_048, 11, 8),
    "160m": (768, 3_072, 16, 12),
}
WAYS = {
    "no saves": (),
    "waited for": ("train.save_in_background=false",),
    "beside the steps": ("train.save_in_background=true",),
    "beside, with a mirror": ("train.save_in_background=true", "train.mirror={mirror}"),
}


def lhama(folder: Path, verb: str, *changes: str) -> None:
    """Run a verb of ours in a folder; an error shows what it said."""
    command = [sys.executable, "-c", "from lhama.cli import main; main()", verb, "demo"]
    command += [word for change in changes for word in ("--set", change)]
    environment = {**os.environ, "PYTHONPATH": str(HERE.parent)}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} failed:\n{(done.stdout + done.stderr)[-3000:]}")


def recipe(shape: str, steps: int) -> list[str]:
    """Return the changes that make the demo's recipe ours."""
    hidden, intermediate, layers, heads = SHAPES[shape]
    return [
        "corpus.source.tales.documents=20000",
        "tokens.vocabulary=4096",
        f"tokens.sequence={SEQUENCE}",
        f"model.hidden_size={hidden}",
        f"model.intermediate_size={intermediate}",
        f"model.layers={layers}",
        f"model.heads={heads}",
        "model.tied=false",
        f"train.batch_tokens={BATCH}",
        f"train.tokens={BATCH * steps}",
        f"train.warmup_tokens={BATCH}",
        "train.log_every=1",
        "train.validate_every=none",
        "train.validate_megabytes=0.01",
        "train.sample_every=none",
        "train.sample_prompts=[]",
        "train.compile=off",
        "record.energy=false",
    ]


def turn(work: Path, way: str, mirror: Path, shared: list[str], steps: int, every: int) -> dict[str, list[float]]:
    """Train once in a way; return the seconds of each counted step, without and with standing still, and the saves."""
    folder = work / "turn"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.rmtree(mirror, ignore_errors=True)
    (folder / "runs" / "demo").mkdir(parents=True)
    for stage in ("corpus", "tokens"):
        (folder / "runs" / "demo" / stage).symlink_to(work / "runs" / "demo" / stage, target_is_directory=True)
    saved = () if way == "no saves" else (f"train.save_every={BATCH * every}",)
    lhama(folder, "train", *shared, *saved, *(change.format(mirror=mirror) for change in WAYS[way]))
    path = folder / "runs" / "demo" / "train" / "metrics.jsonl"
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    logged = [row for row in rows if "tokens_per_second" in row and WARM < row["step"] <= steps]
    saves = [save for row in rows for save in row.get("saves", []) if save["step"] < steps]
    shutil.rmtree(folder)
    seconds = [BATCH / row["tokens_per_second"] for row in logged]
    return {
        "seconds": seconds,
        "with_saves": [step + row["saving_seconds"] for step, row in zip(seconds, logged, strict=True)][:-1],
        "stalled": [save["stalled"] for save in saves],
        "written": [save["written"] for save in saves],
    }


def summed(turns: dict[str, list[dict[str, list[float]]]], every: int) -> dict[str, Any]:
    """Take medians over all rounds, and the cost beside the same round's turn without saves."""
    found: dict[str, Any] = {}
    for way, of in turns.items():
        step = median(second for one in of for second in one["seconds"])
        stalled = [second for one in of for second in one["stalled"]]
        written = [second for one in of for second in one["written"]]
        costs = [
            mean(one["with_saves"]) / mean(bare["with_saves"]) for one, bare in zip(of, turns["no saves"], strict=True)
        ]
        found[way] = {
            "step_seconds": round(step, 4),
            "stalled_seconds": round(median(stalled), 4) if stalled else 0.0,
            "longest_stall_seconds": round(max(stalled), 4) if stalled else 0.0,
            "written_seconds": round(median(written), 4) if written else 0.0,
            "share_stalled": round(median(stalled) / (every * step + median(stalled)), 4) if stalled else 0.0,
            "mean_step_over_no_saves": round(median(costs), 4),
            "by_round": [round(cost, 4) for cost in costs],
            "saves": len(stalled),
        }
    return found


def show(found: dict[str, Any], every: int) -> None:
    """Print the table."""
    print(f"{'':24} {'step, s':>9} {'stalled, s':>11} {'longest':>9} {'whole, s':>9} {'share':>7} {'mean step':>10}")
    for way, of in found.items():
        print(
            f"{way:24} {of['step_seconds']:>9.3f} {of['stalled_seconds']:>11.3f} {of['longest_stall_seconds']:>9.3f} "
            f"{of['written_seconds']:>9.3f} {of['share_stalled']:>7.2%} {of['mean_step_over_no_saves']:>9.3f}x"
        )
    print(f"a save every {every} steps; share: of the time from one save to the next")


def main() -> None:
    """Alternate, print, write."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--shape", choices=SHAPES, default="8m")
    arguments.add_argument("--steps", type=int, default=40)
    arguments.add_argument("--every", type=int, default=8, help="steps from one save to the next")
    arguments.add_argument("--rounds", type=int, default=3)
    arguments.add_argument("--work", type=Path, help="where checkpoints are written; absent means a temporary folder")
    arguments.add_argument("--mirror", type=Path, help="where copies go; absent means beside it, on the same disk")
    given = arguments.parse_args()
    with tempfile.TemporaryDirectory(dir=given.work) as name:
        work = Path(name)
        mirror = (given.mirror or work).resolve() / "lhama-mirror"
        shared = recipe(given.shape, given.steps)
        lhama(work, "tokens", *shared)
        turns: dict[str, list[dict[str, list[float]]]] = {way: [] for way in WAYS}
        for number in range(given.rounds):
            order = list(WAYS)
            for way in order[number % len(order) :] + order[: number % len(order)]:
                turns[way].append(turn(work, way, mirror, shared, given.steps, given.every))
                took = median(turns[way][-1]["seconds"])
                print(f"round {number + 1} {way}: {took:.3f} s a step", flush=True)
        shutil.rmtree(mirror, ignore_errors=True)
    found = summed(turns, given.every)
    show(found, given.every)
    hidden, intermediate, layers, _ = SHAPES[given.shape]
    weights = 2 * 4_096 * hidden + layers * (4 * hidden * hidden + 3 * hidden * intermediate)
    device = torch.cuda.get_device_name().replace(" ", "-") if torch.cuda.is_available() else f"{os.cpu_count()}cores"
    result = {
        "date": str(date.today()),
        "shape": given.shape,
        "checkpoint_megabytes": round(12 * weights / 1e6),
        "steps": given.steps,
        "steps_between_saves": given.every,
        "rounds": given.rounds,
        "device": device,
        "torch": torch.__version__,
        "mirror_on_the_same_disk": given.mirror is None,
        "ways": found,
    }
    path = HERE / "results" / f"saving-{given.shape}-{device}-{date.today()}.json"
    path.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    print(f"written to {path}")


if __name__ == "__main__":
    main()
