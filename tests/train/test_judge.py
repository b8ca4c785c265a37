"""The judge of tales, by hand."""

from typing import Any

import pytest

from lhama.corpus.tales import Prompt, documents
from lhama.model.config import LlamaConfig
from lhama.model.llama import Llama
from lhama.plan.recipe import Serve
from lhama.tokens.vocabulary import Vocabulary
from lhama.train import judge
from tests.train.conftest import Place


def test_a_tale_passes_that_is_faultless_and_names_its_hero() -> None:
    tale = next(tale for tale in documents(20, seed=3) if tale.hero and tale.text.count(tale.hero) > 2)
    cut = tale.text.index(tale.hero) + len(tale.hero)
    prompt = Prompt(tale.text[:cut], tale.hero, tale.action, tale.object)
    good = judge.verdict(prompt, tale.text[cut:], held_out=False)
    assert good["faults"] == []
    assert judge.passes(good)
    nameless = judge.verdict(prompt, tale.text[cut:].replace(tale.hero, "Zulmira"), held_out=False)
    assert not nameless["hero_named"]
    assert not judge.passes(nameless)


def test_a_name_inside_another_word_is_no_name() -> None:
    prompt = Prompt("Ana saiu.", "Ana", "ver", "banana")
    assert not judge.verdict(prompt, " Comeu uma banana.", held_out=True)["hero_named"]
    assert judge.verdict(prompt, " Então Ana riu.", held_out=True)["hero_named"]


def test_an_agreement_fault_is_found_across_prompt_and_continuation() -> None:
    prompt = Prompt("Era uma vez uma", "Ana", "ver", "lua")
    assert judge.verdict(prompt, " gato bonita.", held_out=True)["faults"]


def test_the_summary_counts_seen_and_held_out_apart() -> None:
    def one(held_out: bool, faults: list[str], named: bool = True) -> dict[str, Any]:
        return {"text": "a b c d e", "held_out": held_out, "faults": faults, "hero_named": named}

    found = judge.summary([one(False, []), one(False, ["x"]), one(True, []), one(True, [], named=False), one(True, [])])
    assert found["passed"] == 3
    assert found["seen"] == {"samples": 2, "passed": 1}
    assert found["held_out"] == {"samples": 3, "passed": 2}
    assert len(found["samples"]) == 5
    assert found["distinct_4_grams"] == 2 / 10  # a-b-c-d and b-c-d-e, five times each


def test_distinct_runs_do_not_cross_texts() -> None:
    assert judge.distinct(["a b c d", "E, f: g h!", "a b c D"], 4) == 2 / 3
    assert judge.distinct(["a b c"], 4) is None


def test_a_model_is_judged_on_its_prompts(prepared: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(judge, "SAMPLES", 2)
    place = Place(prepared)
    vocabulary = Vocabulary.load(place.train.parent / "tokens")
    model = Llama(LlamaConfig.from_recipe(place.recipe(), vocabulary.size))
    model.init_weights(0)
    settings = Serve(max_new_tokens=8)
    found = judge.judge(model, vocabulary, settings, seed=0)
    assert [one["held_out"] for one in found["samples"]] == [False, False, True, True]
    assert found == judge.judge(model, vocabulary, settings, seed=0)  # the same seed, the same tales
