"""Read one document as text with remains of HTML, Markdown links and templates, and write it without them.

Code stays as it is: fenced and indented blocks, code spans, and what stands between <? and ?>. Elements `pre` and
`code` become such blocks and spans, so that a tag which a text only speaks of is not taken for one. Every search is
bounded or remembers that it found nothing, so that no text costs more than its length allows.
"""

import html
import re
from collections.abc import Iterator

from lhama.corpus.repairs.shapes import shaped
from lhama.corpus.repairs.tags import HIDDEN, LINE, NOTHING, PARAGRAPH, SHAPES, TAG, as_code, shape_of

START = re.compile(r"[`<&\[{]")
FENCE = re.compile(r"(?:\A|\n)[ \t]*(`{3,}|~{3,})([^\n]*)")
DEEP = re.compile(r"\n(?: {4}|\t)")
BLOCK = re.compile(r"(?:\n(?: {4}|\t)[^\n]*|\n[ \t]*(?=\n))+")
LISTED = re.compile(r"^(?:\s|[-*+>]|\d+[.)])")
ENTITY = re.compile(r"&(?:#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|[a-zA-Z][a-zA-Z0-9]{1,31});")
ESCAPED_TAG = re.compile(r"&lt;(/?[a-zA-Z](?:[^&<>`\n]|&(?:quot|amp|apos|#39|nbsp);){0,300}+)&gt;")
ADDRESS = re.compile(r"<((?:https?://|ftp://|mailto:)[^\s<>]{1,2000})>")
DECLARATION = re.compile(r"<!(?:DOCTYPE|doctype)\s[^<>]{1,300}>")
INCLUDE = re.compile(r"\[!include ?\[[^\[\]\n]{0,300}\]\([^()\n]{0,300}\) ?\]", re.IGNORECASE)
WIKI = re.compile(r"""\[\[([^\W\d_:#|\[\]][^\[\]\n|]{0,200})(?:\|([^\[\]\n]{0,300}))?\]\]""")
EXTERNAL = re.compile(r"\[(?:https?:)?//[^\s\[\]]{1,2000} +([^\[\]\n]{1,300})\]")
TEMPLATE = re.compile(r"\{%[^{}\n]{0,500}%\}|\{\{[<%][^{}\n]{0,500}[%>]\}\}")
_LABEL = r"((?:[^\[\]\\\n]|\\.|\n(?!\s*\n)|\[[^\[\]\n]{0,300}\]){0,500}+)"
_TARGET = r"""\(\s*(<[^<>\n]{0,2000}>|[^\s()<>]{0,2000}(?:\([^\s()]{0,300}\)[^\s()<>]{0,2000}){0,5})"""
_TITLE = r"""(?:\s+(?:"[^"]{0,500}"|'[^']{0,500}'))?\s*\)"""
BRACKET = re.compile(rf"\[{_LABEL}\](?:{_TARGET}{_TITLE}|[ ]?\[([^\[\]\n]{{0,200}})\])?")
DEFINITION = re.compile(
    r"^ {0,3}\[([^\[\]\n^][^\[\]\n]{0,200})\]:[ \t]*(?:<[^<>\n]*>|(?:[a-z]+:|[./#]|www\.)\S*)"
    r"""(?:[ \t]+(?:"[^"\n]*"|'[^'\n]*'|\([^()\n]*\)))?[ \t]*(?:\n|\Z)""",
    re.MULTILINE,
)
ADDRESS_LIKE = re.compile(r"[/.#:@%<?=]|\A\Z")
RAISED = re.compile(r"\s*([oaOA0-9])\s*</sup>")
FILES = ("file", "image", "ficheiro", "imagem", "arquivo", "archivo", "fichier", "category", "categoria", "catégorie")
RAISED_SIGNS = {"o": "º", "a": "ª", "O": "º", "A": "ª", "1": "¹", "2": "²", "3": "³"}


Token = tuple[int, str | None, int]
"""Where a token begins, what takes its place (None: it stays), and where to go on."""


class Reader:
    """Reads the prose of one document and counts what it takes out."""

    def __init__(self, references: frozenset[str]) -> None:
        self.references = references
        self.tags = self.entities = self.links = 0
        self._absent: set[str] = set()
        self._tokens = {
            "`": self._code,
            "<": self._tag,
            "&": self._entity,
            "[": self._bracket,
            "{": self._template,
        }

    def read(self, text: str) -> str:
        """Return prose without markup; marks stand where paragraphs and lines are to end."""
        self._absent.clear()
        out: list[str] = []
        begin = at = 0
        while found := START.search(text, at):
            place = found.start()
            first, new, at = self._tokens[text[place]](text, place)
            if new is not None:
                out += (text[begin:first], new)
                begin = at
        out.append(text[begin:])
        return "".join(out)

    def _template(self, text: str, at: int) -> Token:
        if found := TEMPLATE.match(text, at):
            self.tags += 1
            return at, NOTHING, found.end()
        return at, None, at + 1

    def _code(self, text: str, at: int) -> Token:
        return at, None, self._after_code(text, at)

    def _find(self, text: str, what: str, at: int) -> int:
        """Find a string; what was not found once is not looked for again."""
        if what in self._absent:
            return -1
        place = text.find(what, at)
        if place < 0:
            self._absent.add(what)
        return place

    def _after_code(self, text: str, at: int) -> int:
        """Return where a code span ends, or where its backticks do if nothing closes them in the paragraph."""
        end = at
        while end < len(text) and text[end] == "`":
            end += 1
        ticks, place = text[at:end], end
        if len(ticks) > 8:
            return end
        while (place := self._find(text, ticks, place)) >= 0:
            stop = place + len(ticks)
            while stop < len(text) and text[stop] == "`":
                stop += 1
            if stop - place == len(ticks):
                return end if "\n\n" in text[end:place] else stop
            place = stop
        return end

    def _entity(self, text: str, at: int) -> Token:
        if found := ESCAPED_TAG.match(text, at):
            self.entities += 1
            inner = html.unescape(found[1])
            tag = TAG.fullmatch(f"<{inner}>")
            spoken_of = tag is not None and tag[2].lower() in SHAPES
            return at, f"`<{inner}>`" if spoken_of else f"<{inner}>", found.end()
        found = ENTITY.match(text, at)
        if found is None or (new := html.unescape(found[0])) == found[0]:
            return at, None, at + 1
        self.entities += 1
        return at, " " if new == "\xa0" else new, found.end()

    def _tag(self, text: str, at: int) -> Token:
        if text[at + 1 : at + 2] in ("!", "?"):
            return self._declaration(text, at)
        found = TAG.match(text, at)
        shape = shape_of(bool(found[1]), found[2].lower()) if found else None
        if found is None or shape is None:
            address = ADDRESS.match(text, at)
            self.links += address is not None
            return (at, address[1], address.end()) if address else (at, None, at + 1)
        self.tags += 1
        name, opens = found[2].lower(), not (found[1] or found[0].endswith("/>"))
        if opens and name == "sup" and (raised := RAISED.match(text, found.end())):
            return at, _raised(text[at - 1 : at], raised[1]), raised.end()
        if opens and (name in HIDDEN or name in ("pre", "code", "textarea")):
            return at, *self._element(text, found, name, shape)
        return at, shape, found.end()

    def _element(self, text: str, opening: re.Match[str], name: str, shape: str) -> tuple[str, int]:
        """Return what takes the place of an element with its content, and where to go on."""
        stop = self._find(text, f"</{opening[2]}", opening.end())
        if stop < 0:
            return shape, opening.end()
        end = text.find(">", stop)
        end = len(text) if end < 0 else end + 1
        if name in HIDDEN:
            return NOTHING, end
        return as_code(text[opening.end() : stop], opening[3], name != "code"), end

    def _declaration(self, text: str, at: int) -> Token:
        """Take out a comment or a document type; step over a program between <? and ?>."""
        if text.startswith("<!--", at):
            stop = self._find(text, "-->", at + 4)
            if stop < 0:
                return at, None, at + 4
            self.tags += 1
            return at, NOTHING, stop + 3
        if found := DECLARATION.match(text, at):
            self.tags += 1
            return at, NOTHING, found.end()
        if text[at + 1] == "!":
            return at, None, at + 2
        stop = self._find(text, "?>", at + 2)
        return at, None, len(text) if stop < 0 else stop + 2

    def _bracket(self, text: str, at: int) -> Token:
        for pattern, group in ((INCLUDE, 0), (WIKI, 1), (EXTERNAL, 1)):
            if found := pattern.match(text, at):
                self.links += 1
                if pattern is not WIKI:
                    return at, found[group] if group else NOTHING, found.end()
                hidden = ":" in found[1] and found[1].split(":")[0].strip().lower() in FILES
                return at, NOTHING if hidden else self._inner(found[2] or found[1]), found.end()
        found = BRACKET.match(text, at)
        if found is None:
            return at, None, at + 1
        label, target, reference = found.groups()
        if target is not None:
            linked = ADDRESS_LIKE.search(target) is not None
        else:
            linked = (reference or label).casefold() in self.references
        if not linked:
            return at, None, at + 1
        self.links += 1
        first = at - 1 if at and text[at - 1] == "!" else at
        return first, self._inner(label) or NOTHING, found.end()

    def _inner(self, label: str) -> str:
        """Read what stands inside a link."""
        absent, self._absent = self._absent, set()
        new = self.read(label.strip())
        self._absent = absent
        return new


def _raised(before: str, character: str) -> str:
    """Write a raised letter or digit behind another character: 8.º, m², but 10^3."""
    if before.isdigit() and character.isdigit():
        return f"^{character}"
    return RAISED_SIGNS.get(character, character)


def _parts(text: str) -> Iterator[tuple[bool, str]]:
    """Cut a document into prose (False) and blocks of code (True)."""
    begin, opened = 0, None
    for found in FENCE.finditer(text) if "```" in text or "~~~" in text else ():
        if opened is None:
            if found[1][0] == "`" and "`" in found[2]:
                continue  # a code span that takes a line
            yield from _prose(text[begin : found.start()])
            opened, begin = found, found.start()
        elif found[1].startswith(opened[1]) and not found[2].strip():
            yield True, text[begin : found.end()]
            opened, begin = None, found.end()
    if opened is None:
        yield from _prose(text[begin:])
    else:
        yield True, text[begin:]


def _prose(text: str) -> Iterator[tuple[bool, str]]:
    """Cut what is not fenced into prose and blocks that are indented by four spaces and in no list."""
    begin, at = 0, 0
    while found := DEEP.search(text, at):
        place, at = found.start(), found.end()
        before = text.rfind("\n", 0, place) + 1
        if not (text[before:place].isspace() or before == place):
            continue
        block = BLOCK.match(text, place)
        assert block is not None  # it begins as DEEP does
        at = block.end()
        last = text[begin:place].rstrip().rpartition("\n")[2]
        if not LISTED.match(last) and block[0].lstrip()[:1] not in ("<", "-", "*", "+", "", "!", "["):
            yield False, text[begin:place]
            yield True, block[0]
            begin = at
    yield False, text[begin:]


def plain(text: str) -> tuple[str, tuple[int, int, int]]:
    """Return a document without markup, and how many tags, entities and links were taken out."""
    for mark in (PARAGRAPH, LINE, NOTHING):
        text = text.replace(mark, "")
    parts = list(_parts(text))
    labels = (label for is_code, part in parts if not is_code and "]:" in part for label in DEFINITION.findall(part))
    reader = Reader(frozenset(label.casefold() for label in labels))
    out = []
    for is_code, part in parts:
        if is_code:
            out.append(part)
            continue
        prose, found = DEFINITION.subn("", part) if reader.references else (part, 0)
        reader.links += found
        out.append(reader.read(prose))
    return shaped("".join(out)), (reader.tags, reader.entities, reader.links)
