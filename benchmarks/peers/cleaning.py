"""The peers of the corpus stage, each for itself: datatrove 0.10.1, and a plain filter over `datasets`.

    python benchmarks/peers/cleaning.py NAME FOLDER FILE.jsonl.zst FILE.jsonl.zst

NAME is `datatrove` (the rules of Gopher, C4 and FineWeb with FineWeb-2's numbers for Portuguese, then near duplicates,
as its own examples chain them) or `datasets and plain Python` (the same rules as one writes them in an afternoon). Two
tasks, two processes. Writes into FOLDER what is kept, and prints one JSON line: the seconds it took, libraries loaded
before, and the number of documents kept.
"""

import json
import sys
import time
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

TASKS = 2
BANDS, ROWS, WORDS = 14, 8, 5


def rules() -> Any:
    """Return the script that races the rules alone, which has them for both peers."""
    sys.path.insert(0, str(Path(__file__).parents[1]))
    return import_module("corpus_rules")


def by_datatrove(folder: Path, paths: list[Path]) -> Callable[[], int]:
    """Filter, sign, group and write, each an executor of its own, because each needs all of the one before."""
    from datatrove.executor import LocalPipelineExecutor
    from datatrove.pipeline.dedup.minhash import (
        MinhashConfig,
        MinhashDedupBuckets,
        MinhashDedupCluster,
        MinhashDedupFilter,
        MinhashDedupSignature,
    )
    from datatrove.pipeline.readers import JsonlReader
    from datatrove.pipeline.writers import JsonlWriter
    from datatrove.utils.hashing import HashConfig
    from loguru import logger

    logger.remove()
    config = MinhashConfig(WORDS, BANDS, ROWS, hash_config=HashConfig(64, "xxhash"))
    filters = list(rules().datatrove_filters().values())
    reader = JsonlReader(str(paths[0].parent), glob_pattern=f"{paths[0].name[:4]}*.jsonl.zst", compression="zstd")
    again = JsonlReader(f"{folder}/filtered")
    steps: list[tuple[list[Any], int]] = [
        ([reader, *filters, JsonlWriter(f"{folder}/filtered")], TASKS),
        ([again, MinhashDedupSignature(f"{folder}/signed", config, language="por")], TASKS),
        ([MinhashDedupBuckets(f"{folder}/signed", f"{folder}/pairs", config=config)], BANDS),
        ([MinhashDedupCluster(f"{folder}/pairs", f"{folder}/gone", config=config)], 1),
        ([again, MinhashDedupFilter(f"{folder}/gone"), JsonlWriter(f"{folder}/kept")], TASKS),
    ]

    def run() -> int:
        for number, (pipeline, tasks) in enumerate(steps):
            logs = f"{folder}/logs{number}"
            LocalPipelineExecutor(pipeline, tasks=tasks, workers=min(TASKS, tasks), logging_dir=logs).run()
        return sum(1 for _ in JsonlReader(f"{folder}/kept").run())

    return run


def by_datasets(folder: Path, paths: list[Path]) -> Callable[[], int]:
    """Load, filter in two processes, write parquet."""
    from datasets import disable_progress_bars, load_dataset

    disable_progress_bars()

    def run() -> int:
        rows: Any = load_dataset("json", data_files=[str(path) for path in paths], split="train")
        kept = rows.filter(rules().plain_verdict, input_columns="text", num_proc=TASKS)
        kept.to_parquet(str(folder / "kept.parquet"))
        return len(kept)

    return run


def main() -> None:
    name, folder, paths = sys.argv[1], Path(sys.argv[2]), [Path(one) for one in sys.argv[3:]]
    run = (by_datatrove if name == "datatrove" else by_datasets)(folder, paths)
    begun = time.perf_counter()
    kept = run()
    print(json.dumps({"seconds": time.perf_counter() - begun, "kept": kept}))


if __name__ == "__main__":
    main()
