"""The chapter on the hundred judged tales: does the model write correct little stories about the hero it was given?

In: the `tales` part of final.json, where a program that knows the tales' grammar judged each sample. Out: a square for
each tale, those of combinations that training never showed apart, and the tales themselves to read. There is no chapter
where the run has no tales.
"""

from lhama.record.page import figures, numerals
from lhama.record.page.markup import Markup, figure, folded, join, section, tag, value
from lhama.release.facts import Facts, Row, items, number, words
from lhama.release.sections.samples import story


def tales(facts: Facts) -> Markup | None:
    """Show the judged tales, where there are any."""
    judged = items(facts.final.get("tales"), "samples")
    if not judged:
        return None
    passed = sum(map(good, judged))
    intro = tag(
        "p",
        value(f"{numerals.whole(passed)} of {numerals.whole(len(judged))}", passed, "tales-passed"),
        " tales pass the program that checks agreement of gender, number and verb, and name the hero of their "
        "beginning. A held-out tale combines a hero, an action and an object that never stood together in training.",
        _variety(facts),
    )
    groups = [
        (title, [one for one in judged if held_out(one) is held])
        for title, held in (("Seen combinations", False), ("Held-out combinations", True))
    ]
    fields = tag("div", *(_field(title, rows) for title, rows in groups if rows), class_="fields")
    read = [
        folded(f"Read the {len(rows)} tales: {title.lower()}", tag("ol", *map(_tale, rows), class_="tales"))
        for title, rows in groups
        if rows
    ]
    return section("tales", "A hundred tales, judged" if len(judged) == 100 else "Tales, judged", intro, fields, *read)


def good(tale: Row) -> bool:
    """Tell whether a tale passed: no fault, and the hero is named."""
    return not faults(tale) and tale.get("hero_named") is not False


def faults(tale: Row) -> list[str]:
    """List what the checker found."""
    found = tale.get("faults")
    return [str(fault) for fault in found] if isinstance(found, list) else []


def held_out(tale: Row) -> bool:
    """Tell whether training never showed this combination."""
    return tale.get("held_out") is True


def _variety(facts: Facts) -> str | None:
    rate = number(facts.final, "tales", "distinct_4_grams")
    if rate is None:
        return None
    return f" Of all runs of four words in them, {numerals.percent(rate)} are distinct: the more, the less they repeat."


def _field(title: str, rows: list[Row]) -> Markup:
    passed = sum(map(good, rows))
    words_ = f"{numerals.whole(passed)} of {numerals.whole(len(rows))} pass"
    return figure(title, words_, figures.field(title, [good(row) for row in rows]))


def _tale(tale: Row) -> Markup:
    found = faults(tale) + ([] if tale.get("hero_named") is not False else ["the hero is not named"])
    verdict = tag("p", "; ".join(found), class_="verdict bad") if found else tag("p", "passes", class_="verdict")
    return join([tag("li", story(words(tale, "prompt"), words(tale, "text")), verdict)])
