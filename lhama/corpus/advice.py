"""Say what a person should look at after a cleaning: sources that are not what they are said to be, or that lose much.

In goes report.json's content, out come sentences. They are about whole sources, where a look at single documents is
not enough: one page of Camilo may be of either side of the sea, nine hundred are not.
"""

from typing import Any

MUCH = 0.5  # of the documents of a source
MOSTLY = 0.2  # surely European documents, when hardly any is surely Brazilian
RATIO = 5


def advice(report: dict[str, Any]) -> list[str]:
    """List what stands out, source by source."""
    found = []
    for source in report["sources"]:
        found += [sentence for sentence in (_of_variety(source), _of_losses(source)) if sentence]
    return found


def _of_variety(source: dict[str, Any]) -> str | None:
    """Tell a source that speaks European Portuguese, or of whose variety nothing can be known."""
    counts = source.get("variety")
    if not counts or not counts["documents"]:
        return None
    spoken, european, brazilian = counts["documents"], counts["european"], counts["brazilian"]
    if european > MOSTLY * spoken and european > RATIO * brazilian:
        return (
            f"{source['name']} reads as European Portuguese: {european:,} of {spoken:,} documents surely are, "
            f"{brazilian:,} are surely Brazilian. Take the source out if you want none of it."
        )
    if counts["old_spelling"] > MUCH * spoken:
        return (
            f"{source['name']} is mostly in a spelling older than the reforms ({counts['old_spelling']:,} of "
            f"{spoken:,} documents), by which Brazilian and European Portuguese cannot be told apart: its origin must "
            "tell."
        )
    return None


def _of_losses(source: dict[str, Any]) -> str | None:
    """Tell a source that loses most of its documents, and to what."""
    training = source["documents_in"] - source["heldout"]
    if not source["dropped"] or training - source["kept"] <= MUCH * training:
        return None
    reason, documents = max(source["dropped"].items(), key=lambda one: (one[1], one[0]))
    return (
        f"{source['name']} keeps {source['kept'] / training:.0%} of its documents; most are dropped as {reason} "
        f"({documents:,} of {training:,})."
    )
