"""The figures as files: each stands alone, says what the page says, keeps its words on the canvas, and is no blank."""

import json
import re
import struct
import sys
import zlib
from collections.abc import Callable
from typing import Any
from xml.etree import ElementTree

import pytest

from lhama.record.page.theme import colours
from lhama.record.run import Run
from lhama.release.album import SVG, album, file_name, png
from lhama.release.report import write_report
from lhama.release.stage import run_stage

MakeRun = Callable[..., Run]
NAMESPACE = "{" + SVG + "}"
SIZES = {"title": 17.0, "sentence": 12.5, "name": 13.0, "amount": 13.0, "legend": 13.0}
WIDEST = 0.56  # of a letter, as a share of its height: the mean of text in Arial is near 0.5


@pytest.fixture
def drawings(made_run: MakeRun) -> dict[str, str]:
    run = made_run()
    return album(write_report(run.recipe, run.folder))


def test_each_figure_of_the_page_becomes_a_file_once(drawings: dict[str, str]) -> None:
    expected = {
        "what-was-planned-and-what-came",
        "what-became-of-the-documents",
        "why-documents-were-dropped",
        "fertility",
    }
    expected |= {"training-loss", "held-out-text", "held-out-text-by-source", "learning-rate", "electricity-by-stage"}
    expected |= {"quality-and-its-price", "throughput", "size-of-each-stages-result"}
    expected |= {"seen-combinations", "held-out-combinations"}
    assert set(drawings) == expected


def test_a_file_stands_alone(drawings: dict[str, str]) -> None:
    for name, text in drawings.items():
        root = ElementTree.fromstring(text)
        assert root.tag == f"{NAMESPACE}svg"
        assert [len(root.findtext(f"{NAMESPACE}{kind}") or "") > 5 for kind in ("title", "desc")] == [True, True]
        style = root.findtext(f"{NAMESPACE}style") or ""
        assert "var(" not in text and "url(" not in text and "@import" not in text and "href" not in text
        assert text.count("http") == 1  # the namespace
        for element in root.iter():
            assert not any(value.endswith("%") for value in element.attrib.values()), name
            for kind in element.get("class", "").split():
                assert f".{kind}" in style or kind in ("fill", "line", "axis", "tick"), (name, kind)
        wide, high = float(root.get("width", 0)), float(root.get("height", 0))
        assert root.get("viewBox") == f"0 0 {wide:g} {high:g}"


def placed(root: ElementTree.Element) -> list[tuple[str, float, float, float]]:
    """Return the words of a drawing with the left and right end and the base line that they take at most."""
    found = []
    for group in (root, *root.iter(f"{NAMESPACE}g")):
        across, down = map(float, [*re.findall(r"-?[\d.]+", group.get("transform", "")), "0", "0"][:2])
        for text in group.findall(f"{NAMESPACE}text"):
            words = "".join(text.itertext())
            wide = len(words) * WIDEST * SIZES.get(text.get("class", ""), 12.0)
            left = float(text.get("x", 0)) + across
            left -= {"end": wide, "middle": wide / 2}.get(text.get("text-anchor", ""), 0.0)
            found.append((words, left, left + wide, float(text.get("y", 0)) + down))
    return found


def test_no_word_is_cut_at_the_edge(drawings: dict[str, str]) -> None:
    for name, text in drawings.items():
        root = ElementTree.fromstring(text)
        wide, high = float(root.get("width", 0)), float(root.get("height", 0))
        words = placed(root)
        assert len(words) >= 2, name
        for said, left, right, base in words:
            assert left >= 0 and right <= wide and 8 <= base <= high - 3, (name, said)


def test_legends_come_along(drawings: dict[str, str]) -> None:
    said = [words for words, *_ in placed(ElementTree.fromstring(drawings["what-became-of-the-documents"]))]
    assert any("kept for training" in words for words in said) and any("dropped" in words for words in said)
    assert {"planned", "recorded"} <= {
        words for words, *_ in placed(ElementTree.fromstring(drawings["what-was-planned-and-what-came"]))
    }


def test_hostile_words_stay_words(made_run: MakeRun) -> None:
    run = made_run()
    path = run.folder / "tokens" / "fertility.json"
    fertility = json.loads(path.read_text())
    evil = "\x00</text><script>alert(1)</script><image href='http://x'/> & \ud7ff\uffff ]]>"
    fertility["by_source"][evil] = {"tokens_per_word": 1.1}
    path.write_text(json.dumps(fertility))
    root = ElementTree.fromstring(album(write_report(run.recipe, run.folder))["fertility"])
    assert {element.tag.removeprefix(NAMESPACE) for element in root.iter()} <= {
        *("svg", "title", "desc", "style", "rect", "text", "tspan", "g")
    }
    assert any("<script>alert(1)</script>" in words for words, *_ in placed(root))


def test_small_digits_are_plain_ones_set_lower_or_higher() -> None:
    """Liberation Sans has no subscript two: a label with CO₂ was set in whatever font had one, serifs and all."""
    figure = "<figure><figcaption><b>CO₂e at 10⁻⁵ a day</b></figcaption><svg height='9'></svg></figure>"
    (drawing,) = album(figure).values()
    root = ElementTree.fromstring(drawing)
    title = root.find(f"{NAMESPACE}text")
    assert title is not None and title.text == "CO"
    assert [(part.text, part.get("dy")) for part in title] == [
        ("2", "3"),
        ("e at 10", "-3"),
        ("−5", "-4"),
        (" a day", "4"),
    ]


def test_names_are_safe() -> None:
    assert file_name("Why “documents” were dropped / ação") == "why-documents-were-dropped-acao"
    assert file_name("../..") == "figure" and len(file_name("x" * 300)) == 60


def test_two_figures_of_one_title_get_two_files() -> None:
    figure = '<figure><figcaption><b>One</b></figcaption><svg viewBox="0 0 9 9"><rect width="50%"/></svg></figure>'
    found = album(figure * 2)
    assert list(found) == ["one", "one-2"] and 'width="380.00"' in found["one"]


def pixels(image: bytes) -> list[list[tuple[int, ...]]]:
    """Decode a PNG of 8 bits a channel by the specification: chunks, zlib, then each row's filter undone."""
    assert image[:8] == b"\x89PNG\r\n\x1a\n"
    data, place = b"", 8
    while place < len(image):
        length, kind = struct.unpack(">I4s", image[place : place + 8])
        if kind == b"IDAT":
            data += image[place + 8 : place + 8 + length]
        place += length + 12
    wide, high, depth, colour = struct.unpack(">IIBB", image[16:26])
    assert depth == 8 and colour in (2, 6)
    step = {2: 3, 6: 4}[colour]
    raw, line, rows = zlib.decompress(data), bytearray(wide * step), []
    for number in range(high):
        start = number * (wide * step + 1)
        line = _unfiltered(raw[start], bytearray(raw[start + 1 : start + 1 + wide * step]), line, step)
        rows.append([tuple(line[at : at + 3]) for at in range(0, len(line), step)])
    return rows


def _unfiltered(kind: int, line: bytearray, above: bytearray, step: int) -> bytearray:
    for at in range(len(line)):
        left, up = line[at - step] if at >= step else 0, above[at]
        corner = above[at - step] if at >= step else 0
        guess = left + up - corner
        nearest = min((left, up, corner), key=lambda one: abs(guess - one))
        line[at] = (line[at] + (0, left, up, (left + up) // 2, nearest)[kind]) & 255
    return line


def test_an_image_has_its_size_its_colours_and_words() -> None:
    pytest.importorskip("resvg_py")
    figure = (
        "<figure><figcaption><b>Tokens</b> Fewer is better.</figcaption><svg height='30'>"
        '<rect class="tint0" x="0" y="0" width="50%" height="30"/></svg></figure>'
    )
    drawing = album(figure)["tokens"]
    image = png(drawing)
    if image is None:
        pytest.skip("this machine has no font")
    assert image == png(drawing)
    rows = pixels(image)
    root = ElementTree.fromstring(drawing)
    assert (len(rows[0]), len(rows)) == (2 * int(root.get("width", 0)), 2 * int(root.get("height", 0)))
    top = round(float((root.find(f"{NAMESPACE}g").get("transform") or "").split()[1].rstrip(")")))  # type: ignore[union-attr]
    tint = tuple(int(colours("light")["tint0"][place : place + 2], 16) for place in (1, 3, 5))
    assert rows[2 * top + 30][2 * (24 + 190)] == tint  # in the middle of the bar
    assert rows[2 * top + 30][2 * (24 + 570)] == (255, 255, 255)  # beyond its half
    dark = sum(sum(pixel) < 300 for row in rows[: 2 * 44] for pixel in row[: 2 * 120])
    assert dark > 200  # the letters of the title


def test_the_stage_saves_both_kinds(made_run: MakeRun, monkeypatch: pytest.MonkeyPatch) -> None:
    run = made_run()
    with monkeypatch.context() as without:
        without.setitem(sys.modules, "resvg_py", None)
        run_stage(run.recipe, run)
    figures = run.path("release") / "figures"
    assert len(list(figures.glob("*.svg"))) == 14 and not list(figures.glob("*.png"))
    manifest: dict[str, Any] = json.loads((run.path("release") / "manifest.json").read_text())
    assert "figures/training-loss.svg" in manifest["outputs"]
