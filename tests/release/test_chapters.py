"""The chapters: each sets side by side what the record has, and every number on the page is the record's."""

import json
import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from lhama.release.facts import read
from lhama.release.report import page, write_report
from lhama.release.sections.samples import story
from tests.page import Page
from tests.release.reading import MakeRun, document, rows

COMPARED = {
    "words": 7400,
    "wanted": 7400,
    "tokenizers": [
        {"name": "this run", "own": True, "vocabulary": 2048, "tokens": 11_544, "tokens_per_word": 1.56, "unknown": 0},
        {"name": "outro", "own": False, "vocabulary": 32_000, "tokens": 14_430, "tokens_per_word": 1.95}
        | {"fewer": 0.2, "unknown": 3},
    ],
}


def test_tokenizers_stand_beside_each_other_and_the_paper_is_quoted(made_run: MakeRun) -> None:
    run = made_run()
    seen = Page(page(replace(read(run.recipe, run.folder), comparison=COMPARED)))
    assert (seen.values["compared-words"], seen.values["compared-tokens"]) == (7400, 11_544)
    assert "writes 7,400\u00a0held-out words in 11,544\u00a0tokens: 1.56 for each word" in seen.said
    assert "14,430" in seen.said and "20\u00a0%" in seen.said and "outro 3" in seen.said
    for figure in ("9,937", "9,959", "11,006", "11,488", "14,813"):  # Table 1 of the TeenyTinyLlama paper
        assert figure in seen.said
    assert seen.said.count("quoted, other text") == 5
    english = run.recipe.model_copy(update={"language": "en"})
    assert "quoted" not in Page(page(replace(read(english, run.folder), comparison=COMPARED))).said


def test_fewer_words_than_the_test_asks_for_are_said(made_run: MakeRun) -> None:
    run = made_run()
    few = {**COMPARED, "words": 812}
    assert (
        "812\u00a0held-out words, all there are of the 7,400"
        in Page(page(replace(read(run.recipe, run.folder), comparison=few))).said
    )


def test_plan_and_record_stand_beside_each_other(made_run: MakeRun) -> None:
    run = made_run()
    text = write_report(run.recipe, run.folder)
    seen, plan = Page(text), document(run, "plan.json")
    drawn = next(
        one["aria-label"] for _, one in seen.elements if one.get("aria-label", "").startswith("Plan and record:")
    )
    final = document(run, "train/final.json")
    assert f"Tokens {final['tokens']:,} (planned {plan['training']['tokens']:,})" in drawn
    ratio = final["seconds"] / (plan["time"]["hours"] * 3600)
    assert f'<data value="{ratio!r}">' in text
    assert f'<data value="{plan["energy"]["kwh"]!r}">' in text


TUNED = {"best": {"tokens_per_second": 21_345.6, "settings": {"micro_batch": 16, "attention": "sdpa"}}}


def test_the_machine_is_described(made_run: MakeRun) -> None:
    run = made_run()
    (run.folder / "tune.json").write_text(json.dumps(TUNED))
    metrics = rows(run, "train/metrics.jsonl")
    for row, (memory, share) in zip(metrics, ((3_000_000_000, 0.5), (5_000_000_000, 0.7)), strict=False):
        card = {"name": "NVIDIA H100", "memory_used_bytes": memory, "utilization": share}
        row["device"] = {"memory_used_bytes": 9_000_000_000, "utilization": 0.1, "accelerators": [card]}
    (run.folder / "train" / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in metrics[:2]))
    text = write_report(run.recipe, run.folder)
    said = Page(text).said
    assert "micro_batch = 16, attention = sdpa" in said and "21,346 tokens per second" in said
    # Host and card are told apart: the card was at work for (50 + 70) / 2 percent of the time, the host for 10.
    assert "share of time at work, mean60\u00a0%" in said and "Host: share of time at work, mean10\u00a0%" in said
    assert "NVIDIA H100: memory in use, highest5.00\u00a0GB" in said
    plan, speed = document(run, "plan.json"), sorted(row["tokens_per_second"] for row in metrics[:2])
    peak = plan["machine"]["peak_flops_per_second"] * plan["machine"]["count"]
    utilization = sum(speed) / 2 * plan["model"]["flops_per_token"]["palm"] / peak
    assert f'<data value="{utilization!r}">' in text


def leaves(value: Any) -> Iterator[float]:
    """Yield every number in a document."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        yield float(value)
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from leaves(inner)


def test_every_number_on_the_page_is_in_the_record_or_follows_from_it(made_run: MakeRun) -> None:
    run = made_run()
    facts = replace(read(run.recipe, run.folder), comparison=COMPARED)
    known = set(leaves([facts.price, COMPARED, *(dict(row) for row in facts.metrics)]))
    for path in run.folder.glob("**/*.json"):
        known |= set(leaves(document(run, path.relative_to(run.folder).as_posix())))
    for path in run.folder.glob("**/*.jsonl"):
        known |= set(leaves(rows(run, path.relative_to(run.folder).as_posix())))
    quoted = {9937: 32000, 9959: 50257, 11006: 29794, 11488: 52000, 14813: 32000}  # Table 1 of the paper
    known |= {*map(float, quoted), *map(float, quoted.values()), *(tokens / 7400 for tokens in quoted)}
    sources = document(run, "corpus/report.json")["sources"]
    for key in ("documents_in", "kept", "heldout", "bytes_in", "bytes_out"):
        known.add(sum(source[key] for source in sources))
    lost = [sum(source["dropped"].values()) for source in sources]
    known |= {*map(float, lost), sum(lost), 2 * 2048 * 256, 95}  # parameters in the weights' header, tales that pass
    for use in (*facts.uses.values(), facts.total):  # sums of the ledger, checked by the test of the key figures
        known |= {amount for amount in (use.seconds, use.kwh, use.kgco2e, use.money) if amount is not None}
    speeds = sorted(speed for row in facts.metrics if (speed := row.get("tokens_per_second")))
    middle = (speeds[17] + speeds[18]) / 2  # of 36
    plan, final = document(run, "plan.json"), document(run, "train/final.json")
    train, hours = facts.uses["train"], plan["time"]["hours"] * 3600
    pairs_ = [
        (final["tokens"], plan["training"]["tokens"]),
        (final["seconds"], hours),
        (train.kwh, plan["energy"]["kwh"]),
    ]
    pairs_ += [(middle, plan["time"]["tokens_per_second"]), (train.kgco2e, plan["energy"]["kgco2e"])]
    pairs_ += [(train.money, plan["money"]["amount"])]
    known |= {middle, hours, *(came / planned for came, planned in pairs_), math.log(final["validation"]["perplexity"])}
    known |= {row["bytes"] / row["tokens"] for row in document(run, "tokens/tokens.json")["sources"]}
    memory = [row["device"]["memory_used_bytes"] for row in facts.metrics]
    peak = plan["machine"]["peak_flops_per_second"] * plan["machine"]["count"]
    known |= {max(memory), middle * plan["model"]["flops_per_token"]["palm"] / peak}
    shown = Page(page(facts)).numbers
    assert len(shown) > 150
    assert not [number for number in shown if not any(math.isclose(number, one) for one in known)]


def test_improvements_have_their_price(made_run: MakeRun) -> None:
    run = made_run()
    facts = read(run.recipe, run.folder)
    seen = Page(page(facts))
    rows_ = facts.price["rows"]
    assert len(rows_) == 7 and not facts.damaged
    assert len(seen.curve("Quality and its price")["text"]) == 7
    for sentence in facts.price["words"]:
        assert sentence in seen.said


def test_empty_lines_of_a_sample_are_counted_and_not_shown() -> None:
    """A young model that wrote forty line ends once took a whole sheet of paper."""
    assert "Ele saiu.\n[3 empty lines]\nFim" in story("Era", "Era uma vez. Ele saiu.\n\n \n\nFim")
    assert "saiu.\n\n\nFim" in story("Era", "Era uma vez. Ele saiu.\n\n\nFim")
