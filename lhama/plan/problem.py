"""The one exception that is meant for the user's eyes: what is wrong, where, and what to do about it.

The command line prints it as one sentence without a traceback; everything else that is raised is a fault of ours.
"""

from __future__ import annotations


class Problem(Exception):  # noqa: N818 - the house's own word for what a user can mend
    """Something the user can mend; reads as `key: what; remedy`."""

    def __init__(self, what: str, *, key: str | None = None, remedy: str | None = None) -> None:
        super().__init__(what, key, remedy)
        self.what = what
        self.key = key
        self.remedy = remedy

    def __str__(self) -> str:
        text = self.what if self.key is None else f"{self.key}: {self.what}"
        return text if self.remedy is None else f"{text}; {self.remedy}"

    def __reduce__(self) -> tuple[object, ...]:
        # Exceptions are rebuilt from positional arguments when they cross a process; ours are keywords.
        return _rebuild, (self.what, self.key, self.remedy)


def _rebuild(what: str, key: str | None, remedy: str | None) -> Problem:
    return Problem(what, key=key, remedy=remedy)
