"""Records of a fixed size: kept beside each document in a column, and cut by key into slices that fit into memory.

Decisions about many documents (near.py, contained.py, boilerplate.py) look at records of 8-byte numbers, the first of
which is a key, a hash. In go columns of numbers, out come binary values that travel with the rows of a table, and back.
Records with equal keys fall into the same slice. Slices go through files in a scratch folder, so all records are read
once and written once, however many there are; a single slice stays in memory.
"""

import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

Integers = npt.NDArray[np.int64]
Keys = npt.NDArray[np.uint64]
Columns = tuple[npt.NDArray[Any], ...]
WIDTH = 8  # bytes of a number
MOST_SLICES = 512  # files open at once; operating systems allow 1,024


def slices_for(records: int, slice_records: int) -> int:
    """Return how many slices keep each below so many records: a power of two."""
    slices = 1
    while records > slices * slice_records and slices < MOST_SLICES:
        slices *= 2
    return slices


@contextmanager
def sliced(parts: Iterable[Columns], kinds: Sequence[Any], slices: int, folder: Path) -> Iterator[Iterable[Columns]]:
    """Give the slices of all records, to be gone through as often as needed; `folder` is made and taken away.

    Each part is a tuple of columns, keys first; `kinds` are their types.
    """
    if slices == 1:
        none = tuple(np.zeros(0, kind) for kind in kinds)
        yield [tuple(np.concatenate(column) for column in zip(none, *parts, strict=True))]
        return
    shutil.rmtree(folder, ignore_errors=True)  # a killed run may have left one
    folder.mkdir(parents=True)
    try:
        paths = [folder / f"{number:03}" for number in range(slices)]
        _write_slices(parts, paths)
        yield _Slices(paths, kinds)
    finally:
        shutil.rmtree(folder)


class _Slices:
    """Read one slice after the other, as often as asked."""

    def __init__(self, paths: list[Path], kinds: Sequence[Any]) -> None:
        self._paths, self._kinds = paths, kinds

    def __iter__(self) -> Iterator[Columns]:
        for path in self._paths:
            rows = np.fromfile(path, "<u8").reshape(-1, len(self._kinds))
            yield tuple(np.ascontiguousarray(rows[:, at]).view(kind) for at, kind in enumerate(self._kinds))


def _write_slices(parts: Iterable[Columns], paths: list[Path]) -> None:
    with ExitStack() as open_files:
        files = [open_files.enter_context(path.open("wb")) for path in paths]
        for columns in parts:
            rows = np.stack([column.view("<u8") for column in columns], axis=1)
            slices = (columns[0] & np.uint64(len(paths) - 1)).astype(np.int64)
            rows = rows[np.argsort(slices, kind="stable")]
            ends = np.cumsum(np.bincount(slices, minlength=len(paths)))
            for file, begin, end in zip(files, [0, *ends[:-1].tolist()], ends.tolist(), strict=True):
                file.write(rows[begin:end].tobytes())


def packed(documents: Integers, total: int, columns: Sequence[npt.NDArray[Any]]) -> Any:
    """Return a column of `total` binary values; `documents` is sorted and says whose each record is."""
    rows = np.stack([column.view("<u8") for column in columns], axis=1)
    counts = np.bincount(documents, minlength=total).astype(np.int64)
    offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(counts * WIDTH * len(columns))])
    data = pa.py_buffer(np.ascontiguousarray(rows))
    return pa.LargeBinaryArray.from_buffers(pa.large_binary(), total, [None, pa.py_buffer(offsets), data])


def unpacked(column: Any, kinds: Sequence[Any]) -> tuple[Integers, tuple[npt.NDArray[Any], ...]]:
    """Return the document of each record, by its row in the column, and the columns that `packed` was given."""
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
    column = column.cast(pa.large_binary())
    _, offsets, data = column.buffers()
    places = np.frombuffer(offsets, np.int64)[column.offset : column.offset + len(column) + 1]
    begin, end = (int(places[0]), int(places[-1])) if len(column) else (0, 0)
    numbers = np.frombuffer(data, np.uint8)[begin:end].view("<u8") if end > begin else np.zeros(0, np.uint64)
    rows = numbers.reshape(-1, len(kinds))
    documents = np.repeat(np.arange(len(column)), np.diff(places) // (WIDTH * len(kinds)))
    return documents, tuple(np.ascontiguousarray(rows[:, at]).view(kind) for at, kind in enumerate(kinds))
