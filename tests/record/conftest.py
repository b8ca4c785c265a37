"""A small recipe of text and the means to die at any file operation, shared by the tests of the record."""

import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from lhama.plan.recipe import Recipe, load

RECIPE = """
name = "small"

[hardware]
accelerator = "cpu"
price_per_hour = 2.0

[record]
energy = false

[[corpus.source]]
name = "text"
path = "text.txt"

[model]
hidden_size = 64
intermediate_size = 128
layers = 2
heads = 2

[train]
tokens = 1024000
batch_tokens = 8192
learning_rate = 1e-3
"""

MakeRecipe = Callable[..., Recipe]


@pytest.fixture
def make_recipe(tmp_path: Path) -> MakeRecipe:
    """Load the small recipe with changes."""

    def make(*changes: str, text: str = RECIPE) -> Recipe:
        path = tmp_path / "small.toml"
        path.write_text(text, encoding="utf-8")
        return load(path, list(changes))

    return make


def die_at(number: int, work: Callable[[], Any]) -> bool:
    """Do the work in a forked process that ends, as if killed, just before its n-th file operation; True if it died.

    Counted is everything that changes the disk: opening for writing, making, renaming, deleting, forcing to the disk.
    """
    child = os.fork()
    if child == 0:
        code = 1
        try:
            _arm(number)
            work()
            code = 0
        finally:
            os._exit(code)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert code in (0, 137), f"the work itself failed with exit code {code}"
    return code == 137


def _arm(number: int) -> None:
    left = number

    def count() -> None:
        nonlocal left
        left -= 1
        if left == 0:
            os._exit(137)

    writing = os.O_WRONLY | os.O_RDWR | os.O_CREAT
    changing = ("os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.truncate")

    def hook(event: str, arguments: Sequence[Any]) -> None:
        if event in changing or (event == "open" and isinstance(arguments[2], int) and arguments[2] & writing):
            count()

    sys.addaudithook(hook)
    real: Callable[[Any], None] = os.fsync

    def fsync(fd: Any) -> None:
        count()
        real(fd)

    os.fsync = fsync
