"""Every shipped recipe loads, plans, round-trips and explains itself; the reproductions hold their papers' numbers."""

import re
from pathlib import Path

import pytest

from lhama.plan.budget import plan
from lhama.plan.recipe import Recipe, dumps, load, loads, shipped
from lhama.plan.schedule import learning_rate, phases, total_steps, total_tokens

NAMES = (
    "demo",
    "laptop",
    "lhama-160m",
    "lhama-460m",
    "tinyllama-1.1b",
    "tinyllama-1.1b-v1.1",
    "ttl-160m",
    "ttl-460m",
)


def test_the_shipped_recipes_are_these() -> None:
    assert tuple(sorted(shipped())) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_it_loads_plans_and_round_trips(name: str) -> None:
    recipe = load(name)
    assert recipe.name == name
    found = plan(recipe)
    assert found["training"]["tokens"] == total_tokens(recipe) > 0
    assert found["memory"]["fits"]
    assert loads(dumps(recipe)) == recipe


@pytest.mark.parametrize("name", NAMES)
def test_it_is_a_manual_in_pipeline_order(name: str) -> None:
    text = shipped()[name].read_text(encoding="utf-8")
    assert text.startswith("# ")
    sections = [line.strip("[]") for line in text.splitlines() if re.match(r"\[[a-z]", line)]
    assert sections == sorted(sections, key=list(Recipe.model_fields).index)
    assert not re.search(r"CHANGE|/work|/home", text)


@pytest.mark.parametrize("name", NAMES)
def test_intervals_are_whole_steps(name: str) -> None:
    # A checkpoint between two steps cannot be; the one after it would have another name than the paper's.
    recipe = load(name)
    batch = recipe.train.batch_tokens
    for every in (recipe.train.log_every, recipe.train.validate_every, recipe.train.save_every):
        assert every is not None and every % batch == 0
    assert recipe.train.warmup_tokens % batch == 0


@pytest.mark.parametrize(
    ("name", "steps", "rate", "warmup_steps", "suite_steps", "suite"),
    [("ttl-160m", 458_000, 6e-4, 5_000, 22_000, 20), ("ttl-460m", 1_200_000, 3e-4, 10_000, 25_000, 48)],
)
def test_teenytinyllama_is_its_paper(
    name: str, steps: int, rate: float, warmup_steps: int, suite_steps: int, suite: int
) -> None:
    recipe = load(name)
    train = recipe.train
    assert total_steps(recipe) == steps and total_tokens(recipe) == steps * 8_192
    assert train.learning_rate == rate and train.warmup_tokens == warmup_steps * 8_192
    assert (train.beta1, train.beta2, train.epsilon, train.weight_decay, train.clip) == (0.9, 0.999, 1e-8, 0.01, None)
    assert train.suite_every == suite_steps * 8_192 and total_tokens(recipe) // train.suite_every == suite
    assert train.validate_every == 100_000 * 8_192
    assert learning_rate(recipe, total_tokens(recipe)) == pytest.approx(0, abs=1e-12)
    assert (recipe.tokens.vocabulary, recipe.tokens.sequence) == (32_000, 2_048)
    assert [source.paths for source in recipe.corpus.source] == [("nicholasKluge/Pt-Corpus-Instruct",)]


def test_tinyllama_is_its_script() -> None:
    recipe = load("tinyllama-1.1b")
    assert total_steps(recipe) == 1_430_512  # twice 715,256, as the script counts
    assert recipe.train.warmup_tokens == 2_000 * 2_097_152
    assert recipe.train.learning_rate * recipe.train.final_learning_rate_fraction == pytest.approx(4e-5)
    (main,) = phases(recipe)
    assert main.mixture == {"text": 7, "code": 3}


def test_tinyllama_v11_has_three_stages_that_name_their_batch() -> None:
    laid = phases(load("tinyllama-1.1b-v1.1"))
    assert [one.tokens for one in laid] == [1_500_000_000_000, 350_000_000_000, 150_000_000_000]
    assert [one.batch_tokens for one in load("tinyllama-1.1b-v1.1").train.phase] == [1_835_008, 1_835_008, 7_340_032]


@pytest.mark.parametrize("size", ["160m", "460m"])
def test_our_own_recipes_have_teenytinyllamas_size(size: str) -> None:
    ours, theirs = (plan(load(f"{family}-{size}")) for family in ("lhama", "ttl"))
    assert ours["model"]["parameters"]["total"] == theirs["model"]["parameters"]["total"]


def test_a_recipe_in_the_current_folder_needs_no_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "own.toml").write_text(shipped()["demo"].read_text(encoding="utf-8"), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    assert load("own.toml") == load("demo")
