"""Text to ids and back, with the vocabulary of a run or of any model folder.

In go texts, out come ids without special tokens (`<s>` and `</s>` are the stage's to add), and the other way round.
A vocabulary that Lhama trained is read by SentencePiece, which returns arrays; any other by `tokenizers`. Subtle: both
work in threads of their own, and a very long document is cut at line ends first where newline is a piece that never
merges, so that its ids are the same and it cannot keep one thread busy alone.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lhama.plan.problem import Problem
from lhama.record import files
from lhama.tokens import sample, sentencepiece_model, tokenizer_json

LONG = 1 << 20  # characters; beyond this a document is encoded in stretches that end at line ends
UNFINISHED = "\ufffd"  # what decoding shows for a character of which bytes are missing


@dataclass(frozen=True)
class VocabularySettings:
    """What a vocabulary's pieces depend on, besides the text."""

    size: int
    sample_bytes: int
    seed: int = 0
    threads: int = 1


def train_vocabulary(texts: Iterable[tuple[str, str, str]], settings: VocabularySettings, folder: Path) -> None:
    """Train a vocabulary on (source, id, text) documents and write its four files."""
    items = sample.items(sample.choose(texts, settings.sample_bytes, settings.seed))
    model = sentencepiece_model.train(items, settings.size, settings.threads)
    tokenizer_json.write(model, folder)


class _SentencePiece:
    newline_is_apart = True

    def __init__(self, path: Path) -> None:
        import sentencepiece

        self._processor = sentencepiece.SentencePieceProcessor(model_file=str(path))
        self.size = int(self._processor.get_piece_size())

    def encode(self, texts: Sequence[str], threads: int) -> list[NDArray[np.int32]]:
        arrays: list[NDArray[np.int32]] = self._processor.encode(list(texts), num_threads=threads, return_type="numpy")
        return arrays

    def decode(self, ids: Sequence[int]) -> str:
        return str(self._processor.decode(list(ids)))


class _Tokenizers:
    newline_is_apart = False

    def __init__(self, path: Path) -> None:
        from tokenizers import Tokenizer

        self._tokenizer = Tokenizer.from_file(str(path))
        self._tokenizer.encode_special_tokens = True
        self.size = max(self._tokenizer.get_vocab(with_added_tokens=True).values()) + 1

    def encode(self, texts: Sequence[str], threads: int) -> list[NDArray[np.int32]]:
        encodings = self._tokenizer.encode_batch_fast(list(texts), add_special_tokens=False)
        return [np.array(encoding.ids, dtype=np.int32) for encoding in encodings]

    def decode(self, ids: Sequence[int]) -> str:
        return str(self._tokenizer.decode(list(ids), skip_special_tokens=True))


class Vocabulary:
    """The pieces of a tokenizer folder, and the ids of its special tokens."""

    def __init__(self, folder: Path, reader: _SentencePiece | _Tokenizers, threads: int = 1) -> None:
        self.folder = folder
        self.threads = threads
        self._reader = reader
        self.size = reader.size
        special = _special_ids(folder)
        self.bos, self.eos = (_required(special, name, folder) for name in ("bos_token", "eos_token"))
        self.unk = special.get("unk_token", self.eos)
        self.pad = special.get("pad_token", self.eos)

    @classmethod
    def load(cls, folder: Path, threads: int = 1) -> "Vocabulary":
        """Open the tokenizer of a tokens folder or of a checkpoint."""
        model = folder / "tokenizer.model"
        if model.is_file() and _is_ours(model):
            return cls(folder, _SentencePiece(model), threads)
        if not (folder / "tokenizer.json").is_file():
            raise Problem(f"there is no tokenizer.json in {folder}")
        return cls(folder, _Tokenizers(folder / "tokenizer.json"), threads)

    def encode(self, text: str) -> list[int]:
        """Return the ids of a text, without special tokens: a literal "<s>" is plain characters."""
        ids: list[int] = self.encode_documents([text])[0].tolist()
        return ids

    def encode_documents(self, texts: Sequence[str]) -> list[NDArray[np.int32]]:
        """Return an array of ids per text, working in threads."""
        parts: list[str] = []
        counts = []
        for text in texts:
            stretches = _stretches(text) if self._reader.newline_is_apart else [text]
            parts += stretches
            counts.append(len(stretches))
        arrays = iter(self._reader.encode(parts, self.threads))
        return [_joined([next(arrays) for _ in range(count)]) for count in counts]

    def decode(self, ids: Sequence[int]) -> str:
        """Return the text of ids; special tokens have none."""
        return self._reader.decode(ids)

    def stream_decoder(self) -> "StreamDecoder":
        """Return a decoder that is fed one id at a time."""
        return StreamDecoder(self)


class StreamDecoder:
    """Turn ids into text as they come; bytes wait until they make whole characters."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self._vocabulary = vocabulary
        self._ids: list[int] = []
        self._said = 0

    def feed(self, token: int) -> str:
        """Take one id and return the text that is certain now."""
        self._ids.append(token)
        text = self._vocabulary.decode(self._ids)
        if text.endswith(UNFINISHED) and len(self._ids) < 16:
            return ""
        new = text[self._said :]
        # The last id stays as context: a tokenizer may show the first piece of a text without its space.
        self._ids = self._ids[-1:]
        self._said = len(self._vocabulary.decode(self._ids))
        return new

    def finish(self) -> str:
        """Return what is left, with U+FFFD for bytes that never made a character."""
        text = self._vocabulary.decode(self._ids)[self._said :]
        self._ids, self._said = [], 0
        return text


def check_size(size: int, wanted: int) -> None:
    """Refuse a recipe whose vocabulary is not that of the tokenizer it names."""
    right = -(-size // 128) * 128
    if wanted != right:
        why = "" if right == size else ", rounded up to a multiple of 128"
        raise Problem(
            f"{wanted} is not the size of the tokenizer that tokens.from names",
            key="tokens.vocabulary",
            remedy=f"it has {size} pieces{why}: set tokens.vocabulary = {right}",
        )


def _stretches(text: str) -> list[str]:
    if len(text) <= LONG:
        return [text]
    found, begin = [], 0
    while begin < len(text):
        end = text.rfind("\n", begin, begin + LONG) + 1
        if end == 0:  # a line longer than the limit stays whole
            end = text.find("\n", begin) + 1 or len(text)
        found.append(text[begin:end])
        begin = end
    return found


def _joined(arrays: list[NDArray[np.int32]]) -> NDArray[np.int32]:
    return arrays[0] if len(arrays) == 1 else np.concatenate(arrays)


def _is_ours(path: Path) -> bool:
    from sentencepiece import sentencepiece_model_pb2 as protocol

    spec = protocol.ModelProto.FromString(path.read_bytes()).trainer_spec
    return bool(spec.model_prefix == sentencepiece_model.MARK)


def _special_ids(folder: Path) -> dict[str, int]:
    """Return the ids of the special tokens that the folder's configuration names."""
    path = folder / "tokenizer_config.json"
    config: dict[str, Any] = files.read_json(path) if path.is_file() else {}
    tokenizer = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    ids = {entry["content"]: int(entry["id"]) for entry in tokenizer.get("added_tokens", [])}
    model = tokenizer["model"]["vocab"]
    found = {}
    for name in ("bos_token", "eos_token", "pad_token", "unk_token"):
        value = config.get(name)
        content = value.get("content") if isinstance(value, dict) else value
        number = ids.get(content, model.get(content) if isinstance(model, dict) else None)
        if content is not None and number is not None:
            found[name] = int(number)
    return found


def _required(special: dict[str, int], name: str, folder: Path) -> int:
    if name not in special:
        raise Problem(
            f"the tokenizer in {folder} has no {name}, which begins or ends every document",
            key="tokens.from",
            remedy="name one in its tokenizer_config.json",
        )
    return special[name]
