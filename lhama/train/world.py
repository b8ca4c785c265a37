"""Several processes that train one model: torchrun's environment goes in, who I am and how we talk comes out.

Three ways to talk, each for what it is good at. Tensors on the devices go through torch's collectives, which have a
time limit. Wishes to stop and counts of targets are small numbers between the hosts (gloo, groups of their own), so no
device ever waits for them. What takes one process long while the others have nothing to do (hashing files, writing,
scoring) is said in the store, a table of words that torchrun keeps: waiting there has no limit, because whoever fails
says so in the store first, and torchrun ends the others of one that cannot say anything any more.
The subtle thing: one process alone is a World too. It starts no group, opens no port, and every method costs nothing.
"""

from __future__ import annotations

import json
import os
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed.distributed_c10d import PrefixStore, Store
from torch.distributed.rendezvous import rendezvous

from lhama.plan.problem import Problem
from lhama.record import console
from lhama.train.attempt import own_corner
from lhama.train.launch import STOP_FILE, is_worker

LOST, FIRST_LOST = "lost", "first lost"
MOMENT = 2.0  # seconds
GLANCE = 0.01  # seconds between two looks at the store; ten times as long once the wait is long


class World:
    """The processes of this training, seen from one of them."""

    def __init__(
        self,
        rank: int = 0,
        size: int = 1,
        local_rank: int = 0,
        local_size: int = 1,
        store: Store | None = None,
        hosts: tuple[dist.ProcessGroup, dist.ProcessGroup] | None = None,
    ) -> None:
        """Describe a process; `hosts` are two groups over gloo, for wishes and for counts."""
        self.rank, self.size = rank, size
        self.local_rank, self.local_size = local_rank, local_size
        self._store = store
        self._said: Counter[str] = Counter()
        stop_file = os.environ.get(STOP_FILE) if store is not None and rank == 0 else None
        self._stop_file = None if stop_file is None else Path(stop_file)
        self._stopping: tuple[dist.Work, Tensor] | None = None
        # Two groups, since the loop and the thread that reads batches must not answer each other.
        self._wishes = hosts[0] if hosts else None
        self._counts = hosts[1] if hosts else None

    @property
    def alone(self) -> bool:
        """Say whether this process is the only one."""
        return self.size == 1

    @property
    def first(self) -> bool:
        """Say whether this process writes the records."""
        return self.rank == 0

    @property
    def node(self) -> int:
        """Number this process's machine; torchrun numbers processes machine by machine."""
        return self.rank // self.local_size

    @property
    def nodes(self) -> int:
        """Count the machines."""
        return -(-self.size // self.local_size)

    def sum(self, numbers: Tensor) -> Tensor:
        """Add up a tensor over all processes, in place, on its device."""
        if not self.alone:
            dist.all_reduce(numbers)
        return numbers

    def begin_sum(self, numbers: Tensor) -> dist.Work:
        """Begin to add up a tensor over all processes, in place; nobody may touch it until the work was waited for."""
        work: dist.Work = dist.all_reduce(numbers, async_op=True)
        return work

    def count(self, number: int) -> int:
        """Add up a whole number over all processes; only for the thread that reads batches."""
        if self.alone:
            return number
        total = torch.tensor(number, dtype=torch.int64)
        dist.all_reduce(total, group=self._counts)
        return int(total)

    def agree(self, wish: bool) -> bool:
        """Say whether any process wished something one call ago; alone, whether this one does now.

        Asked once a step, the answer is the same everywhere and is on its way while the devices work.
        """
        if self.alone:
            return wish
        before = self._stopping
        wish = wish or (self._stop_file is not None and self._stop_file.exists())
        wishes = torch.tensor(int(wish), dtype=torch.int64)
        work = dist.all_reduce(wishes, dist.ReduceOp.MAX, group=self._wishes, async_op=True)
        self._stopping = (work, wishes)
        if before is None:
            return False
        before[0].wait()
        return bool(before[1])

    def say(self, topic: str, value: Any) -> None:
        """Put JSON into the store for the others, once per topic."""
        if self._store is not None:
            self._store.set(topic, json.dumps(value))

    def hear(self, topic: str) -> Any:
        """Wait for what a process says on a topic; a Problem where one failed instead."""
        assert self._store is not None
        begun = time.monotonic()
        while not self._store.check([topic]):
            if self._store.check([LOST]):
                raise Problem(
                    f"another process of this training failed: {self._store.get(LOST).decode()}",
                    remedy="its own message says why; the same command goes on from the last checkpoint",
                )
            time.sleep(GLANCE if time.monotonic() - begun < 10 * GLANCE else 10 * GLANCE)
        return json.loads(self._store.get(topic))

    def from_first(self, topic: str, make: Callable[[], Any]) -> Any:
        """Let the first process make something that is JSON, and give it to all."""
        if self.alone:
            return make()
        topic = self.numbered(topic)
        if not self.first:
            return self.hear(topic)
        value = make()
        self.say(topic, value)
        return value

    def collect(self, topic: str, value: Any) -> list[Any]:
        """Give everybody's JSON to all, in the order of the ranks."""
        if self.alone:
            return [value]
        topic = self.numbered(topic)
        self.say(f"{topic}/{self.rank}", value)
        if self.first:
            self.say(topic, [self.hear(f"{topic}/{rank}") for rank in range(self.size)])
        gathered: list[Any] = self.hear(topic)
        return gathered

    def meet(self, topic: str) -> None:
        """Wait until every process is here."""
        self.collect(topic, None)

    def fail(self, error: BaseException) -> None:
        """Tell those who wait in the store that this process will not come."""
        if self._store is not None:
            with suppress(Exception):  # the store itself may be what is lost
                if self.first:
                    self._store.set(FIRST_LOST, "")
                self._store.set(LOST, f"rank {self.rank}: {str(error) or type(error).__name__}"[:500])

    def first_fails(self) -> bool:
        """Say whether the first process fails as well, so that its words are enough; it may take a moment to come."""
        with suppress(Exception):
            until = time.monotonic() + MOMENT
            while self._store is not None and not self.first and time.monotonic() < until:
                if self._store.check([FIRST_LOST]):
                    return True
                time.sleep(GLANCE)
        return False

    def leave(self) -> None:
        """Part as friends; the process that keeps the store goes last."""
        if self.alone:
            return
        self.meet("end")
        self.say(f"gone/{self.rank}", None)
        if self.first:
            for rank in range(self.size):
                self.hear(f"gone/{rank}")
        dist.destroy_process_group()

    def numbered(self, topic: str) -> str:
        """Give a topic a name of its own each time; all processes must ask equally often."""
        self._said[topic] += 1
        return f"{topic}-{self._said[topic]}"


ALONE = World()


def take_own_gpu() -> None:
    """Let everything on a GPU happen on this process's own, before anything touches another one."""
    if is_worker() and torch.cuda.is_available():
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))


@contextmanager
def joined(kind: str, patience: float) -> Iterator[World]:
    """Join the other processes that torchrun started, if there are any; the first alone speaks to the user.

    `kind` is cuda or cpu; `patience` the seconds after which a collective counts as lost.
    """
    if not is_worker():
        yield World()
        return
    if kind == "mps":
        raise Problem(
            "several processes cannot share Apple's GPU, for torch has no collectives there",
            key="hardware.processes",
            remedy="train with one process, or with hardware.accelerator = 'cpu'",
        )
    limit = timedelta(seconds=patience)
    local_rank = int(os.environ.get("LOCAL_RANK", "0"))
    store, rank, size = next(rendezvous("env://", timeout=limit))
    backend = "cpu:gloo,cuda:nccl" if kind == "cuda" else "gloo"
    corner = own_corner(store, rank, size, patience)
    words = PrefixStore("lhama", corner)
    dist.init_process_group(backend, store=corner, rank=rank, world_size=size, timeout=limit)
    hosts = (dist.new_group(backend="gloo", timeout=limit), dist.new_group(backend="gloo", timeout=limit))
    world = World(rank, size, local_rank, int(os.environ.get("LOCAL_WORLD_SIZE", "1")), words, hosts)
    if not world.first:
        console.quiet(True)
    try:
        yield world
        world.leave()
    except BaseException as error:
        world.fail(error)
        if isinstance(error, Problem) and world.first_fails():
            raise SystemExit(2) from None
        explained = _explained(error)
        if explained is None:
            raise
        raise explained from error


def _explained(error: BaseException) -> Problem | None:
    """Say what a broken collective means."""
    if isinstance(error, dist.DistError) or (type(error) is RuntimeError and "gloo" in str(error)):
        reason = str(error).strip().splitlines()[0]
        return Problem(
            f"another process of this training is gone, or did not answer in time ({reason})",
            remedy="the message of the one that failed first says why; the same command goes on from the last "
            "checkpoint",
        )
    return None
