"""Each cue is counted where grammar says, and a verdict is rather unsure than wrong."""

import json
import re
import tomllib
from itertools import islice
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from lhama.corpus import variety
from lhama.corpus.kernels_variety import LOOKED_AT
from lhama.corpus.variety import BRAZILIAN, EUROPEAN, UNSURE, count, cues, explain, fit, judge, weights
from lhama.corpus.words import Texts, texts_of

SENTENCES = tomllib.loads(Path(__file__).with_name("sentences.toml").read_text(encoding="utf-8"))
DATA = Path(__file__).parents[2].parent / "shared" / "data" / "corpus"

# Written for this test in the spelling of 1880.
OLD = """Hontem appareceu em minha casa um cavalleiro inglez que me fallou da belleza d'aquella creança. Elle trazia
o cabello solto e um chapéo prompto a cahir. Disse-me que soffria muito e que a sciencia não lhe dava allivio; ella,
que tudo ouvia, nada respondeu, e d'ahi a pouco ambos sahiram sem offerecer explicação."""


def texts(written: list[str]) -> Texts:
    return texts_of(pa.array(written, pa.large_string()))


def counted(text: str) -> dict[str, int]:
    counts, _ = count(texts([text]))
    return {name: number for name, number in zip(cues().names, counts[0].tolist(), strict=True) if number}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("O facto é que o Director já fez a ACÇÃO.", {"european.mute_consonants": 3}),
        ("O fato é esse.", {"brazilian.kept_apart": 1}),
        ("Gosto de ação direta.", {}),  # what the reform of 1990 made alike
        ("Boa receção e mau aspeto.", {"european.agreement_1990": 2}),
        ("O registo, um registro.", {"european.verbs": 1, "brazilian.verbs": 1}),
        ("Perdi o autocarro e o ônibus.", {"european.lexicon": 1, "brazilian.lexicon": 1}),
        ("António, o ténis e o género.", {"european.accent_before_nasal": 3}),
        ("ECONÔMICO e gênero.", {"brazilian.accent_before_nasal": 2}),
        ("O estômago da fêmea também tem fome.", {}),  # both write these accents
        ("São frequentes as conseqüências; o pingüim aguenta a argüição.", {"brazilian.trema": 3}),
        ("Que idéia, que platéias! Uma ideia.", {"brazilian.accent_in_eia": 2}),
        ("Ontem falámos e dançámos; hoje falamos. Os amos.", {"european.first_plural_in_amos": 2}),
        ("Ele está a ler e estava a fugir, está a par.", {"european.progressive_infinitive": 3}),
        ("Ele está lendo e continua fugindo; foi andando.", {"brazilian.progressive_gerund": 2}),
        ("A minha avó e o meu tio, na sua casa.", {"european.possessive_with_article": 3}),
        ("Falei com minha avó em sua casa.", {"brazilian.possessive_without_article": 2}),
        ("Isto é meu. Um amigo meu; este seu amigo.", {"brazilian.possessive_without_article": 1}),
        ("Chegou a 8 de março.", {"european.date_with_a": 1}),
        ("De 5 a 8 de março, e de 2 de maio a 8 de junho.", {}),
        ("Chegou em 8 de março, no dia 9 de abril.", {"brazilian.date_with_em_or_dia": 2}),
        ("Tenho de sair, ele tem que ficar, temos de novo.", {"european.ter_de": 1, "brazilian.ter_que": 1}),
        ("Em 3 de Maio, e de maio a Junho.", {"brazilian.date_with_em_or_dia": 1, "european.month_in_capitals": 1}),
        ("Me disse que sim. Te vejo. Disse-me. Ele me viu.", {"brazilian.object_begins_sentence": 1}),
        ("Há-de vir; há de vir; hão-de ver.", {"european.hyphen_before_de": 2}),
        ("Em um dia, num mês, em uma hora.", {"brazilian.em_um": 2, "european.in_one": 1}),
        ("Você e vocês", {"brazilian.you": 2}),
    ],
)
def test_cues_by_hand(text: str, expected: dict[str, int]) -> None:
    found = counted(text)
    if "autocarro" in text:
        assert found.pop("brazilian.accent_before_nasal") == 1  # ônibus
    assert found == expected


def accents(word: str, exceptions: frozenset[str]) -> tuple[int, int, int, int, int]:
    """Count the accent cues of one word: the definition, as patterns."""
    either = word in exceptions
    vowel = "[aeiouáàâãéêíóôõúü]"
    return (
        0 if either else len(re.findall(f"[éó](?=[mn]{vowel})", word)),
        0 if either else len(re.findall(f"[êô](?=[mn]{vowel})", word)),
        len(re.findall("(?<=[gq])ü(?=[eià-ÿ])", word)),
        int(bool(re.search("éias?$", word))),
        int(word.endswith("ámos") and len(word.encode()) >= 8),
    )


@settings(max_examples=300, deadline=None)
@given(st.text(alphabet="aeiougqmnsréêóôáüíãçé", min_size=1, max_size=9))
def test_accents_by_another_definition(word: str) -> None:
    first = cues().groups
    counts, _ = count(texts([word, word.upper()]))
    lexicon = {"estômago", "estômagos", "fêmea", "fêmeas"}
    assert counts[0, first : first + 5].tolist() == list(accents(word, frozenset(lexicon)))
    assert counts[1, first : first + 5].tolist() == counts[0, first : first + 5].tolist()


def test_sentences_of_two_countries() -> None:
    found = judge(texts([" ".join(SENTENCES["pt_br"]), " ".join(SENTENCES["pt_pt"]), "", "A casa é azul."]))
    assert found.verdicts.tolist() == [BRAZILIAN, EUROPEAN, UNSURE, UNSURE]
    assert found.european[2] == found.european[3] == 0.5
    assert EUROPEAN not in judge(texts(SENTENCES["pt_br"])).verdicts
    assert BRAZILIAN not in judge(texts(SENTENCES["pt_pt"])).verdicts


def test_old_spelling_is_a_time_and_not_a_place() -> None:
    found = judge(texts([OLD, OLD + " O director está a fazer a acção."] + SENTENCES["pt_br"] + SENTENCES["pt_pt"]))
    assert found.old[0] > 0.1
    assert found.verdicts[:2].tolist() == [UNSURE, UNSURE]
    assert (found.old[2:] == 0).all()


def test_explain_sums_to_the_verdict() -> None:
    text = " ".join(SENTENCES["pt_pt"])
    evidence = sum(nats for _, _, nats in explain(text))
    assert judge(texts([text])).european[0] == pytest.approx(1 / (1 + np.exp(-evidence)), rel=1e-5)
    strengths = [abs(nats) for _, _, nats in explain(text)]
    assert strengths == sorted(strengths, reverse=True)


def test_only_the_beginning_is_looked_at() -> None:
    long = "á" * (LOOKED_AT // 2)
    counts, words = count(texts([long + " facto", "facto " + long, "a" + long + " facto"]))
    assert counts[:, list(cues().names).index("european.mute_consonants")].tolist() == [0, 1, 0]
    assert words.tolist() == [1, 2, 1]  # of the last á of the third only half would have fitted


@settings(max_examples=60, deadline=None)
@given(st.lists(st.text(max_size=80), max_size=5))
def test_company_does_not_matter(written: list[str]) -> None:
    together, _ = count(texts(written))
    for place, text in enumerate(written):
        np.testing.assert_array_equal(count(texts([text]))[0][0], together[place])


def test_the_shipped_weights_speak_for_their_sides() -> None:
    shipped = json.loads((variety.DATA / "variety_pt.json").read_text())
    assert set(shipped) == {name for name in cues().names if not name.startswith("old.")}
    for name, weight in shipped.items():
        assert weight >= 0 if name.startswith("european.") else weight <= 0
    assert set(shipped) >= variety.PREFERENCES
    assert (weights() != 0).sum() > 30


def test_fit_is_the_optimum_of_its_definition() -> None:
    """At the optimum a weight is either without slope or at none, where the slope points to the forbidden side."""
    generator = np.random.default_rng(0)
    names = cues().names
    european = np.arange(400) % 2 == 0
    rates = np.where([name.startswith("european") for name in names], 0.9, 0.2)
    rates = np.where(european[:, None], rates, rates[::-1]) * 0.3
    counts = generator.poisson(rates).astype(np.int32)
    sources = np.array([f"{'e' if one else 'b'}{number % 3}" for number, one in enumerate(european.tolist())])
    fitted = fit(counts, european, sources)
    assert fitted == fit(counts, european, sources)
    used = [name for name in names if not name.startswith("old.")]
    features = np.log1p(counts[:, [names.index(name) for name in used]])
    solution = np.array([fitted[name] for name in used])
    sides = np.array([1.0 if name.startswith("european.") else -1.0 for name in used])
    start = sides * np.array([name not in variety.PREFERENCES for name in used])
    importance = np.zeros(400)
    for source in set(sources.tolist()):
        importance[sources == source] = 0.5 / 3 / (sources == source).sum()
    chance = 1 / (1 + np.exp(-features @ solution))
    slopes = features.T @ (importance * (chance - european)) + variety.PULL * (solution - start)
    assert np.abs(slopes[solution != 0]).max() < 1e-4  # the weights are rounded to three digits
    assert (slopes[solution == 0] * sides[solution == 0] > -1e-4).all()


@pytest.mark.skipif(not DATA.is_dir(), reason="no real text here")
@pytest.mark.parametrize(("name", "most"), [("machado_de_assis", 0.005), ("romances_brasil", 0.005)])
def test_brazil_in_the_nineteenth_century_is_not_european(name: str, most: float) -> None:
    with zstandard.open(DATA / f"{name}.jsonl.zst", "rt", encoding="utf-8") as file:
        written = [json.loads(line)["text"] for line in islice(file, 400)]
    assert (judge(texts(written)).verdicts == EUROPEAN).mean() <= most
