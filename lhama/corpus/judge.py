"""Give each row its verdict: kept, held out, or the name of the first reason that holds.

In go a read table, what the recipe asks for and the decisions, out comes an array of verdicts. This is the one place
that knows the order of judgement: what cannot be read, what is empty, the held-out split, then the rules of cleaning,
for training only.
"""

from typing import Any

from lhama.corpus.decisions import Decisions, held_out
from lhama.corpus.judging import Judging, Verdicts, alone
from lhama.corpus.staged import Integers, find

HELDOUT = "heldout"


def judge(table: Any, decisions: Decisions, judging: Judging, numbers: Integers) -> Verdicts:
    """Return a verdict for each row of a table with the columns of `judging`; `numbers` says which source is whose."""
    verdicts = alone(table, judging, numbers)
    positions = table["position"].to_numpy()
    for later in decisions.later:  # each was taken among the documents that those before had left
        found, where = find(later.positions, positions)
        verdicts[found] = later.reason
        if later.originals is not None and found.any():
            of_heldout = found.copy()
            of_heldout[found] = later.originals[where[found]] < 0
            verdicts[of_heldout] = later.of_heldout
    verdicts[held_out(table, decisions.names)] = HELDOUT
    if decisions.leaving is not None:
        verdicts[find(decisions.leaving.positions, positions)[0]] = decisions.leaving.reason
    return verdicts
