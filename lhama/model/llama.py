"""Llama 2 in one file: token ids go in, logits (or the summed loss) come out.

Modules stand in the order in which the data meets them: embedding, then per block RMSNorm, rotary attention, RMSNorm,
SwiGLU, then the last norm and the head. Attribute names are Hugging Face's tensor names, so that a checkpoint needs no
converter; never rename them. The subtle thing: weights may be bf16, but norms, rotations and the loss are computed in
fp32 here, and no rotary table is kept, because a cast of the whole model would round it.
Papers: Llama 2 (arXiv 2307.09288), RMSNorm (1910.07467), RoPE (2104.09864), SwiGLU (2002.05202), GQA (2305.13245).

Legend: B rows of the batch, T tokens in a row, H query heads, K key-value heads (K = H, or a divisor of it: grouped
queries), D size of a head, E hidden size, F intermediate size, V vocabulary, S tokens a cache has room for.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lhama.model.attention import Documents, attend, by_torch
from lhama.model.config import LlamaConfig
from lhama.model.loss import summed_cross_entropy
from lhama.model.recompute import recomputed

__all__ = ["Cache", "Llama", "LlamaConfig"]


@dataclass
class Cache:
    """Keys and values of the tokens seen so far; column t of every row is position t."""

    keys: Tensor  # (layers, B, K, S, D)
    values: Tensor  # (layers, B, K, S, D)
    seen: int = 0


class RMSNorm(nn.Module):
    """Divide each vector by its root mean square, in fp32, and scale it."""

    def __init__(self, size: int, epsilon: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(size))
        self.epsilon = epsilon

    def forward(self, x: Tensor) -> Tensor:
        full = x.float()
        full = full * torch.rsqrt(full.square().mean(-1, keepdim=True) + self.epsilon)
        return (full * self.weight.float()).to(x.dtype)  # (B, T, E)


def rotary(config: LlamaConfig, start: int, count: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Compute cosine and sine of position times frequency for positions start, start + 1, ..."""
    exponent = torch.arange(0, config.head_dim, 2, device=device, dtype=torch.float32) / config.head_dim
    positions = torch.arange(start, start + count, device=device, dtype=torch.float32)
    angle = torch.outer(positions, 1.0 / config.rope_theta**exponent)  # (T, D / 2)
    return angle.cos()[:, None], angle.sin()[:, None]  # (T, 1, D / 2)


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Turn number i of a head together with number i + D/2: Hugging Face's layout, not the paper's neighbours."""
    first, second = x.float().chunk(2, dim=-1)  # (B, T, H, D / 2)
    return torch.cat((first * cos - second * sin, second * cos + first * sin), dim=-1).to(x.dtype)


class Attention(nn.Module):
    """Let each token look at itself and at the tokens before it."""

    def __init__(self, config: LlamaConfig) -> None:
        super().__init__()
        self.head_dim = config.head_dim
        self.kind = "auto"  # of attention.py
        query, shared = (n * config.head_dim for n in (config.num_attention_heads, config.num_key_value_heads))
        self.q_proj = nn.Linear(config.hidden_size, query, bias=False)
        self.k_proj = nn.Linear(config.hidden_size, shared, bias=False)
        self.v_proj = nn.Linear(config.hidden_size, shared, bias=False)
        self.o_proj = nn.Linear(query, config.hidden_size, bias=False)
        self.fused: Tensor | None = None

    def forward(
        self, x: Tensor, cos: Tensor, sin: Tensor, cache: Cache | None, layer: int, documents: Documents | None = None
    ) -> Tensor:
        B, T, _ = x.shape
        q, k, v = (part.view(B, T, -1, self.head_dim) for part in self._project(x))
        q, k = rotate(q, cos, sin).transpose(1, 2), rotate(k, cos, sin).transpose(1, 2)  # (B, H, T, D), (B, K, T, D)
        v = v.transpose(1, 2)  # (B, K, T, D)
        if cache is None:
            y = attend(q, k, v, self.kind, documents)  # (B, H, T, D)
        else:
            end = cache.seen + T
            cache.keys[layer, :, :, cache.seen : end] = k
            cache.values[layer, :, :, cache.seen : end] = v
            k, v = cache.keys[layer, :, :, :end], cache.values[layer, :, :, :end]  # (B, K, seen + T, D)
            later = cache.seen > 0 and T > 1
            mask = torch.ones(T, end, dtype=torch.bool, device=x.device).tril(cache.seen) if later else None
            y = by_torch(q, k, v, mask, causal=T > 1 and not later)
        out: Tensor = self.o_proj(y.transpose(1, 2).reshape(B, T, -1))  # (B, T, E)
        return out

    def _project(self, x: Tensor) -> tuple[Tensor, ...]:
        if self.fused is None:
            return self.q_proj(x), self.k_proj(x), self.v_proj(x)
        query, shared = self.q_proj.out_features, self.k_proj.out_features
        parts: tuple[Tensor, ...] = torch.split(F.linear(x, self.fused), [query, shared, shared], dim=-1)
        return parts


class MLP(nn.Module):
    """SwiGLU: one product opens a gate (SiLU) for the other."""

    def __init__(self, config: LlamaConfig) -> None:
        super().__init__()
        self.gate_proj = nn.Linear(config.hidden_size, config.intermediate_size, bias=False)
        self.up_proj = nn.Linear(config.hidden_size, config.intermediate_size, bias=False)
        self.down_proj = nn.Linear(config.intermediate_size, config.hidden_size, bias=False)
        self.fused: Tensor | None = None

    def forward(self, x: Tensor) -> Tensor:
        if self.fused is None:
            gate, up = self.gate_proj(x), self.up_proj(x)  # (B, T, F)
        else:
            gate, up = F.linear(x, self.fused).chunk(2, dim=-1)  # (B, T, F)
        out: Tensor = self.down_proj(F.silu(gate) * up)  # (B, T, E)
        return out


class Block(nn.Module):
    """Add what attention finds, then what the MLP makes of it; norms come before each."""

    def __init__(self, config: LlamaConfig) -> None:
        super().__init__()
        self.input_layernorm = RMSNorm(config.hidden_size, config.rms_norm_eps)
        self.self_attn = Attention(config)
        self.post_attention_layernorm = RMSNorm(config.hidden_size, config.rms_norm_eps)
        self.mlp = MLP(config)

    def forward(
        self, x: Tensor, cos: Tensor, sin: Tensor, cache: Cache | None, layer: int, documents: Documents | None = None
    ) -> Tensor:
        x = x + self.self_attn(self.input_layernorm(x), cos, sin, cache, layer, documents)  # (B, T, E)
        out: Tensor = x + self.mlp(self.post_attention_layernorm(x))  # (B, T, E)
        return out


class Trunk(nn.Module):
    """Everything but the head; Hugging Face calls it `model`."""

    def __init__(self, config: LlamaConfig) -> None:
        super().__init__()
        self.config = config
        self.checkpointing = "off"  # or what recompute.py does; of training alone
        self.embed_tokens = nn.Embedding(config.vocab_size, config.hidden_size)
        self.layers = nn.ModuleList(Block(config) for _ in range(config.num_hidden_layers))
        self.norm = RMSNorm(config.hidden_size, config.rms_norm_eps)

    def forward(self, ids: Tensor, cache: Cache | None = None, starts: Tensor | None = None) -> Tensor:
        table = self.embed_tokens.weight
        # The gradient of a frequent token is a long sum; in bf16 it would stall after some hundred terms.
        full = table.float() if torch.is_grad_enabled() else table
        x = F.embedding(ids, full).to(table.dtype)  # (B, T, E)
        start = 0 if cache is None else cache.seen
        cos, sin = rotary(self.config, start, ids.shape[1], ids.device)
        documents = None if starts is None else Documents.of(starts, *ids.shape)
        again = self.checkpointing != "off" and cache is None and torch.is_grad_enabled()
        for layer, block in enumerate(self.layers):
            if again:
                x = recomputed(block, self.checkpointing, x, cos, sin, None, layer, documents)
            else:
                x = block(x, cos, sin, cache, layer, documents)
        if cache is not None:
            cache.seen += ids.shape[1]
        out: Tensor = self.norm(x)  # (B, T, E)
        return out


class Llama(nn.Module):
    """A causal language model that opens, and is opened by, transformers.LlamaForCausalLM."""

    def __init__(self, config: LlamaConfig) -> None:
        super().__init__()
        self.config = config
        self.model = Trunk(config)
        # Tied: the head is the embedding itself and has no tensor of its own, as in Hugging Face's files.
        self.lm_head = (
            None if config.tie_word_embeddings else nn.Linear(config.hidden_size, config.vocab_size, bias=False)
        )
        self.cross_entropy: Callable[..., Tensor] = summed_cross_entropy  # compiled alone where blocks are, too

    @property
    def head(self) -> Tensor:
        """Name the matrix of the head, (V, E), tied or not."""
        return self.model.embed_tokens.weight if self.lm_head is None else self.lm_head.weight

    def compute_with(self, attention: str = "auto", checkpointing: str = "off", loss_tokens: int | None = None) -> None:
        """Choose how training computes; results are equal.

        `attention` is a kind of attention.py, `checkpointing` what recompute.py keeps, and `loss_tokens` how many
        tokens have logits at once.
        """
        self.model.checkpointing = checkpointing
        if loss_tokens is not None:
            self.cross_entropy = partial(summed_cross_entropy, at_once=loss_tokens)
        for block in self.model.layers:
            block.get_submodule("self_attn").kind = attention  # type: ignore[assignment]

    def forward(self, ids: Tensor, cache: Cache | None = None) -> Tensor:
        """Give the logits after every token; with a cache, ids continue what the cache has seen."""
        return F.linear(self.model(ids, cache), self.head)  # (B, T, V)

    def loss(self, ids: Tensor, targets: Tensor, scale: Tensor | None = None, starts: Tensor | None = None) -> Tensor:
        """Sum the nats over all targets that are not -100; the caller divides, so micro-batches add up exactly.

        With a scale, for fp16, the gradients are multiplied by it; the value is not. With the starts of documents (see
        attention.Documents) no token sees another document.
        """
        hidden = self.model(ids, None, starts)  # (B, T, E)
        return self.cross_entropy(hidden.flatten(0, 1), self.head, targets.flatten(), scale)

    def new_cache(self, batch: int, length: int) -> Cache:
        """Make room for the keys and values of `length` tokens in each of `batch` rows."""
        c = self.config
        size = (c.num_hidden_layers, batch, c.num_key_value_heads, length, c.head_dim)
        return Cache(self.head.new_empty(size), self.head.new_empty(size))

    @torch.no_grad()
    def init_weights(self, seed: int) -> None:
        """Draw every weight anew.

        all matrices, embedding and head    normal, mean 0, deviation initializer_range (0.02 in the papers)
        all norms                           1

        A tensor's draw is a function of (seed, its name): it depends on no other tensor, nor on device or precision.
        """
        for name, weight in self.named_parameters():
            if weight.dim() == 1:
                weight.fill_(1.0)
                continue
            key = hashlib.sha256(f"{seed}/init/{name}".encode()).digest()
            generator = torch.Generator().manual_seed(int.from_bytes(key[:8], "little", signed=True))
            weight.copy_(torch.randn(weight.shape, generator=generator) * self.config.initializer_range)

    def products(self) -> list[tuple[nn.Module, tuple[str, ...]]]:
        """Name the matrices that multiply one and the same input: query, key and value, and gate and up.

        Who keeps them side by side in memory may set the module's `fused` to the one matrix that they are together: one
        large product is faster than several small ones. The names, and so the files, stay as they are.
        """
        found: list[tuple[nn.Module, tuple[str, ...]]] = []
        for layer, block in enumerate(self.model.layers):
            for part, letters in (("self_attn", "qkv"), ("mlp", ("gate", "up"))):
                names = tuple(f"model.layers.{layer}.{part}.{letter}_proj.weight" for letter in letters)
                found.append((block.get_submodule(part), names))
        return found

    def parameters_by_role(self) -> dict[str, int]:
        """Count the parameters; a tied head costs nothing and is counted as embedding."""
        roles = {"embedding": 0, "attention": 0, "mlp": 0, "norm": 0, "head": 0}
        for name, weight in self.named_parameters():
            places = {"embed_tokens": "embedding", "self_attn": "attention", "mlp": "mlp", "lm_head": "head"}
            role = next((role for place, role in places.items() if place in name.split(".")), "norm")
            roles[role] += weight.numel()
        return roles | {"total": sum(roles.values())}

    def flops_per_token(self, sequence: int | None = None) -> int:
        """Count the floating point operations of one training token, forward and backward: 6 N + 6 L H D T.

        N counts what multiplies: attention, MLP and head (tied or not). Norms and the embedding look-up are left out,
        under 0.1%. The second term is attention over the T/2 tokens that a causal token sees on average; the PaLM paper
        (arXiv 2204.02311, appendix B) counts all T, 12 L H D T.
        """
        c = self.config
        roles = self.parameters_by_role()
        multiplied = roles["attention"] + roles["mlp"] + self.head.numel()
        width = c.num_attention_heads * c.head_dim
        return 6 * multiplied + 6 * c.num_hidden_layers * width * (sequence or c.max_position_embeddings)
