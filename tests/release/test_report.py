"""The page: its numbers are the record's, strangers' texts stay texts, and whatever is missing, there is a page."""

import base64
import copy
import hashlib
import json
import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lhama.plan.recipe import load
from lhama.release.facts import Facts, number, read
from lhama.release.report import page, write_report
from tests.page import Page
from tests.release.reading import MakeRun, document, rows
from tests.release.test_chapters import COMPARED, TUNED


def test_the_key_figures_are_the_records_own(made_run: MakeRun) -> None:
    run = made_run()
    seen = Page(write_report(run.recipe, run.folder)).values
    final, corpus = document(run, "train/final.json"), document(run, "corpus/report.json")
    ledger = [row for stage in ("corpus", "tokens", "train") for row in rows(run, f"{stage}/energy.jsonl")]
    assert seen["tokens-seen"] == final["tokens"] == 367 * 8192
    assert seen["seconds"] == final["seconds"]
    assert seen["bits-per-byte"] == final["validation"]["bits_per_byte"]
    assert seen["perplexity"] == final["validation"]["perplexity"]
    assert seen["parameters"] == 2 * 2048 * 256  # the two tensors in the header of the checkpoint's file
    assert seen["kwh"] == pytest.approx(sum(row["kwh"] for row in ledger), rel=1e-12)
    assert seen["kgco2e"] == pytest.approx(sum(row["kgco2e"] for row in ledger), rel=1e-12)
    assert seen["money"] == pytest.approx(sum(row["seconds"] for row in ledger) / 3600 * 2.5, rel=1e-12)
    sources = corpus["sources"]
    assert seen["documents-in"] == sum(source["documents_in"] for source in sources)
    assert seen["documents-kept"] == sum(source["kept"] for source in sources)
    assert seen["documents-heldout"] == sum(source["heldout"] for source in sources)
    assert seen["documents-dropped"] == sum(sum(source["dropped"].values()) for source in sources)
    assert seen["documents-in"] == seen["documents-kept"] + seen["documents-heldout"] + seen["documents-dropped"]
    assert seen["cleaned-away"] == 48_211
    assert seen["tales-passed"] == 95  # four with faults, one more that does not name the hero


def test_the_curves_end_where_the_record_ends(made_run: MakeRun) -> None:
    run = made_run()
    seen = Page(write_report(run.recipe, run.folder))
    losses, validations = rows(run, "train/loss.jsonl"), rows(run, "train/validation.jsonl")
    assert seen.curve("Training loss")["text"][-1].endswith(f"{losses[-1]['loss']:.3f} nats per token")
    assert seen.curve("Training loss")["text"][0].startswith("8,192")
    held_out = seen.curve("Held-out text")["text"]
    for row, said in zip(validations, held_out, strict=True):
        assert said == f"{row['tokens']:,} tokens: {row['bits_per_byte']:.3f} bits per byte"


def test_work_that_was_lost_is_in_no_curve(made_run: MakeRun) -> None:
    run = made_run()
    assert any(row.get("tokens_per_second") == 99_999.0 for row in rows(run, "train/metrics.jsonl"))
    speeds = Page(write_report(run.recipe, run.folder)).curve("Throughput")["text"]
    assert len(speeds) == 36 and not any("99,999" in said for said in speeds)


def test_the_page_is_one_file_that_may_do_nothing(made_run: MakeRun) -> None:
    run = made_run()
    seen = Page(write_report(run.recipe, run.folder))
    policy = next(attributes["content"] for _, attributes in seen.elements if "http-equiv" in attributes)
    for kind in ("style", "script"):
        assert seen.count(kind) == 1
        digest = base64.b64encode(hashlib.sha256(seen.raw[kind].encode()).digest()).decode()
        assert f"{kind}-src 'sha256-{digest}'" in policy
    assert policy.startswith("default-src 'none'")
    assert "unsafe" not in policy and "http" not in policy
    assert "url(" not in seen.raw["style"] and "@import" not in seen.raw["style"]
    for _, attributes in seen.elements:
        assert "src" not in attributes and "style" not in attributes
        assert attributes.get("href", "#").startswith("#")
    ids = [attributes["id"] for _, attributes in seen.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    links = {attributes["href"][1:] for tag, attributes in seen.elements if tag == "a"}
    assert links and links <= set(ids)


def test_every_figure_speaks_to_those_who_cannot_see_it(made_run: MakeRun) -> None:
    run = made_run()
    drawings = [attributes for tag, attributes in Page(write_report(run.recipe, run.folder)).elements if tag == "svg"]
    assert len(drawings) > 12
    assert all(one["role"] == "img" and len(one["aria-label"]) > 10 for one in drawings)


HOSTILE = "\"><img src=x onerror=alert(1)></script><script>alert(2)</script></style><!-- \x00 \u202e {{7*7}} &lt; ' `"


def poison(value: Any) -> Any:
    """Put the hostile text into every text of a document, keys of free tables included."""
    if isinstance(value, str):
        return value + HOSTILE
    if isinstance(value, list):
        return [poison(item) for item in value]
    if isinstance(value, dict):
        free = {"dropped", "by_source", "versions", "epochs", "outputs", "examples"}
        return {
            key: {name + HOSTILE: poison(item) for name, item in inner.items()}
            if key in free and isinstance(inner, dict)
            else poison(inner)
            for key, inner in value.items()
        }
    return value


def test_strangers_texts_stay_texts(made_run: MakeRun) -> None:
    run = made_run()
    clean = Page(write_report(run.recipe, run.folder))
    for name in ("corpus/report.json", "tokens/tokens.json", "tokens/fertility.json", "train/final.json", "plan.json"):
        (run.folder / name).write_text(json.dumps(poison(document(run, name))), encoding="utf-8")
    for stage in ("corpus", "tokens", "train"):
        name = f"{stage}/manifest.json"
        (run.folder / name).write_text(json.dumps(poison(document(run, name))), encoding="utf-8")
        ledger = [{**row, "stage": row["stage"] + HOSTILE} for row in rows(run, f"{stage}/energy.jsonl")]
        (run.folder / stage / "energy.jsonl").write_text("".join(json.dumps(row) + "\n" for row in ledger))
    (run.folder / "release").mkdir()
    (run.folder / "release" / "tokenizers.json").write_text(json.dumps(poison(COMPARED)))
    (run.folder / "tune.json").write_text(json.dumps(poison(TUNED)))
    samples = [poison(row) for row in rows(run, "train/samples.jsonl")]
    (run.folder / "train" / "samples.jsonl").write_text("".join(json.dumps(row) + "\n" for row in samples))
    text = write_report(run.recipe, run.folder)
    seen = Page(text)
    assert {tag for tag, _ in seen.elements} <= {tag for tag, _ in clean.elements} | {"p", "blockquote"}
    assert seen.count("script") == 1 and seen.count("img") == 0
    assert seen.raw == clean.raw
    assert not [name for _, attributes in seen.elements for name in attributes if name.startswith("on")]
    assert seen.said.count("<script>alert(2)</script>") > 20
    assert "<img" not in text and "<script>alert" not in text


PARTS = {
    "plan.json": "There is no plan.json",
    "corpus/report.json": "The corpus stage has not finished",
    "tokens/*": "The tokens stage has not finished",
    "tokens/fertility.json": "Fertility was not measured",
    "train/loss.jsonl": "There is no learning curve",
    "train/validation.jsonl": "Held-out text has not been measured",
    "train/samples.jsonl": "There are no samples",
    "train/metrics.jsonl": "There is no curve of throughput",
    "*/energy.jsonl": "No energy ledger was written",
    "*/manifest.json": "No stage has finished yet",
    "train/final.json": "",
    "train/step-*/model.safetensors": "",
}


@pytest.mark.parametrize("part", PARTS)
def test_a_missing_part_is_named_and_the_rest_stays(made_run: MakeRun, part: str) -> None:
    run = made_run(without=(part,))
    seen = Page(write_report(run.recipe, run.folder))
    assert PARTS[part] in seen.said
    assert "Contos 4M" in seen.said and seen.count("section") >= 8


def test_a_folder_with_nothing_but_a_recipe_gives_a_page(made_run: MakeRun) -> None:
    run = made_run(without=("plan.json", "*/*", "train/*/*"))
    seen = Page(write_report(run.recipe, run.folder))
    assert "Training is not finished: 0 of 3.00\u00a0million tokens" in seen.said
    assert seen.said.count("not known") == 7  # all tiles but the tokens seen


def test_a_run_in_training_says_how_far_it_is(made_run: MakeRun) -> None:
    run = made_run(without=("train/final.json", "train/manifest.json", "train/energy.jsonl"))
    losses = rows(run, "train/loss.jsonl")[:100]
    (run.folder / "train/loss.jsonl").write_text(
        "".join(json.dumps(row) + "\n" for row in losses) + '{"step": 101, "to'
    )
    validations = rows(run, "train/validation.jsonl")[:2]
    (run.folder / "train/validation.jsonl").write_text("".join(json.dumps(row) + "\n" for row in validations))
    seen = Page(write_report(run.recipe, run.folder))
    assert seen.values["tokens-seen"] == 100 * 8192
    assert seen.values["bits-per-byte"] == validations[-1]["bits_per_byte"]
    assert "Training is not finished: 819,200 of 3.00\u00a0million tokens (27\u00a0%)" in seen.said
    assert "are training Contos 4M" in seen.said


def test_without_energy_there_is_time_and_no_invented_figure(made_run: MakeRun) -> None:
    run = made_run()
    for stage in ("corpus", "tokens", "train"):
        ledger = [{**row, "kwh": None, "kgco2e": None, "method": "off"} for row in rows(run, f"{stage}/energy.jsonl")]
        (run.folder / stage / "energy.jsonl").write_text("".join(json.dumps(row) + "\n" for row in ledger))
    seen = Page(write_report(run.recipe, run.folder))
    assert "Energy was not recorded" in seen.said
    assert "kwh" not in seen.values and "kgco2e" not in seen.values and seen.values["money"] > 0


def test_a_damaged_file_is_named(made_run: MakeRun) -> None:
    run = made_run()
    (run.folder / "tokens" / "tokens.json").write_text('{"vocabulary": 20')
    assert "could not be read and are left out: tokens/tokens.json." in Page(write_report(run.recipe, run.folder)).said


def test_folders_of_the_authors_are_not_published(made_run: MakeRun) -> None:
    """The resolved recipe holds absolute paths; a page for strangers once would have shown a user's home folder."""
    run = made_run()
    text = write_report(run.recipe, run.folder)
    assert "jornal.jsonl" in text
    assert "maria" not in text and "segredo" not in text and str(run.folder) not in text


def test_the_published_recipe_loads_again(made_run: MakeRun, tmp_path: Path) -> None:
    run = made_run()
    text = Page(write_report(run.recipe, run.folder)).said
    start = text.index("# A resolved recipe")
    (tmp_path / "again.toml").write_text(text[start : text.index("SHA-256 of the result")], encoding="utf-8")
    again = load(tmp_path / "again.toml")
    assert again.model == run.recipe.model and again.train == run.recipe.train


def wrong(value: Any) -> Iterator[Any]:
    """Yield a document with one of its parts replaced by something else; of a list only the first item is touched."""
    yield from (None, "x", [], {}, -1.5, True)
    if isinstance(value, dict):
        for key, inner in value.items():
            for replacement in wrong(inner):
                yield {**value, key: replacement}
    elif isinstance(value, list) and value:
        for replacement in wrong(value[0]):
            yield [replacement, *value[1:]]


def small(facts: Facts) -> Facts:
    """Shorten what is long, so that a page is made in a millisecond."""
    final = copy.deepcopy(dict(facts.final))
    final["tales"]["samples"] = final["tales"]["samples"][:1]
    fewer: dict[str, Any] = {name: getattr(facts, name)[:3] for name in ("losses", "validations", "samples", "metrics")}
    return replace(facts, final=final, plan={}, **fewer)


@pytest.mark.parametrize("part", ["corpus", "tokens", "fertility", "final", "comparison", "price"])
def test_wrong_types_in_a_document_never_stop_the_page(made_run: MakeRun, part: str) -> None:
    run = made_run()
    facts = replace(small(read(run.recipe, run.folder)), comparison=COMPARED)
    for replacement in wrong(getattr(facts, part)):
        if isinstance(replacement, dict):
            changed: dict[str, Any] = {part: replacement}
            Page(page(replace(facts, **changed)))


def test_wrong_types_in_rows_and_manifests_never_stop_the_page(made_run: MakeRun) -> None:
    run = made_run()
    facts = small(read(run.recipe, run.folder))
    for part in ("losses", "validations", "samples", "metrics"):
        for replacement in wrong(getattr(facts, part)[0]):
            if isinstance(replacement, dict):
                changed: dict[str, Any] = {part: [replacement, *getattr(facts, part)[1:]]}
                Page(page(replace(facts, **changed)))
    for replacement in wrong(dict(facts.manifests["train"])):
        if isinstance(replacement, dict):
            Page(page(replace(facts, manifests={**facts.manifests, "train": replacement})))


def test_number_takes_only_finite_numbers() -> None:
    assert number({"a": {"b": 2}}, "a", "b") == 2
    strange: list[Any] = [True, "2", None, math.nan, math.inf, [2], {}]
    for value in strange:
        assert number({"a": value}, "a") is None
