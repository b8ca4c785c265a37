"""Token streams on disk: long flat arrays of ids in `.npy` files, written piece by piece and read by place.

In go encoded documents, out come `stream-00000.npy`, `stream-00001.npy` ... which together are one logical stream.
uint16 holds ids up to 65,535, beyond that uint32. Subtle: a stream's length is known only at its end, so the header is
written twice; numpy pads the header of an array that may grow, which keeps its size the same.
"""

from collections.abc import Iterable, Sequence
from functools import lru_cache
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lhama.record import files

Ids = NDArray[np.unsignedinteger[Any]]

FILES_OPEN = 64  # mapped files kept per stream; systems allow tens of thousands of mappings in all


def dtype_for(vocabulary: int) -> str:
    """Return the smallest type that holds every id."""
    return "uint16" if vocabulary <= 1 << 16 else "uint32"


def save_array(path: Path, array: NDArray[Any]) -> None:
    """Write an array so that the name holds all of it or nothing."""
    with files.writing(path) as temporary, temporary.open("wb") as file:
        np.save(file, array, allow_pickle=False)


class StreamWriter:
    """Write one array to a file while it grows; the name appears when the block ends well."""

    def __init__(self, path: Path, dtype: str) -> None:
        self.path = path
        self.dtype = np.dtype(dtype)
        self.length = 0
        path.parent.mkdir(parents=True, exist_ok=True)
        self._writing = files.writing(path)
        self._file = self._writing.__enter__().open("wb")
        self._header()

    def _header(self) -> None:
        fields = {"descr": self.dtype.str, "fortran_order": False, "shape": (self.length,)}
        np.lib.format.write_array_header_1_0(self._file, fields)

    def append(self, values: NDArray[Any] | Sequence[int]) -> None:
        """Add values at the end."""
        array = np.asarray(values, dtype=self.dtype)
        self._file.write(array.tobytes())
        self.length += len(array)

    def __enter__(self) -> "StreamWriter":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self._file.seek(0)
            self._header()
        self._file.close()
        self._writing.__exit__(kind, error, trace)


class Stream:
    """Read any stretch of a stream that may lie in several files; nothing is in memory but what was asked for."""

    def __init__(self, paths: Iterable[Path], lengths: Iterable[int], dtype: str) -> None:
        self.paths = list(paths)
        self.ends = np.cumsum([0, *lengths], dtype=np.int64)
        self.dtype = np.dtype(dtype)
        self._open = lru_cache(maxsize=FILES_OPEN)(self._map)

    def __len__(self) -> int:
        return int(self.ends[-1])

    def _map(self, number: int) -> Ids:
        mapped: Ids = np.load(self.paths[number], mmap_mode="r", allow_pickle=False)
        return mapped

    def read(self, start: int, stop: int) -> Ids:
        """Return the ids at places start..stop-1."""
        first = int(np.searchsorted(self.ends, start, side="right")) - 1
        parts = []
        while start < stop:
            begin, end = int(self.ends[first]), int(self.ends[first + 1])
            parts.append(self._open(first)[start - begin : min(stop, end) - begin])
            start, first = min(stop, end), first + 1
        return parts[0] if len(parts) == 1 else np.concatenate([np.empty(0, self.dtype), *parts])
