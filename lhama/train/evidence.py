"""What is kept when training stops because a loss or gradient is not finite: the batch, as ids and as text.

In: the step, its figures and the loader. Out: `non-finite-step-N.json` and a Problem that names it. The weights are as
they were before that step, and the newest checkpoint is untouched: the optimizer never applied the bad gradient.
"""

from pathlib import Path
from typing import Any

from lhama.plan.problem import Problem
from lhama.record.files import write_json
from lhama.tokens.loader import Loader
from lhama.tokens.vocabulary import Vocabulary


def stop_with_evidence(
    folder: Path, loader: Loader, vocabulary: Vocabulary, step: int, loss: float, norm: float
) -> None:
    """Write the batch of update number `step` (the first is 1) down and raise the Problem."""
    batch = loader.batch(step - 1)
    rows: list[dict[str, Any]] = []
    for row, tokens, length in zip(loader.rows(step - 1), batch.tokens, batch.lengths, strict=True):
        ids = tokens[:length].tolist()
        rows.append({**row._asdict(), "ids": ids, "text": vocabulary.decode(ids)})
    path = folder / f"non-finite-step-{step}.json"
    write_json(path, {"step": step, "loss": str(loss), "gradient_norm": str(norm), "rows": rows})
    raise Problem(
        f"at step {step} the loss was {loss} and the norm of the gradient {norm}; the update was not made",
        remedy=f"look at the batch in {path}; if the text is sound, lower train.learning_rate or set train.clip",
    )
