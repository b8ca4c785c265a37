"""The run in one sentence or three: who trained what on which text, for how long and how much, and how good it is.

In: Facts. Out: markup with every number as `data`. What is not known is left out of the sentence, never guessed.
"""

from lhama.record.page import numerals
from lhama.record.page.markup import Child, Markup, join, value
from lhama.release.facts import Facts, items, number


def summary(facts: Facts) -> Markup:
    """Tell the run in plain words."""
    return join([_what(facts), _cost(facts), _result(facts)], " ")


def listed(names: list[str]) -> str:
    """Join names as English does."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}" if names else ""


def _what(facts: Facts) -> Markup:
    authors, count = list(facts.recipe.release.authors), facts.parameters
    who = f"{listed(authors)} {'trained' if facts.finished else 'are training'} "
    size: list[Child] = [" of ", value(f"{numerals.large(count)} parameters", count)] if count else []
    seen = facts.tokens_seen
    tokens: list[Child] = [" on ", value(f"{numerals.large(seen)} tokens", seen)] if seen else []
    of_text: list[Child] = [" of " if seen else " on ", _language(facts), _text(facts)]
    if authors:
        return join([who, facts.title, ", a Llama", *size, ",", *tokens, *of_text, "."])
    trained = ", trained" if facts.finished else ", being trained" if seen else ", to be trained"
    return join([facts.title, " is a Llama", *size, trained, *tokens, *of_text, "."])


def _language(facts: Facts) -> str:
    codes = [source.language or facts.recipe.language for source in facts.recipe.corpus.source]
    return listed([numerals.language(code) for code in dict.fromkeys(codes)][:3])


def _text(facts: Facts) -> Markup:
    """Say which text, with the size of what was kept."""
    names = [source.name for source in facts.recipe.corpus.source]
    which = f" ({listed(names)})" if len(names) <= 3 else f" from {numerals.counted(len(names), 'source')}"
    kept = sum(number(source, "bytes_out") or 0 for source in items(facts.corpus, "sources"))
    size: list[Child] = [", ", value(f"{numerals.size(kept)} after cleaning", kept)] if kept else []
    return join([" text", which, *size])


def _cost(facts: Facts) -> Markup | None:
    seconds, total = facts.training_seconds, facts.total
    if seconds is None:
        return None
    parts: list[Child] = ["Training took ", value(numerals.duration(seconds), seconds)]
    parts += [" on ", facts.machine] if facts.machine else []
    if total.kwh is not None:
        parts += ["; the whole run used ", value(numerals.energy(total.kwh), total.kwh)]
        parts += [" (", value(numerals.carbon(total.kgco2e), total.kgco2e), ")"] if total.kgco2e is not None else []
    if total.money:
        parts += [" and cost " if total.kwh is not None else "; the whole run cost "]
        parts += [value(numerals.money(total.money, facts.currency), total.money)]
    return join([*parts, "."])


def _result(facts: Facts) -> Markup | None:
    bits = facts.bits_per_byte
    if bits is None:
        return None
    parts: list[Child] = ["On text it never saw it needs ", value(f"{numerals.fixed(bits, 3)} bits per byte", bits)]
    many = facts.perplexity
    parts += [" (perplexity ", value(numerals.significant(many), many), ")"] if many is not None else []
    return join([*parts, "."])
