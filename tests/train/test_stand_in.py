"""Training on a GPU that is none (tests/stand_in): what a program gets wrong about devices, where no GPU is at hand."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lhama.plan.hardware import accelerator
from lhama.plan.memory import memory
from lhama.plan.recipe import dumps, load
from lhama.train.tune_job import Job
from lhama.train.tune_tokens import make_up
from tests.stand_in.shim import environment
from tests.train.conftest import STEPS, MakePlace, Place

ROOT = Path(__file__).parent.parent.parent
Spawn = Callable[..., str]


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the shim once."""
    folder = tmp_path_factory.mktemp("shim")
    if environment(folder) is None:
        pytest.skip("a compiler is needed, and a torch without CUDA")
    return folder


@pytest.fixture
def spawn(built: Path) -> Spawn:
    """Run Python with the stand-in and return what it prints."""

    def run(
        *arguments: str, shapes: bool = False, timeout: float = 300, started: bool = True, kind: str = "cuda"
    ) -> str:
        command = [sys.executable, *arguments]
        found = subprocess.run(
            command,
            check=False,
            env=environment(built, shapes, started, kind),
            capture_output=True,
            text=True,
            timeout=timeout,
            cwd=ROOT,
        )
        assert not found.returncode, found.stderr[-4000:]
        return found.stdout

    return run


def train(spawn: Spawn, place: Place, *changes: str, kind: str = "cuda") -> None:
    spawn(
        str(ROOT / "tests" / "train" / "drive.py"),
        str(place.folder / "pequeno.toml"),
        str(place.folder / "runs"),
        *changes,
        kind=kind,
    )


GPU = ("hardware.accelerator=auto", "train.attention=plain")


@pytest.mark.parametrize("kind", ["cuda", "mps"])
def test_a_training_on_the_gpu_learns_the_same_and_goes_on_from_its_checkpoint(
    make_place: MakePlace, spawn: Spawn, kind: str
) -> None:
    """The stand-in computes on the processor, so fp32 differs by the order of sums alone."""
    there, here = make_place(), make_place()
    changes = (*GPU, f"train.deterministic={str(kind == 'cuda').lower()}")  # Apple's promise none
    train(spawn, there, *changes, kind=kind)
    here.run("train.attention=plain")
    for name, key in (("loss", "loss"), ("loss", "gradient_norm"), ("validation", "bits_per_byte")):
        found, wanted = ([row[key] for row in place.rows(name)] for place in (there, here))
        assert found == pytest.approx(wanted, rel=1e-4), key
    assert (there.train / "samples.jsonl").read_bytes() == (here.train / "samples.jsonl").read_bytes()
    final = json.loads((there.train / "final.json").read_text())
    assert final["environment"]["kind"] == kind and final["environment"]["precision"] == "fp32"
    readings = [row["device"] for row in there.rows("metrics") if "device" in row]
    memory_field = {"cuda": "peak_memory_bytes", "mps": "memory_in_use_bytes"}[kind]
    assert readings and all(reading[memory_field] > 0 for reading in readings)

    records = {name: (there.train / f"{name}.jsonl").read_bytes() for name in ("loss", "validation", "samples")}
    weights = (last(there) / "model.safetensors").read_bytes()
    shutil.rmtree(last(there))
    for name in ("final.json", "manifest.json"):
        (there.train / name).unlink()
    train(spawn, there, *changes, kind=kind)
    assert (last(there) / "model.safetensors").read_bytes() == weights
    for name, before in records.items():
        assert (there.train / f"{name}.jsonl").read_bytes() == before, name


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_half_precision_on_an_apple_gpu_trains(make_place: MakePlace, spawn: Spawn, precision: str) -> None:
    """With documents apart, recomputation, grouped queries and torch's own attention: all that a recipe may ask for."""
    place = make_place()
    more = ("train.documents_apart=true", "train.gradient_checkpointing=selective", "model.key_value_heads=1")
    train(spawn, place, "hardware.accelerator=auto", f"train.precision={precision}", *more, kind="mps")
    losses = [row["loss"] for row in place.rows("loss")]
    assert losses[-1] < 0.9 * losses[0]
    assert json.loads((place.train / "final.json").read_text())["environment"]["precision"] == precision


def last(place: Place) -> Path:
    return next(place.train.glob(f"step-*{STEPS}"))


@pytest.mark.parametrize(
    ("precision", "changes"),
    [
        ("bf16", ()),
        ("fp16", ()),
        ("tf32", ()),
        ("bf16", ("train.documents_apart=true",)),
        ("bf16", ("train.gradient_checkpointing=selective",)),
        ("fp16", ("train.gradient_checkpointing=full", "train.micro_batch=3")),
    ],
)
def test_a_step_never_waits_for_the_gpu(
    make_place: MakePlace, spawn: Spawn, precision: str, changes: tuple[str, ...]
) -> None:
    """Nor mixes devices, nor calls a kernel for CUDA with what it does not take: both are errors there."""
    place = make_place()
    paths = (str(place.folder / "pequeno.toml"), str(place.folder / "runs"))
    settings = ("hardware.accelerator=auto", f"train.precision={precision}", *changes)
    found = json.loads(spawn(str(ROOT / "tests" / "stand_in" / "steps.py"), *paths, *settings).splitlines()[-1])
    assert found["on_gpu"] and found["precision"] == precision
    assert found["stepping"] == 0
    assert 0 < found["reading"] <= 6  # three steps' figures, and once whether training goes on


def test_a_gpu_that_only_torch_sees_is_not_passed_over_in_silence(spawn: Spawn) -> None:
    found = " ".join(spawn("-c", "from lhama.cli import main; main()", "doctor").split())
    assert "device cuda (stand-in)" in found
    assert "nvidia-smi names none, so plans are for the processor: set hardware.accelerator in the recipe" in found


SHAPE = (
    *("tokens.vocabulary=32000", "tokens.sequence=2048", "model.hidden_size=768", "model.intermediate_size=3072"),
    *("model.layers=12", "model.heads=12", "model.key_value_heads=12", "model.tied=false", "tokens.packing=stream"),
)


def test_rows_at_once_are_those_that_the_gpu_has_room_for(spawn: Spawn) -> None:
    """Its own 16 GiB, told by torch: nothing asks a driver's program, which containers and AMD's GPUs may lack."""
    program = (
        "import sys; from lhama.model.device import pick; from lhama.plan.recipe import load\n"
        "from lhama.train.batches import rows_at_once\n"
        "recipe = load('demo', sys.argv[1:])\n"
        "sys.stdout.write(str(rows_at_once(recipe, pick(recipe))))"
    )
    changes = [*SHAPE, "hardware.accelerator=auto", "train.batch_tokens=131072", "train.tokens=50000000"]
    found = int(spawn("-c", program, *changes).splitlines()[-1])
    recipe, room = load("demo", changes), replace(accelerator("h100"), memory_bytes=16 << 30)
    assert found == memory(recipe, room, "bf16").rows > memory(recipe, accelerator("cpu"), "bf16").rows


@pytest.mark.parametrize(("rows", "how"), [(1, "off"), (4, "selective"), (4, "full")])
def test_the_plan_foresees_the_memory_of_a_gpu(tmp_path: Path, spawn: Spawn, rows: int, how: str) -> None:
    """ttl-160m, uncompiled: the plan's formula beside the bytes of all tensors that live, operation by operation."""
    ways = ["hardware.accelerator=auto", "train.precision=bf16", "train.compile=off"]
    ways += [
        f"train.micro_batch={rows}",
        f"train.batch_tokens={2 * 2048 * rows}",
        f"train.gradient_checkpointing={how}",
    ]
    recipe = load("demo", [*SHAPE, *ways, "train.tokens=50000000", "train.save_every=1000000", "train.warmup_tokens=0"])
    make_up(recipe, tmp_path / "tokens", 50_000)
    (tmp_path / "recipe.toml").write_text(dumps(recipe))
    facts: dict[str, Any] = {"batch_tokens": recipe.train.batch_tokens, "compared": 1, "least": 1, "seconds": 0.0}
    facts |= {"recipe": str(tmp_path / "recipe.toml"), "run": str(tmp_path), "answer": str(tmp_path / "answer.json")}
    Job(**facts, memory_bytes=None, save=False).write(tmp_path / "job.json")
    spawn("-m", "lhama.train.tune_probe", str(tmp_path / "job.json"), shapes=True)
    counted = json.loads((tmp_path / "answer.json").read_text())["peak_bytes"]
    assert memory(recipe, accelerator("h100"), "bf16").total == pytest.approx(counted, rel=0.03)


HIDDEN, HEADS, SHARED, INTERMEDIATE, VOCABULARY = 2048, 32, 4, 5632, 32_000  # tinyllama-1.1b, of fewer layers


@pytest.mark.parametrize(("how", "apart"), [("off", "whole"), ("selective", "whole"), ("off", "apart")])
def test_a_step_is_compiled_whole_for_a_gpu_and_keeps_what_the_plan_says(spawn: Spawn, how: str, apart: str) -> None:
    """Captured without a break, cut into forward and backward as for Inductor, and run on tensors without numbers."""
    rows, layers = 2, 3
    changes = ["hardware.accelerator=h100", "train.precision=bf16", f"train.gradient_checkpointing={how}"]
    sizes = {"vocabulary": VOCABULARY, "sequence": 2048, "packing": "stream"}
    changes += [f"tokens.{key}={value}" for key, value in sizes.items()]
    shape = {"hidden_size": HIDDEN, "intermediate_size": INTERMEDIATE, "layers": layers, "heads": HEADS}
    changes += [f"model.{key}={value}" for key, value in {**shape, "key_value_heads": SHARED, "tied": "false"}.items()]
    changes += [f"train.micro_batch={rows}", "train.tokens=50000000", f"train.batch_tokens={rows * 2048}"]
    planned = memory(load("demo", [*changes, "train.warmup_tokens=0"]), accelerator("h100"), "bf16")
    numbers = (VOCABULARY, HIDDEN, INTERMEDIATE, layers, HEADS, SHARED, HIDDEN // HEADS)
    program = str(ROOT / "tests" / "stand_in" / "compiled.py")
    settings = ("aot_eager_decomp_partition", how, apart, str(rows), *map(str, numbers))
    found = json.loads(spawn(program, *settings, started=False).splitlines()[-1])
    layer = 2 * (4 * HIDDEN + 3 * 2048 + 3 * 256 + 2 * HEADS + 3 * INTERMEDIATE)
    again = 0 if how == "off" else 2048 * layer  # of one layer at a time, in the backward pass
    # The head's gradient is ready when the loss is; whether in 16 bits or in 32 is the compiler's choice.
    share = (found["kept"] - rows * (planned.activations_per_row - again)) / (2 * VOCABULARY * HIDDEN)
    assert min(abs(share - 1), abs(share - 2)) < (0.02 if apart == "whole" else 0.3)


@pytest.mark.slow
def test_the_tests_for_a_gpu_pass_on_the_stand_in(spawn: Spawn, tmp_path: Path) -> None:
    """All but the trace of its kernels, and what is compiled: so that they are right before they meet a GPU."""
    chosen = ("-k", "not profile", "-p", "no:cacheprovider", f"--basetemp={tmp_path / 'inner'}")
    said = spawn("-m", "pytest", "-q", "tests/train/test_gpu.py", *chosen, timeout=1500)
    assert " passed" in said and "failed" not in said
