"""The model card: the Hub's own library reads it, and its figures are the record's."""

import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from huggingface_hub import ModelCard
from hypothesis import given
from hypothesis import strategies as st

from lhama.plan.recipe import Recipe
from lhama.record.run import Run
from lhama.release.card import metadata, write_card
from lhama.release.card_text import fence, inline
from lhama.release.facts import read
from lhama.release.licences import meanings, warnings

yaml = pytest.importorskip("yaml")  # the Hub's library brings it
MakeRun = Callable[..., Run]


def changed(recipe: Recipe, section: str, **values: Any) -> Recipe:
    """Return the recipe with other values in one section."""
    return recipe.model_copy(update={section: getattr(recipe, section).model_copy(update=values)})


def hub(run: Run, recipe: Recipe | None = None) -> Any:
    """Return the metadata as the Hub's library reads them."""
    return ModelCard(write_card(recipe or run.recipe, run.folder)).data


def test_the_hub_reads_the_metadata(made_run: MakeRun) -> None:
    run = made_run()
    data = hub(run)
    assert data.language == ["pt"]
    assert data.license == "apache-2.0"
    assert data.library_name == "transformers"
    assert data.pipeline_tag == "text-generation"
    assert "teaching-corpus" in data.tags
    assert data.model_name == "Contos 4M"
    found = {result.metric_type: result.metric_value for result in data.eval_results}
    assert found == {"bits_per_byte": 0.5527, "perplexity": 3.491}


def test_emissions_are_in_grams(made_run: MakeRun) -> None:
    """The ledger counts kilograms and the Hub wants grams; a card that forgets it is wrong by a thousand."""
    run = made_run()
    kilograms = 0.0
    for ledger in run.folder.glob("*/energy.jsonl"):
        kilograms += sum(json.loads(line)["kgco2e"] for line in ledger.read_text().splitlines())
    emissions = hub(run).co2_eq_emissions
    assert emissions["emissions"] == pytest.approx(kilograms * 1000, rel=1e-5)
    assert 0.3 < emissions["emissions"] < 0.4  # 3.7 Wh at 98.3 g per kWh is 0.36 g, by hand
    assert emissions["training_type"] == "pre-training"
    assert emissions["geographical_location"] == "BRA"
    assert emissions["hardware_used"] == "NVIDIA H100 80GB HBM3"
    assert "CodeCarbon" in emissions["source"]


def test_what_is_not_known_has_no_key(made_run: MakeRun) -> None:
    run = made_run(without=("*/energy.jsonl", "train/final.json", "train/validation.jsonl"))
    head = metadata(read(run.recipe, run.folder))
    assert "co2_eq_emissions" not in head and "model-index" not in head and "datasets" not in head
    text = write_card(run.recipe, run.folder)
    assert "Nothing has been measured yet" in text and "Training is not finished" in text


def test_constant_power_does_not_pass_for_a_measurement(made_run: MakeRun) -> None:
    run = made_run()
    for ledger in run.folder.glob("*/energy.jsonl"):
        ledger.write_text(re.sub("estimated|measured", "constant", ledger.read_text()))
    source = hub(run).co2_eq_emissions["source"]
    assert "assumed" in source and "CodeCarbon" not in source


def test_datasets_of_the_hub_and_their_licences_are_named(made_run: MakeRun) -> None:
    run = made_run()
    source = run.recipe.corpus.source[1].model_copy(update={"kind": "hub", "path": "nicholasKluge/Pt-Corpus"})
    recipe = changed(run.recipe, "corpus", source=(run.recipe.corpus.source[0], source))
    assert hub(run, recipe).datasets == ["nicholasKluge/Pt-Corpus"]


def test_restricted_and_unstated_licences_are_said_aloud(made_run: MakeRun) -> None:
    run = made_run()
    text = write_card(run.recipe, run.folder)
    assert "**Licence warning.** Some text may not be used commercially: jornal (cc-by-nc-4.0)." in text
    unstated = run.recipe.corpus.source[1].model_copy(update={"license": "unknown"})
    recipe = changed(run.recipe, "corpus", source=(unstated,))
    assert "nobody has said that it may be used" in write_card(recipe, run.folder)
    open_ = run.recipe.corpus.source[0]
    sources = tuple(unstated.model_copy(update={"name": f"part{number}"}) for number in range(7))
    assert warnings(changed(run.recipe, "corpus", source=sources))[0].endswith(": all 7 sources.")
    assert warnings(changed(run.recipe, "corpus", source=(*sources, open_)))[0].endswith(": 7 of 8 sources.")
    assert warnings(changed(run.recipe, "corpus", source=(open_,))) == []


@pytest.mark.parametrize(
    ("licence", "count"),
    [("apache-2.0", 0), ("cc-by-sa-4.0", 0), ("CC-BY-NC-ND-4.0", 2), ("cc_by_nc_4.0", 1), ("Unknown", 1), ("", 1)],
)
def test_what_licences_mean(licence: str, count: int) -> None:
    assert len(meanings(licence)) == count


def test_a_licence_the_hub_does_not_know_keeps_its_name(made_run: MakeRun) -> None:
    run = made_run()
    head = metadata(read(changed(run.recipe, "release", license="My Own 1.0"), run.folder))
    assert (head["license"], head["license_name"]) == ("other", "my-own-1.0")


@given(st.text())
def test_no_title_breaks_out_of_the_metadata(made_card_facts: Any, title: str) -> None:
    recipe = changed(made_card_facts.recipe, "release", title=title, license="apache-2.0")
    text = write_card(recipe, made_card_facts.folder)
    head = text[len("---\n") : text.index("\n---\n")]
    assert yaml.safe_load(head)["model-index"][0]["name"] == (title or made_card_facts.recipe.name)


@pytest.fixture(scope="session")
def made_card_facts(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A recipe and a folder with one measurement, shared by all the examples of a property."""
    from lhama.plan.recipe import load

    folder = tmp_path_factory.mktemp("card")
    (folder / "train").mkdir()
    (folder / "train" / "final.json").write_text('{"validation": {"bits_per_byte": 1.5}}', encoding="utf-8")
    recipe = load("demo")
    return type("Made", (), {"recipe": recipe, "folder": folder})


@given(st.text())
def test_a_text_in_a_line_stays_in_its_line(text: str) -> None:
    shown = inline(text)
    assert "\n" not in shown and "<" not in shown
    assert not re.match(r"#|>|[-+]|\d+[.)]\s", shown)
    assert not re.search(r"(?<!\\)[`*_|\[]", shown.replace("\\\\", ""))


@given(st.text(alphabet="`~ab\n"))
def test_no_text_closes_its_fence(text: str) -> None:
    lines = fence(text).split("\n")
    assert lines[0] == lines[-1] and set(lines[0]) == {"`"}
    assert all(len(run) < len(lines[0]) for run in re.findall(r"`+", text))


def test_the_card_and_the_page_agree(made_run: MakeRun) -> None:
    run = made_run()
    text = write_card(run.recipe, run.folder)
    assert "| Bits per byte | 0.5527 |" in text
    assert "| Tales that pass, seen combinations | 48 of 50 |" in text
    assert "| Tales that pass, held-out combinations | 47 of 50 |" in text
    assert "1.05\u00a0million parameters" in text and "3.01\u00a0million tokens" in text
    for block in re.findall(r"```python\n(.*?)```", text, re.DOTALL):
        compile(block, "card", "exec")
