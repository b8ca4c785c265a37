"""The model card: Hugging Face's README.md, its metadata and its prose written from the record.

In: Facts. Out: Markdown with YAML metadata as the Hub reads it. Every metadata value is JSON, which YAML includes, so
no text can break out of it. Subtle: the Hub wants emissions in GRAMS, our ledger and CodeCarbon count kilograms; the
one place where they meet is `_emissions`.
"""

import json
from pathlib import Path
from typing import Any

from lhama.plan.recipe import Recipe
from lhama.record.reading import GRAMS_PER_KILOGRAM
from lhama.release import licences
from lhama.release.card_text import prose
from lhama.release.facts import Facts, number, read

# What JSON allows as it is and YAML does not, or folds: DEL, C1 controls, line separators, half surrogates and such.
UNPRINTABLE = (*range(0x7F, 0xA0), *range(0xD800, 0xE000), 0x2028, 0x2029, 0xFEFF, 0xFFFE, 0xFFFF)


def write_card(recipe: Recipe, folder: Path) -> str:
    """Write the card of a run from the files in its folder."""
    return card(read(recipe, folder))


def card(facts: Facts) -> str:
    """Write the card of what is known about a run."""
    lines = "".join(f"{key}: {_yaml(value)}\n" for key, value in metadata(facts).items())
    return f"---\n{lines}---\n\n{prose(facts)}\n"


def metadata(facts: Facts) -> dict[str, Any]:
    """Gather what the Hub's search and widgets use; what is not known has no key."""
    recipe = facts.recipe
    languages = dict.fromkeys(
        [recipe.language, *(source.language or recipe.language for source in recipe.corpus.source)]
    )
    found: dict[str, Any] = {"language": list(languages), **_license(recipe.release.license)}
    found |= {"library_name": "transformers", "pipeline_tag": "text-generation"}
    found["tags"] = ["llama", "lhama", "small-language-model", "trained-from-scratch"]
    if facts.has_tales:
        found["tags"].append("teaching-corpus")
    sources = recipe.corpus.source
    datasets = [source.dataset for source in sources if source.dataset is not None and not source.is_downloaded]
    if datasets:
        found["datasets"] = list(dict.fromkeys(datasets))
    results = _results(facts)
    if results:
        found["model-index"] = [{"name": facts.title, "results": results}]
    emissions = _emissions(facts)
    if emissions:
        found["co2_eq_emissions"] = emissions
    return found


def _license(name: str) -> dict[str, str]:
    if name.lower() in licences.ON_THE_HUB:
        return {"license": name.lower()}
    return {"license": "other", "license_name": name.lower().replace(" ", "-")}


def _results(facts: Facts) -> list[dict[str, Any]]:
    """Give bits per byte and perplexity on held-out text as evaluation results."""
    measured = [
        {"type": kind, "name": name, "value": amount}
        for kind, name, amount in (
            ("bits_per_byte", "Bits per byte", facts.bits_per_byte),
            ("perplexity", "Perplexity per token", facts.perplexity),
        )
        if amount is not None
    ]
    if not measured:
        return []
    names = ", ".join(source.name for source in facts.recipe.corpus.source)
    dataset = {"type": "held-out", "name": f"Held-out text of {names}", "split": "heldout"}
    return [{"task": {"type": "text-generation", "name": "Text generation"}, "dataset": dataset, "metrics": measured}]


def _emissions(facts: Facts) -> dict[str, Any]:
    """Give the emissions of all stages, in grams as the Hub's specification asks."""
    kilograms = facts.total.kgco2e
    if kilograms is None:
        return {}
    tracked = [method for method in facts.total.methods if method != "constant"]
    source = f"CodeCarbon, offline ({', '.join(tracked)})" if tracked else "assumed constant power"
    found: dict[str, Any] = {"emissions": float(f"{kilograms * GRAMS_PER_KILOGRAM:.6g}"), "source": source}
    found |= {"training_type": "pre-training", "geographical_location": facts.recipe.hardware.country}
    if facts.machine:
        found["hardware_used"] = facts.machine
    if number(facts.plan, "machine", "grid_gco2e_per_kwh") is not None:
        found["source"] += f", grid of {facts.recipe.hardware.country}"
    return found


def _yaml(value: Any) -> str:
    """Write a value as JSON that YAML reads the same."""
    written = json.dumps(value, ensure_ascii=False, allow_nan=False)
    return written.translate({code: f"\\u{code:04x}" for code in UNPRINTABLE})
