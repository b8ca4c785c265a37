"""A linear classifier of documents that is fast enough for a whole corpus: score, explain, save and load.

In go documents as bytes and offsets, out comes a probability for each class. The features are hashed words, pairs of
words and runs of characters (`kernels_classifier.py`), the weights a logistic regression (`classifier_training.py`),
the probabilities calibrated on labels that the weights never saw. A saved classifier is a folder of numbers and JSON
with a list of hashes; nothing in it is executed, and one altered byte is refused.
"""

import hashlib
import json
from collections import Counter
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import safetensors
import safetensors.numpy

from lhama.corpus import kernels_classifier as kernels
from lhama.corpus.words import FIRST, MULTIPLIER, WORD, Texts, room, tables, texts_of
from lhama.corpus.words import cut as cut_words
from lhama.plan.problem import Problem
from lhama.record.files import sha256_file, write_bytes, write_json, write_text

FORMAT = 1
WEIGHTS, ABOUT, HASHES = "classifier.safetensors", "classifier.json", "sha256.txt"
SMALLEST_BITS, MOST_BITS, LONGEST_RUN, SHORTEST_PASSAGE = 8, 24, 8, 32

Floats = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]
Labels = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Settings:
    """What a classifier looks at."""

    bits: int = 18
    """The table of features has 2 to the power of so many buckets."""
    words: int = 2
    """1 takes words, 2 also pairs of neighbouring words, 0 neither."""
    shortest_run: int = 3
    longest_run: int = 5
    """Runs of so many characters within a word and the spaces around it; 0 as the longest takes none."""
    looked_at: int = 1 << 16
    """The first so many bytes of a document are looked at."""
    balanced: bool = True
    """Each class has the same weight in training, however rare; calibration gives its real share back."""

    def __post_init__(self) -> None:
        """Refuse what the kernels cannot do."""
        fits = SMALLEST_BITS <= self.bits <= MOST_BITS and self.words in (0, 1, 2) and self.looked_at > 0
        runs = self.longest_run == 0 or 1 <= self.shortest_run <= self.longest_run <= LONGEST_RUN
        if not fits or not runs or (self.words == 0 and self.longest_run == 0):
            raise ValueError(f"no classifier can be made with {self}")

    @property
    def shape(self) -> npt.NDArray[np.int64]:
        """Return what the kernels want to know of the features."""
        return np.array([self.bits, self.words, self.shortest_run, self.longest_run], np.int64)


@dataclass(frozen=True)
class Classifier:
    """Weights of each bucket and class, and how sums become probabilities; with two classes one column is enough."""

    classes: tuple[str, ...]
    settings: Settings
    weights: Floats
    bias: Doubles
    typical: int
    slope: float = 1.0
    offsets: Doubles = field(default_factory=lambda: np.zeros(0))
    history: dict[str, Any] = field(default_factory=dict)
    """How it was trained, for the record."""

    def sums(self, texts: Texts) -> Doubles:
        """Return for each document a sum for each column, before calibration."""
        sums = np.zeros((len(texts.offsets) - 1, self.weights.shape[1]))
        kernels.sum_texts(
            *texts,
            *tables(),
            *room(texts),
            self.settings.shape,
            self.settings.looked_at,
            self.typical,
            self.weights,
            sums,
        )
        sums += self.bias
        return sums

    def score(self, texts: Texts) -> Floats:
        """Return for each document the probability of each class."""
        return probabilities(self.sums(texts), self.slope, self.offsets).astype(np.float32)

    def score_passages(self, texts: Texts, most: int = 1000) -> Floats:
        """Return for each document and class the highest probability in any passage of at most so many bytes.

        A few bad lines vanish in the mean of a long document; here they show. The more passages, the higher the maximum
        of nothing but chance: it is no calibrated probability, and wants a higher threshold.
        """
        if most < SHORTEST_PASSAGE:
            raise ValueError(f"a passage has {SHORTEST_PASSAGE} bytes or more, not {most}")
        documents = len(texts.offsets) - 1
        firsts = np.zeros(documents, np.int64)
        ends = np.zeros(documents + 2 * len(texts.data) // (most - 8) + 1, np.int64)
        count = kernels.cut_passages(*texts, most, firsts, ends)
        scores = self.score(Texts(texts.data, np.concatenate([np.zeros(1, np.int64), ends[:count]])))
        return np.maximum.reduceat(scores, firsts, axis=0) if documents else scores

    def explain(self, text: str, most: int = 12) -> list[tuple[str, str, float]]:
        """List what spoke loudest in a text: feature, class, and the nats it added; below 0 it spoke against."""
        features = readable_features(text, self.settings)
        unit = kernels.scale(len(features), self.typical) * self.slope
        found = []
        for name, times in Counter(features).items():
            bucket, shown = name
            for column, weight in enumerate(self.weights[bucket].tolist()):
                label = self.classes[1] if self.weights.shape[1] == 1 else self.classes[column]
                found.append((shown, label, times * weight * unit))
        return sorted(found, key=lambda one: (-abs(one[2]), one[0], one[1]))[:most]

    def save(self, folder: Path) -> None:
        """Write the classifier into a folder of its own; the list of hashes comes last."""
        folder.mkdir(parents=True, exist_ok=True)
        tensors = {"weights": self.weights, "bias": self.bias, "offsets": self.offsets}
        write_bytes(folder / WEIGHTS, safetensors.numpy.save(tensors))
        about = {
            "format": FORMAT,
            "classes": list(self.classes),
            "settings": asdict(self.settings),
            "typical": self.typical,
            "slope": self.slope,
            "history": self.history,
        }
        write_json(folder / ABOUT, about)
        write_text(folder / HASHES, _hashes(folder))


def load(folder: Path) -> Classifier:
    """Read a saved classifier; what is missing or differs from its hash is a Problem that names the file."""
    for name in (HASHES, WEIGHTS, ABOUT):
        if not (folder / name).is_file():
            raise Problem(f"{folder / name} is missing", remedy="train the classifier again, or restore the folder")
    said, found = (folder / HASHES).read_bytes(), _hashes(folder).encode()
    if said != found:
        lines = set(said.split(b"\n"))
        wrong = [name for line, name in zip(found.split(b"\n"), (WEIGHTS, ABOUT), strict=False) if line not in lines]
        named = " and ".join(str(folder / name) for name in wrong or [HASHES])
        raise Problem(f"{named}: not what was saved", remedy="train the classifier again, or restore the folder")
    about = json.loads((folder / ABOUT).read_bytes())
    if about["format"] != FORMAT:
        raise Problem(f"{folder / ABOUT} has format {about['format']}, not {FORMAT}", remedy="train it again")
    tensors = safetensors.numpy.load((folder / WEIGHTS).read_bytes())
    return Classifier(
        classes=tuple(about["classes"]),
        settings=Settings(**about["settings"]),
        weights=tensors["weights"],
        bias=tensors["bias"],
        typical=about["typical"],
        slope=about["slope"],
        offsets=tensors["offsets"],
        history=about["history"],
    )


def _hashes(folder: Path) -> str:
    return "".join(f"{sha256_file(folder / name)}  {name}\n" for name in (WEIGHTS, ABOUT))


def probabilities(sums: Doubles, slope: float, offsets: Doubles) -> Doubles:
    """Turn sums into probabilities: calibrated, and with one column for each of two classes or more."""
    logits = sums * slope + (offsets if len(offsets) else 0.0)
    if logits.shape[1] == 1:
        logits = np.concatenate([np.zeros_like(logits), logits], axis=1)
    logits = logits - logits.max(axis=1, keepdims=True)
    chances: Doubles = np.exp(logits)
    chances /= chances.sum(axis=1, keepdims=True)
    return chances


def readable_features(text: str, settings: Settings) -> list[tuple[int, str]]:
    """List the features of one text as bucket and name, by the definition: slow, for people and for tests."""
    whole = texts_of(pa.array([text], pa.large_string()))
    space, (kinds, plain_form) = room(whole), tables()
    end = kernels.stop(whole.data, 0, len(whole.data), settings.looked_at)
    words = cut_words(whole.data, 0, end, kinds, plain_form, *space)
    shift = 64 - settings.bits
    found: list[tuple[int, str]] = []
    before, last = 0, ""
    for word in range(words):
        shown = bytes(whole.data[space.begins[word] : space.ends[word]]).decode()
        plain = "".join(chr(plain_form[ord(character)]) for character in shown)
        value = int(space.plain[word])
        if settings.words > 0:
            found.append((_mixed(value) >> shift, plain))
        if settings.words > 1 and before:
            found.append((_mixed(_wrap(before * int(kernels.PAIR)) ^ value) >> shift, f"{last} {plain}"))
        if space.kinds[word] & WORD and settings.longest_run:
            found += _runs(f" {plain[: kernels.LONGEST_WORD]} ", settings)
        before, last = value, plain
    return found


def _runs(padded: str, settings: Settings) -> list[tuple[int, str]]:
    found = []
    for last in range(len(padded)):
        for length in range(settings.shortest_run, min(settings.longest_run, last + 1) + 1):
            run = padded[last + 1 - length : last + 1]
            value = int(FIRST)
            for character in reversed(run):
                value = _wrap((value ^ ord(character)) * int(MULTIPLIER))
            bucket = _wrap((value ^ (value >> 29)) * int(MULTIPLIER)) >> (64 - settings.bits)
            found.append((bucket, f"‹{run.replace(' ', '·')}›"))
    return found


def _wrap(value: int) -> int:
    return value & 0xFFFFFFFFFFFFFFFF


def _mixed(value: int) -> int:
    value = _wrap((value ^ (value >> 33)) * 0xFF51AFD7ED558CCD)
    value = _wrap((value ^ (value >> 33)) * 0xC4CEB9FE1A85EC53)
    return value ^ (value >> 33)


def text_key(data: bytes) -> int:
    """Give a text its number among 100: equal texts, whatever their capitals and spaces, are dealt to one part."""
    plain = " ".join(data.decode("utf-8", "replace").lower().split())
    return int.from_bytes(hashlib.blake2b(plain.encode(), digest_size=8).digest()) % 100
