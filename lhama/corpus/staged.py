"""Look at the staged rows of all units again, in order, as often as a decision needs: columns of numbers, or the text.

In goes the folder of parts, out come Arrow tables of one row group (about 8 MB of text) at a time, in the order of
positions, so that memory holds neither the corpus nor all its ids. Row groups outside a span of positions are not read.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq

Integers = npt.NDArray[np.int64]


class Staged:
    """The parts of a corpus, read in order."""

    def __init__(self, folder: Path) -> None:
        self._paths = sorted(folder.glob("*.parquet"))
        self.rows = sum(pq.read_metadata(path).num_rows for path in self._paths)
        self.columns = frozenset(pq.read_schema(self._paths[0]).names if self._paths else ())

    def tables(self, columns: Sequence[str] | None = None, first: int = 0, last: int | None = None) -> Iterator[Any]:
        """Yield tables of some columns, at least those that hold positions from first to last."""
        for path in self._paths:
            with pq.ParquetFile(path) as file:
                for group in range(file.num_row_groups):
                    span = file.metadata.row_group(group).column(0).statistics
                    if span.max >= first and (last is None or span.min <= last):
                        yield file.read_row_group(group, columns=columns)

    def at(self, positions: Integers, columns: Sequence[str]) -> Iterator[Any]:
        """Yield tables of those rows (sorted positions) only; row groups without one of them are not read."""
        for path in self._paths:
            with pq.ParquetFile(path) as file:
                for group in range(file.num_row_groups):
                    span = file.metadata.row_group(group).column(0).statistics
                    begin, end = np.searchsorted(positions, [span.min, span.max + 1])
                    if begin < end:
                        table = file.read_row_group(group, columns=["position", *columns])
                        yield table.filter(np.isin(table["position"].to_numpy(), positions[begin:end]))


def find(positions: Integers, wanted: Integers) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.intp]]:
    """Say of each wanted number whether it is among sorted positions, and where."""
    if not len(positions):
        return np.zeros(len(wanted), dtype=np.bool_), np.zeros(len(wanted), dtype=np.intp)
    places = np.minimum(np.searchsorted(positions, wanted), len(positions) - 1)
    return positions[places] == wanted, places
