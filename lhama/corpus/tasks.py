"""Resolve the name of an evaluation or tuning set to the texts of its rows, without a network.

In goes a name and the folder that holds the sets, or a path to a file; out come items, one for each text of each row.
A set is FOLDER/NAME/ with a file or more for each split (`test.jsonl`, `data/test-00000-of-00001.parquet`), or a single
FOLDER/NAME.jsonl. Of its splits `test` counts, or `validation` where there is no test, as in FaQuAD; others are asked
for by name: `NAME:test+validation`. Files are jsonl, csv or tsv, plain, gz or zst, or parquet.

Every text of a row counts, however deep it lies, with three exceptions that the name of its field tells:
- what is no text of the test (NOT_TEXT): ids, labels, categories, addresses;
- contexts (CONTEXTS): public text, such as a paragraph of Wikipedia, which a model may well have read; what must stay
  unknown is the question. A text quoted inside a question is a part of the question;
- answers and choices (ANSWERS) count only where they are long, because short ones are common speech.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lhama.corpus.rows import ENDING, rows
from lhama.plan.problem import Problem

KEY = "corpus.decontaminate"
SPLITS = ("test", "validation")
"""The first of these that a set has is what counts unless others are asked for."""
ALSO_CALLED = {"valid": "validation", "val": "validation", "dev": "validation"}
NOT_TEXT = frozenset(
    [
        "id",
        "idx",
        "index",
        "label",
        "labels",
        "category",
        "discipline",
        "subject",
        "area",
        "exam",
        "year",
        "language",
        "title",
        "source",
        "license",
        "url",
        "split",
        "type",
        "role",
        "from",
        "entry_point",
        "entailment",
        "votes",
    ]
)
CONTEXTS = frozenset(["context", "contexts", "passage", "paragraph", "article", "document", "contexto", "documento"])
ANSWERS = frozenset(
    [
        "answer",
        "answers",
        "choices",
        "options",
        "endings",
        "alternatives",
        "mc1_choices",
        "mc2_choices",
        "mc1_targets",
        "mc2_targets",
        "resposta",
        "respostas",
        "alternativas",
        "opcoes",
    ]
)


@dataclass(frozen=True)
class Item:
    """One text of a row of a test set."""

    task: str
    row: str
    text: str
    answer: bool = False
    """Whether it is a possible answer, which counts only where it is long."""


def files_of(name: str, folder: Path | None = None) -> list[Path]:
    """Return the files that a name stands for, in order; a set that is not there is a Problem."""
    if "/" in name or "." in name:
        path = Path(name)
        if not path.is_file() or not ENDING.search(name):
            raise Problem(f"{name} is no file of rows", key=KEY, remedy="name a .jsonl, .csv, .tsv or .parquet file")
        return [path]
    task, _, asked = name.partition(":")
    if folder is None or not re.fullmatch(r"[\w-]+", task):
        raise Problem(f"{name!r} names no task", key=KEY, remedy="set corpus.tasks to the folder that holds the tasks")
    inside = [path for path in sorted(folder.glob(f"{task}/**/*")) if ENDING.search(path.name)]
    found: dict[str, list[Path]] = {}
    for path in inside:
        split = re.split(r"[-_.]", path.name)[0].lower()
        found.setdefault(ALSO_CALLED.get(split, split), []).append(path)
    wanted = asked.split("+") if asked else [split for split in SPLITS if split in found][:1]
    if wanted and all(split in found for split in wanted):
        return [path for split in wanted for path in found[split]]
    alone = [path for path in sorted(folder.glob(f"{task}.*")) if ENDING.sub("", path.name) == task]
    if alone and not asked:
        return alone
    there = ", ".join(sorted(found)) or ", ".join(sorted(path.name for path in folder.glob("*"))) or "nothing"
    raise Problem(f"{name!r} has no {asked or 'test'} file in {folder}", key=KEY, remedy=f"there is {there}")


def items_of(names: Iterable[str], folder: Path | None = None, contexts: bool = False) -> list[Item]:
    """Return the items of all sets, in the order of their names; with `contexts` public contexts count, too."""
    items: list[Item] = []
    for name in names:
        task = ENDING.sub("", Path(name).name) if "/" in name or "." in name else name.partition(":")[0]
        for path in files_of(name, folder):
            for number, row in rows(path, KEY):
                label = _name(row) or f"{path.name}:{number}"
                items.extend(Item(task, label, text, answer) for text, answer in _texts(row, False, contexts))
    return items


def _name(row: dict[str, Any]) -> str:
    """Return what the row calls itself, or nothing."""
    names = [value for field, value in row.items() if field.lower() == "id" or field.lower().endswith("_id")]
    return next((str(name) for name in names if isinstance(name, str | int) and name != ""), "")


def _texts(value: Any, answer: bool, contexts: bool) -> Iterator[tuple[str, bool]]:
    """Yield each text within a value, and whether it is an answer."""
    if isinstance(value, str):
        if value.strip():
            yield value, answer
    elif isinstance(value, list | tuple):
        for one in value:
            yield from _texts(one, answer, contexts)
    elif isinstance(value, dict):
        for field, one in value.items():
            name = str(field).lower()
            if name in NOT_TEXT or name.endswith("_id") or (name in CONTEXTS and not contexts):
                continue
            yield from _texts(one, answer or name in ANSWERS, contexts)
