"""Is there room on the disk for what a stage will write? Asked before it begins, not after hours of work.

In: the folder a stage works in, and the bytes it is expected to need. Out: nothing, or a Problem with both numbers.
What an earlier process of the same work has already written there is not asked for again.
"""

from __future__ import annotations

from pathlib import Path

from lhama.plan.problem import Problem
from lhama.record.files import free_bytes, size

SPARE = 4 << 20  # for records, and for a file system that is never quite full


def bytes_in(folder: Path) -> int:
    """Count the bytes of all files under a folder; a file that vanishes meanwhile counts as none."""
    total = 0
    for path in folder.rglob("*"):
        try:
            total += path.stat().st_size if path.is_file() else 0
        except OSError:
            continue
    return total


def require(folder: Path, stage: str, needed: int) -> None:
    """Refuse to begin a stage whose results have no room on the disk that is free now."""
    if not needed:
        return
    left, free = max(0, needed - bytes_in(folder)) + SPARE, free_bytes(folder)
    if left > free:
        fewer = " or keep fewer checkpoints (train.suite_every, train.keep)," if stage == "train" else ""
        raise Problem(
            f"no space for the {stage} stage: about {size(left)} more are needed in {folder.parent} and {size(free)} "
            "are free there",
            remedy=f"make room,{fewer} or put the runs on another disk with --runs",
        )
