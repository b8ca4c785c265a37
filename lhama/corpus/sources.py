"""Find the files of each source and cut the work into units that can be lost and done again one by one.

In go the recipe's sources, out come `SourceFile`s in the order that rules everything later: source, then file by name,
then row. A document's position is one number, file << 40 | line, so first and later need no table. A unit is a run of
small files or one large one; its parts (units.py) are what a killed stage keeps.
"""

import glob
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from lhama.corpus import hub
from lhama.corpus.readers import Columns
from lhama.plan.problem import Problem
from lhama.plan.recipe import Recipe

LINE_BITS = 40
LINE_MASK = (1 << LINE_BITS) - 1
UNIT_BYTES = 32 << 20  # on disk; more small files than this make another unit
UNIT_FILES = 10_000
KINDS = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".parquet": "parquet",
    ".csv": "csv",
    ".tsv": "csv",
    ".txt": "txt",
    ".md": "txt",
}
PACKED = {".gz", ".zst"}


@dataclass(frozen=True)
class SourceFile:
    """One file (or the embedded generator, without a path) in its place in the corpus order."""

    number: int
    label: str
    kind: str
    path: Path | None
    bytes: int


@dataclass(frozen=True)
class CorpusSource:
    """A source of the recipe with all that its documents inherit, and its files."""

    number: int
    name: str
    language: str
    license: str
    columns: Columns
    documents: int | None
    origin: str
    files: tuple[SourceFile, ...]
    ignored: tuple[str, ...] = ()


@dataclass(frozen=True)
class Unit:
    """Work that one process does in one go; `index` runs over all sources."""

    index: int
    source: CorpusSource
    files: tuple[SourceFile, ...]


def position_of(file: SourceFile, line: int) -> int:
    """Make the number that orders all documents."""
    return (file.number << LINE_BITS) | line


def find_sources(recipe: Recipe, cache: Path) -> tuple[CorpusSource, ...]:
    """List every source with its files; one without any is a Problem."""
    found: list[CorpusSource] = []
    first = 0
    for number, source in enumerate(recipe.corpus.source):
        key = f"corpus.source.{source.name}.path"
        ignored: list[str] = []
        origin = "embedded" if source.kind == "tales" else "files"
        if source.kind == "tales":
            listed: list[tuple[Path | None, str]] = [(None, source.name)]
        elif source.kind == "hub":
            folder = hub.snapshot(source.paths[0], source.revision, f"corpus.source.{source.name}", cache)
            origin = f"hf://datasets/{source.paths[0].removeprefix('hf://datasets/')}@{source.revision}"
            listed = list(hub.data_files(folder, source.subset, key))
        else:
            paths = [recipe.resolve(path) for path in source.paths]
            listed = list(_find(paths, source.kind, key, ignored))
        if not listed:
            raise Problem("there is no file to read", key=key, remedy=f"known endings: {' '.join(KINDS)}, also packed")
        files = tuple(
            SourceFile(first + place, label, _kind(source.kind, path), path, path.stat().st_size if path else 0)
            for place, (path, label) in enumerate(listed)
        )
        first += len(files)
        columns = Columns(source.text_column, source.id_column, source.url_column)
        language = source.language or recipe.language
        found.append(
            CorpusSource(
                number,
                source.name,
                language,
                source.license,
                columns,
                source.documents,
                origin,
                files,
                tuple(ignored),
            )
        )
    return tuple(found)


def cut(sources: tuple[CorpusSource, ...]) -> Iterator[Unit]:
    """Cut the sources into units; a source of which only the first documents are wanted stays whole."""
    index = 0
    for source in sources:
        held: list[SourceFile] = []
        size = 0
        for file in source.files:
            full = size + file.bytes > UNIT_BYTES or len(held) >= UNIT_FILES
            if held and full and source.documents is None:
                yield Unit(index, source, tuple(held))
                index, held, size = index + 1, [], 0
            held.append(file)
            size += file.bytes
        yield Unit(index, source, tuple(held))
        index += 1


def known_kind(path: Path) -> str | None:
    """Tell a file's kind from its ending, a packed one's from the ending before."""
    endings = [ending.lower() for ending in path.suffixes]
    if endings and endings[-1] in PACKED:
        endings.pop()
    return KINDS.get(endings[-1]) if endings else None


def _kind(kind: str, path: Path | None) -> str:
    if path is None or kind not in ("auto", "hub"):
        return kind
    return known_kind(path) or kind


def _find(paths: list[Path], kind: str, key: str, ignored: list[str]) -> Iterator[tuple[Path, str]]:
    """Yield each file once with the name by which documents and reports call it."""
    seen: set[Path] = set()
    labels: set[str] = set()
    for path in paths:
        for file, label in _expand(path, key):
            real = file.resolve()
            wanted = kind in ("auto", known_kind(file)) or file == path
            if not wanted or (kind == "auto" and known_kind(file) is None):
                if file == path:
                    remedy = f"set the source's kind; known endings: {' '.join(KINDS)}, also with .gz or .zst"
                    raise Problem(f"{file.name} has an unknown ending", key=key, remedy=remedy)
                ignored.append(label)
            elif real not in seen:
                seen.add(real)
                unique = label if label not in labels else file.as_posix()
                labels.add(unique)
                yield file, unique


def _expand(path: Path, key: str) -> Iterator[tuple[Path, str]]:
    if path.is_file():
        yield path, path.name
    elif path.is_dir():
        yield from _walk(path, path)
    elif glob.has_magic(str(path)):
        plain = list(path.parts)
        magic = next(place for place, part in enumerate(plain) if glob.has_magic(part))
        base = Path(*plain[:magic])
        for match in sorted(base.glob(str(Path(*plain[magic:])))):
            if match.is_file():
                yield match, match.relative_to(base).as_posix()
            else:
                yield from _walk(match, base)
    else:
        raise Problem(f"{path} does not exist", key=key, remedy="paths are relative to the recipe's folder")


def _walk(folder: Path, base: Path) -> Iterator[tuple[Path, str]]:
    """Yield the files below a folder by name; linked folders are not entered, so a loop of links cannot trap us."""
    found = []
    for here, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        found += [Path(here) / name for name in names if not name.startswith(".")]
    by_label = sorted((path.relative_to(base).as_posix(), path) for path in found)
    yield from ((path, label) for label, path in by_label if path.is_file())
