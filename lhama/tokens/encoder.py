"""Columns of text to ids, in threads: by a kernel where it is proven equal to the library, else by the library.

In go Arrow arrays of texts, out come for each the ids of all its documents with `<s>` and `</s>`, and their lengths.
No document becomes a Python object on the way. Before the kernel is used, the vocabulary itself must prove where text
may be cut (merges.py), and the kernel must give the library's ids for every piece and for pieces joined at random.
"""

import random
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeVar

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from lhama.record.files import read_json
from lhama.tokens.merges import Tables, Unproven, tables_of
from lhama.tokens.streams import Ids, dtype_for
from lhama.tokens.tokenizer_json import SPACE
from lhama.tokens.vocabulary import Vocabulary

CACHE_ENTRIES = 1 << 18  # of 64 bytes, for each thread: 16 MB hold the words of a language that are not rare
USUAL_BYTES = 6 << 20  # text for which a thread keeps its room; more is given back after use

Key = TypeVar("Key")


class Encoded(NamedTuple):
    """Documents one after the other, each `<s> ... </s>`, and the length of each."""

    ids: Ids
    lengths: NDArray[np.int64]


@dataclass(frozen=True)
class Encoder:
    """A way from texts to ids, and how many threads may go it at once."""

    encode: Callable[[Any], Encoded]
    dtype: str
    workers: int
    slow_because: str | None = None
    """Why the library does the work, where the kernel cannot."""

    def over(self, jobs: Iterable[tuple[Key, Any]]) -> Iterator[tuple[Key, Any, Encoded]]:
        """Encode (key, texts) in threads and yield (key, texts, encoded) in order, few at a time in memory."""
        waiting: deque[tuple[Key, Any, Future[Encoded]]] = deque()
        with ThreadPoolExecutor(self.workers) as pool:
            for key, texts in jobs:
                waiting.append((key, texts, pool.submit(self.encode, texts)))
                if len(waiting) > 2 * self.workers:
                    yield _finished(waiting.popleft())
            while waiting:
                yield _finished(waiting.popleft())


def _finished(job: tuple[Key, Any, Future[Encoded]]) -> tuple[Key, Any, Encoded]:
    key, texts, future = job
    return key, texts, future.result()


def open_encoder(vocabulary: Vocabulary) -> Encoder:
    """Choose the kernel where it is proven equal to the library; otherwise say why it is not."""
    dtype = dtype_for(vocabulary.size)
    try:
        tables = tables_of(vocabulary.folder)
        kernel = Kernel(tables, vocabulary.bos, vocabulary.eos, dtype)
    except Unproven as reason:
        return by_library(vocabulary, str(reason))
    except ImportError:
        return by_library(vocabulary, "numba is not installed")
    if not _agree(kernel, by_library(vocabulary).encode, vocabulary):
        return by_library(vocabulary, "the kernel gives other ids for some of its pieces")
    return Encoder(kernel, dtype, vocabulary.threads)


def by_library(vocabulary: Vocabulary, reason: str | None = None) -> Encoder:
    """Let the library encode, one column at a time in threads of its own."""
    dtype = dtype_for(vocabulary.size)
    bos, eos = np.array([vocabulary.bos]), np.array([vocabulary.eos])

    def encode(texts: Any) -> Encoded:
        arrays = vocabulary.encode_documents(texts.to_pylist())
        pieces = [piece for array in arrays for piece in (bos, array, eos)]
        ids = np.concatenate([np.empty(0, dtype=np.int64), *pieces]).astype(dtype)
        return Encoded(ids, np.array([len(array) + 2 for array in arrays], dtype=np.int64))

    return Encoder(encode, dtype, 1, reason)


class Kernel:
    """Encode columns by the kernel; each thread takes a room of its own, which keeps its cache from job to job."""

    def __init__(self, tables: Tables, bos: int, eos: int, dtype: str, entries: int = CACHE_ENTRIES) -> None:
        from lhama.tokens import kernels

        self._kernels = kernels
        self._tables = tuple(tables)
        self._marks = (bos, eos)
        self._dtype = dtype
        self._entries = entries
        self._idle: list[_Room] = []

    def __call__(self, texts: Any) -> Encoded:
        from lhama.corpus.words import texts_of

        texts.validate(full=True)  # the kernel relies on UTF-8 being whole
        data, offsets = texts_of(texts)
        lengths = np.empty(len(offsets) - 1, dtype=np.int64)
        try:
            room = self._idle.pop()
        except IndexError:
            room = _Room(self._kernels, self._entries)
        try:
            text, out = room.of(int(np.diff(offsets).max(initial=0)), len(data) + 3 * len(lengths))
            words = text.view(np.uint64)
            size = self._kernels.encode(
                data, offsets, *self._marks, self._tables, text, words, room.work, room.cache, room.misses, out, lengths
            )
            return Encoded(out[:size].astype(self._dtype), lengths)
        finally:
            self._idle.append(room)


class _Room:
    """What one thread works in."""

    def __init__(self, kernels: Any, entries: int) -> None:
        self._slack = kernels.SLACK
        self.work = kernels.work(kernels.SHORT)
        self.cache = _aligned(entries * kernels.ENTRY)
        self.misses = np.zeros(1, dtype=np.int64)
        self._usual = self._make(USUAL_BYTES, USUAL_BYTES)

    def _make(self, longest: int, ids: int) -> tuple[NDArray[np.uint8], NDArray[np.uint32]]:
        words = (longest + self._slack) // 8 + 1
        return np.empty(words, dtype=np.uint64).view(np.uint8), np.empty(ids + self._slack, dtype=np.uint32)

    def of(self, longest: int, ids: int) -> tuple[NDArray[np.uint8], NDArray[np.uint32]]:
        """Return room for a document of so many bytes, and for so many ids."""
        return self._usual if max(longest, ids) <= USUAL_BYTES else self._make(longest, ids)


def _aligned(words: int) -> NDArray[np.uint64]:
    """Make zeroed words that begin where a line of the processor's cache begins."""
    whole = np.zeros(words + 8, dtype=np.uint64)
    skip = -whole.ctypes.data % 64 // 8
    return whole[skip : skip + words]


HARD = (
    "",
    " ",
    "  a",
    "\n\n \n",
    "\r\n\t",
    "0123 4,5",
    "<s></s><unk><0x41>",
    "e\u0301\u00e3\U0001f999\x00\uffff",
    "▁ ▁a",
)


def _agree(kernel: Kernel, library: Callable[[Any], Encoded], vocabulary: Vocabulary) -> bool:
    """Compare the two over every piece, over pieces and their beginnings joined at random, and over odd text."""
    chance = random.Random(0)
    pieces = [piece.replace(SPACE, " ") for piece in read_json(vocabulary.folder / "tokenizer.json")["model"]["vocab"]]
    joined = [
        "".join(one[: chance.randrange(1, len(one) + 1)] for one in chance.choices(pieces, k=chance.randrange(2, 9)))
        for _ in range(2_000)
    ]
    texts = pa.array([*HARD, *pieces, *joined], pa.large_string())
    ours, theirs = kernel(texts), library(texts)
    return np.array_equal(ours.ids, theirs.ids) and np.array_equal(ours.lengths, theirs.lengths)
