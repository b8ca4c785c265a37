"""Give each row its verdict: kept, held out, or the name of the first reason that holds.

In go a staged table and the decisions, out comes an array of verdicts. This is the one place that knows the order of
judgement: what cannot be read, what is empty, the held-out split, then the rules of cleaning, for training only.
"""

from typing import Any

import numpy as np

from lhama.corpus.dedup import HELD_OUT, Decisions, held_out, readable
from lhama.corpus.staged import find

KEPT, HELDOUT = "kept", "heldout"
NEEDED = ("position", "reason", "heldout", "characters")


def judge(table: Any, decisions: Decisions, minimum: int, drop_duplicates: bool) -> Any:
    """Return a verdict for each row of a table that has the NEEDED columns."""
    verdicts = table["reason"].to_numpy().astype(object)
    verdicts[verdicts == ""] = KEPT
    characters = table["characters"].to_numpy()
    held = held_out(table, decisions)
    training = readable(table) & ~held
    repeated, where = find(decisions.repeated, table["position"].to_numpy())
    repeated &= training
    copies = repeated.copy()
    copies[repeated] = decisions.original[where[repeated]] < 0
    # Written from the weakest to the strongest, so that the first reason in the order of judgement has the last word.
    if drop_duplicates:
        verdicts[repeated] = "exact_duplicate"
    verdicts[copies] = "copy_of_heldout"
    verdicts[training & (characters < minimum)] = "too_short"
    verdicts[held] = HELDOUT
    verdicts[(table["reason"].to_numpy() == "") & (characters == 0)] = "empty"
    return verdicts


def original_of(position: int, decisions: Decisions) -> int | None:
    """Say which earlier document a repeated one repeats."""
    found, where = find(decisions.repeated, np.array([position], dtype=np.int64))
    if not found[0]:
        return None
    first = int(decisions.original[where[0]])
    return first if first >= 0 else first + HELD_OUT
