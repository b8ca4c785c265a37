"""The kernels follow their definition, training finds the one optimum, and a saved classifier is what it was."""

import itertools
import json
import pickle
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from lhama.corpus import tales
from lhama.corpus.classifier import (
    ABOUT,
    HASHES,
    WEIGHTS,
    Classifier,
    Doubles,
    Labels,
    Settings,
    load,
    probabilities,
    readable_features,
)
from lhama.corpus.classifier_report import report
from lhama.corpus.classifier_training import (
    TEST,
    TRAIN,
    VALIDATION,
    _Problem,
    calibrate,
    deal,
    list_features,
    minimise,
    train,
)
from lhama.corpus.kernels_classifier import cut_passages
from lhama.corpus.words import Texts, texts_of
from lhama.plan.problem import Problem

TASKS = Path(__file__).parents[2].parent / "shared" / "data" / "tasks"
SMALL = Settings(bits=10)
SHAPES = [Settings(bits=12), Settings(bits=9, words=1, longest_run=0), Settings(words=0, shortest_run=1, longest_run=8)]


def texts(written: list[str]) -> Texts:
    return texts_of(pa.array(written, pa.large_string()))


def random_classifier(classes: int = 2, kind: Settings = SMALL) -> Classifier:
    generator = np.random.default_rng(classes)
    columns = 1 if classes == 2 else classes
    weights = generator.normal(size=(2**kind.bits, columns)).astype(np.float32)
    bias = generator.normal(size=columns)
    names = tuple("abcdefgh"[:classes])
    return Classifier(names, kind, weights, bias, 20, 1.3, generator.normal(size=columns), {"texts": 7})


WRITTEN = st.text(max_size=120)


@pytest.mark.parametrize("kind", SHAPES)
@settings(max_examples=60, deadline=None)
@given(written=WRITTEN)
@example(written="Ação! AÇÃO... 123 e 456_x 🦙🦙 ǅ ß ﬁ " + "á" * 70)
def test_features_by_another_definition(kind: Settings, written: str) -> None:
    listed = list_features(texts(["um", written, "dois três"]), kind)
    found = listed.buckets[listed.places[1] : listed.places[2]].tolist()
    assert Counter(found) == Counter(bucket for bucket, _ in readable_features(written, kind))


def test_features_by_hand() -> None:
    names = [name for _, name in readable_features("Não, já!", Settings(shortest_run=2, longest_run=3))]
    words = ["nao", ",", "nao ,", "ja", ", ja", "!", "ja !"]
    runs = ["·n", "na", "·na", "ao", "nao", "o·", "ao·", "·j", "ja", "·ja", "a·", "ja·"]
    assert sorted(names) == sorted(words + [f"‹{run}›" for run in runs])


@pytest.mark.parametrize("classes", [2, 5])
@settings(max_examples=40, deadline=None)
@given(written=st.lists(WRITTEN, max_size=5))
def test_company_does_not_matter(classes: int, written: list[str]) -> None:
    classifier = random_classifier(classes)
    together = classifier.score(texts(written))
    assert together.shape == (len(written), classes)
    np.testing.assert_allclose(together.sum(axis=1), 1, atol=1e-5)
    for place, text in enumerate(written):
        np.testing.assert_array_equal(classifier.score(texts([text]))[0], together[place])


@pytest.mark.parametrize("classes", [2, 4])
def test_explain_sums_to_the_score(classes: int) -> None:
    classifier = random_classifier(classes)
    text = "Era uma vez uma lhama que aprendia a ler devagar."
    logits = np.zeros(classes)
    for _, label, nats in classifier.explain(text, most=10_000):
        logits[classifier.classes.index(label)] += nats
    last = logits[-classifier.weights.shape[1] :]
    last += classifier.bias * classifier.slope + classifier.offsets
    expected = np.exp(logits - logits.max())
    np.testing.assert_allclose(classifier.score(texts([text]))[0], expected / expected.sum(), rtol=1e-4)
    assert len(classifier.explain(text, most=3)) == 3


def test_a_long_text_counts_as_its_mean() -> None:
    """Of a text ten times as long, no more can be said than of the text."""
    classifier = random_classifier()
    words = "sol chuva vento neve " * 40
    short, long = classifier.sums(texts([words, words * 10]))
    assert abs(short[0] - long[0]) < 0.05


def test_only_the_beginning_is_looked_at() -> None:
    kind = Settings(bits=10, looked_at=10)
    scores = random_classifier(2, kind).score(texts(["abcdefghi á tudo mais", "abcdefghi ", "abcdefghi ú"]))
    assert scores[0, 0] == scores[1, 0] == scores[2, 0]  # the tenth byte is a space, and half a letter is none


@settings(max_examples=100, deadline=None)
@given(st.lists(st.text(alphabet="aé🦙 \n", max_size=150), max_size=4), st.integers(32, 90))
def test_passages_are_the_document_in_short(written: list[str], most: int) -> None:
    classifier = random_classifier(3)
    whole = texts(written)
    firsts, ends = np.zeros(len(written), np.int64), np.zeros(1000, np.int64)
    count = cut_passages(*whole, most, firsts, ends)
    bounds = [0, *ends[:count].tolist()]
    passages = [bytes(whole.data[begin:end]) for begin, end in itertools.pairwise(bounds)]
    assert b"".join(passages) == "".join(written).encode()
    assert all(len(passage) <= most for passage in passages)
    scores = classifier.score(texts([passage.decode() for passage in passages]))  # whole characters, or it fails
    found = classifier.score_passages(whole, most)
    for place, first in enumerate(firsts.tolist()):
        last = firsts[place + 1] if place + 1 < len(firsts) else count
        assert b"".join(passages[first:last]) == written[place].encode()
        np.testing.assert_array_equal(found[place], scores[first:last].max(axis=0))


@pytest.mark.parametrize("wrong", [{"bits": 40}, {"words": 3}, {"words": 0, "longest_run": 0}, {"longest_run": 9}])
def test_impossible_settings_are_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="Settings"):
        Settings(**wrong)  # type: ignore[arg-type]


def stories(count: int, seed: int = 0) -> tuple[Texts, Labels]:
    rows = list(tales.labelled(count, seed))
    return texts([str(row["text"]) for row in rows]), np.array([row["label"] for row in rows], np.int64)


@pytest.fixture(scope="module")
def moods() -> Classifier:
    return train(*stories(1000), tales.LABELS, Settings(bits=12, longest_run=0), penalties=(1e-3, 1e-4))


def test_training_learns_the_moods_of_stories(moods: Classifier) -> None:
    written, labels = stories(300, seed=1)
    result = report(moods.score(written), labels, moods.classes)
    assert result.macro_f1 > 0.6
    assert result.calibration_error < 0.12
    assert sum(one.texts for one in result.bins) == 300
    assert moods.history["calibrated"]


def test_training_is_deterministic(moods: Classifier) -> None:
    again = train(*stories(1000), tales.LABELS, Settings(bits=12, longest_run=0), penalties=(1e-3, 1e-4))
    assert again.weights.tobytes() == moods.weights.tobytes()
    assert (again.slope, again.history) == (moods.slope, moods.history)


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("balanced", [True, False])
def test_training_finds_the_optimum_of_plain_newton(classes: int, balanced: bool) -> None:
    """Another solver, on a dense matrix: both must come to the same weights, for the problem is convex."""
    generator = np.random.default_rng(classes)
    words = [f"w{number}" for number in range(30)]
    written = [" ".join(generator.choice(words, size=8)) for _ in range(90)]
    labels = generator.integers(0, classes, 90)
    kind = Settings(bits=8, words=1, longest_run=0, balanced=balanced)
    listed = list_features(texts(written), kind)
    problem = _Problem(listed, labels, classes, kind, typical=8)
    start = np.zeros((2**8 + 1) * problem.columns)
    found = minimise(problem.function(1e-2), start, small=1e-9, most=500)
    dense = np.zeros((90, 2**8 + 1))
    dense[:, -1] = 1.0
    for place in range(90):
        for bucket in listed.buckets[listed.places[place] : listed.places[place + 1]]:
            dense[place, bucket] += 1 / np.sqrt(8)
    counts = np.bincount(labels)
    importance = 1 / (classes * counts[labels]) if balanced else np.full(90, 1 / 90)
    np.testing.assert_allclose(found, newton(dense, labels, classes, importance, 1e-2).ravel(), atol=1e-5)


def newton(dense: Doubles, labels: Labels, classes: int, importance: Doubles, penalty: float) -> Doubles:
    columns = 1 if classes == 2 else classes
    size = dense.shape[1]
    weights = np.zeros((size, columns))
    ridge = np.tile(np.append(np.full(size - 1, penalty), 1e-12)[:, None], (1, columns))
    wanted = np.eye(classes)[labels]
    for _ in range(30):
        chances = probabilities(dense @ weights, 1.0, np.zeros(0))[:, -columns:]
        slopes = dense.T @ (importance[:, None] * (chances - wanted[:, -columns:])) + ridge * weights
        curve = np.diag(ridge.T.ravel() + 1e-10)
        for one in range(columns):
            for other in range(columns):
                share = chances[:, one] * ((one == other) - chances[:, other]) * importance
                block = (dense * share[:, None]).T @ dense
                curve[one * size : (one + 1) * size, other * size : (other + 1) * size] += block
        weights -= np.linalg.solve(curve, slopes.T.ravel()).reshape(columns, size).T
    return weights


def test_rare_classes_are_found_and_not_overstated() -> None:
    """Balanced weights find the rare class; calibration then promises no more of it than there is."""
    generator = np.random.default_rng(0)
    labels = (generator.random(3000) < 0.06).astype(np.int64)
    common = [f"w{number}" for number in range(200)]
    written = []
    for label in labels.tolist():
        words = generator.choice(common, size=12).tolist()
        words[0] = "raro" if generator.random() < (0.7 if label else 0.02) else words[0]
        written.append(" ".join(words))
    classifier = train(texts(written[:2500]), labels[:2500], ("no", "yes"), Settings(bits=12, longest_run=0))
    result = report(classifier.score(texts(written[2500:])), labels[2500:], classifier.classes)
    assert result.area is not None
    assert result.area > 0.75
    promised = sum(one.texts * one.promised for one in result.bins) / result.texts
    assert abs(promised - labels[2500:].mean()) < 0.03


def test_too_few_texts_to_calibrate_keep_the_real_shares() -> None:
    labels = np.array([0] * 90 + [1] * 10, np.int64)
    written = [f"texto {number}" for number in range(100)]
    classifier = train(texts(written), labels, ("no", "yes"), Settings(bits=8, longest_run=0), penalties=(1.0,))
    assert not classifier.history["calibrated"]
    assert abs(classifier.score(texts(["nada"]))[0, 1] - 0.1) < 0.03


def test_a_class_without_texts_is_refused() -> None:
    with pytest.raises(Problem, match="labelled c"):
        train(texts([f"texto {number}" for number in range(60)]), np.arange(60) % 2, ("a", "b", "c"), SMALL)


def test_dealing_keeps_equal_texts_together() -> None:
    written = [f"Texto número {number % 500}" for number in range(1000)]
    written[500:] = [text.upper().replace(" ", "\n ") for text in written[500:]]
    parts = deal(texts(written))
    np.testing.assert_array_equal(parts[:500], parts[500:])
    shares = np.bincount(parts, minlength=3) / 1000
    # Binomial with 500 draws: six standard deviations are 0.08.
    np.testing.assert_allclose(shares[[TRAIN, VALIDATION, TEST]], [0.8, 0.1, 0.1], atol=0.11)


def test_calibration_undoes_a_known_distortion() -> None:
    generator = np.random.default_rng(1)
    logits = generator.normal(size=(20_000, 1)) * 2
    truth = (generator.random((20_000, 1)) < 1 / (1 + np.exp(-logits))).astype(np.int64)[:, 0]
    slope, offsets = calibrate(logits * 3 + 1, truth, 2)
    assert slope == pytest.approx(1 / 3, abs=0.02)
    assert offsets[0] == pytest.approx(-1 / 3, abs=0.06)


def test_report_by_hand() -> None:
    scores = np.array([[0.9, 0.1], [0.8, 0.2], [0.25, 0.75], [0.4, 0.6], [0.05, 0.95]], np.float32)
    result = report(scores, np.array([0, 1, 1, 0, 1]), ("ok", "bad"))
    ok, bad = result.classes
    assert (bad.precision, bad.recall, bad.texts) == (2 / 3, 2 / 3, 3)
    assert (ok.precision, ok.recall, ok.f1) == (0.5, 0.5, 0.5)
    assert result.accuracy == pytest.approx(3 / 5)
    assert result.area == pytest.approx(5 / 6)  # of six pairs only 0.2 stands below 0.6
    assert [one.texts for one in result.bins] == [0, 1, 1, 0, 0, 0, 1, 1, 0, 1]
    assert result.calibration_error == pytest.approx((0.1 + 0.8 + 0.25 + 0.6 + 0.05) / 5, abs=1e-6)
    assert result.best_threshold == pytest.approx(0.2, abs=1e-6)
    assert result.best_f1 == pytest.approx(6 / 7)
    json.dumps(result.as_dict())


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 6), st.booleans()), min_size=2, max_size=30))
def test_area_by_all_pairs(rows: list[tuple[int, bool]]) -> None:
    chance = np.array([[1 - value / 8, value / 8] for value, _ in rows], np.float32)
    labels = np.array([int(label) for _, label in rows])
    result = report(chance, labels, ("no", "yes"))
    above = [value for value, label in rows if label]
    below = [value for value, label in rows if not label]
    if not above or not below:
        assert result.area is None
        return
    pairs = [1.0 if one > other else 0.5 if one == other else 0.0 for one in above for other in below]
    assert result.area == pytest.approx(np.mean(pairs))


@pytest.mark.parametrize("classes", [2, 5])
def test_saved_and_loaded(classes: int, tmp_path: Path) -> None:
    classifier = random_classifier(classes)
    classifier.save(tmp_path / "one")
    read = load(tmp_path / "one")
    read.save(tmp_path / "two")
    assert (read.classes, read.settings, read.history) == (classifier.classes, SMALL, {"texts": 7})
    written = texts(["Que dia bonito!", "", "🦙"])
    np.testing.assert_array_equal(read.score(written), classifier.score(written))
    for name in (WEIGHTS, ABOUT, HASHES):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_a_classifier_goes_to_another_process() -> None:
    classifier = random_classifier()
    sent = pickle.loads(pickle.dumps(classifier))
    np.testing.assert_array_equal(sent.score(texts(["olá"])), classifier.score(texts(["olá"])))


@pytest.mark.parametrize("name", [WEIGHTS, ABOUT, HASHES])
@pytest.mark.parametrize("where", [0.0, 0.31, 0.77, 1.0])
def test_one_altered_byte_is_refused(name: str, where: float, tmp_path: Path) -> None:
    random_classifier().save(tmp_path)
    data = bytearray((tmp_path / name).read_bytes())
    data[int(where * (len(data) - 1))] ^= 1
    (tmp_path / name).write_bytes(data)
    with pytest.raises(Problem, match=name if name != HASHES else "classifier|sha256"):
        load(tmp_path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    random_classifier().save(tmp_path)
    (tmp_path / ABOUT).unlink()
    with pytest.raises(Problem, match=ABOUT):
        load(tmp_path)


@pytest.mark.skipif(not TASKS.is_dir(), reason="no real text here")
def test_real_comments() -> None:
    def read(part: str, most: int) -> tuple[Texts, Labels]:
        lines = (TASKS / "told_br" / f"{part}.jsonl").read_text(encoding="utf-8").splitlines()[:most]
        rows = [json.loads(line) for line in lines]
        return texts([row["text"] for row in rows]), np.array([row["label"] for row in rows], np.int64)

    classifier = train(*read("train", 4000), ("ok", "toxic"), Settings(bits=14, words=1), penalties=(1e-4,))
    written, labels = read("test", 1000)
    result = report(classifier.score(written), labels, classifier.classes)
    assert result.area is not None
    assert result.area > 0.74
    assert result.calibration_error < 0.1
