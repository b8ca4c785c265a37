"""The network against transformers, against itself with a cache, and against hand counts."""

import math
from itertools import accumulate
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from transformers import LlamaConfig as TheirConfig
from transformers import LlamaForCausalLM

from lhama.model import loss as head_loss
from lhama.model.llama import Llama, LlamaConfig, rotary, rotate
from lhama.plan import arithmetic, computing
from lhama.plan.problem import Problem
from lhama.plan.recipe import load

SHAPES: dict[str, dict[str, Any]] = {
    "multi-head": {},
    "grouped queries": {"num_key_value_heads": 2},
    "one key-value head": {"num_key_value_heads": 1},
    "tied": {"tie_word_embeddings": True},
    "wide heads": {"head_dim": 20, "num_key_value_heads": 2, "tie_word_embeddings": True},
    "narrow heads, far rope": {"head_dim": 6, "rope_theta": 5e5, "rms_norm_eps": 1e-6},
}


def config(**changes: Any) -> LlamaConfig:
    shape: dict[str, Any] = {
        "vocab_size": 97,
        "hidden_size": 32,
        "intermediate_size": 56,
        "num_hidden_layers": 3,
        "num_attention_heads": 4,
        "num_key_value_heads": 4,
        "head_dim": 8,
        "max_position_embeddings": 64,
    }
    return LlamaConfig(**(shape | changes))


def network(**changes: Any) -> Llama:
    """Make a model whose every weight, norms too, differs from its initial value."""
    model = Llama(config(**changes))
    model.init_weights(1)
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(torch.randn(weight.shape, generator=generator) * 0.15)
    return model


def some_ids(rows: int = 3, length: int = 40, seed: int = 0) -> torch.Tensor:
    return torch.randint(0, 97, (rows, length), generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("shape", SHAPES)
def test_logits_and_gradients_equal_those_of_transformers(shape: str) -> None:
    ours = network(**SHAPES[shape])
    theirs = LlamaForCausalLM(TheirConfig(**ours.config.to_huggingface())).eval()
    loaded = theirs.load_state_dict(ours.state_dict(), strict=False)
    assert loaded.unexpected_keys == []
    assert loaded.missing_keys == (["lm_head.weight"] if ours.config.tie_word_embeddings else [])
    theirs.tie_weights()
    ids = some_ids()
    expected = theirs(ids).logits
    assert expected.abs().max() > 1  # the comparison would mean little among zeros
    torch.testing.assert_close(ours(ids), expected, rtol=0, atol=1e-5)
    targets = some_ids(seed=1)
    targets[0, :7] = -100
    nats = F.cross_entropy(expected.flatten(0, 1), targets.flatten(), reduction="sum")
    torch.autograd.backward(nats)
    value = ours.loss(ids, targets)
    torch.autograd.backward(value)
    assert value.item() == pytest.approx(nats.item(), rel=1e-6)
    their_gradients = {name: weight.grad for name, weight in theirs.named_parameters()}
    for name, weight in ours.named_parameters():
        torch.testing.assert_close(weight.grad, their_gradients[name], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("pieces", [[1] * 12, [5, 7], [5, 1, 1, 5], [12]])
def test_a_cache_gives_the_logits_of_the_full_forward(shape: str, pieces: list[int]) -> None:
    model = network(**SHAPES[shape])
    ids = some_ids(length=12)
    cache = model.new_cache(3, 20)
    with torch.no_grad():
        parts = [model(part, cache) for part in torch.tensor_split(ids, list(accumulate(pieces))[:-1], dim=1)]
        torch.testing.assert_close(torch.cat(parts, 1), model(ids), rtol=0, atol=1e-5)
    assert cache.seen == 12


def test_no_token_sees_a_later_one() -> None:
    model = network()
    ids = some_ids()
    changed = ids.clone()
    changed[:, 20:] = 5
    torch.testing.assert_close(model(ids)[:, :20], model(changed)[:, :20], rtol=0, atol=1e-6)
    assert (model(ids)[:, 20:] - model(changed)[:, 20:]).abs().max() > 0.1


def test_rotation_by_hand_and_only_the_distance_of_positions_counts() -> None:
    shape = config(head_dim=4)
    cos, sin = rotary(shape, 0, 20, torch.device("cpu"))
    x = torch.tensor([[[1.0, 2.0, 3.0, 4.0]]])
    turned = rotate(x, cos[3:4], sin[3:4])[0, 0]
    fast, slow = 3.0, 3.0 / math.sqrt(10000.0)  # position times theta^0 and theta^(-2/4)
    by_hand = [
        1 * math.cos(fast) - 3 * math.sin(fast),
        2 * math.cos(slow) - 4 * math.sin(slow),
        3 * math.cos(fast) + 1 * math.sin(fast),
        4 * math.cos(slow) + 2 * math.sin(slow),
    ]
    torch.testing.assert_close(turned, torch.tensor(by_hand))
    q, k = torch.randn(2, 20, 1, 4, generator=torch.Generator().manual_seed(0))[:, :1].expand(2, 20, 1, 4)
    scores = rotate(q, cos, sin)[:, 0] @ rotate(k, cos, sin)[:, 0].T
    assert float(scores[9, 4]) == pytest.approx(float(scores[15, 10]), abs=1e-5)
    assert abs(float(scores[9, 4]) - float(scores[9, 5])) > 1e-3


@pytest.mark.parametrize(
    ("recipe", "vocabulary", "count"),
    [("ttl-160m", 32000, 162_417_408), ("ttl-460m", 32000, 468_239_360), ("tinyllama-1.1b", 32000, 1_100_048_384)],
)
def test_known_models_have_their_known_size(recipe: str, vocabulary: int, count: int) -> None:
    settings = load(recipe)
    with torch.device("meta"):
        model = Llama(LlamaConfig.from_recipe(settings, vocabulary))
    assert sum(weight.numel() for weight in model.parameters()) == count
    assert model.parameters_by_role() == arithmetic.parameters(settings.model, vocabulary)
    flops = arithmetic.flops_per_token(settings.model, vocabulary, settings.tokens.sequence)
    assert model.flops_per_token() == flops["causal"]


@pytest.mark.parametrize("tied", [False, True])
def test_parameters_and_operations_counted_by_hand(tied: bool) -> None:
    model = network(num_key_value_heads=2, tie_word_embeddings=tied)
    attention = 3 * (32 * 32 * 2 + 32 * 16 * 2)
    mlp, norm, head = 3 * 3 * 32 * 56, 7 * 32, 97 * 32
    roles = {"embedding": head, "attention": attention, "mlp": mlp, "norm": norm, "head": 0 if tied else head}
    assert model.parameters_by_role() == roles | {"total": sum(roles.values())}
    assert model.flops_per_token(10) == 6 * (attention + mlp + head) + 6 * 3 * 4 * 8 * 10


def test_a_draw_depends_on_seed_and_name_only() -> None:
    small, deep, other = Llama(config(num_hidden_layers=1)), Llama(config(num_hidden_layers=2)), Llama(config())
    small.init_weights(7)
    deep.to(torch.bfloat16).init_weights(7)
    other.init_weights(8)
    name = "model.layers.0.mlp.up_proj.weight"
    drawn = small.state_dict()[name]
    assert torch.equal(drawn.bfloat16(), deep.state_dict()[name])
    assert not torch.equal(drawn, other.state_dict()[name])
    assert not torch.equal(drawn, small.state_dict()["model.layers.0.mlp.gate_proj.weight"])
    # 1,792 draws: the deviation of their deviation is 0.02 / sqrt(2 * 1792) = 0.0003; 0.002 would be a 6-sigma event.
    assert float(drawn.std()) == pytest.approx(0.02, abs=0.002)
    assert (small.state_dict()["model.norm.weight"] == 1).all()


@pytest.mark.parametrize("rows_at_once", [1, 7, 512])
def test_the_loss_is_the_sum_of_single_losses_however_it_is_sliced(
    rows_at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(computing, "EAGER_ROWS", rows_at_once)
    hidden, head = torch.randn(20, 6), torch.randn(11, 6)
    targets = torch.tensor([-100, *range(11), -100, *range(7)])
    expected = 0.0
    for row, target in enumerate(targets.tolist()):
        scores = [float(hidden[row] @ head[v]) for v in range(11)]
        if target >= 0:
            expected += math.log(sum(math.exp(s) for s in scores)) - scores[target]
    with torch.no_grad():
        assert float(head_loss.summed_cross_entropy(hidden, head, targets)) == pytest.approx(expected, rel=1e-5)
    hidden.requires_grad_()
    head.requires_grad_()
    torch.autograd.backward(head_loss.summed_cross_entropy(hidden, head, targets) / 19)
    ours = hidden.grad, head.grad
    hidden.grad = head.grad = None
    torch.autograd.backward(F.cross_entropy(hidden @ head.T, targets, reduction="sum") / 19)
    torch.testing.assert_close(ours, (hidden.grad, head.grad))


def test_the_embedding_gradient_of_a_frequent_token_does_not_stall_in_bf16() -> None:
    # Added one by one in bf16, 1,000 equal terms stop growing at 256 times the term.
    model = network(num_hidden_layers=1).to(torch.bfloat16)
    exact = network(num_hidden_layers=1)
    ids, targets = torch.full((1, 1000), 5), torch.full((1, 1000), 7)
    for each in (model, exact):
        torch.autograd.backward(each.loss(ids, targets))
    ours, true = model.model.embed_tokens.weight.grad, exact.model.embed_tokens.weight.grad
    assert ours is not None and true is not None
    assert float((ours[5].float() - true[5]).norm() / true[5].norm()) < 0.1


def test_bf16_weights_stay_close_to_fp32() -> None:
    model = network()
    ids, targets = some_ids(), some_ids(seed=1)
    exact = model.loss(ids, targets).item() / targets.numel()
    rounded = model.to(torch.bfloat16)
    assert rounded(ids).dtype == torch.bfloat16
    assert rounded.loss(ids, targets).item() / targets.numel() == pytest.approx(exact, abs=0.02)


@pytest.mark.parametrize("changes", [{"num_key_value_heads": 3}, {"head_dim": 5}])
def test_an_impossible_shape_is_refused(changes: dict[str, int]) -> None:
    with pytest.raises(Problem, match=r"model\."):
        config(**changes)


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_compiled_loss_equals_the_eager_one(dtype: torch.dtype) -> None:
    model = network(num_key_value_heads=2).to(dtype)
    ids, targets = some_ids(), some_ids(seed=1)
    targets[0, :5] = -100
    compiled = torch.compile(model.loss, fullgraph=True, dynamic=False)
    value = compiled(ids, targets)
    torch.autograd.backward(value)
    gradients = {name: weight.grad for name, weight in model.named_parameters()}
    model.zero_grad(set_to_none=True)
    plain = model.loss(ids, targets)
    torch.autograd.backward(plain)
    tolerance = 1e-4 if dtype == torch.float32 else 0.03
    assert value.item() == pytest.approx(plain.item(), rel=tolerance)
    for name, weight in model.named_parameters():
        assert weight.grad is not None
        difference = (weight.grad - gradients[name]).norm() / weight.grad.norm()  # type: ignore[operator]
        assert float(difference) < tolerance, name
