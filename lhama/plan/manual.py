"""What a recipe's keys mean, for people and for editors, all taken from the fields themselves.

`explain` answers for one key or section, `recipe_reference` is docs/recipe.md, `json_schema` lets an editor complete.
"""

from __future__ import annotations

import types
import typing
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from lhama.plan.keys import find, is_list_of_tables, leaves, name_in_toml, section_of
from lhama.plan.kinds import Kind
from lhama.plan.layout import Recipe
from lhama.plan.problem import Problem
from lhama.plan.writing import value

PLAIN = {int: "whole number", float: "number", str: "text", bool: "true or false"}


def _words(kind: Any) -> str:
    """Return a type in plain words."""
    if kind in PLAIN:
        return PLAIN[kind]
    origin, inner = typing.get_origin(kind), typing.get_args(kind)
    if origin is typing.Annotated:
        return _words(inner[0])
    if origin is typing.Literal:
        return ", ".join(f'"{one}"' for one in inner[:-1]) + f' or "{inner[-1]}"'
    if origin in (typing.Union, types.UnionType):
        return " or ".join(_words(one) for one in inner if one is not type(None))
    if origin is tuple:
        return _words_of_list(inner[0])
    return "table of name and number" if origin is dict else "table"


def _words_of_list(entry: Any) -> str:
    if isinstance(entry, type) and issubclass(entry, BaseModel):
        return "list of tables"
    return f"list of {_words(entry)}" if typing.get_origin(entry) is typing.Literal else "list of texts"


def _limits(field: FieldInfo) -> str:
    signs = {"gt": "more than", "ge": "at least", "lt": "less than", "le": "at most", "multiple_of": "multiple of"}
    found = []
    for mark in field.metadata:
        for name, words in signs.items():
            limit = getattr(mark, name, None)
            if limit is not None:
                found.append(f"{words} {limit:g}")
    return ", ".join(found)


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "none, it must be set"
    if field.default is None:
        return "absent"
    return value(list(field.default) if isinstance(field.default, tuple) else field.default)


def _kind(field: FieldInfo) -> Kind:
    return next(mark for mark in field.metadata if isinstance(mark, Kind))


def explain(key: str) -> str:
    """Explain a key, or list the keys of a section; an empty key lists the sections."""
    if not key:
        lines = ["A recipe has these keys and sections; explain one of them:", ""]
        lines += [f"  {name:<16}{_summary(field)}" for name, field in Recipe.model_fields.items()]
        return "\n".join(lines)
    field = find(key)
    inner = section_of(field)
    if inner is None:
        return "\n".join([key, *_facts(field), "", " ".join((field.description or "").split())])
    form = f"[[{key}]]" if is_list_of_tables(field) else f"[{key}]"
    lines = [f"{form}  {_summary(field)}", ""]
    width = max(len(name) for name in inner.model_fields) + 2
    for name, one in inner.model_fields.items():
        lines.append(f"  {name_in_toml(name, one):<{width}}{_summary(one)}")
    return "\n".join(lines)


def _summary(field: FieldInfo) -> str:
    inner = section_of(field)
    text = field.description or ((inner.__doc__ or "") if inner is not None else "")
    return " ".join(text.split())


def _facts(field: FieldInfo) -> list[str]:
    kind = _kind(field)
    limits = _limits(field)
    return [
        f"  type     {_words(field.annotation)}" + (f" ({limits})" if limits else ""),
        f"  default  {_default(field)}",
        f"  change   {kind.name}: {kind.meaning}",
    ]


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema of a recipe, as an editor's TOML plugin reads it."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema"} | Recipe.model_json_schema(by_alias=True)


def recipe_reference() -> str:
    """Return docs/recipe.md: every key in pipeline order, from the fields themselves."""
    lines = [
        "# The recipe",
        "",
        "Generated from the code by `make docs`. One TOML file says everything a run does, in the order in which it",
        "happens. `lhama explain KEY` shows the same text; `lhama explain --json` is the JSON Schema for editors.",
        "",
        "What a change of a key means for work that is done: **result** does the stage anew, **extend** continues from",
        "the last checkpoint, **operational** redoes nothing. Horizons, batches and intervals count tokens.",
    ]
    tables: dict[str, list[str]] = {}
    for key, field in leaves():
        rows = tables.setdefault(key.rpartition(".")[0], [])  # keys of one table may stand before and behind another
        if is_list_of_tables(field):
            continue
        kind = _kind(field).name
        limits = _limits(field)
        form = _words(field.annotation) + (f", {limits}" if limits else "")
        row = f"| `{key.rpartition('.')[2]}` | {form} | {_default(field)} | {kind} | {_summary(field)} |"
        rows.append(row.replace("\n", " "))
    for table, rows in tables.items():
        lines += _heading(table) + rows
    return "\n".join(lines) + "\n"


def _heading(table: str) -> list[str]:
    if not table:
        title, text = "The top of the file", "Keys before the first section."
    else:
        field = find(table)
        title, text = (f"[[{table}]]" if is_list_of_tables(field) else f"[{table}]"), _summary(field)
        inner = section_of(field)
        if inner is None:
            raise Problem("is no section", key=table)
        text = " ".join((inner.__doc__ or text).split())
    return ["", f"## {title}", "", text, "", "| key | type | default | change | meaning |", "|---|---|---|---|---|"]
