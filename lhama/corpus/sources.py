"""Find the files of each source and cut the work into units that can be lost and done again one by one.

In go the recipe's sources, out come their files in the order that rules everything later: source, then file by name,
then row. A document's position is one number, file << 36 | line, so first and later need no table. A unit is a run of
small files or one large one; its parts (units.py) are what a killed stage keeps. Files are held as lists of names
(filelist.py), and a unit carries only its own, so that millions of small files cost their names and little more.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from lhama.corpus import hub, remote
from lhama.corpus.filelist import FileList, Gathering, SourceFile
from lhama.corpus.instruct import Instruct, templates_of
from lhama.corpus.languages_of_code import language_of_code
from lhama.corpus.listing import Found, expand
from lhama.corpus.readers import Columns, Row
from lhama.corpus.readers_code import Code
from lhama.corpus.readers_warc import Web
from lhama.corpus.reading import Reading
from lhama.corpus.splitting import Splitting
from lhama.plan.problem import Problem
from lhama.plan.recipe import Recipe, Source

LINE_BITS = 36  # 69 billion lines in a file, and 67 million files before dedup.py's bit 62
LINE_MASK = (1 << LINE_BITS) - 1
MOST_FILES = 1 << (62 - LINE_BITS)
UNIT_BYTES = 32 << 20  # on disk; more small files than this make another unit
UNIT_FILES = 10_000
IGNORED_LISTED = 1000
KINDS = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".parquet": "parquet",
    ".csv": "csv",
    ".tsv": "csv",
    ".txt": "txt",
    ".md": "txt",
    ".warc": "warc",
    ".wet": "warc",
}
ONLY_OF = {"wikipedia": {".xml": "wikipedia"}, "instruct": {".json": "json"}}
"""Endings that mean something only where the recipe names the source's kind."""
SHAPED = {"instruct": ("jsonl", "parquet", "csv", "json")}
PACKED = {".gz", ".zst", ".bz2"}


@dataclass(frozen=True)
class CorpusSource:
    """A source of the recipe with all that its documents inherit, and its files."""

    number: int
    name: str
    language: str
    license: str
    columns: Columns
    documents: int | None
    """How many documents to take, or with `text_bytes` how many bytes of text; None takes all."""
    text_bytes: int | None
    origin: str
    files: Sequence[SourceFile]
    ignored: tuple[str, ...] = ()
    """The first of the files that are not read; `ignored_total` counts all."""
    ignored_total: int = 0
    reading: Reading = field(default_factory=Reading)

    @property
    def cap(self) -> int | None:
        """Return how much to take, in what `counted` counts."""
        return self.documents if self.text_bytes is None else self.text_bytes

    def counted(self, row: Row) -> int:
        """Say how much a row counts towards the cap: a document or its bytes, and what could not be read nothing."""
        if row.reason:
            return 0
        return 1 if self.text_bytes is None else len(row.text.encode())


@dataclass(frozen=True)
class Unit:
    """Work that one process does in one go; `index` runs over all sources, and `source` comes without its files."""

    index: int
    source: CorpusSource
    files: Sequence[SourceFile]


def position_of(file: SourceFile, line: int) -> int:
    """Make the number that orders all documents."""
    if line > LINE_MASK:
        raise Problem(f"{file.label} has more than {LINE_MASK} lines", remedy="cut it into several files")
    return (file.number << LINE_BITS) | line


def find_sources(recipe: Recipe, cache: Path) -> tuple[CorpusSource, ...]:
    """List every source with its files; one without any is a Problem."""
    found: list[CorpusSource] = []
    first = 0
    for number, source in enumerate(recipe.corpus.source):
        key = f"corpus.source.{source.name}.path"
        gathering, ignored = Gathering(), _Ignored()
        origin = _take(recipe, source, cache, gathering, ignored)
        files = gathering.files(first)
        if not files:
            raise Problem("there is no file to read", key=key, remedy=f"known endings: {_endings(source.kind)}")
        first += len(files)
        if first > MOST_FILES:
            raise Problem(f"more than {MOST_FILES} files", key=key, remedy="join small files into jsonl")
        found.append(
            CorpusSource(
                number=number,
                name=source.name,
                language=source.language or recipe.language,
                license=source.license,
                columns=Columns(source.text_column, source.id_column, source.url_column),
                documents=source.documents,
                text_bytes=None if source.megabytes is None else round(source.megabytes * 1e6),
                origin=origin,
                files=files,
                ignored=tuple(ignored.first),
                ignored_total=ignored.total,
                reading=_reading(recipe, source),
            )
        )
    return tuple(found)


def _take(recipe: Recipe, source: Source, cache: Path, gathering: Gathering, ignored: "_Ignored") -> str:
    """Take all files of a source, fetched if they must be; return where they come from."""
    key = f"corpus.source.{source.name}.path"
    if source.kind == "tales":
        gathering.add("", source.name, source.name, source.kind, 0)
        return "embedded"
    if source.dataset is not None:
        return _take_dataset(source, source.dataset, cache, gathering, ignored)
    for named in source.paths:
        path = remote.fetch(named, cache, key) if remote.is_remote(named) else recipe.resolve(named)
        _gather(path, source.kind, key, gathering, ignored)
    return "files"


def _take_dataset(source: Source, name: str, cache: Path, gathering: Gathering, ignored: "_Ignored") -> str:
    """Take the files of a dataset of the Hub, or of one that lies in a folder; rows of code are rows like others."""
    kind = "hub" if source.kind == "code" else source.kind
    more = tuple(ONLY_OF.get(kind, {}))
    wanted = hub.Wanted(source.subset, source.split, f"corpus.source.{source.name}", more)
    if source.is_downloaded:
        folder, origin = Path(name), "files"
        names = hub.downloaded(folder, wanted)
    else:
        folder, names = hub.fetched(name, source.revision, wanted, cache)
        origin = f"hf://datasets/{name}@{source.revision}"
    for label in names:
        path = folder / label
        told = known_kind(path, kind)
        if told is None:
            ignored.add(label)
        else:
            gathering.add(str(folder), label, str(path), told, path.stat().st_size)
    return origin


def _reading(recipe: Recipe, source: Source) -> Reading:
    """Say how the documents of a source are read."""
    key, language = f"corpus.source.{source.name}", source.language or recipe.language
    blocked = None if source.blocklist is None else recipe.resolve(source.blocklist)
    if blocked is not None and not blocked.is_file():
        raise Problem(f"{blocked} is no file", key=f"{key}.blocklist", remedy="name a file with a domain on each line")
    instruct = None
    if source.kind == "instruct":
        instruct = Instruct(source.layout, language, source.templates)
        if not source.templates:
            templates_of(language)  # a Problem now is better than one after an hour
    split = source.split_at is not None or source.split_characters is not None
    return Reading(
        language=language,
        instruct=instruct,
        web=Web(source.extractor, blocked),
        code=Code(source.licenses),
        splitting=Splitting(source.split_at, source.split_characters) if split else None,
    )


def cut(sources: tuple[CorpusSource, ...]) -> Iterator[Unit]:
    """Cut the sources into units; a source of which only the first documents are wanted stays whole."""
    index = 0
    for source in sources:
        alone = replace(source, files=(), ignored=())
        begin, size = 0, 0
        for place, more in enumerate(_sizes(source.files)):
            full = size + more > UNIT_BYTES or place - begin >= UNIT_FILES
            if place > begin and full and source.cap is None:
                yield Unit(index, alone, source.files[begin:place])
                index, begin, size = index + 1, place, 0
            size += more
        yield Unit(index, alone, source.files[begin:])
        index += 1


def known_kind(path: Path, kind: str = "auto") -> str | None:
    """Tell how to read a file of a source of some kind: by its ending, a packed one's by the ending before."""
    if kind == "code":
        return "code" if language_of_code(path.name) else None
    endings = [ending.lower() for ending in path.suffixes]
    if endings and endings[-1] in PACKED:
        endings.pop()
    known = KINDS | ONLY_OF.get(kind, {})
    told = known.get(endings[-1]) if endings else None
    return told if kind in ("auto", "hub") or told in SHAPED.get(kind, (kind,)) else None


class _Ignored:
    """Count the files that are not read, and name the first of them."""

    def __init__(self) -> None:
        self.total = 0
        self.first: list[str] = []

    def add(self, name: str) -> None:
        self.total += 1
        if self.total <= IGNORED_LISTED:
            self.first.append(name.encode("utf-8", "backslashreplace").decode())


def _gather(path: Path, kind: str, key: str, gathering: Gathering, ignored: _Ignored) -> None:
    """Take each file that a path means once; a file that is named itself is read as the kind that the recipe names."""
    named = path.is_file()
    for found in expand(path, key):
        told = known_kind(Path(found.name), kind)
        if told is None and named:
            told = _told_by_recipe(found, kind, key)
        if told is None or found.size is None:
            ignored.add(found.name)
        else:
            gathering.add(found.root, found.name, found.real, told, found.size)


def _told_by_recipe(found: Found, kind: str, key: str) -> str:
    if kind == "auto" or kind in SHAPED:
        remedy = f"set the source's kind; known endings: {_endings(kind)}"
        raise Problem(f"{found.name} has an unknown ending", key=key, remedy=remedy)
    return kind


def _endings(kind: str) -> str:
    """Name the endings that a source of some kind may have."""
    if kind == "code":
        return "those of programming languages"
    known = KINDS | ONLY_OF.get(kind, {})
    return f"{' '.join(known)}, also with {', '.join(sorted(PACKED))}"


def _sizes(files: Sequence[SourceFile]) -> Iterator[int]:
    """Yield the sizes without making an object for each file where the list can do without."""
    if isinstance(files, FileList):
        yield from (int(size) for size in files.sizes)
    else:
        yield from (file.bytes for file in files)
