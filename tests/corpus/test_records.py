"""Records come back from columns and from slices as they went in, and nothing is left on disk."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lhama.corpus.records import MOST_SLICES, Columns, packed, sliced, slices_for, unpacked

RECORDS = st.lists(st.tuples(st.integers(0, 2**64 - 1), st.integers(-(2**63), 2**63 - 1)), max_size=20)


@settings(deadline=None)
@given(st.lists(RECORDS, max_size=4), st.sampled_from([1, 2, 4, 16]))
def test_slices_hold_all_records_and_equal_keys_together(rows: list[list[tuple[int, int]]], slices: int) -> None:
    def parts() -> Iterator[Columns]:
        for some in rows:
            yield np.array([key for key, _ in some], np.uint64), np.array([size for _, size in some], np.int64)

    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder) / "deep/scratch"
        with sliced(parts(), (np.uint64, np.int64), slices, scratch) as pieces:
            once = [list(zip(keys.tolist(), sizes.tolist(), strict=True)) for keys, sizes in pieces]
            again = [list(zip(keys.tolist(), sizes.tolist(), strict=True)) for keys, sizes in pieces]
            assert scratch.is_dir() == (slices > 1)
        assert not scratch.exists()
    assert once == again and len(once) == slices
    assert sorted(record for piece in once for record in piece) == sorted(record for some in rows for record in some)
    homes: dict[int, int] = {}
    for number, piece in enumerate(once):
        assert all(homes.setdefault(key, number) == number for key, _ in piece)


def test_scratch_is_taken_away_when_something_fails(tmp_path: Path) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    (scratch / "left by a killed run").touch()
    with pytest.raises(RuntimeError), sliced([], (np.uint64,), 2, scratch) as pieces:
        assert [len(keys) for (keys,) in pieces] == [0, 0]
        raise RuntimeError
    assert not scratch.exists()


def test_the_number_of_slices() -> None:
    assert [slices_for(records, 100) for records in (0, 100, 101, 200, 201, 1000)] == [1, 1, 2, 2, 4, 16]
    assert slices_for(10**15, 100) == MOST_SLICES


@settings(deadline=None)
@given(
    st.lists(st.lists(st.tuples(st.integers(0, 2**64 - 1), st.integers(-(2**63), 2**63 - 1)), max_size=4), max_size=6)
)
def test_records_come_back(rows: list[list[tuple[int, int]]]) -> None:
    documents = np.array([number for number, some in enumerate(rows) for _ in some], np.int64)
    keys: npt.NDArray[np.uint64] = np.array([key for some in rows for key, _ in some], np.uint64)
    sizes = np.array([size for some in rows for _, size in some], np.int64)
    column = packed(documents, len(rows), [keys, sizes])
    column.validate(full=True)
    assert len(column) == len(rows)
    for one in (column, pa.chunked_array([column[:2], column[2:]]), column.cast(pa.binary())):
        where, (ours, theirs) = unpacked(one, (np.uint64, np.int64))
        assert (where == documents).all() and (ours == keys).all() and (theirs == sizes).all()
    later, (ours, _) = unpacked(column[1:], (np.uint64, np.int64))
    assert (later == documents[documents >= 1] - 1).all() and (ours == keys[documents >= 1]).all()
