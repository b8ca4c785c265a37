"""Fetch what lies in an object store or behind an address into a folder, and read it from there like anything else.

In goes s3://, gs://, az:// (a file, a folder or a glob) or https:// (a file), out comes a local path. Daft lists and
reads object stores, in pieces of 16 MB; keys come from the environment, as its documentation says, never from a recipe.
A file is fetched once: it is whole when it has the size that was announced, a broken transfer goes on where it was, and
a finished fetch asks nobody again, so that two runs read the same text. To fetch anew, delete its folder.
"""

import hashlib
import http.client
import json
import re
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePosixPath
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

from lhama.plan.problem import Problem
from lhama.record.files import free_bytes, move, read_json, size, sync_file, write_json

STORES = ("s3", "s3a", "gs", "gcs", "az", "abfs", "abfss")
WEB = ("https", "http")
DONE = "complete.json"
PIECE = 1 << 20
AT_ONCE = 16
TRIES = 4
PATIENCE = 60  # seconds without an answer
_MAGIC = re.compile(r"[*?\[]")


class Object(NamedTuple):
    """A file in a store: its whole address, its name below the folder, its bytes."""

    address: str
    name: str
    bytes: int


def is_remote(path: str) -> bool:
    """Tell an address from a path."""
    return "://" in path


def fetch(address: str, cache: Path, key: str) -> Path:
    """Fetch what an address means; return the file, or the folder of files, that it became."""
    scheme = address.partition("://")[0].lower()
    if scheme not in STORES + WEB:
        raise Problem(f"{scheme}:// is no known store", key=key, remedy=f"known are {', '.join(STORES + WEB)}")
    folder = cache.with_name(".remote") / hashlib.sha256(address.encode()).hexdigest()[:20]
    done = folder / DONE
    if not done.is_file():
        (folder / "files").mkdir(parents=True, exist_ok=True)
        try:
            take = _fetch_web if scheme in WEB else _fetch_store
            names, alone = take(address, folder / "files")
        except (OSError, ValueError, http.client.HTTPException) as error:  # what Daft raises is a ValueError
            problem = f"cannot fetch {address}: {error}"
            remedy = "check the address, the keys in the environment and the network; what came is kept"
            raise Problem(problem, key=key, remedy=remedy) from error
        if not names:
            raise Problem(f"there is nothing at {address}", key=key, remedy="check the address")
        write_json(done, {"address": address, "files": len(names), "alone": names[0] if alone else ""})
    return folder / "files" / str(read_json(done)["alone"])


def _fetch_store(address: str, folder: Path) -> tuple[list[str], bool]:
    """Fetch all that an address means; return the names, and whether it is one file that was meant."""
    objects = sorted(_listed(address), key=lambda one: one.name)
    missing = [one for one in objects if not _is_there(folder / one.name, one.bytes)]
    needed = sum(one.bytes for one in missing)
    if needed > free_bytes(folder):
        raise Problem(f"{address} has {size(needed)} to fetch, and {size(free_bytes(folder))} are free in {folder}")
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for begin in range(0, len(missing), 1000):  # not all at once: there may be millions
            for _ in pool.map(lambda one: _copy(one, folder / one.name), missing[begin : begin + 1000]):
                pass
    return [one.name for one in objects], [one.address for one in objects] == [address]


def _listed(address: str) -> Iterator[Object]:
    """List the files that an address means; one without * is a file or else a folder with all below it."""
    import daft

    def ask(path: str) -> list[tuple[str, int]]:
        try:
            found = daft.from_glob_path(path).select("path", "size").to_pydict()
        except (FileNotFoundError, daft.exceptions.DaftCoreException) as error:
            if "not found" in str(error).lower() or "MicroPartition" in str(error):  # how it says that there is none
                return []
            raise
        return list(zip(found["path"], found["size"], strict=True))

    magic = _MAGIC.search(address)
    if magic:
        found = ask(address)
        base = address[: magic.start()].rpartition("/")[0]
    else:
        found = [] if address.endswith("/") else ask(address)
        if [path for path, _ in found] == [address]:
            base = address.rpartition("/")[0]
        else:
            base = address.rstrip("/")
            found = ask(f"{base}/**")
    for path, count in found:
        yield Object(path, _safe(path.removeprefix(base).lstrip("/"), path), count)


def _safe(name: str, address: str) -> str:
    """Refuse a name that would lead out of its folder."""
    parts = PurePosixPath(name).parts
    if not parts or name.startswith("/") or ".." in parts or "\\" in name or "\0" in name:
        raise Problem(f"{address} has a name that leads out of its folder", remedy="name the other files one by one")
    return name


def _is_there(path: Path, count: int) -> bool:
    return path.is_file() and path.stat().st_size == count


def _copy(one: Object, path: Path) -> None:
    """Copy an object of a store, going on behind what is there of it."""
    import daft

    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    begin = part.stat().st_size if part.is_file() else 0
    if begin > one.bytes:
        part.unlink()
        begin = 0
    with part.open("ab") as file, daft.File(one.address).open() as stream:
        stream.seek(begin)
        while piece := stream.read(PIECE):
            file.write(piece)
    _finish(part, path, one.bytes)


def _finish(part: Path, path: Path, count: int | None) -> None:
    """Give a file its name once it has all its bytes."""
    came = part.stat().st_size
    if count is not None and came != count:
        part.unlink()
        raise OSError(f"{came} bytes came, {count} were announced")
    sync_file(part)
    move(part, path)


def _fetch_web(address: str, folder: Path) -> tuple[list[str], bool]:
    """Fetch one file from a web server."""
    name = _safe(unquote(PurePosixPath(urlsplit(address).path).name) or "index", address)
    path = folder / name
    for attempt in range(TRIES):
        try:
            _download(address, path)
            return [name], True
        except (OSError, http.client.HTTPException) as error:
            refused = isinstance(error, urllib.error.HTTPError) and error.code < 500
            if refused or attempt == TRIES - 1:
                raise
    return [], True


def _download(address: str, path: Path) -> None:
    """Download a file; a part of the same version goes on where it ended."""
    part, said = path.with_name(f".{path.name}.part"), path.with_name(f".{path.name}.json")
    request = urllib.request.Request(address, headers={"Accept-Encoding": "identity", "User-Agent": "lhama"})
    begin = part.stat().st_size if part.is_file() and said.is_file() else 0
    version = json.loads(said.read_bytes())["version"] if begin else None
    if version:
        request.add_header("Range", f"bytes={begin}-")
        request.add_header("If-Range", version)
    with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
        header = answer.headers
        if answer.status != http.client.PARTIAL_CONTENT:
            begin = 0
        total = int(header["Content-Length"]) + begin if header["Content-Length"] else None
        if total is not None and total - begin > free_bytes(path.parent):
            raise Problem(f"{address} has {size(total)}, and {size(free_bytes(path.parent))} are free in {path.parent}")
        write_json(said, {"version": header["ETag"] if not (header["ETag"] or "W/").startswith("W/") else None})
        with part.open("ab" if begin else "wb") as file:
            while piece := answer.read(PIECE):
                file.write(piece)
    if total is not None and part.stat().st_size < total:
        raise OSError(f"the connection ended after {part.stat().st_size} of {total} bytes")
    _finish(part, path, total)
    said.unlink()
