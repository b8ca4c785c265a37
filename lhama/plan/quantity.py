"""A number of tokens as people write it: "6.2B" goes in, 6,200,000,000 comes out."""

from __future__ import annotations

import re

from lhama.plan.problem import Problem

SIZES = {"": 1, "K": 10**3, "M": 10**6, "B": 10**9, "G": 10**9, "T": 10**12}
_WRITTEN = re.compile(r"([0-9]+(?:_[0-9]{3})*(?:\.[0-9]+)?(?:[eE][0-9]{1,2})?)\s*([kKmMbBgGtT]?)", re.ASCII)


def count_of(text: str, key: str) -> int:
    """Read a positive number with an optional K, M, B or T; commas between thousands are left out."""
    match = _WRITTEN.fullmatch(text.strip().replace(",", ""))
    number = float(match[1].replace("_", "")) * SIZES[match[2].upper()] if match else 0.0
    if not 1 <= number <= 1e16:
        raise Problem(f"{text!r} is no number of tokens", key=key, remedy="write it as 6.2B, 500M or 6200000000")
    return round(number)
