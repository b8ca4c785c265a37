"""Find rows with equal keys of 128 bits, slice by slice of the key space, so memory follows the slice.

Among 10 billion texts two different ones would meet with a chance of 1.5e-19 (n^2 / 2^129). Each slice is decided by
the engine (engine.py).
"""

from collections.abc import Callable, Iterator
from typing import Any

import pyarrow as pa

from lhama.corpus import engine
from lhama.corpus.staged import Integers

SLICE_ROWS = 16 << 20  # rows decided at once: 400 MB of keys


def key_table(high: Integers, low: Integers, order: Integers, chosen: Any) -> Any:
    """Make a table of the keys and orders of chosen rows."""
    return pa.table({"high": high[chosen], "low": low[chosen], "order": order[chosen]})


def later_of(keys: Callable[[int, int], Iterator[Any]], rows: int) -> Any:
    """Return order and first of the rows that are not the first of their key, sorted by order.

    `keys(part, parts)` yields the tables of those of about so many rows whose key falls into a slice.
    """
    parts = 1 + rows // SLICE_ROWS
    slices = [engine.not_first(pa.concat_tables(keys(part, parts))) for part in range(parts)]
    return pa.concat_tables(slices).sort_by("order")
