"""All quality and repetition rules over the same documents: Lhama, datatrove and a plain-Python filter, alternately.

Each contestant is a process of its own that reads the same sample, warms up, and then measures its own processor time,
round after round in turn; medians and ratios are printed. Then datatrove is given our words in the place of spaCy's,
and the verdicts and reasons of its four filters are compared with ours, document by document.

Usage: python benchmarks/corpus_rules.py FILE.jsonl.zst ... --datatrove PYTHON [--rounds 5] [--megabytes 3]
PYTHON is an interpreter with datatrove 0.10.1 and its tokenizers (pip install "datatrove[processing,multilingual]").
Writes benchmarks/results/corpus-rules-HARDWARE-DATE.json.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable
from datetime import date
from pathlib import Path
from statistics import median
from typing import Any

HERE = Path(__file__).parent
LANGUAGE, SCRIPT = "pt", "por_Latn"
SECONDS = 1.0  # that a round of a fast contestant lasts at least
DATATROVE_ALPHA = 0.814  # FineWeb-2's for Portuguese, over words and marks
STOP_WORDS_RULE = {"gopher_enough_stop_words": "gopher_few_stop_words"}  # its name says the contrary of what it does
ASIDE = "gopher-quality without the share of words with letters"
"""Compared as well: that share, with marks counted as words, hides what comes after it in half of the documents."""
COMPARED = ("gopher-quality", ASIDE, "gopher-repetition", "c4", "fineweb")
CONTESTANTS = ("lhama", "lhama, code as prose", "plain", "datatrove")


def sample_of(files: list[Path], size: int) -> list[dict[str, str]]:
    """Take documents evenly from all files, about so many bytes in all."""
    import zstandard

    rows: list[dict[str, str]] = []
    for file in files:
        with file.open("rb") as packed:
            lines = zstandard.ZstdDecompressor().stream_reader(packed).read().splitlines()
        documents = [json.loads(line) for line in lines]
        rows += [{"id": row["id"], "source": row["source"], "text": row["text"]} for row in documents]
    total = sum(len(row["text"].encode()) for row in rows)
    step = max(1, round(total / size)) if size else 1
    return rows[::step]


def lhama(rows: list[dict[str, str]], *, apart: bool) -> Callable[[], Any]:
    """Measure and judge from an Arrow column, as the corpus stage does."""
    import pyarrow as pa

    from lhama.corpus.rules import GROUPS, judge_rules, load_thresholds, measure_rules
    from lhama.corpus.words import texts_of

    texts = texts_of(pa.array([row["text"] for row in rows], pa.large_string()))
    thresholds = load_thresholds(LANGUAGE).only(GROUPS)
    return lambda: judge_rules(measure_rules(texts, LANGUAGE, apart=apart), thresholds)


def datatrove_filters(letters: float = DATATROVE_ALPHA) -> dict[str, Any]:
    """Make the four filters with FineWeb-2's numbers for Portuguese; `letters` is the share of words with letters."""
    from datatrove.pipeline.filters import (  # type: ignore[import-not-found, unused-ignore]
        C4QualityFilter,
        FineWebQualityFilter,
        GopherQualityFilter,
        GopherRepetitionFilter,
    )

    stop_words = ["de", "a", "e", "o", "em", "do", "da", "que", "um", "no", "uma", "com", "para", "na", "é", "foi"]
    dup = ((5, 0.163), (6, 0.153), (7, 0.141), (8, 0.13), (9, 0.119), (10, 0.108))
    return {
        "gopher-quality": GopherQualityFilter(
            min_avg_word_length=3,
            max_avg_word_length=13,
            max_non_alpha_words_ratio=letters,
            stop_words=stop_words,
            language=SCRIPT,
        ),
        "gopher-repetition": GopherRepetitionFilter(
            dup_line_frac=0.287,
            dup_para_frac=0,
            dup_line_char_frac=0,
            dup_para_char_frac=0,
            top_n_grams=((2, 0.371), (3, 0.191), (4, 0.163)),
            dup_n_grams=dup,
            language=SCRIPT,
        ),
        "c4": C4QualityFilter(language=SCRIPT),
        "fineweb": FineWebQualityFilter(
            line_punct_thr=0.077, short_line_thr=999, char_duplicates_ratio=0.1, new_line_ratio=0.186, language=SCRIPT
        ),
    }


def datatrove(rows: list[dict[str, str]], filters: dict[str, Any] | None = None) -> Callable[[], Any]:
    """Let every filter judge every document; the word splitting is shared by datatrove's own cache."""
    from datatrove.data import Document  # type: ignore[import-not-found, unused-ignore]

    chosen = filters or datatrove_filters()
    return lambda: [
        {name: one.filter(Document(text=row["text"], id=row["id"])) for name, one in chosen.items()} for row in rows
    ]


def our_words(text: str) -> list[str]:
    """Cut as lhama/corpus/words.py documents it."""
    import regex  # type: ignore[import-untyped, import-not-found, unused-ignore]

    found = regex.finditer(r"[\p{L}\p{M}\p{N}_]+|([^\s\x1c-\x1f])\1*", text)
    return [one.group() for one in found]


def our_sentences(line: str) -> list[str]:
    """Return one item for each sentence as lhama/corpus/kernels/c4.py counts them."""
    from datatrove.utils.text import TERMINAL_PUNCTUATION  # type: ignore[import-not-found, unused-ignore]

    count, ended, spaced = 1, False, False
    for piece in re.findall(r"\s+|\S+", line):
        if piece.isspace():
            spaced = ended
            continue
        after_mark = False
        for word in our_words(piece):
            if word[0] == "_" or word[0].isalnum():
                count += spaced
                if spaced or after_mark:
                    ended = spaced = False
            elif word[0] in TERMINAL_PUNCTUATION and (word[0] != "." or len(word) == 1):
                ended, spaced, after_mark = True, False, True
                continue
            after_mark = False
    return [""] * count


def datatrove_with_our_words(rows: list[dict[str, str]]) -> list[dict[str, str]]:
    """Judge with our word and sentence splitting; "" is kept, else the reason."""
    from datatrove.pipeline.filters import (  # type: ignore[import-not-found, unused-ignore]
        c4_filters,
        fineweb_quality_filter,
        gopher_quality_filter,
        gopher_repetition_filter,
    )

    for module in (gopher_quality_filter, gopher_repetition_filter, fineweb_quality_filter):
        module.split_into_words = lambda text, language: our_words(text)
    c4_filters.split_into_sentences = lambda text, language: our_sentences(text)
    judged = []
    filters = datatrove_filters() | {ASIDE: datatrove_filters(letters=0)["gopher-quality"]}
    for row, verdicts in zip(rows, datatrove(rows, filters)(), strict=True):
        reasons = {name: "" if verdict is True else verdict[1] for name, verdict in verdicts.items()}
        judged.append({"id": row["id"], **{name: STOP_WORDS_RULE.get(one, one) for name, one in reasons.items()}})
    return judged


def plain(rows: list[dict[str, str]]) -> Callable[[], Any]:
    """Filter as one writes it in an afternoon, with regular expressions and counters, and the same rules."""
    return lambda: [plain_verdict(row["text"]) for row in rows]


def plain_verdict(text: str) -> bool:
    words = re.findall(r"\w+|[^\w\s]", text)
    lines = text.splitlines()
    if not words or not lines:
        return False
    size, full = len(text), [line for line in lines if line.strip()]
    alpha = sum(any(map(str.isalpha, word)) for word in words)
    repeated = Counter(full)
    checks = [
        50 <= len(words) <= 100_000,
        3 <= sum(map(len, words)) / len(words) <= 13,
        text.count("#") / len(words) <= 0.1,
        (text.count("...") + text.count("…")) / len(words) <= 0.1,
        sum(line.lstrip().startswith(("-", "•")) for line in lines) / len(lines) <= 0.9,
        sum(line.rstrip().endswith(("...", "…")) for line in lines) / len(lines) <= 0.3,
        alpha / len(words) >= 0.8,
        len({"de", "a", "e", "o", "em", "do", "da", "que", "um", "no", "com", "para"} & set(words)) >= 2,
        sum(times - 1 for times in repeated.values()) / len(full or lines) <= 0.287,
        sum(line.endswith((".", "!", "?")) for line in full) / len(full or lines) >= 0.077,
        sum(len(line) * (times - 1) for line, times in repeated.items()) / size <= 0.1,
        text.count("\n") / len(words) <= 0.186,
        "lorem ipsum" not in text.lower(),
        "{" not in text,
        sum(1 for line in full if line.strip()[-1] in ".!?\"'" and len(line.split()) > 2) > 0,
        *(plain_top(words, count) / size <= limit for count, limit in ((2, 0.371), (3, 0.191), (4, 0.163))),
        *(plain_repeated(words, count) / size <= 0.15 for count in range(5, 11)),
    ]
    return all(checks)


def plain_top(words: list[str], count: int) -> int:
    runs = Counter(zip(*(words[start:] for start in range(count)), strict=False))
    if not runs:
        return 0
    run, times = runs.most_common(1)[0]
    return len(" ".join(run)) * times


def plain_repeated(words: list[str], count: int) -> int:
    seen, at, characters = set(), 0, 0
    while at + count <= len(words):
        run = tuple(words[at : at + count])
        if run in seen:
            characters += sum(map(len, run))
            at += count
        else:
            seen.add(run)
            at += 1
    return characters


def contestant(name: str, rows: list[dict[str, str]]) -> Callable[[], Any]:
    if name == "datatrove":
        return datatrove(rows)
    return plain(rows) if name == "plain" else lhama(rows, apart="code" not in name)


def work(name: str, sample: Path) -> None:
    """Be a contestant: answer each line of input with the megabytes a second of a round."""
    rows = [json.loads(line) for line in sample.read_text(encoding="utf-8").splitlines()]
    if name == "agreement":
        print(json.dumps(datatrove_with_our_words(rows)))
        return
    size = sum(len(row["text"].encode()) for row in rows)
    contestant(name, rows[:20])()
    run = contestant(name, rows)
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
        interpreter = python if name == "datatrove" else sys.executable
        command = [interpreter, __file__, "--work", name, "--sample", str(sample)]
        processes[name] = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        )
        assert processes[name].stdout is not None
        if processes[name].stdout.readline().strip() != "ready":  # type: ignore[union-attr]
            raise SystemExit(f"{name} did not start")
    speeds: dict[str, list[float]] = {name: [] for name in processes}
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


def our_reasons(rows: list[dict[str, str]]) -> list[dict[str, Any]]:
    """Return our reason of each document by group, and what may explain that datatrove sees it otherwise."""
    import pyarrow as pa

    from lhama.corpus.rules import NAMES, judge_rules, load_thresholds, measure_rules
    from lhama.corpus.words import texts_of

    texts = texts_of(pa.array([row["text"] for row in rows], pa.large_string()))
    measures = measure_rules(texts, LANGUAGE, apart=False)
    thresholds = load_thresholds(LANGUAGE).override(
        {"gopher_below_alpha_threshold": DATATROVE_ALPHA, "gopher_below_alpha_parts": "off"}
    )
    found: list[dict[str, Any]] = [{"capitals": bool(share > 0.5)} for share in measures["upper_words"]]
    for group in COMPARED:
        changed = thresholds.override({"gopher_below_alpha_threshold": "off"} if group == ASIDE else {})
        chosen = changed.only(["gopher-quality" if group == ASIDE else group])
        for row, verdict in zip(found, judge_rules(measures, chosen), strict=True):
            row[group] = NAMES[verdict - 1] if verdict else ""
    return found


def compare(rows: list[dict[str, str]], theirs: list[dict[str, str]]) -> dict[str, Any]:
    """Count by filter where verdict and reason agree, and list where they do not."""
    result: dict[str, Any] = {"documents": len(rows), "filters": {}, "differences": []}
    ours = our_reasons(rows)
    for group in COMPARED:
        verdicts = reasons = 0
        for row, mine, their in zip(rows, ours, theirs, strict=True):
            same = mine[group] == their[group] or (their[group] == "empty" and not row["text"].strip())
            verdicts += same or bool(mine[group]) == bool(their[group])
            reasons += same
            if not same:
                shouts = mine["capitals"] and their[group] == "gopher_few_stop_words"
                why = "in capitals, where ours looks for stop words in any case" if shouts else ""
                shown = {"id": row["id"], "filter": group, "lhama": mine[group], "datatrove": their[group], "why": why}
                result["differences"].append(shown)
        result["filters"][group] = {"same_verdict": verdicts / len(rows), "same_reason": reasons / len(rows)}
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", nargs="*", type=Path)
    parser.add_argument("--datatrove", default="", help="an interpreter that has datatrove")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--megabytes", type=float, default=3.0, help="of the sample that is raced over")
    parser.add_argument("--agree", type=float, default=0.0, help="megabytes that are compared; 0 is all")
    parser.add_argument("--work", help=argparse.SUPPRESS)
    parser.add_argument("--sample", type=Path, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.work:
        work(chosen.work, chosen.sample)
        return
    names = [name for name in CONTESTANTS if chosen.datatrove or name != "datatrove"]
    result: dict[str, Any] = {"date": date.today().isoformat(), "processor": platform.processor()}
    with tempfile.TemporaryDirectory() as folder:
        sample = Path(folder) / "sample.jsonl"
        if chosen.rounds:
            rows = sample_of(chosen.files, int(chosen.megabytes * 1e6))
            sample.write_text("\n".join(map(json.dumps, rows)) + "\n", encoding="utf-8")
            speeds = race(sample, chosen.datatrove, chosen.rounds, names)
            result["speed"] = {name: {"median_mb_s": median(found), "rounds": found} for name, found in speeds.items()}
            result["sample"] = {"documents": len(rows), "files": [file.name for file in chosen.files]}
            for name, found in speeds.items():
                ratio = median(mine / other for mine, other in zip(speeds["lhama"], found, strict=True))
                result["speed"][name]["lhama_is_faster"] = ratio
                print(f"{name:22} {median(found):8.2f} MB/s   lhama is {ratio:.1f} times as fast")
        if chosen.datatrove:
            rows = sample_of(chosen.files, int(chosen.agree * 1e6))
            sample.write_text("\n".join(map(json.dumps, rows)) + "\n", encoding="utf-8")
            command = [chosen.datatrove, __file__, "--work", "agreement", "--sample", str(sample)]
            answer = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()[-1]
            result["agreement"] = compare(rows, json.loads(answer))
            for name, shares in result["agreement"]["filters"].items():
                print(f"{name:18} same verdict {shares['same_verdict']:.5f}, same reason {shares['same_reason']:.5f}")
            print(Counter(one["why"] or "unexplained" for one in result["agreement"]["differences"]))
    target = HERE / "results" / f"corpus-rules-{os.cpu_count()}cores-{date.today().isoformat()}.json"
    target.write_text(json.dumps(result, indent=2) + "\n")
    print(f"written to {target}")


if __name__ == "__main__":
    main()
