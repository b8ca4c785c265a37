"""Rows: the drawing in pack.py by hand, and every token a target exactly once an epoch."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from lhama.tokens.pack import Piece, Rows, StreamRows, alone, best_fit, cut, open_rows, target_places

DRAWN = np.array([0, 7, 10])  # <s> a b c d e </s> and <s> f </s>, with T = 4


def target_mask(pieces: list[Piece], sequence: int) -> NDArray[np.bool_]:
    """Say of each of a row's targets whether it counts."""
    mask = np.zeros(sequence, dtype=np.bool_)
    for first, last in target_places(pieces):
        mask[first:last] = True
    return mask


def targets_of(rows: Rows, sequence: int) -> list[int]:
    """Return the places of the stream that are targets, over all rows."""
    found: list[int] = []
    for row in range(rows.count):
        pieces = rows.pieces(row)
        places = np.concatenate([np.arange(start, start + length) for start, length in pieces])
        assert len(places) <= sequence + 1
        mask = target_mask(pieces, sequence)
        found += places[1:][mask[: len(places) - 1]].tolist()
        assert not mask[len(places) - 1 :].any()
    return found


def test_the_drawing_stream() -> None:
    rows = StreamRows(10, 4)
    assert [rows.pieces(row) for row in range(rows.count)] == [[(0, 5)], [(4, 5)], [(8, 2)]]
    assert target_mask([(8, 2)], 4).tolist() == [True, False, False, False]


def test_the_drawing_best_fit() -> None:
    rows = best_fit(DRAWN, 4)
    assert [rows.pieces(row) for row in range(rows.count)] == [[(0, 5)], [(4, 3)], [(7, 3)]]
    assert rows.waste(4) == pytest.approx(4 / 15)


def test_the_drawing_alone() -> None:
    rows = alone(DRAWN, 4)
    assert [rows.pieces(row) for row in range(rows.count)] == [[(0, 5)], [(4, 3)], [(7, 3)]]
    pair = alone(np.array([0, 3, 5]), 4)
    assert [pair.pieces(row) for row in range(pair.count)] == [[(0, 3)], [(3, 2)]]


def test_two_short_documents_share_a_row_and_neither_predicts_the_other() -> None:
    rows = best_fit(np.array([0, 3, 5]), 4)
    assert [rows.pieces(row) for row in range(rows.count)] == [[(0, 3), (3, 2)]]
    assert target_mask([(0, 3), (3, 2)], 4).tolist() == [True, True, False, True]


DOCUMENTS = st.lists(st.integers(2, 60), min_size=1, max_size=60)


@given(DOCUMENTS, st.integers(1, 40))
def test_stream_every_token_but_the_first_is_a_target_once(lengths: list[int], sequence: int) -> None:
    total = sum(lengths)
    assert targets_of(StreamRows(total, sequence), sequence) == list(range(1, total))


@given(DOCUMENTS, st.integers(1, 40))
def test_best_fit_every_token_but_each_beginning_is_a_target_once(lengths: list[int], sequence: int) -> None:
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    expected = sorted(set(range(int(offsets[-1]))) - set(offsets[:-1].tolist()))
    assert sorted(targets_of(best_fit(offsets, sequence), sequence)) == expected
    assert sorted(targets_of(alone(offsets, sequence), sequence)) == expected


@given(DOCUMENTS, st.integers(1, 40))
def test_best_fit_keeps_short_documents_whole(lengths: list[int], sequence: int) -> None:
    offsets = np.concatenate([[0], np.cumsum(lengths)]).tolist()
    rows = best_fit(np.array(offsets), sequence)
    pieces = {piece for row in range(rows.count) for piece in rows.pieces(row)}
    for start, stop in pairwise(offsets):
        if stop - start <= sequence + 1:
            assert (start, stop - start) in pieces


def naive(offsets: np.ndarray, sequence: int) -> list[list[Piece]]:
    """Pack one piece at a time, looking at every open row: best fit as the textbook has it."""
    pieces = sorted(((int(a), int(b)) for a, b in cut(offsets, sequence)), key=lambda piece: -piece[1])
    rows: list[list[Piece]] = []
    for piece in pieces:
        room = [sequence + 1 - sum(length for _, length in row) for row in rows]
        fitting = [number for number, left in enumerate(room) if left >= piece[1]]
        if fitting:
            rows[min(fitting, key=lambda number: room[number])].append(piece)
        else:
            rows.append([piece])
    return rows


@given(DOCUMENTS, st.integers(1, 40))
def test_placing_whole_lengths_at_once_equals_one_by_one(lengths: list[int], sequence: int) -> None:
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    rows = best_fit(offsets, sequence)
    ours = [sum(length for _, length in rows.pieces(row)) for row in range(rows.count)]
    theirs = [sum(length for _, length in row) for row in naive(offsets, sequence)]
    assert sorted(ours) == sorted(theirs)  # which of two rows with the same room is taken makes no difference to this


def test_the_index_on_disk_is_made_once_and_read_back(tmp_path: Path) -> None:
    offsets = np.concatenate([[0], np.cumsum(np.arange(2, 90))])
    np.save(tmp_path / "documents.npy", offsets)
    first = open_rows(tmp_path, int(offsets[-1]), 32, "best-fit")
    written = (tmp_path / "rows-T32-best-fit.npy").stat().st_mtime_ns
    again = open_rows(tmp_path, int(offsets[-1]), 32, "best-fit")
    assert (tmp_path / "rows-T32-best-fit.npy").stat().st_mtime_ns == written
    expected = best_fit(offsets, 32)
    for rows in (first, again):
        assert [rows.pieces(row) for row in range(rows.count)] == [expected.pieces(r) for r in range(expected.count)]
