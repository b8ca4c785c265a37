"""Token streams on disk: long flat arrays of ids in `.npy` files, written piece by piece and read by place.

In go encoded documents, out come `stream-00000.npy`, `stream-00001.npy` ... which together are one logical stream.
uint16 holds ids up to 65,535, beyond that uint32. Subtle: a stream's length is known only at its end, so the header is
written twice; numpy pads the header of an array that may grow, which keeps its size the same.
"""

from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from lhama.plan.problem import Problem
from lhama.record import files

Ids = NDArray[np.unsignedinteger[Any]]
Span = tuple[str, int, int]  # ids of a source: its name, the first place, the place behind the last
Spans = Callable[[int], Iterable[Span]]

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


class Readable(Protocol):
    """What a loader needs of a stream: any stretch of its ids."""

    def read(self, start: int, stop: int) -> Ids: ...


class Streams(Protocol):
    """Where a loader's streams are: on this machine, or elsewhere (tokens/streaming.py)."""

    def open(self, source: str, place: Path, files: Sequence[Mapping[str, Any]], dtype: str) -> Readable:
        """Open the stream of a source, whose files have these names and numbers of tokens."""
        ...

    def turn(self, step: int, share: object, spans: Spans) -> AbstractContextManager[None]:
        """Have what a step reads within reach while the block runs; `spans` tells what any step reads of this share."""
        ...

    def close(self) -> None:
        """Let go of files and threads."""
        ...


@dataclass(frozen=True)
class Local:
    """Streams in files of this machine: mapped, or read whole into memory once."""

    in_memory: bool = False

    def open(self, source: str, place: Path, files: Sequence[Mapping[str, Any]], dtype: str) -> "Stream":
        """Open the stream of a source."""
        paths, lengths = [place / file["file"] for file in files], [file["tokens"] for file in files]
        return Stream(paths, lengths, dtype, self.in_memory)

    def turn(self, step: int, share: object, spans: Spans) -> AbstractContextManager[None]:
        """Nothing needs to be brought."""
        return nullcontext()

    def close(self) -> None:
        """Nothing is open but mapped files, which close by themselves."""


class Stream:
    """Read any stretch of a stream that may lie in several files; mapped, so that memory holds what is used, or whole.

    The files in memory are read when the stream is opened, so that too little memory shows before training begins.
    """

    def __init__(self, paths: Iterable[Path], lengths: Iterable[int], dtype: str, in_memory: bool = False) -> None:
        self.paths = list(paths)
        self.ends = list(accumulate(lengths, initial=0))
        self.dtype = np.dtype(dtype)
        whole = [_load(path, None) for path in self.paths] if in_memory else []
        self._open = whole.__getitem__ if in_memory else lru_cache(maxsize=FILES_OPEN)(self._map)

    def __len__(self) -> int:
        return self.ends[-1]

    def _map(self, number: int) -> Ids:
        return _load(self.paths[number], "r")

    def read(self, start: int, stop: int) -> Ids:
        """Return the ids at places start..stop-1."""
        first = bisect_right(self.ends, start) - 1
        parts = []
        while start < stop:
            begin, end = self.ends[first], self.ends[first + 1]
            parts.append(self._open(first)[start - begin : min(stop, end) - begin])
            start, first = min(stop, end), first + 1
        return parts[0] if len(parts) == 1 else np.concatenate([np.empty(0, self.dtype), *parts])


def _load(path: Path, mode: Literal["r"] | None) -> Ids:
    try:
        ids: Ids = np.load(path, mmap_mode=mode, allow_pickle=False)
    except FileNotFoundError:
        raise Problem(f"{path} is not on this machine", remedy="copy it here, or set train.stream") from None
    return ids
