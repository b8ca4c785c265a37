"""Rows for the later stages: instruction pairs, preferences, labelled texts, multiple-choice items.

All are told by the same writer as the documents, from draws of their own, and never of a held-out combination. A row is
a plain dict of JSON values. Each set has an honest answer by construction: an answer is read off the cast, a rejected
text holds exactly one mistake (of agreement, which the checker finds, or of reference, which only a reader does), and a
label is the feeling of a story whose feeling was left out.
"""

from collections.abc import Iterator

from lhama.corpus.tales import kinds, words
from lhama.corpus.tales.check import faults
from lhama.corpus.tales.grammar import FS
from lhama.corpus.tales.mutations import MISTAKES, mutate
from lhama.corpus.tales.story import Story, plots, tell
from lhama.corpus.tales.template import Draws, shuffled

Row = dict[str, str | int | list[str]]

LABELS = ("feliz", "triste", "orgulhoso", "aliviado")
"""The feelings at the end of a story: the classes of labelled()."""

CHOICES = 4


def _request(draws: Draws, story: Story) -> str:
    hero = story.scene.roles["h"]
    article = "uma" if hero.noun.gender == FS else "um"
    named = "chamada" if hero.noun.gender == FS else "chamado"
    thing = story.scene.roles["x"].noun
    wish = f"{story.action} {'uma' if thing.gender == FS else 'um'} {thing.singular}"
    who = f"{article} {hero.noun.singular} {named} {hero.name}"
    return draws.pick(
        (
            f"Conte uma história sobre {who} que queria {wish}.",
            f"Escreva uma história: {who} queria {wish}.",
            f"Quero ouvir a história de {who} que queria {wish}.",
        )
    )


def _instruction(draws: Draws) -> tuple[str, str, str, str]:
    """Draw kind, instruction, input and output."""
    kind = draws.pick(("story", "story", "question", "question", "fact", "sum", "problem", "correction"))
    if kind == "fact":
        fact = draws.pick(kinds.facts()[draws.pick(sorted(kinds.facts()))])
        return kind, fact.question, "", fact.statement
    if kind == "sum":
        one = kinds.calculation(draws)
        return kind, f"Quanto é {one.left} {one.sign} {one.right}?", "", one.digits() + "."
    if kind == "problem":
        _, question, answer = kinds.word_problem(draws)
        return kind, question, "", answer
    story = tell(draws)
    if kind == "question":
        question, answer = draws.pick(story.questions())
        return kind, question, story.text(), answer
    if kind == "correction":
        start, wrong, right = _mistaken_sentence(draws, story)
        return kind, start, wrong, right
    return kind, _request(draws, story), "", story.text()


def _mistaken_sentence(draws: Draws, story: Story) -> tuple[str, str, str]:
    """Give a sentence of the story with a mistake in it, and the sentence as it was."""
    while True:
        sentence = draws.pick([s for s in story.sentences if s and not s.startswith("\n")])
        wrong = mutate(sentence, draws.pick(sorted(MISTAKES)), draws)
        if wrong is not None and faults(wrong) and not faults(sentence):
            return "Corrija a frase.", wrong, sentence


def instructions(count: int, seed: int) -> Iterator[Row]:
    """Write instruction pairs in the columns of Alpaca: instruction, input (may be empty), output."""
    for number in range(count):
        kind, instruction, given, output = _instruction(Draws("instructions", seed, number))
        yield {
            "id": f"instruction-{seed}-{number:07d}",
            "kind": kind,
            "instruction": instruction,
            "input": given,
            "output": output,
        }


def _wrong_reference(draws: Draws, story: Story, text: str) -> tuple[str, str] | None:
    """Take another hero's name or another object once: a mistake that agreement cannot show."""
    hero, thing = story.scene.roles["h"], story.scene.roles["x"].noun
    if draws.below(2):
        old, options = hero.name, words.names(hero.noun.gender)
    else:
        old = thing.singular
        options = tuple(n.singular for _, n in story.plot.objects if n.gender == thing.gender and n.singular)
    others = [word for word in options if word not in story.text()]
    places = [place for place in range(len(text)) if text.startswith(old, place) and _whole(text, place, len(old))]
    if not others or not places:
        return None
    place = draws.pick(places)
    return "reference", text[:place] + draws.pick(others) + text[place + len(old) :]


def _whole(text: str, start: int, length: int) -> bool:
    before, after = text[start - 1 : start], text[start + length : start + length + 1]
    return not before.isalpha() and not after.isalpha()


def preferences(count: int, seed: int) -> Iterator[Row]:
    """Write preference pairs: a prompt, the right continuation, and the same with one mistake of the named kind."""
    for number in range(count):
        draws = Draws("preferences", seed, number)
        while True:
            story = tell(draws)
            chosen = story.text()[len(story.opening) :]
            mistake = draws.pick((*sorted(MISTAKES), "reference", "reference"))
            if mistake == "reference":
                wrong = _wrong_reference(draws, story, chosen)
                rejected = wrong[1] if wrong else None
            else:
                rejected = mutate(chosen, mistake, draws)
                if rejected is not None and not faults(story.opening + rejected):
                    rejected = None
            if rejected is not None and rejected != chosen:
                break
        yield {
            "id": f"preference-{seed}-{number:07d}",
            "prompt": story.opening,
            "chosen": chosen,
            "rejected": rejected,
            "mistake": mistake,
        }


def labelled(count: int, seed: int) -> Iterator[Row]:
    """Write stories without their feeling, labelled with how the hero feels at the end (an index into LABELS)."""
    for number in range(count):
        draws = Draws("labelled", seed, number)
        wanted = draws.pick(LABELS)
        while (story := tell(draws)).branch.mood != wanted:
            pass
        yield {
            "id": f"labelled-{seed}-{number:07d}",
            "text": story.text(feeling=False),
            "label": LABELS.index(wanted),
            "label_name": wanted,
        }


def _item(draws: Draws) -> tuple[str, str, list[str], str]:
    """Draw kind, question, choices and the right choice."""
    kind = draws.pick(("who", "where", "what", "sum", "agreement"))
    if kind == "sum":
        one = kinds.calculation(draws)
        near = [number for number in range(max(0, one.result - 4), one.result + 5) if number != one.result]
        wrong = [str(number) for number in shuffled(draws, near)[: CHOICES - 1]]
        return kind, f"Quanto é {one.left} {one.sign} {one.right}?", wrong, str(one.result)
    story = tell(draws)
    if kind == "agreement":
        right = story.text().split(". ")[0].split("\n")[-1] + "."
        found = {mutate(right, mistake, draws) for mistake in sorted(MISTAKES) for _ in range(3)}
        wrong = sorted(text for text in found if text is not None and faults(text))
        return kind, "Qual frase está certa?", shuffled(draws, wrong)[: CHOICES - 1], right
    return _reading(draws, story, kind)


def _reading(draws: Draws, story: Story, kind: str) -> tuple[str, str, list[str], str]:
    """Ask for hero, place or object of a story; the wrong choices are of the same kind and not in the story."""
    text = story.text()
    roles = story.scene.roles
    if kind == "who":
        question, right = f"Quem queria {story.action} {'a' if roles['x'].slot else 'o'} {story.thing}?", story.hero
        options = words.names(roles["h"].noun.gender)
    elif kind == "what":
        question, right = f"O que {story.hero} queria {story.action}?", story.thing
        options = tuple(noun.singular for plot in plots() for _, noun in plot.objects if plot is story.plot)
    else:
        question, right = "Que lugar aparece na história?", roles["l"].noun.singular
        options = tuple(noun.singular for noun in words.nouns("lugar"))
    pool = sorted({option for option in options if option not in text})
    return kind, f"{text}\n{question}", shuffled(draws, pool)[: CHOICES - 1], right


def multiple_choice(count: int, seed: int) -> Iterator[Row]:
    """Write items of four choices; `answer` is the index of the right one."""
    for number in range(count):
        draws = Draws("choices", seed, number)
        while True:
            kind, question, wrong, right = _item(draws)
            usable = kind in ("sum", "agreement") or right in question.rpartition("\n")[0]
            if len(set(wrong)) == CHOICES - 1 and right not in wrong and usable:
                break
        choices = shuffled(draws, [right, *wrong])
        yield {
            "id": f"choice-{seed}-{number:07d}",
            "kind": kind,
            "question": question,
            "choices": choices,
            "answer": choices.index(right),
        }
