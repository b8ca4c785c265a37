"""Read the rows of a small, trusted file (a test set, labelled texts) whole or not at all.

In goes a path to jsonl, csv or tsv (plain, gz, zst) or parquet, out come numbered rows. One that cannot be read is a
Problem, because a missing row of a test set could hide what it is to find.
"""

import csv
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lhama.corpus.bytestream import Cut, blocks, lines
from lhama.plan.problem import Problem

ENDING = re.compile(r"\.(?:(jsonl|ndjson|csv|tsv)(?:\.gz|\.zst)?|(parquet))$")


def rows(path: Path, key: str) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield the rows of a file with their line or number; a Problem names the recipe's `key`."""
    ending = ENDING.search(path.name)
    if ending is None or not path.is_file():
        raise Problem(f"{path} is no file of rows", key=key, remedy="name a .jsonl, .csv, .tsv or .parquet file")
    kind = ending[1] or ending[2]
    if kind == "parquet":
        import pyarrow.parquet as pq

        yield from enumerate(pq.read_table(path).to_pylist(), 1)
    elif kind in ("csv", "tsv"):
        text = b"".join(_whole(path, key)).decode("utf-8-sig")
        separator = "\t" if kind == "tsv" else ","
        yield from enumerate(csv.DictReader(text.splitlines(keepends=True), delimiter=separator), 2)
    else:
        yield from _json_rows(path, key)


def _json_rows(path: Path, key: str) -> Iterator[tuple[int, dict[str, Any]]]:
    for number, line in lines(path):
        try:
            row = json.loads(line) if not isinstance(line, Cut) and line.strip() else None
        except ValueError as error:
            raise Problem(f"{path}:{number} is no JSON: {error}", key=key, remedy="mend the line") from error
        if isinstance(line, Cut) or not isinstance(row, dict | None):
            raise Problem(f"{path}:{number} is no row", key=key, remedy="mend the file")
        if row is not None:
            yield number, row


def _whole(path: Path, key: str) -> Iterator[bytes]:
    for piece in blocks(path):
        if isinstance(piece, Cut):
            raise Problem(f"{path} is damaged: {piece.detail}", key=key, remedy="fetch it again")
        yield piece
