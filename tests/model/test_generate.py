"""Sampling: distributions by hand and by transformers' processors, lock-step batches against single prompts."""

import math
from collections import Counter

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import LlamaConfig as TheirConfig
from transformers import (
    LlamaForCausalLM,
    LogitsProcessorList,
    RepetitionPenaltyLogitsProcessor,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

from lhama.model.generate import complete_many, distribution, generate, uniform
from lhama.model.llama import Llama, LlamaConfig
from lhama.plan.recipe import Serve

SHAPE = LlamaConfig(40, 16, 24, 2, 2, 1, 8, max_position_embeddings=32)
GREEDY = Serve(temperature=0, max_new_tokens=10)
FREE = Serve(temperature=1.0, top_k=0, top_p=1.0, max_new_tokens=10)


def network(config: LlamaConfig = SHAPE) -> Llama:
    model = Llama(config)
    model.init_weights(4)
    with torch.no_grad():
        for weight in model.parameters():
            if weight.dim() == 2:
                weight.mul_(12)
    return model


def spread(logits: list[float], chosen: Serve, used: list[bool] | None = None) -> dict[int, float]:
    """Give the distribution as a table of the tokens that can be drawn."""
    marks = None if used is None else torch.tensor([used])
    p = distribution(torch.tensor([logits]), marks, chosen)[0]
    return {token: share for token, share in enumerate(p.tolist()) if share > 0}


def test_distributions_by_hand() -> None:
    logits = [math.log(0.5), math.log(0.1), math.log(0.3), math.log(0.1)]
    assert spread(logits, FREE) == pytest.approx({0: 0.5, 1: 0.1, 2: 0.3, 3: 0.1})
    assert spread(logits, GREEDY) == {0: 1.0}
    # Temperature 1/2 squares the odds: 25, 1, 9, 1 of 36.
    cooler = FREE.model_copy(update={"temperature": 0.5})
    assert spread(logits, cooler) == pytest.approx({0: 25 / 36, 1: 1 / 36, 2: 9 / 36, 3: 1 / 36})
    assert spread(logits, FREE.model_copy(update={"top_k": 2})) == pytest.approx({0: 5 / 8, 2: 3 / 8})
    # 0.5 is not enough for 0.6; with the next it is 0.8.
    assert spread(logits, FREE.model_copy(update={"top_p": 0.6})) == pytest.approx({0: 5 / 8, 2: 3 / 8})
    assert spread(logits, FREE.model_copy(update={"top_p": 0.01})) == {0: 1.0}


def test_equals_stay_or_go_together() -> None:
    tied = [1.0, 3.0, 1.0, 3.0, 1.0]
    assert spread(tied, GREEDY) == {1: 1.0}
    assert spread(tied, FREE.model_copy(update={"top_k": 1})) == pytest.approx({1: 0.5, 3: 0.5})
    assert spread(tied, FREE.model_copy(update={"top_p": 0.1})) == pytest.approx({1: 0.5, 3: 0.5})
    assert len(spread(tied, FREE.model_copy(update={"top_k": 3}))) == 5


def test_the_repetition_penalty_by_hand() -> None:
    # Positive scores are divided, negative ones multiplied: both become less likely.
    penalized = FREE.model_copy(update={"repetition_penalty": 2.0})
    weights = [math.exp(1.0), math.exp(2.0), math.exp(-2.0)]
    expected = {k: weight / sum(weights) for k, weight in enumerate(weights)}
    assert spread([2.0, 2.0, -1.0], penalized, [True, False, True]) == pytest.approx(expected)


@settings(max_examples=40, deadline=None)
@given(
    st.integers(0, 10**6),
    st.floats(0.1, 3.0),
    st.integers(0, 45),
    st.floats(0.05, 1.0),
    st.floats(0.5, 2.0),
)
def test_distributions_equal_those_of_transformers(
    seed: int, temperature: float, top_k: int, top_p: float, penalty: float
) -> None:
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(3, 40, generator=generator) * 3
    ids = torch.randint(0, 40, (3, 6), generator=generator)
    processors = LogitsProcessorList([RepetitionPenaltyLogitsProcessor(penalty), TemperatureLogitsWarper(temperature)])
    if top_k:
        processors.append(TopKLogitsWarper(top_k))
    processors.append(TopPLogitsWarper(top_p))
    theirs = torch.softmax(processors(ids, logits.clone()), -1)
    used = torch.zeros(3, 40, dtype=torch.bool).scatter_(1, ids, True)
    chosen = Serve(temperature=temperature, top_k=top_k, top_p=top_p, repetition_penalty=penalty)
    torch.testing.assert_close(distribution(logits, used, chosen), theirs, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("penalty", [1.0, 1.7])
def test_greedy_text_equals_that_of_transformers(penalty: float) -> None:
    model = network()
    theirs = LlamaForCausalLM(TheirConfig(**SHAPE.to_huggingface())).eval()
    theirs.load_state_dict(model.state_dict())
    prompt = [1, 7, 9, 30]
    ids = torch.tensor([prompt])
    out = theirs.generate(
        ids,
        attention_mask=torch.ones_like(ids),
        do_sample=False,
        max_new_tokens=10,
        repetition_penalty=penalty,
        eos_token_id=99,
        pad_token_id=3,
    )
    chosen = GREEDY.model_copy(update={"repetition_penalty": penalty})
    assert list(generate(model, prompt, chosen, stop=())) == out[0, 4:].tolist()


def test_the_cache_of_generation_equals_the_full_forward() -> None:
    model, tokens = network(), [1, 5, 6]
    for token in generate(model, tokens.copy(), GREEDY, stop=()):
        with torch.no_grad():
            assert token == int(model(torch.tensor([tokens]))[0, -1].argmax())
        tokens.append(token)
    assert len(tokens) == 13


@pytest.mark.parametrize("rows", [1, 3, 64])
@pytest.mark.parametrize("penalty", [1.0, 1.3])
def test_a_batch_gives_each_prompt_its_own_answer(rows: int, penalty: float) -> None:
    model = network()
    chosen = FREE.model_copy(update={"repetition_penalty": penalty})
    prompts = [[1, *range(4, 4 + length)] for length in (3, 0, 9, 1, 3, 20)]
    together = complete_many(model, prompts, chosen, seed=3, rows=rows)
    alone = [list(generate(model, prompt, chosen, seed=3, index=k)) for k, prompt in enumerate(prompts)]
    assert together == alone
    assert together[0] != together[4]  # the same length, another index: ten equal draws of 40 tokens do not happen


def test_draws_follow_the_distribution() -> None:
    model = network()
    with torch.no_grad():
        p = torch.softmax(model(torch.tensor([[1, 8]]))[0, -1].float(), -1)
    once = FREE.model_copy(update={"max_new_tokens": 1})
    counts = Counter(token for (token,) in complete_many(model, [[1, 8]] * 3000, once, stop=(), rows=3000))
    for token, share in enumerate(p.tolist()):
        # Five standard deviations: all 40 tokens inside except with probability 40 * 6e-7.
        assert abs(counts[token] - 3000 * share) <= 5 * math.sqrt(3000 * share * (1 - share)) + 1


def test_a_draw_is_a_function_of_its_place() -> None:
    values = [uniform(seed, purpose, index, 0) for seed in (1, 2) for purpose in ("a", "b") for index in (0, 1)]
    assert len(set(values)) == 8
    assert uniform(1, "a", 0, 0) == values[0]
    many = [uniform(0, "mean", k, 0) for k in range(2000)]
    assert 0 <= min(many) < max(many) < 1
    assert sum(many) / 2000 == pytest.approx(0.5, abs=0.04)  # six standard deviations of 0.289 / sqrt(2000)


def test_the_end_stops_a_row_and_is_not_given() -> None:
    model = network()
    tokens = list(generate(model, [1, 5, 6], FREE, stop=()))
    place = next(k for k in range(1, 10) if tokens[k] not in tokens[:k])
    assert list(generate(model, [1, 5, 6], FREE, stop={tokens[place]})) == tokens[:place]
    always_ends = Llama(SHAPE)
    always_ends.init_weights(0)
    with torch.no_grad():
        always_ends.head.zero_()
        always_ends.model.norm.weight.zero_()
    assert complete_many(always_ends, [[1, 4], [1, 5]], GREEDY, stop=(0,)) == [[], []]


def test_the_length_of_an_answer() -> None:
    model = network()
    for longest in (1, 4):
        chosen = GREEDY.model_copy(update={"max_new_tokens": longest})
        assert len(list(generate(model, [1, 5], chosen, stop=()))) == longest
    endless = GREEDY.model_copy(update={"max_new_tokens": 1000})
    assert len(list(generate(model, [1, 5], endless, stop=()))) == 30  # the context of 32 is full


def test_a_long_prompt_keeps_its_beginning_of_text_and_its_last_tokens() -> None:
    model = network()
    tail = [4 + k % 30 for k in range(60)]
    kept = [1, *tail[-21:]]  # 32 of context, 10 for the answer
    assert list(generate(model, [1, *tail], GREEDY, stop=())) == list(generate(model, kept, GREEDY, stop=()))
    without = list(generate(model, tail, GREEDY, stop=()))
    assert without == list(generate(model, tail[-22:], GREEDY, stop=()))
    assert len(without) == 10


def test_an_empty_prompt_begins_a_document_and_no_prompts_give_no_answers() -> None:
    model = network()
    assert list(generate(model, [], GREEDY)) == list(generate(model, [1], GREEDY))
    assert complete_many(model, [], GREEDY) == []
