"""The documentation runs: every command in it is executed, every reference chapter is generated and current."""

import importlib.util
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from lhama.corpus import tales

Command = Callable[..., subprocess.CompletedProcess[str]]
ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", ROOT / "LEIAME.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"^```sh\n(.*?)^```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\((?!https?:|#|mailto:)([^)#]+)")

# What makes any recipe small enough for a test; the words of the command stay as they are written.
SMALL = {
    "tokens.vocabulary": "640",
    "tokens.sample_megabytes": "1",
    "tokens.sequence": "64",
    "model.hidden_size": "32",
    "model.intermediate_size": "96",
    "model.layers": "2",
    "model.heads": "2",
    "train.tokens": "10240",
    "train.batch_tokens": "1024",
    "train.warmup_tokens": "1024",
    "train.precision": "fp32",
    "train.compile": "off",
    "train.threads": "1",
    "record.energy": "false",
}
WORK = {"run", "corpus", "tokens", "train", "release", "verify-resume"}


def commands(page: Path) -> list[str]:
    text = page.read_text(encoding="utf-8").replace("\\\n", " ")
    lines = [line.split("  #")[0].strip() for block in BLOCK.findall(text) for line in block.splitlines()]
    return [line for line in lines if line and not line.startswith("#")]


def reference_module() -> ModuleType:
    spec = importlib.util.spec_from_file_location("reference", ROOT / "docs" / "reference.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_reference_chapters_are_current() -> None:
    for path, text in reference_module().references().items():
        assert path.read_text(encoding="utf-8") == text, f"{path.name} is stale: run `make docs`"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in LINK.findall(page.read_text(encoding="utf-8")):
        assert (page.parent / target).exists(), f"{page.name} links to {target}"


def prepare(home: Path, tiny_home: Path) -> None:
    """Lay out what the documentation assumes: the demo's run, and a folder `textos` with text of one's own."""
    shutil.copytree(tiny_home / "runs", home / "runs")
    (home / "textos").mkdir()
    for number, tale in enumerate(tales.documents(300, seed=1)):
        (home / "textos" / f"{number:03}.txt").write_text(tale.text, encoding="utf-8")


def rewritten(words: list[str]) -> list[str]:
    """Return the words of a command, made small: the demo is the tiny demo, every other recipe gets small keys."""
    verb = words[0]
    if verb not in WORK:
        return words
    if words[1] == "demo":
        return [verb, str(Path(__file__).parent / "tiny.toml"), *words[2:]]
    given = {word.split("=")[0] for word in words if "=" in word}
    extra = [word for key, value in SMALL.items() if key not in given for word in ("--set", f"{key}={value}")]
    return [*words, *extra]


RUN = [page for page in PAGES if commands(page) and page.name != "LEIAME.md"]  # which has the README's


@pytest.mark.parametrize("page", RUN, ids=lambda page: page.name)
def test_every_command_runs(page: Path, tiny_home: Path, tmp_path: Path, lhama: Command) -> None:
    prepare(tmp_path, tiny_home)
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    for line in commands(page):
        words = shlex.split(line)
        if words[0] == "make":
            assert words[1] in targets, line
        elif words[0] == "lhama":
            lhama(*rewritten(words[1:]), cwd=tmp_path)
        elif words[0] == "python":
            assert (ROOT / words[1]).is_file(), line
        else:
            assert words[0] in ("source", "pip"), f"{page.name}: cannot check {line!r}"


def test_the_command_check_can_fail(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("```sh\nlhama fly demo  # up\n```\n", encoding="utf-8")
    assert commands(page) == ["lhama fly demo"]


def test_python_examples_compile() -> None:
    for page in PAGES:
        for block in re.findall(r"^```python\n(.*?)^```", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL):
            compile(block, str(page), "exec")


def test_readme_twins_have_the_same_commands() -> None:
    assert commands(ROOT / "README.md") == commands(ROOT / "LEIAME.md")
    assert sys.version_info >= (3, 11)
