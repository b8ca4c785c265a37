"""The chapter on classifiers: how good each is, whether its promises come true, and whom it wrongs.

In: report.json's content. Out: tables and figures by classifier. Subtle: a classifier that was borrowed has no labelled
texts to be judged on, so only its bias can be shown.
"""

from typing import Any

from lhama.record.page import figures, numerals
from lhama.record.page.markup import Child, Markup, figure, folded, join, section, table, tag, value

Report = dict[str, Any]


def classifiers(report: Report) -> Markup | None:
    """Show how good each classifier is, whether its promises come true, and whom it wrongs."""
    found = report["tools"]["classifiers"]
    if not found:
        return None
    parts = [part for name, about in found.items() for part in _classifier(name, about, report)]
    return section("classifiers", "Classifiers", *parts)


def _classifier(name: str, about: dict[str, Any], report: Report) -> list[Markup]:
    taken = report["reasons"].get(name, {}).get("documents", 0)
    dropped = f" It dropped {numerals.counted(taken, 'document')}." if about["action"] == "drop" else ""
    threshold = numerals.tick(about["threshold"])
    opening = f"Action: {about['action']}, from a score of {threshold} for the label {about['target']}."
    parts = [tag("h3", name), tag("p", opening + dropped)]
    if "judged" in about:
        parts += _judged(about["judged"])
    if about.get("bias"):
        parts.append(_bias(about["bias"]))
    return parts


def _judged(judged: dict[str, Any]) -> list[Markup]:
    area = "" if judged["area"] is None else f", area under the curve {numerals.fixed(judged['area'], 3)}"
    words = tag(
        "p",
        f"Judged on {numerals.counted(judged['texts'], 'labelled text')} that it never saw: accuracy "
        f"{numerals.percent(judged['accuracy'])}, mean F1 {numerals.fixed(judged['macro_f1'], 3)}{area}, expected "
        f"calibration error {numerals.fixed(judged['calibration_error'], 3)}.",
    )
    rows: list[list[Child]] = [
        [
            one["name"],
            value(numerals.whole(one["texts"]), one["texts"]),
            *(value(numerals.fixed(one[key], 3), one[key]) for key in ("precision", "recall", "f1")),
        ]
        for one in judged["classes"]
    ]
    points = [(one["promised"], one["true"]) for one in judged["bins"] if one["texts"]]
    if not points:
        return [words, table(["Label", "Texts", "Precision", "Recall", "F1"], rows)]
    across = figures.Axis("promised", numerals.percent, numerals.percent, from_zero=True)
    up = figures.Axis("came true", numerals.percent, numerals.percent, from_zero=True)
    drawn = figure(
        "Promised and true",
        "Texts in ten bins by score: the mean chance that the classifier gave, and the share that had the label. A "
        "perfect one lies on the diagonal.",
        figures.curve("Calibration", figures.Curve(points, dots=True), across, up, tint=2),
        tag("output", class_="readout"),
    )
    return [words, table(["Label", "Texts", "Precision", "Recall", "F1"], rows), drawn]


def _bias(groups: list[dict[str, Any]]) -> Markup:
    rows = [
        (
            group["group"].replace("_", " "),
            group["gap"],
            f"{numerals.fixed(group['gap'], 3)} · highest: {group['terms'][0]['term']}",
        )
        for group in sorted(groups, key=lambda one: (-one["gap"], one["group"]))
    ]
    terms: list[list[Child]] = [
        [
            join([term["term"], tag("small", group["group"].replace("_", " "))]),
            value(numerals.fixed(term["mean"], 3), term["mean"]),
            value(numerals.fixed(term["difference"], 3), term["difference"]),
            value(numerals.percent(term["called"]), term["called"]),
        ]
        for group in groups
        for term in group["terms"]
    ]
    drawn = figure(
        "Distance between terms for people",
        "Mean scores of the same harmless sentences with one term exchanged: how far the two ends of each group are "
        "apart. Who scores high for who they are is removed more often.",
        figures.bars("Distance between terms", rows, 1),
    )
    columns = ["Term", "Mean score", "From its group’s mean", "At the threshold"]
    return join([drawn, folded("Every term", table(columns, terms))])
