"""The kinds of text beside the story: dialogues, descriptions, facts, arithmetic, questions over a story just told.

Each function takes draws and gives a text; facts.toml and talk.toml hold the sentences. Facts are few and true; they
come back in changing order, company and form (as a statement or as question and answer), so that a model meets each
of them often enough to know it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from lhama.corpus.tales import grammar, words
from lhama.corpus.tales.grammar import FS, MS
from lhama.corpus.tales.story import Story, cast, read_data, text_lines
from lhama.corpus.tales.template import Draws, Role, Scene, Template, compile_line, join, render, shuffled
from lhama.corpus.tales.words import Noun


@dataclass(frozen=True, slots=True)
class Fact:
    """A true sentence, a question that it answers, and the short answer."""

    statement: str
    question: str
    answer: str


@cache
def facts() -> dict[str, tuple[Fact, ...]]:
    """Read the facts, by theme."""
    return {
        theme: tuple(Fact(*line.split(" = ")) for line in text_lines(block))
        for theme, block in read_data("facts.toml").items()
    }


@cache
def _talks(kind: str) -> tuple[tuple[tuple[Template, ...], ...], ...]:
    talks = read_data("talk.toml")[kind]
    return tuple(
        tuple(tuple(compile_line("" if line == "-" else line) for line in text_lines(block)) for block in talk["steps"])
        for talk in talks
    )


def talk(draws: Draws, kind: str) -> tuple[str, str]:
    """Write a dialogue or a description, and give its hero too."""
    steps = draws.pick(_talks(kind))
    things = words.nouns("brinquedo") + words.nouns("pertence")
    food = words.nouns("comida")
    roles = cast(draws, draws.pick(things), words.adjectives("pertence"), "lugar")
    first, second = shuffled(draws, food)[:2]
    other = draws.pick(words.nouns("instrumento"))
    for key, noun in (("y", first), ("w", second), ("i", other)):
        roles[key] = Role(grammar.SLOTS.index(noun.gender), noun)
    nothing = Noun("", "", MS)
    roles |= {key: Role(slot, nothing) for slot, key in enumerate(("ms", "fs", "mp", "fp"))}
    scene = Scene(roles, "", "feliz", draws)
    text = join([line for step in steps if (line := render(draws.pick(step), scene))])
    hero = roles["h"].name
    return text, hero if hero in text else ""


def fact_sheet(draws: Draws) -> str:
    """Write several facts, of one theme or of all, as statements or as questions with answers."""
    themes = facts()
    pool: Sequence[Fact] = [fact for theme in themes.values() for fact in theme]
    if draws.below(2):
        pool = themes[draws.pick(sorted(themes))]
    chosen = shuffled(draws, pool)[: 4 + draws.below(4)]
    if draws.below(2):
        return " ".join(fact.statement for fact in chosen)
    return "\n".join(f"Pergunta: {fact.question}\nResposta: {fact.answer}" for fact in chosen[:5])


@dataclass(frozen=True, slots=True)
class Sum:
    """A calculation with small numbers."""

    left: int
    sign: str
    right: int
    result: int

    def digits(self) -> str:
        """Write it with digits."""
        return f"{self.left} {self.sign} {self.right} = {self.result}"

    def spoken(self) -> str:
        """Write it in words."""
        name = {"+": "mais", "-": "menos", "×": "vezes"}[self.sign]
        verb = "é" if self.result < 2 else "são"
        left, right, result = map(grammar.number_word, (self.left, self.right, self.result))
        return f"{left} {name} {right} {verb} {result}"


def calculation(draws: Draws) -> Sum:
    """Draw an addition or subtraction up to twenty, or a product of the small tables."""
    sign = draws.pick(("+", "+", "-", "-", "×"))
    if sign == "×":
        left, right = 1 + draws.below(10), 1 + draws.below(10)
        return Sum(left, sign, right, left * right)
    left, right = draws.below(11), draws.below(11)
    return Sum(left, sign, right, left + right) if sign == "+" else Sum(left + right, sign, right, left)


def arithmetic(draws: Draws) -> str:
    """Write some calculations: in digits, in words, as questions, or as a little story."""
    form = draws.below(4)
    if form == 3:
        return word_problem(draws)[0]
    sums = [calculation(draws) for _ in range(4 + draws.below(5))]
    if form == 0:
        return "\n".join(f"{one.digits()}." for one in sums)
    if form == 1:
        return " ".join(one.spoken()[0].upper() + one.spoken()[1:] + "." for one in sums)
    return "\n".join(f"Pergunta: Quanto é {s.left} {s.sign} {s.right}?\nResposta: {s.digits()}." for s in sums[:5])


def word_problem(draws: Draws) -> tuple[str, str, str]:
    """Write a calculation as a little story: the whole text, its question, its answer."""
    thing = draws.pick(words.nouns("fruta") + words.nouns("brinquedo"))
    roles = cast(draws, thing, words.adjectives("pertence"), "natureza")
    hero, friend = roles["h"], roles["a"]
    feminine = thing.gender == FS

    def amount(number: int) -> str:
        return grammar.number_word(number, feminine) + " " + (thing.singular if number == 1 else thing.plural)

    have, change = 2 + draws.below(8), 1 + draws.below(6)
    if draws.below(2):
        total = have + change
        acts = (f"{friend.name} deu {amount(change)} para {hero.name}", f"{hero.name} ganhou mais {amount(change)}")
    else:
        have, total = have + change, have
        acts = (f"{hero.name} deu {amount(change)} para {friend.name}", f"{hero.name} perdeu {amount(change)}")
    many = ("Quantas " if feminine else "Quantos ") + f"{thing.plural} {hero.name} tem agora?"
    start = f"{hero.name} tinha {amount(have)}. {draws.pick(acts)}."
    answer = f"{hero.name} tem {amount(total)}."
    return f"{start}\nPergunta: {many}\nResposta: {answer}", f"{start} {many}", answer


def questions(draws: Draws, story: Story) -> str:
    """Write a story and questions that only its reader can answer."""
    asked = shuffled(draws, story.questions())[: 2 + draws.below(2)]
    return "\n".join([story.text(), *(f"Pergunta: {question}\nResposta: {answer}" for question, answer in asked)])
