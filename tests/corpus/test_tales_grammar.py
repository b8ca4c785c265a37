"""Inflection against forms written out by hand (Cunha and Cintra, Nova gramática do português contemporâneo)."""

import pytest

from lhama.corpus.tales import grammar
from lhama.corpus.tales.grammar import EU, GERUND, INFINITIVE, adjective, conjugate, number_word, plural, tense


@pytest.mark.parametrize(
    ("singular", "many"),
    [
        ("bola", "bolas"),
        ("flor", "flores"),
        ("nariz", "narizes"),
        ("viagem", "viagens"),
        ("avião", "aviões"),
        ("mão", "mãos"),
        ("pão", "pães"),
        ("animal", "animais"),
        ("papel", "papéis"),
        ("farol", "faróis"),
        ("azul", "azuis"),
        ("mês", "meses"),
        ("lápis", "lápis"),
        ("fácil", "fáceis"),
        ("quinta-feira", "quintas-feiras"),
    ],
)
def test_plural(singular: str, many: str) -> None:
    assert plural(singular) == many


@pytest.mark.parametrize(
    "forms",
    [
        ("vermelho", "vermelha", "vermelhos", "vermelhas"),
        ("verde", "verde", "verdes", "verdes"),
        ("feliz", "feliz", "felizes", "felizes"),
        ("bom", "boa", "bons", "boas"),
        ("mau", "má", "maus", "más"),
        ("sonhador", "sonhadora", "sonhadores", "sonhadoras"),
        ("melhor", "melhor", "melhores", "melhores"),
        ("brincalhão", "brincalhona", "brincalhões", "brincalhonas"),
        ("possível", "possível", "possíveis", "possíveis"),
    ],
)
def test_adjective(forms: tuple[str, str, str, str]) -> None:
    assert adjective(forms[0]) == forms


@pytest.mark.parametrize(
    ("verb", "name", "forms"),
    [
        ("cantar", "present", "canto canta cantamos cantam"),
        ("comer", "preterite", "comi comeu comemos comeram"),
        ("abrir", "imperfect", "abria abria abríamos abriam"),
        ("ficar", "preterite", "fiquei ficou ficamos ficaram"),
        ("chegar", "subjunctive", "chegue chegue cheguemos cheguem"),
        ("começar", "preterite", "comecei começou começamos começaram"),
        ("passear", "present", "passeio passeia passeamos passeiam"),
        ("passear", "subjunctive", "passeie passeie passeemos passeiem"),
        ("conhecer", "present", "conheço conhece conhecemos conhecem"),
        ("proteger", "subjunctive", "proteja proteja protejamos protejam"),
        ("fugir", "present", "fujo foge fugimos fogem"),
        ("subir", "present", "subo sobe subimos sobem"),
        ("seguir", "present", "sigo segue seguimos seguem"),
        ("dormir", "subjunctive", "durma durma durmamos durmam"),
        ("cair", "present", "caio cai caímos caem"),
        ("cair", "preterite", "caí caiu caímos caíram"),
        ("construir", "present", "construo constrói construímos constroem"),
        ("ser", "imperfect", "era era éramos eram"),
        ("ir", "preterite", "fui foi fomos foram"),
        ("ter", "present", "tenho tem temos têm"),
        ("vir", "preterite", "vim veio viemos vieram"),
        ("pôr", "imperfect", "punha punha púnhamos punham"),
        ("ver", "present", "vejo vê vemos veem"),
        ("trazer", "preterite", "trouxe trouxe trouxemos trouxeram"),
        ("pedir", "subjunctive", "peça peça peçamos peçam"),
    ],
)
def test_tense(verb: str, name: str, forms: str) -> None:
    assert " ".join(tense(verb, name)) == forms


def test_conjugation_knows_what_stands_for_whom() -> None:
    forms = conjugate("cantar")
    assert forms["cantar"] == INFINITIVE
    assert forms["cantando"] == GERUND
    assert forms["cantei"] == EU
    assert forms["cantava"] == EU | grammar.ELE


def test_participles() -> None:
    assert [grammar.participle(verb) for verb in ("cantar", "comer", "fazer", "abrir", "escrever", "cair")] == [
        "cantado",
        "comido",
        "feito",
        "aberto",
        "escrito",
        "caído",
    ]


def test_numbers_in_words() -> None:
    assert [number_word(number) for number in (0, 2, 14, 20, 21, 99, 100)] == [
        "zero",
        "dois",
        "quatorze",
        "vinte",
        "vinte e um",
        "noventa e nove",
        "cem",
    ]
    assert [number_word(number, feminine=True) for number in (1, 2, 22)] == ["uma", "duas", "vinte e duas"]


def test_contractions() -> None:
    pairs = {("de", "o"): "do", ("em", "as"): "nas", ("a", "a"): "à", ("por", "os"): "pelos", ("de", "ela"): "dela"}
    assert {pair: grammar.SPLIT_CONTRACTIONS[pair] for pair in pairs} == pairs
    assert ("em", "aquele") in grammar.SPLIT_CONTRACTIONS
