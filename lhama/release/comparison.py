"""What the run's tokenizer makes of held-out words, and what other tokenizers make of the same words.

In: the corpus's held-out shards, the run's vocabulary, and tokenizers that the recipe names. Out: counts for
release/tokenizers.json. The test is that of Larcher et al. 2023 (arXiv:2308.11878) and of the TeenyTinyLlama paper's
Table 1: 7,400 words, a word being what white space separates. Subtle: the words are passages from many documents, in
the order of a hash, so that no source and no long book speaks alone; no `<s>` is counted, for each pays it alike.
"""

import hashlib
import heapq
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lhama.plan.problem import Problem
from lhama.record.files import sha256_file

KEY = "release.compare_tokenizers"
WANTED = 7_400  # words, as many as the paper took
PASSAGE = 100  # words of one document, where there are documents enough
NAMES = ("tokenizer.json", "tokenizer.model")
OWN = "this run"

Document = tuple[str, str, str]
Counts = dict[str, Any]


@dataclass(frozen=True)
class Counted:
    """How many tokens a tokenizer makes of texts, and how many of them say only that it does not know."""

    vocabulary: int
    tokens: int
    unknown: int


def named(paths: Iterable[Path]) -> dict[str, Path]:
    """Find the file behind each path, under a name for readers: the folder's, or the file's where it says more."""
    found: dict[str, Path] = {}
    for path in paths:
        file = next((path / name for name in NAMES if (path / name).is_file()), path)
        if not file.is_file():
            raise Problem(
                f"{path} is no tokenizer.json, no tokenizer.model, and no folder that holds one",
                key=KEY,
                remedy="name the file, or take it out of the list",
            )
        name = file.parent.name if file.name in NAMES else file.stem
        same = sum(known == name or known.startswith(f"{name} (") for known in found)
        found[f"{name} ({same + 1})" if same else name] = file
    return found


def compare(corpus: Path, tokens: Path, others: Mapping[str, Path], wanted: int = WANTED) -> Counts | None:
    """Count what each tokenizer makes of the same held-out words; None where the run has no held-out text."""
    from lhama.tokens.encode import shards
    from lhama.tokens.vocabulary import Vocabulary

    if not (tokens / "tokenizer.json").is_file() or not shards(corpus, "heldout"):
        return None
    texts = passages(lambda: held_out(corpus), wanted)
    if not texts:
        return None
    own = Vocabulary.load(tokens)
    ids = own.encode_documents(texts)
    unknown = sum(int((array == own.unk).sum()) for array in ids) if own.unk != own.eos else 0
    counted = {OWN: (Counted(own.size, sum(map(len, ids)), unknown), tokens / "tokenizer.json")}
    counted |= {name: (count(file, texts), file) for name, file in others.items()}
    return _report(texts, wanted, counted)


def _report(texts: Sequence[str], wanted: int, counted: Mapping[str, tuple[Counted, Path]]) -> Counts:
    words = sum(len(text.split()) for text in texts)
    ours = counted[OWN][0].tokens
    rows = [
        {
            "name": name,
            "own": name == OWN,
            "vocabulary": one.vocabulary,
            "tokens": one.tokens,
            "tokens_per_word": round(one.tokens / words, 4),
            "fewer": None if name == OWN or not one.tokens else round(1 - ours / one.tokens, 4),
            "unknown": one.unknown,
            "sha256": sha256_file(file),
        }
        for name, (one, file) in counted.items()
    ]
    size = sum(len(text.encode()) for text in texts)
    return {"words": words, "wanted": wanted, "passages": len(texts), "bytes": size, "tokenizers": rows}


def held_out(corpus: Path) -> Iterator[Document]:
    """Yield (source, id, text) of the held-out documents of a corpus."""
    from lhama.tokens.encode import shards, slices

    for shard in shards(corpus, "heldout"):
        for batch in slices(shard, ["source", "id", "text"]):
            yield from zip(*(batch.column(name).to_pylist() for name in ("source", "id", "text")), strict=True)


def passages(documents: Callable[[], Iterable[Document]], wanted: int) -> list[str]:
    """Choose the beginnings of documents that hold so many words together, in the order of a hash of their names.

    Memory holds `wanted` beginnings at most. Where many short beginnings are too few words, longer ones are taken.
    """
    most = PASSAGE
    while True:
        beginnings = ((_order(source, id_), beginning(text, most)) for source, id_, text in documents())
        chosen = heapq.nsmallest(wanted, ((order, text) for order, text in beginnings if text))
        words = sum(len(text.split()) for _, text in chosen)
        if words >= wanted or most >= wanted:
            return _cut((text for _, text in chosen), wanted)
        most = min(2 * most, wanted)


def beginning(text: str, words: int) -> str:
    """Return the text up to its so manieth word, white space between the words as it is; without words, nothing."""
    end = 0
    for number, word in enumerate(re.finditer(r"\S+", text)):
        if number == words:
            break
        end = word.end()
    return text[:end].lstrip() if end else ""


def _order(source: str, id_: str) -> str:
    # Not the hash that chose the held-out documents: of that one, all of these have the same remainder.
    return hashlib.sha256(f"fertility/{source}/{id_}".encode()).hexdigest()


def _cut(texts: Iterable[str], wanted: int) -> list[str]:
    found, left = [], wanted
    for text in texts:
        if left == 0:
            break
        part = beginning(text, left)
        found.append(part)
        left -= len(part.split())
    return found


def count(file: Path, texts: Sequence[str]) -> Counted:
    """Count the tokens that a tokenizer makes of texts, special tokens and padding left out."""
    try:
        if file.suffix == ".model":
            return _count_sentencepiece(file, texts)
        return _count_tokenizers(file, texts)
    except Exception as error:  # both libraries raise what they like
        raise Problem(f"{file} is not a tokenizer that can be read: {error}", key=KEY) from error


def _count_sentencepiece(file: Path, texts: Sequence[str]) -> Counted:
    import sentencepiece

    processor = sentencepiece.SentencePieceProcessor(model_file=str(file))
    ids = processor.encode(list(texts))
    unknown = sum(one.count(processor.unk_id()) for one in ids)
    return Counted(int(processor.get_piece_size()), sum(map(len, ids)), unknown)


def _count_tokenizers(file: Path, texts: Sequence[str]) -> Counted:
    from tokenizers import Tokenizer

    text = file.read_text(encoding="utf-8")
    tokenizer = Tokenizer.from_str(text)
    # A file may carry the settings of its last use: cut to 512 ids, or padded to the longest text.
    tokenizer.no_truncation()
    tokenizer.no_padding()
    tokenizer.encode_special_tokens = True
    encodings = tokenizer.encode_batch(list(texts), add_special_tokens=False)
    model = json.loads(text)["model"]
    name = model.get("unk_token")
    unknown = tokenizer.token_to_id(name) if isinstance(name, str) else model.get("unk_id")
    missed = sum(one.ids.count(unknown) for one in encodings) if isinstance(unknown, int) else 0
    size = tokenizer.get_vocab_size(with_added_tokens=True)
    return Counted(int(size), sum(len(one.ids) for one in encodings), missed)
