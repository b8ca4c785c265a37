"""The whole corpus stage: how fast, where the time goes, what the machine would allow, and how fast peers do the same.

In goes a recipe with every step on (docs/portuguese.toml, its data beside it). Out come four tables:

ladder   `lhama corpus` as a process with a fresh run folder, with one step more each time, all rungs in turn.
         Training a classifier and indexing test sets are told apart from reading: they do not grow with the text.
profile  processor time of each step on one core, measured inside `clean` (corpus_profile.py).
bounds   what one core needs to decompress, to parse, to hash and to write the same text, and to copy memory.
peers    datatrove with the same rules and near duplicates, and a filter over `datasets`, alternately with us on a
         slice of all sources in two files, two processes each (peers/cleaning.py).

    python benchmarks/corpus.py RECIPE [--peer PYTHON] [--rounds 3] [--only ladder ...] [--megabytes 16]

PYTHON is an interpreter with datatrove 0.10.1, spacy, tokenizers, `xxhash<4`, zstandard and orjson; without it there is
no race against datatrove. Results of parts that are left out are kept from the file of the same day, which is
benchmarks/results/corpus-HARDWARE-DATE.json.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import date, datetime
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import zstandard

from lhama.plan.layout import Recipe
from lhama.plan.recipe import load
from lhama.plan.writing import dumps

HERE = Path(__file__).parent
PARTS = ("ladder", "profile", "bounds", "peers")
START = "from lhama.cli import main; main()"
OFF: dict[str, Any] = {
    "repair": [],
    "languages": [],
    "variety": "any",
    "rules": [],
    "classifier": [],
    "personal_data": "keep",
    "near_duplicates": False,
    "contained": None,
    "repeated_lines": None,
    "decontaminate": [],
}
RUNGS = {
    "reading and exact duplicates": (),
    "and repair": ("repair",),
    "and language and variety": ("languages", "variety"),
    "and rules": ("rules",),
    "and classifier": ("classifier",),
    "and personal data": ("personal_data",),
    "and near, contained, lines": ("near_duplicates", "contained", "repeated_lines"),
    "and test sets: all": ("decontaminate",),
}
COMPARED = ["gopher-quality", "gopher-repetition", "c4", "fineweb"]
Table = dict[str, Any]


def with_only(recipe: Recipe, on: set[str]) -> Recipe:
    """Switch all steps off but those named."""
    whole = recipe.model_dump(mode="json", by_alias=True, exclude_none=True)
    whole["corpus"] |= {key: value for key, value in OFF.items() if key not in on}
    if "rules" not in on:
        for source in whole["corpus"]["source"]:
            source.pop("rules", None)
    return made(whole)


def made(whole: Table) -> Recipe:
    return Recipe.model_validate_json(json.dumps(whole), strict=True)


def run_corpus(recipe: Recipe, home: Path) -> Table:
    """Do `lhama corpus` in a process of its own and return what it took; the run folder is new."""
    with tempfile.TemporaryDirectory(dir=home) as name:
        folder = Path(name)
        (folder / "recipe.toml").write_text(dumps(recipe), encoding="utf-8")
        environment = {**os.environ, "PYTHONPATH": str(HERE.parent)}
        command = [sys.executable, "-c", START, "corpus", "recipe.toml"]
        begun = time.perf_counter()
        with (folder / "said").open("wb") as said:
            process = subprocess.Popen(command, cwd=folder, env=environment, stdout=said, stderr=said)
            _, status, used = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - begun
        if status:
            raise SystemExit((folder / "said").read_text(encoding="utf-8", errors="replace")[-3000:])
        run = folder / "runs" / recipe.name
        told = {stage: json.loads((run / stage / "manifest.json").read_text()) for stage in ("read", "corpus")}
        report = json.loads((run / "corpus" / "report.json").read_text())
        tools = tools_seconds(run / "read")
    return {
        "process": seconds,
        "tools": tools,
        "reading": told["read"]["seconds"] - tools,
        "judging": told["corpus"]["seconds"],
        "processor": used.ru_utime + used.ru_stime,
        "megabytes": report["totals"]["bytes_in"] / 1e6,
        "kept": report["totals"]["kept"],
    }


def tools_seconds(read: Path) -> float:
    """Return how long training and indexing took: from the stage's beginning to the last file that they wrote."""
    written = [path.stat().st_mtime for path in (read / "tools").rglob("*") if path.is_file()]
    begun = datetime.fromisoformat(json.loads((read / "begin.json").read_text())["begun"]).timestamp()
    return max(written) - begun if written else 0.0


def summed(rounds: list[Table]) -> Table:
    """Take medians, and the rates that follow from them."""
    found: Table = {key: round(median(one[key] for one in rounds), 3) for key in rounds[0]}
    size = found["megabytes"]
    rates = {
        "reading_mb_s": size / found["reading"],
        "stage_mb_s": size / (found["reading"] + found["judging"]),
        "process_mb_s": size / found["process"],
        "mb_per_processor_second": size / found["processor"],
    }
    return found | {key: round(rate, 2) for key, rate in rates.items()} | {"rounds": rounds}


def ladder(recipe: Recipe, home: Path, rounds: int, before: Table) -> Table:
    """Run the stage with one step more each time; rounds that were run before count as well."""
    recipes: dict[str, Recipe] = {}
    on: set[str] = set()
    for rung, steps in RUNGS.items():
        on |= set(steps)
        recipes[rung] = with_only(recipe, on)
    took: dict[str, list[Table]] = {rung: before.get(rung, {}).get("rounds", []) for rung in RUNGS}
    for number in range(rounds):
        for rung, one in recipes.items():
            took[rung].append(run_corpus(one, home))
            print(f"round {number + 1} {rung}: {took[rung][-1]['process']:.1f} s", flush=True)
    found = {rung: summed(of) for rung, of in took.items()}
    print(f"{'':30} {'reading':>8} {'judging':>8} {'tools':>6} {'process':>8} s   reading  stage  process  MB/s")
    for rung, of in found.items():
        print(
            f"{rung:30} {of['reading']:8.2f} {of['judging']:8.2f} {of['tools']:6.2f} {of['process']:8.2f}   "
            f"{of['reading_mb_s']:9.1f} {of['stage_mb_s']:6.1f} {of['process_mb_s']:8.1f}"
        )
    return found


def profile(recipe: Path, rounds: int) -> Table:
    """Measure each step on one core, in processes that follow one another."""
    environment = {**os.environ, "PYTHONPATH": str(HERE.parent), "NUMBA_NUM_THREADS": "1"}
    command = [sys.executable, str(HERE / "corpus_profile.py"), str(recipe)]
    said = []
    for _ in range(rounds):
        done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
        said.append(json.loads(done.stdout.splitlines()[-1]))
    steps = {
        step: median(one["nanoseconds_per_byte"][step] for one in said) for step in said[0]["nanoseconds_per_byte"]
    }
    for step, cost in sorted(steps.items(), key=lambda item: -item[1]):
        print(f"{step:28} {cost:8.2f} ns a byte {1000 / cost if cost else 0:10.0f} MB/s")
    return {"megabytes": said[0]["megabytes"], "nanoseconds_per_byte": steps}


def bounds(recipe: Recipe, rounds: int) -> Table:
    """Measure on one core what no way of doing this could leave out, by the libraries that do it."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    paths = [Path(path) for source in recipe.corpus.source for path in source.paths]
    packed = [path.read_bytes() for path in paths]
    plain = [zstandard.ZstdDecompressor().decompressobj().decompress(one) for one in packed]
    texts = [[json.loads(line)["text"] for line in one.splitlines()] for one in plain]
    size = sum(len(text.encode()) for of in texts for text in of) / 1e6
    columns = [pa.table({"text": pa.array(of, pa.large_string())}) for of in texts]
    memory, target = np.ones(1 << 28, np.uint8), np.ones(1 << 28, np.uint8)

    def unpack() -> None:
        for one in packed:
            zstandard.ZstdDecompressor().decompressobj().decompress(one)

    def parse() -> None:
        for one in plain:
            for line in io.BytesIO(one):
                json.loads(line)

    def digest() -> None:
        for of in texts:
            for text in of:
                hashlib.sha256(text.encode()).digest()

    def write() -> None:
        for column in columns:
            pq.write_table(column, io.BytesIO(), compression="zstd")

    works: dict[str, Callable[[], None]] = {"decompress": unpack, "parse": parse, "sha256": digest, "parquet": write}
    seconds: dict[str, list[float]] = {name: [] for name in [*works, "copy"]}
    for _ in range(rounds):
        for name, one in works.items():
            begun = time.process_time()
            one()
            seconds[name].append(time.process_time() - begun)
        begun = time.perf_counter()
        np.copyto(target, memory)
        seconds["copy"].append(time.perf_counter() - begun)
    middle = {name: median(of) for name, of in seconds.items()}
    floor = sum(middle[name] for name in works)
    found = {f"{name}_mb_s": round(size / middle[name], 1) for name in works}
    found |= {"all_four_mb_s": round(size / floor, 1), "copy_gb_s": round(len(memory) / middle["copy"] / 1e9, 2)}
    for name, rate in found.items():
        print(f"{name:16} {rate:8.1f}")
    return {"megabytes": round(size, 1), **found}


def slice_of(recipe: Recipe, folder: Path, megabytes: float) -> tuple[list[Path], float]:
    """Write every n-th document of all sources into two files by turns; return them and their MB of text."""
    rows: list[bytes] = []
    size = 0
    for source in recipe.corpus.source:
        for path in source.paths:
            rows += zstandard.ZstdDecompressor().decompressobj().decompress(Path(path).read_bytes()).splitlines()
    step = max(1, round(sum(map(len, rows)) / 1e6 / megabytes))
    chosen = rows[::step]
    size = sum(len(json.loads(row)["text"].encode()) for row in chosen)
    paths = []
    for number in range(2):
        paths.append(folder / f"half{number}.jsonl.zst")
        paths[-1].write_bytes(zstandard.ZstdCompressor(level=3).compress(b"\n".join(chosen[number::2]) + b"\n"))
    return paths, size / 1e6


def compared_recipe(recipe: Recipe, paths: list[Path], near: bool) -> Recipe:
    """Do what the peers do: rules of four sets, and near duplicates."""
    whole = recipe.model_dump(mode="json", by_alias=True, exclude_none=True)
    sources = [{"name": path.name.partition(".")[0], "path": str(path)} for path in paths]
    whole["corpus"] |= OFF | {"rules": COMPARED, "near_duplicates": near, "source": sources}
    return made(whole)


def by_peer(name: str, python: str, paths: list[Path], home: Path) -> Table:
    """Run a peer in a process of its own; it says how long it took after its libraries were loaded."""
    with tempfile.TemporaryDirectory(dir=home) as folder:
        environment = {**os.environ, "PYTHONPATH": str(HERE.parent), "HF_DATASETS_CACHE": folder, "HF_HUB_OFFLINE": "1"}
        command = [python, str(HERE / "peers/cleaning.py"), name, folder, *map(str, paths)]
        begun = time.perf_counter()
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        seconds = time.perf_counter() - begun
    if done.returncode:
        raise SystemExit(f"{name} failed:\n{done.stderr[-3000:]}")
    said = json.loads(done.stdout.splitlines()[-1])
    return {"process": seconds, "stage": said["seconds"], "kept": said["kept"]}


def peers(recipe: Recipe, home: Path, python: str, rounds: int, megabytes: float) -> Table:
    """Race over a slice: rules and near duplicates with datatrove, rules alone with a filter over `datasets`."""
    paths, size = slice_of(recipe, home, megabytes)
    pairs = {"rules and near duplicates": ("datatrove", python), "rules": ("datasets and plain Python", sys.executable)}
    found: Table = {"megabytes": round(size, 2)}
    took: dict[str, dict[str, list[Table]]] = {work: {"lhama": [], pairs[work][0]: []} for work in pairs}
    for number in range(rounds):
        for work, (name, interpreter) in pairs.items():
            if not interpreter:
                continue
            ours = run_corpus(compared_recipe(recipe, paths, "near" in work), home)
            took[work]["lhama"].append(ours | {"stage": ours["reading"] + ours["judging"]})
            took[work][name].append(by_peer(name, interpreter, paths, home))
            shown = "  ".join(f"{who} {of[-1]['process']:.1f} s" for who, of in took[work].items())
            print(f"round {number + 1} {work}: {shown}", flush=True)
    for work, of in took.items():
        if of["lhama"]:
            found[work] = compared(of, size)
            print(work, json.dumps(found[work]))
    return found


def compared(took: dict[str, list[Table]], size: float) -> Table:
    """Return rates of both sides, and how many times as fast ours is: the process as a whole, and its work alone."""
    found: Table = {}
    for who, rows in took.items():
        rates = {f"{what}_mb_s": round(size / median(one[what] for one in rows), 2) for what in ("process", "stage")}
        found[who] = rates | {"kept": rows[-1]["kept"], "seconds": [round(one["process"], 2) for one in rows]}
    ours, theirs = took.values()
    for what in ("process", "stage"):
        times = median(their[what] / mine[what] for mine, their in zip(ours, theirs, strict=True))
        found[f"lhama_is_faster_{what}"] = round(times, 1)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipe", type=Path)
    parser.add_argument("--peer", default="", help="a Python that has datatrove")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--add", action="store_true", help="rounds to those of the ladder of the same day")
    parser.add_argument("--megabytes", type=float, default=16.0, help="of the slice that peers are raced over")
    chosen = parser.parse_args()
    recipe = load(chosen.recipe)
    target = HERE / "results" / f"corpus-{os.cpu_count()}cores-{date.today().isoformat()}.json"
    result: Table = json.loads(target.read_text()) if target.is_file() else {}
    result |= {"date": date.today().isoformat(), "machine": platform.platform(), "cores": os.cpu_count()}
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        works: dict[str, Callable[[], Table]] = {
            "ladder": lambda: ladder(recipe, home, chosen.rounds, result.get("ladder", {}) if chosen.add else {}),
            "profile": lambda: profile(chosen.recipe, chosen.rounds),
            "bounds": lambda: bounds(recipe, chosen.rounds),
            "peers": lambda: peers(recipe, home, chosen.peer, chosen.rounds, chosen.megabytes),
        }
        for part in chosen.only:
            before = round(os.getloadavg()[0], 1)
            print(f"\n{part}, load of the machine before: {before}", flush=True)
            name = part if part != "peers" else f"peers_{chosen.megabytes:g}_mb"
            result[name] = works[part]() | {"load_before": before}
            target.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(f"written to {target}")


if __name__ == "__main__":
    main()
