"""Train the classifiers of the corpus room on real labels and judge them on labels they never saw; and its speed.

    python benchmarks/corpus_classifier.py TASKS CORPUS [--rounds N]

TASKS holds told_br and offcombr with {train,validation,test}.jsonl of "text" and "label" (1 = toxic): trained on both
train parts, judged on each test part. CORPUS holds NAME.jsonl.zst files for the speed and for the share of each source
that a threshold would remove. The bias is shown on sentences that differ in one identity term. The same labels without
runs of characters tell what those cost and bring. Another classifier learns from the embedded tales how a story ends,
which shows that any labelled set will do.

Speed is processor time of one thread for the whole score, from bytes to probabilities, cutting into words included, one
source at a time; that of all sources is all their bytes by the sum of their times.
"""

import argparse
import json
import os
import statistics
import time
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import zstandard

from lhama.corpus import tales
from lhama.corpus.bias import bias
from lhama.corpus.classifier import Classifier, Labels, Settings
from lhama.corpus.classifier_report import Report, report
from lhama.corpus.classifier_training import train
from lhama.corpus.words import Texts, texts_of

HERE = Path(__file__).parent
THRESHOLDS = (0.5, 0.8, 0.9)


def as_texts(written: list[str]) -> Texts:
    return texts_of(pa.array(written, pa.large_string()))


def labelled(tasks: Path, *parts: tuple[str, str]) -> tuple[Texts, Labels]:
    """Read the labelled texts of some parts of some tasks."""
    rows = []
    for task, part in parts:
        with (tasks / task / f"{part}.jsonl").open(encoding="utf-8") as file:
            rows += [json.loads(line) for line in file]
    return as_texts([row["text"] for row in rows]), np.array([row["label"] for row in rows], np.int64)


def show(name: str, judged: Report) -> None:
    area = f" area {judged.area:.3f}" if judged.area is not None else ""
    print(f"{name}: macro F1 {judged.macro_f1:.3f}{area} calibration error {judged.calibration_error:.3f}")
    for one in judged.classes:
        print(f"   {one.name:10} precision {one.precision:.3f} recall {one.recall:.3f} F1 {one.f1:.3f} of {one.texts}")
    for part in judged.bins:
        print(f"   {part.low:.1f} to {part.high:.1f}: {part.texts:4}  said {part.promised:.3f}  was {part.true:.3f}")


def timed(classifier: Classifier, texts: Texts, rounds: int) -> float:
    """Return seconds on one core, the median of rounds; the first only makes warm."""
    seconds = []
    for _ in range(rounds + 1):
        begun = time.process_time()
        classifier.score(texts)
        seconds.append(time.process_time() - begun)
    return statistics.median(seconds[1:])


def speed(classifier: Classifier, found: dict[str, Texts], rounds: int) -> dict[str, Any]:
    """Return MB/s of each source and of all together."""
    seconds = {name: timed(classifier, texts, rounds) for name, texts in found.items()}
    sizes = {name: len(texts.data) / 1e6 for name, texts in found.items()}
    rates = {name: round(sizes[name] / seconds[name], 1) for name in found}
    return {"all_sources": round(sum(sizes.values()) / sum(seconds.values()), 1), "sources": rates}


def without_runs(tasks: Path, learned: tuple[Texts, Labels], found: dict[str, Texts], rounds: int) -> dict[str, Any]:
    """Learn from words and pairs of words alone: the area on the validation part, and the speed."""
    classifier = train(*learned, ("ok", "toxic"), Settings(longest_run=0))
    texts, labels = labelled(tasks, ("told_br", "validation"))
    area = report(classifier.score(texts), labels, classifier.classes).area
    return {"told_br_validation_area": area, "megabytes_per_second": speed(classifier, found, rounds)}


def sources(corpus: Path) -> dict[str, Texts]:
    found = {}
    for path in sorted(corpus.glob("*.jsonl.zst")):
        with zstandard.open(path, "rt", encoding="utf-8") as file:
            found[path.name.removesuffix(".jsonl.zst")] = as_texts([json.loads(line)["text"] for line in file])
    return found


def toxicity(tasks: Path, corpus: Path, rounds: int) -> dict[str, Any]:
    """Train, judge, time, and show what would be removed and who is hit."""
    learned = labelled(tasks, ("told_br", "train"), ("offcombr", "train"))
    begun = time.process_time()
    classifier = train(*learned, ("ok", "toxic"))
    seconds = time.process_time() - begun
    print(f"{len(learned[1])} texts of {len(learned[0].data) / 1e6:.1f} MB learned in {seconds:.1f} s")
    result: dict[str, Any] = {"train_seconds": seconds, "history": classifier.history, "judged": {}, "removed": {}}
    for task, part in (("told_br", "validation"), ("told_br", "test"), ("offcombr", "test")):
        texts, labels = labelled(tasks, (task, part))
        judged = report(classifier.score(texts), labels, classifier.classes)
        show(f"{task} {part}", judged)
        result["judged"][f"{task} {part}"] = judged.as_dict()
    found = sources(corpus)
    for name, texts in found.items():
        whole, worst = classifier.score(texts)[:, 1], classifier.score_passages(texts)[:, 1]
        result["removed"][name] = {
            "whole": {str(least): round(float((whole >= least).mean()), 4) for least in THRESHOLDS},
            "worst_passage": {str(least): round(float((worst >= least).mean()), 4) for least in THRESHOLDS},
        }
        print(f"   {name:24} at or above {result['removed'][name]}", flush=True)
    result["megabytes_per_second"] = speed(classifier, found, rounds)
    print("MB/s:", result["megabytes_per_second"], flush=True)
    result["without_runs"] = without_runs(tasks, learned, found, rounds)
    print("without runs of characters:", result["without_runs"], flush=True)
    strict = {one.term: one.called for group in bias(classifier.score, threshold=0.8) for one in group.terms}
    print(f"terms with a sentence at 0.8 or above: {sorted(term for term, called in strict.items() if called)}")
    result["bias"] = []
    for group in bias(classifier.score):
        ends = (group.terms[0], group.terms[-1])
        print(f"   {group.group:22} gap {group.gap:.3f}  " + "  ".join(f"{one.term} {one.mean:.3f}" for one in ends))
        terms = [{**vars(one), "called_at_0.8": strict[one.term]} for one in group.terms]
        result["bias"].append({"group": group.group, "gap": group.gap, "terms": terms})
    return result


def moods() -> dict[str, Any]:
    """Learn from tales how their heroes feel at the end."""

    def stories(count: int, seed: int) -> tuple[Texts, Labels]:
        rows = list(tales.labelled(count, seed))
        return as_texts([str(row["text"]) for row in rows]), np.array([row["label"] for row in rows], np.int64)

    classifier = train(*stories(4000, 0), tales.LABELS)
    texts, labels = stories(1000, 1)
    judged = report(classifier.score(texts), labels, classifier.classes)
    show("moods of tales", judged)
    return judged.as_dict()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("tasks", type=Path)
    parser.add_argument("corpus", type=Path)
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    result = {
        "date": date.today().isoformat(),
        "cores": os.cpu_count(),
        "toxicity": toxicity(given.tasks, given.corpus, given.rounds),
        "moods": moods(),
    }
    target = HERE / "results" / f"corpus-classifier-{os.cpu_count()}cores-{date.today().isoformat()}.json"
    target.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    print(f"written to {target}")


if __name__ == "__main__":
    main()
