"""Token streams that lie elsewhere: rows come from blocks that are fetched ahead, proven by hash, and kept if worth it.

In go the hashes of all blocks, the place where the files lie and a folder for at most so many blocks; out come the same
ids in the same order as from local files. Training asks in `turn`s, one a step, and what it will ask for is known:

    in hand     the blocks of this step that are not on disk; in memory until the rows are read
    on the way  those of the next steps that will be missing, up to AHEAD of them, asked for in the order of need
    on disk     after each step the blocks whose next use is nearest, of all that were on disk or in hand

The last line is Belady's rule (1966) with bypass: a block whose next use is far is not even written, and no other
choice fetches less often. Blocks fetched ahead wait in memory, not on disk, so fetching ahead never changes the choice.
"""

import heapq
import threading
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np

from lhama.plan.problem import Problem
from lhama.tokens.ahead import FAR, Ahead
from lhama.tokens.ahead import Blocks as Numbers
from lhama.tokens.blocks import Blocks
from lhama.tokens.places import KEY, Patient, Place
from lhama.tokens.slots import Slots
from lhama.tokens.streams import Ids, Span, Spans

AT_ONCE = 16  # requests under way
AHEAD = 1024  # blocks that may be in memory or on the way beyond those of a step: 64 MiB
RUN = 16  # neighbouring blocks that one request fetches at most: 1 MiB
SIGHT = 8  # how far the next uses are known, in uses for each block in the cache
MOST_SEEN = 1 << 20  # and at most so many uses, which take 20 MB and some seconds
HASH_TRIES = 3


class Fetcher:
    """Fetch blocks in threads and prove them; a block is asked for once and taken once."""

    def __init__(self, place: Place, blocks: Blocks) -> None:
        self.fetched = 0
        """How many blocks came, for the record."""
        self._stopped = threading.Event()
        self._place = Patient(place, self._stopped.wait)
        self._blocks = blocks
        self._pool = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="blocks")
        self._asked: dict[int, Future[dict[int, bytes]]] = {}
        self._counting = threading.Lock()

    def __len__(self) -> int:
        return len(self._asked)

    def ask(self, blocks: Iterable[int]) -> None:
        """Begin to fetch those that are not on the way; neighbours come with one request."""
        run: list[int] = []
        for block in blocks:
            if block in self._asked:
                continue
            if run and (block != run[-1] + 1 or len(run) == RUN or self._blocks.place(block)[1] == 0):
                self._submit(run)
                run = []
            run.append(block)
        if run:
            self._submit(run)

    def take(self, block: int) -> bytes:
        """Wait for a block that was asked for and hand it over."""
        return self._asked.pop(block).result()[block]

    def forget(self) -> None:
        """Drop what was asked for."""
        for future in self._asked.values():
            future.cancel()
        self._asked.clear()

    def close(self) -> None:
        """Stop, also those that wait for a better network."""
        self._stopped.set()
        self._pool.shutdown(cancel_futures=True)
        self._place.close()

    def _submit(self, run: list[int]) -> None:
        future = self._pool.submit(self._fetch, run)
        self._asked |= dict.fromkeys(run, future)

    def _fetch(self, run: list[int]) -> dict[int, bytes]:
        name, begin, _ = self._blocks.place(run[0])
        _, last, size = self._blocks.place(run[-1])
        data = self._read(name, begin, last + size - begin, len(run))
        step = self._blocks.block
        parts = {block: data[i * step : (i + 1) * step] for i, block in enumerate(run)}
        return {block: self._proven(block, part) for block, part in parts.items()}

    def _proven(self, block: int, data: bytes) -> bytes:
        """Return a block whose hash is right, fetched again where it is not."""
        name, begin, size = self._blocks.place(block)
        for _ in range(HASH_TRIES):
            if self._blocks.is_true(block, data):
                return data
            data = self._read(name, begin, size, 1)
        if self._blocks.is_true(block, data):
            return data
        raise Problem(
            f"bytes {begin} to {begin + size} of {name} at {self._place.address} are not what was written "
            f"(their hash differs, {HASH_TRIES + 1} times)",
            key=KEY,
            remedy="copy that file there anew",
        )

    def _read(self, name: str, begin: int, count: int, blocks: int) -> bytes:
        data = self._place.read(name, begin, count)
        with self._counting:
            self.fetched += blocks
        return data


class Streamed:
    """The streams of a tokens folder that lies elsewhere; `last` is the step at which training ends."""

    def __init__(self, place: Place, blocks: Blocks, cache: Path, capacity: int, owner: str, last: int) -> None:
        self._blocks = blocks
        self._numbers = {name: number for number, name in enumerate(blocks.names)}
        self._firsts: list[int] = blocks.firsts.tolist()
        self._sizes: list[int] = blocks.sizes.tolist()
        self._slots = Slots(cache, capacity, blocks, owner)
        self._fetcher = Fetcher(place, blocks)
        self._last = last
        self._lock = threading.RLock()
        self._hand: dict[int, bytes] = {}
        self._ahead: Ahead | None = None
        self._next_step: tuple[int, object] = (-1, None)
        self._streams: dict[str, StreamedIds] = {}
        self._next_use: dict[int, int] = {}
        self._heap: list[tuple[int, int]] = []

    @property
    def fetched(self) -> int:
        """Return how many blocks were fetched since the start."""
        return self._fetcher.fetched

    def open(self, source: str, place: Path, files: Sequence[Mapping[str, Any]], dtype: str) -> "StreamedIds":
        """Open the stream of a source."""
        numbers = [self._numbers[f"{place.name}/{file['file']}"] for file in files]
        self._streams[source] = StreamedIds(self, numbers, [file["tokens"] for file in files], dtype)
        return self._streams[source]

    @contextmanager
    def turn(self, step: int, share: object, spans: Spans) -> Iterator[None]:
        """Have what a step reads within reach while the block runs; `spans` tells what any step will read."""
        with self._lock:
            ahead = self._from(step, share, spans)
            blocks = ahead.blocks(step)
            missing = [block for block in blocks.tolist() if not self._slots.holds(block)]
            self._fetcher.ask(missing)
            self._ask_ahead(ahead)
            try:
                self._hand = {block: self._fetcher.take(block) for block in missing}
                yield
                self._keep(ahead, step, blocks)
            finally:
                self._hand = {}

    def read(self, file: int, begin: int, end: int) -> bytes:
        """Return bytes begin..end-1 of a file."""
        size, first = self._blocks.block, self._firsts[file]
        with self._lock:
            return b"".join(
                self._part(first + number, max(begin - number * size, 0), min(end - number * size, size))
                for number in range(begin // size, -(-end // size))
            )

    def header(self, file: int, ids: int) -> int:
        """Return how many bytes of a file stand before its ids, which take so many bytes."""
        return self._sizes[file] - ids

    def span(self, file: int, begin: int, end: int) -> range:
        """Return the blocks that hold bytes begin..end-1 of a file."""
        first, size = self._firsts[file], self._blocks.block
        return range(first + begin // size, first - (-end // size))

    def close(self) -> None:
        """Stop fetching; what is on disk stays."""
        self._fetcher.close()
        self._slots.close()

    def _part(self, block: int, begin: int, end: int) -> bytes:
        if block in self._hand:
            return self._hand[block][begin:end]
        if self._slots.holds(block):
            return self._slots.read(block, begin, end)
        self._fetcher.ask([block])  # outside a turn: somebody looks at a row
        return self._fetcher.take(block)[begin:end]

    def _from(self, step: int, share: object, spans: Spans) -> Ahead:
        """Return what is known of the future at a step; another step or share than expected begins anew."""
        if self._ahead is None or self._next_step != (step, share):
            self._fetcher.forget()
            self._ahead = Ahead(lambda other: self._needs(spans(other)), step, max(self._last, step + 1))
            self._next_use = dict.fromkeys(self._slots, FAR)
            self._heap = [(-FAR, block) for block in self._slots]
            heapq.heapify(self._heap)
        self._next_step = (step + 1, share)
        self._ahead.forget_before(step)
        return self._ahead

    def _ask_ahead(self, ahead: Ahead) -> None:
        """Ask for what the next steps will miss, in the order in which they come."""
        ahead.look(AHEAD)
        seen = 0
        for blocks in ahead.upcoming():
            if seen >= AHEAD or len(self._fetcher) >= AHEAD:
                return
            self._fetcher.ask(block for block in blocks.tolist() if not self._slots.holds(block))
            seen += len(blocks)

    def _keep(self, ahead: Ahead, step: int, blocks: Numbers) -> None:
        """Keep on disk those blocks, of all that are there or in hand, whose next use is nearest."""
        if self._slots.capacity < len(self._blocks):
            # As the cache fills up, so that the first steps do not wait until the far future is known.
            ahead.look(min(SIGHT * min(len(self._slots) + len(self._hand), self._slots.capacity), MOST_SEEN))
        uses = dict(zip(blocks.tolist(), ahead.next_use(blocks, step).tolist(), strict=True))
        for block in uses.keys() - self._hand.keys():
            self._note(block, uses[block])
        for use, block in sorted((uses[block], block) for block in self._hand):
            if use == FAR and ahead.complete:
                return
            if self._slots.full:
                if not self._heap:
                    return
                farthest, victim = self._farthest(ahead, step)
                if farthest <= use:
                    return
                heapq.heappop(self._heap)
                del self._next_use[victim]
                self._slots.drop(victim)
            self._slots.put(block, self._hand[block])
            self._note(block, use)

    def _needs(self, spans: Iterable[Span]) -> Numbers:
        """Return the blocks that hold these stretches of ids, each once and in ascending order."""
        blocks = (block for source, start, stop in spans for block in self._streams[source].blocks(start, stop))
        return np.unique(np.fromiter(blocks, dtype=np.int64))

    def _note(self, block: int, use: int) -> None:
        """Write down when a block on disk is used next; its older entry in the heap is out of date from then on."""
        self._next_use[block] = use
        heapq.heappush(self._heap, (-use, block))
        if len(self._heap) > 2 * len(self._next_use) + 1000:
            self._heap = [(-one, other) for other, one in self._next_use.items()]
            heapq.heapify(self._heap)

    def _farthest(self, ahead: Ahead, step: int) -> tuple[int, int]:
        """Return the block on disk whose next use is farthest, which then is on top of the heap."""
        while True:
            use, block = -self._heap[0][0], self._heap[0][1]
            if self._next_use.get(block) != use or block not in self._slots:
                heapq.heappop(self._heap)
            elif use == FAR and (known := int(ahead.next_use(np.array([block]), step)[0])) < FAR:
                heapq.heappop(self._heap)  # it was beyond the horizon when it was last looked at
                self._note(block, known)
            else:
                return use, block


class StreamedIds:
    """One source's stream of ids, read like one on disk."""

    def __init__(self, streamed: Streamed, numbers: list[int], lengths: Sequence[int], dtype: str) -> None:
        self.ends = list(accumulate(lengths, initial=0))
        self.dtype = np.dtype(dtype)
        self._streamed = streamed
        self._numbers = numbers

    def __len__(self) -> int:
        return self.ends[-1]

    def read(self, start: int, stop: int) -> Ids:
        """Return the ids at places start..stop-1."""
        parts = [self._streamed.read(file, begin, end) for file, begin, end in self._bytes(start, stop)]
        ids: Ids = np.frombuffer(b"".join(parts), dtype=self.dtype.newbyteorder("<"))
        return ids

    def blocks(self, start: int, stop: int) -> list[int]:
        """Return the numbers of the blocks that hold these ids."""
        return [block for span in self._bytes(start, stop) for block in self._streamed.span(*span)]

    def _bytes(self, start: int, stop: int) -> Iterator[tuple[int, int, int]]:
        """Yield the files, first and last bytes that hold these ids."""
        number, width = bisect_right(self.ends, start) - 1, self.dtype.itemsize
        while start < stop:
            begin, end = self.ends[number], self.ends[number + 1]
            file = self._numbers[number]
            header = self._streamed.header(file, (end - begin) * width)
            last = min(stop, end)
            if start < last:
                yield file, header + (start - begin) * width, header + (last - begin) * width
            start, number = last, number + 1
