"""Write a vocabulary as the files of a Hugging Face folder, and take over a tokenizer that the user brings.

In goes the bytes of a `tokenizer.model` (ours, or another SentencePiece BPE model), out come tokenizer.json,
tokenizer_config.json and special_tokens_map.json. Subtle: spaces become U+2581 and nothing else is normalized; the
decoder has no step that strips a leading space; `split_special_tokens` makes a literal "<s>" in a text plain
characters, as in SentencePiece; a call adds one `<s>` in front, as our policy wants it for every context.
"""

import json
import shutil
from pathlib import Path
from typing import Any

from sentencepiece import sentencepiece_model_pb2 as protocol

from lhama.plan.problem import Problem
from lhama.record import files
from lhama.tokens.sentencepiece_model import merges

SPACE = "\u2581"
LAST_WRITTEN = "tokenizer_config.json"  # who finds it may rely on the other files
TOKENIZER_FILES = (
    "tokenizer.model",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "chat_template.jinja",
)


def write(model: bytes, folder: Path) -> None:
    """Write tokenizer.model and the three files beside it."""
    read = protocol.ModelProto.FromString(model)
    files.write_bytes(folder / "tokenizer.model", model)
    files.write_json(folder / "tokenizer.json", tokenizer_json(read))
    names = _names(read)
    files.write_json(folder / "special_tokens_map.json", names)
    settings = {
        **names,
        "add_bos_token": True,
        "add_eos_token": False,
        "clean_up_tokenization_spaces": False,
        "split_special_tokens": True,
        "model_max_length": 1_000_000_000_000,
        "tokenizer_class": "PreTrainedTokenizerFast",
    }
    files.write_json(folder / LAST_WRITTEN, settings)


def _names(model: Any) -> dict[str, str]:
    spec = model.trainer_spec
    ids = {"unk_token": spec.unk_id, "bos_token": spec.bos_id, "eos_token": spec.eos_id, "pad_token": spec.pad_id}
    return {name: model.pieces[number].piece for name, number in ids.items() if number >= 0}


def tokenizer_json(model: Any) -> dict[str, Any]:
    """Say in the terms of `tokenizers` what a SentencePiece BPE model does."""
    if model.trainer_spec.model_type != protocol.TrainerSpec.BPE or model.normalizer_spec.precompiled_charsmap:
        raise Problem(
            "this tokenizer.model is no byte-pair model without normalization",
            key="tokens.from",
            remedy="put its tokenizer.json beside it, which transformers can write",
        )
    kinds = protocol.ModelProto.SentencePiece
    normal = [entry for entry in model.pieces if entry.type == kinds.NORMAL]
    ranked = sorted((entry for entry in normal if len(entry.piece) > 1), key=lambda entry: -entry.score)
    pairs = merges([entry.piece for entry in ranked], [entry.piece for entry in normal if len(entry.piece) == 1])
    dummy = model.normalizer_spec.add_dummy_prefix
    steps: list[dict[str, Any]] = [{"type": "Prepend", "prepend": SPACE}] if dummy else []
    steps += [{"type": "Replace", "pattern": {"String": " "}, "content": SPACE}]
    backwards: list[dict[str, Any]] = [
        {"type": "Replace", "pattern": {"String": SPACE}, "content": " "},
        {"type": "ByteFallback"},
        {"type": "Fuse"},
    ]
    backwards += [{"type": "Strip", "content": " ", "start": 1, "stop": 0}] if dummy else []
    bos = model.pieces[model.trainer_spec.bos_id].piece
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": _added(model),
        "normalizer": {"type": "Sequence", "normalizers": steps},
        "pre_tokenizer": None,
        "post_processor": _in_front(bos, model.trainer_spec.bos_id),
        "decoder": {"type": "Sequence", "decoders": backwards},
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": model.pieces[model.trainer_spec.unk_id].piece,
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": True,
            "byte_fallback": model.trainer_spec.byte_fallback,
            "ignore_merges": False,
            "vocab": {entry.piece: number for number, entry in enumerate(model.pieces)},
            "merges": pairs,
        },
    }


def _added(model: Any) -> list[dict[str, Any]]:
    kinds = protocol.ModelProto.SentencePiece
    return [
        {
            "id": number,
            "content": entry.piece,
            "single_word": False,
            "lstrip": False,
            "rstrip": False,
            "normalized": False,
            "special": entry.type != kinds.USER_DEFINED,
        }
        for number, entry in enumerate(model.pieces)
        if entry.type in (kinds.UNKNOWN, kinds.CONTROL, kinds.USER_DEFINED)
    ]


def _in_front(bos: str, number: int) -> dict[str, Any]:
    first = {"SpecialToken": {"id": bos, "type_id": 0}}
    text = {"Sequence": {"id": "A", "type_id": 0}}
    other = {"Sequence": {"id": "B", "type_id": 0}}
    return {
        "type": "TemplateProcessing",
        "single": [first, text],
        "pair": [first, text, other],
        "special_tokens": {bos: {"id": bos, "ids": [number], "tokens": [bos]}},
    }


def adopt(origin: Path, folder: Path) -> None:
    """Copy the user's own tokenizer; a lone tokenizer.model is written out as tokenizer.json, too."""
    if (origin / "tokenizer.json").is_file():
        for name in TOKENIZER_FILES:
            if (origin / name).is_file():
                shutil.copyfile(origin / name, folder / name)
        if not (folder / "tokenizer_config.json").exists():
            _describe(folder)
    elif (origin / "tokenizer.model").is_file():
        write((origin / "tokenizer.model").read_bytes(), folder)
    else:
        raise Problem(
            f"{origin} holds neither tokenizer.json nor tokenizer.model",
            key="tokens.from",
            remedy="name the folder of a model or tokenizer, or leave the key out to train a vocabulary",
        )


def _describe(folder: Path) -> None:
    """Write the tokenizer_config.json that a bare tokenizer.json lacks, from the usual names of special tokens."""
    added = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8")).get("added_tokens", [])
    present = {entry["content"] for entry in added}
    usual = {
        "bos_token": ("<s>", "<|begin_of_text|>", "<|endoftext|>"),
        "eos_token": ("</s>", "<|end_of_text|>", "<|endoftext|>"),
        "pad_token": ("<pad>", "[PAD]", "<|pad|>"),
        "unk_token": ("<unk>", "[UNK]"),
    }
    found = {key: next((name for name in names if name in present), None) for key, names in usual.items()}
    settings: dict[str, Any] = {key: name for key, name in found.items() if name}
    settings |= {"clean_up_tokenization_spaces": False, "tokenizer_class": "PreTrainedTokenizerFast"}
    files.write_json(folder / LAST_WRITTEN, settings)
