"""The agreement checker: Portuguese text in the tales' words goes in, a list of faults comes out (empty = it passes).

Three things are checked: the layout (spaces, capitals, speech dashes, closing signs), the words (every form must be in
the lexicon of words.toml) and the agreement inside each sentence (agreement.py). No fault found means "nothing wrong
that these rules can see": they know neither meaning nor style, and only the words of the tales.
"""

import re
from itertools import pairwise

from lhama.corpus.tales import words
from lhama.corpus.tales.agreement import SPEAKING, Mentions, Reader
from lhama.corpus.tales.grammar import ANY, FINITE, PLURAL, SINGULAR, listed
from lhama.corpus.tales.phrases import PhraseReader, Token
from lhama.corpus.tales.words import Entry

_TOKEN = re.compile(r"\d+|[^\W\d_]+(?:-[^\W\d_]+)*|[^\w\s]| +")
_ENDS = ".!?…"
_UNKNOWN = Entry()
_SUM = frozenset(listed("mais menos vezes são é e ."))
_LABELS = frozenset(listed("pergunta resposta"))
_FEW_WORDS = 4  # a shorter sentence needs no verb: "Que delícia!", "Na praça."


def faults(text: str, hero: str | None = None, *, cut: bool = False) -> list[str]:
    """List what is wrong with a text; `cut` allows an unfinished last sentence, `hero` must occur."""
    found = []
    if hero is not None and not re.search(rf"\b{re.escape(hero)}\b", text):
        found.append(f"hero: {hero} does not occur")
    lines = text.strip("\n").split("\n")
    mentions: Mentions = []
    number = topic = 0
    for place, line in enumerate(lines):
        torn = cut and place == len(lines) - 1 and not _closed(line)
        body = line[: max(line.rfind(sign) for sign in _ENDS) + 1] if torn else line
        if not _closed(line) and not torn:
            found.append(f"unfinished sentence: {line[-40:]}")
        found += _layout(line, torn)
        speaker = _speaker(line) if line.startswith("—") else 0
        for sentence in _sentences(body):
            number += 1
            tokens = [_token(part) for part in sentence if part != '"']
            reader = Reader(tokens, mentions, number, speaker, topic)
            found += _check(tokens, speaker > 0) + (_sum(tokens) if _is_sum(tokens) else reader.read())
            topic = reader.first.mask if reader.first is not None and not speaker else 0
    return found


def _closed(line: str) -> bool:
    return line.rstrip()[-1:] in (*_ENDS, ":", '"')


def _sentences(line: str) -> list[list[str]]:
    """Split one line of text into sentences of tokens, the closing sign included."""
    found: list[list[str]] = [[]]
    for token in _TOKEN.findall(line):
        if token.isspace():
            continue
        found[-1].append(token)
        if token in _ENDS:
            found.append([])
    return [sentence for sentence in found if any(part.isalnum() for part in sentence)]


def _token(text: str) -> Token:
    lexicon = words.lexicon()
    exact = lexicon.get(text)
    if exact is not None and "name" in exact.tags:
        return Token(text, text, exact)
    if text.isdigit():
        return Token(text, text, Entry(determiner=SINGULAR if text == "1" else PLURAL, tags={"number"}))
    low = text.lower()
    return Token(text, low, lexicon.get(low, _UNKNOWN))


def _speaker(line: str) -> int:
    """Give the gender and number of who speaks in a line of dialogue, any where it does not say."""
    parts = line.split("—")
    said = [_token(part) for part in _TOKEN.findall(parts[2]) if not part.isspace()] if len(parts) > 2 else []
    phrase = PhraseReader(said).phrase(1)
    return phrase.mask if phrase is not None else ANY


def _is_sum(tokens: list[Token]) -> bool:
    """Say whether a sentence is a calculation in words, whose numbers count nothing: dois mais dois são quatro."""
    return all(t.low in _SUM or "number" in t.entry.tags for t in tokens)


def _sum(tokens: list[Token]) -> list[str]:
    """Check the verb of a calculation: "é" in front of zero and one, "são" in front of all else."""
    for token, following in pairwise(tokens):
        if token.low in ("são", "é") and (token.low == "é") != (following.low in ("zero", "um")):
            return [f"subject and verb: {' '.join(t.text for t in tokens)}"]
    return []


def _check(tokens: list[Token], speech: bool) -> list[str]:
    """Check the words, the capitals and the verb of one sentence."""
    found = [f"unknown word: {t.text}" for t in tokens if t.entry is _UNKNOWN and t.text[0].isalpha()]
    must, may = not speech, True
    for token in tokens:
        is_word = token.text[0].isalpha()
        wrong = must if token.text[0].islower() else not may
        if is_word and wrong and "name" not in token.entry.tags:
            found.append(f"capital: {token.text}")
        if is_word or token.text.isdigit():
            must = may = False
        may = may or token.text in (":", "—")
    full = len([t for t in tokens if t.text[0].isalpha()]) >= _FEW_WORDS
    if full and not speech and tokens[0].low not in _LABELS and not any(t.entry.verb & FINITE for t in tokens):
        found.append(f"no verb: {' '.join(t.text for t in tokens)}")
    return found


def _layout(line: str, torn: bool) -> list[str]:
    """Check the spacing and the speech dashes of a line."""
    if not line.strip():
        return ["empty line"]
    found = []
    if re.search(r" [,.!?:;]|  |^ | $|,,|\.\.|[,.!?:;][^\W\d_]", line):
        found.append(f"spacing: {line[:40]}")
    parts = line.split("—")
    if len(parts) == 1:
        return found
    if parts[0] or len(parts) > 4 or not all(part.startswith(" ") for part in parts[1:]):
        found.append(f"dialogue: {line[:40]}")
    if len(parts) > 2 and not (torn and len(parts) == 3):
        speech, said = parts[1].strip(), parts[2].strip()
        if not (speech and (speech[-1] in "!?…" or speech[-1].isalpha())):
            found.append(f"dialogue: {speech[-40:]}")
        if not words.lexicon().get(said.split(" ")[0], _UNKNOWN).lemmas & SPEAKING:
            found.append(f"dialogue: no verb of saying in {said[:40]}")
        if len(parts) == 4 and said[-1:] not in (".", ","):
            found.append(f"dialogue: {said[-40:]}")
    return found
