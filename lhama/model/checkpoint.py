"""A checkpoint is a Hugging Face folder: tensors and a shape go in, a folder that transformers opens comes out.

Weights are written as one `model.safetensors` under Hugging Face's names; they are read from that or from shards with
an index. Only safetensors are opened, never a pickle, and names and shapes are checked before a number is used. The
subtle thing: a tied head has no tensor of its own in the file, as transformers writes it.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from lhama.model.llama import Llama, LlamaConfig
from lhama.plan.problem import Problem
from lhama.record import files

WEIGHTS = "model.safetensors"
INDEX = "model.safetensors.index.json"
TOKENIZER_FILES = ("tokenizer.model", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json")

# Tables that transformers once stored although they follow from the shape.
_DERIVED = re.compile(r"(^|\.)rotary_emb\.inv_freq$")


def shapes(config: LlamaConfig) -> dict[str, tuple[int, ...]]:
    """List every tensor of a model of this shape, without making one."""
    with torch.device("meta"):
        return {name: tuple(weight.shape) for name, weight in Llama(config).named_parameters()}


def save_model(
    folder: Path, tensors: Mapping[str, Tensor], config: LlamaConfig, tokenizer_folder: Path | None = None
) -> None:
    """Write weights, config.json, generation_config.json and the tokenizer's files, each atomically."""
    expected = shapes(config)
    _same_names(set(tensors), expected, "the weights to save")
    for name, weight in tensors.items():
        _same_shape(name, tuple(weight.shape), expected[name], "the weights to save")
    folder.mkdir(parents=True, exist_ok=True)
    with files.writing(folder / WEIGHTS) as temporary:
        # The metadata says which library's layout it is; transformers refuses a file without it.
        save_file({name: tensors[name].detach().cpu().contiguous() for name in expected}, temporary, {"format": "pt"})
    precisions = {str(weight.dtype).removeprefix("torch.") for weight in tensors.values()}
    precision = precisions.pop() if len(precisions) == 1 else "float32"
    files.write_json(folder / "config.json", config.to_huggingface() | {"dtype": precision, "use_cache": True})
    special = {key: value for key, value in asdict(config).items() if key.endswith("_token_id") and value is not None}
    files.write_json(folder / "generation_config.json", special)
    for name in TOKENIZER_FILES if tokenizer_folder is not None else ():
        if (source := Path(tokenizer_folder or "") / name).is_file():
            with files.writing(folder / name) as temporary:
                shutil.copyfile(source, temporary)


def read_config(folder: Path) -> LlamaConfig:
    """Read the shape from config.json, ours or a third party's."""
    keys: Any = files.read_json(folder / "config.json")
    if not isinstance(keys, dict):
        raise Problem(f"{folder / 'config.json'} is damaged: it is not a table of keys")
    try:
        return LlamaConfig.from_huggingface(keys)
    except KeyError as error:
        raise Problem(f"{folder / 'config.json'} does not name {error}, which the shape needs") from error


def load_model(folder: Path, dtype: torch.dtype = torch.float32, device: torch.device | str = "cpu") -> Llama:
    """Open a Llama, ours or a third party's, with all weights in one precision on one device."""
    config = read_config(folder)
    with torch.device("meta"):
        model = Llama(config)
    model.load_state_dict(read_tensors(folder, config, dtype, device), assign=True)
    return model


def read_tensors(
    folder: Path, config: LlamaConfig, dtype: torch.dtype = torch.float32, device: torch.device | str = "cpu"
) -> dict[str, Tensor]:
    """Read the weights of a model of this shape; a missing, foreign or misshapen tensor is a Problem that names it."""
    expected = shapes(config)
    places = {name: path for name, path in _places(folder).items() if not _DERIVED.search(name)}
    if config.tie_word_embeddings:
        places.pop("lm_head.weight", None)  # some writers store the embedding twice
    _same_names(set(places), expected, str(folder))
    tensors: dict[str, Tensor] = {}
    for path in sorted(set(places.values())):
        with _opened(path) as handle:
            for name in (name for name in expected if places[name] == path):
                _same_shape(name, tuple(handle.get_slice(name).get_shape()), expected[name], str(path))
                weight = handle.get_tensor(name)
                if not weight.is_floating_point():
                    raise Problem(f"{path}: {name} holds {weight.dtype}, a quantized model; Lhama opens plain weights")
                tensors[name] = weight.to(device, dtype)
    return tensors


def _places(folder: Path) -> dict[str, Path]:
    """Find the file of each tensor."""
    if (folder / WEIGHTS).is_file():
        with _opened(folder / WEIGHTS) as handle:
            return dict.fromkeys(handle.keys(), folder / WEIGHTS)
    if not (folder / INDEX).is_file():
        raise Problem(
            f"{folder} holds neither {WEIGHTS} nor {INDEX}",
            remedy="only safetensors are opened, because a pickle can run code; save the model as safetensors first",
        )
    index = files.read_json(folder / INDEX)
    table = index.get("weight_map") if isinstance(index, dict) else None
    if not isinstance(table, dict):
        raise Problem(f"{folder / INDEX} is damaged: it has no weight_map")
    for name, file in table.items():
        # An index from elsewhere must not lead out of its folder, nor to another kind of file.
        if not isinstance(file, str) or Path(file).name != file or "\\" in file or not file.endswith(".safetensors"):
            raise Problem(f"{folder / INDEX} places {name} in {file!r}, which is not a .safetensors file beside it")
    return {name: folder / file for name, file in table.items()}


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """Open a safetensors file; damage is a Problem that names the file."""
    try:
        with safe_open(path, framework="pt") as handle:
            yield handle
    except FileNotFoundError as error:
        raise Problem(f"{path} is missing") from error
    except SafetensorError as error:
        raise Problem(f"{path} is damaged: {error}", remedy="restore it, or take an earlier checkpoint") from error


def _same_names(found: set[str], expected: Mapping[str, tuple[int, ...]], place: str) -> None:
    for names, what in ((sorted(set(expected) - found), "lacks"), (sorted(found - set(expected)), "has an unknown")):
        if names:
            more = f" and {len(names) - 1} more" if len(names) > 1 else ""
            raise Problem(f"{place} {what} tensor {names[0]}{more}")


def _same_shape(name: str, found: tuple[int, ...], expected: tuple[int, ...], place: str) -> None:
    if found != expected:
        raise Problem(f"{place}: {name} has shape {list(found)}, config.json asks for {list(expected)}")
