"""The page's figures as files of their own: SVG for documents, PNG for slides and messengers.

In: the text of report.html. Out: for each `<figure>` an SVG that stands alone, with its title, the sentence that says
how to read it, its legend, a white ground and its colours written out; and the PNG of it where a renderer is there.
Nothing is drawn anew, so a file cannot say anything else than the page. Subtle: on the page lengths are shares of its
width and colours are variables of its style; many programs that open an SVG know neither, so both are made plain.
"""

import re
import textwrap
import unicodedata
from collections.abc import Iterator
from functools import cache
from xml.etree import ElementTree

from lhama.record.page.theme import colours

WIDTH, MARGIN, LINE = 760, 24, 18
LETTERS = 108  # of a sentence in a line: 12.5 pixels high, about 6.6 wide
ZOOM = 2
SVG = "http://www.w3.org/2000/svg"
FONTS = "'Liberation Sans', Arial, 'Helvetica Neue', 'DejaVu Sans', sans-serif"
LENGTHS = ("x", "x1", "x2", "width")
LOWERED, RAISED = "₀₁₂₃₄₅₆₇₈₉", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻"
PLAIN = str.maketrans(LOWERED + RAISED, "01234567890123456789−")
# What XML 1.0 has no place for, even as a reference.
NO_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
STYLE = """
text {{ font-family: {fonts}; font-size: 12px; fill: {soft}; }}
.title {{ font-size: 17px; font-weight: bold; fill: {ink}; }}
.sentence {{ font-size: 12.5px; }}
.name, .legend {{ font-size: 13px; fill: {ink}; }}
.amount {{ font-size: 13px; }}
.ground {{ fill: #ffffff; }}
.rule {{ stroke: {rule}; }}
.base {{ stroke: {base}; }}
.mark {{ stroke: {soft}; stroke-dasharray: 4 3; }}
.trough {{ fill: {panel}; }}
.kept {{ fill: {tint0}; }} .heldout {{ fill: {gold}; }} .dropped, .planned {{ fill: {fade}; }}
.passed {{ fill: {tint0}; }} .failed {{ fill: none; stroke: {tint1}; stroke-width: 1.4; }}
.cross {{ fill: none; stroke: {tint1}; stroke-width: 1.6; stroke-linecap: round; }}
.band {{ opacity: 0.2; }}
.dot {{ stroke: #ffffff; stroke-width: 1.5; }}
"""
TINTS = ("tint0", "tint1", "tint2", "tint3")


def album(page: str) -> dict[str, str]:
    """Return the figures of a page as SVG texts by name, in its order."""
    found: dict[str, str] = {}
    for fragment in re.findall(r"<figure>.*?</figure>", page, re.DOTALL):
        figure = ElementTree.fromstring(NO_XML.sub("\ufffd", fragment))
        drawing = next((svg for svg in figure.iter("svg") if "narrow" not in svg.get("class", "").split()), None)
        if drawing is None:
            continue
        title = _text(figure.find("figcaption/b"))
        name = file_name(title)
        same = sum(known == name or re.fullmatch(re.escape(name) + r"-\d+", known) is not None for known in found)
        found[f"{name}-{same + 1}" if same else name] = _alone(title, figure, drawing)
    return found


def file_name(title: str) -> str:
    """Make a file's name of a title: small letters and hyphens."""
    plain = unicodedata.normalize("NFKD", title).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:60] or "figure"


def png(svg: str) -> bytes | None:
    """Render an SVG; None where the renderer is not installed, or the machine has no font for its words."""
    try:
        import resvg_py
    except ImportError:
        return None
    if not _has_font():
        return None
    return bytes(resvg_py.svg_to_bytes(svg_string=svg, zoom=ZOOM))


@cache
def _has_font() -> bool:
    """Tell whether a word leaves a trace: two images of one size, the second without its word, differ in bytes."""
    import resvg_py

    empty = f'<svg xmlns="{SVG}" width="60" height="20">{{}}</svg>'
    word = f'<text y="15" font-family="{FONTS}">word</text>'
    first, second = (bytes(resvg_py.svg_to_bytes(svg_string=empty.format(inside))) for inside in (word, ""))
    return first != second


def _text(element: ElementTree.Element | None) -> str:
    return " ".join("".join(element.itertext()).split()) if element is not None else ""


def _alone(title: str, figure: ElementTree.Element, drawing: ElementTree.Element) -> str:
    """Put a drawing below its title and sentence, and its legend below the drawing."""
    caption = figure.find("figcaption")
    few = figure.find("p[@class='few']")
    sentence = " ".join(part for part in (_text(caption).removeprefix(title).strip(), _text(few)) if part)
    lines = textwrap.wrap(sentence, LETTERS)
    top = MARGIN + 14 + LINE * len(lines) + 18
    height = _height(drawing)
    legend = list(_legend(figure))
    whole = top + height + (30 if legend else 0) + MARGIN
    size = {"width": str(WIDTH + 2 * MARGIN), "height": f"{whole:g}"}
    root = ElementTree.Element("svg", {"xmlns": SVG, **size, "viewBox": f"0 0 {size['width']} {size['height']}"})
    root.set("role", "img")
    ElementTree.SubElement(root, "title").text = title
    spoken = drawing.get("aria-label", "")
    ElementTree.SubElement(root, "desc").text = " ".join(part for part in (sentence, spoken) if part)
    ElementTree.SubElement(root, "style").text = _style()
    ElementTree.SubElement(root, "rect", {"class": "ground", **size})
    _words(root, title, MARGIN, MARGIN + 14, "title")
    for number, line in enumerate(lines):
        _words(root, line, MARGIN, MARGIN + 14 + LINE * (number + 1) + 3, "sentence")
    group = ElementTree.SubElement(root, "g", {"transform": f"translate({MARGIN} {top})"})
    group.extend(_plain(child) for child in drawing if child.get("class") != "pointer")
    _draw_legend(root, legend, top + height + 22)
    return ElementTree.tostring(root, encoding="unicode") + "\n"


def _height(drawing: ElementTree.Element) -> float:
    box = drawing.get("viewBox")
    return float(box.split()[3]) if box else float(drawing.get("height", "0"))


def _plain(element: ElementTree.Element) -> ElementTree.Element:
    """Copy a part of a drawing with its shares of the page's width as lengths."""
    copy = ElementTree.Element(element.tag, dict(element.attrib))
    _write(copy, element.text or "")
    for name in LENGTHS:
        share = copy.get(name, "")
        if share.endswith("%"):
            copy.set(name, f"{float(share[:-1]) * WIDTH / 100:.2f}")
    copy.extend(_plain(child) for child in element)
    return copy


def _legend(figure: ElementTree.Element) -> Iterator[tuple[str, str]]:
    """Yield (class of the colour, words) of the legend that the page has below a drawing."""
    for item in figure.iterfind("ul[@class='legend']/li"):
        patch = item.find("i")
        if patch is not None:
            yield patch.get("class", ""), _text(item)


def _draw_legend(root: ElementTree.Element, legend: list[tuple[str, str]], top: float) -> None:
    left = float(MARGIN)
    for tint, words in legend:
        patch = {"class": tint, "x": f"{left:g}", "y": f"{top - 11:g}", "width": "12", "height": "12", "rx": "2"}
        ElementTree.SubElement(root, "rect", patch)
        _words(root, words, left + 19, top, "legend")
        left += 19 + 7.0 * len(words) + 24


def _words(root: ElementTree.Element, words: str, left: float, base: float, kind: str) -> None:
    place = {"class": kind, "x": f"{left:g}", "y": f"{base:g}"}
    _write(ElementTree.SubElement(root, "text", place), words)


def _write(element: ElementTree.Element, words: str) -> None:
    """Set words into an element, small digits as plain ones lowered or raised: many fonts have no others."""
    element.text = ""
    level, last = 0, None
    for part in re.findall(rf"[{LOWERED}]+|[{RAISED}]+|[^{LOWERED}{RAISED}]+", words):
        wanted = 3 if part[0] in LOWERED else -4 if part[0] in RAISED else 0
        if last is None and wanted == 0:
            element.text = part
            continue
        last = ElementTree.SubElement(element, "tspan", {"dy": str(wanted - level)})
        last.text = part.translate(PLAIN)
        if wanted:
            last.set("font-size", "9")
        level = wanted


def _style() -> str:
    """Write the style with the light colours; a filled shape and a drawn line of one tint are told apart."""
    known = colours("light")
    tints = "".join(
        f".{tint} {{ fill: {known[tint]}; }} .line.{tint} {{ fill: none; stroke: {known[tint]}; "
        "stroke-width: 2; stroke-linejoin: round; stroke-linecap: round; }\n"
        for tint in TINTS
    )
    return STYLE.format(fonts=FONTS, **known) + tints
