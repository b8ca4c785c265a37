"""What the verbs show: a plan, a status, a doctor's findings, a batch and the closing words, as tables on the console.

In: the same JSON-able dictionaries that `--json` prints. Out: text for a person; nothing is computed here that is not
in the dictionary already.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from lhama.record import console
from lhama.record.status import status

if TYPE_CHECKING:
    from lhama.record.run import Run

Json = dict[str, Any]

_CONTROLS = dict.fromkeys({*range(32), *range(127, 160)} - {9, 10}, "\N{REPLACEMENT CHARACTER}")
EXCERPT = 400  # characters of a document or of a batch's row that are shown


def plan_tables(plan: Json) -> None:
    """Show what a recipe will take, in the words that the plan itself carries."""
    for table in plan["tables"]:
        console.table(table["title"], ("", "", ""), table["rows"])
        console.say("")


def doctor_tables(found: Json) -> None:
    """Show what this machine has, what is installed, and what Lhama will use."""
    for title, rows in found["tables"]:
        console.table(title, ("", ""), rows)
        console.say("")


def batch_rows(step: int, rows: list[Json]) -> None:
    """Show the rows of one batch: where they come from and how their text begins."""
    console.heading(f"step {step}: {len(rows)} rows")
    for number, row in enumerate(rows, start=1):
        documents = ", ".join(row["documents"][:4]) + (" ..." if len(row["documents"]) > 4 else "")
        place = f"row {number}  source {row['source']}  epoch {row['epoch']}  documents {documents}"
        console.plain(place)
        text = " | ".join(text.strip() for text in row["texts"])
        console.plain(_excerpt(text))


def document_rows(found: Json) -> None:
    """Show documents of a corpus: where they come from, what is said of them, and how their text begins."""
    shown = found["shown"]
    of = f" of source {found['source']}" if found["source"] else ""
    console.heading(f"{found['reason']}{of}: {len(shown)} of {found['documents']:,} documents")
    for row in shown:
        place = f"{row['file']}:{row['line']}" if "file" in row else row["url"]
        parts = [row["source"], row["id"], place, row.get("detail")]
        console.plain(_harmless("  ".join(part for part in parts if part)))
        console.plain(_excerpt(row["text"].strip()))


def _excerpt(text: str) -> str:
    """Show the beginning of a text, set in from the left."""
    shortened = text[:EXCERPT] + ("..." if len(text) > EXCERPT else "")
    return "    " + _harmless(shortened).replace("\n", "\n    ")


def _harmless(text: str) -> str:
    """Take the power over the terminal from a stranger's text: control characters become a visible mark."""
    return text.translate(_CONTROLS)


def closing(run: Run) -> None:
    """Say what came out of a run, where it lies, and what to type next."""
    state = status(run)
    train, spent, final = state["train"], state["energy"], state["final"] or {}
    lines = []
    if train and train["validation"]:
        lines.append(
            f"[bold]{run.name}[/bold] saw {console.count(train['tokens'])} tokens and predicts held-out text at "
            f"[accent]{train['validation']['bits_per_byte']:.3f} bits per byte[/accent]."
        )
    lines.append(f"It took {console.duration(spent['seconds'])} and {console.energy(spent['kwh'])}.")
    judged = final.get("tales")
    if judged:
        lines.append(
            f"Of {len(judged['samples'])} stories, {judged['passed']} are faultless Portuguese and name their hero "
            f"(known combinations {judged['seen']['passed']} of {judged['seen']['samples']}, "
            f"never seen in training {judged['held_out']['passed']} of {judged['held_out']['samples']}); "
            f"{100 * (judged['distinct_4_grams'] or 0):.0f}% of their runs of four words differ."
        )
    report = run.path("release") / "report.html"
    lines += [
        "",
        f"The report:     {shown_path(report)}",
        f"The checkpoint: {shown_path(run.path('train') / train['checkpoints'][-1]) if train else 'none yet'}",
        "",
        "Next:",
        f"  lhama chat {run.name}              let it continue your words",
        f"  lhama status {run.name}            what it took, beside what was planned",
        f"  lhama show {run.name} --step 1     the text of the first batch",
        "  lhama new mine FOLDER --language pt   a recipe for text of your own",
    ]
    console.panel("\n".join(lines), title="done")


def shown_path(path: Path) -> str:
    """Say a path relative to where the person stands, where that is shorter."""
    try:
        return str(path.resolve().relative_to(Path.cwd()))
    except ValueError:
        return str(path)
