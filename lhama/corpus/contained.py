"""Find documents most of whose text stands in another one: truncated copies, chapters, held-out text in longer ones.

MinHash compares wholes: a copy cut to a third has a similarity of a third and is not found. Containment (Broder 1997)
asks how much of the one stands in the other. Of the runs of words of each document one in RATE is kept, those with the
smallest hashes of all that there can be: the same ones in every document, whatever its length (FracMinHash, Irber et
al. 2022). In go these records, by parts; out comes which documents leave, each with the one that is to blame.

- A training document is dropped when at least `share` of its kept runs stand in a document before it in the order of
  sources that is not dropped itself; one with fewer than LEAST of them (about 35 words) is left alone.
- Where a held-out document stands in training documents, the smaller loss is taken. Those of which it is half or more
  are dropped; if one of them is longer, or there are HOLDERS of them, the held-out document leaves instead, because it
  would measure what was learned by heart, and a book should not go for a paragraph.

Two passes over slices of the key space: the first counts for each document how many of its runs others have at all, the
second counts for the few that may be contained in which documents, and their pairs are cut into slices once more.
Memory follows the slice, and 24 bytes for each document.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numba
import numpy as np
import numpy.typing as npt

from lhama.corpus.minhash import keep_words
from lhama.corpus.near import Clusters
from lhama.corpus.records import Columns, sliced, slices_for
from lhama.corpus.words import MULTIPLIER, Texts, cut, looked_at, mixed, room, tables

Integers = npt.NDArray[np.int64]
Keys = npt.NDArray[np.uint64]

RATE = 8
"""One run in so many is kept: 8 bytes for about 55 bytes of text. With 16, a third of the copies of 50 to 100 words
had too few to be judged (docs/log.md)."""
LEAST, FEW = 4, 8
"""Samples. Of fewer than FEW all must be there: were it half of the text, 7 of 7 would say so once in 128 times."""
SHARE = 0.8
HOLDERS = 16
"""A run that more documents have is a phrase; only the first so many may hold another document."""
SLICE_RECORDS = 4 << 20  # records decided at once: about 300 MB while they are sorted


class Samples(NamedTuple):
    """Sampled runs of a batch of documents, each once in a document: hash and number of the document, sorted."""

    keys: Keys
    documents: Integers


Record = tuple[Keys, Integers]
"""Keys of sampled runs, each once in a document, and orders of the documents."""


def sampled(texts: Texts, words: int = 5, rate: int = RATE) -> Samples:
    """Return the sampled runs of words; of 16 MB and more the first 16 MB count."""
    keys, documents = _sample(*texts, *tables(), *room(texts), words, np.uint64((1 << 64) // rate - 1))
    return Samples(keys, documents)


class Contained(NamedTuple):
    """Which documents leave, sorted by order, each with the one that is to blame."""

    dropped: Clusters
    """Training documents that stand in the other one."""
    holding: Clusters
    """Training documents that are half or more the held-out one."""
    leaving: Clusters
    """Held-out documents that stand in the training one."""


def contained(
    parts: Iterable[Record], records: int, scratch: Path, share: float = SHARE, slice_records: int = SLICE_RECORDS
) -> Contained:
    """Find the contained documents among about so many records; those of negative order are held out."""
    seen = [np.zeros(0, np.int64)]

    def noted() -> Iterator[Record]:
        for keys, orders in parts:
            seen.append(np.unique(orders))
            yield keys, orders

    with sliced(noted(), (np.uint64, np.int64), slices_for(records, slice_records), scratch) as pieces:
        counts = counted(pieces, np.unique(np.concatenate(seen)))
        candidates = likely(counts, share)
        asked = int(counts.shared[np.searchsorted(counts.orders, candidates)].sum())
        found = (holders_among(keys, orders, candidates) for keys, orders in pieces)
        slices = slices_for(asked * HOLDERS, slice_records)  # by candidate, so that each slice has all runs of its own
        with sliced(found, (np.uint64, np.int64, np.int64), slices, scratch.with_name(f"{scratch.name}-pairs")) as of:
            pairs = [with_enough(keys, two, both, counts, share) for keys, two, both in of]
    return decided(pairs, counts)


class Counts(NamedTuple):
    """Documents by their sorted orders: how many of their kept runs others may hold, and how many there are."""

    orders: Integers
    shared: Integers
    of: Integers


class Groups(NamedTuple):
    """Records whose key another one has, sorted by key and order.

    For each where the records with its key begin, where those of training documents begin, and where they end.
    """

    orders: Integers
    begins: Integers
    training: Integers
    ends: Integers


def grouped(keys: Keys, orders: Integers) -> Groups:
    """Bring records with equal keys together."""
    by_key = np.argsort(keys)
    keys = keys[by_key]
    same = keys[1:] == keys[:-1]
    shared = np.append(False, same)[: len(keys)] | np.append(same, False)[: len(keys)]
    keys, orders = keys[shared], orders[by_key[shared]]
    by_both = np.lexsort((orders, keys))  # those are few, so the slower sort has little to do
    keys, orders = keys[by_both], orders[by_both]
    begins = np.flatnonzero(np.append(True, keys[1:] != keys[:-1])[: len(keys)])
    sizes = np.diff(np.append(begins, len(keys)))
    held = np.add.reduceat(orders < 0, begins, dtype=np.int64) if len(begins) else begins
    return Groups(orders, *(np.repeat(column, sizes) for column in (begins, begins + held, begins + sizes)))


def counted(pieces: Iterable[Columns], documents: Integers) -> Counts:
    """Count for these documents, sorted: runs of an earlier one; for held-out documents, of any training one."""
    shared, of = np.zeros(len(documents), np.int64), np.zeros(len(documents), np.int64)
    for keys, orders in pieces:
        found, begins, training, ends = grouped(keys, orders)
        held = np.where(found < 0, training < ends, begins < np.arange(len(found)))
        of += np.bincount(np.searchsorted(documents, orders), minlength=len(documents))
        shared += np.bincount(np.searchsorted(documents, found[held]), minlength=len(documents))
    return Counts(documents, shared, of)


def likely(counts: Counts, share: float = SHARE) -> Integers:
    """Return the orders of the documents that others may hold, from the counts of all slices."""
    return counts.orders[_enough(counts.shared, counts.of, share)]


def holders_among(keys: Keys, orders: Integers, candidates: Integers) -> Columns:
    """Return (candidate as a key, document that may hold it, how many runs of this slice both have)."""
    orders, begins, training, ends = grouped(keys, orders)
    asked = np.flatnonzero(np.isin(orders, candidates))
    first = np.where(orders[asked] < 0, training[asked], begins[asked])
    end = np.where(orders[asked] < 0, ends[asked], asked)
    found = [(orders[asked[:0]], orders[asked[:0]])]
    for rank in range(HOLDERS):
        more = first + rank < end
        found.append((orders[asked[more]], orders[first[more] + rank]))
    one, two = (np.concatenate(column) for column in zip(*found, strict=True))
    one, two, both = _counted(one, two, np.ones(len(one), np.int64))
    return one.view(np.uint64), two, both


def with_enough(keys: Keys, two: Integers, both: Integers, counts: Counts, share: float) -> tuple[Integers, ...]:
    """Return (candidate, document, runs that both have) of the pairs that have enough, from all slices of the runs."""
    one, two, both = _counted(keys.view(np.int64), two, both)
    enough = _enough(both, counts.of[np.searchsorted(counts.orders, one)], share)
    return one[enough], two[enough], both[enough]


def decided(pairs: Iterable[tuple[Integers, ...]], counts: Counts) -> Contained:
    """Decide about the candidates of which one document has enough runs: held-out text first, then the others."""
    one, two, both = _counted(*(np.concatenate(column) for column in zip(*pairs, strict=True)))
    half = 2 * both >= counts.of[np.searchsorted(counts.orders, two)]
    inside, copies = one < 0, set(one[two < 0].tolist())
    holding, leaving = _yielding(one[inside].tolist(), two[inside].tolist(), half[inside].tolist(), copies)
    dropped: dict[int, int] = {}
    best: dict[int, int] = {}
    rest = (column[~inside].tolist() for column in (one, two, both))
    for order, holder, count in zip(*rest, strict=True):  # in their order
        if order not in holding and holder not in holding and holder not in dropped and count > best.get(order, 0):
            dropped[order], best[order] = holder, count
    return Contained(_clusters(dropped), _clusters(holding), _clusters(leaving))


def _yielding(
    held: list[int], holders: list[int], half: list[bool], copies: set[int]
) -> tuple[dict[int, int], dict[int, int]]:
    """Choose which training documents go for held-out ones, and which held-out ones for training documents.

    `copies` are training documents that stand in held-out ones: they go in any case.
    """
    found: dict[int, list[tuple[int, bool]]] = {}
    for order, holder, mostly in zip(held, holders, half, strict=True):
        found.setdefault(order, []).append((holder, mostly))
    holding: dict[int, int] = {}
    leaving: dict[int, int] = {}
    for order, those in found.items():
        longer = [holder for holder, mostly in those if not mostly and holder not in copies]
        if longer or len(those) >= HOLDERS:  # of so many, more may be unknown
            leaving[order] = longer[0] if longer else those[0][0]
            continue
        for holder, _ in those:
            if holder not in copies:
                holding.setdefault(holder, order)
    return holding, leaving


def _clusters(found: dict[int, int]) -> Clusters:
    orders = sorted(found)
    return Clusters(np.array(orders, np.int64), np.array([found[order] for order in orders], np.int64))


def _enough(both: Integers, of: Integers, share: float) -> npt.NDArray[np.bool_]:
    """Say whether so many samples of so many are enough."""
    said: npt.NDArray[np.bool_] = (of >= LEAST) & np.where(of < FEW, both == of, both >= share * of)
    return said


def _counted(one: Integers, two: Integers, numbers: Integers) -> tuple[Integers, ...]:
    """Sum numbers by pair, and sort the pairs."""
    by_pair = np.lexsort((two, one))
    one, two, numbers = one[by_pair], two[by_pair], numbers[by_pair]
    begins = np.flatnonzero(np.append(True, (one[1:] != one[:-1]) | (two[1:] != two[:-1]))[: len(one)])
    return one[begins], two[begins], np.add.reduceat(numbers, begins) if len(begins) else numbers


@numba.njit(
    "Tuple((uint64[::1], int64[::1]))(uint8[::1], int64[::1], uint8[::1], int32[::1], int32[::1], int32[::1],"
    " int32[::1], uint8[::1], uint64[::1], uint64[::1], int64, uint64)",
    cache=True,
    nogil=True,
)
def _sample(
    data: Any,
    offsets: Any,
    kinds: Any,
    plain_form: Any,
    begins: Any,
    ends: Any,
    lengths: Any,
    word_kinds: Any,
    exact: Any,
    plain: Any,
    words: int,
    highest: Any,
) -> Any:
    keys, documents, found = np.empty(1024, np.uint64), np.empty(1024, np.int64), 0
    leaving = np.uint64(1)
    for _ in range(words):
        leaving *= MULTIPLIER
    for number in range(len(offsets) - 1):
        end = looked_at(data, offsets[number], offsets[number + 1])
        count = cut(data, offsets[number], end, kinds, plain_form, begins, ends, lengths, word_kinds, exact, plain)
        count = keep_words(count, word_kinds, plain)
        if found + count > len(keys):
            more_keys, more_documents = (
                np.empty(2 * (found + count), np.uint64),
                np.empty(2 * (found + count), np.int64),
            )
            more_keys[:found], more_documents[:found] = keys[:found], documents[:found]
            keys, documents = more_keys, more_documents
        first, value = found, np.uint64(0)
        for at in range(count):
            value = value * MULTIPLIER + plain[at]
            if at >= words:
                value -= leaving * plain[at - words]
            if at >= words - 1:
                hashed = mixed(value)
                if hashed <= highest:
                    keys[found] = hashed
                    found += 1
        keys[first:found] = np.sort(keys[first:found])
        kept = first
        for at in range(first, found):
            if at == first or keys[at] != keys[at - 1]:
                keys[kept], documents[kept] = keys[at], number
                kept += 1
        found = kept
    return keys[:found].copy(), documents[:found].copy()
