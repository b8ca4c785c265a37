"""Say what the reading of sources depends on: files by their content, a dataset of the Hub by its commit.

In go the sources with their files, out come names and hashes for the stage's manifest. Each file has its line there, as
long as they are few. Of many files, which nobody would look up, one hash covers all names and contents: so a million of
them costs no memory, and none is read again while names, sizes and times are as before.
"""

import hashlib
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from lhama.corpus.filelist import SourceFile
from lhama.corpus.sources import CorpusSource
from lhama.plan.problem import Problem
from lhama.record import console
from lhama.record.files import read_json, sha256_file, write_json
from lhama.record.run import SETTLED_NS, Run

MANY_FILES = 10_000
SHOWN_EVERY = 1000  # files


def inputs_of(sources: tuple[CorpusSource, ...], run: Run) -> dict[str, str]:
    """Return the inputs of all sources; blocklists are among them."""
    files: dict[str, Path] = {}
    inputs: dict[str, str] = {}
    for source in sources:
        if source.reading.web.blocklist is not None:
            files[f"{source.name}/blocklist"] = source.reading.web.blocklist
        if source.origin.startswith("hf://"):
            inputs[f"{source.name}/hub"] = source.origin
        elif len(source.files) > MANY_FILES:
            inputs[f"{source.name}/*"] = _of_many(source.files, run.folder / f"inputs-{source.name}.json")
        else:
            files |= {f"{source.name}/{file.label}": file.path for file in source.files if file.path is not None}
    return inputs | run.hash_inputs(files)


def _of_many(files: Sequence[SourceFile], cache: Path) -> str:
    """Hash names and contents of many files, unless names, sizes and times are as they were."""
    mark = _mark(files)
    known = read_json(cache) if cache.is_file() else {}
    if known.get("mark") == mark:
        return str(known["sha256"])
    whole = hashlib.sha256()
    with console.progress("hashing", total=len(files), unit="files") as bar:
        for number, (label, path) in enumerate(_places(files), 1):
            whole.update(f"{label}\0{sha256_file(path)}\n".encode())
            if number % SHOWN_EVERY == 0:
                bar.advance(SHOWN_EVERY)
    newest = max(path.stat().st_mtime_ns for _, path in _places(files))
    if time.time_ns() - newest > SETTLED_NS:
        write_json(cache, {"mark": mark, "sha256": whole.hexdigest()})
    return whole.hexdigest()


def _mark(files: Sequence[SourceFile]) -> str:
    mark = hashlib.sha256()
    for label, path in _places(files):
        try:
            state = path.stat()
        except OSError as error:
            raise Problem(f"{path} cannot be read: {error.strerror}") from error
        mark.update(
            f"{label}\0{path.parent}\0{state.st_size}\0{state.st_mtime_ns}\n".encode("utf-8", "surrogateescape")
        )
    return mark.hexdigest()


def _places(files: Sequence[SourceFile]) -> Iterator[tuple[str, Path]]:
    return ((file.label, file.path) for file in files if file.path is not None)
