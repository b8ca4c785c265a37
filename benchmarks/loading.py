"""Rows for training: Lhama from memory, mapped files and a stream over loopback, beside `datasets` with a DataLoader.

Every turn is a process of its own, and a round gives each contestant one turn, in an order that turns round. The rows
are the same: T+1 ids of uint16, for us in streams of ids, for `datasets` as parquet with a list of ids in each row. A
turn reads batches of int64 ids and targets as the loop gets them and counts rows a second after the first batches, and
rows a second of this process's processor time, which busy neighbours disturb less (without a DataLoader's workers).
`streamed` begins with an empty cache, `streamed-quarter` has one for a quarter of the data, `streamed-warm` one that
an earlier turn filled. `datasets` shuffles in its usual buffer, which is no permutation; ours is one over all rows.
Then a small model is trained for as long as each way needs, and metrics.jsonl says which share of a step waited.

    python benchmarks/loading.py [--megabytes 128] [--rows 6400] [--rounds 3]

Written to benchmarks/results/loading-HARDWARE-DATE.json.
"""

from __future__ import annotations

import argparse
import http.server
import json
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

HERE = Path(__file__).parent
SEQUENCE, BATCH, WARM = 2048, 64, 4
SHARDS = 8
OURS = ("memory", "mapped", "streamed", "streamed-quarter", "streamed-warm")
PEERS = ("datasets-0-workers", "datasets-2-workers")


class Handler(http.server.SimpleHTTPRequestHandler):
    """Serve ranges of files, each connection kept open as real servers do."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        path = Path(self.translate_path(self.path))
        wanted = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range", ""))
        size = path.stat().st_size
        begin, end = (int(wanted[1]), int(wanted[2])) if wanted else (0, size - 1)
        with path.open("rb") as file:
            file.seek(begin)
            data = file.read(end - begin + 1)
        self.send_response(206 if wanted else 200)
        self.send_header("Content-Length", str(len(data)))
        self.send_header("Content-Range", f"bytes {begin}-{end}/{size}")
        self.end_headers()
        self.wfile.write(data)


def serve(folder: Path) -> None:
    """Serve a folder until the parent ends us; the first line printed is the port."""
    os.chdir(folder)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    print(server.server_port, flush=True)
    server.serve_forever()


@contextmanager
def served(folder: Path) -> Iterator[str]:
    command = [sys.executable, __file__, "--serve", str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield f"http://127.0.0.1:{process.stdout.readline().strip()}"
        finally:
            process.terminate()


def make_tokens(folder: Path, megabytes: int) -> None:
    """Write random ids as a tokens folder, and the same rows as parquet."""
    import pyarrow as pa
    from pyarrow import parquet

    from lhama.record.files import write_json
    from lhama.tokens.blocks import write_blocks

    rows = megabytes * 1_000_000 // 2 // SEQUENCE // SHARDS
    draw = np.random.default_rng(0)
    (folder / "tokens" / "um").mkdir(parents=True)
    (folder / "rows").mkdir()
    streams = []
    for number in range(SHARDS):
        ids = draw.integers(70, 32000, rows * SEQUENCE + (number == SHARDS - 1), dtype=np.uint16)
        np.save(folder / "tokens" / "um" / f"stream-{number:05d}.npy", ids)
        streams.append({"file": f"stream-{number:05d}.npy", "tokens": len(ids)})
        cut = np.stack([ids[i * SEQUENCE : i * SEQUENCE + SEQUENCE + 1] for i in range(rows - 1)])
        table = pa.table({"ids": pa.FixedSizeListArray.from_arrays(pa.array(cut.reshape(-1)), SEQUENCE + 1)})
        parquet.write_table(table, folder / "rows" / f"{number:05d}.parquet", row_group_size=256)
    tokens = rows * SEQUENCE * SHARDS + 1
    np.save(folder / "tokens" / "um" / "documents.npy", np.append(np.arange(0, tokens, 600), tokens))
    entry = {"name": "um", "folder": "um", "tokens": tokens, "streams": streams, "heldout": {"documents": 0}}
    write_json(folder / "tokens" / "tokens.json", {"pad": 3, "dtype": "uint16", "sources": [entry]})
    write_blocks(folder / "tokens", {"sources": [entry]})


def ours(name: str, folder: Path, address: str, rows: int) -> dict[str, Any]:
    """Read batches as the training loop gets them."""
    import torch

    from lhama.plan.schedule import Phase
    from lhama.tokens.blocks import read_blocks
    from lhama.tokens.loader import Loader
    from lhama.tokens.places import open_place
    from lhama.tokens.streaming import Streamed
    from lhama.tokens.streams import Local, Streams
    from lhama.train.batches import Batches

    steps = rows // BATCH
    begun = time.perf_counter()
    streams: Streams = Local(in_memory=name == "memory")
    if name.startswith("streamed"):
        blocks = read_blocks(folder / "tokens")
        capacity = len(blocks) // 4 if name == "streamed-quarter" else len(blocks)
        if name != "streamed-warm":
            shutil.rmtree(folder / name, ignore_errors=True)
        streams = Streamed(open_place(address), blocks, folder / name, capacity, "owner", 10 * steps)
    phase = Phase("main", 10 * rows * SEQUENCE, BATCH * SEQUENCE, None, 0, 10 * steps, 0, 1e-3)
    loader = Loader(folder / "tokens", [phase], SEQUENCE, "stream", 0, streams)
    with Batches(loader, BATCH, torch.device("cpu")) as batches:
        for step in range(steps):
            if step == WARM:
                started, used = time.perf_counter(), time.process_time()
            batches.get(step, steps)
        ended = time.perf_counter()
    found = told(steps, begun, started, ended, used)
    return found | ({"blocks_fetched": streams.fetched} if isinstance(streams, Streamed) else {})


def peer(workers: int, folder: Path, rows: int) -> dict[str, Any]:
    """Read the same rows through `datasets`, streaming, and a DataLoader."""
    import datasets
    import torch
    from torch.utils.data import DataLoader

    begun = time.perf_counter()
    files = [str(path) for path in sorted((folder / "rows").glob("*.parquet"))]
    data = datasets.load_dataset("parquet", data_files=files, split="train", streaming=True, cache_dir=folder / "cache")
    data = data.shuffle(seed=0, buffer_size=1000).repeat(None).with_format("torch")

    def collate(batch: list[dict[str, Any]]) -> tuple[Any, Any]:
        ids = torch.stack([one["ids"] for one in batch]).to(torch.int64)
        return ids[:, :-1], ids[:, 1:]

    batches = iter(DataLoader(data, batch_size=BATCH, num_workers=workers, collate_fn=collate))
    steps = rows // BATCH
    for step in range(steps):
        if step == WARM:
            started, used = time.perf_counter(), time.process_time()
        next(batches)
    ended = time.perf_counter()
    return told(steps, begun, started, ended, used)


def told(steps: int, begun: float, started: float, ended: float, used: float) -> dict[str, Any]:
    """Bring what was measured into figures; the processor's time is this process's, all threads together."""
    rows = (steps - WARM) * BATCH
    spent = time.process_time() - used
    return {
        "rows_per_second": rows / (ended - started),
        "rows_per_processor_second": rows / spent,
        "opening_seconds": started - begun,
    }


RECIPE = """
name = "espera"
[hardware]
accelerator = "cpu"
[record]
energy = false
[[corpus.source]]
name = "frases"
path = "frases.txt"
[tokens]
vocabulary = 1024
sequence = 256
[model]
hidden_size = 128
intermediate_size = 352
layers = 4
heads = 4
[train]
tokens = 65536
batch_tokens = 4096
learning_rate = 1e-3
precision = "fp32"
compile = "off"
"""


TRAIN = """
import sys
from pathlib import Path
from lhama.plan.recipe import load
from lhama.record.run import Run
from lhama.train.stage import run_stage
recipe = load(sys.argv[1], sys.argv[3:])
run_stage(recipe, Run.open(recipe, Path(sys.argv[2])))
"""


def make_run(folder: Path) -> Path:
    """Make a run whose tokens are finished, of sentences of invented words; return its recipe."""
    import pyarrow as pa
    from pyarrow import parquet

    from lhama.plan.recipe import load
    from lhama.record.run import Run
    from lhama.tokens import stage

    (folder / "espera.toml").write_text(RECIPE)
    recipe = load(folder / "espera.toml")
    run = Run.open(recipe, folder / "made")
    draw = random.Random(0)
    syllables = [one + two for one in "bcdfglmnprstv" for two in "aeiou"]
    words = ["".join(draw.choices(syllables, k=draw.randint(1, 4))) for _ in range(3000)]
    texts = [" ".join(draw.choices(words, k=60)) + "." for _ in range(4000)]
    with run.stage("corpus") as corpus:
        (corpus.folder / "data").mkdir()
        table = pa.table({"id": [str(i) for i in range(len(texts))], "text": texts, "source": ["frases"] * len(texts)})
        parquet.write_table(table, corpus.folder / "data" / "train-00000-of-00001.parquet")
    stage.run_stage(recipe, run)
    return folder / "espera.toml"


def waiting(folder: Path, rounds: int) -> dict[str, list[float]]:
    """Train a small model in each way; return the shares of the steps' time that waited for a batch."""
    recipe = make_run(folder)
    shares: dict[str, list[float]] = {name: [] for name in ("memory", "mapped", "streamed")}
    with served(folder / "made" / "espera" / "tokens") as address:
        for number in range(rounds):
            for name, found in shares.items():
                runs = folder / f"{name}-{number}"
                (runs / "espera").mkdir(parents=True)
                if name != "streamed":
                    shutil.copytree(folder / "made" / "espera" / "tokens", runs / "espera" / "tokens")
                command = [
                    sys.executable,
                    "-c",
                    TRAIN,
                    str(recipe),
                    str(runs),
                    f"train.data={name}",
                    f"train.stream={address}",
                ]
                subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
                with (runs / "espera" / "train" / "metrics.jsonl").open() as file:
                    rows = [row for line in file if "waiting_share" in (row := json.loads(line))]
                found.append(median(row["waiting_share"] for row in rows[WARM:]))
    return shares


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--megabytes", type=int, default=128)
    parser.add_argument("--rows", type=int, default=12800)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--serve", type=Path)
    parser.add_argument("--turn", nargs=3)
    asked = parser.parse_args()
    if asked.serve:
        serve(asked.serve)
        return
    if asked.turn:
        name, folder, address = asked.turn
        if name.startswith("datasets"):
            print(json.dumps(peer(int(name.split("-")[1]), Path(folder), asked.rows)))
        else:
            print(json.dumps(ours(name, Path(folder), address, asked.rows)))
        return
    measure(asked)


def measure(asked: argparse.Namespace) -> None:
    turns: dict[str, list[dict[str, Any]]] = {name: [] for name in (*OURS, *PEERS)}
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        make_tokens(folder, asked.megabytes)
        with served(folder / "tokens") as address:
            for number in range(asked.rounds):
                names = list(turns)
                for name in names[number % len(names) :] + names[: number % len(names)]:
                    if name == "streamed-warm" and not turns[name]:
                        turn(name, folder, address, asked.rows)  # fills the cache, not counted
                    turns[name].append(turn(name, folder, address, asked.rows))
                    print(name, turns[name][-1], flush=True)
        write(asked, turns, {})
        write(asked, turns, waiting(folder, asked.rounds))


def write(asked: argparse.Namespace, turns: dict[str, list[dict[str, Any]]], shares: dict[str, list[float]]) -> None:
    kinds = ("rows_per_second", "rows_per_processor_second")
    speeds = {kind: {name: median(one[kind] for one in found) for name, found in turns.items()} for kind in kinds}
    result = {
        "date": str(date.today()),
        "machine": {"cores": os.cpu_count(), "python": sys.version},
        "megabytes": asked.megabytes,
        "rows": asked.rows,
        "sequence": SEQUENCE,
        "batch": BATCH,
        **speeds,
        "waiting_share": {name: median(found) for name, found in shares.items()},
        "turns": turns,
        "waiting_turns": shares,
    }
    path = HERE / "results" / f"loading-{os.cpu_count()}cores-{date.today()}.json"
    path.write_text(json.dumps(result, indent=2) + "\n")
    print(json.dumps({key: result[key] for key in (*kinds, "waiting_share")}, indent=2), path)


def turn(name: str, folder: Path, address: str, rows: int) -> dict[str, Any]:
    command = [sys.executable, __file__, "--rows", str(rows), "--turn", name, str(folder), address]
    done = subprocess.run(
        command, check=True, stdout=subprocess.PIPE, text=True, env={**os.environ, "HF_HUB_OFFLINE": "1"}
    )
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


if __name__ == "__main__":
    main()
