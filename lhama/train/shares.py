"""A checkpoint that several processes write: each its own span of every moment, in one folder with one manifest.

In: spans of flat tensors under `first.NAME@START`. Out: `trainer/optimizer-00002-of-00004.safetensors` and its like,
and, when reading, whole moments again, one tensor at a time, for any number of processes and any way to share.
The first process makes the folder, writes the weights (always whole, so that every checkpoint opens as a Hugging Face
folder), waits for the files of the others, lists them in the manifest with the hashes they tell, and renames.
The subtle thing: the processes talk through the store, never through collectives, so that all of this may happen in
threads beside the training.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from lhama.plan.problem import Problem
from lhama.record.files import sha256_file, sync_file

MOMENTS = "trainer/optimizer.safetensors"
PIECES = "trainer/optimizer-*-of-*.safetensors"


class Talk(Protocol):
    """What the writers need of a World."""

    def say(self, topic: str, value: Any) -> None:
        """Tell the others."""

    def hear(self, topic: str) -> Any:
        """Wait for what another says."""


@dataclass(frozen=True)
class Share:
    """Which part of a checkpoint this process writes: number `number` of `count`; the first writes the rest, too."""

    number: int
    count: int
    topic: str
    talk: Talk

    def file(self, number: int) -> str:
        """Name the file of a writer."""
        return f"trainer/optimizer-{number + 1:05d}-of-{self.count:05d}.safetensors"

    def begin(self) -> None:
        """Say that the folder is made, or wait until the first process has made it."""
        if self.number:
            self.talk.hear(f"{self.topic}/begun")
        else:
            self.talk.say(f"{self.topic}/begun", None)

    def write(self, part: Path, moments: Mapping[str, Tensor]) -> None:
        """Write this process's file into the folder."""
        path = part / self.file(self.number)
        save_file(dict(moments), path)
        sync_file(path)
        if self.number:
            self.talk.say(f"{self.topic}/{self.number}", described(path))

    def of_others(self) -> dict[str, dict[str, Any]]:
        """Wait until the others have written; return size and hash of each of their files."""
        return {self.file(number): self.talk.hear(f"{self.topic}/{number}") for number in range(1, self.count)}

    def finished(self) -> None:
        """Say, or wait until it is said, that the checkpoint has its name."""
        if self.number:
            self.talk.hear(f"{self.topic}/finished")
        else:
            self.talk.say(f"{self.topic}/finished", None)


def described(path: Path) -> dict[str, Any]:
    """Describe a file as a manifest does."""
    return {"bytes": path.stat().st_size, "sha256": sha256_file(path)}


def labelled(name: str, start: int) -> str:
    """Name the span of a flat tensor that begins at number `start`."""
    return f"{name}@{start}"


class Moments(Mapping[str, Tensor]):
    """The moments of a checkpoint, whole, read one by one when they are asked for."""

    def __init__(self, folder: Path, shapes: Mapping[str, torch.Size]) -> None:
        """Open the files of a checkpoint whose hashes were verified; `shapes` are those of the weights."""
        self._shapes = shapes
        self._open = ExitStack()
        self._places: dict[str, list[tuple[int, str, Any]]] = {}
        paths = sorted(folder.glob(PIECES)) or [folder / MOMENTS]
        for path in paths:
            file = self._open.enter_context(safe_open(path, framework="pt"))
            for label in file.keys():  # noqa: SIM118 - not a dict
                name, _, start = label.partition("@")
                self._places.setdefault(name, []).append((int(start or 0), label, file))
        _complete(paths)

    def __getitem__(self, name: str) -> Tensor:
        spans = [file.get_tensor(label).flatten() for _, label, file in sorted(self._places[name], key=_start)]
        whole = spans[0] if len(spans) == 1 else torch.cat(spans)
        return whole.view(self._shapes[name.partition(".")[2]])

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)


def _start(place: tuple[int, str, Any]) -> int:
    return place[0]


def _complete(paths: list[Path]) -> None:
    """Refuse a set of which a file is missing, although the manifest lists them all."""
    match = re.search(r"-of-(\d+)\.safetensors$", paths[0].name)
    if match and len(paths) != int(match[1]):
        raise Problem(f"{paths[0].parent} holds {len(paths)} of {int(match[1])} files of the optimizer")
