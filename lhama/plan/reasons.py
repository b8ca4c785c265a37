"""Why this model and no other: three sentences about a choice, and the choice as a document.

In: what `lhama new` was given, and the Choice that sizing.py made of it. Out: what was chosen, what stopped it and how
much text it reads, and what another size would give: for people, and the same with all candidates for programs.
"""

from __future__ import annotations

from typing import Any

from lhama.plan.hardware import accelerator, check_accelerator
from lhama.plan.plan_text import amount, duration
from lhama.plan.quantity import count_of
from lhama.plan.scaling import in_range
from lhama.plan.sizing import (
    AS_GOOD,
    RESERVE,
    UNITS,
    Candidate,
    Choice,
    Limits,
    Order,
    check_text,
    machine_of_words,
)


def order_of(
    name: str,
    language: str,
    paths: tuple[str, ...],
    gpu: str | None,
    limits: tuple[float | None, float | None, float | None],
    tokens_available: str | None,
) -> Order:
    """Read what `lhama new` was given: money, hours and kilowatt hours, and the words for machine and text."""
    check_text(paths)
    machine, count = machine_of_words(gpu or "auto")
    check_accelerator(machine)
    tokens = None if tokens_available is None else count_of(tokens_available, "--tokens-available")
    return Order(name, language, paths, machine, count, Limits(*limits, tokens))


def document(order: Order, choice: Choice) -> dict[str, Any]:
    """Return the choice as a JSON-able document."""
    return {
        "chosen": _candidate(choice.best),
        "frontier": [_candidate(one) for one in choice.frontier],
        "binding": choice.binding,
        "hours_allowed": choice.allowed,
        "reserve": RESERVE,
        "sentences": [_what(choice), _why(order, choice), _else(choice)],
    }


def _candidate(one: Candidate) -> dict[str, Any]:
    model = one.shape.model
    return {
        "parameters": one.shape.parameters,
        "hidden_size": model.hidden_size,
        "intermediate_size": model.intermediate_size,
        "layers": model.layers,
        "heads": model.heads,
        "tokens": one.tokens,
        "epochs": one.epochs,
        "worth_tokens": one.worth,
        "hours": one.hours,
        "money": one.money,
        "kwh": one.kwh,
        "loss": one.loss,
    }


def _what(choice: Choice) -> str:
    best, model = choice.best, choice.best.shape.model
    law = "the refitted Chinchilla law"
    if best.epochs is not None and best.epochs > 1:
        law += " with what repeated text is worth"
    doubt = "" if in_range(best.shape.parameters, best.tokens) else " (a guess: no law was measured on so small a run)"
    return (
        f"{amount(best.shape.parameters)} parameters ({model.layers} layers, {model.hidden_size} wide) trained on "
        f"{amount(best.tokens)} tokens end at {best.loss:.2f} nats a token by {law}{doubt}: the smallest model within "
        f"{AS_GOOD:g} nats of the lowest loss that the limits allow."
    )


def _why(order: Order, choice: Choice) -> str:
    best = choice.best
    device = accelerator(order.accelerator).label
    machine = device if order.count == 1 else f"{order.count} x {device}"
    hours = duration(best.hours)
    reads = ""
    if best.epochs is not None:
        reads = f", and the {amount(order.limits.tokens or 0)} tokens of text are read {best.epochs:.1f} times"
        reads += f", worth {amount(best.worth)} new ones" if best.epochs > 1 else ""
    if choice.binding == "text":
        return f"The text sets the limit: {hours} of {machine} are enough{reads}, and more would teach little."
    if choice.binding == "memory":
        return f"The memory of {machine} sets the limit: nothing larger fits; it works {hours}{reads}."
    limit = getattr(order.limits, choice.binding)
    spare = [name for name, allowed in choice.allowed.items() if allowed > 2 * choice.allowed[choice.binding]]
    unused = f"; of the {' and '.join(_NAMES[name] for name in spare)} more than half is left" if spare else ""
    return (
        f"What sets the limit is the {_NAMES[choice.binding]}: {1 - RESERVE:.0%} of {limit:g} {UNITS[choice.binding]} "
        f"(the rest is for evaluation and restarts) pay for {hours} of {machine}{reads}{unused}."
    )


_NAMES = {"money": "money", "hours": "time", "kwh": "electricity"}


def _else(choice: Choice) -> str:
    """Say what about half and twice the size would give in the same limits."""
    best = choice.best
    place = choice.frontier.index(best)
    half = [one for one in choice.frontier[:place] if one.shape.parameters <= 0.6 * best.shape.parameters]
    twice = [one for one in choice.frontier[place + 1 :] if one.shape.parameters >= 1.6 * best.shape.parameters]
    said = []
    if half:
        one = half[-1]
        said.append(
            f"{amount(one.shape.parameters)} parameters on {amount(one.tokens)} tokens would end {_by(one, best)} and "
            f"cost {one.shape.parameters / best.shape.parameters:.0%} as much in every use"
        )
    if twice:
        one = twice[0]
        said.append(f"{amount(one.shape.parameters)} on {amount(one.tokens)} would end {_by(one, best)}")
    return ("; ".join(said) if said else "There is no other size within the limits") + "."


def _by(one: Candidate, best: Candidate) -> str:
    difference = one.loss - best.loss
    return f"{abs(difference):.3f} nats {'higher' if difference >= 0 else 'lower'}"
