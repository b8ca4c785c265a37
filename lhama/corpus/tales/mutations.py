"""Deliberate mistakes: a correct tale goes in, the same tale with one wrong word comes out.

Two uses: preference pairs (the rejected text is the chosen one with a mistake) and the test of the checker, which must
catch what is injected here. Every mistake replaces a word by another word of the lexicon, so that only agreement, and
never an unknown word, can give it away.
"""

import re
from collections.abc import Callable
from functools import cache

from lhama.corpus.tales import words
from lhama.corpus.tales.grammar import DETERMINERS, FINITE, SPLIT_CONTRACTIONS, adjective, listed, participle, tense
from lhama.corpus.tales.template import Draws

_WORD = re.compile(r"[^\W\d_]+(?:-[^\W\d_]+)*")
_SWAPPED = frozenset(
    listed("o um do no ao pelo este esse aquele meu seu nosso deste desse daquele neste nesse naquele")
)


def _like(model: str, word: str) -> str:
    return word[:1].upper() + word[1:] if model[:1].isupper() else word


@cache
def _numbers_of_nouns() -> dict[str, str]:
    pairs = [
        (n.singular, n.plural) for name in words.table()["nouns"] for n in words.nouns(name) if n.singular != n.plural
    ]
    return dict(pairs) | {many: one for one, many in pairs if one}


@cache
def _genders_of_adjectives() -> dict[str, str]:
    swapped: dict[str, str] = {}
    lemmas = [forms for name in words.table()["adjectives"] for forms in words.adjectives(name)]
    lemmas += [adjective(participle(verb)) for verb in words.table()["verbs"]["all"].split()]
    for masculine, feminine, masculines, feminines in lemmas:
        swapped |= {masculine: feminine, feminine: masculine, masculines: feminines, feminines: masculines}
    return swapped


@cache
def _numbers_of_verbs() -> dict[str, str]:
    swapped: dict[str, str] = {}
    for verb in words.table()["verbs"]["all"].split():
        for name in ("present", "preterite", "imperfect"):
            _, one, _, many = tense(verb, name)
            swapped |= {one: many, many: one}
    return swapped


@cache
def _split() -> dict[str, str]:
    return {joined: " ".join(pair) for pair, joined in SPLIT_CONTRACTIONS.items()}


def _gender_of_determiner(word: str) -> str | None:
    """Swap o and a, do and da, este and esta."""
    for lemma in _SWAPPED:
        forms = DETERMINERS[lemma]
        if word in forms:
            return forms[forms.index(word) ^ 1]
    return None


def _number_of_noun(word: str) -> str | None:
    """Swap singular and plural of a noun that is nothing else."""
    entry = words.lexicon().get(word)
    if entry is None or not entry.noun or entry.verb or entry.adjective or entry.determiner or entry.tags - {"animate"}:
        return None
    return _numbers_of_nouns().get(word)


def _determined(before: str) -> bool:
    """Say whether the word before is an article, a contraction or a possessive."""
    found = _WORD.findall(before[-12:])
    return bool(found) and before.endswith(" ") and _gender_of_determiner(found[-1].lower()) is not None


def _gender_of_adjective(word: str) -> str | None:
    """Swap masculine and feminine of an adjective that is nothing else."""
    entry = words.lexicon().get(word)
    if entry is None or not entry.adjective or entry.noun or entry.determiner or entry.verb or entry.tags:
        return None
    return _genders_of_adjectives().get(word)


def _number_of_verb(word: str) -> str | None:
    """Swap ele and eles of a verb form that is nothing else."""
    entry = words.lexicon().get(word)
    if entry is None or not entry.verb & FINITE or entry.noun or entry.adjective or entry.determiner or entry.tags:
        return None
    return _numbers_of_verbs().get(word)


def _contraction(word: str) -> str | None:
    """Write a contraction as two words."""
    return _split().get(word)


def _pronoun(word: str) -> str | None:
    """Swap ele and ela."""
    return {"ele": "ela", "ela": "ele"}.get(word)


MISTAKES: dict[str, Callable[[str], str | None]] = {
    "determiner gender": _gender_of_determiner,
    "noun number": _number_of_noun,
    "adjective gender": _gender_of_adjective,
    "verb number": _number_of_verb,
    "contraction": _contraction,
    "pronoun gender": _pronoun,
}


def mutate(text: str, mistake: str, draws: Draws, start: int = 0) -> str | None:
    """Give the text with one mistake of this kind at a drawn place after `start`; None where no word allows it."""
    change = MISTAKES[mistake]
    places = []
    for match in _WORD.finditer(text, start):
        if match.group() in words.lexicon() and "name" in words.lexicon()[match.group()].tags:
            continue
        wrong = change(match.group().lower())
        if mistake == "noun number" and not _determined(text[: match.start()]):
            continue  # "folhas e pedra" is no mistake
        if wrong is not None and wrong != match.group().lower():
            places.append((match, wrong))
    if not places:
        return None
    match, wrong = draws.pick(places)
    return text[: match.start()] + _like(match.group(), wrong) + text[match.end() :]
