"""Count what happened to every document, and prove that none is missing.

In go staged rows with their verdicts, out comes report.json: the funnel by source and by reason in documents, bytes and
words, with examples. In = kept + held out + dropped, by source, in documents and in bytes; a corpus for which that is
not so is not written. Bytes are UTF-8 bytes of text; words are runs without ASCII white space.
"""

from collections import Counter, defaultdict
from typing import Any

import numpy as np

from lhama.corpus.dedup import Decisions, Places
from lhama.corpus.judge import HELDOUT, KEPT, judge
from lhama.corpus.measure import MARK
from lhama.corpus.reasons import BROKEN, MEANING
from lhama.corpus.shards import Planner, detail_of
from lhama.corpus.staged import Staged
from lhama.plan.problem import Problem
from lhama.plan.recipe import Recipe

EXAMPLES = 3  # of each reason and source
EXCERPT = 240
BROKEN_LISTED = 1000
MARK_GROWTH = len(MARK.encode()) - 1  # a replaced mark makes the text this much shorter
COLUMNS = ("position", "reason", "heldout", "characters", "bytes", "words", "marks")

Count = Counter[tuple[int, str]]


class Funnel:
    """Counts by (source, verdict), filled table by table in corpus order."""

    def __init__(self, places: Places) -> None:
        self._places = places
        self.documents: Count = Counter()
        self.bytes: Count = Counter()
        self.words: Count = Counter()
        self.marks: Count = Counter()
        self.examples: dict[tuple[int, str], list[int]] = defaultdict(list)
        self.broken: list[dict[str, Any]] = []
        self.broken_total = 0

    def add(self, table: Any, verdicts: Any) -> None:
        """Count the next rows."""
        positions = table["position"].to_numpy()
        numbers = self._places.source_numbers(positions)
        columns = [table[name].to_numpy() for name in ("bytes", "words", "marks")]
        for number in np.unique(numbers):
            for verdict in dict.fromkeys(verdicts[numbers == number]):
                chosen = (numbers == number) & (verdicts == verdict)
                key = (int(number), str(verdict))
                self.documents[key] += int(chosen.sum())
                for counter, column in zip((self.bytes, self.words, self.marks), columns, strict=True):
                    counter[key] += int(column[chosen].sum())
                if verdict not in (KEPT, HELDOUT):
                    room = EXAMPLES - len(self.examples[key])
                    self.examples[key] += positions[chosen][: max(0, room)].tolist()
                if verdict in BROKEN:
                    self._list_broken(positions[chosen].tolist(), str(verdict))

    def _list_broken(self, positions: list[int], reason: str) -> None:
        self.broken_total += len(positions)
        for position in positions[: max(0, BROKEN_LISTED - len(self.broken))]:
            file, line = self._places.label(position), self._places.line(position)
            self.broken.append({"file": file, "line": line, "reason": reason})


def survey(staged: Staged, places: Places, decisions: Decisions, recipe: Recipe) -> tuple[Funnel, Planner]:
    """Judge every row once for the counts and the plan of the shards."""
    corpus = recipe.corpus
    funnel, planner = Funnel(places), Planner(corpus.shard_megabytes * 1_000_000)
    for table in staged.tables(COLUMNS):
        verdicts = judge(table, decisions, corpus.minimum_characters, corpus.exact_duplicates)
        funnel.add(table, verdicts)
        planner.add(table, verdicts)
    return funnel, planner


def make_report(funnel: Funnel, staged: Staged, places: Places, decisions: Decisions) -> dict[str, Any]:
    """Make report.json, and refuse to if a document is missing or a source has nothing to give."""
    sources = [_of_source(funnel, places, number, decisions) for number in range(len(places.sources))]
    report: dict[str, Any] = {
        "sources": sources,
        "reasons": {reason: _of_reason(funnel, reason) for reason in MEANING if _counted(funnel, reason)},
        "examples": _examples(funnel, staged, places, decisions),
        "broken": funnel.broken,
        "broken_total": funnel.broken_total,
        "replaced_characters": sum(source["replaced_characters"] for source in sources),
        "repeated_texts": sum(source["repeated_texts"] for source in sources),
        "duplicate_ids": sum(source["duplicate_ids"] for source in sources),
        "totals": {
            name: sum(source[name] for source in sources)
            for name in (
                *("documents_in", "bytes_in", "words_in", "kept", "bytes_out", "words_out"),
                *("heldout", "heldout_bytes", "heldout_words"),
            )
        },
    }
    report["totals"]["dropped"] = sum(sum(source["dropped"].values()) for source in sources)
    check_conservation(report)
    for source in sources:
        if not source["kept"] + source["heldout"]:
            _refuse(source)
    return report


def check_conservation(report: dict[str, Any]) -> None:
    """Prove that every document and byte that came in is kept, held out or dropped for a reason."""
    for source in report["sources"]:
        documents = source["kept"] + source["heldout"] + sum(source["dropped"].values())
        size = source["bytes_out"] + MARK_GROWTH * source["replaced_characters"] + source["heldout_bytes"]
        size += sum(source["dropped_bytes"].values())
        if (documents, size) != (source["documents_in"], source["bytes_in"]):
            raise RuntimeError(f"the books of source {source['name']} do not balance: {source}")
    by_reason = sum(reason["documents"] for reason in report["reasons"].values())
    if by_reason != report["totals"]["dropped"]:
        raise RuntimeError(f"{by_reason} documents have a reason, {report['totals']['dropped']} were dropped")


def _refuse(source: dict[str, Any]) -> None:
    reasons = ", ".join(f"{count} {reason}" for reason, count in source["dropped"].items())
    raise Problem(
        f"no document is left of {source['documents_in']} ({reasons or 'there was none'})",
        key=f"corpus.source.{source['name']}",
        remedy="check path, kind and text_column, or take the source out",
    )


def _of_source(funnel: Funnel, places: Places, number: int, decisions: Decisions) -> dict[str, Any]:
    source = places.sources[number]
    reasons = [reason for reason in MEANING if funnel.documents[number, reason]]
    every = [KEPT, HELDOUT, *reasons]
    replaced = funnel.marks[number, KEPT]
    return {
        "name": source.name,
        "language": source.language,
        "license": source.license,
        "origin": source.origin,
        "files": len(source.files),
        "ignored_files": list(source.ignored),
        "documents_in": sum(funnel.documents[number, verdict] for verdict in every),
        "bytes_in": sum(funnel.bytes[number, verdict] for verdict in every),
        "words_in": sum(funnel.words[number, verdict] for verdict in every),
        "kept": funnel.documents[number, KEPT],
        "bytes_out": funnel.bytes[number, KEPT] - MARK_GROWTH * replaced,
        "words_out": funnel.words[number, KEPT],
        "heldout": funnel.documents[number, HELDOUT],
        "heldout_bytes": funnel.bytes[number, HELDOUT],
        "heldout_words": funnel.words[number, HELDOUT],
        "dropped": {reason: funnel.documents[number, reason] for reason in reasons},
        "dropped_bytes": {reason: funnel.bytes[number, reason] for reason in reasons},
        "dropped_words": {reason: funnel.words[number, reason] for reason in reasons},
        "repeated_texts": int(decisions.repeats[number]),
        "replaced_characters": replaced,
        "duplicate_ids": int((places.source_numbers(decisions.renamed) == number).sum()),
    }


def _counted(funnel: Funnel, reason: str) -> bool:
    return any(count and key[1] == reason for key, count in funnel.documents.items())


def _of_reason(funnel: Funnel, reason: str) -> dict[str, Any]:
    found: dict[str, Any] = {"meaning": MEANING[reason]}
    for name, counts in (("documents", funnel.documents), ("bytes", funnel.bytes), ("words", funnel.words)):
        found[name] = sum(count for (_, verdict), count in counts.items() if verdict == reason)
    return found


def _examples(funnel: Funnel, staged: Staged, places: Places, decisions: Decisions) -> dict[str, list[dict[str, Any]]]:
    """Fetch the text of the first few documents of each reason and source."""
    verdict_at = {position: reason for (_, reason), found in funnel.examples.items() for position in found}
    examples: dict[str, list[dict[str, Any]]] = {reason: [] for reason in MEANING if _counted(funnel, reason)}
    for table in staged.at(np.array(sorted(verdict_at), dtype=np.int64), ["id", "text", "detail"]):
        for row in table.to_pylist():
            position = row["position"]
            reason = verdict_at[position]
            text = row["text"]
            examples[reason].append(
                {
                    "id": row["id"],
                    "source": places.source(position).name,
                    "excerpt": text if len(text) <= EXCERPT else text[:EXCERPT] + "…",
                    "detail": row["detail"] or detail_of(position, reason, decisions, places),
                }
            )
    return examples
