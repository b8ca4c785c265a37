"""Write the corpus folder's README.md: a Hugging Face dataset card with which `datasets.load_dataset` finds the splits.

In goes report.json's content, out comes Markdown with YAML metadata (the Hub's dataset card specification). What is not
known is not claimed: a source without a stated licence is listed as unknown.
"""

import json
from typing import Any

SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"))
LARGER = ((10_000_000, "1M<n<10M"), (100_000_000, "10M<n<100M"), (1_000_000_000, "100M<n<1B"))


def make_card(name: str, report: dict[str, Any]) -> str:
    """Write the card of a corpus."""
    return f"---\n{_metadata(name, report)}---\n\n{_body(name, report)}"


def _metadata(name: str, report: dict[str, Any]) -> str:
    """Write YAML by hand; every value is JSON, which YAML includes."""
    languages = list(dict.fromkeys(source["language"] for source in report["sources"]))
    licenses = {source["license"] for source in report["sources"]}
    size = next((word for limit, word in (*SIZES, *LARGER) if report["totals"]["kept"] < limit), "n>1T")
    licence = licenses.pop() if len(licenses) == 1 else "other"
    lines = [
        f"pretty_name: {json.dumps(name, ensure_ascii=False)}",
        f"language: {json.dumps(languages)}",
        f"license: {json.dumps(licence, ensure_ascii=False)}",
        f"size_categories: [{json.dumps(size)}]",
        'task_categories: ["text-generation"]',
        "configs:",
        "- config_name: default",
        "  data_files:",
        "  - split: train",
        '    path: "data/train-*"',
    ]
    if report["totals"]["heldout"]:  # `datasets` refuses a split without rows
        lines += ["  - split: heldout", '    path: "data/heldout-*"']
    return "".join(line + "\n" for line in lines)


def _body(name: str, report: dict[str, Any]) -> str:
    totals = report["totals"]
    parts = [
        f"# {name}",
        f"{totals['kept']:,} documents to train on ({totals['bytes_out'] / 1e6:,.1f} MB of text, "
        f"{totals['words_out']:,} words) and {totals['heldout']:,} held out for measuring, of "
        f"{totals['documents_in']:,} that were read. Made by Lhama; `report.json` has every count, with examples.",
        "## Sources",
        _sources(report),
        "## What was dropped, and why",
        _reasons(report),
        "## Columns",
        "`id` (unique within its source), `text`, `source`, `language`, `license`, `url`, `meta` (the other columns of "
        "the source, as JSON).",
        "## The held-out split",
        'A document is held out when `int(sha256(source + "/" + id), 16) % 50 == 0`, decided before cleaning. Its text '
        "is never changed, and exact copies of it are not in the training split. Where it stands inside a longer "
        "training document (`heldout_in_training` above), it is left out of both.",
    ]
    if any(source["origin"] == "embedded" for source in report["sources"]):
        parts.append("The embedded tales are a teaching corpus, written by a program; they are no natural language.")
    return "\n\n".join(parts) + "\n"


def _sources(report: dict[str, Any]) -> str:
    lines = ["| source | language | license | read | kept | held out | MB kept |", "|---|---|---|---:|---:|---:|---:|"]
    for source in report["sources"]:
        lines.append(
            f"| {source['name']} | {source['language']} | {_cell(source['license'])} | {source['documents_in']:,} "
            f"| {source['kept']:,} | {source['heldout']:,} | {source['bytes_out'] / 1e6:,.1f} |"
        )
    return "\n".join(lines)


def _reasons(report: dict[str, Any]) -> str:
    if not report["reasons"]:
        return "Nothing."
    lines = ["| reason | documents | MB | meaning |", "|---|---:|---:|---|"]
    for reason, of in report["reasons"].items():
        lines.append(f"| {reason} | {of['documents']:,} | {of['bytes'] / 1e6:,.1f} | {of['meaning']} |")
    return "\n".join(lines)


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
