"""From a document's position back to its source, the file it stands in, and its line there.

A position is one number, file << 36 | line, and files are numbered through all sources, so a search among the sources'
first files finds everything; nothing is held for a file or a document.
"""

import numpy as np

from lhama.corpus.filelist import SourceFile
from lhama.corpus.sources import LINE_BITS, LINE_MASK, CorpusSource
from lhama.corpus.staged import Integers


class Places:
    """The sources of a corpus, by position."""

    def __init__(self, sources: tuple[CorpusSource, ...]) -> None:
        self.sources = sources
        sizes = [len(source.files) for source in sources]
        self._firsts = np.concatenate([np.zeros(1, np.int64), np.cumsum(sizes)[:-1]])
        self._last = (-1, "")  # the file that was named last: rows come in the order of files

    def source_numbers(self, positions: Integers) -> Integers:
        """Say which source each position belongs to."""
        numbers: Integers = np.searchsorted(self._firsts, positions >> LINE_BITS, side="right") - 1
        return numbers

    def source(self, position: int) -> CorpusSource:
        """Return the source of a position."""
        return self.sources[int(self.source_numbers(np.array([position]))[0])]

    def label(self, position: int) -> str:
        """Name the file of a position."""
        number = position >> LINE_BITS
        if self._last[0] != number:
            self._last = (number, self._file(position).label)
        return self._last[1]

    def line(self, position: int) -> int:
        """Say the line or row of a position."""
        return position & LINE_MASK

    def _file(self, position: int) -> SourceFile:
        source = self.source(position)
        return source.files[(position >> LINE_BITS) - int(self._firsts[source.number])]
