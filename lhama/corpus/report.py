"""Count what happened to every document, and prove that none is missing.

In go staged rows with their verdicts, out comes report.json: the funnel by source and by reason in documents, bytes and
words, with examples. In = kept + held out + dropped, by source, in documents and in bytes; a corpus for which that is
not so is not written. Bytes are UTF-8 bytes of text; words are runs without ASCII white space.
"""

from collections import Counter, defaultdict
from typing import Any

import numpy as np

from lhama.corpus.cleaning import final_text
from lhama.corpus.decisions import Decisions
from lhama.corpus.findings import Findings
from lhama.corpus.judge import HELDOUT, judge
from lhama.corpus.judging import KEPT, Judging
from lhama.corpus.places import Places
from lhama.corpus.reasons import BROKEN, in_order, meaning
from lhama.corpus.shards import Planner, detail_of
from lhama.corpus.staged import Integers, Staged, find
from lhama.plan.problem import Problem

EXAMPLES = 3  # of each reason and source
EXCERPT = 240
BROKEN_LISTED = 1000
COUNTED = ("bytes", "words", "marks", "clean_bytes", "clean_words")

Count = Counter[tuple[int, str]]


class Funnel:
    """Counts by (source, verdict), filled table by table in corpus order."""

    def __init__(self, places: Places) -> None:
        self._places = places
        self.documents: Count = Counter()
        self.sums: dict[str, Count] = {name: Counter() for name in COUNTED}
        self.examples: dict[tuple[int, str], list[int]] = defaultdict(list)
        self.broken: list[dict[str, Any]] = []
        self.broken_total = 0

    def add(self, positions: Integers, numbers: Integers, verdicts: Any, columns: dict[str, Integers]) -> None:
        """Count the next rows; `columns` are those of COUNTED."""
        for number in np.unique(numbers):
            for verdict in dict.fromkeys(verdicts[numbers == number]):
                chosen = (numbers == number) & (verdicts == verdict)
                key = (int(number), str(verdict))
                self.documents[key] += int(chosen.sum())
                for name, column in columns.items():
                    self.sums[name][key] += int(column[chosen].sum())
                if verdict != HELDOUT:
                    room = EXAMPLES - len(self.examples[key])
                    self.examples[key] += positions[chosen][: max(0, room)].tolist()
                if verdict in BROKEN:
                    self._list_broken(positions[chosen].tolist(), str(verdict))

    def _list_broken(self, positions: list[int], reason: str) -> None:
        self.broken_total += len(positions)
        for position in positions[: max(0, BROKEN_LISTED - len(self.broken))]:
            file, line = self._places.label(position), self._places.line(position)
            self.broken.append({"file": file, "line": line, "reason": reason})


def survey(
    staged: Staged, places: Places, decisions: Decisions, judging: Judging, shard_bytes: int
) -> tuple[Funnel, Findings, Planner]:
    """Judge every row once for the counts and the plan of the shards."""
    funnel, planner = Funnel(places), Planner(shard_bytes)
    findings = Findings(places, judging, staged.columns)
    for table in staged.tables(list(dict.fromkeys((*judging.columns, *COUNTED, *findings.columns)))):
        positions = table["position"].to_numpy()
        numbers = places.source_numbers(positions)
        verdicts = judge(table, decisions, judging, numbers)
        columns = {name: table[name].to_numpy() for name in COUNTED}
        taken = _lines_taken(positions, decisions)
        columns["clean_bytes"] = columns["clean_bytes"] - taken[:, 0]
        columns["clean_words"] = columns["clean_words"] - taken[:, 1]
        funnel.add(positions, numbers, verdicts, columns)
        findings.add(table, verdicts, numbers, columns["clean_bytes"])
        planner.add(positions, verdicts, np.where(verdicts == KEPT, columns["clean_bytes"], columns["bytes"]))
    return funnel, findings, planner


def _lines_taken(positions: Integers, decisions: Decisions) -> Integers:
    """Return how many bytes and words each document loses with lines that repeat."""
    taken = np.zeros((len(positions), 2), np.int64)
    if decisions.lines is not None:
        found, where = find(decisions.lines.orders, positions)
        taken[found] = decisions.lines.taken[where[found]]
    return taken


def make_report(
    funnel: Funnel, findings: Findings, staged: Staged, places: Places, decisions: Decisions, judging: Judging
) -> dict[str, Any]:
    """Make report.json, and refuse to if a document is missing or a source has nothing to give."""
    sources = [
        _of_source(funnel, places, number, decisions) | findings.of_source(number)
        for number in range(len(places.sources))
    ]
    report: dict[str, Any] = {
        "sources": sources,
        "reasons": {reason: _of_reason(funnel, reason) for reason in _reasons(funnel)},
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
    report["kept_examples"] = report["examples"].pop(KEPT)
    report["rules"] = findings.rules()
    report["tests_found"] = findings.tests()
    report["near_duplicates"] = _near(decisions, judging)
    report["repeated_lines"] = _lines(staged, places, decisions)
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
        size = source["bytes_out"] + source["bytes_cleaned_away"] + source["heldout_bytes"]
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
    reasons = in_order(verdict for (of, verdict), count in funnel.documents.items() if of == number and count)
    every = [KEPT, HELDOUT, *reasons]
    sums = funnel.sums
    kept = (number, KEPT)
    return {
        "name": source.name,
        "language": source.language,
        "license": source.license,
        "origin": source.origin,
        "files": len(source.files),
        "ignored_files": list(source.ignored),
        "documents_in": sum(funnel.documents[number, verdict] for verdict in every),
        "bytes_in": sum(sums["bytes"][number, verdict] for verdict in every),
        "words_in": sum(sums["words"][number, verdict] for verdict in every),
        "kept": funnel.documents[kept],
        "bytes_out": sums["clean_bytes"][kept],
        "words_out": sums["clean_words"][kept],
        "bytes_cleaned_away": sums["bytes"][kept] - sums["clean_bytes"][kept],
        "heldout": funnel.documents[number, HELDOUT],
        "heldout_bytes": sums["bytes"][number, HELDOUT],
        "heldout_words": sums["words"][number, HELDOUT],
        "dropped": {reason: funnel.documents[number, reason] for reason in reasons},
        "dropped_bytes": {reason: sums["bytes"][number, reason] for reason in reasons},
        "dropped_words": {reason: sums["words"][number, reason] for reason in reasons},
        "repeated_texts": int(decisions.repeats[number]),
        "replaced_characters": sums["marks"][kept],
        "duplicate_ids": int((places.source_numbers(decisions.names.renamed) == number).sum()),
    }


def _reasons(funnel: Funnel) -> list[str]:
    """Name the reasons that dropped a document, in the order of judgement."""
    return in_order(verdict for (_, verdict), count in funnel.documents.items() if count)


def _of_reason(funnel: Funnel, reason: str) -> dict[str, Any]:
    found: dict[str, Any] = {"meaning": meaning(reason)}
    counters = {"documents": funnel.documents, "bytes": funnel.sums["bytes"], "words": funnel.sums["words"]}
    for name, counts in counters.items():
        found[name] = sum(count for (_, verdict), count in counts.items() if verdict == reason)
    return found


def _examples(funnel: Funnel, staged: Staged, places: Places, decisions: Decisions) -> dict[str, list[dict[str, Any]]]:
    """Fetch the text, as it came, of the first few documents of each reason and source; `kept` is among the reasons."""
    verdict_at = {position: reason for (_, reason), found in funnel.examples.items() for position in found}
    examples: dict[str, list[dict[str, Any]]] = {reason: [] for reason in (*_reasons(funnel), KEPT)}
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


def _near(decisions: Decisions, judging: Judging) -> dict[str, Any] | None:
    """Say how many groups of near duplicates there are of each size, and which share of pairs is found."""
    if decisions.groups is None:
        return None
    from lhama.corpus.minhash import recall_table

    return {
        "groups": {str(size): groups for size, groups in sorted(decisions.groups.items())},
        "expected_recall": [list(row) for row in recall_table(judging.near, judging.near_rows)],
    }


def _lines(staged: Staged, places: Places, decisions: Decisions) -> list[dict[str, Any]]:
    """Fetch the lines that stand in most documents."""
    if decisions.lines is None:
        return []
    from lhama.corpus import boilerplate
    from lhama.corpus.words import texts_of

    most = boilerplate.most_frequent(decisions.lines)
    spelled: dict[int, str] = {}
    for table in staged.at(np.array(sorted({order for _, _, order in most}), dtype=np.int64), ["text", "clean"]):
        for row, position in enumerate(table["position"].to_pylist()):
            keys = [key for key, _, order in most if order == position]
            text = texts_of(final_text(table.slice(row, 1)))
            spelled |= boilerplate.spelled(text, places.source(position).name, keys)
    return [
        {"line": spelled[key][:EXCERPT], "source": places.source(order).name, "documents": documents}
        for key, documents, order in most
    ]
