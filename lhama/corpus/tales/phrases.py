"""Noun phrases of one sentence: tokens with their readings go in, phrases with gender and number come out.

A phrase is read greedily, from its determiner over the adjectives in front of the noun to those behind it and to a name
in apposition. Gender and number are masks; each word of the phrase narrows the mask, and an empty mask is a fault.
"""

from dataclasses import dataclass

from lhama.corpus.tales.grammar import ANY, ELE, ELES, EU, FINITE, MS, NOS, PLURAL, SINGULAR, listed
from lhama.corpus.tales.words import Entry

CLITICS = frozenset(listed("o a os as me te se lhe lhes nos"))
_LOOSE = frozenset(listed("muito pouco tanto quanto certo primeiro segundo terceiro último próprio todo mesmo"))
PRONOUNS = frozenset(listed("ele ela eles elas"))
_SINGULAR_PRONOUNS = {"você": SINGULAR, "quem": SINGULAR, "ninguém": MS, "alguém": MS, "tudo": MS, "nada": MS}
_ALONE = frozenset(listed("dois duas três outro outra outros outras todos todas"))


@dataclass(slots=True)
class Token:
    """One word or sign of a sentence, with its readings."""

    text: str
    low: str
    entry: Entry


@dataclass(slots=True)
class Phrase:
    """A noun phrase: where it ends, which genders and numbers it can have, and its head."""

    end: int
    mask: int
    person: int = 0
    head: str = ""


_STOP = Token(".", ".", Entry())


class PhraseReader:
    """Reads noun phrases anywhere in one sentence and notes what does not agree inside them."""

    def __init__(self, tokens: list[Token], speaker: int = 0) -> None:
        self.tokens = tokens
        self.speaker = speaker  # gender and number of who says "eu"; 0 in narration
        self.faults: list[str] = []

    def at(self, index: int) -> Token:
        """Give the token at an index, or a full stop beyond the ends."""
        return self.tokens[index] if 0 <= index < len(self.tokens) else _STOP

    def blame(self, kind: str, start: int, end: int) -> None:
        """Note a fault with the words it stands in."""
        self.faults.append(f"{kind}: {' '.join(token.text for token in self.tokens[max(0, start) : end])}")

    def phrase(self, index: int) -> Phrase | None:
        """Read a noun phrase that starts here, checking agreement inside it."""
        token = self.at(index)
        if "name" in token.entry.tags:
            return Phrase(index + 1, token.entry.name, ELE, token.low)
        if token.low in ("eu", "nós"):
            return Phrase(index + 1, self.speaker or ANY, EU) if token.low == "eu" else Phrase(index + 1, PLURAL, NOS)
        if token.low in PRONOUNS:
            return Phrase(index + 1, token.entry.name, ELES if token.entry.name & PLURAL else ELE, token.low)
        if token.low in _SINGULAR_PRONOUNS:
            return Phrase(index + 1, _SINGULAR_PRONOUNS[token.low], ELE)
        return self._common_phrase(index)

    def _determiners(self, start: int) -> tuple[int, int]:
        """Give the index after the determiners and the mask they share."""
        mask, index = ANY, start
        while self.at(index).entry.determiner:
            token, following = self.at(index), self.at(index + 1).entry
            if index > start and "contraction" in token.entry.tags:
                break
            if index == start and token.low in CLITICS and self._is_clitic(index):
                return start, ANY
            if not self._nominal(index + 1) or "contraction" in following.tags:
                alone = token.low in _ALONE or (
                    index > start and (token.entry.lemmas & _LOOSE or "um" in token.entry.lemmas)
                )
                return (index + 1, mask & token.entry.determiner) if alone else (index, mask)
            whole = "todo" in token.entry.lemmas and following.determiner
            if token.entry.lemmas & _LOOSE and index == start and not following.noun and not whole:
                break
            mask &= token.entry.determiner
            index += 1
        return index, mask

    def _nominal(self, index: int) -> bool:
        """Say whether the word after a determiner can carry on a noun phrase."""
        entry = self.at(index).entry
        return bool(entry.noun or entry.adjective or entry.determiner or "name" in entry.tags)

    def _is_clitic(self, index: int) -> bool:
        following = self.at(index + 1).entry
        return bool(following.verb & FINITE and not self._nominal(index + 1))

    def _common_phrase(self, start: int) -> Phrase | None:
        following = self.at(start + 1)
        if self.at(start).low == "a" and ("name" in following.entry.tags or following.low == "pé"):
            return None  # the preposition: deu a bola a Nina, foi a pé
        index, mask = self._determiners(start)
        determined = index > start
        if determined and not mask:
            self.blame("agreement", start, index)
            mask = ANY
        ahead = self._adjectives_before_noun(index)
        for place in range(index, ahead):
            mask &= self.at(place).entry.adjective
        head = self.at(ahead)
        if head.entry.noun and (determined or ahead > start or not head.entry.verb & FINITE):
            mask &= head.entry.noun
        elif determined and "name" in head.entry.tags:
            mask &= head.entry.name
        elif determined and self._plain_adjective(ahead) and self.at(ahead - 1).low not in _ALONE:
            mask &= head.entry.adjective
        elif determined:
            return Phrase(index, mask, 0, self.at(index - 1).low)
        else:
            return None
        if not mask:
            self.blame("agreement", start, ahead + 1)
            mask = head.entry.noun or head.entry.name or ANY
        return self._after_noun(start, Phrase(ahead + 1, mask, 0, head.low))

    def _adjectives_before_noun(self, index: int) -> int:
        """Give the index after the adjectives in front of a noun; the index itself where no noun follows them."""
        ahead = index
        while self.at(ahead).entry.adjective and not self.at(ahead).entry.noun:
            ahead += 1
        return ahead if self.at(ahead).entry.noun else index

    def _after_noun(self, start: int, phrase: Phrase) -> Phrase:
        """Read the adjectives and the name after a noun."""
        while True:
            place = phrase.end
            if self.at(place).low == "e" and self._plain_adjective(place + 1) and self.at(place - 1).entry.adjective:
                place += 1
            while self.at(place).low in ("muito", "bem", "tão", "mais") and self.at(place + 1).entry.adjective:
                place += 1
            token = self.at(place)
            if "name" in token.entry.tags and place == phrase.end and "animate" in self.at(place - 1).entry.tags:
                if not token.entry.name & phrase.mask:
                    self.blame("name gender", start, place + 1)
                return Phrase(place + 1, phrase.mask, ELE, token.low)
            if not token.entry.adjective or (token.entry.determiner and token.low != "chamado"):
                return phrase
            if not token.entry.adjective & phrase.mask:
                self.blame("agreement", start, place + 1)
                return Phrase(place + 1, phrase.mask, 0, phrase.head)
            phrase = Phrase(place + 1, phrase.mask & token.entry.adjective, 0, phrase.head)
            if token.low.startswith("chamad") and "name" in self.at(place + 1).entry.tags:
                if not self.at(place + 1).entry.name & phrase.mask:
                    self.blame("name gender", start, place + 2)
                return Phrase(place + 2, phrase.mask, ELE, self.at(place + 1).low)

    def _plain_adjective(self, index: int) -> bool:
        entry = self.at(index).entry
        return bool(entry.adjective and not entry.noun and not entry.determiner)

    def _governed(self, start: int) -> bool:
        """Say whether the phrase carries its preposition in its first word (do gato, numa casa)."""
        return "contraction" in self.at(start).entry.tags or self.at(start).low in ("num", "numa", "nuns", "numas")

    def _predicative(self, index: int) -> bool:
        """Say whether an adjective stands here on its own, not in front of a noun."""
        entry = self.at(index).entry
        if not entry.adjective or (entry.noun and not entry.participle) or entry.determiner:
            return False
        return self._adjectives_before_noun(index) == index
