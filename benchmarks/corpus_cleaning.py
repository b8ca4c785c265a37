"""Write the tables of docs/cleaning.md from a finished run of docs/portuguese.toml.

In goes the folder of the run, out come Markdown tables; with --write, those in the chapter between their markers are
replaced. Counts only: no text of a source is written anywhere.

    python benchmarks/corpus_cleaning.py runs/portuguese --write docs/cleaning.md
"""

import argparse
import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

Report = dict[str, Any]
MOST = 3
COPIES = ("exact_duplicate", "copy_of_heldout", "near_duplicate", "near_copy_of_heldout", "contained")


def survival(report: Report, _: Path) -> list[str]:
    """What is left of each source."""
    lines = ["| source | documents | kept | MB | MB kept | most of what was dropped |", "|---|---:|---:|---:|---:|---|"]
    for source in report["sources"]:
        lines.append(
            f"| {source['name']} | {source['documents_in']:,} | {_share(source['kept'], source['documents_in'])} "
            f"| {_mb(source['bytes_in'])} | {_mb(source['bytes_out'])} | {_most(source['dropped'])} |"
        )
    totals = report["totals"]
    lines.append(
        f"| **all** | {totals['documents_in']:,} | **{_share(totals['kept'], totals['documents_in'])}** "
        f"| {_mb(totals['bytes_in'])} | **{_mb(totals['bytes_out'])}** | |"
    )
    return lines


def reasons(report: Report, _: Path) -> list[str]:
    """What each reason dropped, and where."""
    lines = ["| reason | documents | MB | where |", "|---|---:|---:|---|"]
    for reason, of in report["reasons"].items():
        where = {source["name"]: source["dropped"].get(reason, 0) for source in report["sources"]}
        lines.append(f"| `{reason}` | {of['documents']:,} | {_mb(of['bytes'])} | {_most(where)} |")
    return lines


def copies(report: Report, run: Path) -> list[str]:
    """What became of the truncated copies of news, and of the recipes whose text came before letter by letter."""
    news = next(source for source in report["sources"] if source["name"] == "fakebr_news_truncated")
    recipes = repeated_reasons(run, "receitas_afrodite")
    lines = ["| | truncated news | recipes that repeat an earlier one |", "|---|---:|---:|"]
    counts: Counter[str] = Counter(news["dropped"]) + Counter({"kept": news["kept"], "heldout": news["heldout"]})
    named = [*COPIES, "too_short", "kept", "heldout"]
    for reason in named:
        lines.append(f"| {reason} | {counts[reason]:,} | {recipes[reason]:,} |")
    others = [sum(count for reason, count in of.items() if reason not in named) for of in (counts, recipes)]
    lines.append(f"| rules and the rest | {others[0]:,} | {others[1]:,} |")
    lines.append(f"| **all** | {counts.total():,} | {recipes.total():,} |")
    return lines


def repeated_reasons(run: Path, name: str) -> Counter[str]:
    """Count what became of the documents of a source whose raw text stood in an earlier one."""
    report = json.loads((run / "corpus" / "report.json").read_text(encoding="utf-8"))
    number = next(place for place, source in enumerate(report["sources"]) if source["name"] == name)
    seen: set[str] = set()
    again: list[str] = []
    for path in sorted((run / "read").glob(f"{number:06}-*.parquet")):
        for row in pq.read_table(path, columns=["id", "text"]).to_pylist():
            if row["text"] in seen:
                again.append(row["id"])
            seen.add(row["text"])
    became: dict[str, str] = {}
    for folder, split in (("rejected", "rejected"), ("data", "heldout")):
        for path in sorted((run / "corpus" / folder).glob(f"{split}-*.parquet")):
            columns = ["id", "source", "reason"] if split == "rejected" else ["id", "source"]
            for row in pq.read_table(path, columns=columns).to_pylist():
                if row["source"] == name:
                    became[row["id"]] = row.get("reason", split)
    return Counter(became.get(id_, "kept") for id_ in again)


def varieties(report: Report, _: Path) -> list[str]:
    """Which variety the sources speak that have any European document."""
    lines = ["| source | documents | surely Brazilian | surely European | old spelling |", "|---|---:|---:|---:|---:|"]
    for source in report["sources"]:
        counts = source["variety"]
        if counts["european"] >= 10 or counts["old_spelling"] >= 10:
            amounts = [counts[key] for key in ("documents", "brazilian", "european", "old_spelling")]
            lines.append(f"| {source['name']} | " + " | ".join(f"{amount:,}" for amount in amounts) + " |")
    return lines


def repairs(report: Report, _: Path) -> list[str]:
    """What was mended and masked in kept documents."""
    lines = ["| what | documents | times | where |", "|---|---:|---:|---|"]
    for key in ("repairs", "personal_data"):
        for kind in report["sources"][0][key]:
            where = {source["name"]: source[key][kind]["documents"] for source in report["sources"]}
            times = sum(source[key][kind]["times"] for source in report["sources"])
            if times:
                lines.append(f"| {kind.replace('_', ' ')} | {sum(where.values()):,} | {times:,} | {_most(where)} |")
    return lines


def _most(counts: dict[str, int]) -> str:
    ranked = sorted(((count, name) for name, count in counts.items() if count), key=lambda one: (-one[0], one[1]))
    more = f", {len(ranked) - MOST} more" if len(ranked) > MOST else ""
    return ", ".join(f"{name} {count:,}" for count, name in ranked[:MOST]) + more


def _share(part: int, whole: int) -> str:
    return f"{part / whole:.0%}"


def _mb(size: int) -> str:
    return f"{size / 1e6:,.2f}"


TABLES: dict[str, Callable[[Report, Path], list[str]]] = {
    "survival": survival,
    "reasons": reasons,
    "copies": copies,
    "varieties": varieties,
    "repairs": repairs,
}


def main() -> None:
    """Print the tables, or write them into a chapter."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path)
    parser.add_argument("--write", type=Path)
    arguments = parser.parse_args()
    report = json.loads((arguments.run / "corpus" / "report.json").read_text(encoding="utf-8"))
    text = arguments.write.read_text(encoding="utf-8") if arguments.write else ""
    for name, table in TABLES.items():
        written = "\n".join(table(report, arguments.run))
        if not arguments.write:
            print(f"{name}\n\n{written}\n")
            continue
        begin, end = f"<!-- {name} -->\n", "<!-- end -->"
        before, found, after = text.partition(begin)
        assert found, f"{arguments.write} has no place for the table {name}"
        text = f"{before}{begin}{written}\n{end}{after.partition(end)[2]}"
    if arguments.write:
        arguments.write.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
