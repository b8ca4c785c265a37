"""Peak memory of the whole corpus stage over one large file of distinct text, at several sizes.

In go sizes in gigabytes; for each a jsonl.zst of sentences of seeded random phrases is written (a stream: it never lies
in memory), cleaned with all steps that no model decides, and the resident memory of the stage and all its workers is
sampled. Memory is the sum over processes, so pages that they share count several times: the true peak is lower. One
document in 50 repeats an earlier one with a word changed, one in 97 repeats one wholly.

Usage: python benchmarks/corpus_memory.py 1 3 [--workers 2] [--folder /tmp]
Writes benchmarks/results/corpus-memory-HARDWARE-DATE.json.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from datetime import date
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
EVERY = 0.2  # seconds between two looks at the memory
COMMON = "de a o que e do da em um para é com não uma os no se na por mais as dos como mas foi ao ele das tem à seu sua"
RECIPE = """
name = "memory"
language = "pt"
[record]
energy = false
[corpus]
workers = {workers}
rules = ["gopher-quality", "gopher-repetition", "c4", "fineweb", "code"]
lines = ["words", "javascript", "policy"]
repair = ["unicode", "markup", "spaces"]
personal_data = "mask"
near_duplicates = true
contained = 0.8
repeated_lines = 10
{more}
[[corpus.source]]
name = "texto"
path = "text.jsonl.zst"
[model]
hidden_size = 32
intermediate_size = 64
layers = 1
heads = 2
[train]
tokens = 4096
batch_tokens = 2048
learning_rate = 1e-3
"""
WORK = """
import sys
from pathlib import Path
from lhama.corpus.stage import run_stage
from lhama.plan.recipe import load
from lhama.record.run import Run
if __name__ == "__main__":
    recipe = load(Path(sys.argv[1]) / "recipe.toml")
    run_stage(recipe, Run.open(recipe, Path(sys.argv[1]) / "runs"))
"""


def write_text(path: Path, size: int, seed: int = 0) -> tuple[int, int]:
    """Write about so many bytes of text; return documents and bytes."""
    import numpy as np
    import zstandard

    random = np.random.default_rng(seed)
    syllables = [first + vowel for first in "bcdfglmnprstv" for vowel in ("a", "e", "i", "o", "u", "ão", "ei")]
    stems = random.integers(0, len(syllables), (60_000, 3))
    words = COMMON.split() * 800 + ["".join(syllables[at] for at in stem) for stem in stems.tolist()]
    chosen = random.integers(0, len(words), (300_000, 4)).tolist()
    phrases = [" ".join([words[at] for at in four]) for four in chosen]  # every run of 5 words spans two of them
    documents, written, last = 0, 0, ""
    with path.open("wb") as file, zstandard.ZstdCompressor(level=1, threads=2).stream_writer(file) as out:
        while written < size:
            rows = []
            for picked in random.integers(0, len(phrases), (2000, 20, 4)).tolist():
                text = "\n".join([f"Que {' '.join([phrases[at] for at in line])}." for line in picked])
                if last and documents % 97 == 0:
                    text = last
                elif last and documents % 50 == 0:
                    text = last.replace(" de ", " desde ", 1)
                last = text
                rows.append(json.dumps({"id": str(documents), "text": text}, ensure_ascii=False))
                documents, written = documents + 1, written + len(text.encode())
            out.write(("\n".join(rows) + "\n").encode())
    return documents, written


def measure(folder: Path, workers: int, more: str) -> dict[str, Any]:
    """Do the stage in a process of its own and return its peak memory, with that of its workers, and its time."""
    import psutil

    (folder / "recipe.toml").write_text(RECIPE.format(workers=workers, more=more), encoding="utf-8")
    (folder / "work.py").write_text(WORK, encoding="utf-8")
    environment = {**os.environ, "PYTHONPATH": str(HERE.parent)}
    peaks: dict[str, int] = {}
    began, logged = time.monotonic(), folder / "stage.log"
    with (
        logged.open("wb") as log,
        subprocess.Popen(
            [sys.executable, str(folder / "work.py"), str(folder)], env=environment, stdout=log, stderr=log
        ) as process,
    ):
        stage = psutil.Process(process.pid)
        while process.poll() is None:
            half = "corpus" if (folder / "runs/memory/corpus.part").exists() else "read"
            peaks[half] = max(peaks.get(half, 0), _resident(stage))
            time.sleep(EVERY)
    if process.returncode:
        raise RuntimeError(logged.read_text(encoding="utf-8", errors="replace")[-4000:])
    seconds = time.monotonic() - began
    report = json.loads((folder / "runs/memory/corpus/report.json").read_text(encoding="utf-8"))
    return {
        "peak_gib": {half: round(peak / 2**30, 3) for half, peak in peaks.items()},
        "seconds": round(seconds, 1),
        "totals": report["totals"],
        "dropped": {reason: of["documents"] for reason, of in report["reasons"].items()},
    }


def _resident(stage: Any) -> int:
    """Sum the resident memory of a process and its children."""
    import psutil

    total = 0
    try:
        for process in (stage, *stage.children(recursive=True)):
            total += process.memory_info().rss
    except psutil.Error:  # one ended just now
        pass
    return total


def main() -> None:
    """Measure at every size."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("gigabytes", nargs="+", type=float)
    arguments.add_argument("--workers", type=int, default=2)
    arguments.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()))
    arguments.add_argument("--more", default="", help="more keys of [corpus], as TOML")
    given = arguments.parse_args()
    found = []
    for gigabytes in given.gigabytes:
        with tempfile.TemporaryDirectory(dir=given.folder) as name:
            folder = Path(name)
            began = time.monotonic()
            documents, size = write_text(folder / "text.jsonl.zst", int(gigabytes * 1e9))
            said = f"{documents:,} documents, {size / 1e9:.2f} GB written in {time.monotonic() - began:.0f} s"
            print(said, flush=True)
            one: dict[str, Any] = {"text_gb": round(size / 1e9, 3), "documents": documents}
            one |= measure(folder, given.workers, given.more)
            print(json.dumps(one), flush=True)
            found.append(one)
    result = {"date": str(date.today()), "cores": os.cpu_count(), "workers": given.workers, "sizes": found}
    path = HERE / "results" / f"corpus-memory-{os.cpu_count()}cores-{date.today()}.json"
    path.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    print(f"written to {path}")


if __name__ == "__main__":
    main()
