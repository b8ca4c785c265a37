"""One run that dies at every kind of place ends as the run that never died, to the bit.

The places inside a save - every write, fsync, rename and deletion - are in test_resume.py; here are the others.
"""

import os
import random
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from lhama.model.device import missing_compiler
from lhama.plan.schedule import phases
from lhama.tokens.loader import Loader
from lhama.train import assembly, loop, save
from tests.train.conftest import MakePlace, Place, same_outcome
from tests.train.test_resume import wait_for
from tests.train.test_save import Crash

# 12 steps of the mixture, then 18 of one source alone, of 1,024 tokens each, which goes through it more than once.
PHASES = """
[[train.phase]]
name = "tudo"
tokens = 6144
[[train.phase]]
name = "somas"
tokens = 18432
batch_tokens = 1024
mixture = { somas = 1.0 }
"""
FIRST_OF_PHASE, LAST = 12, 30


def in_two_phases(place: Place) -> Place:
    path = place.folder / "pequeno.toml"
    path.write_text(path.read_text().replace("tokens = 12288\n", "") + PHASES)
    return place


def epoch_steps(place: Place) -> list[int]:
    """Find the steps in which a source begins its next epoch."""
    recipe = place.recipe()
    loader = Loader(place.train.parent / "tokens", phases(recipe), 64, "stream", recipe.seed)
    epochs = [{name: int(epoch) for name, epoch in loader.epochs(step).items()} for step in range(LAST + 1)]
    return [step for step in range(1, LAST) if epochs[step] != epochs[step - 1]]


class Death:
    """Dies once at each of a list of places, in their order; what is done between is honest."""

    def __init__(self, places: list[tuple[str, int]]) -> None:
        self.left = list(places)

    def reached(self, what: str, step: int) -> None:
        if self.left and self.left[0] == (what, step):
            self.left.pop(0)
            raise Crash

    def patch(self, patch: pytest.MonkeyPatch) -> None:
        for what, name in (("before a step", "take_step"), ("before a save", "save"), ("before a row", "log")):
            patch.setattr(loop.Training, name, self._dying(what, getattr(loop.Training, name)))
        patch.setattr(loop.Training, "record", self._dying("before a validation's row", loop.Training.record))
        for what, name in (("in a validation", "score"), ("in samples", "_write_samples")):
            patch.setattr(assembly, name, self._dying(what, getattr(assembly, name)))
        honest_write = save.write

        def write(snapshot: save.Snapshot, train: Path) -> Path:
            if self.left and self.left[0] == ("in a save", snapshot.step):
                self.left.pop(0)
                part = train / f"{save.folder_name(snapshot.step)}.part"
                part.mkdir()
                (part / "model.safetensors").write_bytes(b"half")
                raise Crash
            return honest_write(snapshot, train)

        patch.setattr(save, "write", write)

    def _dying(self, what: str, honest: Any) -> Any:
        def call(training: Any, *given: Any, **named: Any) -> Any:
            self.reached(what, training.step)
            return honest(training, *given, **named)

        return call


@pytest.mark.parametrize(
    ("background", "precision"),
    [
        pytest.param("true", "bf16"),
        pytest.param("false", "fp32", marks=pytest.mark.slow),
        pytest.param("true", "fp32", marks=pytest.mark.slow),
        pytest.param("false", "bf16", marks=pytest.mark.slow),
    ],
)
def test_dying_at_every_kind_of_place_changes_nothing(make_place: MakePlace, background: str, precision: str) -> None:
    whole, killed = in_two_phases(make_place()), in_two_phases(make_place())
    changes = (f"train.save_in_background={background}", f"train.precision={precision}")
    whole.run(*changes)
    (epoch, *_) = [step for step in epoch_steps(whole) if step > FIRST_OF_PHASE]
    places = [
        ("before a step", 0),
        ("before a step", 1),
        ("before a row", 2),
        ("before a save", 4),
        ("in a validation", 4),
        ("before a validation's row", 4),
        ("in a save", 8),
        ("in samples", 8),
        ("before a step", FIRST_OF_PHASE - 1),
        ("before a save", FIRST_OF_PHASE),
        ("in a save", FIRST_OF_PHASE),
        ("before a step", FIRST_OF_PHASE),
        ("before a step", epoch - 1),
        ("before a step", epoch),
        ("before a step", LAST - 1),
        ("before a save", LAST),
        ("in a save", LAST),
        ("before a row", LAST),
        ("in a validation", LAST),
        ("in samples", LAST),
    ]
    death = Death(places)
    with pytest.MonkeyPatch.context() as patch:
        death.patch(patch)
        deaths = 0
        while death.left:
            with pytest.raises(Crash):
                killed.run(*changes)
            deaths += 1
    # While a thread dies in a save, the steps beside it may come to the next place: one death fewer for both.
    assert deaths >= len(places) - 3
    killed.run(*changes)
    same_outcome(whole.train, killed.train)


def test_death_while_a_save_is_in_flight_goes_back_to_the_one_before(make_place: MakePlace, finished: Place) -> None:
    """Training is two steps further when the process dies with the checkpoint of step 8 half written."""
    killed = make_place()
    dead = threading.Event()
    honest_write, honest_step = save.write, loop.Training.take_step

    def write(snapshot: save.Snapshot, train: Path) -> Path:
        if snapshot.step != 8:
            return honest_write(snapshot, train)
        (train / "step-0000008.part").mkdir()
        dead.wait(30)
        raise Crash

    def take_step(self: loop.Training) -> None:
        if self.step == 10:
            dead.set()
            raise Crash
        honest_step(self)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(save, "write", write)
        patch.setattr(loop.Training, "take_step", take_step)
        with pytest.raises(Crash):
            killed.run()
    assert list(save.checkpoints(killed.train)) == [4]
    assert killed.rows("loss")[-1]["step"] == 10  # rows that the resumed run makes again
    killed.run()
    same_outcome(finished.train, killed.train)


def start_with_cache(place: Place, cache: Path, *changes: str) -> subprocess.Popen[bytes]:
    words = [str(place.folder / "pequeno.toml"), str(place.folder / "runs"), *changes]
    return subprocess.Popen(
        [sys.executable, "-m", "tests.train.drive", *words],
        cwd=Path(__file__).parents[2],
        env=os.environ | {"TORCHINDUCTOR_CACHE_DIR": str(cache)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


@pytest.mark.slow
@pytest.mark.skipif(missing_compiler("cpu") is not None, reason="there is no compiler here")
@pytest.mark.parametrize("precision", ["bf16", "fp32"])
def test_compiled_training_resumes_to_the_bit_from_a_fresh_compile_cache(
    make_place: MakePlace, tmp_path: Path, precision: str
) -> None:
    whole, killed = make_place(), make_place()
    changes = (
        "train.compile=on",
        f"train.precision={precision}",
        "train.save_in_background=true",
        "train.tokens=24576",
    )
    assert start_with_cache(whole, tmp_path / "cache-whole", *changes).wait() == 0
    draw = random.Random(precision)
    for number in range(2):
        process = start_with_cache(killed, tmp_path / f"cache-{number}", *changes)
        before = len(killed.rows("loss"))
        if number:
            wait_for(lambda: any(killed.train.glob("step-*.part")), process)  # type: ignore[arg-type]
        else:
            wait_for(lambda: len(killed.rows("loss")) > before + 2, process)  # type: ignore[arg-type]  # noqa: B023
            time.sleep(draw.uniform(0, 0.1))
        process.kill()
        process.wait()
    assert start_with_cache(killed, tmp_path / "cache-last", *changes).wait() == 0
    same_outcome(whole.train, killed.train)
