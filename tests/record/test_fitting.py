"""A law from the records of runs: what is read, what is refused, and what is said."""

import json
from pathlib import Path

import pytest

from lhama.plan.problem import Problem
from lhama.plan.recipe import dumps, load
from lhama.plan.scaling import LAWS, Law, expected_loss
from lhama.record.fitting import fit_tables, fitted

BASE = LAWS["besiroglu"]
MANIFEST = {"slice": {}, "inputs": {}, "outputs": {}, "seconds": 1.0}
OWN = Law("own", 1.1, 0.4 * BASE.A, 0.4 * BASE.B, BASE.alpha, BASE.beta)


def finished(runs: Path, name: str, parameters: int, tokens: int, identity: str = "same") -> None:
    (runs / name / "train").mkdir(parents=True)
    (runs / name / "tokens").mkdir()
    (runs / name / "recipe.toml").write_text(dumps(load("demo", [f"name={name}"])), encoding="utf-8")
    said = {"parameters": {"total": parameters}, "tokens": tokens}
    said["validation"] = {"loss": expected_loss(parameters, tokens, OWN)}
    (runs / name / "train" / "final.json").write_text(json.dumps(said), encoding="utf-8")
    (runs / name / "tokens" / "manifest.json").write_text(json.dumps(MANIFEST | {"identity": identity}))


def test_the_three_smallest_of_four_runs_foretell_the_fourth(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sizes = (("a", 10**5), ("b", 3 * 10**5), ("c", 10**6), ("d", 3 * 10**6))
    for name, size in sizes:
        finished(tmp_path, name, size, 20 * size)
    found = fitted(["d", "a", "b", "c", "a"], tmp_path)
    assert [one["name"] for one in found["runs"]] == ["d", "a", "b", "c"]
    assert found["forecast"]["run"] == "d" and found["forecast"]["error"] == pytest.approx(0, abs=1e-9)
    assert found["law"]["E"] == pytest.approx(1.1) and found["free"] == ["E", "scale"]
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    fit_tables(found)
    said = capsys.readouterr().out
    assert "Fitted without d" in said and "cannot decide five constants" in said and "Besiroglu" in said


def test_runs_that_cannot_be_compared_are_refused(tmp_path: Path) -> None:
    finished(tmp_path, "a", 10**5, 10**6)
    finished(tmp_path, "b", 10**6, 10**7, identity="other")
    with pytest.raises(Problem, match="a and b have other tokens"):
        fitted(["a", "b"], tmp_path)
    (tmp_path / "b" / "train" / "final.json").unlink()
    with pytest.raises(Problem, match="b is not finished"):
        fitted(["a", "b"], tmp_path)
    with pytest.raises(Problem, match="two finished runs"):
        fitted(["a"], tmp_path)
    with pytest.raises(Problem, match="no run named 'c'"):
        fitted(["a", "c"], tmp_path)


def test_two_runs_make_a_law_and_no_forecast(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    finished(tmp_path, "a", 10**5, 10**6)
    finished(tmp_path, "b", 10**6, 10**7)
    found = fitted(["a", "b"], tmp_path)
    assert found["forecast"] is None
    fit_tables(found)
    assert "With one run more" in capsys.readouterr().out
