"""The tags of HTML: which there are, what of a page's shape each stands for, and how one is recognised.

Only names that HTML has are tags, and only with attributes as HTML writes them; so `Vec<T>`, `<nome>` and `a < b` are
text.
"""

import html
import re

PARAGRAPH, LINE, NOTHING = "\ufdd0", "\ufdd1", "\ufdd2"
"""What takes a tag's place until the text is put together: Unicode keeps these three free for such a use."""

_BLOCKS = (
    "address article aside blockquote body caption center details dialog dir div dl fieldset figcaption figure footer"
    " form frameset h1 h2 h3 h4 h5 h6 head header hgroup hr html legend main menu nav ol p search section summary table"
    " tbody tfoot thead title ul"
)
_LINES = "br dd dt optgroup option tr"
_INLINE = (
    "a abbr acronym applet area audio b base bdi bdo big button canvas cite code col colgroup data datalist del dfn em"
    " embed font frame i img input ins kbd label link map mark meta meter nobr object output param picture pre progress"
    " q rp rt ruby s samp select small source span strike strong sub sup textarea time track tt u var video wbr"
)
HIDDEN = frozenset({"script", "style", "svg", "noscript", "noframes", "template", "iframe", "math", "audio", "video"})
"""Elements whose content is not text: of a film it is what old browsers show in its place."""

SHAPES = (
    dict.fromkeys(_BLOCKS.split(), PARAGRAPH)
    | dict.fromkeys(_LINES.split(), LINE)
    | dict.fromkeys(_INLINE.split(), "")
    | dict.fromkeys(HIDDEN, "")
    | {"li": f"{LINE}- ", "td": " ", "th": " "}
)
"""For each opening tag what takes its place."""

_FLAGS = (
    "allowfullscreen|async|autoplay|checked|controls|defer|disabled|hidden|loop|multiple|muted|nowrap|open|readonly"
)
_VALUE = r"""\s*=\s*(?:"[^"]{0,4000}"|'[^']{0,4000}'|[^\s"'<>=`]{1,1000})"""
_ATTRIBUTE = rf"(?:[a-zA-Z_:@][\w:.\-]{{0,60}}{_VALUE}|(?:{_FLAGS}|required|reversed|selected)\b)"
TAG = re.compile(rf"<(/?)([a-zA-Z][a-zA-Z0-9]{{0,15}})((?:\s+{_ATTRIBUTE}){{0,60}}+)\s*/?>", re.IGNORECASE)
"""Groups: the slash of an end, the name, the attributes. Nothing in it goes back, so its cost is bounded."""

_LANGUAGE = re.compile(r"""\b(?:lang|language|brush)\s*[-:=]\s*["']?\s*([a-zA-Z][\w+#-]{0,20})""")


def shape_of(closes: bool, name: str) -> str | None:
    """Return what takes the place of a tag, or None if HTML has no such tag."""
    shape = SHAPES.get(name)
    if shape is None or not closes:
        return shape
    return shape if shape == PARAGRAPH else ""


def as_code(body: str, attributes: str, whole_block: bool) -> str:
    """Return what a `pre` or `code` element holds as Markdown's code: tags left out, entities read."""
    language = _LANGUAGE.search(attributes + body[:200]) if whole_block else None
    text = html.unescape(TAG.sub(_untagged, body)).replace("\xa0", " ")
    longest = max((len(run) for run in re.findall("`+", text)), default=0)
    if whole_block or "\n" in text.strip():
        fence = "`" * max(3, longest + 1)
        lines = text.strip("\n").rstrip()
        return (
            f"{PARAGRAPH}{fence}{language[1] if language else ''}\n{lines}\n{fence}{PARAGRAPH}" if lines else PARAGRAPH
        )
    text = text.strip()
    ticks = "`" * (longest + 1)
    pad = " " if longest else ""
    return f"{ticks}{pad}{text}{pad}{ticks}" if text else ""


def _untagged(found: re.Match[str]) -> str:
    name = found[2].lower()
    if name not in SHAPES:
        return found[0]
    return "\n" if name == "br" else ""
