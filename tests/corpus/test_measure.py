"""Measurements over Arrow's buffers against plain Python on arbitrary text."""

import hashlib
import re
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lhama.corpus import engine, heldout, keys
from lhama.corpus.measure import FIELDS, measure, without_marks

TEXTS = st.lists(st.text(alphabet=st.one_of(st.characters(exclude_categories=["Cs"]), st.sampled_from(" \n\t\u2581"))))


def measured(texts: Any) -> Any:
    texts = pa.array(texts, pa.large_string()) if texts.type != pa.large_string() else texts
    clean = without_marks(texts)
    changed = np.flatnonzero([one != other for one, other in zip(texts.to_pylist(), clean.to_pylist(), strict=True)])
    columns = measure(texts, clean, changed)
    return pa.StructArray.from_arrays([columns[name] for name in FIELDS], list(FIELDS))


def by_plain_python(text: str) -> dict[str, int]:
    seen = text.replace("\u2581", " ")
    key = hashlib.sha256(seen.encode()).digest()
    sizes = {
        prefix + name: value
        for prefix, of in (("", text), ("clean_", seen))
        for name, value in (
            ("bytes", len(of.encode())),
            ("characters", len(of.strip())),
            ("words", len(re.findall(rb"[^ \t\n\v\f\r]+", of.encode()))),
        )
    }
    return sizes | {
        "marks": text.count("\u2581"),
        "key_high": int.from_bytes(key[:8], "big", signed=True),
        "key_low": int.from_bytes(key[8:16], "big", signed=True),
    }


@settings(deadline=None)
@given(TEXTS)
def test_a_batch_is_measured_as_each_text_is(texts: list[str]) -> None:
    assert measured(pa.array(texts, pa.large_string())).to_pylist() == [by_plain_python(text) for text in texts]


def test_a_slice_of_an_array_is_measured_by_itself() -> None:
    texts = pa.array(["um dois", "três", "", "quatro cinco seis", " "], pa.large_string())
    assert measured(texts.slice(1, 3)).field("words").to_pylist() == [1, 0, 3]


def test_the_engine_maps_in_order() -> None:
    texts = [f"texto {number} " * (number % 7) for number in range(3000)]
    table = pa.table({"position": range(10, 3010), "text": texts, "other": range(3000)})
    found = engine.mapped(table, "text", measured, FIELDS)
    assert found["words"].to_pylist() == [len(text.split()) for text in texts]
    assert found["other"].to_pylist() == list(range(3000))


@given(st.lists(st.tuples(st.integers(-2, 2), st.integers(0, 1), st.integers(-50, 50)), unique_by=lambda row: row[2]))
def test_the_engine_finds_all_but_the_first_of_each_key(rows: list[tuple[int, int, int]]) -> None:
    first: dict[tuple[int, int], int] = {}
    for high, low, order in rows:
        first[high, low] = min(order, first.get((high, low), order))
    expected = sorted((order, first[high, low]) for high, low, order in rows if first[high, low] != order)
    columns = [pa.array([row[place] for row in rows], pa.int64()) for place in range(3)]
    found = engine.not_first(pa.table(columns, names=["high", "low", "order"]))
    assert list(zip(found["order"].to_pylist(), found["first"].to_pylist(), strict=True)) == expected


def test_the_held_out_rule_is_the_documented_one() -> None:
    chosen = [name for name in map(str, range(1000)) if heldout.is_held_out(heldout.digest("fonte", name))]
    by_hand = [
        name
        for name in map(str, range(1000))
        if int(hashlib.sha256(f"fonte/{name}".encode()).hexdigest(), 16) % 50 == 0
    ]
    assert chosen == by_hand
    assert 8 <= len(chosen) <= 35  # 20 expected, standard deviation 4.4; fixed names, so this cannot flicker


@given(st.lists(st.tuples(st.integers(-3, 3), st.integers(0, 1)), max_size=60), st.integers(1, 20))
def test_repeats_are_the_same_whatever_the_slices(pairs: list[tuple[int, int]], slice_rows: int) -> None:
    high = np.array([high for high, _ in pairs], np.int64)
    low = np.array([low for _, low in pairs], np.int64)
    order = np.arange(len(pairs), dtype=np.int64) * 5
    chosen = order % 3 != 1
    first: dict[tuple[int, int], int] = {}
    later = {}
    for pair, number in zip(pairs, order.tolist(), strict=True):
        if number % 3 != 1 and first.setdefault(pair, number) != number:
            later[number] = first[pair]
    halves = (slice(1, None, 2), slice(None, None, 2))
    parts = [keys.key_columns(high[half], low[half], order[half], chosen[half]) for half in halves]
    with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory() as scratch:
        patch.setattr(keys, "SLICE_ROWS", slice_rows)
        found = keys.later_of(parts, len(pairs), Path(scratch) / "scratch")
    assert dict(zip(found["order"].to_pylist(), found["first"].to_pylist(), strict=True)) == later
    assert found["order"].to_pylist() == sorted(later)
