"""The plain script that people write today: Transformers' Llama, compiled, bf16 autocast, AdamW, cosine.

It trains a byte-level BPE vocabulary on the clean corpus of a run, then a small Llama for a given number of tokens,
and scores the held-out documents in bits per byte with the definition that Lhama uses: each document from its begin
mark, in windows that do not overlap, nats over all targets divided by ln 2 times the raw UTF-8 bytes.
It imports nothing of Lhama. Usage: plain.py CORPUS_FOLDER OUT_FOLDER --tokens N
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import LlamaConfig, LlamaForCausalLM

VOCABULARY, HIDDEN, INTERMEDIATE, LAYERS, HEADS = 8_192, 256, 688, 8, 8
T, BATCH_TOKENS = 512, 8_192
PEAK_LEARNING_RATE, WARMUP_SHARE, FLOOR_SHARE = 3e-3, 0.02, 0.1


def texts(corpus: Path, split: str) -> Iterator[str]:
    for shard in sorted((corpus / "data").glob(f"{split}-*.parquet")):
        for batch in pq.ParquetFile(shard).iter_batches(columns=["text"], batch_size=1_000):
            yield from batch.column("text").to_pylist()


def train_tokenizer(corpus: Path) -> Tokenizer:
    tokenizer: Any = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=["<s>", "</s>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts(corpus, "train"), trainer)
    trained: Tokenizer = tokenizer
    return trained


def encode_corpus(tokenizer: Tokenizer, corpus: Path) -> np.ndarray:
    parts: list[np.ndarray] = []
    batch: list[str] = []

    def flush() -> None:
        for encoding in tokenizer.encode_batch(batch):
            parts.append(np.array([0, *encoding.ids, 1], dtype=np.uint16))
        batch.clear()

    for text in texts(corpus, "train"):
        batch.append(text)
        if len(batch) == 500:
            flush()
    flush()
    return np.concatenate(parts)


def learning_rate(step: int, steps: int) -> float:
    warmup = max(1, int(WARMUP_SHARE * steps))
    if step < warmup:
        return PEAK_LEARNING_RATE * (step + 1) / warmup
    progress = (step - warmup) / max(1, steps - warmup)
    return PEAK_LEARNING_RATE * (FLOOR_SHARE + (1 - FLOOR_SHARE) * 0.5 * (1 + math.cos(math.pi * progress)))


def bits_per_byte(model: Any, tokenizer: Tokenizer, corpus: Path) -> dict[str, float]:
    nats, targets_seen, size = 0.0, 0, 0
    windows: list[list[int]] = []
    for text in texts(corpus, "heldout"):
        size += len(text.encode())
        ids = [0, *tokenizer.encode(text).ids, 1]
        windows += [ids[start : start + T + 1] for start in range(0, len(ids) - 1, T)]
    windows.sort(key=len)
    model.eval()
    with torch.no_grad():
        for first in range(0, len(windows), 16):
            chunk = windows[first : first + 16]
            length = max(map(len, chunk))
            padded = torch.zeros(len(chunk), length, dtype=torch.long)
            targets = torch.full((len(chunk), length - 1), -100)
            for row, window in enumerate(chunk):
                padded[row, : len(window)] = torch.tensor(window)
                targets[row, : len(window) - 1] = torch.tensor(window[1:])
            with torch.autocast("cpu", torch.bfloat16):
                logits = model(input_ids=padded[:, :-1]).logits
            losses = torch.nn.functional.cross_entropy(
                logits.float().flatten(0, 1), targets.flatten(), ignore_index=-100, reduction="sum"
            )
            nats += losses.item()
            targets_seen += int((targets != -100).sum())
    return {"bits_per_byte": nats / (math.log(2) * size), "scored_tokens": targets_seen, "bytes": size}


def fit(model: Any, stream: np.ndarray, steps: int, out: Path) -> float:
    compiled: Any = torch.compile(model)
    optimizer: Any = torch.optim.AdamW(model.parameters(), lr=PEAK_LEARNING_RATE, betas=(0.9, 0.95), weight_decay=0.1)
    rows_per_step = BATCH_TOKENS // T
    order = np.random.default_rng(0).permutation(len(stream) // T - 1)
    started = time.perf_counter()
    with (out / "loss.jsonl").open("w") as log:
        for step in range(steps):
            rows = [order[(step * rows_per_step + row) % len(order)] for row in range(rows_per_step)]
            batch = torch.from_numpy(np.stack([stream[r * T : r * T + T + 1] for r in rows]).astype(np.int64))
            for group in optimizer.param_groups:
                group["lr"] = learning_rate(step, steps)
            with torch.autocast("cpu", torch.bfloat16):
                logits = compiled(input_ids=batch[:, :-1]).logits
                loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1).float(), batch[:, 1:].flatten())
            loss.backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            if step % 10 == 0 or steps < 100:
                row = {"step": step, "loss": loss.item(), "seconds": time.perf_counter() - started}
                log.write(json.dumps(row) + "\n")
                log.flush()
    return time.perf_counter() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("corpus", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--tokens", type=int, required=True)
    parser.add_argument("--no-score", action="store_true", help="only train; for calibrating the speed")
    chosen = parser.parse_args()
    chosen.out.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(0)
    saved = chosen.out.parent / "plain-tokenizer.json"
    if not saved.exists():
        train_tokenizer(chosen.corpus).save(str(saved))
    tokenizer = Tokenizer.from_file(str(saved))
    stream_file = chosen.out.parent / "plain-stream.npy"
    if not stream_file.exists():
        np.save(stream_file, encode_corpus(tokenizer, chosen.corpus))
    stream = np.load(stream_file, mmap_mode="r")
    config = LlamaConfig(
        vocab_size=VOCABULARY,
        hidden_size=HIDDEN,
        intermediate_size=INTERMEDIATE,
        num_hidden_layers=LAYERS,
        num_attention_heads=HEADS,
        max_position_embeddings=T,
        tie_word_embeddings=True,
        use_cache=False,
        bos_token_id=0,
        eos_token_id=1,
    )
    model = LlamaForCausalLM(config)
    (chosen.out / "ready").touch()
    seconds = fit(model, stream, max(1, chosen.tokens // BATCH_TOKENS), chosen.out)
    (chosen.out / "trained").touch()
    result: dict[str, Any] = {
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "tokens": chosen.tokens,
        "seconds_on_the_clock": seconds,
        "corpus_tokens": len(stream),
        "torch": torch.__version__,
    }
    if not chosen.no_score:
        result |= bits_per_byte(model, tokenizer, chosen.corpus)
    (chosen.out / "result.json").write_text(json.dumps(result, indent=2))
    print(json.dumps(result))


if __name__ == "__main__":
    main()
