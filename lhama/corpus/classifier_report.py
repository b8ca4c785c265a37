"""Say how good a classifier is on labels it never saw: by class, and whether its probabilities can be believed.

In go probabilities and true classes, out come precision, recall and F1, the area under the curve, and ten bins that
set what was promised against what came true. The expected calibration error is the mean distance of the two, weighted
by the bins' sizes (Naeini et al. 2015). With two classes the bins are over the chance of the second one.
"""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from lhama.corpus.classifier import Floats, Labels

BINS = 10


@dataclass(frozen=True)
class ClassReport:
    """How one class fared."""

    name: str
    texts: int
    precision: float
    recall: float
    f1: float


@dataclass(frozen=True)
class Bin:
    """Texts with a chance between two bounds: how many, the mean chance, and the share that came true."""

    low: float
    high: float
    texts: int
    promised: float
    true: float


@dataclass(frozen=True)
class Report:
    """All that is said of a classifier; `area` is None with more than two classes, or where all texts are of one."""

    texts: int
    accuracy: float
    macro_f1: float
    area: float | None
    calibration_error: float
    best_threshold: float | None
    best_f1: float | None
    classes: tuple[ClassReport, ...]
    bins: tuple[Bin, ...]

    def as_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return asdict(self)


def report(scores: Floats, labels: Labels, classes: tuple[str, ...]) -> Report:
    """Judge scores by true labels."""
    guessed = scores.argmax(axis=1)
    by_class = tuple(_class_report(guessed, labels, place, name) for place, name in enumerate(classes))
    two = len(classes) == 2
    chance = (scores[:, 1] if two else scores.max(axis=1)).astype(np.float64)
    came_true = labels == 1 if two else guessed == labels
    bins = _bins(chance, came_true)
    error = sum(one.texts * abs(one.promised - one.true) for one in bins) / max(1, len(labels))
    threshold, best = _best_threshold(chance, came_true) if two and came_true.any() else (None, None)
    return Report(
        texts=len(labels),
        accuracy=float((guessed == labels).mean()) if len(labels) else 0.0,
        macro_f1=float(np.mean([one.f1 for one in by_class])),
        area=_area(chance, came_true) if two and 0 < came_true.sum() < len(labels) else None,
        calibration_error=float(error),
        best_threshold=threshold,
        best_f1=best,
        classes=by_class,
        bins=bins,
    )


def _class_report(guessed: Labels, labels: Labels, place: int, name: str) -> ClassReport:
    right = int(((guessed == place) & (labels == place)).sum())
    called, there = int((guessed == place).sum()), int((labels == place).sum())
    precision, recall = right / called if called else 0.0, right / there if there else 0.0
    f1 = 2 * right / (called + there) if called + there else 0.0
    return ClassReport(name, there, precision, recall, f1)


def _bins(chance: Any, came_true: Any) -> tuple[Bin, ...]:
    which = np.minimum((chance * BINS).astype(np.int64), BINS - 1)
    made = []
    for place in range(BINS):
        inside = which == place
        count = int(inside.sum())
        promised, true = (float(chance[inside].mean()), float(came_true[inside].mean())) if count else (0.0, 0.0)
        made.append(Bin(place / BINS, (place + 1) / BINS, count, promised, true))
    return tuple(made)


def _area(chance: Any, came_true: Any) -> float:
    """Return the chance that a text of the class scores above one that is not; equal scores count half."""
    _, place, counts = np.unique(chance, return_inverse=True, return_counts=True)
    above = np.cumsum(counts) - (counts - 1) / 2  # the mean rank of each value, from 1
    positive, total = int(came_true.sum()), len(chance)
    ranks = float(above[place][came_true].sum())
    return (ranks - positive * (positive + 1) / 2) / (positive * (total - positive))


def _best_threshold(chance: Any, came_true: Any) -> tuple[float, float]:
    """Return the threshold with the best F1, and that F1; texts at or above it are called positive."""
    order = np.argsort(-chance, kind="stable")
    right = np.cumsum(came_true[order])
    f1 = 2 * right / (np.arange(1, len(order) + 1) + int(came_true.sum()))
    last_of_value = np.append(np.diff(chance[order]) != 0, True)
    f1 = np.where(last_of_value, f1, 0.0)
    best = int(np.argmax(f1))
    return float(chance[order][best]), float(f1[best])
