"""Settle the names of documents, because they choose the held-out ones: the first of a name keeps it.

In go the staged rows, out comes which of them get another name: a later one becomes `name@file:line`, again if that is
taken, too. Names stand for themselves by 128 bits of SHA-256.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from lhama.corpus import heldout
from lhama.corpus.decisions import NOTHING, Names, new_name
from lhama.corpus.judging import readable
from lhama.corpus.keys import key_columns, later_of
from lhama.corpus.places import Places
from lhama.corpus.staged import Integers, Staged, find


def settle_names(staged: Staged, places: Places, scratch: Path) -> Names:
    """Find repeated names within a source and rename all but the first, until none repeats.

    `scratch` is a folder that may be made and is taken away.
    """
    renamed, suffixes, held = NOTHING, NOTHING, NOTHING
    keys = np.zeros((0, 2), np.int64)
    while True:
        at, now = renamed, keys

        def names(at: Integers = at, now: Integers = now) -> Iterator[Any]:
            for table in staged.tables(["position", "reason", "characters", "id_high", "id_low"]):
                position = table["position"].to_numpy()
                high, low = table["id_high"].to_numpy().copy(), table["id_low"].to_numpy().copy()
                found, where = find(at, position)
                high[found], low[found] = now[where[found], 0], now[where[found], 1]
                yield key_columns(high, low, position, readable(table))

        repeats = later_of(names(), staged.rows, scratch)["order"].to_numpy()
        if not len(repeats):
            return Names(renamed, suffixes, held)
        every = np.union1d(renamed, repeats)
        counts = np.isin(every, repeats).astype(np.int64)
        was, where = find(renamed, every)
        counts[was] += suffixes[where[was]]
        renamed, suffixes = every, counts
        keys, held = _digests(staged, places, renamed, suffixes)


def _digests(staged: Staged, places: Places, renamed: Integers, suffixes: Integers) -> tuple[Integers, Integers]:
    digests: list[bytes] = []
    for table in staged.at(renamed, ["id"]):
        for position, name in zip(table["position"].to_pylist(), table["id"].to_pylist(), strict=True):
            place = f"{places.label(position)}:{places.line(position)}"
            unique = new_name(name, int(suffixes[len(digests)]), place)
            digests.append(heldout.digest(places.source(position).name, unique))
    keys = np.frombuffer(b"".join(digest[:16] for digest in digests), dtype=">i8").reshape(-1, 2).astype(np.int64)
    return keys, np.array([heldout.is_held_out(digest) for digest in digests], dtype=np.int64)
