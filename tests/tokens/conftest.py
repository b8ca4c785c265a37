"""A throw-away vocabulary and token folders made by hand, for the tests of this room."""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import settings

from lhama.plan.schedule import Phase
from lhama.tokens.vocabulary import VocabularySettings, train_vocabulary

settings.register_profile("patient", deadline=None)  # a busy machine is no fault of the code
settings.load_profile("patient")

NAMES = ["Ana", "João", "Zé", "Conceição", "Iracema", "Inês", "Tomé"]
VERBS = ["comeu", "vendeu", "pôs", "não achou", "levou embora", "escreveu sobre"]
THINGS = ["o pão", "a maçã", "três ovos", "os pães", "uma canção", "o avô", "a lição número 42"]
DIRT = [
    "----------------\n",
    "............ e então... acabou!...\n",
    "        def soma(a, b):\n            return a + b\n",
    "ababababab aaaaaaaa bbbbb aaa abab --- == ==== ===== ======\n",
    "haha hahaha hahahaha kkkkk kkkkkkkk\n",
    "| --- | ---- | ----- |\r\n\tum\tdois\n",
]


def small_text() -> list[tuple[str, str, str]]:
    """Return (source, id, text) of a little Portuguese with runs and code in it."""
    found = []
    for number in range(1200):
        name, verb, thing = NAMES[number % 7], VERBS[number // 7 % 6], THINGS[number // 42 % 7]
        text = f"{name} {verb} {thing}.\nDepois, {NAMES[(number * 5 + 1) % 7]} {VERBS[number % 6]} {thing}!\n"
        found.append(("contos", str(number), text + DIRT[number % 6]))
    return found


@pytest.fixture(scope="session")
def vocabulary_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Train a vocabulary of 640 pieces, once for all tests."""
    folder = tmp_path_factory.mktemp("vocabulary")
    train_vocabulary(small_text(), VocabularySettings(size=640, sample_bytes=10**7), folder)
    return folder


WriteTokens = Callable[[Mapping[str, Sequence[int]]], Path]


@pytest.fixture
def write_tokens(tmp_path: Path) -> WriteTokens:
    """Make a tokens folder from the lengths of each source's documents; ids count up from 10 through all sources."""

    def write(lengths: Mapping[str, Sequence[int]]) -> Path:
        entries, first = [], 10
        for name, of_documents in lengths.items():
            (tmp_path / name).mkdir()
            offsets = np.concatenate([[0], np.cumsum(of_documents)]).astype(np.int64)
            tokens = int(offsets[-1])
            stream = np.arange(first, first + tokens, dtype=np.uint32)
            first += tokens
            half = tokens // 2  # two files, so that rows cross from one into the other
            np.save(tmp_path / name / "stream-00000.npy", stream[:half])
            np.save(tmp_path / name / "stream-00001.npy", stream[half:])
            np.save(tmp_path / name / "documents.npy", offsets)
            streams = [{"file": f"stream-0000{i}.npy", "tokens": n} for i, n in enumerate((half, tokens - half))]
            entry: dict[str, Any] = {"name": name, "folder": name, "tokens": tokens, "streams": streams}
            entries.append({**entry, "heldout": {"documents": 0}})
        index = {"pad": 3, "dtype": "uint32", "sources": entries}
        (tmp_path / "tokens.json").write_text(json.dumps(index))
        return tmp_path

    return write


def phase(
    rows: int, steps: int, sequence: int, first_step: int = 0, mixture: Mapping[str, float] | None = None
) -> Phase:
    """Make a phase of so many steps of so many rows."""
    batch = rows * sequence
    return Phase(f"from-{first_step}", steps * batch, batch, mixture, first_step, steps, first_step * batch, 1e-3)
