"""Near-duplicate removal end to end: Lhama beside datatrove and Daft, in turn, on the same files, with quality.

From NAME.jsonl.zst files to the group of each document; parameters are the same everywhere: 14 bands of 8 hashes over
runs of 5 words. Every contestant is a process of its own on one core; its clock starts when its libraries are loaded
and its kernels compiled. datatrove comes twice: with its own word splitting (spaCy), and with words cut at white space,
which after its normalization is nearly what Lhama does. Daft has a MinHash of its own; bands and groups are put on top.

Quality is judged against every pair of documents whose sets of runs have a Jaccard similarity of at least 0.8, found by
counting all runs that they share. Recall is the share of those pairs that end in one group; precision the share of
documents dropped that have such a partner. A second precision counts partners of 0.5 and more.

    python benchmarks/corpus_minhash.py CORPUS --peer PYTHON [--files NAME...] [--rounds 3]

PYTHON is an interpreter with datatrove 0.10.1, spacy, tokenizers, `xxhash<4` and zstandard: datatrove hashes strings,
which xxhash 4 refuses, and spaCy needs other versions than ours.
"""

import argparse
import io
import json
import os
import platform
import re
import subprocess
import sys
import tempfile
import time
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import date
from pathlib import Path
from statistics import median
from typing import Any

HERE = Path(__file__).parent
FILES = ("machado_de_assis", "machado_obra_completa", "fakebr_news", "fakebr_news_truncated", "receitas_afrodite")
BANDS, ROWS, WORDS = 14, 8, 5
NAMES = ("lhama", "datatrove", "datatrove, white space", "daft")
BATCH_CHARACTERS = 8 << 20
NEAR, NOT_FAR = 0.8, 0.5


def by_lhama(paths: list[Path]) -> None:
    """Read, sign and group as the stage does; print the seconds and the groups."""
    import numpy as np
    import pyarrow as pa

    from lhama.corpus.minhash import signatures
    from lhama.corpus.near import group
    from lhama.corpus.readers import Columns, read_jsonl
    from lhama.corpus.words import texts_of

    scratch = Path(tempfile.gettempdir()) / f"near-{os.getpid()}"
    signatures(texts_of(pa.array(["aquecer"])), BANDS, ROWS, WORDS)
    group([(np.arange(2), np.ones((2, BANDS), np.uint64))], 2, BANDS, scratch)

    def batches() -> Iterator[list[str]]:
        held: list[str] = []
        size = 0
        for path in paths:
            for row in read_jsonl(path, Columns()):
                held.append(row.text)
                size += len(row.text)
                if size >= BATCH_CHARACTERS:
                    yield held
                    held, size = [], 0
        yield held

    begin = time.perf_counter()
    signed: list[Any] = []
    documents = 0
    for held in batches():
        keys = signatures(texts_of(pa.array(held, pa.large_string())), BANDS, ROWS, WORDS)
        signed.append((np.arange(documents, documents + len(held)), keys))
        documents += len(held)
    clusters = group(signed, documents, BANDS, scratch)
    groups = np.arange(documents)
    groups[clusters.dropped] = clusters.original
    print(json.dumps({"seconds": time.perf_counter() - begin, "groups": groups.tolist()}))


def texts_in(paths: list[Path]) -> Iterator[str]:
    """Yield all texts with nothing of ours between."""
    import zstandard

    for path in paths:
        with path.open("rb") as file, zstandard.ZstdDecompressor().stream_reader(file) as stream:
            for line in io.TextIOWrapper(stream, encoding="utf-8"):
                yield json.loads(line)["text"]


def sets_of(texts: Iterable[str]) -> list[frozenset[int]]:
    """Return the set of runs of each document, by plain Python; one with fewer words than a run has none."""
    numbers: dict[tuple[str, ...], int] = {}
    found = []
    for text in texts:
        plain = "".join(sign for sign in unicodedata.normalize("NFD", text.lower()) if not unicodedata.combining(sign))
        words = [sys.intern(word) for word in re.findall(r"\w+", re.sub(r"\d", "0", plain))]
        runs = zip(*(words[at:] for at in range(WORDS)), strict=False)
        found.append(frozenset(numbers.setdefault(run, len(numbers)) for run in runs))
    return found


def similar_pairs(sets: list[frozenset[int]]) -> dict[tuple[int, int], float]:
    """Return the similarity of all pairs from NOT_FAR on; of equal sets only the first is compared with others."""
    pairs: dict[tuple[int, int], float] = {}
    first_of: dict[frozenset[int], int] = {}
    holders: dict[int, list[int]] = {}
    for number, runs in enumerate(sets):
        if not runs:
            continue
        first = first_of.setdefault(runs, number)
        if first != number:
            pairs[first, number] = 1.0
            continue
        shared: Counter[int] = Counter()
        for run in runs:
            others = holders.setdefault(run, [])
            shared.update(others)
            others.append(number)
        for other, both in shared.items():
            similarity = both / (len(runs) + len(sets[other]) - both)
            if similarity >= NOT_FAR:
                pairs[other, number] = similarity
    return pairs


def quality(groups: list[int], sets: list[frozenset[int]], pairs: dict[tuple[int, int], float]) -> dict[str, float]:
    """Judge groups by all pairs; documents with fewer words than a run are left out."""
    near = [pair for pair, similarity in pairs.items() if similarity >= NEAR]
    together = sum(groups[one] == groups[two] for one, two in near)
    dropped = [number for number, first in enumerate(groups) if first != number and sets[number]]
    best: dict[int, float] = {}
    for pair, similarity in pairs.items():
        for one in pair:
            best[one] = max(similarity, best.get(one, 0.0))
    return {
        "documents": sum(map(bool, sets)),
        "pairs": len(near),
        "recall": round(together / len(near), 4),
        "dropped": len(dropped),
        "precision": round(sum(best.get(number, 0.0) >= NEAR for number in dropped) / len(dropped), 4),
        "precision_at_half": round(sum(best.get(number, 0.0) >= NOT_FAR for number in dropped) / len(dropped), 4),
    }


def of_sources(groups: list[int], counts: dict[str, int], sets: list[frozenset[int]]) -> dict[str, dict[str, int]]:
    """Count for each file its documents, those with words enough, and those dropped in all and across files."""
    owner = [name for name, count in counts.items() for _ in range(count)]
    told = {}
    for name in counts:
        mine = [number for number, file in enumerate(owner) if file == name]
        gone = [number for number in mine if groups[number] != number]
        told[name] = {
            "documents": len(mine),
            "of_a_run_or_more": sum(bool(sets[number]) for number in mine),
            "dropped": len(gone),
            "for_one_of_another_file": sum(owner[groups[number]] != name for number in gone),
        }
    return told


def timed(name: str, python: str, paths: list[Path]) -> tuple[float, list[int]]:
    """Run a contestant in a process of its own on one core."""
    one = dict.fromkeys(("OMP_NUM_THREADS", "NUMBA_NUM_THREADS", "RAYON_NUM_THREADS"), "1")
    environment = dict(os.environ, PYTHONPATH=str(HERE.parent), DO_NOT_TRACK="1", **one)
    script = [__file__, "--as-contestant"] if name == "lhama" else [str(HERE / "peers/minhash.py"), name]
    words = [python, *script, *map(str, paths)]
    if hasattr(os, "sched_getaffinity"):
        words = ["taskset", "-c", str(max(os.sched_getaffinity(0))), *words]
    done = subprocess.run(words, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{name} failed:\n{done.stderr[-3000:]}")
    said = json.loads(done.stdout.splitlines()[-1])
    return said["seconds"], said["groups"]


def stem(path: Path) -> str:
    return path.name.removesuffix(".jsonl.zst")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpus", type=Path)
    parser.add_argument("--files", nargs="+", default=FILES)
    parser.add_argument("--peer", help="a Python that has datatrove")
    parser.add_argument("--rounds", type=int, default=3)
    chosen = parser.parse_args()
    paths = [chosen.corpus / f"{name}.jsonl.zst" for name in chosen.files]
    names = [name for name in NAMES if chosen.peer or "datatrove" not in name]
    seconds: dict[str, list[float]] = {name: [] for name in names}
    groups: dict[str, list[int]] = {}
    for number in range(chosen.rounds):
        for name in names:
            took, groups[name] = timed(name, chosen.peer if "datatrove" in name else sys.executable, paths)
            seconds[name].append(took)
            print(f"round {number + 1} {name}: {took:.2f} s", flush=True)
    counts = {stem(path): sum(1 for _ in texts_in([path])) for path in paths}
    megabytes = sum(len(text.encode()) for text in texts_in(paths)) / 1e6
    sets = sets_of(texts_in(paths))
    pairs = similar_pairs(sets)
    result: dict[str, Any] = {"megabytes": round(megabytes, 1), "contestants": {}}
    for name in names:
        middle = median(seconds[name])
        told = {
            "seconds": [round(one, 3) for one in seconds[name]],
            "megabytes_per_second": round(megabytes / middle, 2),
            "times_lhama": round(middle / median(seconds["lhama"]), 1),
            **quality(groups[name], sets, pairs),
            "sources": of_sources(groups[name], counts, sets),
        }
        result["contestants"][name] = told
        print(name, json.dumps({key: value for key, value in told.items() if key != "sources"}))
    for name, of in result["contestants"]["lhama"]["sources"].items():
        print(name, of)
    result |= {"date": date.today().isoformat(), "machine": platform.platform(), "cores": 1}
    target = HERE / "results" / f"corpus-minhash-{os.cpu_count()}cores-{date.today().isoformat()}.json"
    target.parent.mkdir(exist_ok=True)
    target.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(f"written to {target}")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--as-contestant"]:
        by_lhama([Path(name) for name in sys.argv[2:]])
    else:
        main()
