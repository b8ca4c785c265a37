"""The manifest: what a finished stage made, from what, with which versions, and in how many seconds.

In: a folder whose work is complete. Out: manifest.json with every output file's size, time and SHA-256, hashed once.
A later start trusts size and time; a file whose time alone changed (a copy to another machine) is hashed once more.
"""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from fnmatch import fnmatch
from importlib import metadata
from pathlib import Path
from typing import Any

import lhama
from lhama.plan.problem import Problem
from lhama.record.emissions import EMISSIONS
from lhama.record.energy import LEDGER
from lhama.record.files import read_json, remove_leftovers, sha256_file, sync_file, sync_folder, write_json
from lhama.record.identity import digest

MANIFEST, BEGIN = "manifest.json", "begin.json"
OURS = (MANIFEST, BEGIN, LEDGER, EMISSIONS)  # the record of the work is not its result
LIBRARIES = ("numpy", "torch", "daft", "pyarrow", "sentencepiece", "tokenizers", "safetensors", "transformers")

Json = dict[str, Any]


def seal(folder: Path, kept_out: Iterable[str], known: Mapping[str, str]) -> Json:
    """Make every output durable and describe it; `known` hashes are believed, all others are computed here."""
    remove_leftovers(folder)
    patterns = tuple(kept_out)
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    names = {path: path.relative_to(folder).as_posix() for path in paths}
    paths = [path for path in paths if names[path] not in OURS]

    def describe(path: Path) -> Json:
        sync_file(path)
        state = path.stat()
        name = names[path]
        return {
            "bytes": state.st_size,
            "sha256": known.get(name) or sha256_file(path),
            "mtime_ns": state.st_mtime_ns,
            "identity": not any(fnmatch(name, pattern) for pattern in patterns),
        }

    with ThreadPoolExecutor(max_workers=min(4, os.cpu_count() or 1)) as pool:
        outputs = dict(zip((names[path] for path in paths), pool.map(describe, paths), strict=True))
    for path in sorted((path for path in folder.rglob("*") if path.is_dir()), reverse=True):
        sync_folder(path)
    sync_folder(folder)
    return outputs


def identity_of(outputs: Json) -> str:
    """Hash those outputs that later stages build on."""
    return digest({name: output["sha256"] for name, output in outputs.items() if output["identity"]})


def read_manifest(folder: Path) -> Json | None:
    """Read the manifest of a finished stage; None where the stage is not finished."""
    path = folder / MANIFEST
    if not path.exists():
        return None
    manifest = read_json(path)
    if not isinstance(manifest, dict) or not {"slice", "inputs", "outputs", "identity", "seconds"} <= manifest.keys():
        raise Problem(f"{path} is damaged: it is not a manifest", remedy="restore it from a copy")
    return manifest


def check(folder: Path, manifest: Json, stage: str, *, rehash: bool = False) -> None:
    """Raise a Problem naming the first output that is not what was written; `rehash` trusts no size and no time."""
    touched = False
    for name, output in manifest["outputs"].items():
        if not output["identity"]:
            continue
        path = folder / name
        remedy = f"restore it from a copy, or do the stage anew with --again {stage}"
        if not path.is_file():
            raise Problem(f"{path} is missing", remedy=remedy)
        state = path.stat()
        if state.st_size != output["bytes"]:
            raise Problem(f"{path} has {state.st_size} bytes, {output['bytes']} were written", remedy=remedy)
        moved = state.st_mtime_ns != output["mtime_ns"]
        if (moved or rehash) and sha256_file(path) != output["sha256"]:
            raise Problem(f"{path} is not what was written (its hash differs)", remedy=remedy)
        if moved:
            output["mtime_ns"], touched = state.st_mtime_ns, True
    if touched:
        write_json(folder / MANIFEST, manifest)


def versions() -> Json:
    """Name the code and the libraries in use; they are recorded and never invalidate."""
    found: Json = {"lhama": lhama.__version__, "python": platform.python_version(), "platform": platform.platform()}
    commit = _commit(Path(lhama.__file__).parent.parent)
    if commit:
        found["commit"] = commit
    for library in LIBRARIES:
        if library in sys.modules:
            try:
                found[library] = metadata.version(library)
            except metadata.PackageNotFoundError:
                continue
    return found


def _commit(project: Path) -> str | None:
    """Read the commit of a git checkout without git."""
    head = project / ".git" / "HEAD"
    if not head.is_file():
        return None
    text = head.read_text(encoding="utf-8").strip()
    if not text.startswith("ref: "):
        return text
    reference = project / ".git" / text.removeprefix("ref: ")
    return reference.read_text(encoding="utf-8").strip() if reference.is_file() else None
