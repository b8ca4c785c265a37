"""The 160M shape with 32,000 pieces, for real: twenty steps with a resume in between, then what redoes and what stops.

The text is made of seeded pseudo-words, since a vocabulary of 32,000 pieces needs more words than a tale has.
"""

import json
import random
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

Command = Callable[..., subprocess.CompletedProcess[str]]

SMALLER = {
    "tokens.sequence": "256",
    "tokens.sample_megabytes": "8",
    "train.batch_tokens": "512",
    "train.micro_batch": "2",
    "train.warmup_tokens": "2048",
    "train.log_every": "512",
    "train.validate_every": "none",
    "train.validate_megabytes": "0.01",
    "train.sample_every": "none",
    "train.suite_every": "none",
    "train.save_every": "5120",
    "train.keep": "1",
    "train.precision": "fp32",
    "train.compile": "off",
}
RECIPE = """
name = "shape"

[[corpus.source]]
name = "pseudo"
path = "pseudo.txt"
license = "CC0-1.0"
"""


def pseudo_words(count: int, seed: int) -> list[str]:
    """Make different words of two to four syllables."""
    chance = random.Random(seed)
    syllables = [
        start + vowel + end for start in "bcdfglmnprstvz" for vowel in "aeiouáéíóãõ" for end in ("", "r", "s", "m")
    ]
    words: dict[str, None] = {}
    while len(words) < count:
        words["".join(chance.choices(syllables, k=chance.randint(2, 4)))] = None
    return list(words)


def write_text(path: Path) -> None:
    chance = random.Random(1)
    words = pseudo_words(40_000, 2)
    weights = [1 / (rank + 10) for rank in range(len(words))]
    with path.open("w", encoding="utf-8") as file:
        for _ in range(4_000):
            file.write(" ".join(chance.choices(words, weights, k=200)).capitalize() + ".\n\n")


def losses(home: Path) -> list[dict[str, float]]:
    lines = (home / "runs" / "shape" / "train" / "loss.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


@pytest.mark.slow
def test_twenty_steps_of_the_160m_shape_and_a_resume(tmp_path: Path, lhama: Command) -> None:
    (tmp_path / "texts").mkdir()
    write_text(tmp_path / "texts" / "pseudo.txt")
    shape = Path(__file__).parent.parent / "recipes" / "ttl-160m.toml"
    kept = shape.read_text(encoding="utf-8").partition("[tokens]")
    (tmp_path / "shape.toml").write_text(RECIPE.replace("pseudo.txt", "texts") + kept[1] + kept[2], encoding="utf-8")
    sets = [word for key, value in SMALLER.items() for word in ("--set", f"{key}={value}")]
    lhama("train", "shape.toml", *sets, "--set", "train.tokens=5120", cwd=tmp_path)
    tokens = json.loads((tmp_path / "runs/shape/tokens/tokens.json").read_text(encoding="utf-8"))
    final = json.loads((tmp_path / "runs/shape/train/final.json").read_text(encoding="utf-8"))
    assert final["parameters"]["total"] == 162_417_408
    assert tokens["totals"]["documents"] > 0
    assert losses(tmp_path)[-1]["step"] == 10

    resumed = lhama("train", "shape.toml", *sets, "--set", "train.tokens=10240", cwd=tmp_path)
    assert "Continuing after step 10" in resumed.stdout
    assert [row["step"] for row in losses(tmp_path)] == list(range(1, 21))
    assert losses(tmp_path)[-1]["loss"] < losses(tmp_path)[0]["loss"]

    before = (tmp_path / "runs/shape/train/final.json").stat().st_mtime_ns
    again = [*sets, "--set", "train.tokens=10240"]
    lhama("train", "shape.toml", *again, "--set", "train.log_every=1024", cwd=tmp_path)
    assert (tmp_path / "runs/shape/train/final.json").stat().st_mtime_ns == before

    stopped = lhama("train", "shape.toml", *again, "--set", "model.hidden_size=384", cwd=tmp_path, check=False)
    assert stopped.returncode == 2
    assert "model.hidden_size" in stopped.stderr
