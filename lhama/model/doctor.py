"""What this machine has and what Lhama will use of it: nothing goes in but the folder of runs, facts come out.

It must work on a machine that lacks almost everything, torch included; so each library is looked up, never needed.
"""

from __future__ import annotations

import platform
import shutil
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import lhama
from lhama.plan.hardware import this_machine
from lhama.plan.recipe import load

GIB = 2**30
LIBRARIES = {
    "core": ("numpy", "pydantic", "typer", "rich", "safetensors"),
    "corpus": ("daft", "pyarrow", "zstandard"),
    "train": ("torch", "sentencepiece", "tokenizers", "pyarrow"),
    "track": ("codecarbon",),
}


def examine(runs: Path) -> dict[str, Any]:
    """Gather the findings; `tables` says the same for a person, as (title, rows of label and text)."""
    machine = this_machine()
    place = next(folder for folder in (runs.resolve(), *runs.resolve().parents) if folder.exists())
    disk = shutil.disk_usage(place)
    found = {
        "lhama": lhama.__version__,
        "python": platform.python_version(),
        "system": platform.platform(),
        "machine": {
            "cores": machine.cores,
            "memory_bytes": machine.memory_bytes,
            "avx2": machine.avx2,
            "avx512_bf16": machine.avx512_bf16,
            "amx_bf16": machine.amx_bf16,
            "gpus": [{"name": gpu.name, "memory_bytes": gpu.memory_bytes} for gpu in machine.gpus],
            "disk_free_bytes": disk.free,
        },
        "libraries": {extra: {name: _version(name) for name in names} for extra, names in LIBRARIES.items()},
        "use": _use(),
    }
    return found | {"tables": _tables(found, place)}


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _use() -> dict[str, Any]:
    """Say what training would use here, decided by the same code that decides in a run."""
    if _version("torch") is None:
        return {"training": False, "precision": "fp32", "why": "torch is not installed: pip install 'lhama[train]'"}
    from lhama.model.device import missing_compiler, pick

    device = pick(load("demo"))
    missing = missing_compiler(device.kind)
    return {"training": True, "compiler": missing or "present"} | device.describe()


def _tables(found: dict[str, Any], place: Path) -> list[tuple[str, list[tuple[str, str]]]]:
    machine, use = found["machine"], found["use"]
    fast = [
        name for name, flag in (("AMX", "amx_bf16"), ("AVX-512 bf16", "avx512_bf16"), ("AVX2", "avx2")) if machine[flag]
    ]
    gpus = [f"{gpu['name']}, {gpu['memory_bytes'] / GIB:.0f} GiB" for gpu in machine["gpus"]]
    memory, unnamed = machine["memory_bytes"], "none"
    if use.get("kind", "cpu") != "cpu":
        unnamed = "nvidia-smi names none, so plans are for the processor: set hardware.accelerator in the recipe"
    has = [
        ("cores", str(machine["cores"])),
        ("instructions", ", ".join(fast) or "nothing special"),
        ("memory", f"{memory / GIB:.1f} GiB" if memory else "unknown"),
        ("GPU", "; ".join(gpus) or unnamed),
        ("free disk", f"{machine['disk_free_bytes'] / GIB:.1f} GiB at {place}"),
        ("system", f"{found['system']}, Python {found['python']}"),
    ]
    installed = []
    for extra, names in found["libraries"].items():
        missing = [name for name, number in names.items() if number is None]
        present = ", ".join(f"{name} {number}" for name, number in names.items() if number)
        remedy = "" if not missing else f"   missing: {', '.join(missing)} (pip install 'lhama[{extra}]')"
        installed.append((extra, present + remedy))
    if not use["training"]:
        will = [("training", use["why"])]
    else:
        will = [
            ("device", f"{use['kind']} ({use['name']}), {use['threads']} threads"),
            ("precision", f"{use['precision']}: {use['why_precision']}"),
            ("compiler", use["compiler"]),
            ("the demo", ("compiled" if use["compile"] else "not compiled") + f": {use['why_compile']}"),
        ]
    return [(f"Lhama {found['lhama']}: this machine has", has), ("installed", installed), ("Lhama will use", will)]
