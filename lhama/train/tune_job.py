"""What a probe of `lhama tune` is told, and the words for what can end it; known to both sides, so without torch."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

from lhama.record.files import read_json, write_json

MEMORY, TIME = "out of memory", "out of time"
OUT_OF_MEMORY = (
    "out of memory",
    "can't allocate memory",
    "cannot allocate memory",
    "bad_alloc",
    "memoryerror",
    "can't start new thread",  # whose stack is memory, too
    "thread creation failed",
)
"""What Python, torch and C++ say when there is no more of it, in small letters."""


@dataclass(frozen=True)
class Job:
    """What a probe is to do."""

    recipe: str
    """The recipe's file, with the settings to try in it."""
    run: str
    """A folder with `tokens`, in which the probe may write."""
    answer: str
    """The file for what was found."""
    batch_tokens: int
    """Tokens of a step; fewer than the recipe's where a whole step would take too long."""
    compared: int
    """How many steps come before those that are timed."""
    least: int
    """How many steps are timed at the least."""
    seconds: float
    """After so many seconds of timed steps it is enough."""
    memory_bytes: int | None = None
    """The most memory the process may take; None sets no limit."""
    save: bool = False
    """Save in the background before the first timed step, for the memory that it takes."""

    def write(self, path: Path) -> None:
        """Write the job down for the process that will do it."""
        write_json(path, asdict(self))

    @classmethod
    def read(cls, path: Path) -> Job:
        """Read what `write` wrote."""
        return cls(**read_json(path))


def speaks_of_memory(text: str) -> bool:
    """Tell whether a message is about memory that could not be had."""
    return any(words in text.lower() for words in OUT_OF_MEMORY)
