"""Write a recipe as TOML that loads again equal, every default spelled out; absent keys stay absent."""

from __future__ import annotations

import json
from typing import Any

from lhama.plan.layout import Recipe


def dumps(recipe: Recipe) -> str:
    """Return the resolved recipe as TOML."""
    whole = recipe.model_dump(mode="json", by_alias=True, exclude_none=True)
    lines = ["# A resolved recipe: every key is written out. `lhama explain KEY` says what one means.", ""]
    lines += [f"{key} = {value(one)}" for key, one in whole.items() if not isinstance(one, dict)]
    for section, keys in whole.items():
        if isinstance(keys, dict):
            lines += ["", f"[{section}]", *_section(section, keys)]
    return "\n".join(lines) + "\n"


def _section(section: str, keys: dict[str, Any]) -> list[str]:
    """Write the plain keys first: after a [[table]] they would belong to it."""
    tables = {key: one for key, one in keys.items() if _is_tables(one)}
    lines = [f"{key} = {value(one)}" for key, one in keys.items() if key not in tables]
    for key, rows in tables.items():
        for row in rows:
            lines += ["", f"[[{section}.{key}]]", *(f"{name} = {value(one)}" for name, one in row.items())]
    return lines


def _is_tables(one: Any) -> bool:
    return isinstance(one, list) and bool(one) and all(isinstance(row, dict) for row in one)


def value(one: Any) -> str:
    """Return one value as TOML writes it."""
    if isinstance(one, bool):
        return "true" if one else "false"
    if isinstance(one, str):
        # JSON's escapes are TOML's, but for DEL, which TOML wants escaped.
        return json.dumps(one, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(one, list):
        return "[" + ", ".join(value(item) for item in one) + "]"
    if isinstance(one, dict):
        return "{ " + ", ".join(f"{value(key)} = {value(item)}" for key, item in one.items()) + " }"
    return repr(one)
