"""docs/budget.md quotes the code: its table of four plans, its laws, what `lhama new` says and the Slurm script."""

from pathlib import Path

import pytest

from lhama.plan import hardware
from lhama.plan.bill import bill
from lhama.plan.budget import plan
from lhama.plan.cluster import slurm_script
from lhama.plan.grid import COUNTRIES, grid_factor
from lhama.plan.hardware import Machine
from lhama.plan.plan_text import duration
from lhama.plan.reasons import document, order_of
from lhama.plan.recipe import load
from lhama.plan.repetition import best_constrained, constrained_loss
from lhama.plan.scaling import best, best_tokens, expected_loss
from lhama.plan.serving import best_served
from lhama.plan.shapes import ladder
from lhama.plan.sizing import choose

CHAPTER = Path(__file__).parents[2] / "docs" / "budget.md"
# Tokens and seconds of the two published logs, steps of 8,192 tokens; TinyLlama's README says 24,000 for each of 16.
SPEEDS = {
    "ttl-160m": 458_000 * 8_192 / 139_415.49,
    "ttl-460m": 1_200_000 * 8_192 / 1_009_909.61,
    "tinyllama-1.1b": 16 * 24_000.0,
}
LAPTOP = Machine(2, 8 * 2**30, avx2=True, avx512_bf16=True, amx_bf16=False, gpus=())


def table() -> list[str]:
    """Return the rows of the table of four plans, the published figures written out with the reasons."""
    rows = []
    for name in ("ttl-160m", "ttl-460m"):
        expected, own = plan(load(name)), plan(load(name), SPEEDS[name])
        small = name == "ttl-160m"
        published = ("38.7 hours", "15.52 kWh", "5.67 kg") if small else ("280.5 hours", "112.97 kWh", "41.29 kg")
        counted = "162,417,408" if small else "468,239,360"
        count = f"{expected['model']['parameters']['total']:,}"
        steps = f"{expected['training']['steps']:,} steps"
        rows += [
            f"| **{name}**, parameters | {counted} | {count} | | |",
            f"| training | {'458,000' if small else '1,200,000'} steps of 8,192 | {steps} of 8,192 | | |",
            f"| speed, tokens/s | {SPEEDS[name]:,.0f} | {expected['time']['tokens_per_second']:,.0f} | "
            f"{own['time']['tokens_per_second']:,.0f} | {own['time']['utilization']:.1%} of the peak, "
            f"planned {expected['time']['utilization']:.0%} |",
            f"| time | {published[0]} | {expected['time']['hours']:.1f} hours | {own['time']['hours']:.1f} hours | "
            "speed |",
            f"| electricity | {published[1]} | {expected['energy']['kwh']:.1f} kWh | {own['energy']['kwh']:.2f} kWh | "
            "speed |",
            f"| greenhouse gas | {published[2]} | {expected['energy']['kgco2e']:.2f} kg | "
            f"{own['energy']['kgco2e']:.2f} kg | 365.5 then, 381 g a kWh now |",
        ]
    expected, own = plan(load("tinyllama-1.1b")), plan(load("tinyllama-1.1b"), SPEEDS["tinyllama-1.1b"])
    rows += [
        f"| **tinyllama-1.1b**, parameters | 1.1 billion | {expected['model']['parameters']['total']:,} | | |",
        f"| speed of one card, tokens/s | 24,000 | {expected['time']['tokens_per_second'] / 16:,.0f} | "
        f"{own['time']['tokens_per_second'] / 16:,.0f} | the table's 57% |",
        f"| share of the peak | 56% | {expected['time']['utilization']:.1%} | {own['time']['utilization']:.1%} | |",
        f"| time on 16 A100 | 90 days | {duration(expected['time']['hours'])} | {duration(own['time']['hours'])} | |",
        f"| money | about 40,000 USD | {expected['money']['amount']:,.0f} USD | {own['money']['amount']:,.0f} USD | "
        "1.16 an hour then, 1.30 now |",
    ]
    expected = plan(load("laptop"))
    rows += [
        f"| **laptop**, parameters | 8,425,728 | {expected['model']['parameters']['total']:,} | | "
        "feed-forward 688 and 704 |",
        f"| speed, tokens/s | 5,267; alone 7,700 to 8,900 | {expected['time']['tokens_per_second']:,.0f} | | "
        "the processor's table |",
        f"| time for its {expected['training']['tokens']:,} tokens | 39 minutes; alone 23 to 27 | "
        f"{duration(expected['time']['hours'])} | | |",
    ]
    return rows


def laws() -> dict[str, str]:
    """Return the computed cells of the table of laws, by the name of their place."""
    sizes = (1e9, 10e9, 67e9)
    tokens = {law: [best_tokens(one, law) / 1e9 for one in sizes] for law in ("hoffmann-digits", "besiroglu")}
    found = best_constrained(6 * 8.67e9 * 178e9, 25e9, "muennighoff")
    law = "hoffmann-digits"
    ideal = best_tokens(13e9, law)
    served = best_served(expected_loss(13e9, ideal, law), 2e12, law)
    saved = 1 - served.flops / (13e9 * (6 * ideal + 2 * 2e12))
    return {
        "own40": f"{best(5.76e23, law).parameters / 1e9:.1f}",
        "own32": f"{best(5.76e23, 'hoffmann').parameters / 1e9:.1f}",
        "a3": "{:.1f}, {:,.0f} and {:,.0f}".format(*tokens[law]),
        "t3": "{:.1f}, {:,.0f} and {:,.0f}".format(*tokens["besiroglu"]),
        "m1": f"{constrained_loss(6.34e9, 242e9, 25e9, 'muennighoff'):.5f}",
        "m2": f"{found.parameters / 1e9:.1f} billion, {found.tokens / 1e9:.0f} billion tokens, "
        f"{found.tokens / 25e9:.1f} epochs",
        "s1": f"{served.parameters / 1e9:.1f} billion on {served.tokens / ideal:.1f} times, {saved:.0%} less",
    }


def sentences() -> list[str]:
    """Return what `lhama new` says about the budget of the paper."""
    asked = order_of("best", "pt", (), "h100", (500, None, None), "6.2B")
    return list(document(asked, choose(asked))["sentences"])


@pytest.fixture(autouse=True)
def two_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hardware, "this_machine", lambda: LAPTOP)


def page() -> str:
    return CHAPTER.read_text(encoding="utf-8")


def test_the_table_of_four_plans_is_current() -> None:
    for row in table():
        assert row in page(), row


def test_the_laws_are_current() -> None:
    for name, cell in laws().items():
        assert cell in page(), f"{name}: {cell}"


def test_what_is_said_about_the_paper_s_budget_is_current() -> None:
    for sentence in sentences():
        assert sentence in page().replace("\n", " "), sentence
    assert f"a ladder of {len(ladder())} shapes" in page()


def test_the_slurm_script_of_tinyllama_is_current() -> None:
    recipe = load("tinyllama-1.1b")
    for line in slurm_script(recipe, "tinyllama-1.1b", [], "runs", bill(recipe)).splitlines():
        assert line in page(), line


def test_the_grid_s_examples_are_current() -> None:
    places = (("BRA", None), ("CAN", "CA-QC"), ("USA", "US-WA"), ("USA", None), ("DEU", None))
    found = [grid_factor(country, region)[0] / 10 for country, region in places]
    said = "{:.1f} kg in Brazil, {:.1f} in Quebec, {:.1f} in Washington state, {:.0f} in the USA, {:.0f} in Germany"
    assert said.format(*found) in page()
    assert f"({sum(map(len, COUNTRIES.values()))} of them)" in page()
