"""How steps are computed, as far as both the network and the plan must know: measured limits, and what follows.

The network decides by them (model/attention.py, model/loss.py, model/device.py), and the plan counts memory by them
(memory.py), so they stand where both can read them. docs/log.md has the measurements.
"""

BLOCK = 128
"""Queries of a block of attention, in compiled bf16 training on a processor."""
LONGEST = 1024
"""Tokens of a row that is attended to in blocks: beyond, eight blocks a layer and more cost minutes of compilation, and
the probabilities much memory."""
COMPILED_LOGITS = 1 << 25
"""Logits that exist at once in compiled training, where each further slice costs compile time."""
EAGER_ROWS = 512
"""Tokens whose logits exist at once otherwise, where a large slice leaves the cache."""
COMPILE_SECONDS, COMPILE_GAIN = 55.0, 1.6
"""Eight layers of 512 tokens took so long to compile on two cores; steps became so many times as fast."""
WORTH_COMPILING = 1.5 * COMPILE_SECONDS / (COMPILE_GAIN - 1)
"""Compile where training is expected to take so many seconds, compiled, as in the plan's table: break-even, and half as
much again, as expectations err."""


def tokens_with_logits(vocabulary: int, compiled: bool) -> int:
    """Return how many tokens have logits at once where train.loss_tokens says nothing."""
    return max(1, COMPILED_LOGITS // vocabulary) if compiled else EAGER_ROWS
