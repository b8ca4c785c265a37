"""Find rows with equal keys of 128 bits, slice by slice of the key space, so memory follows the slice.

Among 10 billion texts two different ones would meet with a chance of 1.5e-19 (n^2 / 2^129). Each slice is decided by
the engine (engine.py).
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from lhama.corpus import engine
from lhama.corpus.records import Columns, sliced, slices_for
from lhama.corpus.staged import Integers

SLICE_ROWS = 1 << 18  # rows decided at once: 6 MB of keys; the engine takes 70 MB for them, and keeps as much


def key_columns(high: Integers, low: Integers, order: Integers, chosen: Any) -> Columns:
    """Return the keys and orders of chosen rows as columns."""
    return high[chosen].view(np.uint64), low[chosen], order[chosen]


def later_of(parts: Iterable[Columns], rows: int, scratch: Path) -> Any:
    """Return order and first of the rows that are not the first of their key, sorted by order.

    `parts` are the columns (key_columns) of about so many rows; `scratch` is a folder that may be made and is taken
    away.
    """
    with sliced(parts, (np.uint64, np.int64, np.int64), slices_for(rows, SLICE_ROWS), scratch) as pieces:
        found = [engine.not_first(pa.table(columns, names=["high", "low", "order"])) for columns in pieces]
    return pa.concat_tables(found).sort_by("order")
