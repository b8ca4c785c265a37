"""The words of the tales: words.toml goes in, classes of nouns and adjectives and the full lexicon of forms come out.

The writer (story.py) draws from the classes; the checker (check.py) knows nothing but the lexicon, where each form has
its readings: as a noun, an adjective, a determiner (masks of gender and number) and a verb (mask of persons). Function
words come first: "para" is a preposition here and never a form of parar, so that a short list decides what a parser
would have to guess.
"""

import tomllib
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from lhama.corpus.tales import grammar
from lhama.corpus.tales.grammar import FS, MP, MS, PLURAL, SINGULAR, SLOTS, listed

ANIMATE = frozenset(listed("heroi amigo pequeno grande filhote parente bicho gente"))
FOLDER = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Noun:
    """A noun with its plural and gender (MS or FS); /F in words.toml marks a feminine that has no singular."""

    singular: str
    plural: str
    gender: int


@dataclass(slots=True)
class Entry:
    """All readings of one written form."""

    noun: int = 0
    adjective: int = 0
    determiner: int = 0
    verb: int = 0
    name: int = 0
    participle: int = 0
    tags: set[str] = field(default_factory=set)
    lemmas: set[str] = field(default_factory=set)


@cache
def table() -> dict[str, Any]:
    """Read words.toml once."""
    return tomllib.loads((FOLDER / "words.toml").read_text(encoding="utf-8"))


@cache
def nouns(name: str) -> tuple[Noun, ...]:
    """Give the nouns of a class."""
    pairs = (word.split("/") for word in table()["nouns"][name].split())
    return tuple(
        Noun(
            "" if gender == "F" else word, word if gender == "F" else grammar.plural(word), MS if gender == "m" else FS
        )
        for word, gender in pairs
    )


@cache
def adjectives(name: str) -> tuple[grammar.Forms, ...]:
    """Give the adjectives of a class, four forms each."""
    return tuple(grammar.adjective(word) for word in table()["adjectives"][name].split())


@cache
def names(gender: int) -> tuple[str, ...]:
    """Give the first names of a gender (MS or FS)."""
    return tuple(table()["names"]["m" if gender == MS else "f"].split())


@cache
def phrases(name: str) -> tuple[str, ...]:
    """Give the ready-made phrases of a list."""
    return tuple(table()["phrases"][name].split(" / "))


def _add_closed_classes(lexicon: dict[str, Entry]) -> None:
    """Add function words, determiners, pronouns and contractions."""

    def entry(word: str) -> Entry:
        return lexicon.setdefault(word, Entry())

    for tag, words in table()["function"].items():
        for word in words.split():
            entry(word).tags.add(tag)
    for lemma, forms in grammar.DETERMINERS.items():
        for slot, form in zip(SLOTS, forms, strict=True):
            entry(form).determiner |= slot
            entry(form).lemmas.add(lemma)
    for lemma, forms in grammar.PRONOUNS.items():
        for slot, form in zip(SLOTS, forms, strict=True):
            entry(form).tags.add("pronoun")
            entry(form).lemmas.add(lemma)
            entry(form).name |= slot
    entry("eu").tags.add("pronoun")
    entry("nós").tags.add("pronoun")
    for word in ("cada", "qualquer"):
        entry(word).determiner = SINGULAR
    for first, second in grammar.SPLIT_CONTRACTIONS:
        entry(grammar.SPLIT_CONTRACTIONS[first, second]).tags.add("contraction")


def _add_numbers(lexicon: dict[str, Entry]) -> None:
    """Add the numbers in words, which count the noun behind them."""

    def entry(word: str) -> Entry:
        return lexicon.setdefault(word, Entry())

    for number in range(101):
        for feminine in (False, True):
            for word in grammar.number_word(number, feminine).split(" e "):
                entry(word).tags.add("number")
    for number in range(2, 101):
        word = grammar.number_word(number)
        if " " not in word:
            entry(word).determiner = MP if number == 2 else PLURAL
    entry("duas").determiner = grammar.FP


def _add_open_classes(lexicon: dict[str, Entry], closed: frozenset[str]) -> None:
    """Add nouns, adjectives and verbs; a noun or verb form that is a function word stays one."""

    def entry(word: str) -> Entry:
        return lexicon.setdefault(word, Entry())

    for name in table()["nouns"]:
        for noun in nouns(name):
            for form, slot in ((noun.singular, noun.gender), (noun.plural, noun.gender << 2)):
                if form and form not in closed:
                    entry(form).noun |= slot
                    if name in ANIMATE:
                        entry(form).tags.add("animate")
    for name in table()["adjectives"]:
        for forms in adjectives(name):
            for slot, form in zip(SLOTS, forms, strict=True):
                entry(form).adjective |= slot
                entry(form).lemmas.add(forms[0])
    for infinitive in table()["verbs"]["all"].split():
        for form, persons in grammar.conjugate(infinitive).items():
            if form not in closed:
                entry(form).verb |= persons
                entry(form).lemmas.add(infinitive)
        for slot, form in zip(SLOTS, grammar.adjective(grammar.participle(infinitive)), strict=True):
            entry(form).adjective |= slot
            entry(form).participle |= slot


@cache
def lexicon() -> dict[str, Entry]:
    """Give every known form (names capitalised, all else in lower case) with its readings."""
    known: dict[str, Entry] = {}
    _add_closed_classes(known)
    _add_numbers(known)
    closed = frozenset(form for form, entry in known.items() if entry.tags != {"adverb"} or entry.determiner)
    _add_open_classes(known, closed)
    for gender in (MS, FS):
        for name in names(gender):
            known.setdefault(name, Entry()).name |= gender
            known[name].tags.add("name")
    return known
