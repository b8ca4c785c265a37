"""The chapter on rules: what was measured, where the threshold cuts, and whom a rule alone would drop.

In: report.json's content. Out: a small histogram for each rule that drops anybody; the others are named. Subtle: rules
are measured on training documents that could be read, whatever became of them, so a document may fail several; the
number that fails no other is what the rules would spare without it.
"""

from typing import Any

from lhama.record.page import numerals
from lhama.record.page.histogram import histogram
from lhama.record.page.markup import Child, Markup, figure, folded, join, section, table, tag, value

Report = dict[str, Any]


def rules(report: Report) -> Markup | None:
    """Show each rule with its threshold; no rule, no chapter."""
    found: dict[str, Any] = report["rules"]
    if not found:
        return None
    failing = {name: rule for name, rule in found.items() if rule["fail"]}
    idle = [name for name, rule in found.items() if not rule["fail"]]
    words = tag(
        "p",
        "Every training document of a source with rules is measured, whatever became of it. Bars beyond the threshold "
        "are orange; their heights are square roots of the counts, because a rule is about the few far out, and the "
        "last bar holds all that lies further. What fails one rule and no other is what the rules would spare "
        "without it.",
    )
    nobody = tag("p", f"Nobody fails these rules: {', '.join(idle)}.", class_="soft") if idle else None
    drawn = tag("div", *(_drawn(name, rule) for name, rule in failing.items()), class_="histograms")
    return section("rules", "Rules", words, drawn, nobody, folded("The same as a table", _table(found)))


def _drawn(name: str, rule: dict[str, Any]) -> Markup:
    bins = len(rule["counts"])
    edges = [rule["high"] * place / bins for place in range(bins + 1)]
    sentence = (
        f"{rule['meaning']} {numerals.whole(rule['fail'])} fail, {numerals.whole(rule['fail_alone'])} no other rule."
    )
    drawing = histogram(name, edges, rule["counts"], rule["threshold"], rule["comparison"] == ">")
    return figure(name, sentence, drawing)


def _table(found: dict[str, Any]) -> Markup:
    rows: list[list[Child]] = [
        [
            join([name, tag("small", rule["meaning"])]),
            f"{rule['measurement']} {rule['comparison']} {numerals.tick(rule['threshold'])}",
            value(numerals.whole(rule["fail"]), rule["fail"], f"fail-{name}"),
            value(numerals.whole(rule["fail_alone"]), rule["fail_alone"]),
        ]
        for name, rule in found.items()
    ]
    return table(["Rule", "Drops where", "Fail", "And no other rule"], rows, words=2)
