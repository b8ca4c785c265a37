"""How a running training is asked to stop: the first SIGTERM or SIGINT is a wish, the second an order.

In: signals from the system. Out: `asked`, which the loop reads once a step; inside `interruptible` blocks, which only
read the model (validation, samples), the wish is granted at once by raising Interrupted. Subtle: after the first signal
the system's own handlers are back, so that a second one ends the process without another line of ours.
"""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Any

from lhama.record import console

WISHES = (signal.SIGTERM, signal.SIGINT)


class Interrupted(Exception):  # noqa: N818 - nothing failed
    """Leave a block that only reads the model, because somebody asked to stop."""


class StopSignals:
    """Listen while the block runs; only the main thread can, others never hear a wish."""

    def __init__(self) -> None:
        self.asked: signal.Signals | None = None
        self._interruptible = False
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> "StopSignals":
        if threading.current_thread() is threading.main_thread():
            for wish in WISHES:
                self._before[wish] = signal.signal(wish, self._hear)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for wish, handler in self._before.items():
            signal.signal(wish, handler)

    @contextmanager
    def interruptible(self) -> Iterator[None]:
        """Let a signal end this block at once; nothing in it may change the model or write a record."""
        self._interruptible = True
        try:
            if self.asked:
                raise Interrupted
            yield
        finally:
            self._interruptible = False

    def _hear(self, number: int, _: FrameType | None) -> None:
        self.asked = signal.Signals(number)
        for wish in WISHES:
            signal.signal(wish, signal.SIG_DFL)
        console.warn(f"{self.asked.name}: saving a checkpoint, then stopping. A second signal stops at once, unsaved.")
        if self._interruptible:
            raise Interrupted
