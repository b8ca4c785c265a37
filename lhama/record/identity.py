"""When two pieces of work are the same work: recipe slices compared key by key.

In: the slice an earlier process wrote down and the slice the recipe asks for now. Out: the differences that matter,
each with its kind: `result` (the stage must be done anew), `extend` (there is more to do), `shrink` (an extended key
went back). Operational keys never matter; a key that the old slice does not know counts as equal at its default, and
one that recipes no longer have is ignored, so that a new version of Lhama does not throw work away.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from lhama.plan.problem import Problem

UNKNOWN = object()


@dataclass(frozen=True)
class Difference:
    """One key that is not what it was."""

    key: str
    old: Any
    new: Any
    kind: str

    def __str__(self) -> str:
        return f"{self.key} {_short(self.old)} -> {_short(self.new)}"


def differences(old: Mapping[str, Any], new: Mapping[str, Any], finished: bool = False) -> list[Difference]:
    """List the keys that differ and matter; a finished reading may hold more than is asked for now."""
    found: list[Difference] = []
    for key in {**new, **old}:
        found += _differ(key, key, old.get(key, UNKNOWN), new.get(key, UNKNOWN), finished)
    return found


def differing_inputs(old: Mapping[str, str], new: Mapping[str, str]) -> list[Difference]:
    """List the inputs whose content is not what it was."""
    changed = [label for label in {**new, **old} if old.get(label) != new.get(label)]
    # Twelve digits of a hash tell two contents apart for a reader.
    pairs = [(label, old.get(label, "absent")[:12], new.get(label, "absent")[:12]) for label in changed]
    return [Difference(f"input {label}", before, after, "result") for label, before, after in pairs]


def digest(outputs: Mapping[str, str]) -> str:
    """Hash names and hashes of a stage's outputs into its identity."""
    text = json.dumps(dict(sorted(outputs.items())), ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _differ(key: str, shown: str, old: Any, new: Any, finished: bool) -> Iterator[Difference]:
    """Compare one key; `shown` is its name with positions, such as train.phase[1].tokens."""
    from lhama.plan.recipe import MAY_STAY, default_of, kind_of

    try:
        kind = kind_of(key)
    except Problem:  # a key that recipes no longer have
        return
    old = default_of(key) if old is UNKNOWN else old
    new = default_of(key) if new is UNKNOWN else new
    if kind == "operational" or old == new or (finished and new is None and key in MAY_STAY):
        return
    if _is_table_list(old) and _is_table_list(new):
        yield from _differ_in_tables(key, shown, old, new, kind, finished)
    elif kind == "extend":
        yield Difference(shown, old, new, "extend" if _grew(old, new) else "shrink")
    else:
        yield Difference(shown, old, new, "result")


def _differ_in_tables(
    key: str, shown: str, old: list[Any], new: list[Any], kind: str, finished: bool
) -> Iterator[Difference]:
    """Compare lists of tables one by one; only the last old table of an extendable list may grow itself."""
    for position, (before, after) in enumerate(zip(old, new, strict=False)):
        for name in {**after, **before}:
            label = f"{shown}[{position}].{name}"
            values = (before.get(name, UNKNOWN), after.get(name, UNKNOWN))
            for found in _differ(f"{key}.{name}", label, *values, finished):
                past = found.kind == "extend" and position < len(old) - 1
                yield Difference(found.key, found.old, found.new, "result" if past else found.kind)
    if len(old) != len(new):
        longer = "extend" if len(new) > len(old) else "shrink"
        yield Difference(shown, f"{len(old)} of them", f"{len(new)} of them", longer if kind == "extend" else "result")


def _is_table_list(value: Any) -> bool:
    return isinstance(value, list | tuple) and all(isinstance(item, dict) for item in value)


def _grew(old: Any, new: Any) -> bool:
    """Say whether a horizon moved outwards; an absent one follows from other keys, which are compared themselves."""
    if old is None or new is None:
        return True
    return isinstance(old, int | float) and isinstance(new, int | float) and new > old


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False) if not isinstance(value, str) else value
    return text if len(text) <= 60 else f"{text[:57]}..."
