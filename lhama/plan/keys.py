"""Dotted keys such as `train.batch_tokens`: find the field behind one, its kind and its default.

A table in a list is reached by its name (`corpus.source.tales.documents`) or, for its documentation, without one
(`corpus.source.documents`).
"""

from __future__ import annotations

import difflib
import typing
from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from lhama.plan.kinds import Kind, KindName, Section
from lhama.plan.layout import Recipe
from lhama.plan.problem import Problem


def name_in_toml(name: str, field: FieldInfo) -> str:
    """Return a field's name as a recipe spells it."""
    return field.alias or name


def section_of(field: FieldInfo) -> type[Section] | None:
    """Return the table behind a field: of a section, or of each entry in a list of tables."""
    for one in (field.annotation, *typing.get_args(field.annotation)):
        if isinstance(one, type) and issubclass(one, BaseModel):
            return typing.cast(type[Section], one)
    return None


def is_list_of_tables(field: FieldInfo) -> bool:
    """Tell whether a field is written as [[section.name]]."""
    return section_of(field) is not None and typing.get_origin(field.annotation) is tuple


def is_table_of_values(field: FieldInfo) -> bool:
    """Tell whether a field is a table whose names are not keys of ours: thresholds by rule, weights by source."""
    return any(typing.get_origin(one) is dict for one in (field.annotation, *typing.get_args(field.annotation)))


def leaves(model: type[BaseModel] = Recipe, prefix: str = "") -> Iterator[tuple[str, FieldInfo]]:
    """Yield each key with its field, in pipeline order, tables in lists without their name."""
    for name, field in model.model_fields.items():
        key = prefix + name_in_toml(name, field)
        inner = section_of(field)
        if inner is None or is_list_of_tables(field):
            yield key, field
        if inner is not None:
            yield from leaves(inner, key + ".")


def find(key: str) -> FieldInfo:
    """Return the field behind a dotted key, or refuse it with the nearest one."""
    model: type[BaseModel] = Recipe
    parts = key.split(".")
    field: FieldInfo | None = None
    inside_list = False
    for number, part in enumerate(parts):
        fields = {name_in_toml(name, one): one for name, one in model.model_fields.items()}
        if part not in fields and inside_list and number < len(parts):
            inside_list = False  # the table's own name
            continue
        if part not in fields:
            raise unknown(key)
        field = fields[part]
        inner = section_of(field)
        inside_list = is_list_of_tables(field)
        if inner is None and number < len(parts) - 1:
            if is_table_of_values(field) and number == len(parts) - 2:
                return field  # a name in a table that the user makes up, such as a rule in corpus.thresholds
            raise unknown(key)
        model = inner or model
    if field is None:
        raise unknown(key)
    return field


def unknown(key: str) -> Problem:
    """Make the refusal of a key that does not exist: same name elsewhere first, then the nearest spelling."""
    known = [name for name, _ in leaves()] + list(Recipe.model_fields)
    last = key.rpartition(".")[2]
    elsewhere = [name for name in known if name.rpartition(".")[2] == last]
    section = key.rpartition(".")[0]
    beside = [name for name in known if name.rpartition(".")[0] == section]
    near = elsewhere or difflib.get_close_matches(key, beside, n=1, cutoff=0.6)
    near = near or difflib.get_close_matches(key, known, n=1, cutoff=0.6)
    near = near or [name for name in known if key.startswith(f"{name}.")]
    remedy = f"did you mean {near[0]}?" if near else "see `lhama explain`"
    return Problem("unknown key", key=key, remedy=remedy)


def kind_of(key: str) -> KindName:
    """Say what a change of a key means: result, extend or operational."""
    for mark in find(key).metadata:
        if isinstance(mark, Kind):
            return mark.name
    raise unknown(key)


def default_of(key: str) -> Any:
    """Return a key's default as JSON has it; a key that must be given has None."""
    field = find(key)
    value = None if field.is_required() else field.get_default(call_default_factory=False)
    return list(value) if isinstance(value, tuple) else value
