"""The loss of the fast path beside that of the plain one: the same weights and batches, two ways to compute.

The fast path is what `lhama train` takes here (bf16, compiled, fused products, blocks of attention); the plain one is
fp32, eager, with attention written out. Their distance is the mean of |difference| over the second half of the steps,
beside the limit of 0.01 nat. Also compared are the gradients of the first step, tensor by tensor.

    python benchmarks/train_curves.py [--shape 8m] [--steps 200] [--warmup 50]
        [--picture docs/pictures/train-curves.svg] [--beside "plain loop, tuned" ...] [--peers PYTHON]

`--beside` names trainers of train.py whose distance from the plain one is told, too; PYTHON is for those of peers,
which take no warm-up. Written to benchmarks/results/train-curves-SHAPE-HARDWARE-DATE.json, without warm-up to
...-cold-DATE.json.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from datetime import date
from pathlib import Path
from statistics import mean
from typing import Any

import numpy as np
import torch
from train import CUDA, ENTRIES, JEMALLOC, SHAPES, Shape, turn, write_work  # type: ignore[import-not-found]  # of this folder

from lhama.model.checkpoint import read_config, read_tensors
from lhama.model.llama import Llama
from lhama.train.optim import AdamW

HERE = Path(__file__).parent
FAST, PLAIN = "lhama", "lhama fp32, plain attention"
LIMIT = 0.01  # nat
WIDTH, HEIGHT, EDGE = 760, 300, 56


def first_gradients(folder: Path, compute: torch.dtype, compiled: bool, attention: str) -> dict[str, torch.Tensor]:
    """Return the gradient of each tensor for the first batch, in fp32."""
    device = torch.device("cuda" if CUDA else "cpu")
    model = Llama(read_config(folder / "model"))
    model.load_state_dict(read_tensors(folder / "model", model.config))
    optimizer = AdamW(
        model.to(device), weight_decay=0, betas=(0.9, 0.95), epsilon=1e-8, clip=None, compute=compute, targets=1
    )
    model.compute_with(attention)
    loss: Any = torch.compile(model.loss, fullgraph=True, dynamic=False) if compiled else model.loss
    ids = torch.from_numpy(np.load(folder / "ids.npy")[0].astype(np.int64)).to(device)
    for few in torch.split(ids, 1 if CUDA and attention == "plain" else len(ids)):
        loss(few, torch.nn.functional.pad(few[:, 1:], (0, 1), value=-100)).backward()
        optimizer.gather()
    return {name: gradient.cpu() for name, gradient in optimizer.gradients().items()}


def compared(fast: dict[str, torch.Tensor], plain: dict[str, torch.Tensor]) -> dict[str, float]:
    """Return for each tensor the norm of the difference as a share of the norm."""
    return {name: float((fast[name] - exact).norm() / exact.norm()) for name, exact in plain.items()}


def late_distances(one: list[float], other: list[float]) -> list[float]:
    """Return how far two curves are apart at each step of the second half."""
    return [abs(ours - theirs) for ours, theirs in zip(one, other, strict=True)][len(one) // 2 :]


def picture(losses: dict[str, list[float]], title: str) -> str:
    """Draw both curves, and their difference in the panel below, as an SVG."""
    fast, plain = losses[FAST], losses[PLAIN]
    low, high = min(fast + plain), max(fast + plain)
    gaps = [one - other for one, other in zip(fast, plain, strict=True)]
    most = max(2 * LIMIT, *(abs(gap) for gap in gaps))
    tall = HEIGHT + 140

    def line(values: list[float], low: float, high: float, top: float, height: float, style: str) -> str:
        across = (WIDTH - 2 * EDGE) / (len(values) - 1)
        points = " ".join(
            f"{EDGE + at * across:.1f},{top + height * (high - value) / (high - low):.1f}"
            for at, value in enumerate(values)
        )
        return f'<polyline points="{points}" fill="none" {style}/>'

    def words(x: float, y: float, text: str, more: str = "", fill: str = "#222") -> str:
        return f'<text x="{x}" y="{y}" font-family="sans-serif" font-size="13" fill="{fill}" {more}>{text}</text>'

    band = 100 * LIMIT / most
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {tall}" role="img">',
        f'<title>{title}</title><rect width="{WIDTH}" height="{tall}" fill="#fff"/>',
        words(EDGE, 24, title, 'font-weight="bold"'),
        line(plain, low, high, 40, HEIGHT - 60, 'stroke="#E69F00" stroke-width="4" opacity="0.6"'),
        line(fast, low, high, 40, HEIGHT - 60, 'stroke="#0072B2" stroke-width="1.4"'),
        words(8, 50, f"{high:.2f}"),
        words(8, HEIGHT - 20, f"{low:.2f}"),
        words(WIDTH - 300, 60, "plain: fp32, eager, attention written out", fill="#8A5F00"),
        words(WIDTH - 300, 80, "fast: bf16, compiled, fused", fill="#0072B2"),
        words(EDGE, HEIGHT + 14, f"fast minus plain, nats; the band is ±{LIMIT}"),
        f'<rect x="{EDGE}" y="{HEIGHT + 70 - band / 2:.1f}" width="{WIDTH - 2 * EDGE}" height="{band:.1f}"'
        ' fill="#ddd"/>',
        line(gaps, -most, most, HEIGHT + 20, 100, 'stroke="#0072B2" stroke-width="1.2"'),
        words(EDGE, tall - 6, "step 1"),
        words(WIDTH - EDGE, tall - 6, f"step {len(fast)}", 'text-anchor="end"'),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def main() -> None:
    """Train both ways, compare, draw and write."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--shape", choices=SHAPES, default="160m-gpu" if CUDA else "8m")
    arguments.add_argument("--steps", type=int, default=200)
    arguments.add_argument("--warmup", type=int, default=50, help="steps over which the learning rate rises")
    arguments.add_argument("--picture", type=Path)
    arguments.add_argument("--beside", nargs="*", choices=ENTRIES, default=[])
    arguments.add_argument("--peers", default=sys.executable)
    given = arguments.parse_args()
    if given.warmup and any(ENTRIES[who].who != "lhama" for who in given.beside):
        arguments.error("peers take no warm-up: compare with --warmup 0")
    shape: Shape = SHAPES[given.shape]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_work(folder, shape, given.steps)
        losses = {
            who: turn(ENTRIES[who], folder, shape.rows, given.peers, JEMALLOC, given.warmup)["losses"]
            for who in (FAST, PLAIN, *given.beside)
        }
        gradients = compared(
            first_gradients(folder, torch.bfloat16, True, "auto"),
            first_gradients(folder, torch.float32, False, "plain"),
        )
    late = late_distances(losses[FAST], losses[PLAIN])
    distance = mean(late)
    worst = max(gradients, key=lambda name: gradients[name])
    result: dict[str, Any] = {
        "date": str(date.today()),
        "shape": given.shape,
        "device": torch.cuda.get_device_name() if CUDA else f"{os.cpu_count()} cores",
        "torch": torch.__version__,
        "steps": given.steps,
        "warmup_steps": given.warmup,
        "mean_distance_of_second_half": distance,
        "largest_distance_of_second_half": max(late),
        "limit": LIMIT,
        "mean_distance_beside": {who: mean(late_distances(losses[who], losses[PLAIN])) for who in given.beside},
        "gradient_differences": gradients,
        "losses": losses,
    }
    hardware = torch.cuda.get_device_name().replace(" ", "-") if CUDA else f"{os.cpu_count()}cores"
    path = (
        HERE / "results" / f"train-curves-{given.shape}-{hardware}{'' if given.warmup else '-cold'}-{date.today()}.json"
    )
    path.write_text(json.dumps(result) + "\n", encoding="utf-8")
    if given.picture:
        title = f"Two ways to compute the same {given.steps} steps, {given.shape}: {distance:.4f} nat apart at the end"
        given.picture.write_text(picture(losses, title), encoding="utf-8")
    print(f"mean distance in the second half {distance:.5f} nat (limit {LIMIT}), largest {max(late):.5f}")
    for who, apart in result["mean_distance_beside"].items():
        print(f"{who}: {apart:.5f} nat")
    print(f"gradients of the first step differ by {gradients[worst]:.2%} of their norm at most ({worst})")
    print(f"losses end at {losses[FAST][-1]:.4f} and {losses[PLAIN][-1]:.4f}; written to {path}")


if __name__ == "__main__":
    main()
