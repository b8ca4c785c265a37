"""The code in docs/model.md runs."""

import re
from pathlib import Path

import pytest

from lhama.model.checkpoint import save_model
from lhama.model.llama import Llama, LlamaConfig

CHAPTER = Path(__file__).parents[2] / "docs" / "model.md"


def test_the_example_continues_a_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = LlamaConfig(40, 16, 24, 2, 2, 1, 8, max_position_embeddings=64, eos_token_id=39)
    model = Llama(config)
    model.init_weights(0)
    save_model(tmp_path / "runs/demo/train/step-0000500", dict(model.named_parameters()), config)
    monkeypatch.chdir(tmp_path)
    (block,) = re.findall(r"^```python\n(.*?)^```", CHAPTER.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    names: dict[str, list[int]] = {}
    exec(block, names)
    # An untrained model takes each token with 1/40; 0 tokens in 40 draws would mean the very first was eos.
    assert 0 < len(names["continuation"]) <= 40
    assert all(0 <= token < 39 for token in names["continuation"])
