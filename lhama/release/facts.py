"""What the run folder tells: every file that the publication is made of, read once.

In: a run's folder and recipe. Out: Facts, in which a file that is absent is empty and a file that is damaged is empty
and listed, because a report about a run that went wrong is worth more than none. Subtle: rows of metrics.jsonl that a
later row marks as lost were done twice; they stay out of curves, but their time and energy were spent and stay in the
sums.
"""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any

from lhama.plan.problem import Problem
from lhama.plan.recipe import Recipe
from lhama.record import second_reading
from lhama.record.energy import LEDGER, ledger_rows, totals
from lhama.record.files import read_json
from lhama.record.meter import read_rows, without_lost
from lhama.record.price import price_of_improvement
from lhama.record.run import ORDER
from lhama.record.spending import Spending, checkpoints

DOCUMENTS = (
    "plan.json",
    "tune.json",
    "corpus/report.json",
    "tokens/tokens.json",
    "tokens/fertility.json",
    "train/final.json",
    *(f"{stage}/manifest.json" for stage in ORDER),
)
COMPARISON = "tokenizers.json"  # of the publication itself: it is measured when the page is made
ROWS = ("train/loss.jsonl", "train/validation.jsonl", "train/samples.jsonl", "train/metrics.jsonl")
LARGEST_HEADER = 100 << 20  # of a safetensors file, by its own specification

Row = Mapping[str, Any]


def number(row: Any, *path: str) -> float | None:
    """Follow keys into nested tables to a finite number; anything else is None."""
    for key in path:
        row = row.get(key) if isinstance(row, Mapping) else None
    is_number = isinstance(row, int | float) and not isinstance(row, bool) and math.isfinite(row)
    return row if is_number else None


def words(row: Any, *path: str) -> str:
    """Follow keys into nested tables to a text; anything else is empty."""
    for key in path:
        row = row.get(key) if isinstance(row, Mapping) else None
    return row if isinstance(row, str) else ""


def items(row: Any, key: str) -> list[Row]:
    """Return the tables of a list in a table; anything else is left out."""
    found = row.get(key) if isinstance(row, Mapping) else None
    return [one for one in found if isinstance(one, Mapping)] if isinstance(found, list) else []


def pairs(row: Any, key: str) -> dict[str, Any]:
    """Return a table in a table; anything else is empty."""
    found = row.get(key) if isinstance(row, Mapping) else None
    return dict(found) if isinstance(found, Mapping) else {}


@dataclass(frozen=True)
class Use:
    """What a stage took; None is not known. `methods` say how the energy is known: measured, estimated, constant."""

    seconds: float
    kwh: float | None
    kgco2e: float | None
    money: float | None
    methods: tuple[str, ...]


@dataclass(frozen=True)
class Facts:
    """The run as its folder has it."""

    recipe: Recipe
    folder: Path
    plan: Row
    tune: Row
    corpus: Row
    tokens: Row
    fertility: Row
    final: Row
    manifests: Mapping[str, Row]
    losses: Sequence[Row]
    validations: Sequence[Row]
    samples: Sequence[Row]
    metrics: Sequence[Row]
    uses: Mapping[str, Use]
    hows: Sequence[str]
    second_readings: Sequence[Row]
    comparison: Row
    price: Row
    currency: str
    damaged: list[str]

    @property
    def title(self) -> str:
        """The model's name for readers."""
        return self.recipe.release.title or self.recipe.name

    @property
    def finished(self) -> bool:
        """Whether training came to its planned end."""
        return bool(self.final) and self.tokens_seen >= self.recipe.train.horizon

    @property
    def tokens_seen(self) -> int:
        """The tokens that the newest record of training speaks of."""
        seen = [number(row, "tokens") or 0 for row in (self.final, *self.losses[-1:], *self.validations[-1:])]
        return int(max(seen, default=0))

    @property
    def steps(self) -> int:
        """The optimizer steps that the newest record of training speaks of."""
        seen = [number(self.final, "steps") or 0, *(number(row, "step") or 0 for row in self.losses[-1:])]
        return int(max(seen, default=0))

    @property
    def judgement(self) -> Row:
        """The last validation: the final one, or the newest row while the run goes on."""
        final = pairs(self.final, "validation")
        return final or (self.validations[-1] if self.validations else {})

    @property
    def bits_per_byte(self) -> float | None:
        """Bits per byte on held-out text."""
        return number(self.judgement, "bits_per_byte")

    @property
    def perplexity(self) -> float | None:
        """Perplexity per token on held-out text."""
        return number(self.judgement, "perplexity")

    @property
    def training_seconds(self) -> float | None:
        """How long training took, by its own clock, else by the ledger."""
        own = number(self.final, "seconds")
        ledger = self.uses["train"].seconds if "train" in self.uses else None
        return own if own is not None else ledger

    @cached_property
    def total(self) -> Use:
        """All stages together."""
        uses = list(self.uses.values())

        def summed(amounts: Iterable[float | None]) -> float | None:
            known = [amount for amount in amounts if amount is not None]
            return math.fsum(known) if known else None

        return Use(
            seconds=math.fsum(use.seconds for use in uses),
            kwh=summed(use.kwh for use in uses),
            kgco2e=summed(use.kgco2e for use in uses),
            money=summed(use.money for use in uses),
            methods=tuple(sorted({method for use in uses for method in use.methods})),
        )

    @cached_property
    def newest_checkpoint(self) -> Path | None:
        """The checkpoint folder with the largest number."""
        found = [path for path in (self.folder / "train").glob("step-*") if path.name.removeprefix("step-").isdigit()]
        return max(found, key=lambda path: int(path.name.removeprefix("step-")), default=None)

    @cached_property
    def parameters(self) -> int | None:
        """How many weights the newest checkpoint holds, read from the head of its file; else what the plan counted."""
        if self.newest_checkpoint is not None:
            counted = _weights(self.newest_checkpoint / "model.safetensors")
            if counted is not None:
                return counted
        planned = number(self.plan, "model", "parameters", "total")
        return int(planned) if planned is not None else None

    @cached_property
    def date(self) -> datetime | None:
        """The day of the last thing that training wrote down."""
        times = [words(row, "time") for row in reversed(self.metrics)]
        for text in times:
            try:
                return datetime.fromisoformat(text)
            except ValueError:
                continue
        return None

    @property
    def machine(self) -> str:
        """What it was trained on, as training recorded it; before that, the machine of the plan."""
        planned = words(self.plan, "machine", "label")
        used = pairs(self.final, "environment")
        if used.get("kind") == "cpu" and words(self.plan, "machine", "accelerator") != "cpu":
            return f"{number(used, 'threads') or 1:g} processor threads"
        named = words(used, "name") if used and used.get("kind") != "cpu" else planned
        count = number(self.plan, "machine", "count") or 1
        return f"{count:g} × {named}" if named and count > 1 else named

    @property
    def has_tales(self) -> bool:
        """Whether the embedded teaching corpus is among the sources."""
        return any(source.kind == "tales" for source in self.recipe.corpus.source)


def read(recipe: Recipe, folder: Path, release: Path | None = None) -> Facts:
    """Read all that the publication needs from a run's folder; `release` is where the publication is being made."""
    damaged: list[str] = []
    documents = {name: _document(folder, name, damaged) for name in DOCUMENTS}
    rows = {name: read_rows(folder / name) for name in ROWS}
    metrics = without_lost(rows["train/metrics.jsonl"])
    ledger = list(ledger_rows(folder))
    spent = totals(folder, ledger)
    return Facts(
        recipe=recipe,
        folder=folder,
        plan=documents["plan.json"],
        tune=documents["tune.json"],
        corpus=documents["corpus/report.json"],
        tokens=documents["tokens/tokens.json"],
        fertility=documents["tokens/fertility.json"],
        final=documents["train/final.json"],
        manifests={stage: documents[f"{stage}/manifest.json"] for stage in ORDER},
        losses=rows["train/loss.jsonl"],
        validations=rows["train/validation.jsonl"],
        samples=rows["train/samples.jsonl"],
        metrics=metrics,
        uses=_uses(spent),
        hows=[how for how in spent.get("hows", ()) if isinstance(how, str)],
        second_readings=second_reading.compare(recipe, ledger),
        comparison=_document(release or folder / "release", COMPARISON, damaged),
        price=_price(recipe, folder, rows["train/validation.jsonl"], metrics, damaged),
        currency=words(spent, "currency") or recipe.budget.currency,
        damaged=damaged,
    )


def recorded_files(folder: Path) -> dict[str, Path]:
    """List the files there are that the publication is made of, by name; the publication's own are not among them."""
    ledgers = [path for path in folder.glob(f"*/{LEDGER}") if not path.parent.name.startswith("release")]
    paths = [folder / name for name in (*DOCUMENTS, *ROWS)] + ledgers
    return {path.relative_to(folder).as_posix(): path for path in sorted(paths) if path.is_file()}


def _document(folder: Path, name: str, damaged: list[str]) -> Row:
    if not (folder / name).exists():
        return {}
    try:
        document = read_json(folder / name)
    except (Problem, OSError):
        document = None
    if not isinstance(document, Mapping):
        damaged.append(name)
        return {}
    return document


def _price(
    recipe: Recipe, folder: Path, validations: Sequence[Row], metrics: Sequence[dict[str, Any]], damaged: list[str]
) -> Row:
    """Work out what improvements cost; rows that make no sense leave the page without a price, and it says so."""
    try:
        spending = Spending.read(folder, metrics)
        saved = checkpoints(recipe, folder, spending)
        return price_of_improvement(validations, spending, saved, recipe.release.worth_gain)
    except (Problem, OSError, ValueError, TypeError, KeyError, AttributeError, ArithmeticError):
        damaged.append("what the improvements cost")
        return {}


def _weights(path: Path) -> int | None:
    """Count the numbers in a safetensors file from its header: 8 bytes of length, then JSON with each shape."""
    try:
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            header = json.loads(file.read(length)) if length <= LARGEST_HEADER else {}
    except (OSError, ValueError):
        return None
    shapes = [entry.get("shape") for name, entry in header.items() if name != "__metadata__"]
    return sum(math.prod(shape) for shape in shapes if isinstance(shape, list)) or None


def _uses(spent: Row) -> dict[str, Use]:
    """Read the ledger's sums by stage, in the order of work; the publication, still at work, is left out."""
    by_stage = {name: entry for name, entry in pairs(spent, "by_stage").items() if name != "release"}
    order = [*(stage for stage in ORDER if stage in by_stage), *(name for name in by_stage if name not in ORDER)]
    return {name: _use(by_stage[name]) for name in order}


def _use(entry: Row) -> Use:
    methods = tuple(method for method in entry.get("methods", ()) if method != "off")
    kwh, kgco2e = (number(entry, key) if methods else None for key in ("kwh", "kgco2e"))
    return Use(number(entry, "seconds") or 0.0, kwh, kgco2e, number(entry, "money"), methods)
