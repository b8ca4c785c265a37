"""Peak memory of the whole corpus stage over two large files of real text, perturbed, at several sizes.

In go a recipe (docs/portuguese.toml, its data beside it) and sizes in gigabytes. For each size two jsonl.zst are
written as streams: the documents of all the recipe's sources over and over, from the second time on with each word in
three replaced by another of the corpus, so that no copy is a near duplicate of the last one. One document in 50 repeats
the one before with a word changed, one in 97 repeats it wholly. Every step of the recipe is on. The memory of the stage
and all its workers is sampled and summed twice: as Linux accounts for it, where a page that processes share counts once
(proportional set size), and as `top` shows it, where it counts in each (resident set size).

Usage: python benchmarks/corpus_memory.py RECIPE 1 3 10 [--workers 2] [--folder /tmp]
Writes benchmarks/results/corpus-memory-HARDWARE-DATE.json.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import zstandard

from lhama.plan.layout import Recipe
from lhama.plan.recipe import load
from lhama.plan.writing import dumps

HERE = Path(__file__).parent
EVERY = 0.5  # seconds between two looks at the memory
REPLACED = 0.33  # of all words; of runs of 5 words (1 - 0.33)^5 = 13% stay
START = "from lhama.cli import main; main()"
BATCH = 2000  # documents


def words_of(recipe: Recipe) -> tuple[list[int], Any, Any]:
    """Return the number of words of each document, all words of all documents as numbers, and the words themselves."""
    counts: list[int] = []
    pieces = []
    for source in recipe.corpus.source:
        for path in source.paths:
            lines = zstandard.ZstdDecompressor().decompressobj().decompress(Path(path).read_bytes()).splitlines()
            lists = [json.loads(line)["text"].split(" ") for line in lines]
            counts += [len(words) for words in lists]
            pieces.append(pa.array([word for words in lists for word in words], pa.string()))
    coded = pa.chunked_array(pieces).dictionary_encode().unify_dictionaries().combine_chunks()
    return counts, coded.indices.to_numpy(), coded.dictionary


def documents_of(counts: list[int], numbers: Any, words: Any, seed: int = 0) -> Iterator[str]:
    """Yield real documents, and then changed ones without end."""
    random = np.random.default_rng(seed)
    ends = np.concatenate([[0], np.cumsum(counts)])
    for turn in range(1_000_000):
        for first in range(0, len(counts), BATCH):
            last = min(len(counts), first + BATCH)
            chosen = numbers[ends[first] : ends[last]].copy()
            if turn:
                other = random.random(len(chosen)) < REPLACED
                chosen[other] = numbers[random.integers(0, len(numbers), int(other.sum()))]
            offsets = pa.array(ends[first : last + 1] - ends[first], pa.int32())
            lists = pa.ListArray.from_arrays(offsets, words.take(pa.array(chosen)))
            yield from pc.binary_join(lists, " ").to_pylist()


def write_text(path: Path, size: int, texts: Iterator[str]) -> tuple[int, int]:
    """Write about so many bytes of the next texts; return documents and bytes."""
    documents, written, last = 0, 0, ""
    with path.open("wb") as file, zstandard.ZstdCompressor(level=1, threads=2).stream_writer(file) as out:
        for fresh in texts:
            if documents % 97 == 96:
                text = last
            elif documents % 50 == 49:
                text = last.replace(" de ", " desde ", 1)
            else:
                text = fresh
            last = text
            row = json.dumps({"id": f"{path.name}:{documents}", "text": text}, ensure_ascii=False) + "\n"
            documents, written = documents + 1, written + len(row)
            out.write(row.encode())
            if written >= size:
                return documents, written
    raise AssertionError("the documents never end")


def with_one_source(recipe: Recipe, workers: int) -> Recipe:
    """Return the recipe with the large files as its only source, and so many workers."""
    whole = recipe.model_dump(mode="json", by_alias=True, exclude_none=True)
    whole["corpus"] |= {"source": [{"name": "texto", "path": "text-*.jsonl.zst"}], "workers": workers}
    return Recipe.model_validate_json(json.dumps(whole | {"name": "memory"}), strict=True)


def measure(folder: Path, recipe: Recipe) -> dict[str, Any]:
    """Do the stage in a process of its own and return its peak memory, with that of its workers, and its time."""
    import psutil

    (folder / "recipe.toml").write_text(dumps(recipe), encoding="utf-8")
    environment = {**os.environ, "PYTHONPATH": str(HERE.parent)}
    peaks: dict[tuple[str, str], int] = {}
    began, logged = time.monotonic(), folder / "stage.log"
    before = _processor_seconds()
    command = [sys.executable, "-c", START, "corpus", "recipe.toml"]
    with (
        logged.open("wb") as log,
        subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=log) as process,
    ):
        stage = psutil.Process(process.pid)
        while process.poll() is None:
            half = "corpus" if (folder / "runs/memory/corpus.part").exists() else "read"
            for count, held in _held(stage).items():
                peaks[half, count] = max(peaks.get((half, count), 0), held)
            time.sleep(EVERY)
    if process.returncode:
        raise RuntimeError(logged.read_text(encoding="utf-8", errors="replace")[-4000:])
    seconds = time.monotonic() - began
    run = folder / "runs/memory"
    report = json.loads((run / "corpus/report.json").read_text(encoding="utf-8"))
    stages = {stage: json.loads((run / stage / "manifest.json").read_text())["seconds"] for stage in ("read", "corpus")}
    return {
        "peak_gib": {half: round(peak / 2**30, 3) for (half, count), peak in peaks.items() if count == "Pss"},
        "peak_resident_gib": {half: round(peak / 2**30, 3) for (half, count), peak in peaks.items() if count == "Rss"},
        "seconds": round(seconds, 1),
        "processor_seconds": round(_processor_seconds() - before, 1),
        "seconds_by_stage": stages,
        "totals": report["totals"],
        "dropped": {reason: of["documents"] for reason, of in report["reasons"].items()},
    }


def _processor_seconds() -> float:
    """Return what all processes that ended took, those of the stage's workers among them."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _held(stage: Any) -> dict[str, int]:
    """Sum the memory that a process and its children hold, in bytes, in the two counts of Linux."""
    import psutil

    total = {"Pss": 0, "Rss": 0}
    try:
        for process in (stage, *stage.children(recursive=True)):
            for line in Path(f"/proc/{process.pid}/smaps_rollup").read_text().splitlines():
                count, _, kibibytes = line.partition(":")
                if count in total:
                    total[count] += 1024 * int(kibibytes.split()[0])
    except (psutil.Error, OSError):  # one ended just now
        pass
    return total


def main() -> None:
    """Measure at every size, and write after each."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("recipe", type=Path)
    arguments.add_argument("gigabytes", nargs="+", type=float)
    arguments.add_argument("--workers", type=int, default=2)
    arguments.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()))
    given = arguments.parse_args()
    recipe = load(given.recipe)
    material = words_of(recipe)
    found: list[dict[str, Any]] = []
    result = {"date": str(date.today()), "cores": os.cpu_count(), "workers": given.workers, "sizes": found}
    path = HERE / "results" / f"corpus-memory-{os.cpu_count()}cores-{date.today()}.json"
    for gigabytes in given.gigabytes:
        with tempfile.TemporaryDirectory(dir=given.folder) as name:
            folder = Path(name)
            began = time.monotonic()
            texts = documents_of(*material)
            written = [write_text(folder / f"text-{half}.jsonl.zst", int(gigabytes * 5e8), texts) for half in (0, 1)]
            documents, size = (sum(of) for of in zip(*written, strict=True))
            said = f"{documents:,} documents, {size / 1e9:.2f} GB written in {time.monotonic() - began:.0f} s"
            print(said, flush=True)
            one: dict[str, Any] = {"text_gb": round(size / 1e9, 3), "documents": documents}
            one |= measure(folder, with_one_source(recipe, given.workers))
            print(json.dumps(one), flush=True)
            found.append(one)
            found.sort(key=lambda size: float(size["text_gb"]))
            path.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    print(f"written to {path}")


if __name__ == "__main__":
    main()
