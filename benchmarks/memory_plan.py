"""The memory that `lhama plan` foresees for training on this processor, beside the peak that training really takes.

Six cells, two shapes with 1, 4 and 16 rows at once, and more that differ in one thing each: checkpointing, precision,
compilation, no save. Each is a process of its own that takes two real steps and a save in the background between them,
by the probe of `lhama tune` (lhama/train/tune_probe.py); the peak is the process's own (VmHWM).

    python benchmarks/memory_plan.py [--only WORD ...] [--counted]

`--counted` takes larger shapes as a GPU would train them, on the stand-in of tests/stand_in: nothing is computed, and
the peak is that of the bytes of all tensors that live, operation by operation. Uncompiled, for a compiler's choices are
not to be seen that way. Written to benchmarks/results/memory-plan-CORES-DATE.json or memory-counted-DATE.json.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from lhama.plan.hardware import accelerator
from lhama.plan.memory import memory
from lhama.plan.recipe import Recipe, dumps, load
from lhama.record.files import read_json, write_text
from lhama.train.tune_job import Job
from lhama.train.tune_tokens import make_up

HERE = Path(__file__).parent

KEYS = ("tokens.vocabulary", "tokens.sequence", "model.hidden_size", "model.intermediate_size", "model.layers")
HEADS = ("model.heads", "model.key_value_heads")
SHAPES = {
    "8m": (4_096, 256, 256, 1_024, 6, 4, 4),
    "42m": (16_384, 256, 512, 1_408, 8, 8, 8),
    "ttl-160m": (32_000, 2_048, 768, 3_072, 12, 12, 12),
    "ttl-460m": (32_000, 2_048, 1_024, 4_096, 24, 16, 16),
    "tinyllama-1.1b": (32_000, 2_048, 2_048, 5_632, 22, 32, 4),
}
ALWAYS = ("tokens.packing=stream", "model.tied=false", "train.save_every=1000000")


@dataclass(frozen=True)
class Cell:
    """What is trained, and how."""

    shape: str
    rows: int
    changes: tuple[str, ...] = ()
    save: bool = True
    counted: bool = False
    """On the stand-in for a GPU, where nothing is computed."""

    @property
    def name(self) -> str:
        more = [change.removeprefix("train.") for change in self.changes] + ([] if self.save else ["no save"])
        return ", ".join([self.shape, f"{self.rows} rows", *more])


EAGER = ("train.compile=off",)
SIX = [Cell(shape, rows, EAGER) for shape in ("8m", "42m") for rows in (1, 4, 16)]
MORE = [
    *(Cell("8m", 16, (*EAGER, f"train.gradient_checkpointing={how}")) for how in ("selective", "full")),
    Cell("8m", 4, (*EAGER, "train.precision=fp32")),
    Cell("8m", 4, EAGER, save=False),
    Cell("8m", 4, ("train.compile=on",)),
    Cell("8m", 16, ("train.compile=on",)),
    Cell("42m", 16, (*EAGER, "train.gradient_checkpointing=full")),
    Cell("42m", 4, (*EAGER, "train.precision=fp32")),
]
COUNTED = [
    Cell(
        shape,
        rows,
        (*EAGER, "train.precision=bf16", f"train.gradient_checkpointing={how}"),
        save=False,
        counted=True,
    )
    for shape in ("ttl-160m", "ttl-460m", "tinyllama-1.1b")
    for rows in (1, 4)
    for how in ("off", "selective", "full")
]


def changes_of(cell: Cell) -> list[str]:
    """Return what a cell changes in the recipe of the demo: its shape and its ways."""
    shape = SHAPES[cell.shape]
    changes = [f"{key}={value}" for key, value in zip((*KEYS, *HEADS), shape, strict=True)]
    changes += [
        f"hardware.accelerator={'auto' if cell.counted else 'cpu'}",
        *ALWAYS,
        *cell.changes,
        f"train.micro_batch={cell.rows}",
    ]
    batch = (1 if cell.rows > 4 else 2) * cell.rows * shape[1]  # of many rows one micro-batch a step: it is long enough
    changes += [f"train.batch_tokens={batch}", f"train.tokens={1000 * batch}", "train.warmup_tokens=0"]
    changes += [] if cell.save else ["train.save_in_background=false"]
    return changes


def recipe_of(cell: Cell) -> Recipe:
    """Return the recipe of a cell."""
    return load("demo", changes_of(cell))


def measured(cell: Cell) -> dict[str, Any]:
    """Let a process of its own train a little and return what it says."""
    recipe = recipe_of(cell)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_up(recipe, folder / "tokens", 200_000)
        write_text(folder / "recipe.toml", dumps(recipe))
        job = Job(
            recipe=str(folder / "recipe.toml"),
            run=str(folder),
            batch_tokens=recipe.train.batch_tokens,
            compared=1,
            least=1,
            seconds=0.0,
            memory_bytes=None,
            answer=str(folder / "answer.json"),
            save=cell.save,
        )
        job.write(folder / "job.json")
        environment = _stand_in(folder) if cell.counted else {**os.environ, "PYTHONPATH": str(HERE.parent)}
        command = [sys.executable, "-m", "lhama.train.tune_probe", str(folder / "job.json")]
        subprocess.run(command, check=True, env=environment)
        found: dict[str, Any] = read_json(folder / "answer.json")
        return found


def _stand_in(folder: Path) -> dict[str, str]:
    sys.path.insert(0, str(HERE.parent))
    from tests.stand_in.shim import environment

    found = environment(folder, shapes=True)
    if found is None:
        raise SystemExit("the stand-in needs a compiler, and a torch without CUDA")
    return found


def main() -> None:
    """Measure, compare, print, write."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--only", nargs="*", default=[], help="words of which each must be in a cell's name")
    arguments.add_argument("--counted", action="store_true", help="a GPU's tensors, nothing computed")
    arguments.add_argument("--output", type=Path)
    given = arguments.parse_args()
    rows = []
    for cell in [
        one for one in (COUNTED if given.counted else [*SIX, *MORE]) if all(word in one.name for word in given.only)
    ]:
        recipe, found = recipe_of(cell), measured(cell)
        device = accelerator("h100" if cell.counted else "cpu")
        if "error" in found:
            print(f"{cell.name}: {found['error']}", flush=True)
            continue
        room = memory(recipe, device, found["device"]["precision"])
        rows.append(
            {
                "cell": cell.name,
                "of_the_six": cell in SIX,
                "changes": changes_of(cell),
                "precision": found["device"]["precision"],
                "measured_bytes": found["peak_bytes"],
                "planned_bytes": room.total,
                "program_bytes": found["program_bytes"],
                "seconds": [round(one["seconds"], 2) for one in (*found["compared"], *found["timed"])],
            }
        )
        ratio = room.total / found["peak_bytes"] - 1
        print(
            f"{cell.name:60} {found['peak_bytes'] / 1e6:8.0f} MB measured {room.total / 1e6:8.0f} planned {ratio:+.1%}"
            f"  (program {found['program_bytes'] / 1e6:.0f})",
            flush=True,
        )
    text = json.dumps({"date": str(date.today()), "cores": os.cpu_count(), "cells": rows}, indent=2) + "\n"
    name = f"memory-counted-{date.today()}" if given.counted else f"memory-plan-{os.cpu_count()}cores-{date.today()}"
    path = given.output or HERE / "results" / f"{name}.json"
    path.write_text(text, encoding="utf-8")
    print(f"written to {path}")


if __name__ == "__main__":
    main()
