"""Know where a text comes from: block domains and addresses, and keep any one domain from filling the corpus.

In go addresses, out come the reason to leave a page unread, or the positions of those documents that come after the
first so many of their domain. A domain is what someone registered (exemplo.com.br, fulano.github.io), by the Public
Suffix List that the package `tld` brings along; nothing is fetched. Names stand for themselves by 64 bits of BLAKE2b: a
list of five million blocks one of a billion other names with a chance of 3e-4, and two of ten million domains share a
cap with a chance of 3e-6.
"""

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import numpy.typing as npt

from lhama.corpus.bytestream import Cut, lines
from lhama.corpus.records import sliced, slices_for
from lhama.plan.problem import Problem

Keys = npt.NDArray[np.uint64]
Integers = npt.NDArray[np.int64]
HOSTS_REMEMBERED = 1 << 16
SLICE_ROWS = 4 << 20  # rows looked at once for a cap: about 200 MB while they are sorted


@dataclass(frozen=True)
class Blocklist:
    """Domains with all below them, and beginnings of addresses, as sorted hashes."""

    domains: Keys
    addresses: Keys

    def reason(self, url: str) -> tuple[str, str] | None:
        """Say why an address is blocked, as a reason and a detail."""
        host = host_of(url)
        labels = host.split(".")
        for place in range(len(labels)):
            domain = ".".join(labels[place:])
            if _holds(self.domains, domain):
                return "blocked_domain", domain
        if len(self.addresses):
            for beginning in _beginnings(url, host):
                if _holds(self.addresses, beginning):
                    return "blocked_url", beginning
        return None


@cache
def blocklist(path: Path) -> Blocklist:
    """Read a list once in each process: a domain, or an address with a path, on each line; # begins a remark."""
    domains: list[int] = []
    addresses: list[int] = []
    for number, line in lines(path):
        if isinstance(line, Cut):
            raise Problem(f"{path}, line {number}: {line.detail}", remedy="mend the list, or get it anew")
        entry = line.decode("utf-8", "replace").partition("#")[0].strip()
        if not entry:
            continue
        bare = entry.partition("://")[2] or entry
        if "/" in bare.rstrip("/"):
            url = f"http://{bare}"
            host = host_of(url)
            addresses.append(_key(next(iter(_beginnings(url, host)))))
        else:
            domains.append(_key(host_of(f"http://{bare}")))
    return Blocklist(*(np.unique(np.array(keys, dtype=np.uint64)) for keys in (domains, addresses)))


def host_of(url: str) -> str:
    """Return the name of the machine in an address, in lower case, without www; nothing if there is none."""
    try:
        host = urlsplit(url).hostname or ""
    except ValueError:  # brackets that hold no address
        return ""
    return host.rstrip(".").removeprefix("www.")


def domain_of(url: str) -> str:
    """Return the registered domain of an address; the host itself where there is none, as for a number."""
    return _registered(host_of(url))


@lru_cache(maxsize=HOSTS_REMEMBERED)
def _registered(host: str) -> str:
    if not host:
        return ""
    try:
        from tld import get_fld
    except ImportError as error:
        raise Problem("telling domains needs the package tld", remedy="pip install 'lhama[web]'") from error
    return get_fld(f"http://{host}", fail_silently=True, search_private=True) or host


def domain_keys(urls: Iterable[str | None]) -> Keys:
    """Hash the domain of each address; 0 stands for a document without one, which no cap touches."""
    found = (domain_of(url) if url else "" for url in urls)
    return np.fromiter((_key(domain) if domain else 0 for domain in found), dtype=np.uint64)


def beyond_cap(parts: Iterable[tuple[Keys, Integers]], count: int, cap: int, scratch: Path) -> Integers:
    """Return the positions, sorted, of all documents that come after the first `cap` of their domain.

    `parts` are domain keys and positions of about so many eligible documents, in any order; `scratch` is a folder that
    may be made and is taken away. Memory follows the slice and not the `count` of rows.
    """
    with sliced(parts, (np.uint64, np.int64), slices_for(count, SLICE_ROWS), scratch) as pieces:
        found = [_beyond(keys, positions, cap) for keys, positions in pieces]
    return np.sort(np.concatenate(found))


def _beyond(keys: Keys, positions: Integers, cap: int) -> Integers:
    keys, positions = keys[keys != 0], positions[keys != 0]
    order = np.lexsort((positions, keys))
    keys, positions = keys[order], positions[order]
    first = np.flatnonzero(np.concatenate((np.ones(min(1, len(keys)), dtype=np.bool_), keys[1:] != keys[:-1])))
    lengths = np.diff(np.append(first, len(keys)))
    rank = np.arange(len(keys)) - np.repeat(first, lengths)
    late: Integers = positions[rank >= cap]
    return late


def _beginnings(url: str, host: str) -> Iterator[str]:
    """Yield an address without its scheme, query and fragment, and then shorter by one folder after the other."""
    try:
        path = urlsplit(url).path
    except ValueError:
        return
    address = f"{host}{path}".rstrip("/")
    while "/" in address:
        yield address
        address = address.rpartition("/")[0]


def _key(name: str) -> int:
    return int.from_bytes(hashlib.blake2b(name.encode("utf-8", "replace"), digest_size=8).digest(), "big")


def _holds(keys: Any, name: str) -> bool:
    key = np.uint64(_key(name))
    place = int(np.searchsorted(keys, key))
    return place < len(keys) and bool(keys[place] == key)
