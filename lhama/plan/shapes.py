"""A ladder of shapes that are known to train well and to export everywhere, from 5 million to 6.8 billion parameters.

Each width and feed-forward width is a multiple of 256, because llama.cpp's k-quants pack 256 numbers of a row (QK_K in
ggml), and AWQ groups of 128. A head is 64 wide in narrow models and 128 from 768 on: attention is faster so on Hopper,
and nanochat found the loss better. Width over depth lies between 32 and 128, as in TeenyTinyLlama (64 and 43),
TinyLlama (93), nanochat (64) and Llama 2 (128). The feed-forward is 8/3 of the width, rounded up to 256. Small models
have small vocabularies and one matrix to read and write tokens; large ones share keys and values among four heads.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from lhama.plan.arithmetic import parameters
from lhama.plan.fields_model import Model

MULTIPLE = 256
WIDTHS_AND_LAYERS = (
    (256, 4),
    (256, 8),
    (512, 8),
    (512, 12),
    (768, 12),
    (768, 18),
    (1024, 16),
    (1024, 24),
    (1280, 20),
    (1280, 28),
    (1536, 24),
    (1536, 32),
    (2048, 24),
    (2048, 32),
    (2560, 28),
    (3072, 28),
    (3584, 28),
    (4096, 32),
)


@dataclass(frozen=True)
class Shape:
    """A network with the vocabulary and the context that suit it."""

    model: Model
    vocabulary: int
    sequence: int

    @property
    def parameters(self) -> int:
        """Count all parameters."""
        return parameters(self.model, self.vocabulary)["total"]


def ladder() -> tuple[Shape, ...]:
    """Return the shapes, smallest first."""
    return tuple(_shape(width, layers) for width, layers in WIDTHS_AND_LAYERS)


def _shape(width: int, layers: int) -> Shape:
    heads = width // (128 if width >= 768 else 64)
    small = width < 768
    model = Model(
        hidden_size=width,
        intermediate_size=math.ceil(8 * width / 3 / MULTIPLE) * MULTIPLE,
        layers=layers,
        heads=heads,
        key_value_heads=heads // 4 if width >= 2048 else None,
        tied=small,
        initializer_range=round(1 / math.sqrt(width), 4) if small else 0.02,
    )
    vocabulary, sequence = {256: (8_192, 512), 512: (16_384, 1_024)}.get(width, (32_000, 2_048))
    return Shape(model, vocabulary, sequence)
