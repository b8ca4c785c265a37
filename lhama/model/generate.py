"""Text from a model: token ids go in, the ids that continue them come out, one by one or for many prompts at once.

The settings are a recipe's [serve] section, applied in the order of Hugging Face: repetition penalty (Keskar et al.
2019, arXiv 1909.05858), temperature, top-k, top-p (Holtzman et al. 2019, arXiv 1904.09751). Each draw is a function of
(seed, purpose, index of the prompt, position), so an answer does not depend on what else is in the batch.
The subtle thing: prompts of a batch are not padded. They advance in lock-step, and a prompt that is longer than the
shortest feeds its own tokens where the others already draw:

    column     0    1    2    3    4          lower case: given by the prompt
    prompt 0   <s>  a    B    C    D          upper case: drawn
    prompt 1   <s>  a    b    c    D          column t is position t in every row: one cache, no mask
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from lhama.model.llama import Cache, Llama
from lhama.plan.recipe import Serve


def generate(
    model: Llama,
    ids: Sequence[int],
    settings: Serve,
    seed: int = 0,
    stop: Collection[int] | None = None,
    *,
    purpose: str = "generate",
    index: int = 0,
) -> Iterator[int]:
    """Yield the tokens that continue `ids` until one of `stop` (the model's eos if not given), which is not yielded."""
    for (token,) in _columns(model, [ids], [index], settings, seed, stop, purpose):
        if token is not None:
            yield token


def complete_many(
    model: Llama,
    prompts: Sequence[Sequence[int]],
    settings: Serve,
    seed: int = 0,
    stop: Collection[int] | None = None,
    *,
    purpose: str = "generate",
    rows: int = 64,
) -> list[list[int]]:
    """Continue many prompts, `rows` at a time; each answer is what `generate` gives for its index."""
    answers: list[list[int]] = [[] for _ in prompts]
    by_length = sorted(range(len(prompts)), key=lambda k: len(prompts[k]))
    for place in range(0, len(prompts), rows):
        group = by_length[place : place + rows]
        for column in _columns(model, [prompts[k] for k in group], group, settings, seed, stop, purpose):
            for k, token in zip(group, column, strict=True):
                if token is not None:
                    answers[k].append(token)
    return answers


def uniform(seed: int, purpose: str, index: int, position: int) -> float:
    """Give a number in [0, 1) that is a function of its arguments alone."""
    digest = hashlib.sha256(f"{seed}/{purpose}/{index}/{position}".encode()).digest()
    return (int.from_bytes(digest[:8], "little") >> 11) * 2.0**-53


def distribution(logits: Tensor, used: Tensor | None, settings: Serve) -> Tensor:
    """Give the probabilities that the next tokens are drawn with, (B, V).

    `used` marks the tokens of prompt and answer so far, (B, V); it is needed only for a repetition penalty.
    """
    scores = logits.float()
    if used is not None:
        penalty = settings.repetition_penalty
        scores = torch.where(used, torch.where(scores < 0, scores * penalty, scores / penalty), scores)
    if settings.temperature == 0:
        return F.one_hot(scores.argmax(-1), scores.shape[-1]).float()
    count = min(settings.top_k or scores.shape[-1], scores.shape[-1])
    # Both cuts keep all equals of the last one kept: in bf16 ties are common, and their order means nothing.
    weakest = scores.topk(count).values[:, -1:]
    p = torch.softmax((scores / settings.temperature).masked_fill(scores < weakest, -torch.inf), -1)
    if settings.top_p < 1:
        best = p.topk(count).values
        before = best.cumsum(-1) - best
        before[:, 0] = 0  # the likeliest always stays
        p = p.masked_fill(p < best.masked_fill(before >= settings.top_p, torch.inf).amin(-1, keepdim=True), 0.0)
    return p / p.sum(-1, keepdim=True)


@dataclass
class _Row:
    """A prompt on its way; `tokens` grows up to `last`."""

    index: int
    tokens: list[int]
    given: int
    last: int
    open: bool

    def accept(self, token: int, column: int, ends: Collection[int]) -> int | None:
        """Take a drawn token, unless this column was given, or the answer is over; return what was taken."""
        if not self.open or column < self.given:
            return None
        if token in ends:
            self.open = False
            return None
        self.tokens.append(token)
        self.open = len(self.tokens) < self.last
        return token


def _columns(
    model: Llama,
    prompts: Sequence[Sequence[int]],
    indices: Sequence[int],
    settings: Serve,
    seed: int,
    stop: Collection[int] | None,
    purpose: str,
) -> Iterator[list[int | None]]:
    """Yield, column after column, what each row drew there, or None where it drew nothing."""
    config = model.config
    ends = {config.eos_token_id} if stop is None else set(stop)
    rows = []
    for index, prompt in zip(indices, prompts, strict=True):
        ids = _fit(prompt, config.bos_token_id, config.max_position_embeddings, settings)
        last = min(len(ids) + settings.max_new_tokens, config.max_position_embeddings)
        rows.append(_Row(index, ids, len(ids), last, open=last > len(ids)))
    used = _used(model, rows) if settings.repetition_penalty != 1.0 else None
    cache = _new_cache(model, len(rows), max(row.last for row in rows))
    column = min(row.given for row in rows)
    fed = [row.tokens[:column] for row in rows]
    while any(row.open for row in rows):
        draws = [uniform(seed, purpose, row.index, column - row.given) for row in rows]
        drawn = _advance(model, fed, cache, used, settings, draws)
        taken = [row.accept(token, column, ends) for row, token in zip(rows, drawn, strict=True)]
        fed = [row.tokens[column : column + 1] or [token] for row, token in zip(rows, drawn, strict=True)]
        column += 1
        if used is not None:
            for marks, token in zip(used, taken, strict=True):
                marks[[] if token is None else [token]] = True
        yield taken


def _used(model: Llama, rows: Sequence[_Row]) -> Tensor:
    """Mark the tokens of each prompt, (B, V)."""
    used = torch.zeros(len(rows), model.config.vocab_size, dtype=torch.bool, device=model.head.device)
    for marks, row in zip(used, rows, strict=True):
        marks[row.tokens] = True
    return used


def _fit(prompt: Sequence[int], bos: int, context: int, settings: Serve) -> list[int]:
    """Leave room for the answer, up to half the context: a long prompt keeps its `<s>` and its last tokens."""
    ids = list(prompt) or [bos]
    room = max(context - settings.max_new_tokens, context // 2, 1)
    if len(ids) <= room:
        return ids
    first = ids[:1] if ids[0] == bos and room > 1 else []
    return first + ids[len(first) - room :]


@torch.inference_mode()
def _new_cache(model: Llama, rows: int, length: int) -> Cache:
    return model.new_cache(rows, length)


@torch.inference_mode()
def _advance(
    model: Llama, fed: list[list[int]], cache: Cache, used: Tensor | None, settings: Serve, draws: list[float]
) -> list[int]:
    """Feed every row its next tokens and choose what follows them, by the inverse of the cumulative distribution."""
    device = model.head.device
    hidden = model.model(torch.tensor(fed, device=device), cache)[:, -1]  # (B, E)
    logits = F.linear(hidden, model.head)  # (B, V)
    if logits.is_cuda and torch.are_deterministic_algorithms_enabled():
        logits = logits.cpu()  # CUDA has no running sum in a fixed order
    p = distribution(logits, None if used is None else used.to(logits.device), settings)
    # In the order of the vocabulary: in the order of likelihood, a tie would let the last bits decide who is meant.
    place = (p.cumsum(-1) <= torch.tensor(draws, dtype=p.dtype, device=p.device)[:, None]).sum(-1)
    # Rounding may leave the whole sum a hair below the draw; the last token that has probability is meant then.
    last = p.shape[-1] - 1 - (p > 0).flip(-1).int().argmax(-1)
    return [int(token) for token in torch.minimum(place, last).tolist()]
