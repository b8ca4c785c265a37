"""Documents of a finished corpus to look at: some that were dropped for a reason, or some that were kept.

In go the corpus folder and a reason, out come rows of its parquet files. Subtle: the choice is the same each time and
spread evenly over all documents of the reason, in corpus order, so that a large source or its first file does not
speak for all; only the row groups with a chosen document are read with their text.
"""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq

from lhama.plan.problem import Problem

KEPT = {"kept": "data/train-*.parquet", "heldout": "data/heldout-*.parquet"}
DROPPED = "rejected/rejected-*.parquet"
Places = list[tuple[Path, npt.NDArray[np.int64]]]


def show_documents(folder: Path, reason: str, source: str | None, count: int) -> dict[str, Any]:
    """Return up to `count` documents that were dropped for a reason, or that are `kept` or `heldout`."""
    if count < 1:
        raise Problem(f"--count {count} shows nothing", remedy="give a number from 1 on")
    files = sorted(folder.glob(KEPT.get(reason, DROPPED)))
    if not files:
        raise Problem(
            f"{folder} keeps no such documents", remedy="see corpus.keep_rejected, and report.json for counts"
        )
    places, present = _find(files, reason, source)
    total = sum(len(rows) for _, rows in places)
    if not total:
        _refuse(reason, source, present)
    chosen = np.unique(np.linspace(0, total - 1, min(count, total)).round().astype(np.int64))
    return {"reason": reason, "source": source, "documents": total, "shown": list(_read(places, chosen))}


def _find(files: list[Path], reason: str, source: str | None) -> tuple[Places, Counter[tuple[str, str]]]:
    """Find the rows, and count what is there by source and reason."""
    places: Places = []
    present: Counter[tuple[str, str]] = Counter()
    for path in files:
        with pq.ParquetFile(path) as file:
            columns = ["source"] if reason in KEPT else ["source", "reason"]
            table = file.read(columns=columns)
        sources = np.array(table["source"].to_pylist(), dtype=object)
        reasons = np.full(len(table), reason, dtype=object)
        if reason not in KEPT:
            reasons = np.array(table["reason"].to_pylist(), dtype=object)
        present.update(zip(sources.tolist(), reasons.tolist(), strict=True))
        wanted = reasons == reason
        if source is not None:
            wanted &= sources == source
        places.append((path, np.flatnonzero(wanted)))
    return places, present


def _refuse(reason: str, source: str | None, present: Counter[tuple[str, str]]) -> None:
    """Say what is there instead: the reasons of the source, or the sources of the reason."""
    if source is not None and not any(name == source for name, _ in present):
        among = Counter[str]()
        for (name, _), documents in present.items():
            among[name] += documents
        kind = reason if reason in KEPT else "dropped"
        raise Problem(f"there is no {kind} document of source {source!r}", remedy=f"sources: {_counts(among)}")
    among = Counter[str]()
    for (name, why), documents in present.items():
        among[why] += documents if source in (None, name) else 0
    of = f" of source {source!r}" if source is not None else ""
    remedy = f"reasons: {_counts(+among)}; kept and heldout show what was not dropped"
    raise Problem(f"no document{of} was dropped as {reason!r}", remedy=remedy)


def _counts(among: Counter[str]) -> str:
    ranked = sorted(among.items(), key=lambda one: (-one[1], one[0]))
    return ", ".join(f"{name} ({documents:,})" for name, documents in ranked) or "none"


def _read(places: Places, chosen: npt.NDArray[np.int64]) -> Iterator[dict[str, Any]]:
    """Read the chosen ones of all found rows, a row group at a time."""
    before = 0
    for path, rows in places:
        mine = rows[chosen[(chosen >= before) & (chosen < before + len(rows))] - before]
        before += len(rows)
        if not len(mine):
            continue
        with pq.ParquetFile(path) as file:
            first = 0
            for group in range(file.num_row_groups):
                end = first + file.metadata.row_group(group).num_rows
                inside = mine[(mine >= first) & (mine < end)]
                if len(inside):
                    yield from file.read_row_group(group).take(inside - first).to_pylist()
                first = end
