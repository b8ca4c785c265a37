"""Training steps of ours and of the peers, alternately, on the same weights, batches, sequence and optimizer.

Each turn is a process of its own (benchmarks/peers/trainers.py): a round gives every trainer one turn, in an order
that turns round; the first steps of a turn compile and warm up and are not counted. Printed are tokens/s (medians over
all counted steps of all rounds), the share of what the machine multiplies at these very shapes (the ceiling: the best
of measurements before every turn), of its best square product and, on a GPU in the plan's table, of its data sheet,
peak memory, and the mean distance of the loss from plain fp32. On a GPU the shapes are ttl-160m, ttl-460m and
tinyllama-1.1b at 2,048 tokens, and torch picks FlashAttention for all in bf16.

    python benchmarks/train.py [--shape 160m] [--rounds 3] [--steps 12] [--peers PYTHON] [--only NAME ...] [--memory]

PYTHON is an interpreter with transformers, accelerate, litgpt and lightning beside ours, and liger-kernel on a GPU; a
peer that is not there is said and left out. Written to
benchmarks/results/train-SHAPE-HARDWARE-DATE.json. `--preload` names an allocator for the peers that are called tuned.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch

from lhama.model.checkpoint import save_model
from lhama.model.config import LlamaConfig
from lhama.model.llama import Llama
from lhama.plan.hardware import ACCELERATORS, this_machine

HERE = Path(__file__).parent
WARM = 3  # steps that do not count: compilation, first touch of memory
CUDA = torch.cuda.is_available()
JEMALLOC = "/usr/lib/x86_64-linux-gnu/libjemalloc.so.2"


@dataclass(frozen=True)
class Shape:
    """A model and the batch of a step."""

    vocabulary: int
    hidden: int
    intermediate: int
    layers: int
    heads: int
    key_value: int
    rows: int
    sequence: int

    def config(self) -> LlamaConfig:
        return LlamaConfig(
            vocab_size=self.vocabulary,
            hidden_size=self.hidden,
            intermediate_size=self.intermediate,
            num_hidden_layers=self.layers,
            num_attention_heads=self.heads,
            num_key_value_heads=self.key_value,
            head_dim=self.hidden // self.heads,
            max_position_embeddings=self.sequence,
        )


SHAPES = {
    "8m": Shape(4_096, 256, 1_024, 6, 4, 4, 8, 256),
    "160m": Shape(32_000, 768, 3_072, 12, 12, 12, 4, 512),
    "160m-8": Shape(32_000, 768, 3_072, 12, 12, 12, 8, 512),
    "160m-gpu": Shape(32_000, 768, 3_072, 12, 12, 12, 16, 2_048),
    "460m-gpu": Shape(32_000, 1_024, 4_096, 24, 16, 16, 8, 2_048),
    "1.1b-gpu": Shape(32_000, 2_048, 5_632, 22, 32, 4, 4, 2_048),
}


@dataclass(frozen=True)
class Entry:
    """A trainer with its settings."""

    who: str
    settings: str
    preload: bool = False
    environment: tuple[tuple[str, str], ...] = ()


ENTRIES = {
    "lhama": Entry("lhama", "bf16+compile"),
    "lhama eager": Entry("lhama", "bf16"),
    "lhama fp32, plain attention": Entry("lhama", "plain"),
    "Trainer, default": Entry("trainer", ""),
    "Trainer, tuned": Entry("trainer", "bf16+compile", preload=True),
    "litgpt fp32": Entry("litgpt", ""),
    "litgpt, tuned": Entry("litgpt", "bf16+compile", preload=True),
    "plain loop, tuned": Entry("plain", "bf16+compile", preload=True),
}
MEMORY = {
    "lhama, malloc as it is": Entry("lhama", "bf16+compile+malloc"),
    "lhama, jemalloc": Entry("lhama", "bf16+compile+malloc", preload=True),
    "lhama, huge pages": Entry("lhama", "bf16+compile", environment=(("GLIBC_TUNABLES", "glibc.malloc.hugetlb=1"),)),
    "lhama, one thread": Entry("lhama", "bf16+compile", environment=(("OMP_NUM_THREADS", "1"),)),
}
"""How memory and threads are had, asked for by `--memory`."""
ON_GPU = {
    "plain loop + Liger": Entry("plain", "bf16+liger"),
    "Trainer, tuned + Liger": Entry("trainer", "bf16+liger"),
}
TOO_MUCH = "plain"  # the setting that keeps all of attention's fp32 scores: on a GPU one row of 2,048 at a time
REPEATS = 10  # products between two events of a GPU: one alone would measure how long it takes to ask for it


def write_work(folder: Path, shape: Shape, steps: int) -> None:
    """Write first weights, and batches of a language that can be learned: each token depends on the one before."""
    model = Llama(shape.config())
    model.init_weights(0)
    (folder / "model").mkdir()
    save_model(folder / "model", dict(model.named_parameters()), model.config, None)
    random = np.random.default_rng(0)
    follows = random.zipf(1.3, (shape.vocabulary, 8)) % shape.vocabulary
    ids = np.empty((steps, shape.rows, shape.sequence), np.int32)
    ids[..., 0] = random.integers(0, shape.vocabulary, ids.shape[:2])
    for at in range(1, shape.sequence):
        ids[..., at] = follows[ids[..., at - 1], random.integers(0, 8, ids.shape[:2])]
    np.save(folder / "ids.npy", ids)


def turn(entry: Entry, folder: Path, rows: int, python: str, preload: str, warmup: int = 0) -> dict[str, Any]:
    """Let one trainer take its steps in a process of its own."""
    environment = {**os.environ, "PYTHONPATH": str(HERE.parent), "TOKENIZERS_PARALLELISM": "false"}
    environment |= dict(entry.environment)
    if CUDA:
        environment["CUDA_VISIBLE_DEVICES"] = _first_gpu()  # the Trainer would take all of them
        rows = 1 if entry.settings == TOO_MUCH else rows
    if entry.preload and Path(preload).is_file() and not CUDA:
        environment["LD_PRELOAD"] = preload
    interpreter = sys.executable if entry.who == "lhama" else python
    command = [interpreter, str(HERE / "peers" / "trainers.py"), entry.who, str(folder)]
    command += ["--settings", entry.settings, "--rows", str(rows), "--warmup", str(warmup)]
    done = subprocess.run(command, check=False, env=environment, capture_output=True, text=True)
    if done.returncode:
        missing = [line for line in done.stderr.splitlines() if line.startswith("ModuleNotFoundError")]
        raise RuntimeError(missing[-1] if missing else f"{entry}: {done.stderr[-3000:]}")
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def _first_gpu() -> str:
    return os.environ.get("CUDA_VISIBLE_DEVICES", "0").split(",")[0]


def ceiling(shape: Shape, rows: int, dtype: torch.dtype) -> dict[str, float]:
    """Measure operations per second of the products of a step at their shapes, and of a large square one."""
    device = "cuda" if CUDA else "cpu"
    tokens, E, F, V = rows * shape.sequence, shape.hidden, shape.intermediate, shape.vocabulary
    kv = shape.key_value * (E // shape.heads)
    sizes = [(tokens, E, E, 2 * shape.layers), (tokens, E, kv, 2 * shape.layers)]
    sizes += [(tokens, E, F, 2 * shape.layers), (tokens, F, E, shape.layers), (tokens, E, V, 1)]
    seconds, operations = 0.0, 0.0
    for m, k, n, times in sizes:
        for left, right in (((m, k), (k, n)), ((m, n), (n, k)), ((k, m), (m, n))):  # forward, to inputs, to weights
            seconds += times * _seconds(left, right, dtype, device)
            operations += times * 2.0 * m * k * n
    side = 8192 if CUDA else 2048
    found = {
        "at_shapes": operations / seconds,
        "square": 2.0 * side**3 / _seconds((side,) * 2, (side,) * 2, dtype, device),
    }
    if CUDA:
        torch.cuda.empty_cache()  # the trainers are other processes and need the room
    return found


def _seconds(left: tuple[int, ...], right: tuple[int, ...], dtype: torch.dtype, device: str) -> float:
    a, b = torch.randn(left, dtype=dtype, device=device), torch.randn(right, dtype=dtype, device=device)
    took: list[float] = []
    for _ in range(4):
        if CUDA:
            begun, ended = (torch.cuda.Event(enable_timing=True) for _ in range(2))  # type: ignore[no-untyped-call]
            begun.record()
            for _ in range(REPEATS):
                a @ b
            ended.record()
            torch.cuda.synchronize()
            took.append(begun.elapsed_time(ended) / 1e3 / REPEATS)
        else:
            start = time.perf_counter()
            a @ b
            took.append(time.perf_counter() - start)
    return min(took[1:])


def main() -> None:
    """Alternate, print, write."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--shape", choices=SHAPES, default="160m-gpu" if CUDA else "160m")
    arguments.add_argument("--rounds", type=int, default=3)
    arguments.add_argument("--steps", type=int, default=12)
    arguments.add_argument("--rows", type=int, help="rows that go through the model at once; absent means all")
    arguments.add_argument("--peers", default=sys.executable)
    arguments.add_argument("--preload", default=JEMALLOC)
    arguments.add_argument("--only", nargs="*")
    arguments.add_argument("--memory", action="store_true", help="compare allocators and threads, not peers")
    given = arguments.parse_args()
    shape = SHAPES[given.shape]
    rows = given.rows or shape.rows
    entries = {"lhama": ENTRIES["lhama"]} | MEMORY if given.memory else ENTRIES | (ON_GPU if CUDA else {})
    entries = {name: entry for name, entry in entries.items() if not given.only or name in given.only}
    turns: dict[str, list[dict[str, Any]]] = {name: [] for name in entries}
    limits: list[dict[str, float]] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_work(folder, shape, given.steps)
        for number in range(given.rounds):
            order = list(entries)
            for who in order[number % len(order) :] + order[: number % len(order)]:
                limits.append(ceiling(shape, rows, torch.bfloat16))
                try:
                    turns[who].append(turn(entries[who], folder, rows, given.peers, given.preload))
                except RuntimeError as error:
                    print(f"{who}: {error}", flush=True)
                    continue
                print(f"round {number + 1} {who}: {median(turns[who][-1]['seconds'][WARM:]):.3f} s a step", flush=True)
    result = summed(given.shape, shape, rows, turns, limits)
    show(result)
    hardware = torch.cuda.get_device_name().replace(" ", "-") if CUDA else f"{os.cpu_count()}cores"
    path = HERE / "results" / f"train{'-memory' * given.memory}-{given.shape}-{hardware}-{date.today()}.json"
    path.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    print(f"written to {path}")


def data_sheet() -> float | None:
    """Return the dense bf16 peak that the maker tells of this GPU, in operations a second; None where none is known."""
    name = this_machine().accelerator if CUDA else "cpu"
    return ACCELERATORS[name].bf16 if name in ACCELERATORS else None


def summed(
    name: str, shape: Shape, rows: int, turns: dict[str, list[dict[str, Any]]], limits: list[dict[str, float]]
) -> dict[str, Any]:
    """Take the medians, and the shares of the ceiling: operations are 6 N + 6 L H D T a token (causal)."""
    tokens = shape.rows * shape.sequence
    operations = Llama(shape.config()).flops_per_token(shape.sequence)
    limit = {key: max(one[key] for one in limits) for key in limits[0]}
    sheet = data_sheet()
    exact = next((of[0]["losses"] for who, of in turns.items() if of and who.startswith("lhama fp32")), None)
    found: dict[str, Any] = {}
    for who, of in turns.items():
        if not of:
            continue
        steps = [second for one in of for second in one["seconds"][WARM:]]
        speed = tokens / median(steps)
        scored = [second for one in of for second in one["scoring"]]
        found[who] = {
            "tokens_per_second": round(speed, 1),
            "by_round": [round(tokens / median(one["seconds"][WARM:]), 1) for one in of],
            "share_of_products_at_shapes": round(speed * operations / limit["at_shapes"], 4),
            "share_of_square_product": round(speed * operations / limit["square"], 4),
            "share_of_data_sheet": round(speed * operations / sheet, 4) if sheet else None,
            "first_step_seconds": [round(one["seconds"][0], 1) for one in of],
            "peak_gib": round(max(one["peak_bytes"] for one in of) / 2**30, 2),
            "scoring_tokens_per_second": round(tokens / median(scored), 1) if scored else None,
            "preload": of[0]["preload"],
            "last_loss": of[0]["losses"][-1],
        }
        if exact:
            found[who]["loss_distance"] = sum(abs(a - b) for a, b in zip(of[0]["losses"], exact, strict=False)) / len(
                exact
            )
    return {
        "date": str(date.today()),
        "shape": name,
        "rows": shape.rows,
        "rows_at_once": rows,
        "sequence": shape.sequence,
        "device": torch.cuda.get_device_name() if CUDA else f"{os.cpu_count()} cores",
        "torch": torch.__version__,
        "flops_per_token_causal": operations,
        "ceiling_tflops": {key: round(value / 1e12, 3) for key, value in limit.items()},
        "data_sheet_tflops": sheet and round(sheet / 1e12, 1),
        "trainers": found,
    }


def show(result: dict[str, Any]) -> None:
    """Print the table."""
    ours = result["trainers"].get("lhama", {}).get("tokens_per_second")
    limit = result["ceiling_tflops"]
    print(f"bf16 products: {limit['at_shapes']} TFLOP/s at these shapes, {limit['square']} square")
    print(f"{'':30} {'tokens/s':>10} {'ours is':>8} {'of products':>12} {'peak GiB':>9} {'loss distance':>14}")
    for who, of in result["trainers"].items():
        ratio = f"{ours / of['tokens_per_second']:.2f}x" if ours else ""
        print(
            f"{who:30} {of['tokens_per_second']:>10,.0f} {ratio:>8} {of['share_of_products_at_shapes']:>12.1%} "
            f"{of['peak_gib']:>9.2f} {of.get('loss_distance', float('nan')):>14.5f}"
        )


if __name__ == "__main__":
    main()
