"""What a run takes on disk: text, tokens, checkpoints and exports; and what each stage needs before it begins.

In: a recipe, or the sizes of what a stage reads. Out: bytes. Checkpoints and tokens are counted; text is an estimate
from measured runs, and so on the safe side: real Portuguese web text, news and books took 0.24 to 0.30 of its raw bytes
in the corpus folder (zstd), the cleaned but not yet judged text 0.34, and the tokens 2.13 times the corpus folder.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from pathlib import PurePath

from lhama.plan.arithmetic import parameters, token_bytes
from lhama.plan.layout import Recipe
from lhama.plan.schedule import total_tokens

RAW_BYTES_PER_TOKEN = 4.2  # Portuguese with 32,000 pieces: 4.1 to 4.3
READ_SHARE, CORPUS_SHARE = 0.35, 0.30  # of the raw text
TOKENS_OVER_CORPUS = 2.2  # of two bytes a token; twice as many for four
COMPRESSED = {".gz", ".zst", ".xz", ".bz2", ".parquet", ".zip", ".7z", ".orc"}
# One file each of llama.cpp's F16, Q8_0, Q6_K and Q4_K_M: 16 + 8.5 + 6.56 + 4.85 bits a parameter.
EXPORT_BYTES = 4.5


def checkpoints(recipe: Recipe) -> tuple[int, int]:
    """Count the rolling checkpoints that lie on disk at once (one more while saving) and those of the suite."""
    end = total_tokens(recipe)
    suite = end // recipe.train.suite_every if recipe.train.suite_every else 0
    return min(recipe.train.keep, math.ceil(end / (recipe.train.save_every or end))) + 1, suite


def disk(recipe: Recipe) -> dict[str, int]:
    """Count the bytes of the run folder's large parts.

    A checkpoint holds 4 bytes a parameter of weights and 8 of moments. Text and token files hold once what is distinct:
    budget.tokens_available, else at most the training tokens.
    """
    count = parameters(recipe.model, recipe.tokens.vocabulary)["total"]
    tokens = recipe.budget.tokens_available or total_tokens(recipe)
    rolling, suite = checkpoints(recipe)
    parts = {
        "corpus_at_most": int(tokens * RAW_BYTES_PER_TOKEN * (READ_SHARE + CORPUS_SHARE)),
        "tokens_at_most": token_bytes(recipe.tokens.vocabulary) * tokens,
        "rolling_checkpoints": rolling * 12 * count,
        "suite_checkpoints": suite * 12 * count,
        "exports": int(EXPORT_BYTES * count),
    }
    return parts | {"total": sum(parts.values())}


def reading_needs(files: Iterable[tuple[str, int]]) -> int:
    """Estimate the bytes that the cleaned text of source files takes, from their names and sizes."""
    return int(sum(size * (1.0 if PurePath(name).suffix in COMPRESSED else READ_SHARE) for name, size in files))


def encoding_needs(corpus_bytes: int, vocabulary: int) -> int:
    """Estimate the bytes of the tokens from those of the corpus folder."""
    return int(corpus_bytes * TOKENS_OVER_CORPUS * token_bytes(vocabulary) / 2)


def training_needs(recipe: Recipe) -> int:
    """Count the bytes of all checkpoints that lie on disk at once."""
    parts = disk(recipe)
    return parts["rolling_checkpoints"] + parts["suite_checkpoints"]
