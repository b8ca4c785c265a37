"""Rows for trackers: what is new in a stage's JSON Lines files, as named figures by step, each sent once.

In: the folder a stage works in, and what was sent before. Out: (step, figures) in the order of steps. The rows of a
resumed run are cut back to its checkpoint and made again; as they are a function of the recipe they would be the same
ones, so a row whose step was sent is not sent twice. Only after a rollback do they differ: then trackers keep what they
were told first, and the record is right. Rows of steps that loss.jsonl does not have yet wait, because a tracker's
steps may only grow.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from lhama.record.energy import LEDGER
from lhama.record.spending import AMOUNTS

Figures = dict[str, float]
Json = dict[str, Any]

NAMES = {"loss": "train", "validation": "validation", "metrics": "machine"}
# In metrics.jsonl these are those of loss.jsonl once more; of a single source of text, bits per byte say enough.
REPEATED = {"time", "step", "loss", "learning_rate", "gradient_norm", "saves", "lost"}


class Tail:
    """New whole lines of a file that grows, and that may be written anew."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file, self._offset = 0, 0

    def rows(self) -> Iterator[Json]:
        """Yield the rows since the last call; from the beginning where the file was replaced."""
        try:
            with self._path.open("rb") as file:
                state = self._path.stat()
                if state.st_ino != self._file or state.st_size < self._offset:
                    self._file, self._offset = state.st_ino, 0
                file.seek(self._offset)
                for raw in file:
                    if not raw.endswith(b"\n"):
                        return
                    self._offset += len(raw)
                    try:
                        row = json.loads(raw)
                    except ValueError:
                        continue
                    if isinstance(row, dict):
                        yield row
        except FileNotFoundError:
            return


class Forward:
    """Read the files of a stage and give each new step's figures away, once."""

    def __init__(self, folder: Path, sent: dict[str, int]) -> None:
        self.sent = sent
        """The last step given away, by file."""
        self._tails = {name: Tail(folder / f"{name}.jsonl") for name in NAMES}
        self._ledger = Tail(folder / LEDGER)
        self._spent = dict.fromkeys(AMOUNTS, 0.0)
        self._waiting: list[tuple[int, str, Figures]] = []

    def poll(self, give: Callable[[int, Figures], None], last: bool = False) -> bool:
        """Give away what is new, oldest step first, and say whether there was any; at the `last` call all of it."""
        losses = [(row["step"], "loss", figures("loss", row)) for row in self._tails["loss"].rows() if _is_step(row)]
        newest = max([self.sent.get("loss", 0), *(step for step, _, _ in losses)])
        self._waiting += losses
        for name in ("validation", "metrics"):
            self._waiting += [
                (row["step"], name, figures(name, row)) for row in self._tails[name].rows() if _is_step(row)
            ]
        due = [one for one in self._waiting if last or one[0] <= newest]
        self._waiting = [one for one in self._waiting if not last and one[0] > newest]
        steps: dict[int, Figures] = {}
        for step, name, values in due:
            if step > self.sent.get(name, -1) and values:
                steps.setdefault(step, {}).update(values)
        self._add_energy(steps)
        for step in sorted(steps):
            give(step, steps[step])
        for step, name, _ in due:
            self.sent[name] = max(step, self.sent.get(name, -1))
        return bool(steps)

    def _add_energy(self, steps: dict[int, Figures]) -> None:
        """Let the newest step say what the stage has taken so far."""
        for row in self._ledger.rows():
            for figure in AMOUNTS:
                self._spent[figure] += row.get(figure) or 0.0
        if steps and self._spent["seconds"]:
            steps[max(steps)] |= {f"energy/{figure}": amount for figure, amount in self._spent.items()}


def figures(name: str, row: Json) -> Figures:
    """Name the figures of a row: `train/loss`, `validation/bits_per_byte`, `machine/device/watts`."""
    found = dict(
        _flat(NAMES[name], {key: value for key, value in row.items() if key not in REPEATED or name == "loss"})
    )
    found.pop(f"{NAMES[name]}/step", None)
    return {
        tag: value for tag, value in found.items() if "/by_source/" not in tag or tag.endswith("/bits_per_byte")
    } | ({"validation/loss": row["loss"]} if name == "validation" and isinstance(row.get("loss"), float) else {})


def _flat(start: str, value: Any) -> Iterator[tuple[str, float]]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _flat(f"{start}/{key}", inner)
    elif isinstance(value, list):
        for position, inner in enumerate(value):
            yield from _flat(f"{start}/{position}", inner)
    elif isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
        yield start, float(value)


def _is_step(row: Json) -> bool:
    return isinstance(row.get("step"), int)
