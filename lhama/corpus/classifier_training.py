"""Train the linear classifier from labelled texts: a convex problem, solved to its one optimum.

In go texts and a class for each, out comes a calibrated classifier. A tenth of the texts, chosen by their hash, is set
apart: it picks the strength of the penalty and fits the calibration (Platt 1999: a slope, and an offset for each
class). The solver is L-BFGS (Liu & Nocedal 1989) over all texts at once, in double precision and one order, so the
same input gives the same classifier to the bit.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from lhama.corpus import kernels_classifier as kernels
from lhama.corpus.classifier import Classifier, Doubles, Labels, Settings, probabilities, text_key
from lhama.corpus.words import Texts, room, tables
from lhama.plan.problem import Problem

TRAIN, VALIDATION, TEST = 0, 1, 2
PENALTIES = (1e-3, 3e-4, 1e-4, 3e-5, 1e-5)
"""On half the squared length of the weights, against the mean loss; tried from the strongest, until they get worse."""
MEMORY = 10
ITERATIONS = 200
SMALL = 1e-5  # of the largest slope at the start
FEWEST = 20  # texts of a class in validation, below which there is nothing to calibrate on

Integers = npt.NDArray[np.int64]


class Listed(NamedTuple):
    """The features of many documents: those of document i are buckets[places[i] : places[i + 1]]."""

    places: Integers
    buckets: npt.NDArray[np.int32]


def deal(texts: Texts, validation: int = 10, test: int = 10) -> npt.NDArray[np.uint8]:
    """Deal texts to TRAIN, VALIDATION and TEST by their hash, in percent: the same text is always in the same part."""
    ends = zip(texts.offsets[:-1].tolist(), texts.offsets[1:].tolist(), strict=True)
    keys = np.array([text_key(texts.data[begin:end].tobytes()) for begin, end in ends], np.int64)
    return np.where(keys < test, TEST, np.where(keys < test + validation, VALIDATION, TRAIN)).astype(np.uint8)


def chosen(texts: Texts, which: npt.NDArray[np.bool_]) -> Texts:
    """Copy the texts of a choice."""
    places = np.flatnonzero(which).tolist()
    pieces = [texts.data[texts.offsets[place] : texts.offsets[place + 1]] for place in places]
    sizes = np.array([len(piece) for piece in pieces], np.int64)
    data = np.concatenate(pieces) if pieces else np.zeros(0, np.uint8)
    return Texts(data, np.concatenate([np.zeros(1, np.int64), np.cumsum(sizes)]))


def train(
    texts: Texts,
    labels: Labels,
    classes: Sequence[str],
    settings: Settings | None = None,
    penalties: Sequence[float] = PENALTIES,
) -> Classifier:
    """Train a classifier; `labels` are places in `classes`. All texts are used, a tenth of them for calibration."""
    settings = settings or Settings()
    parts = deal(texts, test=0)
    known, held = parts == TRAIN, parts == VALIDATION
    _check(labels, classes, known)
    listed = list_features(chosen(texts, known), settings)
    sizes = np.diff(listed.places)
    typical = max(1, int(np.median(sizes)))
    problem = _Problem(listed, labels[known], len(classes), settings, typical)
    apart, truth = chosen(texts, held), labels[held]
    enough = bool(np.bincount(truth, minlength=len(classes)).min() >= FEWEST)
    best: tuple[float, Classifier] | None = None
    solution = np.zeros((2**settings.bits + 1) * problem.columns)
    for penalty in penalties:
        solution = minimise(problem.function(penalty), solution)
        weights = solution.reshape(-1, problem.columns)
        plain = Classifier(
            tuple(classes), settings, weights[:-1].astype(np.float32), weights[-1].copy(), typical, 1.0, problem.shift
        )
        classifier, loss = _calibrated(plain, apart, truth, enough)
        if best is not None and loss >= best[0]:
            break
        history = {
            "penalty": penalty,
            "texts": int(known.sum()),
            "validation_texts": int(held.sum()),
            "validation_loss": loss,
            "calibrated": enough,
            "texts_by_class": {name: int((labels == place).sum()) for place, name in enumerate(classes)},
        }
        classifier.history.update(history)
        best = (loss, classifier)
    assert best is not None
    return best[1]


def _check(labels: Labels, classes: Sequence[str], known: npt.NDArray[np.bool_]) -> None:
    counts = np.bincount(labels[known], minlength=len(classes))
    if len(counts) > len(classes) or len(classes) < 2:
        raise ValueError(f"labels are places in two classes or more; there are {len(classes)}")
    if counts.min() == 0:
        missing = ", ".join(name for name, count in zip(classes, counts.tolist(), strict=True) if not count)
        raise Problem(f"no text is labelled {missing}", remedy="label some, or leave the class out")


def list_features(texts: Texts, settings: Settings) -> Listed:
    """List the features of each text."""
    places = np.zeros(len(texts.offsets), np.int64)
    fixed = (*texts, *tables(), *room(texts), settings.shape, settings.looked_at)
    kernels.list_features(*fixed, places, np.zeros(0, np.int32), False)
    places = np.cumsum(places)
    buckets = np.empty(int(places[-1]), np.int32)
    kernels.list_features(*fixed, places, buckets, True)
    return Listed(places, buckets)


class _Problem:
    """The mean loss of labelled texts as a function of weights and, in the last row, biases."""

    def __init__(self, listed: Listed, labels: Labels, classes: int, settings: Settings, typical: int) -> None:
        self.listed = listed
        self.columns = 1 if classes == 2 else classes
        self.rows = 2**settings.bits
        self.scales = np.array([kernels.scale(int(size), typical) for size in np.diff(listed.places)])
        counts = np.bincount(labels, minlength=classes)
        each = 1.0 / (classes * counts) if settings.balanced else np.full(classes, 1.0 / len(labels))
        self.importance = each[labels]
        self.truth = np.zeros((len(labels), classes))
        self.truth[np.arange(len(labels)), labels] = 1.0
        # Balanced weights make the classes equally common; this gives their shares back where nothing is calibrated.
        real = np.log(counts / counts.sum()) if settings.balanced else np.zeros(classes)
        self.shift = real[1:] - real[:1] if classes == 2 else real

    def function(self, penalty: float) -> Callable[[Doubles], tuple[float, Doubles]]:
        """Return the function that gives the penalised loss and its slopes."""

        def loss_and_slopes(solution: Doubles) -> tuple[float, Doubles]:
            weights = solution.reshape(-1, self.columns)
            sums = np.empty((len(self.scales), self.columns))
            kernels.sum_listed(*self.listed, self.scales, weights, sums)
            chances = probabilities(sums + weights[-1], 1.0, np.zeros(0))
            right = np.maximum((chances * self.truth).sum(axis=1), 1e-300)
            errors = (chances - self.truth) * self.importance[:, None]
            errors = np.ascontiguousarray(errors[:, -self.columns :])
            slopes = np.zeros_like(weights)
            kernels.sum_slopes(*self.listed, self.scales, errors, slopes)
            slopes[:-1] += penalty * weights[:-1]
            slopes[-1] = errors.sum(axis=0)
            length = float((weights[:-1] ** 2).sum())
            return float(-(self.importance * np.log(right)).sum()) + penalty / 2 * length, slopes.ravel()

        return loss_and_slopes


def minimise(
    function: Callable[[Doubles], tuple[float, Doubles]], start: Doubles, small: float = SMALL, most: int = ITERATIONS
) -> Doubles:
    """Minimise a smooth convex function by L-BFGS; stop where all slopes are small against the first ones."""
    point = start.copy()
    value, slopes = function(point)
    first = float(np.abs(function(np.zeros_like(start))[1]).max()) if start.any() else float(np.abs(slopes).max())
    moves: list[tuple[Doubles, Doubles, float]] = []
    for _ in range(most):
        if float(np.abs(slopes).max()) <= small * max(first, 1e-12):
            break
        direction = _direction(slopes, moves)
        downhill = float((direction * slopes).sum())
        step = 1.0 if moves else 1.0 / max(1.0, float(np.abs(slopes).sum()))
        while True:
            following = point + step * direction
            lower, turned = function(following)
            if lower <= value + 1e-4 * step * downhill or step < 1e-10:
                break
            step /= 2
        moved, bent = following - point, turned - slopes
        curvature = float((moved * bent).sum())
        if curvature > 1e-18:
            moves = [*moves[-(MEMORY - 1) :], (moved, bent, 1.0 / curvature)]
        if step < 1e-10:
            break
        point, value, slopes = following, lower, turned
    return point


def _direction(slopes: Doubles, moves: list[tuple[Doubles, Doubles, float]]) -> Doubles:
    """Return the way down: the slopes, corrected by what the last moves told of the curvature."""
    way = -slopes
    shares = []
    for moved, bent, share in reversed(moves):
        shares.append(share * float((moved * way).sum()))
        way = way - shares[-1] * bent
    if moves:
        _, bent, share = moves[-1]
        way = way / (share * float((bent * bent).sum()))
    for (moved, bent, share), before in zip(moves, reversed(shares), strict=True):
        way = way + (before - share * float((bent * way).sum())) * moved
    return way


def _calibrated(plain: Classifier, texts: Texts, truth: Labels, enough: bool) -> tuple[Classifier, float]:
    """Fit slope and offsets on texts set apart, and say the mean loss there."""
    sums = plain.sums(texts)
    slope, offsets = calibrate(sums, truth, len(plain.classes)) if enough else (1.0, plain.offsets)
    chances = probabilities(sums, slope, offsets)
    loss = float(-np.log(np.maximum(chances[np.arange(len(truth)), truth], 1e-300)).mean()) if len(truth) else 0.0
    return (
        Classifier(plain.classes, plain.settings, plain.weights, plain.bias, plain.typical, slope, offsets),
        loss,
    )


def calibrate(sums: Doubles, truth: Labels, classes: int) -> tuple[float, Doubles]:
    """Fit one slope and an offset for each column, so that of what is given 0.8 four in five are right."""
    columns = sums.shape[1]
    wanted = np.zeros((len(truth), classes))
    wanted[np.arange(len(truth)), truth] = 1.0
    middle = sums.mean(axis=0)

    def loss_and_slopes(solution: Doubles) -> tuple[float, Doubles]:
        chances = probabilities(sums - middle, float(solution[0]), solution[1:])
        right = np.maximum((chances * wanted).sum(axis=1), 1e-300)
        errors = ((chances - wanted) / len(truth))[:, -columns:]
        slopes = np.concatenate([[((sums - middle) * errors).sum()], errors.sum(axis=0)])
        ridge = 1e-6 * solution  # several classes have one offset too many
        return float(-np.log(right).mean() + (ridge * solution).sum() / 2), slopes + ridge

    solution = minimise(loss_and_slopes, np.concatenate([[1.0], np.zeros(columns)]), small=1e-7)
    slope = max(float(solution[0]), 1e-3)
    return slope, solution[1:] - slope * middle
