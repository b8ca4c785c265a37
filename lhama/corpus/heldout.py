"""Choose the held-out documents: one in fifty, by a hash of the source's name and the document's id.

The choice stands before all cleaning and depends on nothing else, so a document stays held out when other documents,
sources or rules come and go, and anyone can check it: int(sha256(source + "/" + id), 16) % 50 == 0.
"""

import hashlib

ONE_IN = 50


def digest(source: str, name: str) -> bytes:
    """Hash what names a document."""
    return hashlib.sha256(f"{source}/{name}".encode()).digest()


def is_held_out(name: bytes) -> bool:
    """Tell from a document's digest whether it is kept for measuring."""
    return int.from_bytes(name, "big") % ONE_IN == 0
