"""How a running training is asked to stop: the first signal is a wish, the second an order; the clock may wish, too.

In: SIGTERM, SIGINT (Ctrl-C), SIGUSR1 (Slurm, before a job's time is up), and the moment at which time runs out. Out:
`asked`, which the loop reads once a step; inside `interruptible` blocks, which only read the model (validation,
samples), the wish is granted at once by raising Interrupted. Subtle: after the first wish the system's own handlers are
back, so that a second signal ends the process without another line of ours. The clock's wish is an alarm of the system.
"""

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Any

from lhama.record import console

# Windows has neither SIGUSR1 nor alarms; there the clock is read between steps only.
WISHES = tuple(getattr(signal, name) for name in ("SIGTERM", "SIGINT", "SIGUSR1") if hasattr(signal, name))
ALARM = getattr(signal, "SIGALRM", None)
EXIT_CODE = 75  # EX_TEMPFAIL of sysexits.h: try again, for schedulers that requeue a job


class Interrupted(Exception):  # noqa: N818 - nothing failed
    """Leave a block that only reads the model, because somebody asked to stop."""


class Stopped(SystemExit):
    """End the process after a stop that was asked for; its exit code tells a scheduler to continue later."""

    def __init__(self, step: int) -> None:
        super().__init__(f"stopped after step {step}; the same command continues")
        console.warn(f"{str(self).capitalize()}.")
        self.code = EXIT_CODE


class StopSignals:
    """Listen while the block runs; only the main thread can, others never hear a signal."""

    def __init__(self, many: bool = False) -> None:
        """Listen; as one of many processes, to the first signal only: torchrun may pass the same one on again."""
        self.asked = ""
        """Who asked to stop; empty as long as nobody did."""
        self._many = many
        self._interruptible = False
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> "StopSignals":
        if threading.current_thread() is threading.main_thread():
            for wish in WISHES:
                self._before[wish] = signal.signal(wish, self._hear)
            if ALARM is not None:
                self._before[ALARM] = signal.signal(ALARM, self._hear)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._no_alarm()
        for wish, handler in self._before.items():
            signal.signal(wish, handler)

    def stop_at(self, moment: float | None, now: bool) -> None:
        """Wish to stop at a moment of time.monotonic(), set anew before each step, or at once."""
        if self.asked:
            return
        left = None if moment is None else moment - time.monotonic()
        if now:
            self.asked = "the step asked for"
        elif left is not None and left <= 0:
            self._wish("The time is up")
        elif left is not None and ALARM in self._before:
            signal.setitimer(signal.ITIMER_REAL, left)

    @contextmanager
    def interruptible(self) -> Iterator[None]:
        """Let a wish end this block at once; nothing in it may change the model or write a record."""
        self._interruptible = True
        try:
            if self.asked and not self._many:  # the others would go on and wait for this one
                raise Interrupted
            yield
        finally:
            self._interruptible = False

    def _hear(self, number: int, _: FrameType | None) -> None:
        if self._many and self.asked:
            return
        self._wish("The time is up" if number == ALARM else signal.Signals(number).name)
        if self._interruptible and not self._many:
            raise Interrupted

    def _wish(self, who: str) -> None:
        self.asked = who
        self._no_alarm()
        for wish in WISHES if self._before and not self._many else ():
            signal.signal(wish, signal.SIG_DFL)
        console.warn(f"{who}: saving a checkpoint, then stopping. A second signal stops at once, unsaved.")

    def _no_alarm(self) -> None:
        if ALARM in self._before:
            signal.setitimer(signal.ITIMER_REAL, 0)
