"""The command line: frozen verbs and options, instant and light help, clear errors with exit code 2."""

import json
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from lhama.cli import app

RECIPE_OPTIONS = {"--set", "--runs", "--again", "--json"}
VERBS = {
    "new": {"--language", "--budget", "--hours", "--kwh", "--gpu", "--tokens-available", "--json"},
    "plan": {"--set", "--fit", "--slurm", "--runs", "--json"},
    "run": RECIPE_OPTIONS | {"--max-time"},
    "status": {"--runs", "--json"},
    "explain": {"--json"},
    "calibrate": {"--language", "--name", "--output"},
    "doctor": {"--runs", "--json"},
    "show": {"--step", "--reason", "--source", "--count", "--runs", "--json"},
    "corpus": RECIPE_OPTIONS,
    "tokens": RECIPE_OPTIONS,
    "train": RECIPE_OPTIONS | {"--max-time"},
    "tune": {"--minutes", "--set", "--runs", "--json"},
    "verify-resume": {"--set", "--steps", "--kills", "--runs", "--json"},
    "release": RECIPE_OPTIONS,
    "chat": {"--set", "--runs"},
}


def lhama(*words: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", "from lhama.cli import main; main()", *words],
        capture_output=True,
        text=True,
        cwd=cwd,
        check=False,
        timeout=120,
    )


def test_verbs_and_options_are_frozen() -> None:
    command = typer.main.get_command(app)
    found = {
        name: {option for parameter in verb.params for option in parameter.opts if option.startswith("--")} - {"--help"}
        for name, verb in command.commands.items()  # type: ignore[attr-defined]
    }
    assert found == VERBS


def test_help_imports_nothing_heavy() -> None:
    heavy = ["torch", "numba", "daft", "transformers", "numpy", "pyarrow", "codecarbon", "sentencepiece", "pydantic"]
    code = (
        "import sys; from typer.testing import CliRunner; from lhama.cli import app;"
        "result = CliRunner().invoke(app, ['--help']); assert result.exit_code == 0, result;"
        f"print([name for name in {heavy!r} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("verb", sorted(VERBS))
def test_every_verb_has_help(verb: str) -> None:
    result = CliRunner().invoke(app, [verb, "--help"])
    assert result.exit_code == 0
    assert verb in result.output


def test_an_unknown_key_is_one_message_with_a_suggestion_and_no_traceback(tmp_path: Path) -> None:
    done = lhama("plan", "demo", "--set", "train.lerning_rate=1", cwd=tmp_path)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert "learning_rate" in done.stderr


def test_a_missing_recipe_names_the_shipped_ones(tmp_path: Path) -> None:
    done = lhama("plan", "no-such-recipe", cwd=tmp_path)
    assert done.returncode == 2
    assert "demo" in done.stderr


def test_a_missing_run_says_how_to_make_one(tmp_path: Path) -> None:
    done = lhama("status", "nothing", cwd=tmp_path)
    assert done.returncode == 2
    assert "lhama run" in done.stderr


def test_new_writes_a_recipe_that_plans(tmp_path: Path) -> None:
    (tmp_path / "texto.txt").write_text("Era uma vez.\n" * 50, encoding="utf-8")
    made = lhama("new", "meu", "texto.txt", "--language", "pt", cwd=tmp_path)
    assert made.returncode == 0, made.stderr
    planned = lhama("plan", "meu.toml", "--json", cwd=tmp_path)
    assert planned.returncode == 0, planned.stderr
    assert json.loads(planned.stdout)
    again = lhama("new", "meu", cwd=tmp_path)
    assert again.returncode == 2
    assert "exists" in again.stderr


def test_new_for_a_budget_writes_a_recipe_that_plans_and_a_script_for_a_cluster(tmp_path: Path) -> None:
    (tmp_path / "textos").mkdir()
    words = ("--budget", "100", "--gpu", "2xh100", "--tokens-available", "1B")
    made = lhama("new", "melhor", "textos", *words, cwd=tmp_path)
    assert made.returncode == 0, made.stderr
    assert "@" in made.stdout and "95% of 100 USD" in made.stdout
    planned = lhama("plan", "melhor.toml", "--slurm", "--json", cwd=tmp_path)
    assert planned.returncode == 0, planned.stderr
    found = json.loads(planned.stdout)
    assert 90 < found["money"]["amount"] <= 95 and found["loss"]["repeated"]["tokens_available"] == 10**9
    assert found["launch"]["slurm"] == "melhor.slurm" and "torchrun" in found["launch"]["torchrun"]
    assert (tmp_path / "melhor.slurm").read_text(encoding="utf-8").startswith("#!/bin/bash")
    refused = lhama("new", "outro", "textos", "--budget", "100", "--gpu", "h1000", cwd=tmp_path)
    assert refused.returncode == 2 and "did you mean h100" in refused.stderr and "Traceback" not in refused.stderr
    assert not (tmp_path / "outro.toml").exists()


def test_explain_json_without_a_key_is_the_json_schema() -> None:
    schema = json.loads(lhama("explain", "--json").stdout)
    assert schema["type"] == "object"
    assert schema["properties"]["train"]


def test_calibrate_writes_a_file_that_rules_read(tmp_path: Path) -> None:
    tales = [" ".join([f"a llama {number} foi ao rio com o filho e a filha de manhã."] * 6) for number in range(120)]
    (tmp_path / "limpo.jsonl").write_text("".join(json.dumps({"text": tale}) + "\n" for tale in tales) + "{\n")
    made = lhama(
        "calibrate", "limpo.jsonl", "--language", "qu", "--name", "Quechua", "--output", "qu.toml", cwd=tmp_path
    )
    assert made.returncode == 0, made.stderr
    assert "120 documents, 1 unread" in made.stdout and "corpus.thresholds_file" in made.stdout
    printed = lhama("calibrate", ".", "--language", "qu", "--name", "Quechua", cwd=tmp_path)
    assert printed.stdout == (tmp_path / "qu.toml").read_text(encoding="utf-8")
    found = tomllib.loads(printed.stdout)
    assert found["name"] == "Quechua" and found["stop_words"].split()[:2] == ["a", "com"]
    again = lhama("calibrate", "limpo.jsonl", "--language", "qu", "--output", "qu.toml", cwd=tmp_path)
    assert again.returncode == 2 and "exists" in again.stderr


def test_calibrate_says_what_is_wrong_with_a_sample(tmp_path: Path) -> None:
    (tmp_path / "curto.txt").write_text("Era uma vez.", encoding="utf-8")
    for words, message in (
        (("curto.txt", "--language", "qu"), "0 documents of 50 words"),
        (("nada.txt", "--language", "qu"), "does not exist"),
        (("*.md", "--language", "qu"), "no file of a known kind"),
        (("curto.txt", "--language", "../qu"), "no code of a language"),
    ):
        done = lhama("calibrate", *words, cwd=tmp_path)
        assert done.returncode == 2 and message in " ".join(done.stderr.split()), done.stderr


def test_doctor_says_what_there_is() -> None:
    found = json.loads(lhama("doctor", "--json").stdout)
    assert found["machine"]["cores"] >= 1
    assert found["use"]["precision"] in ("fp32", "bf16")
