"""Compare what a recipe drops with what a person would drop: precision and recall over documents labelled by hand.

    python benchmarks/corpus_labels.py RUN/corpus [--labels benchmarks/labels/corpus.csv] [--show]

The labels are `source,id,verdict,reason`: verdict is keep or drop. A document that is held out is judged by nobody and
left out of the comparison. With --show every difference is listed.
"""

import argparse
import csv
import json
import os
from collections import Counter
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

HERE = Path(__file__).parent


def verdicts_of(corpus: Path) -> dict[tuple[str, str], str]:
    """Read from a finished corpus what became of each document: kept, or the reason why it is not."""
    found: dict[tuple[str, str], str] = {}
    for path in sorted(corpus.glob("data/train-*.parquet")):
        table = pq.read_table(path, columns=["source", "id"])
        found |= {(row["source"], row["id"]): "kept" for row in table.to_pylist()}
    for path in sorted(corpus.glob("rejected/*.parquet")):
        table = pq.read_table(path, columns=["source", "id", "reason"])
        found |= {(row["source"], row["id"]): row["reason"] for row in table.to_pylist()}
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("corpus", type=Path)
    parser.add_argument("--labels", type=Path, default=HERE / "labels" / "corpus.csv")
    parser.add_argument("--show", action="store_true")
    given = parser.parse_args()
    verdicts = verdicts_of(given.corpus)
    counts: Counter[tuple[str, str]] = Counter()
    by_reason: Counter[tuple[str, bool]] = Counter()
    by_label: Counter[tuple[str, bool]] = Counter()
    differences: list[dict[str, Any]] = []
    with given.labels.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            verdict = verdicts.get((row["source"], row["id"]))
            if verdict is None:
                counts["heldout", row["verdict"]] += 1
                continue
            ours = "keep" if verdict == "kept" else "drop"
            counts[ours, row["verdict"]] += 1
            if ours == "drop":
                by_reason[verdict, row["verdict"] == "drop"] += 1
            if row["verdict"] == "drop":
                by_label[row["reason"], ours == "drop"] += 1
            if ours != row["verdict"]:
                differences.append({**row, "ours": verdict})
    hits, wrong, missed = counts["drop", "drop"], counts["drop", "keep"], counts["keep", "drop"]
    result: dict[str, Any] = {
        "date": date.today().isoformat(),
        "compared": hits + wrong + missed + counts["keep", "keep"],
        "precision": hits / max(1, hits + wrong),
        "recall": hits / max(1, hits + missed),
        "dropped_rightly": hits,
        "dropped_wrongly": wrong,
        "missed": missed,
        "kept_rightly": counts["keep", "keep"],
        "held_out": counts["heldout", "drop"] + counts["heldout", "keep"],
        "by_reason": {name: [by_reason[name, True], by_reason[name, False]] for name, _ in sorted(by_reason)},
        "by_label": {name: [by_label[name, True], by_label[name, False]] for name, _ in sorted(by_label)},
        "differences": differences,
    }
    print(f"precision {result['precision']:.3f} recall {result['recall']:.3f} over {result['compared']} documents")
    for name, (right, not_right) in result["by_reason"].items():
        print(f"  dropped as {name:32} {right:3} rightly {not_right:3} wrongly")
    for name, (right, not_right) in result["by_label"].items():
        print(f"  labelled {name:34} {right:3} found   {not_right:3} missed")
    if given.show:
        for one in differences:
            print(f"  {one['source']}/{one['id']}: by hand {one['verdict']} {one['reason']}, ours {one['ours']}")
    target = HERE / "results" / f"corpus-labels-{os.cpu_count()}cores-{date.today().isoformat()}.json"
    target.parent.mkdir(exist_ok=True)
    target.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    print(f"written to {target}")


if __name__ == "__main__":
    main()
