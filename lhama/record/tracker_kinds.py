"""TensorBoard, Trackio and Weights & Biases, each behind the same two calls: figures of a step, and the end.

In: a run's name and folder. Out: their files below that folder, and nothing on the network: W&B works offline, and
Trackio on this machine, unless the environment says otherwise (WANDB_MODE=online, TRACKIO_SPACE_ID), with which their
own logins apply. Each continues the run of the same name. Only trackers.py's own process imports them.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol

Json = dict[str, Any]

PROJECT = "lhama"


class Kind(Protocol):
    """What forwarding needs of a tracker."""

    def give(self, step: int, figures: Mapping[str, float]) -> None:
        """Write down the figures of one step."""

    def flush(self) -> None:
        """Make lasting what was given."""

    def close(self) -> None:
        """End the run's record for now."""


class TensorBoard:
    """Event files in a folder of the run's name; `tensorboard --logdir` shows many runs side by side."""

    def __init__(self, folder: Path, name: str, settings: Json) -> None:
        writer = import_module("tensorboard.summary").Writer
        self._writer = writer(str(folder / name))

    def give(self, step: int, figures: Mapping[str, float]) -> None:
        """Write scalars."""
        for tag, value in figures.items():
            self._writer.add_scalar(tag, value, step)

    def flush(self) -> None:
        """Force the event file out."""
        self._writer.flush()

    def close(self) -> None:
        """Close the event file."""
        self._writer.close()


class Wandb:
    """A run of Weights & Biases; what was written offline goes up with `wandb sync`."""

    def __init__(self, folder: Path, name: str, settings: Json) -> None:
        os.environ.setdefault("WANDB_ERROR_REPORTING", "false")
        os.environ.setdefault("WANDB_MODE", "offline")
        wandb = import_module("wandb")
        chosen = wandb.Settings(console="off", silent=True, save_code=False, disable_git=True, x_disable_stats=True)
        self._run = wandb.init(
            project=PROJECT, name=name, id=name, resume="allow", dir=str(folder), config=settings, settings=chosen
        )

    def give(self, step: int, figures: Mapping[str, float]) -> None:
        """Log one step."""
        self._run.log(dict(figures), step=step)

    def flush(self) -> None:
        """Nothing: its own process writes at once."""

    def close(self) -> None:
        """Finish the run."""
        self._run.finish()


class Trackio:
    """A run of Trackio in its own database; `trackio show` shows it."""

    def __init__(self, folder: Path, name: str, settings: Json) -> None:
        os.environ.setdefault("TRACKIO_DIR", str(folder))
        trackio = import_module("trackio")
        self._run = trackio.init(
            project=PROJECT, name=name, config=settings, resume="allow", embed=False, auto_log_gpu=False,
            auto_log_cpu=False,
        )  # fmt: skip

    def give(self, step: int, figures: Mapping[str, float]) -> None:
        """Log one step."""
        self._run.log(dict(figures), step=step)

    def flush(self) -> None:
        """Nothing: its own thread writes every second."""

    def close(self) -> None:
        """Finish the run."""
        self._run.finish()


KINDS: Mapping[str, Callable[[Path, str, Json], Kind]] = {
    "tensorboard": TensorBoard,
    "trackio": Trackio,
    "wandb": Wandb,
}
