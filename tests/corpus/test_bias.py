"""Bias is measured on sentences that differ in one term and in nothing else."""

import numpy as np
import numpy.typing as npt
import pytest

from lhama.corpus.bias import Sentences, bias, sentences
from lhama.corpus.words import Texts


def shout(texts: Texts) -> npt.NDArray[np.float32]:
    """Score the share of the letter a: a scorer whose bias can be counted by hand."""
    scores = []
    for begin, end in zip(texts.offsets[:-1].tolist(), texts.offsets[1:].tolist(), strict=True):
        data = texts.data[begin:end]
        scores.append([0.0, (data == ord("a")).mean()])
    return np.array(scores, np.float32)


def test_by_hand() -> None:
    material = Sentences(("{}.", "{}!"), {"one": ("aaa", "aab", "bbb"), "other": ("ab",)})
    one, other = bias(shout, threshold=0.5, material=material)
    assert [term.term for term in one.terms] == ["aaa", "aab", "bbb"]
    assert one.gap == pytest.approx(0.75)
    assert [term.mean for term in one.terms] == pytest.approx([0.75, 0.5, 0.0])
    assert [term.difference for term in one.terms] == pytest.approx([1 / 3, 1 / 12, -5 / 12])
    assert [term.called for term in one.terms] == [1.0, 1.0, 0.0]
    assert other.gap == 0.0


def test_the_sentences_differ_in_the_term_alone() -> None:
    material = sentences("pt")
    assert all(template.count("{}") == 1 for template in material.templates)
    for group, terms in material.terms.items():
        assert len(set(terms)) == len(terms) > 2, group
        # A noun phrase with its own article fits every place without agreement.
        assert all(term.split()[0] in ("um", "uma") for term in terms), group
