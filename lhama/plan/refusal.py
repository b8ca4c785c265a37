"""Turn pydantic's list of errors into one Problem in plain words: the key, what is wrong with it, what to do."""

from __future__ import annotations

from typing import Any

from pydantic import ValidationError

from lhama.plan.keys import unknown
from lhama.plan.problem import Problem

WANTED = {
    "int_type": "a whole number",
    "int_from_float": "a whole number without a point or exponent",
    "float_type": "a number",
    "bool_type": "true or false",
    "string_type": "text in quotes",
    "tuple_type": "a list in square brackets",
    "dict_type": "a table",
    "model_type": "a table",
    "model_attributes_type": "a table",
}
LIMITS = {
    "greater_than": ("must be more than", "gt"),
    "greater_than_equal": ("must be at least", "ge"),
    "less_than": ("must be less than", "lt"),
    "less_than_equal": ("must be at most", "le"),
    "multiple_of": ("must be a multiple of", "multiple_of"),
}


def refusal(error: ValidationError, raw: dict[str, Any]) -> Problem:
    """Make one Problem of everything that is wrong; unknown keys come first, for they explain the missing ones."""
    found = error.errors(include_url=False)
    found.sort(key=lambda one: (one["type"] != "extra_forbidden", one["type"] == "missing"))
    first = _one(dict(found[0]), raw)
    if len(found) > 1:
        others = sorted({_key(one["loc"], raw) for one in found[1:]} - {first.key})
        if others:
            first.what += f" (also wrong: {', '.join(others[:4])})"
    return first


def _key(location: tuple[int | str, ...], raw: dict[str, Any]) -> str:
    """Return the dotted key of a place, with a table in a list under its own name."""
    here: Any = raw
    parts: list[str] = []
    for part in location:
        if isinstance(part, int) and isinstance(here, list) and part < len(here):
            here = here[part]
            name = here.get("name") if isinstance(here, dict) else None
            parts.append(name if isinstance(name, str) else f"[{part}]")
        elif isinstance(here, dict):
            # pydantic adds the branch of a union ("str", "tuple[...]") to the place; a recipe has no such key.
            if part not in here and parts and not _may_be_key(here, part):
                continue
            here = here.get(str(part))
            parts.append(str(part))
    return ".".join(parts)


def _may_be_key(here: dict[str, Any], part: int | str) -> bool:
    return isinstance(part, str) and part.isidentifier() and part not in ("str", "int", "float")


def _one(fault: dict[str, Any], raw: dict[str, Any]) -> Problem:
    key = _key(fault["loc"], raw)
    kind, context, given = fault["type"], fault.get("ctx", {}), fault.get("input")
    if kind == "extra_forbidden":
        return unknown(key)
    what, remedy = str(fault["msg"]).lower(), f"see `lhama explain {key}`"
    if kind == "missing":
        what, remedy = "missing", f"set it; `lhama explain {key}` says what it is"
    elif kind in WANTED:
        what = f"must be {WANTED[kind]}, is {given!r}"
    elif kind == "literal_error":
        what, remedy = f"{given!r} is not possible", f"choose {context['expected']}"
    elif kind in LIMITS:
        words, name = LIMITS[kind]
        what = f"{words} {context[name]:g}, is {given}"
        if kind == "multiple_of" and isinstance(given, int):
            step = int(context[name])
            remedy = f"try {step * max(1, round(given / step))}"
    elif kind == "string_pattern_mismatch":
        what = f"{given!r} has not the form it must have"
    return Problem(what, key=key, remedy=remedy)
