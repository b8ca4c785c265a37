"""The template language of the tales: a line with slots goes in, agreeing Portuguese comes out.

A slot in braces is a word and a role: {o x} the object with its article, {um x+} with its adjective too, {o x*} in the
plural, {o_meu x} with two determiners, {:meu x} and {bonito x} words that agree with it, {ele h} and {o_ x} pronouns,
{h} the hero's name, {v} the action, {~onde} one of a list of phrases, {~jeito h} one of a list of adjectives, and
{#1 moeda} a number and its noun. A capital letter (or ^) gives a capital letter; | starts a new line. Draws come from
random.Random(text).random(), the part of Python's generator whose stream no version changes.
"""

import random
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from lhama.corpus.tales import grammar, words
from lhama.corpus.tales.grammar import DETERMINERS, FS, PRONOUNS
from lhama.corpus.tales.words import Noun

T = TypeVar("T")


class Draws:
    """Seeded draws; two of the same seed and purpose are equal on every Python."""

    def __init__(self, *purpose: object) -> None:
        self._random = random.Random("/".join(map(str, purpose))).random

    def below(self, limit: int) -> int:
        """Draw a whole number from 0 to limit - 1."""
        return int(self._random() * limit)

    def pick(self, options: Sequence[T]) -> T:
        """Draw one of the options."""
        return options[int(self._random() * len(options))]


def shuffled(draws: Draws, items: Sequence[T]) -> list[T]:
    """Give the items in a drawn order."""
    left = list(items)
    return [left.pop(draws.below(len(left))) for _ in range(len(left))]


@dataclass(frozen=True, slots=True)
class Role:
    """One participant of a story, ready to be inflected."""

    slot: int
    noun: Noun
    name: str = ""
    adjective: grammar.Forms = ("", "", "", "")

    def text(self, plural: bool, described: bool) -> str:
        """Give the bare noun, in the number and with the adjective that the slot asks for."""
        noun = self.noun.plural if plural else self.noun.singular
        if described and self.adjective[0]:
            return noun + " " + self.adjective[self.slot + 2 * plural]
        return noun


@dataclass(slots=True)
class Scene:
    """What the slots of one story refer to."""

    roles: dict[str, Role]
    action: str
    mood: str
    draws: Draws
    numbers: dict[str, int] = field(default_factory=dict)
    colours: dict[str, str] = field(default_factory=dict)
    hero_was_subject: bool = False


Part = str | Callable[[Scene], str]


@dataclass(frozen=True, slots=True)
class Template:
    """A compiled line: its parts, and whether its last sentence begins with the hero."""

    parts: tuple[Part, ...]
    hero_last: bool


_SLOT = re.compile(r"\{([^}]+)\}")
_PAIR = {
    "os dois": ("os dois", "as duas", "os dois", "as duas"),
    "nós dois": ("nós dois", "nós duas", "nós dois", "nós duas"),
}


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _determiner(phrase: str) -> grammar.Forms | None:
    """Give the forms of a determiner phrase such as o, do, o_meu; None for any other word."""
    if phrase in _PAIR:
        return _PAIR[phrase]
    parts = [DETERMINERS.get(word) for word in phrase.split(" ")]
    if any(part is None for part in parts):
        return None
    forms = [" ".join(part[slot] for part in parts if part) for slot in range(4)]
    return forms[0], forms[1], forms[2], forms[3]


def _agreeing(phrase: str) -> grammar.Forms:
    """Give the four forms of a phrase all of whose words agree, such as um bom amigo."""
    each = [PRONOUNS.get(word) or DETERMINERS.get(word) or grammar.adjective(word) for word in phrase.split(" ")]
    forms = [" ".join(part[slot] for part in each) for slot in range(4)]
    return forms[0], forms[1], forms[2], forms[3]


def _list_slot(name: str, role: str) -> Part:
    if name in words.table()["adjectives"]:
        options = words.adjectives(name)
        return lambda scene: scene.draws.pick(options)[scene.roles[role].slot]
    ready = words.phrases(name)
    return lambda scene: scene.draws.pick(ready)


def _number_slot(number: str, noun: str) -> Part:
    entry = next(word for word in words.nouns("outros") if word.singular == noun)

    def spell(scene: Scene) -> str:
        value = scene.numbers[number]
        return grammar.number_word(value, entry.gender == FS) + " " + (entry.singular if value == 1 else entry.plural)

    return spell


def _role_slot(phrase: str, role: str) -> Part:
    described = role.endswith("+")
    plural = role.endswith("*")
    role = role.rstrip("+*")
    offset = 2 if plural else 0
    if not phrase:
        return lambda scene: scene.roles[role].name or scene.roles[role].text(plural, described)
    forms = None if phrase[0] in ":" or phrase.endswith("_") else _determiner(phrase.replace("_", " "))
    if forms is not None:
        return lambda scene: (
            forms[scene.roles[role].slot + offset] + " " + scene.roles[role].text(plural, described)
        ).rstrip()
    agreeing = _agreeing(phrase.strip(":_"))
    return lambda scene: agreeing[scene.roles[role].slot + offset]


def _slot(content: str) -> Part:
    """Compile what stands between two braces."""
    phrase, _, role = content.rpartition(" ")
    if content.startswith("~"):
        return _list_slot((phrase or content)[1:], role)
    if content.startswith("#"):
        return _number_slot(phrase[1:], role)
    if content == "v":
        return lambda scene: scene.action
    if phrase == "mood":
        return lambda scene: grammar.adjective(scene.mood)[scene.roles[role].slot]
    if re.fullmatch(r"cor\d(_\w+)?", content):
        return lambda scene: scene.colours[content]
    return _role_slot(phrase, role)


def _opens_with_hero(line: str) -> bool:
    return line.startswith(("{h} ", "{Ele h} ")) and not line.startswith("{h} e ")


def _hero_first(scene: Scene) -> str:
    """Name the hero, or say "ele" where the sentence before began with the hero, too."""
    hero = scene.roles["h"]
    if scene.hero_was_subject and scene.draws.below(3) == 0:
        return _capital(PRONOUNS["ele"][hero.slot])
    return hero.name


def _ends_with_hero(line: str) -> bool:
    """Say whether the last sentence of a line begins with the hero."""
    return _opens_with_hero(re.split(r"[.!?] (?=[{A-ZÀ-Ú—])|\|", line)[-1])


def compile_line(line: str) -> Template:
    """Turn a line with slots into the parts that render() joins."""
    parts: list[Part] = []
    hero_last = _ends_with_hero(line)
    if _opens_with_hero(line):
        parts.append(_hero_first)
        line = line[line.index("}") + 1 :]
    for index, piece in enumerate(_SLOT.split(line.replace("|", "\n"))):
        if index % 2 == 0:
            if piece:
                parts.append(piece)
            continue
        lowered = piece[1:] if piece[0] == "^" else piece[0].lower() + piece[1:]
        part = _slot(lowered)
        if piece == lowered or isinstance(part, str):
            parts.append(part)
        else:
            parts.append(lambda scene, inner=part: _capital(inner(scene)))  # type: ignore[misc]
    return Template(tuple(parts), hero_last)


def render(template: Template, scene: Scene) -> str:
    """Fill the slots of a compiled line."""
    text = "".join(part if isinstance(part, str) else part(scene) for part in template.parts)
    if text:
        scene.hero_was_subject = template.hero_last
    return text


def join(sentences: Sequence[str]) -> str:
    """Join sentences into text: speech starts a line, and so does what follows it."""
    text = ""
    for sentence in sentences:
        if not text:
            text = sentence.lstrip("\n")
        elif sentence.startswith("\n") or text.rpartition("\n")[2].startswith("—"):
            text += "\n" + sentence.lstrip("\n")
        else:
            text += " " + sentence
    return text
