"""What `lhama status` shows: one screen about a run, drawn again while it works.

In: the dictionary of status.py. Out: text on the console for a person. In a terminal the screen of a run that works is
drawn anew every few seconds until it ends or Ctrl-C is typed, which leaves the run in peace; elsewhere it is one text.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from lhama.record import console
from lhama.record.meter import read_rows
from lhama.record.status import status

if TYPE_CHECKING:
    from lhama.record.run import Run

Json = dict[str, Any]

STATES = {"done": "done", "working": "working", "stopped": "stopped", "waiting": "not begun"}
BAR, CURVE = 32, 48  # characters
LEVELS = "▁▂▃▄▅▆▇█"
EVERY_SECONDS = 5.0
METHODS = {
    "measured": "measured by hardware counters",
    "estimated": "estimated from load",
    "constant": "assumed watts",
    "off": "not recorded",
}


def show_status(run: Run) -> None:
    """Show where a run stands; in a terminal, for as long as it works."""

    def draw() -> bool:
        losses = read_rows(run.path("train") / "loss.jsonl")
        state = status(run, losses)
        status_tables(state, [row["loss"] for row in losses if row.get("loss") is not None])
        return any(stage["state"] == "working" for stage in state["stages"])

    console.watch(draw, EVERY_SECONDS)


def status_tables(state: Json, losses: Sequence[float] = ()) -> None:
    """Show stages, training, what it took beside what was planned, and how the figures are known."""
    stages = state["stages"]
    spent = [console.duration(one["seconds"]) if one["seconds"] else "" for one in stages]
    console.table(
        state["name"], ("", *(one["name"] for one in stages)),
        [("", *(STATES[one["state"]] for one in stages)), ("", *spent)],
    )  # fmt: skip
    if state["train"]:
        console.say("")
        working = any(one["name"] == "train" and one["state"] == "working" for one in stages)
        console.table("training", ("", ""), _training_rows(state["train"], losses, working))
    if state["comparison"]:
        console.say("")
        under_way = bool(state["train"]) and state["train"]["tokens"] < state["train"]["total_tokens"]
        _comparison(state, under_way)
    for line in _notes(state):
        console.plain(line)


def _training_rows(train: Json, losses: Sequence[float], working: bool) -> list[tuple[str, str]]:
    share = min(1.0, train["tokens"] / train["total_tokens"]) if train["total_tokens"] else 0.0
    full = round(BAR * share)
    tokens = f"{console.count(train['tokens'])} of {console.count(train['total_tokens'])} tokens"
    rows = [("progress", f"{'━' * full}{'╌' * (BAR - full)} {100 * share:.0f}%  {tokens}, step {train['step']:,}")]
    if train["seconds_left"]:
        left = console.duration(train["seconds_left"])
        rows.append(("time left", f"{left}, until {_until(train['seconds_left'])}" if working else f"{left} of work"))
    newest = "not a number" if train["loss"] is None else f"{train['loss']:.4f}"
    rows.append(("loss", newest))
    rows.append(("is it normal?", train["check"]["words"]))
    if len(losses) > 1:
        rows.append(("its curve", f"{losses[0]:.2f} {_curve(losses)} {losses[-1]:.2f}"))
    if train["validation"]:
        judged = train["validation"]
        words = f"{judged['bits_per_byte']:.4f} bits per byte"
        words += f", perplexity {judged['perplexity']:.2f}" if judged.get("perplexity") else ""
        rows.append(("held-out text", f"{words}, at step {judged['step']:,}"))
    if train["checkpoints"]:
        rows.append(("checkpoint", train["checkpoints"][-1]))
    return rows


def _curve(losses: Sequence[float]) -> str:
    """Draw figures as a line of blocks, each the mean of its share; the height is the logarithm's, so ends show."""
    width = min(CURVE, len(losses))
    edges = [round(place * len(losses) / width) for place in range(width + 1)]
    means = [sum(losses[a:b]) / (b - a) for a, b in pairwise(edges)]
    low, high = min(means), max(means)
    span = high - low
    heights = [((mean - low) / span) ** 0.5 if span else 0.0 for mean in means]
    return "".join(LEVELS[round(height * (len(LEVELS) - 1))] for height in heights)


def _until(seconds: float) -> str:
    end = datetime.now().astimezone() + timedelta(seconds=seconds)
    return f"{end:%H:%M}" if seconds < 12 * 3600 else f"{end:%d %b, %H:%M}"


def _comparison(state: Json, under_way: bool) -> None:
    """Show plan and record; while training is under way also the plan's share by now, and the end as it goes."""
    rows = []
    for one in state["comparison"]:
        cells = [_number(one["figure"], one[column]) for column in ("planned", "by_now", "actual", "forecast")]
        off = _off(one["by_now"], one["actual"])
        name = _label(one["figure"], state["energy"]["currency"])
        planned, by_now, actual, forecast = cells
        rows.append((name, planned, by_now, actual, off, forecast) if under_way else (name, planned, actual, off))
    title = "plan and record of the training"
    running = ("", "planned", "by now", "took", "", "at the end, as it goes")
    console.table(title, running if under_way else ("", "planned", "took", ""), rows)


def _off(expected: float | None, actual: float | None) -> str:
    if not expected or actual is None:
        return ""
    ratio = actual / expected
    if not 0.5 <= ratio <= 2:
        return f"{ratio:,.0f} times" if ratio >= 10 else f"{ratio:.2g} times"
    percent = round(100 * (ratio - 1))
    return f"{abs(percent)}% {'more' if percent > 0 else 'less'}" if percent else "as planned"


def _notes(state: Json) -> list[str]:
    """Say what all stages took, how the energy is known, what other readings say, and what an improvement costs."""
    spent = state["energy"]
    if not spent["seconds"]:
        return []
    known = [method for method in spent["methods"] if method != "off"]
    energy = f", {console.energy(spent['kwh'])}, {_carbon(spent['kgco2e'])}" if known else ""
    money = f", {spent['money']:.2f} {spent['currency']}" if spent["money"] else ""
    lines = ["", f"All stages, lost work included: {console.duration(spent['seconds'])}{energy}{money}."]
    if known:
        lines.append(f"The energy is {' and '.join(METHODS[method] for method in known)}.")
    lines += [f"Second reading, {one['words']}." for one in state["second"]]
    lines += state["price"]["words"][-2:]
    return lines


def _carbon(kilograms: float) -> str:
    return f"{kilograms:.2f} kgCO2e" if kilograms >= 0.1 else f"{kilograms * 1000:.3g} gCO2e"


def _label(figure: str, currency: str) -> str:
    names = {"tokens_per_second": "tokens/s", "hours": "time", "kwh": "energy", "kgco2e": "carbon"}
    return f"money, {currency}" if figure == "money" else names.get(figure, figure)


def _number(figure: str, value: float | None) -> str:
    if value is None:
        return ""
    if figure == "hours":
        return console.duration(value * 3600)
    if figure == "kwh":
        return console.energy(value)
    if figure == "kgco2e":
        return _carbon(value)
    if figure == "money":
        return f"{value:.2f}"
    return console.count(value)
