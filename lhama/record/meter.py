"""Rows of figures while a stage works: loss, validation, samples, and how the machine did.

In: figures by name. Out: JSON Lines in the stage's folder. `loss.jsonl`, `validation.jsonl` and `samples.jsonl` hold
only what is a function of the recipe (no times), so that a resumed run writes the same bytes; on resume they are cut
back to the checkpoint. `metrics.jsonl` holds what happened (time, speed, device) and is append-only: redone work is
marked lost by a later row and stays countable.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from io import FileIO
from pathlib import Path
from typing import Any

from lhama.record.files import writing

DETERMINISTIC = ("loss", "validation", "samples")

Row = dict[str, Any]


def now() -> str:
    """Say the present time in UTC, to the millisecond."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


class Meter:
    """Append rows to the four files of one folder; each row is visible to other processes at once."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self._files: dict[str, FileIO] = {}

    def loss(
        self, step: int, tokens: int, loss: float, learning_rate: float, gradient_norm: float | None, **more: Any
    ) -> None:
        """Record one training step; nothing in the row may depend on time or machine."""
        row = {"step": step, "tokens": tokens, "loss": loss, "learning_rate": learning_rate}
        self._append("loss", {**row, "gradient_norm": gradient_norm, **more})

    def validation(self, step: int, tokens: int, **values: Any) -> None:
        """Record one validation."""
        self._append("validation", {"step": step, "tokens": tokens, **values})

    def sample(self, step: int, tokens: int, prompt: str, text: str) -> None:
        """Record what the model wrote after a prompt."""
        self._append("samples", {"step": step, "tokens": tokens, "prompt": prompt, "text": text})

    def metrics(self, **values: Any) -> None:
        """Record how the work went; the time is added."""
        self._append("metrics", {"time": now(), **values})

    def cut_back(self, step: int) -> None:
        """Forget the deterministic rows after a step, and mark the metrics of those steps as lost.

        Doing it twice changes nothing, so a crash inside is mended by the next start.
        """
        self.close()
        lost = _live_steps_after(self.folder / "metrics.jsonl", step)
        if lost:
            self.metrics(lost={"after_step": step, "until_step": max(lost), "rows": len(lost)})
            self.close()
        for name in DETERMINISTIC:
            keep_until(self.folder / f"{name}.jsonl", step)

    def flush(self) -> None:
        """Force all rows to the disk; to be called before a checkpoint counts as saved."""
        for file in list(self._files.values()):  # a list, since a save in another thread flushes while rows come
            os.fsync(file.fileno())

    def close(self) -> None:
        """Flush and close the files; a later row opens them again."""
        try:
            self.flush()
        finally:
            for file in self._files.values():
                file.close()
            self._files.clear()

    def __enter__(self) -> Meter:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _append(self, name: str, row: Row) -> None:
        file = self._files.get(name)
        if file is None:
            path = self.folder / f"{name}.jsonl"
            cut_torn_line(path)
            # Unbuffered, so that a full disk leaves nothing behind that closing would try to write again.
            file = self._files[name] = path.open("ab", buffering=0)
        rest = memoryview(line(row))
        while rest:
            rest = rest[file.write(rest) :]


def line(row: Row) -> bytes:
    """Write a row as one JSON line; a figure that is not finite becomes null, which every JSON reader knows."""
    return (json.dumps(_finite(row), ensure_ascii=False, separators=(",", ":"), allow_nan=False) + "\n").encode()


def append_row(path: Path, row: Row) -> None:
    """Append one row to a file that is opened rarely, and force it to the disk."""
    cut_torn_line(path)
    with path.open("ab") as file:
        file.write(line(row))
        file.flush()
        os.fsync(file.fileno())


def read_rows(path: Path) -> list[Row]:
    """Read the rows of a JSON Lines file; an absent file is empty, a torn or damaged line is left out."""
    return [row for _, row in _lines(path)]


def without_lost(rows: Iterable[Row]) -> list[Row]:
    """Leave out the metrics of steps that were done anew later, and the rows that say so."""
    live: list[Row] = []
    for row in rows:
        lost = row.get("lost")
        after = lost.get("after_step") if isinstance(lost, dict) else None
        if isinstance(after, int):
            live = [known for known in live if (known.get("step") or 0) <= after]
        elif "lost" not in row:
            live.append(row)
    return live


def cut_torn_line(path: Path) -> None:
    """Remove what a killed writer left after the last line break, so that the next row starts on its own line."""
    if not path.exists():
        return
    with path.open("r+b") as file:
        end = file.seek(0, os.SEEK_END)
        position = end
        while position > 0:
            start = max(0, position - 4096)
            file.seek(start)
            found = file.read(position - start).rfind(b"\n")
            if found >= 0:
                position = start + found + 1
                break
            position = start
        if position < end:
            file.truncate(position)


def _lines(path: Path) -> Iterator[tuple[bytes, Row]]:
    try:
        file = path.open("rb")
    except FileNotFoundError:
        return
    with file:
        for raw in file:
            if not raw.endswith(b"\n"):
                return
            try:
                row = json.loads(raw)
            except ValueError:
                continue
            if isinstance(row, dict):
                yield raw, row


def keep_until(path: Path, step: int) -> None:
    """Rewrite a file with the rows up to a step, byte for byte, if there is any row to drop."""
    if not path.exists():
        return
    kept = [raw for raw, row in _lines(path) if row.get("step", 0) <= step]
    if sum(map(len, kept)) == path.stat().st_size:
        return
    with writing(path) as temporary:
        temporary.write_bytes(b"".join(kept))


def _live_steps_after(path: Path, step: int) -> list[int]:
    """List the steps of metrics rows after a step that no earlier `lost` row has marked."""
    steps = [row.get("step") for row in without_lost(read_rows(path))]
    return [known for known in steps if isinstance(known, int) and known > step]


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _finite(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(inner) for inner in value]
    return value
