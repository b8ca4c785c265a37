"""A run folder made by hand: every file as the rooms before would have written it, small enough to read."""

import json
import math
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lhama.plan.budget import plan
from lhama.plan.recipe import dumps, load
from lhama.record.run import Run

RECIPE = """
name = "contos"
language = "pt"

[hardware]
accelerator = "h100"
price_per_hour = 2.5

[[corpus.source]]
name = "tales"
kind = "tales"
documents = 60_000
license = "CC0-1.0"

[[corpus.source]]
name = "jornal"
path = "/home/maria/segredo/jornal.jsonl"
license = "cc-by-nc-4.0"

[tokens]
vocabulary = 2048
sequence = 256

[model]
hidden_size = 256
intermediate_size = 688
layers = 4
heads = 4

[train]
tokens = 3_000_000
batch_tokens = 8_192
learning_rate = 3e-3
warmup_tokens = 163_840
sample_prompts = ["Era uma vez", "Pergunta:"]

[release]
title = "Contos 4M"
authors = ["Ana Lima", "Davi Souza"]
"""
STEPS, BATCH = 367, 8192
EARLY = " uma a a de o o que e a casa o da e um o no a ."
LATE = (
    ", numa aldeia perto do rio, uma menina chamada Lia. Lia tinha uma pipa amarela e queria vê-la voar. "
    "O vento veio, a pipa subiu, e todos sorriram."
)


def write(path: Path, value: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, ensure_ascii=False), encoding="utf-8")


def write_rows(path: Path, rows: list[dict[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")


def _corpus(folder: Path) -> None:
    tales = {"name": "tales", "language": "pt", "license": "CC0-1.0", "files": 0, "documents_in": 60000}
    tales |= {"bytes_in": 31_204_118, "kept": 58_561, "heldout": 1_203, "dropped": {"exact_duplicate": 236}}
    tales |= {"bytes_out": 30_498_205, "words_out": 5_400_112}
    paper = {"name": "jornal", "language": "pt", "license": "cc-by-nc-4.0", "files": 3, "documents_in": 4210}
    paper |= {
        "bytes_in": 12_880_442,
        "kept": 3_905,
        "heldout": 81,
        "bytes_cleaned_away": 48_211,
        "bytes_out": 12_001_733,
        "words_out": 1_990_870,
    }
    paper |= {"dropped": {"exact_duplicate": 150, "too_short": 61, "copy_of_heldout": 13}}
    example = {"id": "jornal.jsonl:17", "source": "jornal", "excerpt": "Leia também", "detail": "11 characters"}
    write(
        folder / "corpus" / "report.json",
        {"sources": [tales, paper], "examples": {"too_short": [example]}, "broken": [], "broken_total": 7}
        | {"reasons": {"too_short": {"meaning": "The text has too few characters.", "documents": 61}}}
        | {"replaced_characters": 2, "totals": {}},
    )


def _tokens(folder: Path) -> None:
    sources = [
        {"name": "jornal", "documents": 3_905, "tokens": 3_950_204, "bytes": 12_001_733, "folder": "jornal"},
        {"name": "tales", "documents": 58_561, "tokens": 9_104_331, "bytes": 30_498_205, "folder": "tales"},
    ]
    write(folder / "tokens" / "tokens.json", {"format": 1, "vocabulary": 2048, "dtype": "uint16", "sources": sources})
    by_source = {
        "jornal": {"tokens_per_word": 1.87, "words": 41003},
        "tales": {"tokens_per_word": 1.42, "words": 90112},
    }
    whole = {"vocabulary": 2048, "measured_on": "held-out documents", "tokens_per_word": 1.56, "bytes_per_token": 3.2}
    write(folder / "tokens" / "fertility.json", {**whole, "by_source": by_source})


def _train(folder: Path) -> None:
    chance = random.Random(7)
    losses, metrics = [], []
    for step in range(1, STEPS + 1):
        tokens = step * BATCH
        rise = min(1.0, tokens / 163_840)
        rate = 3e-3 * rise * (0.5 + 0.5 * math.cos(math.pi * max(0.0, tokens - 163_840) / 2_840_000))
        loss = 1.25 + 6.4 * math.exp(-step / 25) + 1.1 * math.exp(-step / 120) + chance.gauss(0, 0.03)
        losses.append({"step": step, "tokens": tokens, "loss": loss, "learning_rate": rate, "gradient_norm": 0.7})
        if step % 10 == 0:
            speed = 19_400 + chance.gauss(0, 350) - (4000 if step == 120 else 0)
            row = {"time": f"2026-05-03T10:{step // 10:02}:00.000+00:00", "step": step, "tokens": tokens}
            metrics.append({**row, "tokens_per_second": speed, "device": {"memory_used_bytes": 2_400_000_000 + step}})
    write_rows(folder / "train" / "loss.jsonl", losses)
    lost = {"time": "2026-05-03T10:20:30.000+00:00", "lost": {"after_step": 190, "until_step": 200, "rows": 1}}
    twice = {**metrics[19], "tokens_per_second": 99_999.0}
    write_rows(folder / "train" / "metrics.jsonl", [*metrics[:19], twice, lost, *metrics[19:]])
    validations = [
        {
            "step": step,
            "tokens": step * BATCH,
            "bits_per_byte": 0.55 + 1.7 * math.exp(-step / 60),
            "perplexity": 3.49 + 1900 * math.exp(-step / 30),
            "loss": math.log(3.49 + 1900 * math.exp(-step / 30)),
        }
        for step in (1, 60, 120, 180, 240, 300)
    ]
    last: dict[str, Any] = {
        "step": STEPS,
        "tokens": STEPS * BATCH,
        "bits_per_byte": 0.5527,
        "perplexity": 3.491,
        "loss": 1.2502,
    }
    last["by_source"] = {"tales": {"bits_per_byte": 0.412}, "jornal": {"bits_per_byte": 1.63}}
    write_rows(folder / "train" / "validation.jsonl", [*validations, last])
    write_rows(folder / "train" / "samples.jsonl", _samples())
    final: dict[str, Any] = {
        "tokens": STEPS * BATCH,
        "steps": STEPS,
        "seconds": 154.8,
        "checkpoint": f"step-{STEPS:07d}",
    }
    environment = {"kind": "cuda", "name": "NVIDIA H100 80GB HBM3", "precision": "bf16", "compile": True, "threads": 8}
    final |= {"environment": environment, "epochs": {"tales": 0.231, "jornal": 0.228}}
    write(folder / "train" / "final.json", {**final, "validation": last, "tales": _tales()})


def _samples() -> list[dict[str, Any]]:
    rows = []
    for prompt in ("Era uma vez", "Pergunta:"):
        for place, step in enumerate((1, 40, 80, 120, 160, 200, 240, 280, 320, STEPS)):
            text = EARLY if place < 2 else LATE[: 40 + 12 * place] if place < 9 else LATE
            rows.append({"step": step, "tokens": step * BATCH, "prompt": prompt, "text": text})
    return rows


def _tales() -> dict[str, Any]:
    samples = []
    for number in range(100):
        faults = ["a pipa amarelo: gender"] if number in (7, 58, 59, 83) else []
        tale = {"prompt": "Era uma vez uma menina chamada Lia", "text": LATE[41:], "hero": "Lia", "faults": faults}
        samples.append({**tale, "hero_named": number != 12, "held_out": number >= 50})
    return {"samples": samples, "distinct_4_grams": 0.71}


def _ledgers(folder: Path) -> None:
    for stage, seconds, kwh, method in (
        ("corpus", 21.0, 0.0004, "estimated"),
        ("tokens", 12.5, 0.0002, "estimated"),
        ("train", 171.25, 0.0031, "measured"),
    ):
        row = {"time": f"2026-05-03T10:{len(stage)}", "stage": stage, "seconds": seconds / 2, "kwh": kwh / 2}
        row |= {"kgco2e": kwh / 2 * 0.0983, "cpu_kwh": kwh / 2, "gpu_kwh": 0.0, "ram_kwh": 0.0}
        rows = [{**row, "time": f"{row['time']}:{half}", "method": method, "country": "BRA"} for half in (0, 1)]
        write_rows(folder / stage / "energy.jsonl", rows)


def _manifests(folder: Path) -> None:
    checkpoint = f"step-{STEPS:07d}"
    header = {"__metadata__": {"format": "pt"}, "model.embed_tokens.weight": {"dtype": "F32", "shape": [2048, 256]}}
    header["lm_head.weight"] = {"dtype": "F32", "shape": [2048, 256]}
    text = json.dumps(header).encode()
    weights = folder / "train" / checkpoint / "model.safetensors"
    weights.parent.mkdir(parents=True)
    weights.write_bytes(len(text).to_bytes(8, "little") + text)
    outputs = {
        "corpus": {"data/train-00000-of-00001.parquet": 17_402_118, "data/heldout-00000-of-00001.parquet": 377_002},
        "tokens": {"tales/stream-00000.npy": 18_208_790, "tokenizer.model": 271_002, "tokenizer.json": 154_118},
        "train": {
            f"{checkpoint}/model.safetensors": 16_788_224,
            f"{checkpoint}/trainer/optimizer.safetensors": 33_576_448,
        },
    }
    versions = {"lhama": "0.1.0", "python": "3.11.2", "torch": "2.13.0", "commit": "0123abcd" * 5}
    for number, (stage, found) in enumerate(outputs.items()):
        entries = {
            name: {"bytes": size, "sha256": f"{number:x}" * 64, "identity": True} for name, size in found.items()
        }
        manifest = {"slice": {}, "inputs": {}, "outputs": entries, "identity": f"{number + 10:x}" * 64, "seconds": 20}
        write(folder / stage / "manifest.json", {**manifest, "versions": versions})


@pytest.fixture
def made_run(tmp_path: Path) -> Callable[..., Run]:
    """Return a maker of run folders; what is named in `without` is removed afterwards."""

    def make(without: tuple[str, ...] = ()) -> Run:
        recipe_file = tmp_path / "contos.toml"
        recipe_file.write_text(RECIPE, encoding="utf-8")
        recipe = load(recipe_file)
        folder = tmp_path / "runs" / recipe.name
        folder.mkdir(parents=True)
        (folder / "recipe.toml").write_text(dumps(recipe), encoding="utf-8")
        write(folder / "plan.json", plan(recipe))
        for part in (_corpus, _tokens, _train, _ledgers, _manifests):
            part(folder)
        for pattern in without:
            for path in list(folder.glob(pattern)):
                if path.is_file():
                    path.unlink()
        return Run(folder, recipe)

    return make
