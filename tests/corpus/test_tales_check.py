"""The agreement checker: faults by hand, all of the generator's own text, and mistakes put into it on purpose."""

from collections import Counter

import pytest

from lhama.corpus.tales import documents, faults, labelled, preferences, prompts
from lhama.corpus.tales.mutations import MISTAKES, mutate
from lhama.corpus.tales.template import Draws

GOOD = [
    "Era uma vez uma gata chamada Nina. Ela morava perto do rio.",
    "Nina e Lia ficaram cansadas, mas contentes.",
    "Nina e Tobias ficaram cansados.",
    "Os dois amigos correram até a praia.",
    "A casa da menina era pequena e amarela.",
    "Tobias deu a bola a Nina e foi embora.",
    "Tobias foi a pé.",
    "Nina achou a bola e a levou para casa.",
    "A bola que estava no jardim era vermelha.",
    "— Muito obrigada, Tobias! — disse Nina. — Você é um bom amigo.",
    "— Onde está a bola?",
    "Havia duas maçãs e um pão na mesa.",
    "Lá estava o livro, atrás de uma pedra!",
    "Dois mais dois são quatro.",
    "3 + 4 = 7.",
    "Pergunta: Quem ajudou Nina?\nResposta: O urso Tobias.",
]

BAD = [
    ("O gata correu.", "agreement"),
    ("A gata preto correu.", "agreement"),
    ("As bola caíram no rio.", "agreement"),
    ("Tobias achou dois maçãs.", "agreement"),
    ("Nina ficou cansado.", "predicate"),
    ("Nina e Lia ficaram cansados.", "predicate"),
    ("Nina estava triste e assustado.", "predicate"),
    ("Nina, a gata, foram embora.", "subject and verb"),
    ("Os gatos correu para casa.", "subject and verb"),
    ("Nina e Tobias correu para casa.", "subject and verb"),
    ("Nina pegou a bola e correram para casa.", "subject and verb"),
    ("Eu quer a bola.", "subject and verb"),
    ("Haviam duas maçãs na mesa.", "impersonal verb"),
    ("Faltava duas moedas.", "subject and verb"),
    ("A casa de o menino era azul.", "contraction"),
    ("Nina foi a o rio.", "contraction"),
    ("Nina morava em a vila.", "contraction"),
    ("Nina passou por o parque.", "contraction"),
    ("Nina pegou a a bola.", "contraction"),
    ("Nina correu correu para casa.", "doubled word"),
    ("Nina queria correu para casa.", "verb form"),
    ("Nina aprendeu o nadar.", "verb form"),
    ("Nina começou a correu.", "verb form"),
    ("Nina tinha perdida a bola.", "participle"),
    ("Um gato chamado Nina correu.", "name gender"),
    ("A gata Tobias correu.", "name gender"),
    ("Nina correu. Ele caiu.", "pronoun"),
    ("Nina achou o livro e a levou para casa, mas a levou mal.", None),
    ("Nina comprou um smartphone.", "unknown word"),
    ("nina correu para casa.", "unknown word"),
    ("ela correu para casa.", "capital"),
    ("Nina correu Para casa.", "capital"),
    ("Nina correu , e caiu.", "spacing"),
    ("Nina correu para", "unfinished sentence"),
    ("Nina na casa da avó.", "no verb"),
    ("— Muito obrigado! — disse Nina.", "speaker"),
    ("— Oi, Nina. — disse Tobias.", "dialogue"),
    ("— Oi, Nina! — correu Tobias.", "dialogue"),
    ("Nina disse — oi.", "dialogue"),
    ("— Oi! — disse Nina — Tudo bem?", "dialogue"),
    ("Nina correu.\n\nNina caiu.", "empty line"),
]


@pytest.mark.parametrize("text", GOOD)
def test_good_sentences_pass(text: str) -> None:
    assert faults(text) == []


@pytest.mark.parametrize(("text", "kind"), [(text, kind) for text, kind in BAD if kind is not None])
def test_bad_sentences_are_blamed_for_the_right_thing(text: str, kind: str) -> None:
    assert kind in {fault.split(":")[0] for fault in faults(text)}


@pytest.mark.parametrize("text", [text for text, kind in BAD if kind is None])
def test_what_the_rules_cannot_see(text: str) -> None:
    """Known limits, written down so that a change of them is noticed."""
    assert faults(text) == []


def test_the_hero_must_occur() -> None:
    assert faults("Nina correu para casa.", hero="Nina") == []
    assert faults("Nina correu para casa.", hero="Tobias") == ["hero: Tobias does not occur"]
    assert faults("Anabela correu.", hero="Ana")[0] == "hero: Ana does not occur"


def test_a_cut_text_may_end_anywhere_but_not_begin_wrongly() -> None:
    assert faults("Nina correu para casa. Ela viu um", cut=True) == []
    assert faults("Nina correu para casa.\n— Que", cut=True) == []
    assert faults("O gata correu. Ela viu um", cut=True) != []


def test_every_document_of_the_generator_passes() -> None:
    kinds: Counter[str] = Counter()
    for tale in documents(3000, seed=101):
        assert faults(tale.text, tale.hero or None) == [], tale.text
        kinds[tale.kind] += 1
    assert set(kinds) == {"story", "questions", "dialogue", "description", "facts", "arithmetic"}
    assert min(kinds.values()) > 80


def test_prompts_and_rows_pass_too() -> None:
    for prompt in [*prompts(300, 5, held_out=False), *prompts(300, 5, held_out=True)]:
        assert faults(prompt.text, prompt.hero) == []
    for row in labelled(300, 5):
        assert faults(str(row["text"])) == []
    for row in preferences(300, 5):
        assert faults(f"{row['prompt']}{row['chosen']}") == []


def test_almost_every_injected_mistake_is_caught() -> None:
    """At least 95 in 100 of all, of each kind 92; a pronoun that could mean someone else in the tale is no mistake."""
    caught: Counter[str] = Counter()
    made: Counter[str] = Counter()
    tales = [tale for tale in documents(400, seed=202) if tale.kind in ("story", "questions", "dialogue")]
    for mistake in MISTAKES:
        for number, tale in enumerate(tales):
            wrong = mutate(tale.text, mistake, Draws("mutation", mistake, number))
            if wrong is not None:
                made[mistake] += 1
                caught[mistake] += bool(faults(wrong))
    agreement = [mistake for mistake in MISTAKES if mistake != "pronoun gender"]
    assert all(made[mistake] > 200 for mistake in agreement)
    assert sum(caught[mistake] for mistake in agreement) >= 0.95 * sum(made[mistake] for mistake in agreement)
    assert all(caught[mistake] >= 0.92 * made[mistake] for mistake in agreement), (caught, made)
    assert caught["pronoun gender"] >= 0.5 * made["pronoun gender"]
