"""The very same corpus, byte for byte, from tasks on a Ray cluster of this machine."""

import json
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lhama.corpus import stage
from lhama.corpus.pool import work
from lhama.plan.problem import Problem
from lhama.plan.recipe import load
from lhama.record.run import Run
from tests.corpus.conftest import MakeCorpus
from tests.corpus.test_killed import result
from tests.corpus.texts import names, prose, source, write

LABELS = '[[corpus.classifier]]\nname = "ponto"\nlabels = "labels.jsonl"\n'
FULL = 'rules = ["gopher-quality"]\nrepair = ["spaces"]\nnear_duplicates = true\ncontained = 0.8\nrepeated_lines = 3\n'


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Start Ray with two places for tasks, and end it and its processes whatever happens."""
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")  # a token would be written into the home folder
    ray = pytest.importorskip("ray")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Ray's own, about what it will change
        ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, _node_ip_address="127.0.0.1")
        try:
            yield ray
        finally:
            ray.shutdown()


def refuse(number: int) -> int:
    if number == 3:
        raise Problem("three is too many", key="corpus.documents_per_domain", remedy="take two")
    return number


@pytest.mark.slow
def test_a_cluster_changes_no_byte(
    cluster: Any, make_corpus: MakeCorpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [{"text": prose(number, 1), "label": number % 2} for number in range(60)]
    (tmp_path / "labels.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    for name in ("um", "dois", "tres"):
        ids = [*names(name, 30), *names(name, 2, held=True)]
        write(tmp_path / f"{name}.jsonl", {one: prose((name, place % 28)) for place, one in enumerate(ids)})
    sources = LABELS + source("um") + source("dois") + source("tres")
    alone = result(make_corpus(sources, FULL).folder)
    read = result(tmp_path / "runs" / "text" / "read")

    monkeypatch.chdir(tmp_path)  # the cluster's processes stand elsewhere
    recipe = load("recipe.toml", ["corpus.engine=ray"])
    stage.run_stage(recipe, run := Run.open(recipe, Path("other")))
    assert result(run.path("corpus")) == alone
    assert result(run.path("read")) == read
    assert cluster.is_initialized(), "what someone else has started is left running"

    with pytest.raises(Problem, match=r"corpus\.documents_per_domain: three is too many; take two"):
        list(work(refuse, range(5), 1, engine="ray"))
    grown = work(refuse, [10, 20], 1, following=lambda n: n + 1 if n % 10 < 4 else None, engine="ray")
    assert sorted(grown) == [10, 11, 12, 13, 14, 20, 21, 22, 23, 24]
