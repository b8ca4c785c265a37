"""What is decided about documents because of other documents, as sorted arrays of positions that the judge looks up.

`Decisions` is small beside the corpus (8 or 16 bytes for each document that is renamed or dropped) and travels to every
worker that writes shards.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from lhama.corpus.judging import readable
from lhama.corpus.staged import Integers, find

if TYPE_CHECKING:
    from lhama.corpus.boilerplate import Repeated

HELD_OUT = 1 << 62  # subtracted from the position of a held-out document, which puts it before all others
NOTHING = np.zeros(0, np.int64)


class Names(NamedTuple):
    """Documents whose name was taken: sorted positions, how many suffixes they get, and whether they are held out."""

    renamed: Integers
    suffixes: Integers
    heldout: Integers


class Later(NamedTuple):
    """Documents that one decision drops: sorted positions, and the order of the document that stays for each.

    An order below 0 is that of a held-out document; then `of_heldout` is the reason. Without `originals` no document
    stands for another.
    """

    reason: str
    of_heldout: str
    positions: Integers
    originals: Integers | None = None


@dataclass(frozen=True)
class Decisions:
    """What the judge needs beside the row itself."""

    names: Names
    later: tuple[Later, ...] = ()
    """In the order of judgement."""
    lines: Repeated | None = None
    """The lines that leave training documents because they repeat."""
    repeats: Integers = field(default_factory=lambda: NOTHING)
    """How many texts of each source came before, in whatever source."""
    groups: dict[int, int] | None = None
    """How many groups of near duplicates there are of each size."""
    leaving: Later | None = None
    """The held-out documents that are held out no longer, because they stand in longer training documents."""


def held_out(table: Any, names: Names) -> Any:
    """Tell the held-out rows, by the names they have in the end."""
    held = table["heldout"].to_numpy().copy()
    found, where = find(names.renamed, table["position"].to_numpy())
    held[found] = names.heldout[where[found]] != 0
    return held & readable(table)


def new_name(name: str, suffixes: int, place: str) -> str:
    """Make a repeated name unique."""
    return name + f"@{place}" * suffixes


def original_of(position: int, verdict: str, decisions: Decisions) -> int | None:
    """Say which document stays for one that was dropped with this verdict."""
    leaving = () if decisions.leaving is None else (decisions.leaving,)
    for later in (*decisions.later, *leaving):
        if later.originals is None or verdict not in (later.reason, later.of_heldout):
            continue
        found, where = find(later.positions, np.array([position], dtype=np.int64))
        if found[0]:
            first = int(later.originals[where[0]])
            return first if first >= 0 else first + HELD_OUT
    return None
