"""One trainer, some steps: the same Llama from the same weights over the same batches, by a named peer or by us.

In goes a folder made by benchmarks/train.py: `model/` (a Hugging Face folder in fp32) and `ids.npy` (steps, rows, T).
Out comes one line of JSON: the seconds and the loss of each step, the first of which compiles, and the peak memory.
All use AdamW with the same settings, clip at 1 and ask each row for the T - 1 tokens after its first. What differs is
what each peer does by itself, and the settings that its name says.
"""

from __future__ import annotations

import argparse
import functools
import gc
import json
import math
import os
import resource
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import torch

RATE, BETAS, EPSILON, DECAY, CLIP = 1e-3, (0.9, 0.95), 1e-8, 0.1, 1.0
CUDA = torch.cuda.is_available()
DEVICE = torch.device("cuda" if CUDA else "cpu")
Step = Callable[[torch.Tensor], Any]
EVALUATED = 3  # batches that are scored after training


def clock() -> float:
    """Return the time when the device has done all that was asked."""
    if CUDA:
        torch.cuda.synchronize()
    return time.perf_counter()


def lhama(folder: Path, rows: int, settings: set[str], warmup: int) -> tuple[Step, Step]:
    """Do what the loop does at each step, with its own parts (lhama/train/loop.py, stage.py), and what scoring does.

    The rate rises over the first `warmup` steps.
    """
    from lhama.model.attention import activate
    from lhama.model.checkpoint import read_config, read_tensors
    from lhama.model.device import Device
    from lhama.model.llama import Llama
    from lhama.train.allocator import keep_freed_memory
    from lhama.train.optim import AdamW

    precision = "bf16" if "bf16" in settings else "fp32"
    compiled = "compile" in settings
    if CUDA:
        activate("auto", torch.cuda.get_device_capability())  # FlashAttention 3 or 4, where installed
    device = Device(DEVICE.type, precision, compiled, torch.get_num_threads(), "asked", "asked")
    device.start()
    if not settings & {"plain", "malloc"}:
        keep_freed_memory()
    model = Llama(read_config(folder))
    model.load_state_dict(read_tensors(folder, model.config))
    optimizer = AdamW(
        model.to(DEVICE), weight_decay=DECAY, betas=BETAS, epsilon=EPSILON, clip=CLIP, compute=device.dtype
    )
    model.compute_with("plain" if "plain" in settings else "auto")
    loss_of: Any = torch.compile(model.loss, fullgraph=True, dynamic=False) if compiled else model.loss

    taken = 0

    def step(ids: torch.Tensor) -> Any:
        nonlocal taken
        taken += 1
        targets = torch.nn.functional.pad(ids[:, 1:], (0, 1), value=-100)
        nats = torch.zeros((), device=DEVICE)
        for few_ids, few_targets in zip(torch.split(ids, rows), torch.split(targets, rows), strict=True):
            loss = loss_of(few_ids, few_targets)
            loss.backward()
            optimizer.gather()
            nats += loss.detach()
        count = len(ids) * (ids.shape[1] - 1)
        optimizer.step(RATE * min(1.0, taken / max(1, warmup)), count, nats)
        return nats / count

    @torch.no_grad()
    def score(ids: torch.Tensor) -> Any:
        targets = torch.nn.functional.pad(ids[:, 1:], (0, 1), value=-100)
        return model.loss(ids, targets) / (len(ids) * (ids.shape[1] - 1))

    return step, score


def plain(folder: Path, rows: int, settings: set[str]) -> tuple[Step]:
    """Train Transformers' Llama in a loop as nanoGPT's: autocast, compile, fused AdamW, clipping."""
    from transformers import LlamaForCausalLM

    model: Any = LlamaForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="sdpa").to(DEVICE)
    if "liger" in settings:
        from liger_kernel.transformers import apply_liger_kernel_to_llama

        apply_liger_kernel_to_llama(model=model)
    optimizer = torch.optim.AdamW(
        [
            {"params": [p for p in model.parameters() if p.ndim > 1], "weight_decay": DECAY},
            {"params": [p for p in model.parameters() if p.ndim < 2], "weight_decay": 0.0},
        ],
        lr=RATE,
        betas=BETAS,
        eps=EPSILON,
        fused=True,
    )
    run = torch.compile(model) if "compile" in settings else model
    context: Any = torch.autocast(DEVICE.type, torch.bfloat16) if "bf16" in settings else nullcontext()

    def step(ids: torch.Tensor) -> Any:
        total = torch.zeros((), device=DEVICE)
        for few in torch.split(ids, rows):
            with context:
                loss = run(input_ids=few, labels=few, use_cache=False).loss * (len(few) / len(ids))
            loss.backward()
            total += loss.detach()
        torch.nn.utils.clip_grad_norm_(model.parameters(), CLIP)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        return total

    return (step,)


def litgpt(folder: Path, rows: int, settings: set[str]) -> tuple[Step]:
    """Train litgpt's Llama as its `pretrain` does: Fabric, its chunked cross-entropy, fused AdamW."""
    from lightning.fabric import Fabric
    from litgpt.config import Config
    from litgpt.model import GPT
    from litgpt.utils import chunked_cross_entropy
    from safetensors.torch import load_file

    told = json.loads((folder / "config.json").read_text())
    layers, heads = told["num_hidden_layers"], told["num_attention_heads"]
    config = Config(
        name="peer",
        block_size=told["max_position_embeddings"],
        n_layer=layers,
        n_embd=told["hidden_size"],
        n_head=heads,
        n_query_groups=told.get("num_key_value_heads", heads),
        vocab_size=told["vocab_size"],
        padded_vocab_size=told["vocab_size"],
        rotary_percentage=1.0,
        parallel_residual=False,
        bias=False,
        norm_class_name="RMSNorm",
        norm_eps=told["rms_norm_eps"],
        mlp_class_name="LLaMAMLP",
        intermediate_size=told["intermediate_size"],
    )
    precision: Any = "bf16-mixed" if "bf16" in settings else "32-true"
    fabric = Fabric(accelerator=DEVICE.type, devices=1, precision=precision)
    fabric.launch()
    bare = GPT(config)
    bare.load_state_dict(_for_litgpt(load_file(folder / "model.safetensors"), layers))
    compiled: Any = torch.compile(bare) if "compile" in settings else bare
    model = fabric.setup(compiled)
    optimizer: Any = fabric.setup_optimizers(
        torch.optim.AdamW(model.parameters(), lr=RATE, betas=BETAS, eps=EPSILON, weight_decay=DECAY, fused=True)
    )

    def step(ids: torch.Tensor) -> Any:
        targets = torch.nn.functional.pad(ids[:, 1:], (0, 1), value=-100)
        total = torch.zeros((), device=DEVICE)
        for few_ids, few_targets in zip(torch.split(ids, rows), torch.split(targets, rows), strict=True):
            loss = chunked_cross_entropy(model(few_ids), few_targets) * (len(few_ids) / len(ids))
            fabric.backward(loss)
            total += loss.detach()
        fabric.clip_gradients(model, optimizer, max_norm=CLIP)
        optimizer.step()
        optimizer.zero_grad()
        return total

    return (step,)


def _for_litgpt(tensors: dict[str, torch.Tensor], layers: int) -> dict[str, torch.Tensor]:
    """Rename Hugging Face's tensors and put query, key and value into one."""
    found = {
        "lm_head.weight": tensors["lm_head.weight"],
        "transformer.wte.weight": tensors["model.embed_tokens.weight"],
        "transformer.ln_f.weight": tensors["model.norm.weight"],
    }
    names = {
        "norm_1": "input_layernorm",
        "attn.proj": "self_attn.o_proj",
        "norm_2": "post_attention_layernorm",
        "mlp.fc_1": "mlp.gate_proj",
        "mlp.fc_2": "mlp.up_proj",
        "mlp.proj": "mlp.down_proj",
    }
    for layer in range(layers):
        ours, theirs = f"transformer.h.{layer}", f"model.layers.{layer}"
        found |= {f"{ours}.{to}.weight": tensors[f"{theirs}.{name}.weight"] for to, name in names.items()}
        of = [tensors[f"{theirs}.self_attn.{letter}_proj.weight"] for letter in "qkv"]
        found[f"{ours}.attn.qkv.weight"] = torch.cat(of)
    return found


def trainer(folder: Path, rows: int, settings: set[str], batches: torch.Tensor) -> tuple[list[float], list[float]]:
    """Let Transformers' Trainer do all steps, and return the seconds and loss of each."""
    from torch.utils.data import Dataset, SequentialSampler
    from transformers import LlamaForCausalLM, Trainer, TrainerCallback, TrainingArguments

    flat = batches.flatten(0, 1)

    class Rows(Dataset):  # type: ignore[type-arg]
        def __len__(self) -> int:
            return len(flat)

        def __getitem__(self, at: int) -> dict[str, torch.Tensor]:
            return {"input_ids": flat[at], "labels": flat[at]}

    ends: list[float] = []
    losses: list[float] = []

    class Watch(TrainerCallback):  # type: ignore[misc]
        def on_step_end(self, *_: Any, **__: Any) -> None:
            ends.append(clock())

        def on_log(self, *_: Any, logs: dict[str, float], **__: Any) -> None:
            losses.extend([logs["loss"]] if "loss" in logs else [])

    class InOrder(Trainer):  # type: ignore[misc]
        def _get_train_sampler(self, *_: Any, **__: Any) -> Any:
            return SequentialSampler(range(len(flat)))

    arguments = TrainingArguments(
        output_dir=str(folder.parent / "trainer"),
        per_device_train_batch_size=rows,
        gradient_accumulation_steps=batches.shape[1] // rows,
        max_steps=len(batches),
        learning_rate=RATE,
        lr_scheduler_type="constant",
        adam_beta1=BETAS[0],
        adam_beta2=BETAS[1],
        adam_epsilon=EPSILON,
        weight_decay=DECAY,
        max_grad_norm=CLIP,
        bf16="bf16" in settings,
        torch_compile="compile" in settings,
        use_liger_kernel="liger" in settings,
        use_cpu=not CUDA,
        save_strategy="no",
        report_to=[],
        logging_steps=1,
        disable_tqdm=True,
    )
    model = LlamaForCausalLM.from_pretrained(folder, dtype=torch.float32)
    begun = clock()
    InOrder(model=model, args=arguments, train_dataset=Rows(), callbacks=[Watch()]).train()
    return [end - start for start, end in zip([begun, *ends], ends, strict=False)], losses


def drive(step: Step, batches: torch.Tensor) -> Iterator[tuple[float, float]]:
    """Take every step and yield its seconds and loss; the loss is read outside of the time."""
    for ids in batches.to(DEVICE):
        begun = clock()
        loss = step(ids)
        took = clock() - begun
        yield took, float(loss)


def main() -> None:
    """Train and tell."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("who", choices=["lhama", "plain", "litgpt", "trainer"])
    arguments.add_argument("folder", type=Path)
    arguments.add_argument("--settings", default="", help="such as bf16+compile")
    arguments.add_argument("--rows", type=int, required=True, help="rows that go through the model at once")
    arguments.add_argument("--warmup", type=int, default=0, help="steps over which the rate rises; ours only")
    given = arguments.parse_args()
    warnings.simplefilter("ignore")
    torch.manual_seed(0)
    settings = set(given.settings.split("+"))
    torch.set_float32_matmul_precision("high" if "tf32" in settings else "highest")
    batches = torch.from_numpy(np.load(given.folder / "ids.npy").astype(np.int64))
    scored: list[float] = []
    if given.who == "trainer":
        seconds, losses = trainer(given.folder / "model", given.rows, settings, batches)
    else:
        ours = functools.partial(lhama, warmup=given.warmup)
        made: Any = {"lhama": ours, "plain": plain, "litgpt": litgpt}[given.who]
        step, *score = made(given.folder / "model", given.rows, settings)
        gc.collect()
        taken = list(drive(step, batches))
        seconds, losses = [took for took, _ in taken], [loss for _, loss in taken]
        scored = [took for took, _ in drive(score[0], batches[: EVALUATED + 1])][1:] if score else []
    if not all(math.isfinite(loss) for loss in losses):
        sys.exit("a loss is not finite")
    peak = torch.cuda.max_memory_allocated() if CUDA else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    told = {"seconds": seconds, "losses": losses, "scoring": scored, "peak_bytes": peak}
    print(json.dumps(told | {"preload": os.environ.get("LD_PRELOAD")}))


if __name__ == "__main__":
    main()
