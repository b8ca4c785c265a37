"""A store without yesterday's words: torchrun keeps one for all its restarts, each attempt gets a corner of its own.

In: the store, and who asks. Out: the same store under a prefix that all processes of this attempt, and no others, use.
Restarted processes would otherwise find the addresses of dead ones (gloo) and answers to questions not yet asked. The
number of restarts that torchrun tells is of one machine and may differ between machines, so the processes agree here.
The subtle thing: nobody can tell an old word from a new one, except his own. Each process says hello with a word made
by chance; the first lists the hellos, beside a prefix made by chance, until all have found their own in the list and
said the prefix back.
"""

from __future__ import annotations

import json
import time
from uuid import uuid4

from torch.distributed.distributed_c10d import PrefixStore, Store

from lhama.plan.problem import Problem

LIST = "lhama/list"
GLANCE = 0.01  # seconds


def own_corner(store: Store, rank: int, size: int, patience: float) -> PrefixStore:
    """Agree with the other processes of this attempt on a corner of the store."""
    until = time.monotonic() + patience
    hello = uuid4().hex
    store.set(f"lhama/hello/{rank}", hello)
    prefix = _host(store, size, until) if rank == 0 else _guest(store, rank, hello, until)
    return PrefixStore(prefix, store)


def _host(store: Store, size: int, until: float) -> str:
    """Show the list until every guest has said the prefix back."""
    prefix, shown = uuid4().hex, [""]
    while True:
        hellos = [_word(store, f"lhama/hello/{rank}") for rank in range(size)]
        if hellos != shown and all(hellos):
            shown = hellos
            store.set(LIST, json.dumps([prefix, *hellos]))
        if all(_word(store, f"lhama/back/{rank}") == prefix for rank in range(1, size)):
            return prefix
        _wait(until)


def _guest(store: Store, rank: int, hello: str, until: float) -> str:
    """Wait for a list with one's own hello and say its prefix back."""
    while True:
        prefix, *hellos = json.loads(_word(store, LIST) or '[""]')
        if hellos[rank : rank + 1] == [hello]:
            store.set(f"lhama/back/{rank}", prefix)
            return str(prefix)
        _wait(until)


def _word(store: Store, key: str) -> str:
    return store.get(key).decode() if store.check([key]) else ""


def _wait(until: float) -> None:
    if time.monotonic() > until:
        raise Problem(
            "not all processes of this training have come",
            remedy="look at the messages of the others, and whether every machine was given the same number of them",
        )
    time.sleep(GLANCE)
