"""Read parts of files that lie elsewhere: in a mounted folder, behind https://, on the Hub, or in an object store.

In go an address and (name, first byte, count), out come exactly those bytes, or an OSError where another try may help
and a Problem where none will. The standard library does what it can; the Hub needs huggingface_hub, which knows its
address and the user's login, and stores need obstore, which reads the usual AWS_, GOOGLE_ and AZURE_ variables.
Subtle: the Hub answers each request with the address of a server that has the file, and counts the questions. So the
answer is remembered for each file and asked for again only when it no longer serves.
"""

import http.client
import os
import time
import urllib.parse
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

from lhama.plan.problem import Problem
from lhama.record import console
from lhama.tokens.web import Connections, Refused

KEY = "train.stream"
STORES = ("s3", "s3a", "gs", "az", "abfs", "abfss")
FORMS = "a folder, https://..., hf://datasets/ORG/NAME@COMMIT/FOLDER, s3://..., gs://... or az://..."
WAITS = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0)  # seconds between tries: three minutes without a network pass
REDIRECTS = 5
PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})  # what another try may mend
STALE = frozenset({401, 403, 404, 410})  # how a remembered address says that its time is over

Pause = Callable[[float], object]


class Place(Protocol):
    """Where files lie."""

    address: str

    def read(self, name: str, begin: int = 0, count: int | None = None) -> bytes:
        """Return `count` bytes of a file from `begin` on, or all of it."""
        ...

    def close(self) -> None:
        """Let go of connections."""
        ...


def open_place(address: str) -> Place:
    """Open an address; an unknown kind or a missing library is a Problem."""
    scheme, separator, rest = address.partition("://")
    scheme = scheme.lower()
    if not separator:
        return Folder(Path(address).expanduser())
    if scheme in ("http", "https"):
        return Web(address)
    if scheme == "hf":
        return _hub(address, rest)
    if scheme in STORES:
        return Store(address)
    raise Problem(f"{scheme}:// is no known place for tokens", key=KEY, remedy=f"known are {FORMS}")


class Patient:
    """Read from a place, and read again after a while where that may help."""

    def __init__(self, place: Place, pause: Pause = time.sleep) -> None:
        self.address = place.address
        self._place = place
        self._pause = pause
        self._told = False

    def read(self, name: str, begin: int = 0, count: int | None = None) -> bytes:
        """Return the bytes, however often it takes within a few minutes."""
        for wait in (*WAITS, None):
            try:
                data = self._place.read(name, begin, count)
                if count is not None and len(data) != count:
                    raise OSError(f"{len(data)} bytes came, {count} were asked for")
            except (OSError, http.client.HTTPException) as error:
                if wait is None:
                    raise Problem(
                        f"cannot read {name} from {self.address}: {error}",
                        key=KEY,
                        remedy="check the network and the address; the same command goes on from the last checkpoint",
                    ) from error
                if not self._told:
                    self._told = True
                    console.warn(f"Reading from {self.address} failed ({error}); trying again for a few minutes.")
                self._pause(wait)
            else:
                self._told = False
                return data
        raise AssertionError

    def close(self) -> None:
        """Let go of connections."""
        self._place.close()


class Folder:
    """A folder of this machine: a disk, or a network's file system."""

    def __init__(self, folder: Path) -> None:
        if not folder.is_dir():
            raise Problem(f"{folder} is no folder", key=KEY, remedy=f"name {FORMS}")
        self.address = str(folder)
        self._folder = folder

    def read(self, name: str, begin: int = 0, count: int | None = None) -> bytes:
        """Return bytes of a file."""
        try:
            with (self._folder / name).open("rb") as file:
                file.seek(begin)
                return file.read() if count is None else file.read(count)
        except (FileNotFoundError, PermissionError) as error:
            raise _refused(name, self.address, error) from error

    def close(self) -> None:
        """Nothing is open."""


class Web:
    """A web server that serves ranges of files; `headers` go to itself only, never to where it sends us on."""

    def __init__(self, address: str, headers: Mapping[str, str] | None = None) -> None:
        self.address = address.rstrip("/")
        self._headers = dict(headers or {})
        self._moved: dict[str, str] = {}
        self._connections = Connections()

    def read(self, name: str, begin: int = 0, count: int | None = None) -> bytes:
        """Return bytes of a file."""
        own = f"{self.address}/{urllib.parse.quote(name)}"
        moved = self._moved.get(name, own)
        try:
            try:
                return self._ask(moved, name, begin, count)
            except Refused as refused:
                if moved == own or refused.status not in STALE:
                    raise
            return self._ask(own, name, begin, count)
        except Refused as refused:
            if refused.status in PASSING:
                raise OSError(f"the server says {refused}") from refused
            raise _refused(name, self.address, refused) from refused

    def _ask(self, address: str, name: str, begin: int, count: int | None) -> bytes:
        """Ask an address, and where it sends us, and remember the last one that answered."""
        for _ in range(REDIRECTS):
            headers = dict(self._headers) if address.startswith(f"{self.address}/") else {}
            if count is not None:
                headers["Range"] = f"bytes={begin}-{begin + count - 1}"
            answer = self._connections.get(address, headers, None if begin else count)
            if answer.moved is None:
                break
            address = answer.moved
        else:
            raise OSError(f"{name} is sent from one address to another without end")
        if answer.data is None:
            raise Problem(
                f"{self.address} does not serve ranges, so {name} would come whole for each block of it",
                key=KEY,
                remedy="use a server or store that does, or copy the tokens here and train without train.stream",
            )
        if address != f"{self.address}/{urllib.parse.quote(name)}":
            self._moved[name] = address
        return answer.data

    def close(self) -> None:
        """Close the connections."""
        self._connections.close()


class Store:
    """A bucket or container of an object store."""

    def __init__(self, address: str) -> None:
        try:
            import obstore
            from obstore import exceptions, store
        except ModuleNotFoundError as missing:
            raise Problem(
                "streaming from an object store needs obstore", key=KEY, remedy="pip install 'lhama[stream]'"
            ) from missing
        self.address = address
        self._obstore = obstore
        # Each says that another try gives the same answer.
        self._final: tuple[type[Exception], ...] = (
            exceptions.NotFoundError,
            exceptions.PermissionDeniedError,
            exceptions.UnauthenticatedError,
            exceptions.InvalidPathError,
            FileNotFoundError,
            PermissionError,
        )
        self._base = exceptions.BaseError
        try:
            self._store: Any = store.from_url(address, retry_config={"max_retries": 0})  # patience is ours
        except (self._base, ValueError) as error:
            raise Problem(f"cannot open {address}: {error}", key=KEY, remedy="check the address") from error

    def read(self, name: str, begin: int = 0, count: int | None = None) -> bytes:
        """Return bytes of a file."""
        try:
            if count is None:
                return bytes(self._obstore.get(self._store, name).bytes())
            return bytes(self._obstore.get_range(self._store, name, start=begin, length=count))
        except self._final as error:
            raise _refused(name, self.address, error) from error
        except self._base as error:
            raise OSError(str(error).partition("\n")[0]) from error

    def close(self) -> None:
        """The library closes its own."""


def _hub(address: str, rest: str) -> Place:
    """Find the files of a dataset on the Hub at a commit: hf://datasets/ORG/NAME@COMMIT/FOLDER."""
    try:
        import huggingface_hub
    except ModuleNotFoundError as missing:
        problem = "streaming from the Hub needs huggingface_hub"
        raise Problem(problem, key=KEY, remedy="pip install huggingface_hub") from missing
    parts = rest.split("/")
    name, _, revision = "/".join(parts[1:3]).partition("@")
    if parts[0] != "datasets" or len(parts) < 3 or not revision:
        raise Problem(f"{address} names no dataset at a commit", key=KEY, remedy="hf://datasets/ORG/NAME@COMMIT/FOLDER")
    # The library reads HF_ENDPOINT only once, when it is imported.
    endpoint = os.environ.get("HF_ENDPOINT")
    place: dict[str, Any] = {"repo_type": "dataset", "revision": revision, "endpoint": endpoint}
    probe = "tokens.json"
    found: str = huggingface_hub.hf_hub_url(name, probe, subfolder="/".join(parts[3:]) or None, **place)
    token = huggingface_hub.get_token()
    return Web(found.removesuffix(f"/{probe}"), {"Authorization": f"Bearer {token}"} if token else None)


def _refused(name: str, address: str, error: Exception) -> Problem:
    said = str(error).partition("\n")[0]
    remedy = "check the address, that the tokens folder was copied whole, and your right to read it"
    return Problem(f"{address} gives no {name}: {said}", key=KEY, remedy=remedy)
