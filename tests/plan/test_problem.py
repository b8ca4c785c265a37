"""The user's exception: its sentence, and that it survives a trip to another process."""

import pickle

from lhama.plan.problem import Problem


def test_it_reads_as_key_what_and_remedy() -> None:
    assert str(Problem("is wrong", key="train.tokens", remedy="try 5")) == "train.tokens: is wrong; try 5"
    assert str(Problem("is wrong")) == "is wrong"


def test_it_crosses_processes() -> None:
    # Exceptions are rebuilt from positional arguments; ours are keywords, so worker pools once hung on them.
    there = pickle.loads(pickle.dumps(Problem("is wrong", key="a.b", remedy="mend it")))
    assert (there.what, there.key, there.remedy) == ("is wrong", "a.b", "mend it")
