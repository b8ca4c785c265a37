"""The only file that knows Daft: a kernel mapped over Arrow batches, and a decision by group.

In go Arrow batches, out come Arrow tables in the order of their positions. Daft does not read the files: its JSON
reader gives up a whole file at the first broken line, and we must keep every line with its number (readers.py). Nor
does it write them, because its writer does not keep order. What is left is what an engine is for: work on columns and
groups, which moves to a cluster without a change elsewhere. Batches come one after the other, so memory stays flat.
"""

import os
from collections.abc import Callable
from typing import Any

import daft
import pyarrow as pa
from daft import DataType, col

Kernel = Callable[[Any], Any]
# Daft reads this when it first works. Within a task of a Ray cluster it would hand each batch to the cluster once more.
os.environ["DAFT_RUNNER"] = "native"


def mapped(table: Any, column: str, kernel: Kernel, fields: dict[str, Any]) -> Any:
    """Append to a table with `position` what the kernel makes of one of its columns."""
    made_type = DataType.struct({name: DataType.from_arrow_type(kind) for name, kind in fields.items()})

    def on_series(series: daft.Series) -> Any:
        return kernel(series.to_arrow())

    function = daft.func.batch(return_dtype=made_type)(on_series)
    frame = daft.from_arrow(table.select(["position", column]))
    made = frame.select(col("position"), function(col(column)).alias("made")).to_arrow().sort_by("position")
    if made["position"].to_pylist() != table["position"].to_pylist():
        raise RuntimeError("the engine lost or moved rows")
    results = made["made"].combine_chunks()
    results = results.chunk(0) if isinstance(results, pa.ChunkedArray) else results
    for name in fields:
        table = table.append_column(name, results.field(name))
    return table


def not_first(keys: Any) -> Any:
    """Of rows (high, low, order) return order and first of those that are not the first of their key, sorted."""
    frame = daft.from_arrow(keys)
    groups = frame.groupby("high", "low").agg(col("order").min().alias("first"), col("order").count().alias("rows"))
    later = frame.join(groups.where(col("rows") > 1), on=["high", "low"]).where(col("order") != col("first"))
    return later.select("order", "first").to_arrow().sort_by("order")
