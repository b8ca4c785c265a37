"""Ask web servers over connections that stay open and are used again.

In goes an address with headers, out comes what it answers. A block of 64 KiB is fetched in one journey to the server
and back; a connection of its own for each would cost three more. Subtle: a server may close a connection that waits,
and that shows only in the next question; so a question over an old connection is asked again over another.
"""

import base64
import http.client
import threading
import urllib.parse
import urllib.request
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

PATIENCE = 60  # seconds without an answer
MOVED = frozenset({301, 302, 303, 307, 308})
CLOSED = (ConnectionError, http.client.HTTPException)


class Refused(Exception):  # noqa: N818 - the server's word, which the caller may yet mend
    """A server answered that it will not."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(f"{status} {reason}".strip())
        self.status = status


@dataclass(frozen=True)
class Answer:
    """What came: data, or the address to go to, or neither where more would have come than was asked for."""

    data: bytes | None = None
    moved: str | None = None


class Connections:
    """Connections that are open and wait for the next question; as many as there are threads that ask."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._idle: defaultdict[tuple[str, str], list[http.client.HTTPConnection]] = defaultdict(list)

    def get(self, address: str, headers: Mapping[str, str], whole: int | None) -> Answer:
        """Ask for an address; to a question for a range a whole file is an answer only where it has `whole` bytes."""
        parts = urllib.parse.urlsplit(address)
        proxy = _proxy(parts)
        target = urllib.parse.urlunsplit(("", "", parts.path or "/", parts.query, ""))
        if proxy is not None and parts.scheme == "http":
            target = address
        sent = {"User-Agent": "lhama", "Accept-Encoding": "identity", **headers}
        while True:
            old = self._waiting(parts)
            connection = old or _connect(parts, proxy)
            try:
                connection.request("GET", target, headers=sent)
                answer = _answer(connection.getresponse(), address, "Range" in headers, whole)
            except Refused:
                self._keep(parts, connection)
                raise
            except Exception as error:
                connection.close()
                if old is None or not isinstance(error, CLOSED):
                    raise
            else:
                self._keep(parts, connection, answer.data is not None or answer.moved is not None)
                return answer

    def close(self) -> None:
        """Close what waits."""
        with self._lock:
            for connections in self._idle.values():
                for connection in connections:
                    connection.close()
            self._idle.clear()

    def _waiting(self, parts: urllib.parse.SplitResult) -> http.client.HTTPConnection | None:
        with self._lock:
            found = self._idle[parts.scheme, parts.netloc]
            return found.pop() if found else None

    def _keep(
        self, parts: urllib.parse.SplitResult, connection: http.client.HTTPConnection, at_rest: bool = True
    ) -> None:
        if not at_rest:
            connection.close()
            return
        with self._lock:
            self._idle[parts.scheme, parts.netloc].append(connection)


def _answer(answer: http.client.HTTPResponse, address: str, ranged: bool, whole: int | None) -> Answer:
    """Read an answer to its end, so that the connection can be used again."""
    if answer.status in MOVED and (location := answer.headers["Location"]):
        answer.read()
        return Answer(moved=urllib.parse.urljoin(address, location))
    if answer.status not in (http.client.OK, http.client.PARTIAL_CONTENT):
        answer.read()
        raise Refused(answer.status, answer.reason)
    if ranged and answer.status == http.client.OK and answer.headers["Content-Length"] != str(whole):
        return Answer()
    return Answer(answer.read())


def _proxy(parts: urllib.parse.SplitResult) -> urllib.parse.SplitResult | None:
    """Find the proxy that the environment names for a server."""
    named = urllib.request.getproxies().get(parts.scheme)
    if named is None or urllib.request.proxy_bypass(parts.hostname or ""):
        return None
    return urllib.parse.urlsplit(named if "://" in named else f"http://{named}")


def _connect(parts: urllib.parse.SplitResult, proxy: urllib.parse.SplitResult | None) -> http.client.HTTPConnection:
    """Make a connection; through a proxy, secure ones are tunnels that it cannot read."""
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    via = proxy or parts
    connection = kind(via.hostname or "", via.port, timeout=PATIENCE)
    if proxy is not None and parts.scheme == "https":
        said = urllib.parse.unquote(f"{proxy.username}:{proxy.password}") if proxy.username else None
        login = {"Proxy-Authorization": f"Basic {base64.b64encode(said.encode()).decode()}"} if said else {}
        connection.set_tunnel(parts.hostname or "", parts.port or 443, login)
    return connection
