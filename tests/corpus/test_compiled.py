"""Compiled kernels are kept by the state of all their sources, and old ones do not pile up."""

import os
from pathlib import Path

import pytest
from numba import config

from lhama.corpus import compiled, words


def test_kernels_are_kept_under_the_state_of_their_sources() -> None:
    assert compiled.KERNELS is not None
    assert compiled.KERNELS.name == f"kernels-{compiled.fingerprint()}"
    assert Path(vars(config)["CACHE_DIR"]) == compiled.KERNELS
    assert str(words.cut.stats.cache_path).startswith(str(compiled.KERNELS))


def test_another_source_is_another_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    house = tmp_path / "lhama"
    for name in ("corpus/compiled.py", "corpus/a.py", "tokens/b.py"):
        (house / name).parent.mkdir(parents=True, exist_ok=True)
        (house / name).write_text("import numba\n")
    monkeypatch.setattr(compiled, "__file__", str(house / "corpus" / "compiled.py"))
    states = [compiled.fingerprint()]
    (house / "corpus" / "a.py").write_text("import numba  # changed\n")
    states.append(compiled.fingerprint())
    (house / "tokens" / "c.py").write_text("no kernels here\n")
    states.append(compiled.fingerprint())
    assert states[0] != states[1] == states[2]


def test_old_states_go_and_a_place_without_write_access_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(vars(config), "CACHE_DIR", vars(config)["CACHE_DIR"])
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
    for age in range(5):
        (tmp_path / f"kernels-{age}").mkdir()
        os.utime(tmp_path / f"kernels-{age}", (1000 + age, 1000 + age))
    kept = compiled.keep_kernels()
    assert kept is not None
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(["kernels-3", "kernels-4", kept.name])
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "file"))
    assert compiled.keep_kernels() is None
