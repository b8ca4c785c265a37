"""Choose the text that a vocabulary is trained on, and cut it into items that SentencePiece will not skip.

In goes any number of documents, out comes a sample of bounded size: stretches of documents with the smallest hashes of
(seed, source, id, number). Which stretches these are depends on neither the order nor the number of workers, and
memory holds no more than the sample. Items end at line ends and otherwise before a space; only where a line has no
space within the limit is a word cut.
"""

import heapq
from collections.abc import Iterable, Iterator

from lhama.tokens.permutation import key_of
from lhama.tokens.sentencepiece_model import LONGEST_ITEM, NEWLINE, UNUSABLE

STRETCH = 65_536  # characters; a book of a million characters should not fill a sample that has room for 64 of them

_MARKS = (*UNUSABLE, "\r")


def choose(documents: Iterable[tuple[str, str, str]], budget: int, seed: int) -> list[str]:
    """Keep the stretches (of source, id, text) with the smallest hashes, as many as fit in a number of UTF-8 bytes."""
    heap: list[tuple[int, str]] = []  # largest hash first: who gives way when a smaller one comes
    held, limit = 0, 1 << 64
    for source, identifier, text in documents:
        for number, begin in enumerate(range(0, len(text), STRETCH)):
            priority = key_of("sample", seed, source, identifier, number)
            if priority >= limit:
                continue
            stretch = text[begin : begin + STRETCH]
            heapq.heappush(heap, (-priority, stretch))
            held += len(stretch.encode())
            while held > budget:
                priority, stretch = heapq.heappop(heap)
                held -= len(stretch.encode())
                limit = -priority
    return [stretch for _, stretch in sorted(heap, reverse=True)]


def items(texts: Iterable[str]) -> Iterator[str]:
    """Cut texts into lines, and long lines before spaces, to items of at most SentencePiece's limit in bytes."""
    for text in texts:
        marked = text
        for mark in _MARKS:  # replacing one after the other takes a hundredth of the time of a translation
            marked = marked.replace(mark, NEWLINE)
        for line in marked.split(NEWLINE):
            if len(line.encode()) <= LONGEST_ITEM:
                if line:
                    yield line
            else:
                yield from _cut(line)


def _cut(line: str) -> Iterator[str]:
    data = line.encode()
    begin = 0
    while len(data) - begin > LONGEST_ITEM:
        end = data.rfind(b" ", begin + 1, begin + LONGEST_ITEM + 1)
        if end < 0:
            end = begin + LONGEST_ITEM
            while data[end] & 0xC0 == 0x80:  # inside a character: UTF-8's continuation bytes are 10xxxxxx
                end -= 1
        yield data[begin:end].decode()
        begin = end
    yield data[begin:].decode()
