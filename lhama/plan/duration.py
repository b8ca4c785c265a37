"""A length of time as people write it: "3h30m" goes in, seconds come out."""

from __future__ import annotations

import re

from lhama.plan.problem import Problem

SECONDS = {"d": 86_400, "h": 3_600, "m": 60, "s": 1}
_WRITTEN = re.compile(r"(?=\d)(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?", re.ASCII)


def seconds_of(text: str) -> int:
    """Read days, hours, minutes and seconds in this order, each optional."""
    match = _WRITTEN.fullmatch(text.replace(" ", ""))
    total = (
        sum(int(number or 0) * unit for number, unit in zip(match.groups(), SECONDS.values(), strict=True))
        if match
        else 0
    )
    if total == 0:
        raise Problem(f"{text!r} is no length of time", remedy="write it as 3h30m, 90m, 45s or 2d")
    return total
