"""Bits per byte of held-out text: a model and held-out documents go in, one comparable number comes out.

    document     t0=<s>  t1  t2  t3  t4  t5  t6=</s>          T = 3
    window 0     t0  t1  t2       predicts  t1  t2  t3        each document begins at <s>, and windows do not overlap:
    window 1     t3  t4  t5       predicts  t4  t5  t6        every token but <s> is predicted exactly once

Bits = nats over all targets / (ln 2 x raw UTF-8 bytes). Perplexity depends on the vocabulary, this does not. The subtle
thing: windows of many documents go through together, sorted by length, but each window is a row of its own, so how they
are batched changes nothing but the order of sums.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from lhama.model.llama import Llama
from lhama.plan.problem import Problem

IGNORED = -100
# Rows are padded to a multiple of this, so that matrix products meet few different shapes.
ROUND = 16


class Documents(Protocol):
    """What is scored: `lhama.tokens.loader.HeldOut`; document k is stream[offsets[k]:offsets[k + 1]], `<s>` first."""

    @property
    def source(self) -> str: ...
    @property
    def stream(self) -> Any: ...
    @property
    def offsets(self) -> NDArray[np.int64]: ...
    @property
    def bytes(self) -> NDArray[np.int64]: ...


@dataclass(frozen=True)
class Score:
    """What was measured on some documents."""

    nats: float
    tokens: int
    bytes: int
    documents: int

    @property
    def bits_per_byte(self) -> float:
        """Return the bits the model needs for one byte of raw text."""
        return self.nats / (math.log(2) * self.bytes)

    @property
    def loss(self) -> float:
        """Return the nats a token; comparable only where the tokenizer is the same."""
        return self.nats / self.tokens

    @property
    def perplexity(self) -> float:
        """Return exp(loss), capped where a float ends."""
        return math.exp(min(self.loss, 700.0))

    def figures(self) -> dict[str, Any]:
        """Return what was measured and what follows from it, for a JSON file."""
        derived = {"bits_per_byte": self.bits_per_byte, "loss": self.loss, "perplexity": self.perplexity}
        return derived | asdict(self)


@dataclass(frozen=True)
class Bits(Score):
    """The score of all held-out documents, and of each source."""

    by_source: dict[str, Score]

    def figures(self) -> dict[str, Any]:
        """Return everything, for a JSON file."""
        return super().figures() | {"by_source": {name: score.figures() for name, score in self.by_source.items()}}


@torch.inference_mode()
def bits_per_byte(
    model: Llama,
    heldout: Sequence[Documents],
    sequence: int,
    *,
    limit_bytes: int | None = None,
    batch_tokens: int = 8192,
    part: tuple[int, int] = (0, 1),
    collect: Callable[[Any], list[Any]] = lambda own: [own],
) -> Bits:
    """Score held-out documents in the model's own precision; with a limit, documents evenly spaced over each source.

    Process k of n, `part`, scores every n-th document, and `collect` brings the figures of all together.
    """
    total = sum(int(source.bytes.sum()) for source in heldout)
    if not total:
        raise Problem(
            "there is no held-out text to score", remedy="about one document in 50 is held out; add documents"
        )
    share = 1.0 if limit_bytes is None else min(1.0, limit_bytes / total)
    own: dict[str, list[float]] = {}
    for source in heldout:
        chosen = _spread(len(source.bytes), share)[part[0] :: part[1]]
        windows = [window for k in chosen for window in _windows(source, k, sequence)]
        nats = [float(model.loss(*batch)) for batch in _batches(windows, batch_tokens, model.head.device)]
        tokens = sum(len(window) - 1 for window in windows)
        own[source.source] = [math.fsum(nats), tokens, int(source.bytes[chosen].sum()), len(chosen)]
    scores = {}
    everyone = collect(own)
    for name in own:
        sums = [math.fsum(figures) for figures in zip(*(theirs[name] for theirs in everyone), strict=True)]
        tokens, size, documents = (int(number) for number in sums[1:])
        if documents:
            scores[name] = Score(sums[0], tokens, size, documents)
    parts = scores.values()
    return Bits(
        nats=math.fsum(part.nats for part in parts),
        tokens=sum(part.tokens for part in parts),
        bytes=sum(part.bytes for part in parts),
        documents=sum(part.documents for part in parts),
        by_source=scores,
    )


def _spread(count: int, share: float) -> list[int]:
    """Choose this share of the documents, evenly spaced, and at least one."""
    if share >= 1.0:
        return list(range(count))
    return [k for k in range(count) if k == 0 or math.floor((k + 1) * share) > math.floor(k * share)]


def _windows(source: Documents, document: int, sequence: int) -> Iterator[NDArray[np.int64]]:
    """Cut a document into windows of up to T + 1 tokens; the last of one is the first of the next."""
    start, end = int(source.offsets[document]), int(source.offsets[document + 1])
    tokens = np.asarray(source.stream[start:end], dtype=np.int64)
    for place in range(0, len(tokens) - 1, sequence):
        yield tokens[place : place + sequence + 1]


def _batches(
    windows: list[NDArray[np.int64]], batch_tokens: int, device: torch.device
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Group windows of similar length, the longest first: the largest memory is asked for at the start."""
    ordered = sorted(windows, key=len, reverse=True)
    place = 0
    while place < len(ordered):
        width = -(-(len(ordered[place]) - 1) // ROUND) * ROUND
        group = ordered[place : place + max(1, batch_tokens // width)]
        ids = np.zeros((len(group), width), dtype=np.int64)
        targets = np.full((len(group), width), IGNORED, dtype=np.int64)
        for row, window in enumerate(group):
            ids[row, : len(window) - 1] = window[:-1]
            targets[row, : len(window) - 1] = window[1:]
        yield torch.from_numpy(ids).to(device), torch.from_numpy(targets).to(device)
        place += len(group)
