"""Repair and masking over the same documents: Lhama, ftfy on every document, and maskers of patterns, alternately.

Each contestant is a process of its own that reads the same sample, warms up, and then measures its own processor time,
round after round in turn; medians and ratios are printed. ftfy does what our step `unicode` does, so these two are
compared; all steps together are shown beside them. Then the verdicts are compared document by document: which lines
ftfy would decode anew, and which e-mail and IP addresses datatrove's patterns find.

Usage: python benchmarks/corpus_repair.py FILE.jsonl.zst ... [--datatrove PYTHON] [--rounds 5] [--megabytes 20]
PYTHON is an interpreter with datatrove 0.10.1 (pip install datatrove).
Writes benchmarks/results/corpus-repair-HARDWARE-DATE.json.
"""

from __future__ import annotations

import argparse
import ipaddress
import json
import os
import platform
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from datetime import date
from pathlib import Path
from statistics import median
from typing import Any

HERE = Path(__file__).parent
SECONDS = 1.0  # that a round of a fast contestant lasts at least
STEPS = ("unicode", "front-matter", "markup", "pages")
PAIRS = (("unicode", "ftfy"), ("all steps", "ftfy"), ("mask", "plain mask"), ("mask", "datatrove mask"))
"""Ours, and whom it is set against."""
BATCH = 8 << 20  # bytes that the corpus stage hands over at a time


def sample_of(files: list[Path], size: int) -> list[dict[str, str]]:
    """Take documents evenly from all files, about so many bytes in all."""
    import zstandard

    rows: list[dict[str, str]] = []
    for file in files:
        with file.open("rb") as packed:
            lines = zstandard.ZstdDecompressor().stream_reader(packed).read().splitlines()
        rows += [{"source": file.name.split(".")[0], "text": json.loads(line)["text"]} for line in lines]
    total = sum(len(row["text"].encode()) for row in rows)
    return rows[:: max(1, round(total / size))]


def batches(texts: list[str]) -> list[Any]:
    """Make Arrow columns as the corpus stage does."""
    import pyarrow as pa

    columns, held, size = [], [], 0
    for text in texts:
        held.append(text)
        size += len(text.encode())
        if size >= BATCH:
            columns.append(pa.array(held, pa.large_string()))
            held, size = [], 0
    return [*columns, pa.array(held, pa.large_string())]


def repairing(texts: list[str], steps: tuple[str, ...]) -> Callable[[], Any]:
    from lhama.corpus.repair import repair

    columns = batches(texts)
    return lambda: [repair(column, frozenset(steps)) for column in columns]


def masking(texts: list[str]) -> Callable[[], Any]:
    from lhama.corpus.pii import mask

    columns = batches(texts)
    return lambda: [mask(column) for column in columns]


def fixing(texts: list[str]) -> Callable[[], Any]:
    """Give every document to ftfy with the settings that it comes with."""
    import ftfy

    return lambda: [ftfy.fix_text(text) for text in texts]


PLAIN = (
    (re.compile(r"\b[\w.+-]+@[\w-]+(?:\.[\w-]+)+\b"), "email@example.com"),
    (re.compile(r"\b\d{2}\.\d{3}\.\d{3}/\d{4}-\d{2}\b"), "00.000.000/0000-00"),
    (re.compile(r"\b\d{3}\.\d{3}\.\d{3}-\d{2}\b"), "000.000.000-00"),
    (re.compile(r"\b\d{4}[ -]?\d{4}[ -]?\d{4}[ -]?\d{4}\b"), "0000 0000 0000 0000"),
    (re.compile(r"(?:\+55 ?)?\(?\b\d{2}\)? ?9?\d{4}[- ]?\d{4}\b"), "(00) 0000-0000"),
)
ADDRESS = re.compile(r"\b(?:\d{1,3}\.){3}\d{1,3}\b")


def public_address(found: re.Match[str]) -> str:
    try:
        return "192.0.2.1" if ipaddress.ip_address(found[0]).is_global else found[0]
    except ValueError:
        return found[0]


def plainly_masked(text: str) -> str:
    """Mask as one writes it in an hour: a pattern for each kind, no check digits."""
    for pattern, new in PLAIN:
        text = pattern.sub(new, text)
    return ADDRESS.sub(public_address, text)


def formatting(texts: list[str]) -> Callable[[], list[str]]:
    """Let datatrove mask e-mail and IP addresses, which is all that it looks for."""
    from datatrove.pipeline.formatters.pii import (  # type: ignore[import-not-found, unused-ignore]
        PIIFormatter,
    )

    formatter = PIIFormatter()
    return lambda: [formatter.format(text) for text in texts]


CONTESTANTS: dict[str, Callable[[list[str]], Callable[[], Any]]] = {
    "unicode": lambda texts: repairing(texts, ("unicode",)),
    "all steps": lambda texts: repairing(texts, STEPS),
    "ftfy": fixing,
    "mask": masking,
    "plain mask": lambda texts: lambda: [plainly_masked(text) for text in texts],
    "datatrove mask": formatting,
}


def work(name: str, sample: Path) -> None:
    """Be a contestant: answer each line of input with the megabytes a second of a round."""
    texts = [json.loads(line)["text"] for line in sample.read_text(encoding="utf-8").splitlines()]
    if name == "verdicts":
        print(json.dumps([after != before for after, before in zip(formatting(texts)(), texts, strict=True)]))
        return
    size = sum(len(text.encode()) for text in texts)
    CONTESTANTS[name](texts[:50])()
    run = CONTESTANTS[name](texts)
    print("ready", flush=True)
    for _ in sys.stdin:
        rounds, begun = 0, time.process_time()
        while not rounds or time.process_time() - begun < SECONDS:
            run()
            rounds += 1
        print(rounds * size / (time.process_time() - begun) / 1e6, flush=True)


def race(sample: Path, python: str, rounds: int, names: Iterable[str]) -> dict[str, list[float]]:
    """Run all contestants in turn and return their megabytes a second."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1", "PYTHONPATH": str(HERE.parent)}
    processes = {}
    for name in names:
        interpreter = python if name == "datatrove mask" else sys.executable
        command = [interpreter, __file__, "--work", name, "--sample", str(sample)]
        processes[name] = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        )
    speeds: dict[str, list[float]] = {name: [] for name in processes}
    for name, process in processes.items():
        assert process.stdout is not None
        if process.stdout.readline().strip() != "ready":
            raise SystemExit(f"{name} did not start")
    for number in range(rounds):
        for name, process in processes.items():
            assert process.stdin is not None and process.stdout is not None
            process.stdin.write("go\n")
            process.stdin.flush()
            speeds[name].append(float(process.stdout.readline()))
        shown = "  ".join(f"{name} {found[-1]:.2f}" for name, found in speeds.items())
        print(f"round {number + 1}: {shown} MB/s", flush=True)
    for process in processes.values():
        assert process.stdin is not None
        process.stdin.close()
        process.wait()
    return speeds


CONTROLS = re.compile("[\x80-\x9f]")


def compare_decoding(texts: list[str]) -> dict[str, int]:
    """Count the documents with lines that ftfy would decode anew, and those in which we do.

    Single characters between 0x80 and 0x9F, which both mend, are mended first: we count them elsewhere.
    """
    import ftfy

    from lhama.corpus.repair import repair

    ours, theirs = [], []
    for column in batches(texts):
        ours += (repair(column, frozenset({"unicode"})).counts["mojibake"] > 0).tolist()
    for text in texts:
        lines = CONTROLS.sub(lambda found: bytes([ord(found[0])]).decode("windows-1252", "ignore"), text).split("\n")
        theirs.append(any(not line.isascii() and ftfy.fix_encoding(line) != line for line in lines))
    return counted(ours, theirs)


def compare_addresses(texts: list[str], theirs: list[bool]) -> dict[str, int]:
    """Count the documents in which datatrove finds an e-mail or IP address, and those in which we do."""
    from lhama.corpus.pii import mask

    ours: list[bool] = []
    for column in batches(texts):
        counts = mask(column).counts
        ours += (counts["email"] + counts["ip"] > 0).tolist()
    return counted(ours, theirs)


def counted(ours: list[bool], theirs: list[bool]) -> dict[str, int]:
    both = sum(one and other for one, other in zip(ours, theirs, strict=True))
    return {"documents": len(ours), "both": both, "lhama_only": sum(ours) - both, "peer_only": sum(theirs) - both}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", nargs="*", type=Path)
    parser.add_argument("--datatrove", default="", help="an interpreter that has datatrove")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--megabytes", type=float, default=20.0, help="of the sample that is raced over")
    parser.add_argument("--work", help=argparse.SUPPRESS)
    parser.add_argument("--sample", type=Path, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.work:
        work(chosen.work, chosen.sample)
        return
    rows = sample_of(chosen.files, int(chosen.megabytes * 1e6))
    texts = [row["text"] for row in rows]
    names = [name for name in CONTESTANTS if chosen.datatrove or name != "datatrove mask"]
    result: dict[str, Any] = {"date": date.today().isoformat(), "processor": platform.processor()}
    result["sample"] = {"documents": len(rows), "bytes": sum(len(text.encode()) for text in texts)}
    result["sample"]["files"] = [file.name for file in chosen.files]
    with tempfile.TemporaryDirectory() as folder:
        sample = Path(folder) / "sample.jsonl"
        sample.write_text("\n".join(map(json.dumps, rows)) + "\n", encoding="utf-8")
        speeds = race(sample, chosen.datatrove, chosen.rounds, names)
        if chosen.datatrove:
            command = [chosen.datatrove, __file__, "--work", "verdicts", "--sample", str(sample)]
            answer = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()[-1]
            result["addresses"] = compare_addresses(texts, json.loads(answer))
    result["decoding"] = compare_decoding(texts)
    result["speed"] = {name: {"median_mb_s": median(found), "rounds": found} for name, found in speeds.items()}
    result["ratio"] = {
        f"{ours} / {theirs}": median(mine / other for mine, other in zip(speeds[ours], speeds[theirs], strict=True))
        for ours, theirs in PAIRS
        if theirs in speeds
    }
    for name, found in speeds.items():
        print(f"{name:16} {median(found):8.2f} MB/s")
    for part in ("ratio", "decoding", "addresses"):
        print(part, result.get(part))
    target = HERE / "results" / f"corpus-repair-{os.cpu_count()}cores-{date.today().isoformat()}.json"
    target.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(f"written to {target}")


if __name__ == "__main__":
    main()
