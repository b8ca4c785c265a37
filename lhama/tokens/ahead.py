"""What training will ask for, as far as it is worth knowing: the blocks of each coming step, and when each comes next.

In goes a function from a step to the numbers of its blocks (any step can be asked, as batch n is a function of
(seed, n)), out come the blocks of a step and, for any block, the next step that needs it. The uses are kept as sorted
numbers, block * 2^32 + step, eight bytes each, in a few long arrays, so millions of them cost little and are found by
bisection. Beyond the horizon a block counts as FAR; where the horizon is the end of the run, FAR is never.
"""

from collections import deque
from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

FAR = 1 << 62
CHUNK = 1 << 16  # uses in one sorted array
STEP_BITS = 32

Blocks = NDArray[np.int64]


class Ahead:
    """The uses of blocks from a step on; it must be asked for steps in their order."""

    def __init__(self, needs: Callable[[int], Blocks], begin: int, end: int) -> None:
        self._needs = needs
        self._end = end
        self._planned = begin
        self._uses = 0
        self._steps: deque[tuple[int, Blocks]] = deque()
        self._chunks: deque[tuple[int, NDArray[np.int64]]] = deque()
        self._loose: list[NDArray[np.int64]] = []
        self._loose_uses = 0

    @property
    def complete(self) -> bool:
        """Say whether all uses up to the end of the run are known."""
        return self._planned >= self._end

    @property
    def uses(self) -> int:
        """Return how many uses are known that have not passed."""
        return self._uses

    def forget_before(self, step: int) -> None:
        """Drop what has passed."""
        while self._steps and self._steps[0][0] < step:
            self._uses -= len(self._steps.popleft()[1])
        while self._chunks and self._chunks[0][0] < step:
            self._chunks.popleft()

    def look(self, uses: int) -> None:
        """Know at least so many coming uses, or all."""
        while self._uses < uses and not self.complete:
            self._one_more()

    def upcoming(self) -> Iterator[Blocks]:
        """Yield the blocks of the known steps, from the first on, each block once a step and in ascending order."""
        return (blocks for _, blocks in self._steps)

    def blocks(self, step: int) -> Blocks:
        """Return the blocks of the step that comes first."""
        while self._planned <= step:
            self._one_more()
        first, blocks = self._steps[0]
        assert first == step
        return blocks

    def next_use(self, blocks: Blocks, after: int) -> NDArray[np.int64]:
        """Return for each block the next step after `after` that needs it, or FAR."""
        found = np.full(len(blocks), FAR, dtype=np.int64)
        open_ = np.arange(len(blocks))
        wanted = (blocks << STEP_BITS) + after + 1
        for keys in [keys for _, keys in self._chunks] + ([self._sorted()] if self._loose else []):
            places = np.searchsorted(keys, wanted[open_])
            inside = keys[np.minimum(places, len(keys) - 1)]
            hit = (places < len(keys)) & (inside >> STEP_BITS == blocks[open_])
            found[open_[hit]] = inside[hit] & ((1 << STEP_BITS) - 1)
            open_ = open_[~hit]
            if not len(open_):
                break
        return found

    def _one_more(self) -> None:
        step = self._planned
        blocks = self._needs(step)
        self._steps.append((step, blocks))
        self._uses += len(blocks)
        self._planned += 1
        self._loose.append((blocks << STEP_BITS) + step)
        self._loose_uses += len(blocks)
        if self._loose_uses >= CHUNK:
            self._chunks.append((step, self._sorted()))
            self._loose, self._loose_uses = [], 0

    def _sorted(self) -> NDArray[np.int64]:
        """Bring the youngest uses into one sorted array."""
        if len(self._loose) > 1:
            self._loose = [np.sort(np.concatenate(self._loose))]
        return self._loose[0]
