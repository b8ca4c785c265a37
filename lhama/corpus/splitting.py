"""Split documents of many years or many pages, where the recipe says, and lose no character.

In goes a text, out come its parts, whose concatenation is the text. A part begins at each match of a regular expression
(a heading, a year, a page mark); a part that is still too long ends at the last paragraph that fits, else at a line, a
sentence, a word. Parts of white space alone stay with their neighbour. The parts of document `id` are `id#1`, `id#2`.
"""

import itertools
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from lhama.corpus.readers import Row, as_json
from lhama.plan.problem import Problem

# What a part may end with, the better ends first; each is looked for in the second half of what fits.
_ENDS = (re.compile(r"\n\s*\n"), re.compile(r"\n"), re.compile(r"[.!?…][\"'”»)]*\s"), re.compile(r"\s"))


@dataclass(frozen=True)
class Splitting:
    """Where documents are split: at matches of `at` (^ and $ mean lines), and into parts of `characters` at most."""

    at: str | None = None
    characters: int | None = None

    def __post_init__(self) -> None:
        try:
            re.compile(self.at or "", re.MULTILINE)
        except re.error as error:
            raise Problem(f"{self.at!r} is no regular expression: {error}", remedy="try it in Python's re") from error
        if self.characters is not None and self.characters < 1:
            raise Problem("a part must have room for a character", remedy="set a larger limit, or none")


def split(text: str, splitting: Splitting) -> list[str]:
    """Return the parts of a text."""
    parts = [text]
    if splitting.at:
        starts = [match.start() for match in re.finditer(splitting.at, text, re.MULTILINE)]
        ends = sorted({0, len(text), *starts})
        parts = [text[begin:end] for begin, end in itertools.pairwise(ends)]
    if splitting.characters:
        parts = [piece for part in parts for piece in _cut(part, splitting.characters)]
    return _with_text(parts) or [text]


def split_rows(rows: Iterable[Row], splitting: Splitting, label: str, skip: int = 0) -> Iterator[Row]:
    """Split the rows of a file, all from its beginning; they are numbered anew, and the first `skip` left out.

    `label` names the file: a document without an id is called label:line, by the line it had in the file.
    """
    number = 0
    for row in rows:
        name = row.name if row.name is not None else f"{label}:{row.line}"
        if row.reason:
            number += 1
            if number > skip:
                yield row._replace(line=number, name=name, detail=f"line {row.line}: {row.detail}")
            continue
        parts = split(row.text, splitting)
        for place, text in enumerate(parts, 1):
            number += 1
            if number <= skip:
                continue
            if len(parts) == 1:
                yield row._replace(line=number, name=name)
            else:
                meta = as_json({**json.loads(row.meta), "part": place, "parts": len(parts)})
                yield row._replace(line=number, name=f"{name}#{place}", text=text, meta=meta)


def _cut(text: str, limit: int) -> Iterator[str]:
    """Cut a text into pieces of at most `limit` characters."""
    begin = 0
    while len(text) - begin > limit:
        end = _end(text, begin + (limit + 1) // 2, begin + limit)
        yield text[begin:end]
        begin = end
    yield text[begin:]


def _end(text: str, first: int, last: int) -> int:
    """Find the last good place for an end from `first` to `last`."""
    for end in _ENDS:
        places = [match.end() for match in end.finditer(text, max(0, first - 1), last) if match.end() >= first]
        if places:
            return places[-1]
    return last


def _with_text(parts: list[str]) -> list[str]:
    """Join parts without any text to the one before, or to the first that has some."""
    joined: list[str] = []
    for part in parts:
        if joined and (not part.strip() or not joined[-1].strip()):
            joined[-1] += part
        elif part:
            joined.append(part)
    return joined
