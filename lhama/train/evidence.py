"""What is kept of a bad step: its batch, as ids and as text.

In: the step, its figures and the loader. Out: `non-finite-step-N.json`, or `spike-step-N.json` where the figures are
numbers but far too large, and its path for the message. A gradient that is not finite was never applied, so the weights
are as they were before that step.
"""

import math
from pathlib import Path
from typing import Any

from lhama.record.files import write_json
from lhama.tokens.loader import Loader
from lhama.tokens.vocabulary import Vocabulary


def keep_evidence(folder: Path, loader: Loader, vocabulary: Vocabulary, step: int, loss: float, norm: float) -> Path:
    """Write the batch of update number `step` (the first is 1) down and say where."""
    batch = loader.batch(step - 1)
    rows: list[dict[str, Any]] = []
    for row, tokens, length in zip(loader.rows(step - 1), batch.tokens, batch.lengths, strict=True):
        ids = tokens[:length].tolist()
        rows.append({**row._asdict(), "ids": ids, "text": vocabulary.decode(ids)})
    kind = "spike" if math.isfinite(loss) and math.isfinite(norm) else "non-finite"
    path = folder / f"{kind}-step-{step}.json"
    write_json(path, {"step": step, "loss": str(loss), "gradient_norm": str(norm), "rows": rows})
    return path
