"""The frontier of a budget in the terminal: one line for each size, its expected loss as a dot on a common scale.

In: the document of plan/reasons.py. Out: a plot on the console that needs no colour and no wide characters to be read.
"""

from __future__ import annotations

from typing import Any

from lhama.plan.plan_text import amount
from lhama.record import console

WIDTH = 36


def frontier_plot(found: dict[str, Any]) -> None:
    """Show what every size would reach within the limits; the chosen one is marked."""
    candidates = found["frontier"]
    losses = [one["loss"] for one in candidates]
    low = min(losses)
    high = max(losses) if len(losses) > 1 else low + 1
    rows = []
    for one in candidates:
        chosen = one["parameters"] == found["chosen"]["parameters"]
        place = round((WIDTH - 1) * (one["loss"] - low) / max(high - low, 1e-9))
        epochs = "" if one["epochs"] is None else f"{one['epochs']:.1f}"
        line = "-" * place + ("@" if chosen else "o")
        rows.append([amount(one["parameters"]), amount(one["tokens"]), epochs, f"{one['loss']:.3f}", line])
    titles = ("parameters", "tokens", "epochs", "loss", f"{low:.2f} {'.' * (WIDTH - 10)} {high:.2f}")
    console.table("What each size would reach (@ is chosen)", titles, rows)
    console.say("")
    for sentence in found["sentences"]:
        console.plain(sentence)
    console.say("")
