"""The whole pipeline by the real command: golden numbers, nothing redone unasked, no connection leaves loopback."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Command = Callable[..., subprocess.CompletedProcess[str]]
TINY = str(Path(__file__).parent / "tiny.toml")
STAGES = ("read", "corpus", "tokens", "train", "release")


def rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def snapshot(run: Path) -> dict[str, int]:
    """Return the time of last change of every finished artifact of a run."""
    return {
        str(path): path.stat().st_mtime_ns for stage in STAGES for path in (run / stage).rglob("*") if path.is_file()
    }


def test_the_run_folder_holds_every_stage(tiny_home: Path) -> None:
    run = tiny_home / "runs" / "demo"
    for stage in STAGES:
        assert (run / stage / "manifest.json").is_file(), stage
        assert not (run / f"{stage}.part").exists()
    assert (run / "release" / "report.html").is_file()
    assert (run / "release" / "README.md").is_file()


def test_no_connection_leaves_loopback(tiny_home: Path) -> None:
    attempts = tiny_home / "connections"
    assert not attempts.exists(), attempts.read_text()


def test_golden_losses(tiny_home: Path) -> None:
    """Numbers of the tiny run in fp32 on a CPU; a change that should change nothing leaves them as they are."""
    losses = rows(tiny_home / "runs" / "demo" / "train" / "loss.jsonl")
    final = json.loads((tiny_home / "runs" / "demo" / "train" / "final.json").read_text(encoding="utf-8"))
    assert losses[-1]["step"] == 40
    assert [losses[0]["loss"], losses[-1]["loss"]] == pytest.approx([6.414321, 5.323309], abs=1e-4)
    assert final["validation"]["bits_per_byte"] == pytest.approx(3.371842, abs=1e-4)


def test_a_second_run_and_an_operational_change_redo_nothing(tiny_home: Path, lhama: Command) -> None:
    run = tiny_home / "runs" / "demo"
    before = snapshot(run)
    lhama("run", TINY, "--set", "train.log_every=1024", cwd=tiny_home)
    after = snapshot(run)
    kept = {path for path in before if not path.endswith("manifest.json") and "/release/" not in path}
    assert {path: before[path] for path in kept} == {path: after[path] for path in kept}


def test_status_and_show_as_json(tiny_home: Path, lhama: Command) -> None:
    state = json.loads(lhama("status", "demo", "--json", cwd=tiny_home).stdout)
    assert {stage["name"]: stage["state"] for stage in state["stages"]} == dict.fromkeys(STAGES, "done")
    shown = json.loads(lhama("show", "demo", "--step", "1", "--json", cwd=tiny_home).stdout)
    assert len(shown) == 512 // 64
    assert all("".join(row["texts"]).strip() for row in shown)


def test_changing_the_shape_stops_and_names_the_key(tiny_home: Path, lhama: Command) -> None:
    done = lhama("train", TINY, "--set", "model.hidden_size=64", cwd=tiny_home, check=False)
    assert done.returncode == 2
    assert "model.hidden_size" in done.stderr
    assert "32" in done.stderr and "64" in done.stderr


def test_the_checkpoint_opens_in_plain_transformers_without_lhama(tiny_home: Path, tmp_path: Path) -> None:
    train = tiny_home / "runs" / "demo" / "train"
    newest = max(train.glob("step-*"), key=lambda path: int(path.name.split("-")[1]))
    code = f"""
import sys
class Block:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == "lhama":
            raise ImportError("lhama is not installed here")
sys.meta_path.insert(0, Block())
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer
model = AutoModelForCausalLM.from_pretrained({str(newest)!r})
tokenizer = AutoTokenizer.from_pretrained({str(newest)!r})
ids = tokenizer("Era uma vez", return_tensors="pt")
assert ids["input_ids"][0, 0].item() == tokenizer.bos_token_id == 1, ids
out = model.generate(**ids, max_new_tokens=12, do_sample=False)
print(tokenizer.decode(out[0], skip_special_tokens=True))
assert "lhama" not in sys.modules
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, check=False, timeout=300
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("Era uma vez")


def test_chat_completes_from_standard_input(tiny_home: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", "from lhama.cli import main; main()", "chat", "demo", "--set", "serve.max_new_tokens=8"],
        input="Era uma vez\n",
        capture_output=True,
        text=True,
        cwd=tiny_home,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    assert "Era uma vez" in done.stdout
