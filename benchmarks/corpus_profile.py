"""Where the processor time of cleaning goes: each step of `clean` measured on one core, over all sources of a recipe.

In goes a recipe whose data is here, out comes one line of JSON: megabytes of text, and nanoseconds a byte of each step
and of all together. Documents come in batches as the stage makes them. Steps are measured where `clean` calls them, so
what lies between (copies of columns, casts) is told as "the rest". Classifiers are trained and test sets indexed first,
in a folder that goes again.

    python benchmarks/corpus_profile.py RECIPE
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pyarrow as pa
import zstandard

from lhama.corpus import (
    boilerplate,
    contained,
    decontaminate,
    language,
    looking,
    measure,
    minhash,
    pii,
    repair,
    rules,
    variety,
)
from lhama.corpus.cleaning import clean, cleaning_of
from lhama.corpus.tools import make_tools
from lhama.corpus.units import BATCH_CHARACTERS, BATCH_ROWS
from lhama.plan.recipe import load

STEPS: dict[str, tuple[ModuleType, str]] = {
    "repair": (repair, "repair"),
    "language": (language, "identify"),
    "variety": (variety, "judge"),
    "rules": (rules, "measure_rules"),
    "classifier": (looking, "score"),
    "personal data": (pii, "mask"),
    "test sets": (decontaminate, "without"),
    "near duplicates": (minhash, "signatures"),
    "contained": (contained, "sampled"),
    "repeated lines": (boilerplate, "lines_of"),
    "characters and words": (measure, "measure"),
}


class Clock:
    """Add up the processor time that functions take."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    def timed(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def run(*given: Any, **named: Any) -> Any:
            begun = time.process_time()
            found = function(*given, **named)
            self.seconds[name] = self.seconds.get(name, 0.0) + time.process_time() - begun
            return found

        return run

    def watch(self) -> None:
        """Put a clock around each step, where `clean` will look for it, and around each kind of repair."""
        for name, module in list(repair.STEPS.items()):
            mend = self.timed(f"repair: {name}", module.mend)
            repair.STEPS[name] = SimpleNamespace(NAMES=module.NAMES, mend=mend)  # type: ignore[assignment]
        for name, (module, function) in STEPS.items():
            setattr(module, function, self.timed(name, getattr(module, function)))


def batches(path: Path) -> Iterator[list[str]]:
    """Read the texts of a file in batches of the stage's size."""
    held: list[str] = []
    size = 0
    with zstandard.open(path, "rt", encoding="utf-8") as file:
        for line in file:
            held.append(json.loads(line)["text"])
            size += len(held[-1])
            if size >= BATCH_CHARACTERS or len(held) >= BATCH_ROWS:
                yield held
                held, size = [], 0
    if held:
        yield held


def main() -> None:
    recipe = load(sys.argv[1])
    clock, total, size = Clock(), 0.0, 0
    with tempfile.TemporaryDirectory() as name:
        tools = Path(name)
        make_tools(recipe, tools)
        clock.watch()
        for source in recipe.corpus.source:
            cleaning = cleaning_of(recipe, source, tools)
            if not size:  # kernels are loaded before the clock runs
                clean(pa.array(["Um texto curto."], pa.large_string()), cleaning)
                clock.seconds.clear()
            for path in source.paths:
                for texts in batches(Path(path)):
                    column = pa.array(texts, pa.large_string())
                    size += sum(len(text.encode()) for text in texts)
                    begun = time.process_time()
                    clean(column, cleaning)
                    total += time.process_time() - begun
    found = clock.seconds
    found["the rest"] = total - sum(found.get(name, 0.0) for name in STEPS)
    found["all"] = total
    costs = {step: round(seconds / size * 1e9, 3) for step, seconds in found.items()}
    print(json.dumps({"megabytes": round(size / 1e6, 1), "nanoseconds_per_byte": costs}))


if __name__ == "__main__":
    main()
