"""Agreement inside one sentence: tokens with their readings go in, a list of faults comes out.

There is no parse tree. The subject of a clause is the free noun phrase (phrases.py) in front of a verb; the antecedent
of a relative "que" is the phrase before it; a pronoun that opens a sentence of the narration stands for the subject of
the sentence before. Where these rules cannot know (a verb first and no subject in sight) they are silent: they must
never blame a correct sentence of the tales, and tests hold them to it.
"""

from lhama.corpus.tales.grammar import (
    ANY,
    ELE,
    ELES,
    EU,
    FEMININE,
    FINITE,
    INFINITIVE,
    MS,
    NOS,
    PLURAL,
    SINGULAR,
    SPLIT_CONTRACTIONS,
    listed,
)
from lhama.corpus.tales.phrases import CLITICS, PRONOUNS, Phrase, PhraseReader, Token

SPEAKING = frozenset(listed("dizer perguntar responder gritar pensar contar explicar falar sussurrar chamar"))

_COPULAS = frozenset(listed("ser estar ficar parecer continuar"))
_DEPICTIVE = frozenset(listed("voltar chegar dormir sair acordar cair nascer crescer viver ir andar"))
_QUOTING = frozenset(listed("dizer perguntar responder gritar"))
_INVERTING = _QUOTING | frozenset(
    listed("ser estar aparecer chegar faltar nascer vir passar existir ficar morar viver sair")
)
_POSSESSIVES = frozenset(listed("meu seu nosso"))
_IMPERSONAL = frozenset(listed("haver chover"))
_BETWEEN = frozenset(
    listed("não nunca também já ainda sempre só quase logo então apenas mal bem nem depois agora hoje")
)
_DEGREE = frozenset(listed("muito tão mais menos bem pouco quase ainda meio sempre já também não"))
_LINKS = frozenset(listed(", que e mas quando porque se ; : como enquanto — pois onde"))
_BEFORE_NOUNS = frozenset(listed("de em com para por sem um uma"))
_COLOURS = frozenset(listed("vermelho amarelo branco preto roxo"))
_ARTICLES = frozenset(listed("o os as um uma uns umas no na nos nas à às pelo pela"))
_TIMES = frozenset(
    listed("dia dias noite noites manhã tarde vez vezes semana semanas ano anos hora horas minuto minutos")
)
_MEMORY = 10  # sentences over which a pronoun may look back

Mentions = list[tuple[int, int]]  # sentence number and mask of every phrase so far


class Reader(PhraseReader):
    """Reads one sentence from left to right and notes what does not agree."""

    def __init__(self, tokens: list[Token], mentions: Mentions, number: int, speaker: int = 0, topic: int = 0) -> None:
        super().__init__(tokens, speaker)
        self.mentions = mentions
        self.number = number
        self.topic = topic  # gender and number of the subject that the sentence before began with; 0 where unknown
        self.first: Phrase | None = None
        self.subject: Phrase | None = None
        self.outer: Phrase | None = None
        self.last: Phrase | None = None

    def read(self) -> list[str]:
        """Check the whole sentence."""
        index, free, opened = 0, True, True
        while index < len(self.tokens):
            token = self.tokens[index]
            phrase = self.phrase(index)
            stop = index + 1
            if phrase is not None:
                stop = self._phrase_in_clause(index, phrase, free, opened)
                free, opened = True, False
            elif token.entry.verb & FINITE and not token.entry.noun and (free or not token.entry.adjective):
                stop = self._bare_verb(index)
                free, opened = True, False
            else:
                self._link(index)
                self._stray_adjective(index)
                free = not self._governs(token) and (free or not token.entry.adjective)
                opened = token.low in _LINKS
            for place in range(index, stop):
                self._neighbours(place)
            index = stop
        self._opening_adjective()
        return self.faults

    def _opening_adjective(self) -> None:
        """Check an adjective before the subject: juntos, os dois saíram."""
        opens = self._predicative(0) and self.at(1).low == "," and not self.at(0).entry.tags
        if opens and self.first and not self.at(0).entry.adjective & self.first.mask:
            self.blame("predicate", 0, 1)

    # --- clauses ------------------------------------------------------------------------------------------------

    def _governs(self, token: Token) -> bool:
        """Say whether a preposition takes the next phrase away from the verb; até may mean "even"."""
        return token.low != "até" and "preposition" in token.entry.tags

    def _link(self, index: int) -> None:
        """Follow a conjunction: a relative takes the phrase before it as subject, a coordination gives it back."""
        token = self.at(index)
        if token.low == "que" and self.at(index - 1).low in ("o", "no", "do", "ao"):
            self.outer, self.subject = self.subject, Phrase(index, MS)
        elif token.low == "que" and self.last is not None:
            comma = 1 if self.at(index - 1).low == "," else 0
            if self.last.end == index - comma:
                self.outer, self.subject = self.outer or self.subject, self.last
        elif token.low == "que" and self.subject is not None and self.subject.person & (EU | NOS):
            self.subject = None
        elif token.low in (",", "e", "mas") and self.outer is not None:
            self.subject, self.outer = self.outer, None
        elif token.low in (":", ";", "—"):
            self.subject = self.outer = None
        if token.entry.lemmas & _COPULAS:
            self._predicate(index + 1)

    def _phrase_in_clause(self, start: int, phrase: Phrase, free: bool, opened: bool) -> int:
        """Take a noun phrase as subject where a verb follows, and give the index to go on from."""
        self._mention(start, phrase)
        if not free or self._governed(start):
            self.last = phrase
            return phrase.end
        if opened and self.at(phrase.end).low == "e":
            phrase = self._joined(phrase)
        self.last = phrase
        if opened and self.at(phrase.end).low == "," and "name" in self.at(start).entry.tags:
            self.subject = phrase  # Nina, a gata, correu
            self.first = self.first or phrase
        reach = phrase.end
        while "de" in self.at(reach).entry.lemmas or self.at(reach).low in ("de", "do", "da", "dos", "das"):
            owner = self.phrase(reach + (self.at(reach).low == "de"))
            if owner is None and self._plain_adjective(reach + 1):
                reach += 2  # o contrário de alto
                continue
            if owner is None:
                break
            self.last = Phrase(owner.end, phrase.mask | owner.mask, phrase.person, phrase.head)
            reach = owner.end
        verb = self._verb_after(reach)
        if verb is None:
            if (
                opened
                and self.at(start - 1).low not in ("se", "quando")
                and self.at(reach).entry.verb == INFINITIVE
                and not self.at(reach).entry.noun
            ):
                self.blame("verb form", start, reach + 1)
            return phrase.end
        if (phrase.head in _TIMES or "quanto" in self.at(start).entry.lemmas) and not self._fits(phrase, verb):
            return phrase.end
        self.subject = phrase
        self.first = self.first or phrase
        if not self._fits(phrase, verb):
            self.blame("subject and verb", start, verb + 1)
        for place in range(phrase.end, verb):
            self._neighbours(place)
        return self._after_verb(verb)

    def _joined(self, first: Phrase) -> Phrase:
        """Read a second phrase after "e" where both are the subject of the verb behind them."""
        second = self.phrase(first.end + 1)
        if second is None or self._governed(first.end + 1) or self._verb_after(second.end) is None:
            return first
        self._mention(first.end + 1, second)
        feminine = not (first.mask | second.mask) & ~FEMININE
        mask = PLURAL & FEMININE if feminine else PLURAL & ~FEMININE
        return Phrase(second.end, mask, NOS if EU in (first.person, second.person) else ELES)

    def _mention(self, start: int, phrase: Phrase) -> None:
        """Remember a phrase; a pronoun must find something of its gender and number close behind it."""
        token = self.at(start)
        if token.low in PRONOUNS:
            if start == 0 and not self.speaker and self.topic and phrase.mask & SINGULAR:
                if not phrase.mask & self.topic:
                    self.blame("pronoun", start, phrase.end + 1)
            else:
                self._refer(start, phrase.mask)
            return
        self.mentions.append((self.number, phrase.mask))

    def _refer(self, index: int, mask: int) -> None:
        """Look back for something of the gender and number of a pronoun."""
        near = [seen for number, seen in self.mentions if number >= self.number - _MEMORY]
        if mask & PLURAL:
            both = len(near) > 1 and (mask & ~FEMININE or any(seen & FEMININE for seen in near))
            good = both or any(seen & mask for seen in near)
        else:
            good = any(seen & mask for seen in near)
        if near and not good:
            self.blame("pronoun", index, index + 2)

    def _verb_after(self, index: int) -> int | None:
        """Give the index of the finite verb that follows a subject, across adverbs and clitics."""
        while self.at(index).low in _BETWEEN or (
            self.at(index).low in CLITICS and self.at(index + 1).entry.verb & FINITE
        ):
            index += 1
        entry = self.at(index).entry
        return index if entry.verb & FINITE and not entry.determiner else None

    def _fits(self, phrase: Phrase, verb: int) -> bool:
        allowed = phrase.person or ((ELE if phrase.mask & SINGULAR else 0) | (ELES if phrase.mask & PLURAL else 0))
        return bool(self.at(verb).entry.verb & allowed) or bool(self.at(verb).entry.lemmas & _IMPERSONAL)

    def _bare_verb(self, index: int) -> int:
        """Check a verb whose subject stands further away or behind it."""
        token = self.at(index)
        person = token.entry.verb & FINITE
        if token.entry.lemmas & _IMPERSONAL:
            if not person & ELE:
                self.blame("impersonal verb", index, index + 2)
            return index + 1
        if token.entry.lemmas & _INVERTING and not (self.subject is not None and token.entry.lemmas & _COPULAS):
            behind = None if self._governed(index + 1) else self.phrase(index + 1)
            if behind is not None and behind.head in _TIMES:
                behind = self.phrase(behind.end) or behind  # era uma vez um gato
            if behind is not None:
                self._mention(behind.end - 1, behind)
                self.subject = self.last = behind
                self.first = self.first or behind
                if not self._fits(behind, index) and not self._listed(behind.end):
                    self.blame("subject and verb", index, behind.end)
                return behind.end
        if self.subject is None or (person & (EU | NOS) and not person & (ELE | ELES)):
            self.subject = Phrase(0, self.speaker or ANY if person & EU else ANY, person)
        elif not self._fits(self.subject, index):
            self.blame("subject and verb", index - 1, index + 1)
        return self._after_verb(index)

    def _listed(self, index: int) -> bool:
        """Say whether a list goes on here, so that a verb in front of it may be plural: chegaram Nina e Lia."""
        return self.at(index).low in ("e", ",") and self.phrase(index + 1) is not None

    def _after_verb(self, verb: int) -> int:
        """Check what a finite verb asks of the words behind it."""
        lemmas = self.at(verb).entry.lemmas
        if "ter" in lemmas and self.at(verb + 1).entry.participle:
            if not self.at(verb + 1).entry.participle & MS:
                self.blame("participle", verb, verb + 2)
            return verb + 2
        if lemmas & (_COPULAS | _DEPICTIVE):
            mine = self.at(verb + 1).entry
            alone = mine.lemmas & _POSSESSIVES and not self._nominal(verb + 2)
            if alone and self.subject is not None and not mine.determiner & self.subject.mask:
                self.blame("predicate", verb, verb + 2)
            return self._predicate(verb + 1)
        return verb + 1

    def _predicate(self, index: int) -> int:
        """Check the adjectives that follow a verb against its subject, and give the index to go on from."""
        place = index
        while self.subject is not None:
            while self.at(place).low in _DEGREE and not self.at(place + 1).entry.noun:
                place += 1
            token = self.at(place)
            if not self._predicative(place):
                break
            loose = "adverb" in token.entry.tags and not self.at(index - 1).entry.lemmas & _COPULAS
            if not token.entry.adjective & self.subject.mask and not loose:
                self.blame("predicate", index - 1, place + 1)
            index = place = place + 1
            if self.at(place).low in ("e", ",", "mas"):
                after = place + 1 + (self.at(place + 1).low in _DEGREE or self.at(place + 1).low == "mas")
                after += self.at(after).low in _DEGREE
                if not self._predicative(after):
                    break
                place = after
        return index

    def _stray_adjective(self, index: int) -> None:
        """Check an adjective that follows no noun and no copula: sozinho, com azul, muito obrigada."""
        token, before = self.at(index), self.at(index - 1)
        if "obrigado" in token.entry.lemmas and self.speaker and not token.entry.adjective & self.speaker:
            self.blame("speaker", index, index + 1)
        if not self._predicative(index) or token.entry.tags or token.entry.verb:
            return
        governed = "preposition" in before.entry.tags
        if not governed and self.subject is None:
            return
        mask = MS if governed or self.subject is None or token.entry.lemmas & _COLOURS else self.subject.mask
        if not token.entry.adjective & mask:
            self.blame("agreement" if governed else "predicate", index - 1, index + 1)

    # --- neighbours ---------------------------------------------------------------------------------------------

    def _neighbours(self, index: int) -> None:
        """Check a word against the next one: contractions, doubled words, clitics, words that cannot meet."""
        token, following = self.at(index), self.at(index + 1)
        if (token.low, following.low) in SPLIT_CONTRACTIONS:
            self.blame("contraction", index, index + 2)
        elif token.low == following.low and token.low.isalpha():
            self.blame("doubled word", index, index + 2)
        if token.low in ("o", "a", "os", "as") and self._is_clitic(index):
            self._refer(index, token.entry.determiner)
        if token.low in ("a", "da", "na", "à", "pela") and (
            following.low == "que" or (following.entry.tags == {"adverb"} and not self._nominal(index + 1))
        ):
            self.blame("agreement", index, index + 2)
        infinitive = following.entry.verb == INFINITIVE and not self._nominal(index + 1)
        if infinitive and token.low in _ARTICLES:
            self.blame("verb form", index, index + 2)
        finite = following.entry.verb & FINITE and not following.entry.verb & ~FINITE
        if not finite or following.entry.tags or self._nominal(index + 1):
            return
        strict = token.low in _BEFORE_NOUNS and self.at(index - 1).low != "cada"
        strict = strict or token.entry.tags == {"contraction"}
        strict = strict or (token.low == "a" and bool(self.at(index - 1).entry.verb & FINITE))  # começou a correu
        modal = token.entry.verb & FINITE and not self._nominal(index) and not token.entry.tags
        if strict or (modal and all(other.low not in ("quem", "que") for other in self.tokens)):
            self.blame("verb form", index, index + 2)
