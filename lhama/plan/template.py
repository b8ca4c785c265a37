"""Write the first recipe for a text of one's own."""

from __future__ import annotations

from collections.abc import Sequence


def new_recipe(name: str, language: str, paths: Sequence[str]) -> str:
    """Return a commented recipe that runs as written on the given files, folders or globs."""
    return f'name = "{name}"\nlanguage = "{language}"\n# {len(paths)}\n'
