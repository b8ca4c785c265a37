"""Bits per byte: against a plain loop, against transformers, and the same however documents are batched."""

import math
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from transformers import LlamaConfig as TheirConfig
from transformers import LlamaForCausalLM

from lhama.model.bits import bits_per_byte
from lhama.model.llama import Llama, LlamaConfig
from lhama.plan.problem import Problem

SHAPE = LlamaConfig(50, 16, 24, 2, 2, 1, 8, max_position_embeddings=8)


@dataclass
class HeldOut:
    source: str
    stream: NDArray[np.uint16]
    offsets: NDArray[np.int64]
    bytes: NDArray[np.int64]


def held(source: str, lengths: list[int], seed: int = 0) -> HeldOut:
    """Make documents of so many tokens between `<s>` and `</s>`, three bytes each."""
    draw = np.random.default_rng(seed)
    documents = [[1, *draw.integers(4, 50, length), 2] for length in lengths]
    stream = np.concatenate(documents).astype(np.uint16)
    return HeldOut(source, stream, np.cumsum([0, *map(len, documents)]), np.array(lengths, dtype=np.int64) * 3 + 1)


def network() -> Llama:
    model = Llama(SHAPE)
    model.init_weights(5)
    with torch.no_grad():
        for weight in model.parameters():
            weight.mul_(8)
    return model


def by_plain_loop(model: Llama, source: HeldOut, T: int, documents: list[int]) -> tuple[float, int]:
    """Score token by token: a window at a time, no batches, no padding."""
    nats, count = 0.0, 0
    for k in documents:
        tokens = [int(t) for t in source.stream[source.offsets[k] : source.offsets[k + 1]]]
        for place in range(1, len(tokens)):
            start = (place - 1) // T * T
            with torch.no_grad():
                logits = model(torch.tensor([tokens[start:place]]))[0, -1].double()
            nats -= float(torch.log_softmax(logits, -1)[tokens[place]])
            count += 1
    return nats, count


def test_windows_targets_and_bytes_equal_a_plain_loop() -> None:
    model = network()
    news, law = held("news", [0, 1, 6, 7, 8, 9, 31], 1), held("law", [15, 3], 2)
    result = bits_per_byte(model, [news, law], 8)
    sums = []
    for source in (news, law):
        nats, count = by_plain_loop(model, source, 8, list(range(len(source.bytes))))
        ours = result.by_source[source.source]
        assert ours.tokens == count == len(source.stream) - len(source.bytes)
        assert ours.nats == pytest.approx(nats, rel=1e-6)
        assert ours.bytes == int(source.bytes.sum())
        sums.append(nats)
    assert result.nats == pytest.approx(sum(sums), rel=1e-6)
    assert result.bits_per_byte == pytest.approx(sum(sums) / math.log(2) / (62 * 3 + 7 + 18 * 3 + 2), rel=1e-6)
    assert result.perplexity == pytest.approx(math.exp(sum(sums) / (62 + 7 + 18 + 2)), rel=1e-6)


def test_one_window_costs_what_transformers_says() -> None:
    model = network()
    theirs = LlamaForCausalLM(TheirConfig(**SHAPE.to_huggingface())).eval()
    theirs.load_state_dict(model.state_dict())
    document = held("one", [6])
    ids = torch.from_numpy(document.stream.astype(np.int64))[None]
    with torch.no_grad():
        mean = theirs(ids, labels=ids).loss.item()
    assert bits_per_byte(model, [document], 8).loss == pytest.approx(mean, rel=1e-5)


def test_a_model_that_knows_nothing_needs_the_logarithm_of_the_vocabulary() -> None:
    model = network()
    with torch.no_grad():
        model.head.zero_()
    document = held("flat", [20, 3])
    expected = (21 + 4) * math.log2(50) / (61 + 10)
    assert bits_per_byte(model, [document], 8).bits_per_byte == pytest.approx(expected, rel=1e-6)


@settings(max_examples=15, deadline=None)
@given(
    st.lists(st.integers(0, 40), min_size=1, max_size=8),
    st.integers(1, 30),
    st.integers(1, 100),
)
def test_batching_changes_nothing(lengths: list[int], sequence: int, batch_tokens: int) -> None:
    model, source = network(), held("any", lengths)
    one = bits_per_byte(model, [source], sequence, batch_tokens=1)
    many = bits_per_byte(model, [source], sequence, batch_tokens=batch_tokens)
    assert many.tokens == one.tokens == sum(lengths) + len(lengths)
    assert many.nats == pytest.approx(one.nats, rel=1e-5)


def test_a_limit_takes_documents_evenly_and_from_every_source() -> None:
    model = network()
    many, few = held("many", [10] * 40), held("few", [10], 3)
    result = bits_per_byte(model, [many, few], 8, limit_bytes=10 * 31)  # of 41 documents of 31 bytes
    # Document k is taken where (k + 1) * 10/41 passes a whole number: 4.1 -> document 4, 8.2 -> 8, ... 36.9 -> 36.
    nats, _ = by_plain_loop(model, many, 8, [0, 4, 8, 12, 16, 20, 24, 28, 32, 36])
    assert result.by_source["many"].documents == 10
    assert result.by_source["many"].nats == pytest.approx(nats, rel=1e-6)
    assert result.by_source["few"].documents == 1
    whole = bits_per_byte(model, [many, few], 8, limit_bytes=10**9)
    assert whole.documents == 41


def test_figures_are_plain_numbers() -> None:
    figures = bits_per_byte(network(), [held("a", [5]), held("b", [6])], 8).figures()
    assert set(figures) == {
        "bits_per_byte", "loss", "perplexity", "nats", "tokens", "bytes", "documents", "by_source",
    }  # fmt: skip
    assert set(figures["by_source"]) == {"a", "b"}
    assert all(type(value) in (int, float) for value in figures["by_source"]["a"].values())


def test_nothing_held_out_is_said() -> None:
    empty = HeldOut("none", np.array([], dtype=np.uint16), np.array([0]), np.array([], dtype=np.int64))
    with pytest.raises(Problem, match="no held-out text"):
        bits_per_byte(network(), [empty], 8)
    assert bits_per_byte(network(), [empty, held("a", [5])], 8).by_source.keys() == {"a"}
