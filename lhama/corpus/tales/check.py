"""The agreement checker: Portuguese text in the tales' words goes in, a list of faults comes out (empty = it passes).

A small tokenizer, the lexicon and local rules: article and noun, noun and adjective, subject and verb, subject and
predicate adjective, pronoun and referent, contractions, speech dashes, unknown words, unfinished sentences. There is no
parse tree: a noun phrase is read greedily from its determiner, the subject of a clause is the last free noun phrase in
front of a verb, and where the rules cannot know (verb first, no subject in sight) they are silent. So no fault found
means "nothing wrong that these rules can see", and only for text in the lexicon of words.toml.
"""

import re
from dataclasses import dataclass

from lhama.corpus.tales import words
from lhama.corpus.tales.grammar import (
    ANY,
    ELE,
    ELES,
    EU,
    FEMININE,
    FINITE,
    MS,
    NOS,
    PLURAL,
    SINGULAR,
    SPLIT_CONTRACTIONS,
)
from lhama.corpus.tales.words import Entry

_TOKEN = re.compile(r"\d+|[^\W\d_]+(?:-[^\W\d_]+)*|[^\w\s]|\n| +")
_SENTENCE_END = ".!?…"
_UNKNOWN = Entry()
_COPULAS = frozenset("ser estar ficar parecer continuar".split())
_SPEAKING = frozenset("dizer perguntar responder gritar pensar contar explicar falar cantar pedir".split())
_CLITICS = frozenset("o a os as me te se lhe lhes nos".split())
_BETWEEN = frozenset(
    "não nunca também já ainda sempre só quase logo então apenas mal bem nem todos todas depois agora hoje".split()
)
_DEGREE = frozenset("muito tão mais menos bem pouco quase ainda meio sempre já também não".split())
_OF = frozenset("de do da dos das".split())
_PERSON = {"eu": EU, "nós": NOS}


@dataclass(slots=True)
class Token:
    """One word or sign of a sentence, with its readings."""

    text: str
    low: str
    entry: Entry


@dataclass(slots=True)
class Phrase:
    """A noun phrase: where it ends and which genders and numbers it can have."""

    end: int
    mask: int
    person: int = 0


def _token(text: str) -> Token:
    lexicon = words.lexicon()
    low = text.lower()
    exact = lexicon.get(text)
    if exact is not None and exact.tags and "name" in exact.tags:
        return Token(text, text, exact)
    if text.isdigit():
        return Token(text, low, Entry(determiner=SINGULAR if text == "1" else PLURAL, tags={"number"}))
    return Token(text, low, lexicon.get(low, _UNKNOWN))


class Reader:
    """Reads one sentence from left to right and notes what does not agree."""

    def __init__(self, tokens: list[Token], referents: list[int]) -> None:
        self.tokens = tokens
        self.referents = referents  # gender and number of what was mentioned, oldest first
        self.faults: list[str] = []
        self.subject: Phrase | None = None

    def at(self, index: int) -> Token:
        """Give the token at an index, or a full stop beyond the ends."""
        return self.tokens[index] if 0 <= index < len(self.tokens) else Token(".", ".", _UNKNOWN)

    def blame(self, kind: str, start: int, end: int) -> None:
        """Note a fault with the words it stands in."""
        self.faults.append(f"{kind}: {' '.join(token.text for token in self.tokens[max(0, start) : end])}")

    # --- noun phrases -------------------------------------------------------------------------------------------

    def _adjective_run(self, index: int) -> int:
        """Give the index after the adjectives in front of a noun; the index itself where no noun follows them."""
        ahead = index
        while self.at(ahead).entry.adjective and not self.at(ahead).entry.noun:
            ahead += 1
        return ahead if self.at(ahead).entry.noun else index

    def _starts_phrase(self, index: int) -> bool:
        """Say whether the word after a determiner can carry on a noun phrase."""
        entry = self.at(index).entry
        return bool(entry.noun or entry.adjective or entry.determiner or "name" in entry.tags)

    def phrase(self, index: int) -> Phrase | None:
        """Read a noun phrase that starts here, checking agreement inside it."""
        token = self.at(index)
        if "name" in token.entry.tags:
            return Phrase(index + 1, token.entry.name, ELE)
        if token.low in _PERSON:
            return Phrase(index + 1, ANY, _PERSON[token.low])
        if token.low in ("ele", "ela", "eles", "elas"):
            return Phrase(index + 1, token.entry.name, ELES if token.entry.name & PLURAL else ELE)
        if token.low in ("você", "alguém", "ninguém", "tudo", "nada", "isso", "isto", "aquilo", "quem"):
            return Phrase(index + 1, SINGULAR if token.low in ("você", "quem", "ninguém") else MS, ELE)
        return self._common_phrase(index)

    def _common_phrase(self, start: int) -> Phrase | None:
        mask, index, determined = ANY, start, False
        while self.at(index).entry.determiner and (self._starts_phrase(index + 1) or determined or self._head(index)):
            token = self.at(index)
            if not determined and token.low in _CLITICS and self._is_clitic(index):
                return None
            if token.entry.noun and not self._starts_phrase(index + 1):
                break
            mask &= token.entry.determiner
            determined = True
            index += 1
            if not self._starts_phrase(index):
                if not mask:
                    self.blame("agreement", start, index)
                return Phrase(index, mask or ANY, 0)
        index_noun = self._adjective_run(index)
        for place in range(index, index_noun):
            mask &= self.at(place).entry.adjective
        index = index_noun
        head = self.at(index)
        if head.entry.noun and (determined or index_noun > start or not head.entry.verb & FINITE):
            mask &= head.entry.noun
            index += 1
        elif determined and "name" in head.entry.tags:
            mask &= head.entry.name
            index += 1
        elif not (determined and head.entry.adjective):
            return None
        if not mask:
            self.blame("agreement", start, index)
            mask = head.entry.noun or ANY
        return self._after_noun(start, index, mask)

    def _head(self, index: int) -> bool:
        """Say whether a determiner can stand alone as a noun phrase (os dois, duas, outro)."""
        return self.at(index).low in ("dois", "duas", "outro", "outra", "outros", "outras", "todos", "todas")

    def _is_clitic(self, index: int) -> bool:
        following = self.at(index + 1).entry
        nominal = following.noun or following.adjective or following.determiner
        return bool(following.verb & FINITE and not nominal)

    def _after_noun(self, start: int, index: int, mask: int) -> Phrase:
        """Read the adjectives and the name after a noun."""
        while True:
            place = index
            if self.at(place).low == "e" and self._plain_adjective(place + 1) and self._plain_adjective(index - 1):
                place += 1
            while self.at(place).low in ("muito", "bem", "tão", "mais") and self.at(place + 1).entry.adjective:
                place += 1
            token = self.at(place)
            if "name" in token.entry.tags and place == index:
                if not token.entry.name & mask:
                    self.blame("name gender", start, place + 1)
                return Phrase(place + 1, mask, ELE)
            if not token.entry.adjective or (token.entry.determiner and not token.entry.participle):
                break
            if "adverb" in token.entry.tags and not token.entry.adjective & mask:
                break
            if not token.entry.adjective & mask:
                self.blame("agreement", start, place + 1)
                return Phrase(place + 1, mask)
            mask &= token.entry.adjective
            index = place + 1
        return Phrase(index, mask)

    def _plain_adjective(self, index: int) -> bool:
        entry = self.at(index).entry
        return bool(entry.adjective and not entry.noun and not entry.determiner)

    # --- clauses ------------------------------------------------------------------------------------------------

    def read(self) -> list[str]:
        """Check the whole sentence."""
        index, free, opened = 0, True, True
        while index < len(self.tokens):
            token = self.tokens[index]
            self._neighbours(index)
            phrase = self.phrase(index)
            if phrase is not None:
                self.referents.append(phrase.mask)
                index = self._phrase_in_clause(index, phrase, free, opened)
                free, opened = True, False
            elif token.entry.verb & FINITE and not token.entry.noun:
                index = self._bare_verb(index)
                free, opened = True, False
            else:
                free = not ("preposition" in token.entry.tags or "contraction" in token.entry.tags)
                opened = token.low in (",", "que", "e", "mas", "quando", "porque", "se", ";", ":", "como", "enquanto")
                if token.low in (":", ";"):
                    self.subject = None
                if token.low in _COPULAS or token.low in ("sendo", "ficando"):
                    self._predicate(index + 1)
                index += 1
        return self.faults

    def _phrase_in_clause(self, start: int, phrase: Phrase, free: bool, opened: bool) -> int:
        """Take a noun phrase as subject where a verb follows, and give the index to go on from."""
        end = phrase.end
        if not free or self._governed(start):
            return end
        if opened and self.at(end).low == "e":
            second = self.phrase(end + 1)
            if second is not None and self._verb_after(second.end) is not None:
                both = FEMININE if not (phrase.mask | second.mask) & ~FEMININE else ANY & ~FEMININE
                self.referents += [second.mask, both & PLURAL]
                phrase = Phrase(second.end, both & PLURAL, NOS if EU in (phrase.person, second.person) else ELES)
                end = phrase.end
        reach = end
        while self.at(reach).low in _OF:
            owner = self.phrase(reach + 1) if self.at(reach).low == "de" else self.phrase(reach)
            if owner is None:
                break
            reach = owner.end
        verb = self._verb_after(reach)
        if verb is None:
            return end
        self.subject = phrase
        self._agree(phrase, start, verb)
        return self._predicate(verb + 1)

    def _governed(self, start: int) -> bool:
        """Say whether the phrase's own first word is a contraction (do gato) or à."""
        return "contraction" in self.at(start).entry.tags or self.at(start).low in ("num", "numa", "nuns", "numas")

    def _verb_after(self, index: int) -> int | None:
        """Give the index of the finite verb that follows a subject, across adverbs and clitics."""
        while self.at(index).low in _BETWEEN or (
            self.at(index).low in _CLITICS and self.at(index + 1).entry.verb & FINITE
        ):
            index += 1
        entry = self.at(index).entry
        return index if entry.verb & FINITE and not entry.determiner else None

    def _agree(self, phrase: Phrase, start: int, verb: int) -> None:
        allowed = phrase.person or ((ELE if phrase.mask & SINGULAR else 0) | (ELES if phrase.mask & PLURAL else 0))
        if not self.at(verb).entry.verb & allowed:
            self.blame("subject and verb", start, verb + 1)

    def _bare_verb(self, index: int) -> int:
        """Check a verb whose subject stands further away or behind it."""
        token = self.at(index)
        person = token.entry.verb & FINITE
        behind = self.phrase(index + 1)
        speaking = bool(token.entry.lemmas & _SPEAKING)
        if (self.subject is None or speaking) and behind is not None and not self._governed(index + 1):
            if self._can_invert(token) and not (behind.person == EU):
                self._agree(behind, index, index) if False else self._inverted(index, behind)
                self.referents.append(behind.mask)
                self.subject = behind
                return behind.end
            return index + 1
        if self.subject is not None and person & (ELE | ELES):
            self._agree(self.subject, index, index)
            return self._predicate(index + 1)
        if person & (EU | NOS):
            self.subject = Phrase(0, ANY, person)
        return index + 1

    def _can_invert(self, token: Token) -> bool:
        return bool(token.entry.lemmas & _SPEAKING) or bool(token.entry.lemmas & _INVERTING)

    def _inverted(self, verb: int, behind: Phrase) -> None:
        allowed = behind.person or ((ELE if behind.mask & SINGULAR else 0) | (ELES if behind.mask & PLURAL else 0))
        if not self.at(verb).entry.verb & allowed:
            self.blame("subject and verb", verb, behind.end)

    def _predicate(self, index: int) -> int:
        """Check the adjectives that follow a verb against its subject, and give the index to go on from."""
        subject = self.subject
        place = index
        while True:
            while self.at(place).low in _DEGREE and not self._noun_soon(place):
                place += 1
            token = self.at(place)
            if not self._predicative(place) or subject is None:
                return index
            if not token.entry.adjective & subject.mask:
                if "adverb" not in token.entry.tags:
                    self.blame("predicate", index - 1, place + 1)
                return place + 1
            index = place = place + 1
            if self.at(place).low in ("e", ",", "mas") and self._predicative(place + 1, 2):
                place += 1

    def _noun_soon(self, index: int) -> bool:
        return bool(self.at(index + 1).entry.noun)

    def _predicative(self, index: int, reach: int = 0) -> bool:
        """Say whether an adjective stands here on its own, not in front of a noun."""
        while reach and self.at(index).low in _DEGREE:
            index, reach = index + 1, reach - 1
        entry = self.at(index).entry
        if not entry.adjective or entry.noun or entry.determiner or entry.verb & FINITE:
            return False
        return self._adjective_run(index) == index

    # --- neighbours ---------------------------------------------------------------------------------------------

    def _neighbours(self, index: int) -> None:
        """Check a word against the next one: contractions, doubled words, words that cannot meet."""
        token, following = self.at(index), self.at(index + 1)
        pair = (token.low, following.low)
        if pair in SPLIT_CONTRACTIONS and not (token.low == "a" and index and self._clitic_or_article(index)):
            self.blame("contraction", index, index + 2)
        if token.low == following.low and token.low.isalpha():
            self.blame("doubled word", index, index + 2)
        finite_only = following.entry.verb & FINITE and not (
            following.entry.noun or following.entry.adjective or following.entry.tags or following.entry.determiner
            or following.entry.verb & ~FINITE
        )  # fmt: skip
        if finite_only and token.low in ("de", "em", "com", "para", "por", "sem", "um", "uma", "ao", "à"):
            self.blame("verb form", index, index + 2)

    def _clitic_or_article(self, index: int) -> bool:
        return False


_INVERTING = frozenset("ser estar aparecer chegar faltar nascer vir passar existir morar viver sair acontecer".split())


def _sentences(text: str) -> list[list[str]]:
    """Split one line of text into sentences of tokens, the closing sign included."""
    found: list[list[str]] = [[]]
    for token in _TOKEN.findall(text):
        if token.isspace():
            continue
        found[-1].append(token)
        if token in _SENTENCE_END:
            found.append([])
    return [sentence for sentence in found if sentence]


def faults(text: str, hero: str | None = None, *, cut: bool = False) -> list[str]:
    """List what is wrong with a text; `cut` allows an unfinished last sentence, `hero` must occur."""
    found = []
    if hero is not None and not re.search(rf"\b{re.escape(hero)}\b", text):
        found.append(f"hero: {hero} does not occur")
    lines = text.strip("\n").split("\n")
    referents: list[int] = []
    for number, line in enumerate(lines):
        last = number == len(lines) - 1
        body, unfinished = _finished(line)
        if unfinished and not (last and cut):
            found.append(f"unfinished sentence: {line[-40:]}")
        found += _layout(line, body if unfinished else line, last and cut)
        for sentence in _sentences(body if unfinished and last and cut else line):
            found += _check_sentence(sentence, referents)
    return found


def _finished(line: str) -> tuple[str, bool]:
    """Give the line up to its last closing sign, and whether anything follows that sign."""
    if line.rstrip()[-1:] in (*_SENTENCE_END, ":", '"'):
        return line, False
    place = max(line.rfind(sign) for sign in _SENTENCE_END)
    return line[: place + 1], True


def _check_sentence(sentence: list[str], referents: list[int]) -> list[str]:
    words_and_signs = [part for part in sentence if part not in ('"',)]
    tokens = [_token(part) for part in words_and_signs]
    found = []
    for token in tokens:
        if token.entry is _UNKNOWN and token.text[0].isalpha():
            found.append(f"unknown word: {token.text}")
    return found + Reader(tokens, referents).read()


def _layout(line: str, body: str, cut: bool) -> list[str]:
    """Check spacing, capitals and speech dashes of a line."""
    found = []
    if re.search(r" [,.!?:;]|  |^ | $|,,|\.\.", line):
        found.append(f"spacing: {line[:40]}")
    if not line.strip():
        found.append("empty line")
        return found
    parts = line.split("—")
    if len(parts) > 1 and parts[0].strip():
        found.append(f"dialogue: {line[:40]}")
    elif len(parts) > 4:
        found.append(f"dialogue: too many dashes in {line[:40]}")
    elif len(parts) > 2 and not cut:
        speech, said = parts[1].strip(), parts[2].strip()
        if not speech or speech[-1] not in "!?…" and not speech[-1].isalpha():
            found.append(f"dialogue: {speech[-40:]}")
        verb = words.lexicon().get(said.split(" ")[0], _UNKNOWN)
        if not verb.lemmas & _SPEAKING:
            found.append(f"dialogue: no verb of saying in {said[:40]}")
    return found
