"""What the licences of the sources mean for the one who publishes a model of them.

In: the recipe's sources. Out: warnings in plain words. Whether a licence of text binds a model is disputed; so nothing
is forbidden here, it is only said aloud, on the page and on the card.
"""

from lhama.plan.recipe import Recipe

NAMED = 6
UNSTATED = {"", "unknown", "other", "none", "unlicensed"}
# The Hub's identifiers for what people choose most; any other licence is "other" with a name of its own.
ON_THE_HUB = {
    *("apache-2.0", "mit", "bsd-2-clause", "bsd-3-clause", "mpl-2.0", "gpl-2.0", "gpl-3.0", "lgpl-3.0", "agpl-3.0"),
    *("cc0-1.0", "cc-by-3.0", "cc-by-4.0", "cc-by-sa-3.0", "cc-by-sa-4.0", "cc-by-nc-3.0", "cc-by-nc-4.0"),
    *("cc-by-nc-sa-3.0", "cc-by-nc-sa-4.0", "cc-by-nc-nd-3.0", "cc-by-nc-nd-4.0", "cc-by-nd-4.0", "odc-by", "odbl"),
    *("openrail", "bigscience-openrail-m", "unlicense", "wtfpl", "isc", "artistic-2.0", "unknown", "other"),
}


def warnings(recipe: Recipe) -> list[str]:
    """Say which sources do not allow, or do not clearly allow, everything that an open licence promises."""
    found: dict[str, list[str]] = {}
    for source in recipe.corpus.source:
        stated = "" if source.license.lower().strip() in UNSTATED else f" ({source.license})"
        for meaning in meanings(source.license):
            found.setdefault(meaning, []).append(source.name + stated)
    return [f"{meaning}: {_listed(names, len(recipe.corpus.source))}." for meaning, names in found.items()]


def _listed(names: list[str], sources: int) -> str:
    """Name a few sources, and count many: their table is on the same page."""
    if len(names) <= NAMED:
        return ", ".join(names)
    return f"all {sources} sources" if len(names) == sources else f"{len(names)} of {sources} sources"


def meanings(licence: str) -> list[str]:
    """Name what is restricted or unclear in a licence."""
    parts = licence.lower().replace("_", "-").split("-")
    if licence.lower().strip() in UNSTATED:
        return ["The licence of some text is not stated, so nobody has said that it may be used"]
    clear = []
    if "nc" in parts or "noncommercial" in licence.lower().replace("-", ""):
        clear.append("Some text may not be used commercially")
    if "nd" in parts:
        clear.append("Some text may not be changed or adapted")
    return clear
