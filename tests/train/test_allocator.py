"""The garbage collector rests while a block runs; what others have frozen is none of its business."""

import gc
from collections.abc import Iterator

import pytest

from lhama.train.allocator import collector_at_rest


@pytest.fixture
def thawed() -> Iterator[None]:
    """Let the collector see all objects, as in a process that has frozen none."""
    gc.unfreeze()
    yield
    gc.freeze()


def test_objects_are_frozen_as_long_as_the_collector_rests(thawed: None) -> None:
    with collector_at_rest():
        assert not gc.isenabled() and gc.get_freeze_count() > 0
    assert gc.isenabled() and gc.get_freeze_count() == 0


def test_what_was_frozen_before_stays_frozen_and_nothing_else_is(thawed: None) -> None:
    gc.freeze()
    made: list[object] = []
    with collector_at_rest():
        assert not gc.isenabled()
        made.append([made])
    assert gc.isenabled() and gc.get_freeze_count() > 0
    assert any(one is made[0] for one in gc.get_objects())  # which lists none that are frozen
