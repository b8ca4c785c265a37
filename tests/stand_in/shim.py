"""Build the shim, and say in which environment a process finds the stand-in for a GPU."""

import os
import shutil
import subprocess
from pathlib import Path

import torch

HERE = Path(__file__).parent


def environment(folder: Path, shapes: bool = False, started: bool = True, kind: str = "cuda") -> dict[str, str] | None:
    """Build the shim into a folder and return the environment; None where there is no compiler, or a real GPU.

    With `shapes` tensors have no numbers, for counting the memory of models that are not to be computed. A program that
    is not `started` with the stand-in loads what it wants of it (compiled.py). `kind` is cuda or mps.
    """
    compiler = shutil.which("c++") or shutil.which("g++")
    if compiler is None or torch.version.cuda is not None or os.name == "nt":
        return None
    built, root = folder / "shim.so", Path(torch.__file__).parent
    if not built.exists():
        command = [compiler, "-std=c++20", "-shared", "-fPIC", f"-I{root / 'include'}", str(HERE / "shim.cpp")]
        command += [f"-L{root / 'lib'}", "-lc10", "-ltorch_cpu", "-o", str(built)]
        subprocess.run(command, check=True)
    paths = [HERE, HERE.parent.parent] if started else [HERE.parent.parent]
    found = {
        **os.environ,
        "STAND_IN_SHIM": str(built),
        "STAND_IN_KIND": kind,
        "PYTHONPATH": os.pathsep.join(map(str, paths)),
    }
    return {**found, "STAND_IN_SHAPES": "1"} if shapes else found
