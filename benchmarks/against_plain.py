"""The same minutes, the same clean text, the same shape: Lhama against the plain script of today, alternately.

Both train as processes of their own. One runs while the other is stopped (SIGSTOP), in slices of a minute, so that a
machine whose speed drifts treats both alike; the clock of each counts only its own slices, start and compilation
included. First a calibration gives the tokens that fit into the minutes; then both train that many and are scored on
all held-out documents in bits per byte, with one definition and two independent implementations.

Usage: python benchmarks/against_plain.py RECIPE --minutes 30 --runs runs
Writes benchmarks/results/against-plain-HARDWARE-DATE.json and prints the table.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date
from itertools import pairwise
from pathlib import Path
from statistics import median

HERE = Path(__file__).parent
SLICE_SECONDS, CALIBRATION_SLICE_SECONDS = 60.0, 15.0
PLAIN_BATCH_TOKENS = 8_192
CALIBRATION_TOKENS = 245_760  # about a minute of each


@dataclass
class Contestant:
    """One process that is stopped and continued, and the seconds that it was allowed to run until it had trained."""

    name: str
    command: list[str]
    log: Path
    has_trained: Callable[[], bool]
    process: subprocess.Popen[bytes] | None = None
    seconds: float = 0.0
    finished_at: float | None = None
    slices: list[float] = field(default_factory=list)

    def run_for(self, seconds: float) -> bool:
        """Let it run for a slice; return whether the process is still alive."""
        if self.process is None:
            with self.log.open("ab") as log:
                self.process = subprocess.Popen(self.command, stdout=log, stderr=log, start_new_session=True)
        else:
            os.killpg(self.process.pid, signal.SIGCONT)
        begun = time.monotonic()
        while (spent := time.monotonic() - begun) < seconds and self.process.poll() is None:
            if self.finished_at is None and self.has_trained():
                self.finished_at = self.seconds + spent
            time.sleep(0.2)
        self.seconds += time.monotonic() - begun
        if self.process.poll() is not None:
            if self.process.returncode != 0:
                raise SystemExit(f"{self.name} failed with {self.process.returncode}; see {self.log}")
            return False
        os.killpg(self.process.pid, signal.SIGSTOP)
        return True


def alternate(contestants: list[Contestant], slice_seconds: float = SLICE_SECONDS) -> None:
    """Run the contestants in turn until all have ended; nothing that was started is left behind."""
    alive = list(contestants)
    try:
        while alive:
            alive = [one for one in alive if one.run_for(slice_seconds)]
            line = "  ".join(f"{one.name} {one.seconds / 60:.1f} min" for one in contestants)
            print(f"{time.strftime('%H:%M:%S')}  {line}", flush=True)
    finally:
        for one in contestants:
            if one.process is not None and one.process.poll() is None:
                os.killpg(one.process.pid, signal.SIGKILL)


def rows(path: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def ours(recipe: str, runs: Path, name: str, tokens: int, log: Path) -> Contestant:
    command = [sys.executable, "-c", "from lhama.cli import main; main()", "train", recipe, "--runs", str(runs)]
    command += ["--set", f"name={name}", "--set", f"train.tokens={tokens}"]
    losses = runs / name / "train" / "loss.jsonl"
    return Contestant("lhama", command, log, lambda: any(row["tokens"] >= tokens for row in rows(losses)[-1:]))


def plain(corpus: Path, out: Path, tokens: int, log: Path, *, score: bool) -> Contestant:
    command = [sys.executable, str(HERE / "peers" / "plain.py"), str(corpus), str(out), "--tokens", str(tokens)]
    return Contestant("plain", command + ([] if score else ["--no-score"]), log, (out / "trained").exists)


def calibrate(recipe: str, runs: Path, name: str, work: Path) -> dict[str, float]:
    """Measure both speeds, in tokens per second, in short alternating runs; the median step counts, not the stops."""
    scratch = f"{name}-calibration"
    shutil.rmtree(runs / scratch, ignore_errors=True)
    for stage in ("corpus", "tokens"):
        shutil.copytree(runs / name / stage, runs / scratch / stage)
    mine = ours(recipe, runs, scratch, CALIBRATION_TOKENS, work / "calibration.log")
    mine.command += ["--set", f"train.log_every={CALIBRATION_TOKENS // 30}", "--set", "train.validate_megabytes=0.05"]
    peer = plain(
        runs / name / "corpus", work / "calibration", CALIBRATION_TOKENS, work / "calibration.log", score=False
    )
    alternate([mine, peer], CALIBRATION_SLICE_SECONDS)
    ours_timed = [row["tokens_per_second"] for row in rows(runs / scratch / "train" / "metrics.jsonl")[1:]]
    shutil.rmtree(runs / scratch)
    steps = [row["seconds"] for row in rows(work / "calibration" / "loss.jsonl")[1:]]
    each = median(later - earlier for earlier, later in pairwise(steps))
    return {"lhama": median(ours_timed), "plain": PLAIN_BATCH_TOKENS / each}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("recipe")
    parser.add_argument("--runs", type=Path, default=Path("runs"))
    parser.add_argument("--minutes", type=float, default=30.0)
    chosen = parser.parse_args()
    from lhama.plan.recipe import load

    recipe = load(chosen.recipe)
    name = recipe.name
    whole = {"lhama": recipe.train.batch_tokens, "plain": PLAIN_BATCH_TOKENS}
    command = [sys.executable, "-c", "from lhama.cli import main; main()", "tokens", chosen.recipe]
    subprocess.run([*command, "--runs", str(chosen.runs)], check=True)
    work = chosen.runs / f"{name}-against-plain"
    work.mkdir(parents=True, exist_ok=True)
    speeds = calibrate(chosen.recipe, chosen.runs, name, work)
    print("tokens/s:", speeds, flush=True)
    budget = {who: int(speed * chosen.minutes * 60) // whole[who] * whole[who] for who, speed in speeds.items()}
    print("tokens to train:", budget, flush=True)
    mine = ours(chosen.recipe, chosen.runs, name, budget["lhama"], work / "lhama.log")
    peer = plain(chosen.runs / name / "corpus", work / "plain", budget["plain"], work / "plain.log", score=True)
    alternate([mine, peer])
    final = json.loads((chosen.runs / name / "train" / "final.json").read_text())
    scored = json.loads((work / "plain" / "result.json").read_text())
    result = {
        "date": date.today().isoformat(),
        "machine": {"processor": platform.processor() or platform.machine(), "cores": os.cpu_count()},
        "minutes_wanted": chosen.minutes,
        "lhama": {"minutes": (mine.finished_at or mine.seconds) / 60, "tokens": budget["lhama"], **final["validation"]},
        "plain": {"minutes": (peer.finished_at or peer.seconds) / 60, **scored},
    }
    result["ratio_bits_per_byte"] = result["lhama"]["bits_per_byte"] / scored["bits_per_byte"]
    target = HERE / "results" / f"against-plain-{os.cpu_count()}cores-{date.today().isoformat()}.json"
    target.parent.mkdir(exist_ok=True)
    target.write_text(json.dumps(result, indent=2) + "\n")
    for who in ("lhama", "plain"):
        shown = result[who]
        print(f"{who:6} {shown['minutes']:6.1f} min {shown['tokens']:>12,} tokens", end="")
        print(f" {shown['bits_per_byte']:.4f} bits per byte")
    print(f"ratio {result['ratio_bits_per_byte']:.4f}; written to {target}")


if __name__ == "__main__":
    main()
