"""Compile the training step for a GPU that is not here, and count the memory that it takes beside the plan's.

The graph of a step is captured for CUDA, cut into forward and backward, fused by Inductor, and every kernel compiled by
triton down to the machine code of a Hopper (tests/stand_in/compiled.py). Nothing is computed: tensors have shapes and
no numbers, and their bytes are counted as the generated code takes and frees them. So this tells that the fast path
compiles whole, and what it holds; not how fast it is, nor that the numbers are right.

    python benchmarks/compile_for_gpu.py [--triton FOLDER] [--only WORD ...]

FOLDER holds triton for this Python (`pip install --no-deps --target FOLDER triton`) where it is not installed. With
`full` the compiler asks for a GPU's random generators, which are not here: it is left out.
Written to benchmarks/results/compiled-for-gpu-DATE.json.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from datetime import date
from pathlib import Path

from memory_plan import HEADS, KEYS, SHAPES  # type: ignore[import-not-found]  # of this folder

from lhama.plan.hardware import accelerator
from lhama.plan.memory import memory
from lhama.plan.recipe import Recipe, load

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))
CELLS = [
    (shape, rows, how, apart)
    for shape in ("ttl-160m", "ttl-460m", "tinyllama-1.1b")
    for rows, how, apart in ((1, "off", "whole"), (4, "off", "whole"), (4, "selective", "whole"), (1, "off", "apart"))
]


def recipe_of(shape: str, rows: int, how: str, apart: str) -> Recipe:
    """Return the recipe whose memory the plan is to foresee."""
    changes = [f"{key}={value}" for key, value in zip((*KEYS, *HEADS), SHAPES[shape], strict=True)]
    changes += ["hardware.accelerator=h100", "tokens.packing=stream", "model.tied=false", "train.precision=bf16"]
    changes += [f"train.micro_batch={rows}", f"train.batch_tokens={rows * 2048}", "train.warmup_tokens=0"]
    changes += ["train.tokens=100000000", f"train.gradient_checkpointing={how}"]
    return load("demo", [*changes, f"train.documents_apart={str(apart == 'apart').lower()}"])


def counted(folder: Path, triton: Path | None, shape: str, rows: int, how: str, apart: str) -> dict[str, float]:
    """Compile in a process of its own and return what it says."""
    from tests.stand_in.shim import environment

    given = environment(folder, started=False)
    if given is None:
        raise SystemExit("a compiler is needed, and a torch without CUDA")
    given["PYTHONPATH"] += "" if triton is None else f"{os.pathsep}{triton}"
    vocabulary, _, hidden, intermediate, layers, heads, shared = SHAPES[shape]
    numbers = (vocabulary, hidden, intermediate, layers, heads, shared, hidden // heads)
    command = [sys.executable, str(HERE.parent / "tests" / "stand_in" / "compiled.py"), "inductor", how, apart]
    done = subprocess.run(
        [*command, str(rows), *map(str, numbers)], env=given, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(done.stderr[-3000:])
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def main() -> None:
    """Compile each cell, print and write."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--triton", type=Path)
    arguments.add_argument("--only", nargs="*", default=[], help="words of which each must be in a cell's name")
    given = arguments.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as name:
        for cell in CELLS:
            title = f"{cell[0]}, {cell[1]} rows, {cell[2]}, {cell[3]}"
            if not all(word in title for word in given.only):
                continue
            found, plan = (
                counted(Path(name), given.triton, *cell),
                memory(recipe_of(*cell), accelerator("h100"), "bf16"),
            )
            total = plan.fixed + found["peak"]
            rows.append({"cell": title, "counted_bytes": total, "planned_bytes": plan.total, **found})
            print(
                f"{title:42} {total / 2**30:7.2f} GiB counted {plan.total / 2**30:7.2f} planned"
                f" {plan.total / total - 1:+.1%}  {found['kernels']} kernels, {found['seconds']} s",
                flush=True,
            )
    path = HERE / "results" / f"compiled-for-gpu-{date.today()}.json"
    path.write_text(json.dumps({"date": str(date.today()), "cells": rows}, indent=2) + "\n", encoding="utf-8")
    print(f"written to {path}")


if __name__ == "__main__":
    main()
