"""Find the rows of test sets in documents and take those passages out: runs of 13 words, and short items whole.

In go items of test sets (tasks.py), out comes an index; in go documents, out come the documents without the passages
that stand in a test, and which items they were. Words are compared in their plain form (lower case, no accents, each
digit a 0) and punctuation and line breaks are left out, so a copy is found whatever was done to these.

- An item of `words` words and more counts by every run of so many (GPT-3, Brown et al. 2020, appendix C, has 13).
- A shorter one counts whole, as a sequence of words.
- One of fewer than SHORTEST words is common speech; it counts only where it is the whole document.
- A run counts only if at least half of its words have a letter: rows of numbers look alike.
- Answers of fewer than `words` words (`A construção das pirâmides.`) are common speech, too, and do not count.

A passage is taken out to the ends of the sentences or lines that it begins and ends in, no farther than MARGIN bytes
away. A document that loses more than half, or keeps fewer than LEAST_LEFT bytes, is `contaminated` as a whole.
"""

import json
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from lhama.corpus.kernels_decontaminate import fill, find_runs, widen
from lhama.corpus.spans import LEAST_LEFT, Spans, take_out
from lhama.corpus.tasks import Item
from lhama.corpus.words import Texts, counted, room, tables, texts_of
from lhama.record.files import writing

Integers = npt.NDArray[np.int64]

WORDS = 13
SHORTEST = 5
"""Words; 234 texts of 15 Portuguese tests have fewer, most of them exclamations and insults."""
MARGIN = 200  # bytes; GPT-3 took 200 characters on each side
SHOWN, MOST_SHOWN = 300, 20  # characters of a passage kept for the report, and passages of a document


@dataclass(frozen=True)
class Index:
    """The runs of all items in a table by hash, and what the items are called."""

    words: int
    keys: npt.NDArray[np.uint64]
    items: npt.NDArray[np.int32]
    bits: npt.NDArray[np.uint8]
    known: npt.NDArray[np.uint8]
    names: tuple[tuple[str, str], ...]
    """Task and row of each item."""
    indexed: int
    """How many items can be found; the others are empty, or short answers."""

    def save(self, path: Path) -> None:
        """Write one file that `load` opens."""
        names = np.frombuffer(json.dumps(self.names).encode(), np.uint8)
        with writing(path) as temporary, temporary.open("wb") as file:
            numbers = np.array([self.words, self.indexed])
            np.savez(
                file, numbers=numbers, keys=self.keys, items=self.items, bits=self.bits, known=self.known, names=names
            )

    @staticmethod
    def load(path: Path) -> "Index":
        """Open a saved index."""
        with np.load(path) as saved:
            words, indexed = saved["numbers"].tolist()
            names = tuple((task, row) for task, row in json.loads(saved["names"].tobytes()))
            return Index(words, saved["keys"], saved["items"], saved["bits"], saved["known"], names, indexed)


@cache
def opened(path: Path) -> Index:
    """Open a saved index once in a process."""
    return Index.load(path)


class Found(NamedTuple):
    """Passages that stand in a test: bytes from begin to end of a document, and the number of the item."""

    documents: Integers
    begins: Integers
    ends: Integers
    items: Integers


class Cleaned(NamedTuple):
    """Documents without what stands in a test, the bytes each has lost, and what was found, whole sentences now."""

    texts: Texts
    taken: Integers
    found: Found


def index_of(items: Sequence[Item], words: int = WORDS) -> Index:
    """Make the index of items; a run that several items share belongs to the first of them."""
    column = pa.array([unicodedata.normalize("NFC", item.text) for item in items], pa.large_string())
    texts = texts_of(column)
    runs = int(counted(texts).sum()) + 1
    keys = np.zeros(_power_of_two(2 * runs), np.uint64)
    numbers = np.zeros(len(keys), np.int32)
    bits = np.zeros(max(1 << 16, _power_of_two(2 * runs)), np.uint8)  # 16 bits a run: one place in twenty looks wrong
    known = np.zeros(words + 1, np.uint8)
    answers = np.array([item.answer for item in items], np.bool_)
    ours: Any = (words, min(SHORTEST, words), keys, numbers, bits, known)
    indexed = fill(*texts, answers, *tables(), *room(texts), *ours)
    names = tuple((item.task, item.row) for item in items)
    return Index(words, keys, numbers, bits, known, names, indexed)


def find(texts: Texts, index: Index) -> Found:
    """Return the passages of documents that stand in a test, to the byte, in their order."""
    prefix = min(SHORTEST, index.words)
    table: Any = (index.words, prefix, index.keys, index.items, index.bits, index.known)
    found = find_runs(*texts, *tables(), *room(texts), *table)
    return Found(*(np.ascontiguousarray(found[:, column]) for column in range(4)))


def without(texts: Texts, index: Index, margin: int = MARGIN) -> Cleaned:
    """Take the passages out, widened to whole sentences or lines within the margin."""
    found = find(texts, index)
    begins, ends = found.begins.copy(), found.ends.copy()
    widen(*texts, found.documents, begins, ends, margin)
    left, taken = take_out(texts, Spans(found.documents, begins, ends))
    return Cleaned(left, taken, Found(found.documents, begins, ends, found.items))


def contaminated(sizes: Integers, taken: Integers) -> npt.NDArray[np.bool_]:
    """Tell the documents of which too little is left, from the bytes they had and the bytes they have lost."""
    wrong: npt.NDArray[np.bool_] = (taken > 0) & ((2 * taken > sizes) | (sizes - taken < LEAST_LEFT))
    return wrong


def described(texts: Texts, cleaned: Cleaned, index: Index) -> list[str]:
    """Say for each document what was found in it: "" for nothing, else JSON, a list of {task, row, passage}.

    `texts` are the documents before the cleaning. An item that is found in several places is named once; after
    MOST_SHOWN items of a document passages are left out.
    """
    said: dict[int, dict[int, str]] = {}
    for document, begin, end, item in zip(*(column.tolist() for column in cleaned.found), strict=True):
        items = said.setdefault(document, {})
        if item not in items:
            start = int(texts.offsets[document])
            passage = texts.data[start + begin : start + min(end, begin + 4 * SHOWN)].tobytes().decode(errors="ignore")
            items[item] = passage[:SHOWN].strip() if len(items) < MOST_SHOWN else ""
    lines = [""] * (len(texts.offsets) - 1)
    for document, items in said.items():
        named = [
            {"task": index.names[item][0], "row": index.names[item][1], "passage": passage}
            for item, passage in items.items()
        ]
        lines[document] = json.dumps(named, ensure_ascii=False)
    return lines


def tallied(said: Iterable[str], examples: int = 5) -> dict[str, dict[str, Any]]:
    """Sum up by task what `described` says: in how many documents, which rows, and the first few passages."""
    tasks: dict[str, dict[str, Any]] = {}
    for line in said:
        if not line:
            continue
        seen = set()
        for one in json.loads(line):
            of = tasks.setdefault(one["task"], {"documents": 0, "rows": set(), "examples": []})
            of["documents"] += one["task"] not in seen
            of["rows"].add(one["row"])
            seen.add(one["task"])
            if one["passage"] and len(of["examples"]) < examples:
                of["examples"].append({"row": one["row"], "passage": one["passage"]})
    return {task: {**of, "rows": len(of["rows"])} for task, of in sorted(tasks.items())}


def _power_of_two(least: int) -> int:
    return 1 << (least - 1).bit_length()
