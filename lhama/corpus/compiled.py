"""Where compiled kernels are kept: a folder for each state of their sources, so that no stale one is ever run.

Numba looks at the file of a kernel alone. One that calls a function of another file would keep the old one built in
when that file changes, and installers give files of every version the same date. So the folder's name is a hash of all
files with kernels; it lies in the user's cache (or in NUMBA_CACHE_DIR, when that is set), and old ones are removed.
"""

import hashlib
import os
import shutil
import sys
from pathlib import Path

from numba import config

ROOMS = ("corpus", "tokens")
KEPT = 3  # states: those of two checkouts, and one to go back to


def fingerprint() -> str:
    """Hash the sources of all kernels."""
    house = Path(__file__).parents[1]
    digest = hashlib.sha256()
    for path in sorted(path for room in ROOMS for path in (house / room).rglob("*.py")):
        source = path.read_bytes()
        if b"numba" in source:
            digest.update(path.relative_to(house).as_posix().encode() + b"\0" + source)
    return digest.hexdigest()[:16]


def keep_kernels() -> Path | None:
    """Tell numba where to keep what it compiles; without a place to write, its own default holds."""
    folder = _caches() / f"kernels-{fingerprint()}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        os.utime(folder)
    except OSError:
        return None
    vars(config)["CACHE_DIR"] = str(folder)
    others = sorted(folder.parent.glob("kernels-*"), key=lambda path: path.stat().st_mtime)
    for old in others[:-KEPT]:
        shutil.rmtree(old, ignore_errors=True)
    return folder


def _caches() -> Path:
    if asked := os.environ.get("NUMBA_CACHE_DIR"):
        return Path(asked)
    if sys.platform == "win32" and (local := os.environ.get("LOCALAPPDATA")):
        return Path(local) / "lhama"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "lhama"


KERNELS = keep_kernels()
