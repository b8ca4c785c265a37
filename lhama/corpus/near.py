"""Group the documents that share a key of MinHash, and keep the first of each group.

In go records of a fixed size, the order of a document and its keys (minhash.py), by parts; out comes which documents
are dropped, each with the one that stays. Two documents with an equal key are linked, and
links are followed: what is linked in any number of steps is one group. The first by order stays, and order is source
priority, so the result is the same however the parts are cut or arranged.

Keys are decided slice by slice of the key space, so memory follows SLICE_KEYS and the number of dropped documents (16
bytes each), never the number of documents. The slices do not depend on each other: on a cluster each is a task, and
only its links, which are few, travel to `joined`; `engine.not_first` on (key, 0, order) finds the same links. Links are
not verified by comparing texts: what a signature of 112 hashes takes for near is near (docs/duplicates.md has the
measurement), and reading pairs of texts again would cost more than all the rest.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numba
import numpy as np
import numpy.typing as npt

from lhama.corpus.minhash import NO_KEY, Keys
from lhama.corpus.records import Columns, sliced, slices_for

Integers = npt.NDArray[np.int64]

SLICE_KEYS = 4 << 20  # keys decided at once: about 200 MB while they are sorted


class Links(NamedTuple):
    """Pairs of linked documents: the later one, and the first of all that share its key."""

    later: Integers
    first: Integers


class Clusters(NamedTuple):
    """Which documents are dropped, sorted by order, and for each the document that stays in its place."""

    dropped: Integers
    original: Integers

    def sizes(self) -> tuple[Integers, Integers]:
        """Return the documents that stay for others, sorted, and how large their groups are, themselves included."""
        originals, dropped = np.unique(self.original, return_counts=True)
        return originals, dropped.astype(np.int64) + 1

    def histogram(self) -> dict[int, int]:
        """Count the groups of each size."""
        sizes, groups = np.unique(self.sizes()[1], return_counts=True)
        return {int(size): int(count) for size, count in zip(sizes, groups, strict=True)}


def group(
    parts: Iterable[tuple[Integers, Keys]], documents: int, bands: int, scratch: Path, slice_keys: int = SLICE_KEYS
) -> Clusters:
    """Find all groups among about so many documents, given as (orders, keys of shape (documents, bands)) by parts."""
    clusters = none()
    slices = slices_for(documents * bands, slice_keys)
    with sliced(_flat(parts), (np.uint64, np.int64), slices, scratch) as pieces:
        for keys, orders in pieces:
            clusters = joined(clusters, links_between(orders, keys))
    return clusters


def none() -> Clusters:
    """Return the groups before any link is known."""
    return Clusters(np.zeros(0, np.int64), np.zeros(0, np.int64))


def links_between(orders: Integers, keys: Keys) -> Links:
    """Link each document that shares a key to the first one that has it."""
    by_key = np.argsort(keys)
    keys = keys[by_key]
    same = keys[1:] == keys[:-1]
    shared = np.zeros(len(keys), np.bool_)
    shared[1:] |= same
    shared[:-1] |= same
    keys, orders = keys[shared], orders[by_key[shared]]
    if not len(keys):
        return Links(np.zeros(0, np.int64), np.zeros(0, np.int64))
    begins = np.flatnonzero(np.append(True, keys[1:] != keys[:-1]))
    first = np.repeat(np.minimum.reduceat(orders, begins), np.diff(np.append(begins, len(keys))))
    later = orders != first
    return Links(orders[later], first[later])


def joined(clusters: Clusters, links: Links) -> Clusters:
    """Return the groups after more links have been followed."""
    if not len(links.later):
        return clusters
    later = np.concatenate([clusters.dropped, links.later])
    first = np.concatenate([clusters.original, links.first])
    documents = np.unique(np.concatenate([later, first]))
    roots = np.arange(len(documents))
    _follow(np.searchsorted(documents, later), np.searchsorted(documents, first), roots)
    dropped = roots != np.arange(len(documents))
    return Clusters(documents[dropped], documents[roots[dropped]])


def _flat(parts: Iterable[tuple[Integers, Keys]]) -> Iterator[Columns]:
    """Yield a key and an order for each band of each document that has keys."""
    for orders, keys in parts:
        rows, bands = np.nonzero(keys != NO_KEY)
        yield keys[rows, bands], orders[rows]


@numba.njit("void(int64[::1], int64[::1], int64[::1])", cache=True, nogil=True)
def _follow(later: Any, first: Any, roots: Any) -> None:
    """Unite linked documents, numbered by order, so that the root of each is the smallest of its group."""
    for number in range(len(later)):
        one, two = later[number], first[number]
        while roots[one] != one:
            roots[one] = roots[roots[one]]  # halve the path on the way (Tarjan and van Leeuwen 1984)
            one = roots[one]
        while roots[two] != two:
            roots[two] = roots[roots[two]]
            two = roots[two]
        roots[max(one, two)] = min(one, two)
    for number in range(len(roots)):
        roots[number] = roots[roots[number]]  # those before it are final already
