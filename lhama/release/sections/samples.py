"""The chapters that let one read: the same prompt at several checkpoints, and the hundred judged tales.

In: samples.jsonl and the `tales` part of final.json. Out: for each prompt a line of growth from the first to the last
checkpoint, and a field of squares, one for each tale. Subtle: every prompt and every sample is a stranger's text; it
enters as a plain string and is escaped where its element is made.
"""

import math
import re
from collections.abc import Sequence

from lhama.record.page import numerals
from lhama.record.page.markup import Markup, folded, join, missing, section, tag, value
from lhama.release.facts import Facts, Row, number, words

SHOWN, PROMPTS, LONGEST = 6, 8, 1600


def samples(facts: Facts) -> Markup:
    """Show how the answers to the same beginnings grew."""
    by_prompt: dict[str, list[Row]] = {}
    for row in facts.samples:
        by_prompt.setdefault(words(row, "prompt"), []).append(row)
    if not by_prompt:
        why = "the recipe asks for none" if not facts.recipe.train.sample_prompts else "none has been written yet"
        return section("samples", "Samples over time", missing(f"There are no samples: {why} (train.sample_prompts)."))
    intro = tag(
        "p",
        "The same beginning, continued by the model at several moments of its training. The beginning is grey; "
        "everything after it is the model’s, uncorrected and unselected.",
    )
    shown = list(by_prompt.items())
    grown = [_growth(prompt, rows) for prompt, rows in shown[:PROMPTS]]
    rest = [_growth(prompt, rows[-1:]) for prompt, rows in shown[PROMPTS:]]
    fold = folded(f"{numerals.counted(len(rest), 'more prompt')}, at the last moment", *rest) if rest else None
    return section("samples", "Samples over time", intro, *grown, fold)


def chosen(rows: Sequence[Row], most: int = SHOWN) -> list[Row]:
    """Choose moments that show the growth: the first, the last, and steps between them that grow by the same factor."""
    if len(rows) <= most:
        return list(rows)
    places = {0, len(rows) - 1}
    places |= {round(math.exp(math.log(len(rows)) * number_ / (most - 1))) - 1 for number_ in range(most)}
    spare = (place for place in range(len(rows) - 2, 0, -1) if place not in places)
    while len(places) < most:
        places.add(next(spare))
    return [rows[place] for place in sorted(places)]


def _growth(prompt: str, rows: list[Row]) -> Markup:
    moments = chosen(rows)
    line = tag("ol", *(_moment(prompt, row) for row in moments), class_="growth")
    others = [row for row in rows if row not in moments]
    fold = folded(
        f"{numerals.counted(len(others), 'moment')} between these",
        tag("ol", *(_moment(prompt, row) for row in others), class_="growth"),
    )
    return join([tag("h3", f"“{prompt}”" if prompt.strip() else "Without a beginning"), line, fold if others else None])


def _moment(prompt: str, row: Row) -> Markup:
    step, tokens = number(row, "step"), number(row, "tokens")
    when = [] if tokens is None else [value(f"{numerals.large(tokens)} tokens", tokens)]
    when += [] if step is None else [value(f"step {numerals.whole(step)}", step)]
    return tag("li", tag("p", join(when, " · "), class_="when"), story(prompt, words(row, "text")))


def _counted_gap(gap: re.Match[str]) -> str:
    return f"\n[{gap.group().count(chr(10)) - 1} empty lines]\n"


def story(prompt: str, text: str) -> Markup:
    """Set a sample with its beginning told apart, whether or not the text repeats it; a gap is counted, not shown."""
    own = re.sub(r"\n(?:[^\S\n]*\n){3,}", _counted_gap, text.removeprefix(prompt) if prompt else text)
    shown = own[:LONGEST] + (" […]" if len(own) > LONGEST else "")
    return tag("p", tag("span", prompt, class_="prompt"), shown or "(nothing)", class_="story")
