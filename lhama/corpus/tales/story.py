"""The story writer: a plot, a cast and a source of draws go in, the sentences of one story come out.

Plots live in plots/*.toml. A plot has wishes (`want`: the sentence that names action and object), branches (how it goes
on, each with the feeling at its end) and steps; a step is one alternative a line. A line may start with @branch, stand
for a shared group (&encontro, &mood), or be - (nothing); template.py tells what a line may hold. Because one cast fills
all the slots, what is lost is what is found, and who helps is who is thanked.
"""

import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from hashlib import sha256
from typing import Any

from lhama.corpus.tales import grammar, words
from lhama.corpus.tales.grammar import FS, MS, SLOTS
from lhama.corpus.tales.template import Draws, Role, Scene, Template, compile_line, join, render
from lhama.corpus.tales.words import Noun

HELD_OUT_SHARE = 20  # one combination in twenty stays out of training


@lru_cache(maxsize=1 << 16)
def held_out(hero: str, action: str, thing: str) -> bool:
    """Say whether training documents never tell of this hero, action and object together."""
    return int.from_bytes(sha256(f"{hero}/{action}/{thing}".encode()).digest()[:8], "big") % HELD_OUT_SHARE == 0


@dataclass(frozen=True, slots=True)
class Branch:
    """One way a plot can go: its steps in order, where the feeling stands, and the questions it answers."""

    mood: str
    steps: tuple[tuple[Template, ...], ...]
    feeling: int
    questions: tuple[tuple[Template, Template], ...]


@dataclass(frozen=True, slots=True)
class Plot:
    """A compiled plot."""

    name: str
    actions: tuple[str, ...]
    objects: tuple[tuple[str, Noun], ...]
    places: Mapping[str, str]
    hero: str
    friend: str
    roles: Mapping[str, str]
    want: tuple[Template, ...]
    branches: tuple[Branch, ...]
    sum: bool
    colours: bool


def read_data(name: str) -> dict[str, Any]:
    return tomllib.loads((words.FOLDER / name).read_text(encoding="utf-8"))


def text_lines(block: str) -> list[str]:
    return [line for line in block.strip().split("\n") if line]


def _branch(name: str, mood: str, source: Mapping[str, Any], shared: Mapping[str, str]) -> Branch:
    steps: list[tuple[Template, ...]] = []
    feeling = -1
    for block in source["steps"]:
        lines: list[str] = []
        for raw in text_lines(block):
            mark, _, rest = raw.partition(" ") if raw.startswith("@") else ("", "", raw)
            if mark not in ("", "@" + name):
                continue
            if rest == "&mood":
                feeling = len(steps)
            lines += text_lines(shared[mood if rest == "&mood" else rest[1:]]) if rest.startswith("&") else [rest]
        if lines:
            steps.append(tuple(compile_line("" if line == "-" else line) for line in lines))
    pairs = []
    for raw in text_lines(source["questions"]):
        mark, _, rest = raw.partition(" ") if raw.startswith("@") else ("", "", raw)
        if mark in ("", "@" + name):
            question, answer = rest.split(" = ")
            pairs.append((compile_line(question), compile_line(answer)))
    return Branch(mood, tuple(steps), feeling, tuple(pairs))


def _places(source: Mapping[str, Any]) -> Mapping[str, str]:
    """Give the class of places for each class of objects; most plots have one for all."""
    place = source.get("place", "natureza")
    return place if isinstance(place, dict) else dict.fromkeys(source["objects"].split(), place)


@cache
def plots() -> tuple[Plot, ...]:
    """Read and compile every plot."""
    shared = read_data("shared.toml")
    found = []
    for path in sorted((words.FOLDER / "plots").glob("*.toml")):
        for name, source in read_data(f"plots/{path.name}").items():
            found.append(
                Plot(
                    name=name,
                    actions=tuple(source["actions"].split()),
                    objects=tuple((kind, noun) for kind in source["objects"].split() for noun in words.nouns(kind)),
                    places=_places(source),
                    hero=source.get("hero", "heroi"),
                    friend=source.get("friend", ""),
                    roles=source.get("roles", {}),
                    want=tuple(compile_line(line) for line in text_lines(source["want"])),
                    branches=tuple(_branch(key, mood, source, shared) for key, mood in source["branches"].items()),
                    sum=source.get("sum", False),
                    colours=source.get("colours", False),
                )
            )
    return tuple(found)


@cache
def _openings() -> tuple[Template, ...]:
    return tuple(compile_line(line) for line in text_lines(read_data("shared.toml")["abertura"]))


_MIXED = (
    ("azul", "amarelo", "verde"),
    ("vermelho", "amarelo", "laranja"),
    ("vermelho", "azul", "roxo"),
    ("vermelho", "branco", "rosa"),
    ("preto", "branco", "cinza"),
)


def _person(draws: Draws, kinds: Sequence[Noun]) -> Role:
    noun = draws.pick(kinds)
    return Role(SLOTS.index(noun.gender), noun, draws.pick(words.names(noun.gender)))


def _other(draws: Draws, options: Sequence[Noun], *taken: Noun) -> Noun:
    """Draw a noun that is not taken yet."""
    while (noun := draws.pick(options)) in taken:
        pass
    return noun


@dataclass(slots=True)
class Story:
    """One story before it is joined: the sentences, and what they are about."""

    plot: Plot
    branch: Branch
    scene: Scene
    opening: str
    sentences: list[str]

    @property
    def hero(self) -> str:
        """Give the hero's name."""
        return self.scene.roles["h"].name

    @property
    def thing(self) -> str:
        """Give the noun of what the hero wants."""
        return self.scene.roles["x"].noun.singular

    @property
    def action(self) -> str:
        """Give the infinitive of what the hero wants to do."""
        return self.scene.action

    def questions(self) -> list[tuple[str, str]]:
        """Give the questions that this story answers."""
        return [
            (render(question, self.scene), render(answer, self.scene)) for question, answer in self.branch.questions
        ]

    def text(self, feeling: bool = True) -> str:
        """Join the sentences; without its feeling a story leaves the mood to be understood."""
        chosen = [s for index, s in enumerate(self.sentences) if s and (feeling or index != self.branch.feeling)]
        return join([self.opening, *chosen])


def cast(
    draws: Draws, thing: Noun, described: Sequence[grammar.Forms], place: str, heroes: str = "heroi", company: str = ""
) -> dict[str, Role]:
    """Draw everyone and everything around an object: hero (h), friend (a), place (l), home (c); p and q are pairs."""
    hero = _person(draws, words.nouns(heroes))
    friends = words.nouns(company) if company else words.nouns("heroi") + words.nouns("amigo")
    friend = _person(draws, friends)
    while friend.name == hero.name or friend.noun.singular[:4] == hero.noun.singular[:4]:
        friend = _person(draws, friends)
    where = _other(draws, words.nouns(place), thing)
    near = _other(draws, words.nouns("natureza"), where, thing)
    pair = Noun("", "", MS)
    return {
        "h": hero,
        "a": friend,
        "x": Role(SLOTS.index(thing.gender), thing, "", draws.pick(described)),
        "l": Role(SLOTS.index(where.gender), where),
        "c": Role(SLOTS.index(near.gender), near),
        "p": Role(3 if hero.slot and friend.slot else 2, pair),
        "q": Role(3 if hero.slot and thing.gender == FS else 2, pair),
    }


def _cast(draws: Draws, plot: Plot, allowed: Callable[[str, str, str], bool]) -> tuple[str, dict[str, Role]]:
    """Draw action, object and cast until the combination is allowed."""
    while True:
        kind, thing = draws.pick(plot.objects)
        action = draws.pick(plot.actions)
        roles = cast(draws, thing, words.adjectives(kind), plot.places[kind], plot.hero, plot.friend)
        if allowed(roles["h"].name, action, thing.singular):
            break
    for role, name in plot.roles.items():
        noun = _other(draws, words.nouns(name), thing)
        roles[role] = Role(SLOTS.index(noun.gender), noun)
    return action, roles


def tell(draws: Draws, allowed: Callable[[str, str, str], bool] | None = None) -> Story:
    """Write one story; unless told otherwise no held-out combination."""
    plot = draws.pick(plots())
    branch = draws.pick(plot.branches)
    action, roles = _cast(draws, plot, allowed or (lambda *triple: not held_out(*triple)))
    scene = Scene(roles, action, branch.mood, draws)
    if plot.sum:
        first, second = 2 + draws.below(6), 2 + draws.below(5)
        scene.numbers = {"1": first, "2": second, "3": first + second}
    if plot.colours:
        one, two, mixed = draws.pick(_MIXED)
        tint = grammar.adjective(mixed) if mixed not in ("laranja", "rosa", "cinza") else (mixed,) * 4
        scene.colours = {"cor1": one, "cor2": two, "cor3": mixed, "cor3_tinta": tint[1], "cor3_chao": tint[0]}
    opening = join([render(draws.pick(_openings()), scene), render(draws.pick(plot.want), scene)])
    sentences = []
    for index, step in enumerate(branch.steps):
        sentences.append(render(draws.pick(step), scene))
        if index == branch.feeling:
            scene.hero_was_subject = False  # what follows must be clear without the feeling, too
    return Story(plot, branch, scene, opening, sentences)
