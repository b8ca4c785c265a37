"""A Hugging Face sequence classifier scores documents as the model itself does, from safetensors only."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import tokenizers
import torch
import transformers
from tokenizers import models, pre_tokenizers, processors

from lhama.corpus.sequence_classifier import SequenceClassifier
from lhama.corpus.words import Texts, texts_of
from lhama.plan.problem import Problem

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "a", "o", "que", "casa", "é", "bonita", "feia", "dia", "hoje"]


def texts(written: list[str]) -> Texts:
    return texts_of(pa.array(written, pa.large_string()))


def write_model(folder: Path, labels: int, kind: str | None = None) -> Path:
    """Write a random BERT of two small layers and a tokenizer of whole words."""
    word_level = tokenizers.Tokenizer(
        models.WordLevel({word: place for place, word in enumerate(WORDS)}, unk_token="[UNK]")
    )
    word_level.pre_tokenizer = pre_tokenizers.Whitespace()
    word_level.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    fast = transformers.PreTrainedTokenizerFast(
        tokenizer_object=word_level, pad_token="[PAD]", unk_token="[UNK]", model_max_length=16
    )
    fast.save_pretrained(folder)
    torch.manual_seed(0)
    config = transformers.BertConfig(
        vocab_size=len(WORDS),
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=16,
        initializer_range=1.0,
        num_labels=labels,
        problem_type=kind,
    )
    transformers.BertForSequenceClassification(config).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def three(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("three"), 3)


WRITTEN = ["a casa é bonita", "o dia", "", "que dia feia " * 50, "🦙 hoje"]


def test_scores_are_the_model_s(three: Path) -> None:
    classifier = SequenceClassifier(str(three), batch=2)
    scores = classifier.score(texts(WRITTEN))
    model = transformers.AutoModelForSequenceClassification.from_pretrained(three).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(three)
    for place, text in enumerate(WRITTEN):
        tokens = tokenizer(text, truncation=True, return_tensors="pt")
        with torch.inference_mode():
            expected = model(**tokens).logits.softmax(-1)[0].numpy()
        np.testing.assert_allclose(scores[place], expected, atol=1e-5)
    assert classifier.classes == ("LABEL_0", "LABEL_1", "LABEL_2")
    assert np.ptp(scores[:, 0]) > 0.01  # a random model that says the same of all would prove nothing


def test_company_does_not_matter(three: Path) -> None:
    together = SequenceClassifier(str(three), batch=5).score(texts(WRITTEN))
    for place, text in enumerate(WRITTEN):
        np.testing.assert_allclose(SequenceClassifier(str(three)).score(texts([text]))[0], together[place], atol=1e-5)


def test_several_labels_at_once_and_a_single_output(tmp_path: Path) -> None:
    many = SequenceClassifier(str(write_model(tmp_path / "many", 3, "multi_label_classification")))
    scores = many.score(texts(WRITTEN))
    assert (scores > 0).all()
    assert (scores < 1).all()
    assert (np.abs(scores.sum(axis=1) - 1) > 1e-3).any()
    one = SequenceClassifier(str(write_model(tmp_path / "one", 1)))
    assert one.score(texts(WRITTEN)).shape == (5, 1)


def test_pickles_are_refused(tmp_path: Path) -> None:
    folder = write_model(tmp_path / "pickled", 2)
    (folder / "model.safetensors").unlink()
    (folder / "pytorch_model.bin").write_bytes(b"\x80\x04N.")
    with pytest.raises(Problem, match=r"pickled.*cannot be used"):
        SequenceClassifier(str(folder)).score(texts(["a"]))
