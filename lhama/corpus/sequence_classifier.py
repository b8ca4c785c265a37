"""Score documents with a Hugging Face sequence classifier, by the name of a repository or a local folder.

In go documents as bytes and offsets, out comes a score for each of the model's labels: a softmax over one label of
several, a sigmoid for each of several that may hold at once, the plain number where the model has a single output.
Weights come from safetensors only and no code of the repository runs. Of a long document the model sees the beginning.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lhama.corpus.words import Texts
from lhama.plan.problem import Problem

CHARACTERS_OF_A_TOKEN = 16  # more than any tokenizer's mean; what lies beyond is not even tokenized


@dataclass(frozen=True)
class SequenceClassifier:
    """A model by name; it is loaded when first used, once in a process, so that this can go to another process."""

    name: str
    revision: str | None = None
    """A commit of the repository; without it, whatever is there today."""
    longest: int = 512
    """Tokens of a document that are looked at, if the model can take so many."""
    batch: int = 32
    device: str = "cpu"

    @property
    def classes(self) -> tuple[str, ...]:
        """Return the names of the model's labels, in the order of the scores."""
        labels = _loaded(self.name, self.revision, self.device)[1].config.id2label
        return tuple(str(labels[place]) for place in sorted(labels))

    def score(self, texts: Texts) -> npt.NDArray[np.float32]:
        """Return a score for each document and label."""
        import torch

        tokenizer, model = _loaded(self.name, self.revision, self.device)
        most = min(self.longest, _room(tokenizer, model))
        scores = np.zeros((len(texts.offsets) - 1, model.config.num_labels), np.float32)
        for places in _batches(texts, self.batch):
            beginnings = [_beginning(texts, place, most * CHARACTERS_OF_A_TOKEN) for place in places]
            tokens = tokenizer(beginnings, truncation=True, max_length=most, padding=True, return_tensors="pt")
            with torch.inference_mode():
                logits = model(**tokens.to(self.device)).logits.float()
            scores[places] = _activated(logits, model.config).cpu().numpy()
        return scores


@cache
def _loaded(name: str, revision: str | None, device: str) -> tuple[Any, Any]:
    import transformers

    local = Path(name).is_dir()
    asked = {"trust_remote_code": False, "local_files_only": local, **({} if local else {"revision": revision})}
    try:
        tokenizer = transformers.AutoTokenizer.from_pretrained(name, **asked)
        model = transformers.AutoModelForSequenceClassification.from_pretrained(name, use_safetensors=True, **asked)
    except (OSError, ValueError) as error:
        raise Problem(
            f"{name} cannot be used as a classifier: {str(error).splitlines()[0]}",
            remedy="name a repository or folder with config.json, a tokenizer and model.safetensors",
        ) from error
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
        model.config.pad_token_id = tokenizer.pad_token_id
    return tokenizer, model.eval().to(device)


def _room(tokenizer: Any, model: Any) -> int:
    """Return how many tokens a model can take; RoBERTa's positions begin behind the padding's."""
    positions = getattr(model.config, "max_position_embeddings", tokenizer.model_max_length)
    if model.config.model_type in ("roberta", "xlm-roberta", "camembert"):
        positions -= model.config.pad_token_id + 1
    return int(min(positions, tokenizer.model_max_length))


def _batches(texts: Texts, size: int) -> Iterator[list[int]]:
    """Yield places of documents of like length together, so that little is padding."""
    order = np.argsort(np.diff(texts.offsets), kind="stable").tolist()
    for at in range(0, len(order), size):
        yield order[at : at + size]


def _beginning(texts: Texts, place: int, most: int) -> str:
    begin, end = int(texts.offsets[place]), int(texts.offsets[place + 1])
    return texts.data[begin : min(end, begin + most)].tobytes().decode("utf-8", "ignore")


def _activated(logits: Any, config: Any) -> Any:
    if config.num_labels == 1:
        return logits
    return logits.sigmoid() if config.problem_type == "multi_label_classification" else logits.softmax(dim=-1)
