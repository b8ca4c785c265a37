"""The shell of every page: style and script inside, and a policy that forbids everything else.

In: a title, what the page is, and its parts. Out: the text of one HTML file. Subtle: the page carries a
Content-Security-Policy that allows exactly its own style and script, by their hashes, and no request at all; so even a
text that found a way around the escaping could neither run nor call anyone.
"""

import base64
import hashlib
from collections.abc import Sequence
from importlib.resources import files

from lhama.record.page.markup import Child, Markup, tag

Chapter = tuple[str, str, Markup]


def whole_page(title: str, opening: Sequence[Child], chapters: Sequence[Chapter], closing: Child) -> str:
    """Write a page: its opening, a list of contents, chapters of (id, title in the contents, body), and a last word."""
    script = _asset("report.js")
    contents = tag("nav", *(tag("a", name, href=f"#{id_}") for id_, name, _ in chapters), aria_label="Contents")
    body = tag(
        "body",
        tag("header", *opening, contents),
        tag("main", *(body for _, _, body in chapters)),
        tag("footer", closing),
        tag("script", Markup(script)),
    )
    return f"<!doctype html>\n{tag('html', _head(title, script), body, lang='en')}\n"


def _head(title: str, script: str) -> Markup:
    style = _asset("report.css")
    policy = (
        f"default-src 'none'; style-src '{_hash(style)}'; script-src '{_hash(script)}'; "
        "img-src 'none'; base-uri 'none'; form-action 'none'"
    )
    return tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=policy),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("meta", name="referrer", content="no-referrer"),
        tag("meta", name="generator", content="Lhama"),
        tag("title", title),
        tag("style", Markup(style)),
    )


def _asset(name: str) -> str:
    return files("lhama.record.page").joinpath(name).read_text(encoding="utf-8")


def _hash(content: str) -> str:
    """Name a style or script the way a Content-Security-Policy does: the SHA-256 of what stands between its tags."""
    return "sha256-" + base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
