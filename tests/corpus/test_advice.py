"""What is said of whole sources, by hand."""

from typing import Any

from lhama.corpus.advice import advice


def source(name: str, kept: int, dropped: dict[str, int], variety: dict[str, int] | None = None) -> dict[str, Any]:
    documents = kept + sum(dropped.values()) + 2
    found: dict[str, Any] = {"name": name, "documents_in": documents, "heldout": 2, "kept": kept, "dropped": dropped}
    return found | ({"variety": variety} if variety else {})


def variety(documents: int, european: int, brazilian: int, old: int = 0) -> dict[str, int]:
    return {"documents": documents, "european": european, "brazilian": brazilian, "old_spelling": old}


def test_sources_that_are_not_what_they_seem_are_named() -> None:
    report = {
        "sources": [
            source("jornal", 90, {"too_short": 8}, variety(100, 1, 70)),
            source("publico", 60, {"european": 38}, variety(100, 40, 2)),
            source("misto", 90, {"european": 8}, variety(100, 40, 20)),
            source("antigo", 98, {}, variety(100, 0, 10, 80)),
            source("vazio", 10, {"too_short": 80, "exact_duplicate": 10}),
            source("nada", 0, {"other_language": 10}, variety(0, 0, 0)),
        ]
    }
    publico, antigo, vazio, nada = advice(report)
    assert publico.startswith("publico reads as European Portuguese: 40 of 100 documents surely are, 2 are")
    assert antigo.startswith("antigo is mostly in a spelling older than the reforms (80 of 100 documents)")
    assert vazio == "vazio keeps 10% of its documents; most are dropped as too_short (80 of 100)."
    assert nada == "nada keeps 0% of its documents; most are dropped as other_language (10 of 10)."


def test_a_source_without_a_document_says_nothing() -> None:
    assert advice({"sources": [source("sem", 0, {}) | {"documents_in": 0, "heldout": 0}]}) == []
