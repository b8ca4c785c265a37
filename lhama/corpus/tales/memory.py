"""Texts that ask for memory: the game of the fair, who owns what, and counting-out lines that come twice.

Draws go in, a short text comes out in which almost every name and thing has been said before, so that looking it up in
the text is the only way to know it. Children play such games for the same reason: a story's hero keeps his name only in
a head (or a model) that has learned to look back. Olsson et al. 2022 (arXiv 2209.11895) describe how a transformer
learns it, late and all at once; a corpus with dense repetition lets it happen early.
"""

from collections.abc import Sequence

from lhama.corpus.tales import grammar, words
from lhama.corpus.tales.grammar import FS, MS, SLOTS
from lhama.corpus.tales.template import Draws, shuffled
from lhama.corpus.tales.words import Noun

_COLOURED = ("brinquedo", "pertence", "presente")
_ANY = (*_COLOURED, "fruta", "comida", "instrumento")


def _things(draws: Draws, count: int, classes: Sequence[str]) -> list[Noun]:
    known = {noun.singular: noun for name in classes for noun in words.nouns(name)}
    return shuffled(draws, sorted(known.values(), key=lambda noun: noun.singular))[:count]


def _players(draws: Draws, count: int) -> list[str]:
    return shuffled(draws, words.names(MS) + words.names(FS))[:count]


def _a(noun: Noun) -> str:
    return ("uma " if noun.gender == FS else "um ") + noun.singular


def _the(noun: Noun) -> str:
    return ("a " if noun.gender == FS else "o ") + noun.singular


def _list(items: list[str]) -> str:
    return " e ".join(filter(None, (", ".join(items[:-1]), items[-1])))


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def fair(draws: Draws) -> str:
    """Play the game of the fair: each player says what was bought so far, and one thing more."""
    players = _players(draws, 2 + draws.below(2))
    things = _things(draws, 4 + draws.below(2), _ANY)
    start = draws.pick(("Fui à feira e comprei", "Fui à loja e comprei", "Na minha mochila há"))
    lines = [f"{_list(players)} {draws.pick(('brincavam de lembrar', 'faziam um jogo de memória'))}."]
    for turn in range(len(things)):
        said = _list([_a(thing) for thing in things[: turn + 1]])
        lines.append(f"— {start} {said} — disse {players[turn % len(players)]}.")
    return "\n".join(lines)


def owners(draws: Draws) -> str:
    """Tell who has what and in which colour, and then say it again from the thing's side."""
    players = _players(draws, 3 + draws.below(2))
    things = _things(draws, len(players), _COLOURED)
    colours = [draws.pick(words.adjectives("cor")) for _ in players]
    told = [
        f"{name} tem {_a(thing)} {colour[SLOTS.index(thing.gender)]}."
        for name, thing, colour in zip(players, things, colours, strict=True)
    ]
    again = [
        f"{_capital(_the(thing))} de {name} é {colour[SLOTS.index(thing.gender)]}."
        for name, thing, colour in zip(players, things, colours, strict=True)
    ]
    asked = [
        f"Pergunta: De quem é {_the(thing)}?\nResposta: De {name}." for name, thing in zip(players, things, strict=True)
    ]
    if draws.below(2):
        return " ".join([*told, *shuffled(draws, again)])
    return "\n".join([" ".join(told), *shuffled(draws, asked)])


def line_up(draws: Draws) -> str:
    """Call the names of a queue, and call them again."""
    players = _players(draws, 4 + draws.below(3))
    place = draws.pick(words.nouns("lugar"))
    where = grammar.DETERMINERS["do"][SLOTS.index(place.gender)]
    calls = " ".join(f"{_capital(name)} chegou." for name in players)
    goes = " ".join(f"{name} {draws.pick(('entrou', 'foi embora', 'sentou', 'sorriu'))}." for name in players)
    row = f"Na fila {where} {place.singular} estavam {_list(players)}."
    return draws.pick((f"{row} {calls} {goes}", f"{row} {goes}", f"{row} {goes} {calls}"))


def memory(draws: Draws) -> str:
    """Write one of the three."""
    return draws.pick((fair, fair, owners, owners, line_up))(draws)
