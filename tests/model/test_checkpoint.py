"""Checkpoint folders: both ways between us and transformers, and every kind of damage named."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, GenerationConfig, LlamaForCausalLM
from transformers import LlamaConfig as TheirConfig

from lhama.model.checkpoint import INDEX, WEIGHTS, load_model, read_config, save_model
from lhama.model.llama import Llama, LlamaConfig
from lhama.plan.problem import Problem

SHAPE = LlamaConfig(
    vocab_size=97,
    hidden_size=32,
    intermediate_size=56,
    num_hidden_layers=2,
    num_attention_heads=4,
    num_key_value_heads=2,
    head_dim=8,
    max_position_embeddings=64,
    rope_theta=5e4,
)
SHAPES = {"untied": SHAPE, "tied": replace(SHAPE, tie_word_embeddings=True), "wide": replace(SHAPE, head_dim=12)}
IDS = torch.randint(0, 97, (2, 20), generator=torch.Generator().manual_seed(0))


def network(config: LlamaConfig = SHAPE) -> Llama:
    model = Llama(config)
    model.init_weights(3)
    with torch.no_grad():
        for weight in model.parameters():
            weight.mul_(3)
    return model


def saved(folder: Path, config: LlamaConfig = SHAPE) -> Llama:
    model = network(config)
    save_model(folder, dict(model.named_parameters()), config)
    return model


@pytest.mark.parametrize("shape", SHAPES)
def test_transformers_opens_what_we_save(shape: str, tmp_path: Path) -> None:
    ours = saved(tmp_path, SHAPES[shape])
    theirs, report = AutoModelForCausalLM.from_pretrained(tmp_path, output_loading_info=True)
    assert not report["missing_keys"] and not report["unexpected_keys"]
    assert theirs.dtype == torch.float32
    torch.testing.assert_close(ours(IDS), theirs(IDS).logits, rtol=0, atol=1e-5)
    generation = GenerationConfig.from_pretrained(tmp_path)
    assert (generation.bos_token_id, generation.eos_token_id, generation.pad_token_id) == (1, 2, 3)
    assert (theirs.config.bos_token_id, theirs.config.eos_token_id, theirs.config.pad_token_id) == (1, 2, 3)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("shard", ["10GB", "20KB"])
def test_we_open_what_transformers_saves(shape: str, shard: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    theirs = LlamaForCausalLM(TheirConfig(**SHAPES[shape].to_huggingface()))
    theirs.save_pretrained(tmp_path, max_shard_size=shard)
    assert (tmp_path / INDEX).is_file() == (shard == "20KB")
    ours = load_model(tmp_path)
    assert ours.config == SHAPES[shape]
    torch.testing.assert_close(ours(IDS), theirs(IDS).logits, rtol=0, atol=1e-5)


def test_what_is_saved_is_loaded_bit_for_bit_and_cast_on_demand(tmp_path: Path) -> None:
    ours = saved(tmp_path)
    again, rounded = load_model(tmp_path), load_model(tmp_path, torch.bfloat16)
    for name, weight in ours.named_parameters():
        assert torch.equal(weight, again.state_dict()[name])
        assert torch.equal(weight.bfloat16(), rounded.state_dict()[name])
    assert sorted(load_file(tmp_path / WEIGHTS)) == sorted(name for name, _ in ours.named_parameters())


def test_views_of_one_buffer_are_saved_apart(tmp_path: Path) -> None:
    # The optimizer keeps all masters in one flat buffer; what it passes are views.
    model = network()
    flat = torch.cat([weight.detach().flatten() for weight in model.parameters()])
    views, start = {}, 0
    for name, weight in model.named_parameters():
        views[name] = flat[start : start + weight.numel()].view(weight.shape)
        start += weight.numel()
    save_model(tmp_path, views, SHAPE)
    assert torch.equal(load_model(tmp_path)(IDS), model(IDS))


def test_the_tokenizer_travels_with_the_weights(tmp_path: Path) -> None:
    (tmp_path / "tokens").mkdir()
    (tmp_path / "tokens" / "tokenizer.json").write_text("{}", encoding="utf-8")
    (tmp_path / "tokens" / "stream-00000.npy").write_bytes(b"not a part of a checkpoint")
    save_model(tmp_path / "step", dict(network().named_parameters()), SHAPE, tmp_path / "tokens")
    names = sorted(path.name for path in (tmp_path / "step").iterdir())
    assert names == ["config.json", "generation_config.json", "model.safetensors", "tokenizer.json"]


@pytest.mark.parametrize("layout", ["old", "new"])
def test_both_layouts_of_the_rotary_base_are_read(layout: str, tmp_path: Path) -> None:
    saved(tmp_path)
    keys = json.loads((tmp_path / "config.json").read_text(encoding="utf-8"))
    keys.pop("rope_parameters" if layout == "old" else "rope_theta")
    for absent in ("head_dim", "pad_token_id"):  # Llama 2's own config.json has neither
        keys.pop(absent)
    (tmp_path / "config.json").write_text(json.dumps(keys), encoding="utf-8")
    assert read_config(tmp_path) == replace(SHAPE, pad_token_id=None)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("model_type", "mistral"),
        ("hidden_act", "gelu"),
        ("attention_bias", True),
        ("rope_parameters", {"rope_type": "llama3", "rope_theta": 5e5, "factor": 8.0}),
    ],
)
def test_another_architecture_is_refused_by_name(key: str, value: object, tmp_path: Path) -> None:
    saved(tmp_path)
    keys = json.loads((tmp_path / "config.json").read_text(encoding="utf-8"))
    (tmp_path / "config.json").write_text(json.dumps(keys | {key: value}), encoding="utf-8")
    with pytest.raises(Problem, match=key):
        load_model(tmp_path)


def rewritten(folder: Path, **changes: torch.Tensor | None) -> None:
    tensors = load_file(folder / WEIGHTS)
    for name, weight in changes.items():
        full = name.replace("__", ".")
        tensors.pop(full, None)
        if weight is not None:
            tensors[full] = weight
    save_file(tensors, folder / WEIGHTS)


def test_a_wrong_tensor_is_named(tmp_path: Path) -> None:
    saved(tmp_path)
    rewritten(tmp_path, model__norm__weight=torch.ones(31))
    with pytest.raises(Problem, match=r"model\.norm\.weight has shape \[31\], config\.json asks for \[32\]"):
        load_model(tmp_path)
    rewritten(tmp_path, model__norm__weight=torch.ones(32, dtype=torch.int8))
    with pytest.raises(Problem, match=r"model\.norm\.weight holds torch\.int8"):
        load_model(tmp_path)
    rewritten(tmp_path, model__norm__weight=None)
    with pytest.raises(Problem, match=r"lacks tensor model\.norm\.weight"):
        load_model(tmp_path)
    rewritten(tmp_path, model__norm__weight=torch.ones(32), model__extra=torch.ones(1))
    with pytest.raises(Problem, match=r"unknown tensor model\.extra"):
        load_model(tmp_path)


def test_tensors_that_follow_from_the_shape_are_skipped(tmp_path: Path) -> None:
    ours = saved(tmp_path, SHAPES["tied"])
    rewritten(
        tmp_path,
        lm_head__weight=ours.head.detach().clone(),
        model__layers__0__self_attn__rotary_emb__inv_freq=torch.ones(4),
    )
    assert torch.equal(load_model(tmp_path)(IDS), ours(IDS))


def test_saving_checks_names_and_shapes_before_it_writes(tmp_path: Path) -> None:
    tensors = dict(network().named_parameters())
    with pytest.raises(Problem, match=r"lacks tensor lm_head\.weight"):
        save_model(tmp_path / "a", {k: v for k, v in tensors.items() if k != "lm_head.weight"}, SHAPE)
    with pytest.raises(Problem, match=r"lm_head\.weight has shape"):
        save_model(tmp_path / "b", tensors | {"lm_head.weight": torch.zeros(96, 32)}, SHAPE)
    assert list(tmp_path.iterdir()) == []


def test_damage_names_the_file(tmp_path: Path) -> None:
    saved(tmp_path)
    data = (tmp_path / WEIGHTS).read_bytes()
    for damaged in (data[: len(data) // 2], b"\xff" * 64, b""):
        (tmp_path / WEIGHTS).write_bytes(damaged)
        with pytest.raises(Problem, match=r"model\.safetensors is damaged"):
            load_model(tmp_path)


def test_a_pickle_is_never_opened(tmp_path: Path) -> None:
    saved(tmp_path)
    (tmp_path / WEIGHTS).rename(tmp_path / "pytorch_model.bin")
    with pytest.raises(Problem, match="only safetensors"):
        load_model(tmp_path)


@pytest.mark.parametrize("place", ["../model.safetensors", "/etc/model.safetensors", "a\\b.safetensors", "w.bin", 7])
def test_an_index_does_not_lead_out_of_its_folder(place: object, tmp_path: Path) -> None:
    saved(tmp_path)
    (tmp_path / WEIGHTS).rename(tmp_path / "elsewhere.safetensors")
    (tmp_path / INDEX).write_text(json.dumps({"weight_map": {"lm_head.weight": place}}), encoding="utf-8")
    with pytest.raises(Problem, match=r"places lm_head\.weight in"):
        load_model(tmp_path)
    (tmp_path / INDEX).write_text(json.dumps({"weight_map": {"lm_head.weight": "gone.safetensors"}}), encoding="utf-8")
    with pytest.raises(Problem, match="lacks tensor"):
        load_model(tmp_path)
