"""Documents for training and prompts for judging: a seed and a number go in, one Tale comes out.

The kinds and their shares are in SHARES; stories are the largest part. A combination of hero, action and object that
held_out() names is in no document of any kind.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from lhama.corpus.tales import kinds
from lhama.corpus.tales.story import held_out, tell
from lhama.corpus.tales.template import Draws


@dataclass(frozen=True, slots=True)
class Tale:
    """One document; hero, action and object are empty where the kind has none."""

    id: str
    text: str
    kind: str
    hero: str = ""
    action: str = ""
    object: str = ""


@dataclass(frozen=True, slots=True)
class Prompt:
    """The beginning of a story that names its hero and what the hero wants."""

    text: str
    hero: str
    action: str
    object: str


SHARES = {"story": 76, "questions": 8, "dialogue": 5, "description": 4, "facts": 4, "arithmetic": 3}
"""How many of a hundred documents are of each kind."""

_KINDS = tuple(kind for kind, share in SHARES.items() for _ in range(share))


def documents(count: int, seed: int) -> Iterator[Tale]:
    """Write `count` documents; the n-th is a function of (seed, n)."""
    for number in range(count):
        yield document(number, seed)


def document(number: int, seed: int) -> Tale:
    """Write the document of this number."""
    draws = Draws("tales", seed, number)
    kind = draws.pick(_KINDS)
    name = f"tales-{seed}-{number:07d}"
    if kind in ("story", "questions"):
        story = tell(draws)
        text = story.text() if kind == "story" else kinds.questions(draws, story)
        return Tale(name, text, kind, story.hero, story.action, story.thing)
    if kind in ("dialogue", "description"):
        text, hero = kinds.talk(draws, kind)
        return Tale(name, text, kind, hero)
    return Tale(name, kinds.fact_sheet(draws) if kind == "facts" else kinds.arithmetic(draws), kind)


def prompts(count: int, seed: int, held_out: bool) -> list[Prompt]:
    """Give story beginnings whose combinations are all held out of training, or all allowed in it."""
    wanted = held_out
    found = []
    for number in range(count):
        draws = Draws("prompts", seed, int(wanted), number)
        story = tell(draws, lambda *triple: HELD_OUT(*triple) is wanted)
        found.append(Prompt(story.opening, story.hero, story.action, story.thing))
    return found


HELD_OUT = held_out
