"""The memory of training: by hand for a small network, beside peaks that were measured, and how the parts move."""

import json
from pathlib import Path

import pytest

from lhama.plan.budget import plan
from lhama.plan.hardware import ACCELERATORS, Accelerator, accelerator
from lhama.plan.memory import HEAP, Way, memory
from lhama.plan.recipe import load

CPU = Accelerator("cpu", "2 cores", 160e9, None, 60e9, 16 * 2**30, 16, 8, 0.0)
RESULTS = sorted((Path(__file__).parents[2] / "benchmarks" / "results").glob("memory-plan-*.json"))
CELLS = [cell for path in RESULTS for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]]


@pytest.mark.parametrize("cell", CELLS, ids=lambda cell: str(cell["cell"]))
def test_the_plan_is_within_a_tenth_of_what_was_measured(cell: dict[str, object]) -> None:
    changes, measured = cell["changes"], cell["measured_bytes"]
    assert isinstance(changes, list) and isinstance(measured, int)
    planned = memory(load("demo", changes), CPU, str(cell["precision"])).total
    assert planned == pytest.approx(measured, rel=0.10)


def test_six_cells_were_measured() -> None:
    assert sum(bool(cell["of_the_six"]) for cell in CELLS) == 6


SMALL = ["tokens.vocabulary=384", "tokens.sequence=64", "model.hidden_size=32", "model.intermediate_size=96"]
SMALL += ["model.layers=2", "model.heads=4", "model.key_value_heads=2", "model.tied=false", "train.compile=off"]
SMALL += ["train.batch_tokens=512", "train.micro_batch=4", "train.tokens=51200", "train.warmup_tokens=0"]


def test_an_uncompiled_step_by_hand() -> None:
    room = memory(load("demo", SMALL), CPU, "bf16")
    # q and o 32 x 32, k and v 32 x 16, gate, up, down 32 x 96, two norms; embedding and head 384 x 32; the last norm.
    count = 2 * (2 * 1024 + 2 * 512 + 3 * 3072 + 2 * 32) + 2 * 12288 + 32
    assert room.fixed == 18 * count and room.snapshot == 12 * count
    # Of a token and layer: two norms with two numbers in 32 bits and one in 16; queries, keys and values of 32, 16, 16:
    # turned ones 48, the product they came from 64, what attention returns 32, and 4 heads' sums; four times 96.
    layer = 2 * (4 + 4 + 2) * 32 + 2 * (48 + 64 + 32) + 4 * 4 + 2 * 4 * 96
    kept = 2 * layer + 2 * 2 * 32
    assert room.activations_per_row == 64 * (int(HEAP * kept) + 8 * 2 * 96)
    # 256 tokens have logits at once: fewer than 512.
    assert room.logits == 256 * 384 * 10 + 384 * 32 * 8
    assert room.tokens == 2 * 51200
    assert (
        room.total
        == room.fixed + room.logits + room.snapshot + room.tokens + room.program + 4 * room.activations_per_row
    )


def test_what_a_recipe_changes_moves_its_part_alone() -> None:
    def parts(*changes: str, precision: str = "bf16") -> dict[str, int]:
        return vars(memory(load("demo", [*SMALL, *changes]), CPU, precision))

    usual = parts()
    for change, part, less in (
        ("train.save_in_background=false", "snapshot", True),
        ("train.data=mapped", "tokens", True),
        ("train.loss_tokens=16", "logits", True),
        ("train.loss_tokens=4096", "logits", False),  # no more than the 256 that there are
        ("train.gradient_checkpointing=selective", "activations_per_row", True),
        ("train.micro_batch=2", "rows", True),
    ):
        found = parts(change)
        assert (found[part] < usual[part]) is less, change
        others = usual.keys() - {part, "logits"}  # which makes use of the room that recomputing needs
        assert {key: found[key] for key in others} == {key: usual[key] for key in others}, change
    assert parts("train.gradient_checkpointing=full")["activations_per_row"] < usual["activations_per_row"]
    assert parts(precision="fp32")["compute_copy"] == 0
    assert parts("train.compile=on")["program"] > usual["program"]


def test_a_gpu_holds_neither_the_program_nor_the_copy_of_a_save() -> None:
    room = memory(load("demo"), ACCELERATORS["h100"], "bf16")
    assert (room.program, room.snapshot, room.tokens) == (0, 0, 0) and room.logits > 0


def test_a_processor_takes_no_more_rows_than_its_caches_like() -> None:
    recipe = load("demo", ["train.batch_tokens=196608", "tokens.sequence=256"])
    assert memory(recipe, CPU, "bf16").rows == 16  # 4,096 tokens


def test_compilation_is_foreseen_as_training_decides() -> None:
    device = pytest.importorskip("lhama.model.device")
    if device.missing_compiler("cpu"):
        pytest.skip("nothing is ever compiled here")
    decided = set()
    for asked, tokens in (("auto", 10**5), ("auto", 10**9), ("on", 10**5), ("off", 10**9)):
        recipe = load("demo", [f"train.tokens={tokens}", f"train.compile={asked}", "hardware.accelerator=cpu"])
        chosen = device.pick(recipe, device.Chip("cpu"))
        assert Way.of(recipe, accelerator("cpu"), chosen.precision).compiled is chosen.compile
        decided.add((asked, chosen.compile))
    assert decided == {("auto", False), ("auto", True), ("on", True), ("off", False)}


def test_the_plan_names_every_part() -> None:
    found = plan(load("demo", ["hardware.accelerator=cpu"]))
    room = found["memory"]
    parts = (
        "weights",
        "gradients",
        "moments",
        "compute_copy",
        "activations",
        "logits",
        "snapshot",
        "tokens",
        "program",
    )
    assert sum(room[part] for part in parts) == room["total"]
    shown = {row[0] for table in found["tables"] for row in table["rows"] if table["title"].startswith("Memory")}
    assert {"the program itself", "copy of a save, while it is written", "logits and the head's gradient"} <= shown
