"""What the steps of repair share: an Arrow column in, the documents that were mended out, all others untouched.

A step is a function from a column of strings to `Mended`. Documents that it leaves alone keep their bytes; where it
leaves all of them alone, the column itself comes back.
"""

from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lhama.corpus.words import Bytes, Integers, texts_of


class Mended(NamedTuple):
    """A column of the same length, and how often each thing was done to each document."""

    column: Any
    counts: dict[str, Integers]


def strings(data: Bytes, offsets: Integers) -> Any:
    """View bytes and offsets as an Arrow column, without a copy."""
    return pa.LargeStringArray.from_buffers(len(offsets) - 1, pa.py_buffer(offsets), pa.py_buffer(data))


def take(column: Any, places: Integers) -> Any:
    """Copy the documents at these places, in ascending order, into a column of their own."""
    return column if len(places) == len(column) else column.take(pa.array(places))


def put(column: Any, places: Integers, mended: Any) -> Any:
    """Return the column with other documents at these places, which ascend; a null stays null."""
    if len(places) == 0:
        return column
    if column.null_count:
        mask = np.zeros(len(column), np.bool_)
        mask[places] = True
        return pc.replace_with_mask(column, pa.array(mask), mended)
    old, new = texts_of(column), texts_of(mended)
    lengths = np.diff(old.offsets)
    lengths[places] = np.diff(new.offsets)
    offsets = np.zeros(len(column) + 1, np.int64)
    np.cumsum(lengths, out=offsets[1:])
    pieces, at = [], 0
    for number, place in enumerate(places.tolist()):  # what lies between two of them is copied in one go
        pieces.append(old.data[at : old.offsets[place]])
        pieces.append(new.data[new.offsets[number] : new.offsets[number + 1]])
        at = old.offsets[place + 1]
    pieces.append(old.data[at:])
    return strings(np.concatenate(pieces), offsets)


def spread(counts: Integers, places: Integers, length: int) -> Integers:
    """Put the counts of some documents among those of all; the others have 0."""
    whole = np.zeros(length, np.int64)
    whole[places] = counts
    return whole
