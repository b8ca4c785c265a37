"""Languages are told apart, with the library's own scores, on a sample that is what it is said to be."""

import itertools
import json
import tomllib
import unicodedata
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import zstandard
from hypothesis import example, given, settings
from hypothesis import strategies as st
from py3langid.langid import MODEL_FILE, LanguageIdentifier

from lhama.corpus import language
from lhama.corpus.kernels_language import RUN_IN, WINDOW, WINDOWS
from lhama.corpus.language import RARE, UNDETERMINED, identify, known_languages
from lhama.corpus.words import Texts, texts_of

SENTENCES = tomllib.loads(Path(__file__).with_name("sentences.toml").read_text(encoding="utf-8"))
CODES = {"es": "es", "gl": "gl", "en": "en", "fr": "fr", "it": "it", "pt_br": "pt", "pt_pt": "pt"}
DATA = Path(__file__).parents[2].parent / "shared" / "data" / "corpus"


def texts(written: list[str]) -> Texts:
    return texts_of(pa.array(written, pa.large_string()))


@cache
def library() -> Any:
    peer = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
    peer.set_languages(sorted(set(known_languages()) - RARE))
    return peer


def lowered(text: str) -> str:
    """Lower the capitals of a text that is mostly capitals: the definition."""
    capitals = sum(character.lower() != character for character in text)
    small = sum(character.islower() for character in text)
    return "".join(character.lower() for character in text) if capitals > small else text


def sampled(text: str) -> str:
    """Take beginning, middle and end of a long text: the definition, over bytes."""
    data = text.encode()
    if len(data) <= WINDOWS * WINDOW:
        return text
    pieces = [data[:WINDOW]]
    for window in (1, 2):
        stop = WINDOW + (len(data) - WINDOW) * window // 2
        begin = stop - WINDOW
        spaces = [place for place in range(begin, begin + 32) if data[place] in b" \n"]
        pieces.append(data[spaces[0] + 1 if spaces else begin : stop])
    return "\n".join(piece.decode("utf-8", "ignore") for piece in pieces)


@pytest.mark.parametrize("name", CODES)
def test_short_sentences(name: str) -> None:
    found = identify(texts(SENTENCES[name]), CODES[name])
    assert found.codes.tolist() == [CODES[name]] * len(SENTENCES[name])
    np.testing.assert_array_equal(found.scores, found.wanted)


@pytest.mark.parametrize("name", CODES)
def test_paragraphs_are_certain(name: str) -> None:
    found = identify(texts([" ".join(SENTENCES[name])]))
    assert found.codes[0] == CODES[name]
    assert found.scores[0] > 0.99
    assert (found.wanted[0] > 0.99) == (CODES[name] == "pt")


@pytest.mark.parametrize("name", ["pt_br", "pt_pt", "es", "gl"])
def test_capitals_change_nothing(name: str) -> None:
    """py3langid lowers only what has no small letter at all; one abbreviation turned an act in capitals into Breton."""
    whole = " ".join(SENTENCES[name])
    shouted = identify(texts([whole.upper() + " ltda.", whole + " LTDA."]), CODES[name])
    assert shouted.codes.tolist() == [CODES[name]] * 2
    assert abs(shouted.scores[0] - shouted.scores[1]) < 0.01


def simple(text: str) -> str:
    """Compose a text, and leave out the few characters whose lower case is two characters."""
    return "".join(one for one in unicodedata.normalize("NFC", text) if len(one.lower()) == 1)


@settings(max_examples=150, deadline=None)
@given(st.text(max_size=280).map(simple))
@example("ÇÃO É ÓTIMO; ŁÓDŹ, ЖЁЛТЫЙ, ΑΘΗΝΑ, 𐐀𐐁")
@example("a" * 64)
def test_scores_are_the_library_s(text: str) -> None:
    found = identify(texts([text]))
    plain = lowered(text)
    if unicodedata.normalize("NFC", plain) != plain or plain.isupper():
        return
    ranked = dict(library().rank(plain))
    if found.codes[0] == UNDETERMINED:
        assert len(set(np.round(list(ranked.values()), 4))) <= 2  # even, but for languages in two scripts
        assert found.scores[0] == found.wanted[0] == 0
        return
    assert abs(ranked[str(found.codes[0])] - max(ranked.values())) < 1e-4
    assert abs(ranked[str(found.codes[0])] - found.scores[0]) < 1e-4
    assert abs(ranked["pt"] - found.wanted[0]) < 1e-4


WORDS = st.sampled_from(("de", "a", "o", "que", "casa", "não", "água", "ação", "the", "и", "в", "日本", "x1", "—"))


@settings(max_examples=60, deadline=None)
@given(st.lists(WORDS, min_size=200, max_size=900))
def test_long_documents_are_judged_by_three_windows(words: list[str]) -> None:
    text = " ".join(words)
    sample = sampled(text)
    if len(sample.encode()) > WINDOWS * WINDOW:
        return
    one, other = identify(texts([text])), identify(texts([sample]))
    assert one.codes[0] == other.codes[0]
    assert one.scores[0] == other.scores[0]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.text(max_size=60), max_size=6))
def test_company_does_not_matter(written: list[str]) -> None:
    together = identify(texts(written))
    for place, text in enumerate(written):
        alone = identify(texts([text]))
        assert alone.codes[0] == together.codes[place]
        assert alone.scores[0] == together.scores[place]
        assert alone.wanted[0] == together.wanted[place]


def test_only_the_middle_is_foreign() -> None:
    """A document is not judged by its beginning alone."""
    portuguese, english = " ".join(SENTENCES["pt_br"]), " ".join(SENTENCES["en"])
    found = identify(texts([english + portuguese * 3, portuguese + english + portuguese]))
    assert found.wanted[0] > 0.5
    assert found.codes.tolist() == ["pt", "pt"]


def test_the_automaton_forgets_within_the_run_in() -> None:
    """A walk that begins RUN_IN bytes early is in the right state; the deepest state says how early is enough."""
    automaton = language._automaton()
    rows, row_of = automaton.following.reshape(-1, 256), automaton.row_of
    depth = np.full(len(row_of), -1)
    level, states = 0, np.zeros(1, rows.dtype)
    while len(states):
        depth[states] = level
        reached = np.unique(rows[np.unique(row_of[states])])
        level, states = level + 1, reached[depth[reached] < 0]
    assert depth.min() == 0
    assert depth.max() <= RUN_IN


def test_what_cannot_be_told_is_undetermined() -> None:
    found = identify(texts(["", "\n\n", "🦙"]))
    assert found.codes[0] == UNDETERMINED
    assert found.scores[0] == 0
    assert identify(texts([])).codes.tolist() == []


def test_languages_can_be_chosen() -> None:
    galician = texts([SENTENCES["gl"][5]])
    assert identify(galician, "pt", ("pt", "es", "en")).codes[0] in ("pt", "es")
    assert set(RARE) < set(known_languages())
    with pytest.raises(ValueError, match="tlh"):
        identify(galician, "tlh")
    with pytest.raises(ValueError, match="among"):
        identify(galician, "an")


@pytest.mark.skipif(not DATA.is_dir(), reason="no real text here")
@pytest.mark.parametrize(
    ("name", "least", "most"),
    [("machado_de_assis", 0.99, 1.0), ("gutenberg_mislabelled", 0.0, 0.0), ("camara_sumarios", 0.99, 1.0)],
)
def test_real_text(name: str, least: float, most: float) -> None:
    with zstandard.open(DATA / f"{name}.jsonl.zst", "rt", encoding="utf-8") as file:
        written = [json.loads(line)["text"] for line in itertools.islice(file, 300)]
    assert least <= (identify(texts(written)).codes == "pt").mean() <= most
