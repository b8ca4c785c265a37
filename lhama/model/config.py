"""The shape of a Llama: a recipe or a config.json goes in, the sizes that llama.py builds from come out.

Fields are Hugging Face's keys. The subtle thing: config.json exists in two layouts, with `rope_theta` at the top (until
transformers 4) and inside `rope_parameters` (since 5); both are read and both are written.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from lhama.plan.problem import Problem

if TYPE_CHECKING:
    from lhama.plan.recipe import Recipe


@dataclass(frozen=True)
class LlamaConfig:
    """The shape of a Llama under the keys of Hugging Face's config.json."""

    vocab_size: int
    hidden_size: int
    intermediate_size: int
    num_hidden_layers: int
    num_attention_heads: int
    num_key_value_heads: int
    head_dim: int
    tie_word_embeddings: bool = False
    rope_theta: float = 10000.0
    rms_norm_eps: float = 1e-5
    max_position_embeddings: int = 2048
    initializer_range: float = 0.02
    bos_token_id: int = 1
    eos_token_id: int = 2
    pad_token_id: int | None = 3

    def __post_init__(self) -> None:
        if self.num_attention_heads % self.num_key_value_heads:
            raise Problem(
                f"{self.num_attention_heads} heads cannot share {self.num_key_value_heads} key-value heads evenly",
                key="model.key_value_heads",
                remedy=f"take a divisor of {self.num_attention_heads}",
            )
        if self.head_dim % 2:
            raise Problem(f"{self.head_dim} is odd; rotary positions turn pairs of numbers", key="model.head_dim")

    @classmethod
    def from_recipe(cls, recipe: Recipe, vocab_size: int) -> LlamaConfig:
        """Take the shape from [model], the context from tokens.sequence, the vocabulary from the tokenizer."""
        shape = recipe.model
        return cls(
            vocab_size=vocab_size,
            hidden_size=shape.hidden_size,
            intermediate_size=shape.intermediate_size,
            num_hidden_layers=shape.layers,
            num_attention_heads=shape.heads,
            num_key_value_heads=shape.key_value_heads or shape.heads,
            head_dim=shape.head_dim or shape.hidden_size // shape.heads,
            tie_word_embeddings=shape.tied,
            rope_theta=shape.rope_theta,
            rms_norm_eps=shape.norm_epsilon,
            max_position_embeddings=recipe.tokens.sequence,
            initializer_range=shape.initializer_range,
        )

    @classmethod
    def from_huggingface(cls, keys: dict[str, Any]) -> LlamaConfig:
        """Read a config.json, old layout (rope_theta) or new (rope_parameters); refuse what we cannot compute."""
        rope = keys.get("rope_parameters") or keys.get("rope_scaling") or {}
        unsupported = {
            "model_type": keys.get("model_type", "llama") != "llama",
            "hidden_act": keys.get("hidden_act", "silu") != "silu",
            "attention_bias": bool(keys.get("attention_bias", False)),
            "mlp_bias": bool(keys.get("mlp_bias", False)),
            "rope_parameters": rope.get("rope_type", rope.get("type", "default")) != "default",
        }
        for key in (name for name, refused in unsupported.items() if refused):
            raise Problem(f"config.json has {key} = {keys.get(key, rope)!r}, which is not the Llama 2 architecture")
        heads = keys["num_attention_heads"]
        known = {name: keys[name] for name in cls.__dataclass_fields__ if keys.get(name) is not None}
        eos = known.get("eos_token_id", 2)
        derived = {
            "num_key_value_heads": keys.get("num_key_value_heads") or heads,
            "head_dim": keys.get("head_dim") or keys["hidden_size"] // heads,
            "rope_theta": float(rope.get("rope_theta", keys.get("rope_theta", 10000.0))),
            "eos_token_id": eos[0] if isinstance(eos, list) else eos,
            "pad_token_id": keys.get("pad_token_id"),
        }
        return cls(**(known | derived))

    def to_huggingface(self) -> dict[str, Any]:
        """Write the keys of config.json; `rope_theta` stands in both layouts for older and newer readers."""
        fixed = {
            "architectures": ["LlamaForCausalLM"],
            "model_type": "llama",
            "hidden_act": "silu",
            "attention_bias": False,
            "mlp_bias": False,
            "rope_parameters": {"rope_type": "default", "rope_theta": self.rope_theta},
        }
        return fixed | asdict(self)
