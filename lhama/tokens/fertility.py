"""How much text a token carries: the price of a vocabulary, measured on text that it was not trained on.

In go counts of words, bytes and tokens per source, out comes fertility.json. Fertility is tokens per word (words are
what white space separates; Rust et al. 2021, arXiv:2012.15613), and bytes per token is its reverse for any script.
`<s>` and `</s>` are not counted: every vocabulary pays them alike.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from lhama.tokens.vocabulary import Vocabulary

Counts = dict[str, int]


def counts(vocabulary: Vocabulary, texts: Iterable[str]) -> Counts:
    """Count what any vocabulary makes of texts, to set it beside another."""
    texts = list(texts)
    return {
        "documents": len(texts),
        "words": sum(len(text.split()) for text in texts),
        "bytes": sum(len(text.encode()) for text in texts),
        "tokens": sum(len(ids) for ids in vocabulary.encode_documents(texts)),
    }


def ratios(measured: Mapping[str, int]) -> dict[str, int | float | None]:
    """Add fertility and bytes per token to counts; None where there was no text."""
    words, size, tokens = measured["words"], measured["bytes"], measured["tokens"]
    return {
        **measured,
        "tokens_per_word": round(tokens / words, 4) if words else None,
        "bytes_per_token": round(size / tokens, 4) if tokens else None,
    }


def of_index(index: Mapping[str, Any]) -> dict[str, Any]:
    """Make fertility.json from the held-out counts of tokens.json."""
    by_source = {}
    for entry in index["sources"]:
        held = entry["heldout"]
        if held["documents"]:
            by_source[entry["name"]] = {**held, "tokens": held["tokens"] - 2 * held["documents"]}
    keys = ("documents", "words", "bytes", "tokens")
    total = {key: sum(measured[key] for measured in by_source.values()) for key in keys}
    return {
        "vocabulary": index["vocabulary"],
        "measured_on": "held-out documents",
        **ratios(total),
        "by_source": {name: ratios({key: measured[key] for key in keys}) for name, measured in by_source.items()},
    }
