"""The best model for a budget: which shape, on how many tokens, under money, hours, electricity and text at once.

In: limits, a machine and how much text there is. Out: a Choice: the best shape of the ladder with its tokens, all
others beside it (the frontier), and the limit that stopped it. The limits all come down to hours of the machine; every
shape trains as many tokens as it gets through in the fewest of them, and the law with repeated text (repetition.py)
says which ends with the lowest loss; of shapes that are as good, the smallest is taken. The subtle thing: hours come
from the same bill as the plan's, of the very recipe that would be written, so `lhama plan` accepts what is chosen.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

from lhama.plan.arithmetic import precision_on
from lhama.plan.bill import bill, price_per_hour, watts
from lhama.plan.hardware import accelerator
from lhama.plan.layout import Recipe
from lhama.plan.memory import memory
from lhama.plan.problem import Problem
from lhama.plan.recipe import loads
from lhama.plan.repetition import constrained_loss, effective_tokens
from lhama.plan.scaling import best_parameters
from lhama.plan.shapes import Shape, ladder
from lhama.plan.template import Numbers, new_recipe

RESERVE = 0.05  # of each limit stays for evaluation, restarts and what the plan does not know
AS_GOOD = 0.005  # nats a token: less is below what the laws can tell, and a smaller model is cheaper to use
MOST_EPOCHS = 40  # repeating text further teaches next to nothing (Muennighoff et al. 2023, section 6)
LONGEST = 8_784  # hours, a year: nobody waits longer for one training
FEWEST_TOKENS = 10_000_000  # of training; below, a tuned model of others is the better choice
FEWEST_UNIQUE = 1_000_000  # of text
STEPS = 25_000  # wanted: lhama-160m takes 28,600
LARGEST_BATCH, SMALLEST_BATCH = 2**20, 2**12
HALF_LIFE = 10e6  # tokens after which AdamW has forgotten half of a squared gradient (Marek et al. 2025)
RATE, RATE_AT = 3e-3, 162e6  # lhama-160m's peak rate; it falls with the cube root of the size (OLMo's ladder)


@dataclass(frozen=True)
class Limits:
    """What may be spent, and how much text there is; None is no limit."""

    money: float | None = None
    hours: float | None = None
    kwh: float | None = None
    tokens: int | None = None


@dataclass(frozen=True)
class Order:
    """What the user of `lhama new` asked for."""

    name: str
    language: str
    paths: tuple[str, ...]
    accelerator: str
    count: int
    limits: Limits


@dataclass(frozen=True)
class Candidate:
    """One shape trained within all limits."""

    shape: Shape
    tokens: int
    epochs: float | None
    """Times the text is read; None where its amount is unknown."""
    worth: float
    """The tokens of new text that would teach as much."""
    hours: float
    money: float | None
    kwh: float
    loss: float
    text: str
    """The recipe."""


@dataclass(frozen=True)
class Choice:
    """The best candidate, all others, and why there is no better one."""

    best: Candidate
    frontier: tuple[Candidate, ...]
    binding: str
    """The limit that stopped it: money, hours, kwh, text or memory."""
    allowed: dict[str, float]
    """Hours of the machine that each limit pays for, the reserve taken off."""


def choose(order: Order) -> Choice:
    """Solve for the best size and tokens; a limit that allows nothing useful is a Problem that names it."""
    allowed = _hours(order)
    least = min(allowed, key=lambda name: allowed[name])
    if order.limits.tokens is not None and order.limits.tokens < FEWEST_UNIQUE:
        raise Problem(
            f"{order.limits.tokens:,} tokens are too little text to train a model from nothing",
            key="--tokens-available",
            remedy=f"gather {FEWEST_UNIQUE:,} and more (about 4 MB of text), or tune a model of others on it",
        )
    if allowed[least] > LONGEST:
        raise Problem(
            f"this pays for {allowed[least] / 8760:,.0f} years of the machine",
            key=f"--{OPTIONS[least]}",
            remedy="let more accelerators work together (--gpu 8xh100), or say with --hours how long it may take",
        )
    tried = [_candidate(order, shape, allowed[least]) for shape in ladder()]
    frontier = tuple(one for one in tried if one is not None and one.tokens >= FEWEST_TOKENS)
    if not frontier:
        raise _too_little(order, least)
    lowest = min(one.loss for one in frontier)
    best = next(one for one in frontier if one.loss <= lowest + AS_GOOD)
    _refuse_above_the_ladder(order, best, allowed[least], least)
    if best.epochs is not None and best.epochs > 0.9 * MOST_EPOCHS and best.hours < 0.9 * allowed[least]:
        least = "text"
    elif tried[-1] is None and best is frontier[-1]:
        least = "memory"
    return Choice(best, frontier, least, allowed)


def _hours(order: Order) -> dict[str, float]:
    """Turn every limit into hours of the whole machine."""
    limits = order.limits
    for name in ("money", "hours", "kwh"):
        amount = getattr(limits, name)
        if amount is not None and not 0 < amount < math.inf:
            raise Problem(f"{amount:g} buys nothing", key=f"--{OPTIONS[name]}", remedy="give a number above 0")
    probe = _recipe(order, ladder()[0], FEWEST_TOKENS)[0]
    device = accelerator(order.accelerator)
    price = price_per_hour(probe, device)
    kilowatts = sum(watts(probe, device).values()) / 1000 * probe.hardware.pue
    allowed: dict[str, float] = {}
    if limits.money is not None and price:
        allowed["money"] = limits.money / (price * order.count)
    if limits.hours is not None:
        allowed["hours"] = limits.hours
    if limits.kwh is not None:
        allowed["kwh"] = limits.kwh / kilowatts
    if not allowed:
        known = "costs nothing" if price == 0 else "has no known price"
        said = f"an hour of {device.label} {known}, so money sets no limit" if limits.money else "there is no limit"
        raise Problem(
            said, key="--hours", remedy="say how long it may take with --hours, or what it may use with --kwh"
        )
    return {name: (1 - RESERVE) * hours for name, hours in allowed.items()}


OPTIONS = {"money": "budget", "hours": "hours", "kwh": "kwh"}
UNITS = {"money": "USD", "hours": "hours", "kwh": "kWh"}


def _candidate(order: Order, shape: Shape, hours: float) -> Candidate | None:
    """Train a shape for so many hours; None where it does not fit into memory."""
    probe, _ = _recipe(order, shape, FEWEST_TOKENS)
    device = accelerator(order.accelerator)
    if not memory(probe, device, precision_on(probe, device)).fits:
        return None
    unique = order.limits.tokens
    tokens = _worthwhile(bill(probe).tokens_per_second * 3600 * hours, unique)
    recipe, text = _recipe(order, shape, tokens)
    # The batch grew with the tokens, and the speed of several accelerators with it.
    tokens = _worthwhile(bill(recipe).tokens_per_second * 3600 * hours, unique)
    recipe, text = _recipe(order, shape, tokens)
    spent = bill(recipe)
    trained, known = recipe.train.horizon, math.inf if unique is None else unique
    return Candidate(
        shape=shape,
        tokens=trained,
        epochs=None if unique is None else trained / unique,
        worth=effective_tokens(trained, known),
        hours=spent.hours,
        money=spent.money,
        kwh=spent.kwh,
        loss=constrained_loss(shape.parameters, trained, known),
        text=text,
    )


def _worthwhile(tokens: float, unique: int | None) -> int:
    """Return the tokens to train on: all that are paid for, or fewer where the text has no more to teach."""
    return int(tokens if unique is None else min(tokens, MOST_EPOCHS * unique))


def _recipe(order: Order, shape: Shape, tokens: int) -> tuple[Recipe, str]:
    """Write the recipe of a shape and load it again."""
    numbers = numbers_of(order, shape, tokens)
    text = new_recipe(order.name, order.language, order.paths, numbers, tales=False)
    return loads(text), text


def numbers_of(order: Order, shape: Shape, tokens: int) -> Numbers:
    """Derive everything else of the recipe from size, tokens and machine; each rule has its source above."""
    count, model = shape.parameters, shape.model
    # 1) the batch: a power of two that makes about 25,000 steps, and a row at least for each accelerator
    wanted = 2 ** round(math.log2(max(1, tokens / STEPS)))
    rows = 2 ** math.ceil(math.log2(order.count))
    batch = max(min(wanted, LARGEST_BATCH), SMALLEST_BATCH, shape.sequence * rows)
    steps = max(1, tokens // batch)
    # 2) intervals in whole steps: 40 validations, 20 sets of samples, 60 saves, 8 checkpoints that stay
    every = {name: max(1, steps // times) * batch for name, times in (("validate", 40), ("sample", 20), ("save", 60))}
    limits = [(name, getattr(order.limits, name)) for name in ("money", "hours", "kwh")]
    limits.append(("tokens_available", order.limits.tokens))
    return Numbers(
        budget=tuple((name, amount) for name, amount in limits if amount is not None),
        accelerator=order.accelerator,
        count=order.count,
        vocabulary=shape.vocabulary,
        sample_megabytes=256 if shape.vocabulary >= 32_000 else 64,
        sequence=shape.sequence,
        about=f"{count / 1e6:,.0f} million parameters",
        hidden_size=model.hidden_size,
        intermediate_size=model.intermediate_size,
        layers=model.layers,
        heads=model.heads,
        key_value_heads=model.key_value_heads,
        tied=model.tied,
        initializer_range=model.initializer_range,
        tokens=steps * batch,
        batch_tokens=batch,
        # 3) the rate falls with the cube root of the size; 4) warm-up: 500 steps or a fiftieth; 5) decay: two fifths
        learning_rate=min(RATE, RATE * (RATE_AT / count) ** (1 / 3)),
        warmup_tokens=min(500, max(1, steps // 50)) * batch,
        decay_tokens=max(1, 2 * steps // 5) * batch,
        # 6) a half-life in tokens, whatever the batch
        beta2=round(max(0.95, 0.5 ** (batch / HALF_LIFE)), 4),
        log_every=10 * batch,
        validate_every=every["validate"],
        validate_megabytes=16 if count > 50e6 else 2,
        sample_every=every["sample"],
        save_every=every["save"],
        suite_every=max(1, steps // 8) * batch,
    )


def _too_little(order: Order, least: str) -> Problem:
    """Say which limit is too small, and what the smallest useful training would take."""
    smallest = next((shape for shape in ladder() if _candidate(order, shape, 1.0) is not None), None)
    if smallest is None:
        return Problem(
            "not even the smallest shape fits into its memory", key="--gpu", remedy="name one with more memory"
        )
    spent = bill(_recipe(order, smallest, FEWEST_TOKENS)[0]).of(least) or 0.0
    return Problem(
        f"{getattr(order.limits, least):g} {UNITS[least]} are too little: {smallest.parameters / 1e6:.1f} million "
        f"parameters and {FEWEST_TOKENS:,} tokens, the least that is worth training, take "
        f"{spent / (1 - RESERVE):.2g} {UNITS[least]}",
        key=f"--{OPTIONS[least]}",
        remedy="raise it, or name a cheaper or faster --gpu",
    )


def _refuse_above_the_ladder(order: Order, best: Candidate, hours: float, least: str) -> None:
    """Refuse a budget whose best model would be far larger than any shape here."""
    top = ladder()[-1]
    if best.shape != top or best_parameters(best.worth) < 4 * top.parameters:
        return
    raise Problem(
        f"this pays for a model far above {top.parameters / 1e9:.1f} billion parameters, where Lhama's shapes end: "
        f"{hours:,.0f} hours of the machine",
        key=f"--{OPTIONS[least]}",
        remedy="lower it, or say with --tokens-available how much text there is",
    )


def check_text(paths: tuple[str, ...]) -> None:
    """Refuse text that is not there; a glob or an address is looked at when it is read."""
    for path in paths:
        if not any(mark in path for mark in ("*", "?", "[", "://")) and not Path(path).exists():
            raise Problem(f"there is no text at {path}", key="TEXT", remedy="give files, folders or globs that exist")


def machine_of_words(text: str) -> tuple[str, int]:
    """Read a machine as people say it: h100, or 8xh100 for eight together."""
    many, cross, name = text.lower().partition("x")
    if cross and many.isdigit() and name:
        if not 1 <= int(many) <= 4096:
            raise Problem(f"{many} accelerators together are beyond this plan", key="--gpu", remedy="try 8xh100")
        return name, int(many)
    return text.lower(), 1
