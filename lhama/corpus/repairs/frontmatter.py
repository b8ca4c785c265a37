"""Take out what a document says about itself: front matter at its beginning, and forms that nobody filled in.

In goes a column of strings, out comes the same without blocks of YAML between --- or of TOML between +++, without
three and more labels in a row that have nothing behind them (`Nome:`), and without the text of documents that are a
template's headings and nothing else. A title stays as the first line where the text does not begin with it anyway.
"""

import re
from itertools import pairwise
from typing import Any

import numba
import numpy as np
import pyarrow as pa

from lhama.corpus.repairs.strings import Mended, put
from lhama.corpus.words import texts_of

NAMES = ("front_matter", "skeleton_lines")
"""Blocks of front matter, and lines of forms and templates without content."""

FRONT, LABELS, SKELETON = 1, 2, 4
LONGEST_SKELETON = 600  # bytes
MOST_HEADINGS = 8
LEAST_LABELS = 3
STRETCH = 256  # bytes looked at in one go

_FIELD = r"""["']?[\w@$][\w .@/-]{0,60}["']?[ \t]*[:=](?=\s)"""
_LINE = rf"(?:{_FIELD}|[ \t#\[\]{{}}]|-(?=\s)|(?=\n))[^\n]*\n"  # a field, what goes on, a comment, a list, nothing
FRONT_MATTER = {
    "-": re.compile(rf"\s*---[ \t]*\n((?:{_LINE}){{1,500}}?)(?:---|\.\.\.)[ \t]*(?:\n|\Z)"),
    "+": re.compile(rf"\s*\+\+\+[ \t]*\n((?:{_LINE}){{1,500}}?)\+\+\+[ \t]*(?:\n|\Z)"),
}
FIELD = re.compile(rf"^{_FIELD}", re.MULTILINE)
TITLE = re.compile(r"""^["']?(?:title|título|titulo)["']?[ \t]*[:=][ \t]*(.+?)[ \t]*$""", re.MULTILINE | re.IGNORECASE)
BEGINNING = 3_000  # characters in which a title may already stand
LABEL = re.compile(
    r"(?:[-*>#]+[ \t]+)?(?:\*\*|__)?([^\W\d_](?:[^\W_]|[ /().-]){0,40})(?::(?:\*\*|__)?|(?:\*\*|__):)[ \t]*"
)
STOPS = re.compile(r"[.!?…:;,]")


def mend(column: Any) -> Mended:
    """Take front matter and empty forms out of every document."""
    texts = texts_of(column)
    found = np.zeros(len(column), np.uint8)
    _look(*texts, found)
    counts = np.zeros((len(NAMES), len(column)), np.int64)
    mended = []
    for place in np.flatnonzero(found).tolist():
        new, numbers = _mend(column[place].as_py(), int(found[place]))
        if any(numbers):
            mended.append(new)
            counts[:, place] = numbers
    places = np.flatnonzero(counts.sum(axis=0))
    column = put(column, places, pa.array(mended, pa.large_string()))
    return Mended(column, dict(zip(NAMES, counts, strict=True)))


def _mend(text: str, signs: int) -> tuple[str, tuple[int, int]]:
    """Return a document without what the signs stand for, and how much of each was there."""
    blocks = lines = 0
    if signs & FRONT and (body := _without_front(text)) is not None:
        text, blocks = body, 1
    if signs & LABELS:
        text, lines = _without_labels(text)
    if signs & SKELETON and (headings := _headings(text)):
        text, lines = "", lines + headings
    return text, (blocks, lines)


def _without_front(text: str) -> str | None:
    """Return what follows the front matter, or None if the document begins with something else."""
    found = FRONT_MATTER[text.lstrip()[0]].match(text)
    if found is None or not FIELD.search(found[1]):
        return None
    block, body = found[1], text[found.end() :]
    title = TITLE.search(block)
    name = title[1].strip("\"'") if title and title[1][0] not in ">|[{" else ""
    if name and name.casefold() not in body[:BEGINNING].casefold():
        return f"{name}\n\n{body.lstrip()}"
    return body


def _without_labels(text: str) -> tuple[str, int]:
    """Leave out three labels and more that follow each other; the last of them stays if anything follows it."""
    lines = text.split("\n")
    empty: list[int] = []
    gone: set[int] = set()
    fenced = False
    for number, line in enumerate(lines):
        if not line.strip():
            continue
        fenced ^= line.lstrip().startswith(("```", "~~~"))
        label = None if fenced else LABEL.fullmatch(line)
        if label and label[1][0].isupper():  # keys of programs begin with a small letter
            empty.append(number)
            continue
        if len(empty) > LEAST_LABELS:
            gone.update(empty[:-1])
        empty = []
    if len(empty) >= LEAST_LABELS:
        gone.update(empty)
    return "\n".join(line for number, line in enumerate(lines) if number not in gone), len(gone)


def _headings(text: str) -> int:
    """Count the lines of a document that is a template's headings with nothing beneath; 0 if it is not."""
    lines = [line.strip() for line in text.strip().split("\n")]
    headings = [line for line in lines if line]
    if not 2 <= len(headings) <= MOST_HEADINGS or "\n\n\n" not in re.sub(r"[ \t]+\n", "\n", text.strip()):
        return 0
    apart = all(not (before and after) for before, after in pairwise(lines))
    return len(headings) if apart and not any(STOPS.search(line) for line in headings) else 0


@numba.njit("int64(uint8[::1], int64, int64)", cache=True, nogil=True)
def _opens(data: Any, at: int, end: int) -> int:
    """Return FRONT if a document begins with --- or +++, or 0."""
    while at < end and data[at] in (0x09, 0x0A, 0x0D, 0x20):
        at += 1
    if at + 3 >= end or data[at] not in (0x2B, 0x2D):
        return 0
    return FRONT if data[at] == data[at + 1] and data[at] == data[at + 2] else 0


@numba.njit("boolean(uint8[::1], int64, int64)", cache=True, nogil=True)
def _has_colon(data: Any, begin: int, stop: int) -> bool:
    found = False
    for byte in data[begin:stop]:
        found |= byte == 0x3A
    return found


@numba.njit("int64(uint8[::1], int64, int64, int64)", cache=True, nogil=True)
def _labels_before(data: Any, begin: int, at: int, end: int) -> int:
    """Return 1 if the colon at a place ends a line, 2 if one ends the line before too; else 0."""
    after = at + 1
    while after < end and data[after] in (0x20, 0x2A, 0x5F, 0x09, 0x0D):
        after += 1
    if after < end and data[after] != 0x0A:
        return 0
    while at > begin and data[at - 1] != 0x0A:
        at -= 1
    while at > begin and data[at - 1] in (0x20, 0x2A, 0x5F, 0x09, 0x0D, 0x0A):
        at -= 1
    return 2 if at > begin and data[at - 1] == 0x3A else 1


@numba.njit("int64(uint8[::1], int64, int64)", cache=True, nogil=True)
def _is_bare(data: Any, begin: int, end: int) -> int:
    """Return SKELETON if a short document has two blank lines together, or 0."""
    feeds = 0
    if end - begin <= LONGEST_SKELETON:
        for at in range(begin, end):
            feeds = feeds + 1 if data[at] == 0x0A else feeds if data[at] in (0x20, 0x09, 0x0D) else 0
            if feeds == 3:
                return SKELETON
    return 0


@numba.njit("void(uint8[::1], int64[::1], uint8[::1])", cache=True, nogil=True)
def _look(data: Any, offsets: Any, found: Any) -> None:
    """Say for each document what there may be to take out."""
    for number in range(len(offsets) - 1):
        begin, end, run = offsets[number], offsets[number + 1], 0
        found[number] = _opens(data, begin, end) | _is_bare(data, begin, end)
        at = begin
        while at < end:
            stop = min(end, at + STRETCH)
            if _has_colon(data, at, stop):
                for place in range(at, stop):
                    labels = _labels_before(data, begin, place, end) if data[place] == 0x3A else 0
                    run = run + 1 if labels == 2 else labels if labels else run
                    if run >= LEAST_LABELS:
                        found[number] |= LABELS
            at = stop
