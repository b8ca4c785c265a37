"""The judge of a model of tales: a hundred prompts go in, how many continuations are faultless Portuguese comes out.

Fifty prompts combine hero, action and object as training may have, fifty as it never did; they are counted apart.
A sample passes where the agreement checker finds no fault in prompt and continuation together and the continuation
itself names the hero. Distinct 4-grams (Li et al. 2016, arXiv:1510.03055) tell fluent from repetitive: the share of all
runs of four words in the continuations that are different ones. The tales are a teaching corpus; so is this judgement.
"""

import re
from collections.abc import Sequence
from typing import Any

from lhama.corpus.tales import Prompt, faults, prompts
from lhama.model.generate import complete_many
from lhama.model.llama import Llama
from lhama.plan.recipe import Serve
from lhama.tokens.vocabulary import Vocabulary

SAMPLES = 50  # of each kind


def judge(model: Llama, vocabulary: Vocabulary, settings: Serve, seed: int) -> dict[str, Any]:
    """Let the model continue the prompts at a fixed seed and judge what it wrote."""
    asked = [(prompt, held_out) for held_out in (False, True) for prompt in prompts(SAMPLES, seed, held_out)]
    ids = [[vocabulary.bos, *vocabulary.encode(prompt.text)] for prompt, _ in asked]
    answers = complete_many(model, ids, settings, seed, stop=(vocabulary.eos,), purpose="judge")
    judged = [
        verdict(prompt, vocabulary.decode(answer), held_out)
        for (prompt, held_out), answer in zip(asked, answers, strict=True)
    ]
    return summary(judged)


def verdict(prompt: Prompt, text: str, held_out: bool) -> dict[str, Any]:
    """Judge one continuation."""
    return {
        "prompt": prompt.text,
        "text": text,
        "hero": prompt.hero,
        "held_out": held_out,
        "hero_named": re.search(rf"\b{re.escape(prompt.hero)}\b", text) is not None,
        "faults": faults(prompt.text + text),
    }


def passes(judged: dict[str, Any]) -> bool:
    """Tell whether a continuation is faultless and names its hero."""
    return not judged["faults"] and bool(judged["hero_named"])


def summary(judged: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Count what passed, in all and apart."""
    parts = {
        name: [one for one in judged if one["held_out"] is held_out]
        for name, held_out in (("seen", False), ("held_out", True))
    }
    counts = {name: {"samples": len(part), "passed": sum(map(passes, part))} for name, part in parts.items()}
    return {
        "passed": sum(map(passes, judged)),
        **counts,
        "distinct_4_grams": distinct([one["text"] for one in judged], 4),
        "samples": list(judged),
    }


def distinct(texts: Sequence[str], size: int) -> float | None:
    """Return the share of different ones among all runs of `size` words; None where there is no run so long."""
    runs = [
        tuple(words[start : start + size])
        for words in (re.findall(r"\w+", text.lower()) for text in texts)
        for start in range(len(words) - size + 1)
    ]
    return len(set(runs)) / len(runs) if runs else None
