"""Hold the files of a source in little memory: a sequence whose items come into being when they are asked for.

In go names, sizes and kinds in corpus order, out comes a sequence of `SourceFile`s that takes the bytes of each name
and 21 more. A slice is such a list, too, and small, so that a unit of work can travel to another process without the
files of all others. Names are kept as the bytes of the file system, because not every name is Unicode.
"""

import hashlib
import os
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import overload

import numpy as np
import numpy.typing as npt

Integers = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class SourceFile:
    """One file (or the embedded generator, without a path) in its place in the corpus order.

    `root` is the folder in which the search began: nothing above it is looked at.
    """

    number: int
    label: str
    kind: str
    path: Path | None
    bytes: int
    root: Path | None = None


class FileList(Sequence[SourceFile]):
    """Files numbered from `first`."""

    def __init__(
        self,
        first: int,
        names: bytes,
        ends: Integers,
        sizes: Integers,
        roots: npt.NDArray[np.int32],
        kinds: npt.NDArray[np.int8],
        tables: tuple[tuple[str, ...], tuple[str, ...]],
        labels: dict[int, str],
    ) -> None:
        self.first = first
        self.sizes = sizes
        self._names, self._ends, self._roots, self._kinds = names, ends, roots, kinds
        self._root_names, self._kind_names = tables
        self._labels = labels

    def __len__(self) -> int:
        return len(self.sizes)

    @overload
    def __getitem__(self, place: int) -> SourceFile: ...
    @overload
    def __getitem__(self, place: slice) -> "FileList": ...
    def __getitem__(self, place: int | slice) -> "SourceFile | FileList":
        if isinstance(place, slice):
            begin, end, step = place.indices(len(self))
            if step != 1:
                raise ValueError("files keep their order")
            return self._slice(begin, max(begin, end))
        if not -len(self) <= place < len(self):
            raise IndexError(place)
        place %= len(self)
        begin = int(self._ends[place - 1]) if place else 0
        name = os.fsdecode(self._names[begin : int(self._ends[place])])
        root, kind = self._root_names[self._roots[place]], self._kind_names[self._kinds[place]]
        label = self._labels.get(place) or name.encode("utf-8", "backslashreplace").decode()
        if not root:
            return SourceFile(self.first + place, label, kind, None, 0)
        return SourceFile(self.first + place, label, kind, Path(root, name), int(self.sizes[place]), Path(root))

    def _slice(self, begin: int, end: int) -> "FileList":
        start = int(self._ends[begin - 1]) if begin else 0
        stop = int(self._ends[end - 1]) if end > begin else start
        return FileList(
            self.first + begin,
            self._names[start:stop],
            self._ends[begin:end] - start,
            self.sizes[begin:end].copy(),
            self._roots[begin:end].copy(),
            self._kinds[begin:end].copy(),
            (self._root_names, self._kind_names),
            {place - begin: label for place, label in self._labels.items() if begin <= place < end},
        )

    def __iter__(self) -> Iterator[SourceFile]:
        return (self[place] for place in range(len(self)))


class Gathering:
    """Take files one by one and make a `FileList` of them; a file that is there already is left out.

    Two paths are one file when they lead to the same place once links are followed; of 128-bit hashes of places, ten
    million have two alike with a chance of 1.5e-25.
    """

    def __init__(self) -> None:
        self._names = bytearray()
        self._ends, self._sizes = array("q"), array("q")
        self._roots, self._kinds = array("i"), array("b")
        self._tables: tuple[dict[str, int], dict[str, int]] = ({}, {})
        self._places, self._label_hashes = bytearray(), bytearray()

    def add(self, root: str, name: str, real: str, kind: str, size: int) -> None:
        """Take a file: `root/name` leads to it, `real` is where it lies; without a root it is no file at all."""
        self._names += os.fsencode(name)
        self._ends.append(len(self._names))
        self._sizes.append(size)
        self._roots.append(self._tables[0].setdefault(root, len(self._tables[0])))
        self._kinds.append(self._tables[1].setdefault(kind, len(self._tables[1])))
        self._places += _hash(os.fsencode(real))
        self._label_hashes += _hash(os.fsencode(name))

    def files(self, first: int) -> FileList:
        """Make the list; a name that stands for two files is kept by the first, the others get their whole path."""
        kept = _first_of_each(self._places)
        ends = np.array(self._ends, dtype=np.int64)
        begins = np.concatenate((np.zeros(1, dtype=np.int64), ends[:-1]))[: len(ends)]
        alone = np.zeros(len(kept), dtype=np.bool_)
        alone[_first_of_each(self._label_hashes, kept)] = True
        names = bytes(self._names)
        if len(kept) < len(ends):
            names = b"".join(names[begins[place] : ends[place]] for place in kept)
        everything = FileList(
            first,
            names,
            np.cumsum((ends - begins)[kept]),
            np.array(self._sizes, dtype=np.int64)[kept],
            np.array(self._roots, dtype=np.int32)[kept],
            np.array(self._kinds, dtype=np.int8)[kept],
            (tuple(self._tables[0]), tuple(self._tables[1])),
            {},
        )
        labels = {int(place): _whole(everything[int(place)]) for place in np.flatnonzero(~alone)}
        everything._labels.update(labels)
        return everything


def _hash(name: bytes) -> bytes:
    return hashlib.blake2b(name, digest_size=16).digest()


def _first_of_each(hashes: bytearray, chosen: Integers | None = None) -> Integers:
    """Return the places, in order, at which a hash of 16 bytes is seen for the first time."""
    keys = np.frombuffer(bytes(hashes), dtype=np.uint64).reshape(-1, 2)
    if chosen is not None:
        keys = keys[chosen]
    order = np.lexsort((keys[:, 1], keys[:, 0]))  # stable: of equal keys the first comes first
    first = np.ones(len(order), dtype=np.bool_)
    first[1:] = (keys[order[1:]] != keys[order[:-1]]).any(axis=1)
    found: Integers = np.sort(order[first]).astype(np.int64)
    return found


def _whole(file: SourceFile) -> str:
    path = file.path or Path(file.label)
    return path.as_posix().encode("utf-8", "backslashreplace").decode()
