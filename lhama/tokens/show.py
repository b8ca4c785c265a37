"""What a training step saw: for each row of its batch the source, the documents and their text.

In go a run and a step, out come plain dictionaries, read from the token streams alone; the corpus is opened only for
the documents' ids. Nothing is recorded while training for this: the order of data is arithmetic (loader.py).
"""

from pathlib import Path
from typing import Any

import numpy as np
from pyarrow import compute, parquet

from lhama.plan.problem import Problem
from lhama.plan.schedule import phases, total_steps
from lhama.record.run import Run
from lhama.tokens.loader import Loader, Row, read_index
from lhama.tokens.vocabulary import Vocabulary


def show_step(run: Run, step: int) -> list[dict[str, Any]]:
    """Return the rows of the batch of a step; steps count from 1, as in loss.jsonl and the names of checkpoints."""
    recipe = run.recipe
    steps = total_steps(recipe)
    if not 1 <= step <= steps:
        raise Problem(f"step {step} is not in this run", remedy=f"its steps are 1 to {steps}")
    folder = run.path("tokens")
    loader = Loader(folder, phases(recipe), recipe.tokens.sequence, recipe.tokens.packing, recipe.seed)
    vocabulary = Vocabulary.load(folder)
    names = DocumentNames(folder, run.path("corpus"))
    return [_described(loader, row, vocabulary, names) for row in loader.rows(step - 1)]


def _described(loader: Loader, row: Row, vocabulary: Vocabulary, names: "DocumentNames") -> dict[str, Any]:
    source = loader.source(row.source)
    documents: list[str] = []
    texts = []
    for start, length in loader.pieces(row):
        first = int(np.searchsorted(source.documents, start, side="right")) - 1
        last = int(np.searchsorted(source.documents, start + length - 1, side="right")) - 1
        documents += [names.of(row.source, number) for number in range(first, last + 1)]
        for number in range(first, last + 1):
            begin, end = (
                max(start, int(source.documents[number])),
                min(start + length, int(source.documents[number + 1])),
            )
            texts.append(vocabulary.decode(source.stream.read(begin, end).tolist()))
    return {"source": row.source, "epoch": row.epoch, "row": row.row, "documents": documents, "texts": texts}


class DocumentNames:
    """Find the corpus's id of the k-th document of a source, reading only the shards that are asked for."""

    def __init__(self, tokens: Path, corpus: Path) -> None:
        self._corpus = corpus
        self._streams = {entry["name"]: entry["streams"] for entry in read_index(tokens)["sources"]}
        self._read: dict[tuple[str, str], list[str]] = {}

    def of(self, source: str, number: int) -> str:
        """Return the id of a source's k-th training document."""
        for stream in self._streams[source]:
            if number < stream["documents"]:
                return self._ids(source, stream["shard"])[number]
            number -= stream["documents"]
        raise IndexError(f"{source} has no such document")

    def _ids(self, source: str, shard: str) -> list[str]:
        if (source, shard) not in self._read:
            table = parquet.read_table(self._corpus / "data" / shard, columns=["source", "id"])
            kept = table.filter(compute.equal(table.column("source"), source))
            self._read[source, shard] = kept.column("id").to_pylist()
        return self._read[source, shard]
