"""A page as a browser sees it, for the tests of every page that is written."""

import json
from html.parser import HTMLParser
from typing import Any

VOID = {"meta", "br"}


class Page(HTMLParser):
    """What a browser would see: every element closed, its attributes, the numbers behind `data`, and the text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.values: dict[str, float] = {}
        self.numbers: list[float] = []
        self.said = ""
        self.raw: dict[str, str] = {}
        self.feed(text)
        self.close()
        assert self.open == [], f"not closed: {self.open}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = {name: value or "" for name, value in attrs}
        self.elements.append((tag, attributes))
        if tag not in VOID:
            self.open.append(tag)
        if tag == "data":
            self.numbers.append(float(attributes["value"]))
        if tag == "data" and "id" in attributes:
            self.values[attributes["id"]] = float(attributes["value"])

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        assert self.open and self.open[-1] == tag, f"</{tag}> closes {self.open[-3:]}"
        self.open.pop()

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] in ("style", "script"):
            self.raw[self.open[-1]] = self.raw.get(self.open[-1], "") + data
        else:
            self.said += data

    def count(self, tag: str) -> int:
        return sum(name == tag for name, _ in self.elements)

    def chapters(self) -> list[str]:
        return [attributes["id"] for name, attributes in self.elements if name == "section"]

    def curve(self, title: str) -> dict[str, Any]:
        """Return the points of a wide curve."""
        found = [
            attributes["data-points"]
            for _, attributes in self.elements
            if attributes.get("class") == "curve wide" and attributes["aria-label"].startswith(title)
        ]
        points: dict[str, Any] = json.loads(found[0])
        return points
