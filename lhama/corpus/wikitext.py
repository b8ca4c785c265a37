"""Turn wikitext into plain text: prose, headings, lists and the words of links stay; templates, tables and notes go.

In goes the source of a page, out comes its text. One pass for each kind of markup, each linear in the length of the
page whatever it holds, because a dump has millions of pages and some are broken: what is opened and never closed loses
its markup, not the text behind it. mwparserfromhell parses more exactly and takes five times as long (docs/sources.md).
"""

import html
import re
from collections.abc import Iterable

DEEPEST = 100  # levels of templates in templates; MediaWiki itself stops at 40
LINK, TEMPLATE, TABLE = range(3)

RAW = ("nowiki", "pre", "code", "syntaxhighlight", "source", "math", "chem")
NOT_TEXT = (
    *("ref", "references", "gallery", "timeline", "score", "imagemap", "graph", "mapframe", "maplink", "hiero"),
    *("templatestyles", "includeonly", "indicator", "inputbox", "categorytree", "templatedata", "section"),
)
INLINE = (
    *("abbr", "b", "bdi", "bdo", "big", "blockquote", "center", "cite", "data", "dd", "del", "dfn", "div", "dl", "dt"),
    *("em", "font", "h1", "h2", "h3", "h4", "h5", "h6", "hr", "i", "ins", "kbd", "li", "mark", "noinclude", "ol"),
    *("onlyinclude", "p", "poem", "q", "rb", "rp", "rt", "ruby", "s", "samp", "small", "span", "strike", "strong"),
    *("sub", "sup", "table", "tbody", "td", "th", "time", "tr", "tt", "u", "ul", "var", "wbr"),
)
# Templates that only dress up a text, which is their last unnamed value.
DRESSING = frozenset({"lang", "langue", "nowrap", "nobr", "fmtn", "formatnum", "small", "transl", "sic"})
# What the dump itself does not say: the English names, which hold everywhere, and older names of pictures.
HIDDEN = frozenset({"file", "image", "media", "category", "categoria"}) | {
    *("arquivo", "ficheiro", "imagem", "imaxe", "archivo", "imagen", "fichier")
}
LANGUAGES = frozenset({"als", "arz", "ast", "bar", "ceb", "lmo", "mwl", "nap", "nds", "pms", "scn", "simple", "vec"})

_COMMENT = ("<!--", "-->")
_REGION = re.compile(rf"<(/?)({'|'.join(RAW + NOT_TEXT)})\b([^<>]*)>", re.IGNORECASE)
# Most links and templates hold nothing nested: these two take them out without a step of Python for each.
_PLAIN_LINK = re.compile(r"\[\[(?:[^\[\]{}|:\n]+\|([^\[\]{}|\n]+)|([^\[\]{}|:\n]+))\]\]")
_PLAIN_TEMPLATE = re.compile(rf"\{{\{{(?!\s*(?:{'|'.join(sorted(DRESSING))})\s*\|)[^{{}}]*\}}\}}", re.IGNORECASE)
_NESTED = re.compile(r"\{\{|\}\}|\[\[|\]\]|^[ \t:*#;]*\{\||^[ \t]*\|\}(?!\})", re.MULTILINE)
_LANGUAGE = re.compile(r"[a-z]{2}(-[a-z]+)*")
_TAG = re.compile(rf"</?(?:{'|'.join(INLINE)})\b[^<>]*>", re.IGNORECASE)
_BREAK = re.compile(r"<br\b[^<>]*>", re.IGNORECASE)
_EXTERNAL = re.compile(r"\[(?:(?:https?|ftp):)?//[^\s\[\]]+[ \t]*([^\[\]\n]*)\]")
_QUOTES = re.compile(r"'{2,}")
_SWITCH = re.compile(r"__[A-ZÀ-Ý]{3,30}__")
_HOLLOW = re.compile(r" ?\([\s,;:]*\)")
_SPACES = re.compile(r"[ \t\xa0]+")
_KEPT = re.compile(r"\x7f(\d+)\x7f")


def plain_text(wikitext: str, hidden: frozenset[str] = HIDDEN) -> str:
    """Return the text of a page; links into the namespaces of `hidden` (lower case) are no text."""
    text = _without_comments(wikitext.replace("\x7f", ""))
    kept: list[str] = []
    text = _without_regions(text, kept)
    text = "".join(filter(None, _PLAIN_LINK.split(text)))  # what is between, and the groups: the words shown
    text = _PLAIN_TEMPLATE.sub("", text)
    text = _without_nested(text, hidden)
    text = _QUOTES.sub("", text)
    if "[" in text:
        text = _EXTERNAL.sub(r"\1", text)
    if "<" in text:
        text = _TAG.sub("", _BREAK.sub("\n", text))
    if "__" in text:
        text = _SWITCH.sub("", text)
    if "&" in text:
        text = html.unescape(text)
    if "(" in text:
        text = _HOLLOW.sub("", text)
    text = "\n".join(_lines(_SPACES.sub(" ", text).split("\n"))).strip()
    return _KEPT.sub(lambda match: kept[int(match[1])], text) if kept else text


def _without_comments(text: str) -> str:
    """Drop comments; one that never ends takes the rest, as it does on the page."""
    begin, end = _COMMENT
    if begin not in text:
        return text
    pieces, at = [], 0
    while (start := text.find(begin, at)) >= 0:
        pieces.append(text[at:start])
        stop = text.find(end, start)
        at = stop + len(end) if stop >= 0 else len(text)
    return "".join((*pieces, text[at:]))


def _without_regions(text: str, kept: list[str]) -> str:
    """Drop notes, galleries and the like; put code and formulas aside, where no later pass touches them."""
    tags = list(_REGION.finditer(text))
    if not tags:
        return text
    closing: dict[str, list[int]] = {}
    for place in range(len(tags) - 1, -1, -1):
        if tags[place][1]:
            closing.setdefault(tags[place][2].lower(), []).append(place)
    pieces, at, behind = [], 0, 0
    for place, tag in enumerate(tags):
        if place < behind:
            continue
        pieces.append(text[at : tag.start()])
        at, behind = tag.end(), place + 1
        name, ends = tag[2].lower(), closing.get(tag[2].lower(), [])
        while ends and ends[-1] <= place:
            ends.pop()
        if tag[1] or tag[3].endswith("/") or not ends:  # an end, an empty one, or one that never ends
            continue
        end = tags[ends[-1]]
        if name in RAW:
            inside = html.unescape(text[at : end.start()])
            kept.append(f"${inside.strip()}$" if name in ("math", "chem") else inside)
            pieces.append(f"\x7f{len(kept) - 1}\x7f")
        at, behind = end.end(), ends[-1] + 1
    return "".join((*pieces, text[at:]))


def _without_nested(text: str, hidden: frozenset[str]) -> str:
    """Drop templates and tables and resolve links, from the inside out, on a stack of what is open."""
    kinds: list[int] = []
    open_pieces: list[list[str]] = [[]]
    at, too_deep = 0, 0
    for match in _NESTED.finditer(text):
        token = match[0]
        open_pieces[-1].append(text[at : match.start()])
        at = match.end()
        if token in ("[[", "{{") or token.endswith("{|"):
            if len(kinds) == DEEPEST:
                too_deep += 1
                continue
            kinds.append(LINK if token == "[[" else TEMPLATE if token == "{{" else TABLE)
            open_pieces.append([])
            continue
        if too_deep:
            too_deep -= 1
            continue
        if token == "]]":
            if kinds and kinds[-1] == LINK:
                kinds.pop()
                link = _link("".join(open_pieces.pop()), hidden)
                open_pieces[-1].append(link)
            continue
        closed = TEMPLATE if token == "}}" else TABLE
        if closed in kinds:
            while kinds[-1] != closed:
                kinds.pop()
                open_pieces.pop()
            kinds.pop()
            pieces = open_pieces.pop()
            if closed == TEMPLATE:
                open_pieces[-1].append(_template(pieces))
    open_pieces.append([text[at:]])
    return "".join(piece for pieces in open_pieces for piece in pieces)


def _link(inside: str, hidden: frozenset[str]) -> str:
    """Return the words by which a page shows a link; none for files, categories and the page in other languages."""
    target, _, shown = inside.partition("|")
    if "\n" in target:  # no link, but two brackets far apart
        return inside
    if ":" in target:
        if target.startswith(":"):
            target = target[1:]
        else:
            space = target.partition(":")[0].strip().lower()
            if space in hidden or space in LANGUAGES or _LANGUAGE.fullmatch(space):
                return ""
    return shown if shown.strip() else target


def _template(pieces: list[str]) -> str:
    name = pieces[0].partition("|")[0].strip().lower()
    if name not in DRESSING:
        return ""
    values = "".join(pieces).split("|")[1:]
    unnamed = [value for value in values if "=" not in value]
    return unnamed[-1].strip() if unnamed else ""


def _lines(lines: Iterable[str]) -> Iterable[str]:
    """Yield the lines of the text: headings only above a text, lists with dashes, no remains of tables."""
    headings: list[tuple[int, str]] = []
    blank = True
    for raw in lines:
        line = raw.strip()
        if not line:
            if not blank:
                yield ""
            blank = True
            continue
        first = line[0]
        if first == "=" and line[-1] == "=" and (title := line.strip("= ")):
            level = len(line) - len(line.lstrip("="))
            while headings and headings[-1][0] >= level:
                headings.pop()
            headings.append((level, title))
            continue
        if first in "*#:;":
            line = _item(line)
        if first in "|!" or not line or line.startswith("----"):
            continue
        for _, title in headings:
            yield from (title, "") if blank else ("", title, "")
            blank = True
        headings.clear()
        yield line
        blank = False


def _item(line: str) -> str:
    words = line.lstrip("*#:; ")
    marks = line[: len(line) - len(words)]
    return f"- {words}" if words and ("*" in marks or "#" in marks) else words
