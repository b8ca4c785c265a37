"""The page's colours by name, read from its own style sheet, so that a figure on its own has the same.

In: report.css. Out: for a theme the names of its colours with their values. The first `:root` holds the light colours,
the second what differs in the dark, the third what differs on paper.
"""

import re
from functools import cache
from importlib.resources import files

THEMES = ("light", "dark", "paper")


@cache
def colours(theme: str) -> dict[str, str]:
    """Return the colours of a theme, `#rrggbb` by name."""
    style = files("lhama.record.page").joinpath("report.css").read_text(encoding="utf-8")
    blocks = re.findall(r":root \{(.*?)\}", style, re.DOTALL)
    found: dict[str, str] = {}
    for place in dict.fromkeys((0, THEMES.index(theme))):
        found |= dict(re.findall(r"--([a-z0-9]+): (#[0-9a-f]{6})", blocks[place]))
    return found
