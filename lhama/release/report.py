"""The page that someone sends to their professor: one self-contained file, readable in light, in dark and on paper.

In: Facts. Out: the text of report.html with its style, its few lines of script and its figures inside.
"""

from collections.abc import Callable
from pathlib import Path

from lhama.plan.recipe import Recipe
from lhama.record.page import numerals
from lhama.record.page.markup import Child, Markup, tag, tile, value_or_dash
from lhama.record.page.shell import whole_page
from lhama.release.facts import Facts, number, read, words
from lhama.release.sections import corpus, costs, hardware, planned, reproduce, samples, tales, tokens, training
from lhama.release.sections.tokens import stream_rows
from lhama.release.sentence import summary

CHAPTERS = (
    ("plan", "Plan", planned.planned),
    ("corpus", "Text", corpus.corpus),
    ("tokens", "Vocabulary", tokens.tokens),
    ("learning", "Learning", training.learning),
    ("samples", "Samples", samples.samples),
    ("tales", "Judged tales", tales.tales),
    ("costs", "Costs", costs.costs),
    ("hardware", "Hardware", hardware.hardware),
    ("files", "Files", reproduce.files),
    ("reproduce", "Reproduce", reproduce.reproduce),
)


def write_report(recipe: Recipe, folder: Path) -> str:
    """Write the page of a run from the files in its folder."""
    return page(read(recipe, folder))


def page(facts: Facts) -> str:
    """Write the page of what is known about a run."""
    chapters = [(name, title, chapter(facts)) for name, title, chapter in CHAPTERS]
    present = [(name, title, body) for name, title, body in chapters if body]
    return whole_page(f"{facts.title} · training report", _opening(facts), present, _closing(facts))


def _opening(facts: Facts) -> list[Child]:
    day = f" · {facts.date.day} {facts.date:%B %Y}" if facts.date else ""
    return [
        tag("p", f"Training report{day}", class_="kicker"),
        tag("h1", facts.title),
        tag("p", summary(facts), class_="lead"),
        tag("p", facts.recipe.release.description) if facts.recipe.release.description else None,
        _notice(facts),
        _tiles(facts),
    ]


def _notice(facts: Facts) -> Markup | None:
    """Say what a reader must know first: that the run is not over, or that files are damaged."""
    sentences = []
    if not facts.finished:
        horizon = facts.recipe.train.horizon
        share = numerals.percent(facts.tokens_seen / horizon) if horizon else ""
        sentences.append(
            f"Training is not finished: {numerals.large(facts.tokens_seen)} of {numerals.large(horizon)} tokens "
            f"({share}). This page shows what there is so far."
        )
    if facts.damaged:
        sentences.append(f"These files could not be read and are left out: {', '.join(facts.damaged)}.")
    return tag("p", " ".join(sentences), class_="notice") if sentences else None


def _tiles(facts: Facts) -> Markup:
    total, horizon = facts.total, facts.recipe.train.horizon
    nats = number(facts.judgement, "loss")
    of_horizon = "" if facts.finished else f"of {numerals.large(horizon, short=True)} planned"
    tiles = [
        _tile(
            "Parameters",
            facts.parameters,
            lambda count: numerals.large(count, short=True),
            _layers(facts),
            "parameters",
        ),
        _tile(
            "Tokens seen",
            facts.tokens_seen,
            lambda count: numerals.large(count, short=True),
            of_horizon or _repeats(facts),
            "tokens-seen",
        ),
        _tile(
            "Bits per byte",
            facts.bits_per_byte,
            numerals.to_places(3),
            "on held-out text",
            "bits-per-byte",
        ),
        _tile("Perplexity", facts.perplexity, numerals.significant, _nats(nats), "perplexity"),
        _tile("Training time", facts.training_seconds, numerals.duration, facts.machine, "seconds"),
        _tile("Electricity", total.kwh, numerals.energy, ", ".join(total.methods), "kwh"),
        _tile(
            "Carbon",
            total.kgco2e,
            numerals.carbon,
            f"grid of {facts.recipe.hardware.country}" if total.kgco2e is not None else "",
            "kgco2e",
        ),
        _tile(
            "Money",
            total.money,
            lambda amount: numerals.money(amount, facts.currency),
            "one’s own machine" if total.money == 0 else "",
            "money",
        ),
    ]
    return tag("dl", *tiles, class_="tiles")


def _tile(name: str, amount: float | None, say: Callable[[float], str], note: str, id_: str) -> Markup:
    return tile(name, value_or_dash(amount, say, id_), "not known" if amount is None else note)


def _layers(facts: Facts) -> str:
    shape = facts.recipe.model
    return f"{numerals.counted(shape.layers, 'layer')}, width {numerals.whole(shape.hidden_size)}"


def _repeats(facts: Facts) -> str:
    """Say how often the text was read, where the streams' length is known."""
    there = sum(count for row in stream_rows(facts) if (count := number(row, "tokens")))
    return f"{numerals.significant(facts.tokens_seen / there, 2)} times the text" if there else ""


def _nats(loss: float | None) -> str:
    return f"{numerals.fixed(loss, 3)} nats per token" if loss is not None else "per token"


def _closing(facts: Facts) -> Markup:
    version = words(facts.manifests["train"], "versions", "lhama")
    by = f"Lhama {version}" if version else "Lhama"
    return tag(
        "p",
        f"Written by {by} from the files of the run “{facts.recipe.name}”. This page is one file: it asks nobody for "
        "anything and tells nobody that it was read.",
    )
