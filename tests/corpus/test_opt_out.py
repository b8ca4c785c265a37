"""Owners are heard: documents leave by their ids."""

from pathlib import Path

import pyarrow as pa
import pytest

from lhama.corpus.opt_out import opted_out, read_opt_out
from lhama.plan.problem import Problem


def test_an_id_leaves_everywhere_or_in_one_source_and_takes_its_parts(tmp_path: Path) -> None:
    path = tmp_path / "fora.txt"
    path.write_text("a\n\n  b \nwiki/c\ncaminho/d\né#1\na\n", encoding="utf-8")
    ids = read_opt_out(path)
    names = pa.array(["a", "b", "c", "caminho/d", "a#2", "a#x", "é#1", "é#2", "e", None])
    assert list(opted_out(names, "wiki", ids)) == [True, True, True, True, True, False, True, False, False, False]
    assert list(opted_out(names, "blog", ids)) == [True, True, False, True, True, False, True, False, False, False]


def test_an_empty_list_takes_nobody(tmp_path: Path) -> None:
    path = tmp_path / "fora.txt"
    path.write_text("\n")
    assert list(opted_out(pa.array(["a", ""]), "wiki", read_opt_out(path))) == [False, False]


@pytest.mark.parametrize("raw", [b"caf\xe9\n", b"\x1f\x8b\x08\x00broken"])
def test_a_list_that_cannot_be_read_whole_is_a_problem(raw: bytes, tmp_path: Path) -> None:
    path = tmp_path / "fora.txt"
    path.write_bytes(raw)
    with pytest.raises(Problem, match=r"fora\.txt"):
        read_opt_out(path)
    with pytest.raises(Problem, match=r"corpus\.opt_out"):
        read_opt_out(tmp_path / "nada.txt")
