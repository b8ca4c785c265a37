"""Changes from the command line, `--set section.key=value`: each is put into the parsed TOML with its right type.

A value is read as TOML (3e-4, true, ["a", "b"]); where the key takes text, quotes may be left out. `none` removes a
key. A table in a list is reached by its name: `corpus.source.tales.documents=2000`. Paths are relative to where the
user stands.
"""

from __future__ import annotations

import copy
import tomllib
import typing
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic.fields import FieldInfo

from lhama.plan.fields_source import is_folder
from lhama.plan.keys import find, is_list_of_tables, is_table_of_values, section_of
from lhama.plan.problem import Problem

PATHS = ("path", "from", "labels", "opt_out", "tasks", "thresholds_file", "blocklist", "compare_tokenizers")


def apply_changes(raw: dict[str, Any], changes: Sequence[str]) -> dict[str, Any]:
    """Return the parsed TOML with the changes in it."""
    changed = copy.deepcopy(raw)
    for change in changes:
        key, sign, text = (part.strip() for part in change.partition("="))
        if not sign or not key:
            raise Problem(
                f"{change!r} is no change", remedy="write section.key=value, such as train.learning_rate=3e-4"
            )
        field = find(key)
        if section_of(field) is not None:
            what = "a list of tables" if is_list_of_tables(field) else "a section"
            raise Problem(
                f"is {what} and not one value", key=key, remedy=f"set one key in it ({key}...), or edit the recipe"
            )
        table, last = _table_of(changed, key)
        if text in ("none", "null", ""):
            table.pop(last, None)
        else:
            table[last] = _value(key, text, field)
            if last in PATHS and not (last == "path" and table.get("kind") == "hub" and not is_folder(table[last])):
                table[last] = _from_here(table[last])
    return changed


def _table_of(raw: dict[str, Any], key: str) -> tuple[dict[str, Any], str]:
    """Walk to the table that holds a key, by way of names where it lies in a list."""
    *path, last = key.split(".")
    table: Any = raw
    walked: list[str] = []
    for part in path:
        if isinstance(table, list):
            names = [one.get("name") for one in table if isinstance(one, dict)]
            if part not in names:
                raise Problem(
                    f"{'.'.join(walked)} has no table named {part!r}",
                    key=key,
                    remedy=f"name one of: {', '.join(map(str, names)) or 'there is none'}",
                )
            table = table[names.index(part)]
        else:
            following = find(".".join([*walked, part])) if part not in table else None
            if following is not None:
                table[part] = [] if is_list_of_tables(following) else {}
            table = table[part]
        walked.append(part)
    if not isinstance(table, dict):
        raise Problem("lies in a list of tables", key=key, remedy=f"name the table: {'.'.join(path)}.NAME.{last}=...")
    return table, last


def _from_here(paths: Any) -> Any:
    """Make paths absolute: in a recipe they are relative to it, on the command line to where the user stands."""
    if isinstance(paths, list):
        return [_from_here(one) for one in paths]
    if not isinstance(paths, str) or "://" in paths:
        return paths
    return Path(paths).expanduser().absolute().as_posix()


def _takes_text(field: FieldInfo) -> bool:
    if is_table_of_values(field):
        return False
    options = (field.annotation, *typing.get_args(field.annotation))
    return any(one is str or isinstance(one, str) for one in options)


def _value(key: str, text: str, field: FieldInfo) -> Any:
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError as error:
        if _takes_text(field) or (is_table_of_values(field) and text.isidentifier()):
            return text
        raise Problem(f"cannot read {text!r} as a value", key=key, remedy="write it as TOML does") from error
    return text if _takes_text(field) and not isinstance(value, (str, list)) else value
