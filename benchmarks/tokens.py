"""Text to ids: Lhama beside tokenizers, sentencepiece and tiktoken, in turn, on the same files and vocabulary size.

Every contestant is a process of its own that holds the texts in its favourite form before the clock starts: Lhama an
Arrow column, the others Python strings. Lhama's time is from there to arrays of ids with `<s>` and `</s>`, with an
empty cache at the start of every round; the others' is their own call for a batch, its answer left as it is.
`tokenizers` comes twice: with the very vocabulary of Lhama, and with a byte-level one that splits words first, its
usual form. All ids are compared before anything is timed. Training a vocabulary of that size is timed, too.
One race is over one thread and one over two: threads of ours, of sentencepiece, of tiktoken, of rayon in `tokenizers`.
On a machine with other work two threads seldom have two cores, so the processor time of all threads is told as well.

    python benchmarks/tokens.py FILE... --vocabulary 32000 --megabytes 32 --rounds 7 [--only two_threads]

FILE is .parquet or .jsonl.zst with a column `text`. Writes benchmarks/results/tokens-HARDWARE-DATE.json; a race that
is left out is kept from the file of the same day where that was run on the same text.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from statistics import median
from typing import Any

HERE = Path(__file__).parent
BATCH_BYTES = 4 << 20
NAMES = ("lhama", "tokenizers", "tokenizers-byte-level", "sentencepiece", "tiktoken")
RACES = {"one_thread": 1, "two_threads": 2}
SAMPLE = ("megabytes", "documents", "vocabulary", "versions")


def texts_of(paths: list[Path], limit: int) -> list[str]:
    """Take documents from all the files in turn, up to so many bytes."""
    readers = [_rows(path) for path in paths]
    texts: list[str] = []
    size = 0
    while readers and size < limit:
        for reader in list(readers):
            text = next(reader, None)
            if text is None:
                readers.remove(reader)
                continue
            texts.append(text)
            size += len(text.encode())
    return texts


def _rows(path: Path) -> Iterator[str]:
    if path.suffix == ".parquet":
        from pyarrow import parquet

        for batch in parquet.ParquetFile(path).iter_batches(columns=["text"], batch_size=1000):
            yield from batch.column("text").to_pylist()
        return
    import zstandard

    with path.open("rb") as file, zstandard.ZstdDecompressor().stream_reader(file) as stream:
        for line in io.TextIOWrapper(stream, encoding="utf-8", errors="replace"):
            yield json.loads(line)["text"].encode("utf-8", "replace").decode()


def batches(texts: list[str]) -> list[list[str]]:
    """Cut into lists of some megabytes, as the stage does."""
    found: list[list[str]] = [[]]
    size = 0
    for text in texts:
        found[-1].append(text)
        size += len(text.encode())
        if size >= BATCH_BYTES:
            found.append([])
            size = 0
    return [batch for batch in found if batch]


def lhama(folder: Path, texts: list[list[str]], threads: int) -> Callable[[], int]:
    import pyarrow as pa

    from lhama.tokens.encoder import Encoder, Kernel
    from lhama.tokens.merges import tables_of
    from lhama.tokens.streams import dtype_for
    from lhama.tokens.vocabulary import Vocabulary

    vocabulary, tables = Vocabulary.load(folder, threads), tables_of(folder)
    columns = [(None, pa.array(batch, pa.large_string())) for batch in texts]
    dtype = dtype_for(vocabulary.size)

    def run() -> int:
        kernel = Kernel(tables, vocabulary.bos, vocabulary.eos, dtype)  # which begins with an empty cache
        encoder = Encoder(kernel, dtype, threads)
        return sum(len(one.ids) - 2 * len(one.lengths) for _, _, one in encoder.over(columns))

    return run


def by_tokenizers(path: Path, texts: list[list[str]]) -> Callable[[], int]:
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(path))
    tokenizer.encode_special_tokens = True
    return lambda: sum(
        len(one.ids) for batch in texts for one in tokenizer.encode_batch(batch, add_special_tokens=False)
    )


def by_sentencepiece(folder: Path, texts: list[list[str]], threads: int) -> Callable[[], int]:
    import sentencepiece

    processor = sentencepiece.SentencePieceProcessor(model_file=str(folder / "tokenizer.model"))
    return lambda: sum(
        len(ids) for batch in texts for ids in processor.encode(batch, num_threads=threads, return_type="numpy")
    )


def by_tiktoken(path: Path, texts: list[list[str]], threads: int) -> Callable[[], int]:
    """Give tiktoken the byte-level vocabulary: ids there are in the order of merges, which is what it ranks by."""
    import tiktoken
    from tokenizers import pre_tokenizers

    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    signs = {chr(byte): byte for byte in plain}
    rest = [byte for byte in range(256) if byte not in plain]
    signs |= {chr(256 + number): byte for number, byte in enumerate(rest)}
    assert set(signs) == set(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = json.loads(path.read_text())["model"]["vocab"]
    ranks = {bytes(signs[sign] for sign in piece): rank for piece, rank in vocabulary.items()}
    pattern = (
        r"""'(?:[sdmt]|ll|ve|re)| ?\p{L}++| ?\p{N}++| ?[^\s\p{L}\p{N}]++|\s++$|\s+(?!\S)|\s"""  # GPT-2's, its own form
    )
    encoding = tiktoken.Encoding("same-size", pat_str=pattern, mergeable_ranks=ranks, special_tokens={})
    return lambda: sum(
        len(ids) for batch in texts for ids in encoding.encode_ordinary_batch(batch, num_threads=threads)
    )


def contestant(name: str, folder: Path, texts: list[list[str]], threads: int) -> Callable[[], int]:
    if name == "lhama":
        return lhama(folder, texts, threads)
    if name == "sentencepiece":
        return by_sentencepiece(folder, texts, threads)
    if name == "tiktoken":
        return by_tiktoken(folder / "byte-level.json", texts, threads)
    return by_tokenizers(folder / ("tokenizer.json" if name == "tokenizers" else "byte-level.json"), texts)


def serve(name: str, folder: Path, threads: int) -> None:
    """Be one contestant: make ready, then run once for every line that comes in."""
    texts = batches(json.loads((folder / "texts.json").read_text()))
    run = contestant(name, folder, texts, threads)
    for _ in sys.stdin:
        begun, used = time.perf_counter(), time.process_time()
        tokens = run()
        took = {"seconds": time.perf_counter() - begun, "processor": time.process_time() - used}
        print(json.dumps(took | {"tokens": tokens}), flush=True)


def start(name: str, folder: Path, threads: int) -> subprocess.Popen[str]:
    environment = {**os.environ, "RAYON_NUM_THREADS": str(threads), "TOKENIZERS_PARALLELISM": "true"}
    command = [sys.executable, __file__, "--serve", name, "--folder", str(folder), "--threads", str(threads)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)


def ask(process: subprocess.Popen[str]) -> dict[str, Any]:
    assert process.stdin is not None and process.stdout is not None
    process.stdin.write("go\n")
    process.stdin.flush()
    answer: dict[str, Any] = json.loads(process.stdout.readline())
    return answer


def race(folder: Path, size: int, threads: int, rounds: int) -> dict[str, Any]:
    """Run all contestants in turn; the first round only makes them warm."""
    processes = {name: start(name, folder, threads) for name in NAMES}
    try:
        tokens = {name: ask(process)["tokens"] for name, process in processes.items()}
        assert tokens["lhama"] == tokens["sentencepiece"] == tokens["tokenizers"], tokens
        answers: dict[str, list[dict[str, Any]]] = {name: [] for name in NAMES}
        for number in range(rounds):
            order = NAMES[number % len(NAMES) :] + NAMES[: number % len(NAMES)]
            for name in order:
                answers[name].append(ask(processes[name]))
    finally:
        for process in processes.values():
            process.kill()
            process.wait()
    told: dict[str, Any] = {"tokens": tokens, "load": round(os.getloadavg()[0], 1)}
    for clock, rate, ratio in (
        ("seconds", "megabytes_per_second", "lhama_is_times"),
        ("processor", "megabytes_per_processor_second", "lhama_is_times_by_processor"),
    ):
        took = {name: [one[clock] for one in of] for name, of in answers.items()}
        told[clock] = took
        told[rate] = {name: size / 1e6 / median(times) for name, times in took.items()}
        told[ratio] = {name: median(b / a for a, b in zip(took["lhama"], took[name], strict=True)) for name in NAMES}
    return told


def train_all(texts: list[str], vocabulary: int, threads: int, folder: Path) -> dict[str, float]:
    """Train both kinds of vocabulary and time it."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    from lhama.tokens.vocabulary import VocabularySettings, train_vocabulary

    begun = time.perf_counter()
    documents = (("benchmark", str(number), text) for number, text in enumerate(texts))
    train_vocabulary(documents, VocabularySettings(vocabulary, 1 << 40, 0, threads), folder)
    between = time.perf_counter()
    tokenizer: Any = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    tokenizer.train_from_iterator(
        texts, trainers.BpeTrainer(vocab_size=vocabulary, initial_alphabet=alphabet, show_progress=False)
    )
    tokenizer.save(str(folder / "byte-level.json"))
    return {"lhama": between - begun, "tokenizers-byte-level": time.perf_counter() - between}


def compare_ids(folder: Path, texts: list[str]) -> None:
    """Every id of Lhama's must be sentencepiece's, over all the texts."""
    import numpy as np
    import pyarrow as pa

    from lhama.tokens.encoder import by_library, open_encoder
    from lhama.tokens.vocabulary import Vocabulary

    vocabulary = Vocabulary.load(folder, os.cpu_count() or 1)
    for batch in batches(texts):
        column = pa.array(batch, pa.large_string())
        ours, theirs = open_encoder(vocabulary).encode(column), by_library(vocabulary).encode(column)
        assert np.array_equal(ours.ids, theirs.ids) and np.array_equal(ours.lengths, theirs.lengths)


def show(title: str, result: dict[str, Any]) -> None:
    print(f"\n{title}")
    for name in NAMES:
        speed, ratio = result["megabytes_per_second"][name], result["lhama_is_times"][name]
        work, less = result["megabytes_per_processor_second"][name], result["lhama_is_times_by_processor"][name]
        print(
            f"  {name:22} {speed:8.1f} MB/s   lhama is {ratio:5.1f} times as fast;"
            f" a processor second {work:8.1f} MB {less:5.1f} times"
        )


def kept(target: Path, result: dict[str, Any]) -> dict[str, Any]:
    """Return what an earlier run over the same text with the same libraries left in the file."""
    before: dict[str, Any] = json.loads(target.read_text()) if target.is_file() else {}
    if any(before.get(key) != result[key] for key in SAMPLE):
        return {}
    return {key: before[key] for key in (*RACES, "training_seconds") if key in before}


def versions() -> dict[str, str]:
    from importlib.metadata import version

    return {name: version(name) for name in ("tokenizers", "sentencepiece", "tiktoken", "numba", "pyarrow")}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", type=Path, nargs="*")
    parser.add_argument("--vocabulary", type=int, default=32_000)
    parser.add_argument("--megabytes", type=float, default=32)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--only", nargs="+", choices=RACES, default=list(RACES))
    parser.add_argument("--serve")
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--threads", type=int, default=1)
    chosen = parser.parse_args()
    if chosen.serve:
        serve(chosen.serve, chosen.folder, chosen.threads)
        return
    cores = os.cpu_count() or 1
    texts = texts_of(chosen.files, int(chosen.megabytes * 1e6))
    size = sum(len(text.encode()) for text in texts)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "texts.json").write_text(json.dumps(texts))
        training = train_all(texts, chosen.vocabulary, cores, folder)
        print(f"{size / 1e6:.1f} MB in {len(texts):,} documents; training took (s):", training, flush=True)
        compare_ids(folder, texts)
        print("ids equal sentencepiece's over all texts", flush=True)
        result: dict[str, Any] = {
            "date": date.today().isoformat(),
            "machine": {"processor": platform.processor() or platform.machine(), "cores": cores, "python": sys.version},
            "versions": versions(),
            "megabytes": size / 1e6,
            "documents": len(texts),
            "vocabulary": chosen.vocabulary,
            "training_seconds": training,
        }
        target = HERE / "results" / f"tokens-{cores}cores-{date.today().isoformat()}.json"
        target.parent.mkdir(exist_ok=True)
        result |= kept(target, result)
        for said in chosen.only:
            result[said] = race(folder, size, RACES[said], chosen.rounds)
            show(said.replace("_", " "), result[said])
            target.write_text(json.dumps(result, indent=2) + "\n")
    print(f"\nwritten to {target}")


if __name__ == "__main__":
    main()
