"""Tell Brazilian from European Portuguese by cues that are about the variety, and old spelling from today's.

In go documents, out come for each the chance that it is European, a verdict with a band of doubt, and the share of
words in a spelling older than the reforms. The cues stand in languages_data/variety_pt.toml (words) and in
kernels_variety.STRUCTURES (accents, progressives, possessives, dates, pronouns); their weights are a logistic
regression whose signs grammar fixes. Without a cue the chance is one half. docs/language.md tells how far it goes.
"""

import json
import tomllib
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from lhama.corpus import kernels_variety as kernels
from lhama.corpus.words import Texts, Words, room, tables, texts_of

DATA = Path(__file__).parent / "languages_data"
EUROPEAN, BRAZILIAN, UNSURE = "pt-PT", "pt-BR", "unsure"
SURE = 0.9
"""From this chance on a verdict is given; below it, and above one minus it, the document is unsure."""
OLD_FROM = 0.004
"""From this share of old spellings on, the cues tell when a text was written and no longer where: it is unsure."""
FEWEST_OLD = 3  # one or two old words are names and titles
PREFERENCES = frozenset(
    f"{side}.{name}"
    for side, name in (
        ("european", "connectives"),
        ("european", "in_one"),
        ("european", "rapariga"),
        ("european", "possessive_with_article"),
        ("european", "month_in_capitals"),
        ("european", "ter_de"),
        ("brazilian", "you"),
        ("brazilian", "youth"),
        ("brazilian", "possessive_without_article"),
        ("brazilian", "date_with_em_or_dia"),
        ("brazilian", "ter_que"),
        ("brazilian", "em_um"),
    )
)
"""Cues that both varieties have, one more than the other: what they weigh is for the data alone to say."""
PULL = 3e-3  # towards the start, against the mean loss; 1e-3 to 1e-2 change no verdict on a source left out by 0.5%
STEPS = 1500

Counts = npt.NDArray[np.int32]
Floats = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]


class Cues(NamedTuple):
    """The table of words and the names of all cues: groups of words first, then structures."""

    keys: npt.NDArray[np.uint64]
    values: npt.NDArray[np.int32]
    names: tuple[str, ...]
    groups: int


class Varieties(NamedTuple):
    """For each document the chance that it is European (0 to 1), its verdict, and its share of old spellings.

    Fewer than FEWEST_OLD of them count as none.
    """

    european: Floats
    verdicts: npt.NDArray[np.str_]
    old: Floats


_ROLES: dict[int, str] = {
    kernels.POSSESSIVE: "meu minha meus minhas seu sua seus suas teu tua teus tuas nosso nossa nossos nossas",
    kernels.ARTICLE: "o a os as ao à aos às do da dos das no na nos nas pelo pela pelos pelas",
    kernels.NOT_BARE: """um uma uns umas este esta estes estas esse essa esses essas aquele aquela aqueles aquelas deste
        desta nesse nessa neste nesta desse dessa todo toda todos todas ambos muito muitos muitas alguns algumas dois
        duas três é era são eram foi foram ser sou és fosse seja será seria que""",
    kernels.PROGRESSIVE: """estou está estão estás estamos estava estavam estive esteve estiveram estar estando
        estivesse esteja continua continuam continuou continuava continuar anda andam andava andou andar fica ficam
        ficou ficar""",
    kernels.OBJECT: "me te lhe lhes",
    kernels.STOP: ". ! ? … — – «",
    kernels.MONTH: "janeiro fevereiro março abril maio junho julho agosto setembro outubro novembro dezembro",
    kernels.TO_HAVE: "tem têm tinha tinham teve tiveram terá terão teria teriam ter tenho temos tivemos tínhamos tens",
    kernels.SHALL: "hei hás há hão",
    kernels.DAY: "dia dias",
    kernels.ONE: "um uma",
    kernels.TO: "a",
    kernels.IN: "em",
    kernels.OF: "de",
    kernels.THAT: "que",
    kernels.EITHER_ACCENT: "estômago estômagos fêmea fêmeas",
}


@cache
def cues() -> Cues:
    """Read the cues; a word is known in small letters, with a first capital, and in capitals."""
    data = tomllib.loads((DATA / "variety_pt.toml").read_text(encoding="utf-8"))
    meaning: dict[str, int] = {}
    names = []
    for side in ("european", "brazilian", "old"):
        for name, words in data[side].items():
            names.append(f"{side}.{name}")
            meaning |= {word: len(names) for word in words.split()}
    for role, words in _ROLES.items():
        for word in words.split():
            meaning[word] = meaning.get(word, 0) | (role << kernels.ROLES)
    forms = {word.upper(): value for word, value in meaning.items()}
    for word, value in meaning.items():
        forms[word.capitalize()] = value | (kernels.CAPITAL << kernels.ROLES)
    forms |= meaning
    return Cues(*_table(forms), (*names, *kernels.STRUCTURES), len(names))


def _table(forms: dict[str, int]) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.int32]]:
    """Make an open hash table, half empty at least, of words and their values."""
    texts = texts_of(pa.array(list(forms), pa.large_string()))
    hashes = np.empty(len(forms), np.uint64)
    kernels.hash_words(*texts, *tables(), *room(texts), hashes)
    size = 1 << (2 * len(forms)).bit_length()
    keys, values = np.zeros(size, np.uint64), np.zeros(size, np.int32)
    for key, value in zip(hashes.tolist(), forms.values(), strict=True):
        place = key % size
        while keys[place]:
            place = (place + 1) % size
        keys[place], values[place] = key, value
    return keys, values


def count(texts: Texts) -> tuple[Counts, npt.NDArray[np.int64]]:
    """Count the cues of each document, a column for each of `cues().names`, and its words."""
    known = cues()
    documents = len(texts.offsets) - 1
    counts = np.zeros((documents, len(known.names)), np.int32)
    words = np.zeros(documents, np.int64)
    space: Words = room(texts)
    roles = np.empty(len(space.begins), np.int32)
    kernels.count_cues(*texts, *tables(), *space, known.keys, known.values, roles, known.groups, counts, words)
    return counts, words


@cache
def weights() -> Doubles:
    """Read the weights that are shipped, one for each cue: nats for an e-fold number of occurrences plus one."""
    shipped = json.loads((DATA / "variety_pt.json").read_text(encoding="utf-8"))
    return np.array([shipped.get(name, 0.0) for name in cues().names])


def judge(texts: Texts, sure: float = SURE) -> Varieties:
    """Judge the variety of each document, which should be Portuguese, by its first 16 kB."""
    counts, words = count(texts)
    names = cues().names
    old_ones = [place for place, name in enumerate(names) if name.startswith("old.")]
    times = counts[:, old_ones].sum(axis=1)
    old = np.where(times >= FEWEST_OLD, times / np.maximum(words, 1), 0.0)
    evidence = np.where(old >= OLD_FROM, 0.0, np.log1p(counts) @ weights())
    european = 1.0 / (1.0 + np.exp(-evidence))
    verdicts = np.where(european >= sure, EUROPEAN, np.where(european <= 1.0 - sure, BRAZILIAN, UNSURE))
    return Varieties(european.astype(np.float32), verdicts, old.astype(np.float32))


def explain(text: str) -> list[tuple[str, int, float]]:
    """List the cues of one document with their number and evidence, the strongest first; above 0 means European."""
    counts, _ = count(texts_of(pa.array([text], pa.large_string())))
    evidence = np.log1p(counts[0]) * weights()
    order = np.argsort(-np.abs(evidence), kind="stable")
    return [(cues().names[place], int(counts[0, place]), float(evidence[place])) for place in order if counts[0, place]]


def fit(counts: Counts, european: npt.NDArray[np.bool_], sources: npt.NDArray[np.str_]) -> dict[str, float]:
    """Fit the weights on counted documents: each source of a variety weighs the same, and so do the two varieties.

    A cue can only speak for its own side. What grammar makes exclusive starts at one nat and is moved by the data; what
    is a mere preference starts at none. Accelerated projected gradients (Beck & Teboulle 2009), deterministic.
    """
    names = cues().names
    used = np.array([not name.startswith("old.") for name in names])
    sides = np.array([1.0 if name.startswith("european.") else -1.0 for name in names])[used]
    start = sides * np.array([name not in PREFERENCES for name in names])[used]
    features, truth = np.log1p(counts[:, used].astype(np.float64)), european.astype(np.float64)
    importance = np.zeros(len(sources))
    for source in np.unique(sources):
        same = sources == source
        rivals = len(np.unique(sources[european == european[same][0]]))
        importance[same] = 0.5 / rivals / same.sum()
    curvature = np.linalg.eigvalsh((features * importance[:, None]).T @ features).max() / 4 + PULL
    fitted, ahead, speed = start, start, 1.0
    for _ in range(STEPS):
        chance = 1.0 / (1.0 + np.exp(-features @ ahead))
        slope = features.T @ (importance * (chance - truth)) + PULL * (ahead - start)
        moved = ahead - slope / curvature
        moved[moved * sides < 0] = 0.0
        faster = (1 + np.sqrt(1 + 4 * speed * speed)) / 2
        fitted, ahead, speed = moved, moved + (speed - 1) / faster * (moved - fitted), faster
    return {name: round(float(weight), 3) for name, weight in zip(np.array(names)[used], fitted, strict=True)}
