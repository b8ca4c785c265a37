"""Say in which language each document is written, offline, from a bounded sample of it.

In go documents as bytes and offsets, in Unicode's NFC; out comes a language code with a probability for each. The
model is that of py3langid (Lui & Baldwin 2012, naive Bayes over byte n-grams that an automaton finds; retrained on
139 languages, BSD licence), read through its own loader. The walk is ours: a kernel over the bytes in place of a
Python loop, with the same scores. A long document is judged by its beginning, middle and end.
"""

from collections.abc import Iterable
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from lhama.corpus.kernels_language import STEPS, identify_all
from lhama.corpus.words import Texts

UNDETERMINED = "und"
"""ISO 639-2 for what cannot be told: a text in which the model knows nothing. `zxx` is what is no language at all."""
# fmt: off
RARE = frozenset((
    "ace", "an", "bcl", "dz", "ext", "fo", "fuv", "gcf", "gcr", "gom", "grc", "gug", "guw", "hbo", "kab", "kik", "lb",
    "lij", "ltg", "nso", "pcm", "uzs", "vec", "vo", "wa",
))
# fmt: on
"""Languages that a text is not taken for unless they are asked for: they have little text, and near relatives with
much; short Portuguese and Spanish would be called Aragonese. They come out as the relative, or undecided."""

Floats = npt.NDArray[np.float32]


class Identified(NamedTuple):
    """For each document its likeliest language, how likely that is, and how likely the wanted one is (0 to 1)."""

    codes: npt.NDArray[np.str_]
    scores: Floats
    wanted: Floats


class _Automaton(NamedTuple):
    """Where each state leads on each byte, in rows that states share, and which feature has been read there, or -1."""

    following: npt.NDArray[np.uint32]
    row_of: npt.NDArray[np.uint16]
    feature_of: npt.NDArray[np.int32]


class _Model(NamedTuple):
    """What each feature says for each language, in 512ths of a nat, and what the languages are called."""

    weights: npt.NDArray[np.int16]
    priors: Floats
    codes: tuple[str, ...]


class _Cases(NamedTuple):
    """For each code point whether it is upper (1) or lower case (2), and its lower case."""

    kinds: npt.NDArray[np.uint8]
    lower: npt.NDArray[np.int32]


def known_languages() -> tuple[str, ...]:
    """List the codes that can be asked for: ISO 639-1 where there is one."""
    return tuple(dict.fromkeys(_library().nb_classes))


def identify(texts: Texts, wanted: str = "pt", languages: Iterable[str] | None = None) -> Identified:
    """Identify the language of each document among `languages`: all but the rare ones where they are not given.

    The score is a softmax whose temperature is the root of the sampled bytes, as py3langid calibrates it. A text in
    which the model finds nothing is `und`, with score 0.
    """
    model = _model(None if languages is None else tuple(sorted({wanted, *languages})))
    if wanted not in model.codes:
        raise ValueError(f"{wanted!r} is not among the languages: {', '.join(sorted(set(model.codes)))}")
    documents = len(texts.offsets) - 1
    best = np.empty(documents, np.int64)
    scores = np.zeros(documents, np.float32)
    chances = np.zeros(documents, np.float32)
    where = (_same_code(model.codes), model.codes.index(wanted))
    identify_all(*texts, *_automaton(), model.weights, model.priors, *_cases(), *where, best, scores, chances)
    names = np.array([*model.codes, UNDETERMINED])
    return Identified(names[best], scores, chances)


@cache
def _library() -> Any:
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    return LanguageIdentifier.from_model_file(MODEL_FILE)


@cache
def _automaton() -> _Automaton:
    library = _library()
    following, rows = np.array(library.tk_nextmove, np.uint32), np.array(library.tk_row, np.uint16)
    return _Automaton(following, rows, np.array(library.tk_output, np.int32))


@cache
def _model(languages: tuple[str, ...] | None) -> _Model:
    library = _library()
    codes = [str(code) for code in library.nb_classes]
    chosen = set(codes) - RARE if languages is None else set(languages)
    if unknown := chosen - set(codes):
        raise ValueError(f"unknown languages: {', '.join(sorted(unknown))}; known: {', '.join(known_languages())}")
    columns = [place for place, code in enumerate(codes) if code in chosen]
    # All weights lie between 2 and 16 in half precision, so they are whole numbers of 512ths: nothing is rounded.
    weights = (library.nb_ptc[:, columns].astype(np.float32) * STEPS).astype(np.int16, order="C")
    return _Model(weights, library.nb_pc[columns].astype(np.float32), tuple(codes[place] for place in columns))


def _same_code(codes: tuple[str, ...]) -> npt.NDArray[np.int64]:
    """Return for each column the first one with its code: a language in two scripts has two."""
    return np.array([codes.index(code) for code in codes], np.int64)


@cache
def _cases() -> _Cases:
    points = 0x20000  # beyond the second plane nothing has two cases
    kinds = np.zeros(points, np.uint8)
    lower = np.arange(points, dtype=np.int32)
    for point in range(points):
        character = chr(point)
        small = character.lower()
        if small != character and len(small) == 1:
            kinds[point], lower[point] = 1, ord(small)
        elif character.islower():
            kinds[point] = 2
    return _Cases(kinds, lower)
