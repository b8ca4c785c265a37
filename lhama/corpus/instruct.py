"""Write examples of instructions down as text for pretraining, in the recipe's language.

In go the named values of a row, out comes a text in one of several phrasings (instruct_templates/*.toml), chosen by a
hash of the row's id, so that it is the same in every run. Mixing such texts in, 40% of the corpus, is what the
TeenyTinyLlama paper did (Correa et al. 2024, section 3). A recipe may bring templates of its own, which name columns.
What is written into a template is never read as one.
"""

import hashlib
import json
import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from lhama.corpus.layouts import Example, Layout, NoExample, example_of
from lhama.corpus.readers import Columns, Row, as_json, broken, document, too_deep
from lhama.plan.problem import Problem

TEMPLATES = Path(__file__).parent / "instruct_templates"
LONGEST_JSON = 128 << 20  # bytes of a file that is one JSON value; such a file is held whole
_HOLE = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True)
class Instruct:
    """How a recipe wants instructions written down: their layout, the language, and templates of its own."""

    layout: Layout = "auto"
    language: str = "pt"
    templates: tuple[str, ...] = ()


class Rendered(NamedTuple):
    """An example as text, with the columns that are in it."""

    text: str
    form: str
    used: tuple[str, ...]


def render(
    values: dict[str, Any], layout: Layout = "auto", language: str = "pt", key: str = ""
) -> Rendered | NoExample:
    """Write an example down; `key` chooses the phrasing."""
    example = example_of(values, layout)
    if isinstance(example, NoExample):
        return example
    phrasings = templates_of(language)[example.form]
    phrasing = phrasings[_number(key or _whole(values), len(phrasings))]
    if example.form == "chat":
        return Rendered(_conversation(example, phrasing), example.form, example.used)
    return Rendered(_filled(phrasing, example.texts), example.form, example.used)


def render_by(templates: tuple[str, ...], values: dict[str, Any], key: str = "") -> Rendered | NoExample:
    """Write a row down by the recipe's own templates, whose {names} are columns."""
    phrasing = templates[_number(key or _whole(values), len(templates))]
    texts, used = {}, tuple(dict.fromkeys(_HOLE.findall(phrasing)))
    for name in used:
        value = values.get(name)
        if isinstance(value, bool) or not isinstance(value, str | int | float) or value == "":
            return NoExample(
                f"{name!r} holds {type(value).__name__}, not text" if value else f"no value under {name!r}"
            )
        texts[name] = str(value)
    return Rendered(_filled(phrasing, texts), "template", used)


def make_row(line: int, values: dict[str, Any], columns: Columns, instruct: Instruct) -> Row:
    """Make the row of an example; what is not in its text goes into `meta`, where `kind` is instruct."""
    name = values.get(columns.id)
    key = str(name) if isinstance(name, str | int) else ""
    if instruct.templates:
        made = render_by(instruct.templates, values, key)
    else:
        made = render(values, instruct.layout, instruct.language, key)
    if isinstance(made, NoExample):
        named = document(line, {**values, columns.text: ""}, columns)
        return named._replace(text=as_json(values), meta="{}", reason="no_example", detail=made.detail)
    rest = {name: value for name, value in values.items() if name not in made.used}
    return document(line, {**rest, "kind": "instruct", "form": made.form, columns.text: made.text}, columns)


def read_json(path: Path, columns: Columns, skip: int = 0, instruct: Instruct = Instruct()) -> Iterator[Row]:
    """Read a file that is one JSON value: a list of examples, or SQuAD's tree of articles, paragraphs and questions."""
    size = path.stat().st_size
    if size > LONGEST_JSON:
        detail = f"one JSON value of {size} bytes; the limit is {LONGEST_JSON}: write it as one object a line (.jsonl)"
        yield broken(1, "line_too_long", detail, b"")
        return
    raw = path.read_bytes()
    if not raw.strip():
        return
    try:
        value = json.loads(raw.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        yield broken(1, "bad_utf8", f"{error.reason} at byte {error.start}", raw[:65536])
        return
    except (ValueError, RecursionError) as error:
        yield broken(1, "broken_line", f"no JSON: {error}", raw[:65536])
        return
    for number, values in enumerate(_rows_of(value), 1):
        if number > skip:
            yield _json_row(number, values, columns, instruct)


def _json_row(number: int, values: Any, columns: Columns, instruct: Instruct) -> Row:
    if too_deep(values):
        return broken(number, "broken_line", "nested too deeply", b"")
    if isinstance(values, dict):
        return make_row(number, values, columns, instruct)
    return Row(number, None, as_json(values), reason="wrong_type", detail=f"{type(values).__name__}, not an object")


def _rows_of(value: Any) -> Iterator[Any]:
    """Yield the examples of a JSON value."""
    articles = value.get("data") if isinstance(value, dict) else value
    if not isinstance(articles, list):
        yield value
        return
    for article in articles:
        paragraphs = article.get("paragraphs") if isinstance(article, dict) else None
        if not isinstance(paragraphs, list):
            yield article
            continue
        for paragraph in paragraphs:
            questions = paragraph.get("qas") if isinstance(paragraph, dict) else None
            if not isinstance(questions, list):
                yield paragraph
                continue
            for question in questions:
                said = {"title": article.get("title"), "context": paragraph.get("context")}
                yield {**said, **question} if isinstance(question, dict) else question


@cache
def templates_of(language: str) -> dict[str, Any]:
    """Read the templates of a language."""
    path = TEMPLATES / f"{language.partition('_')[0]}.toml"
    if not path.is_file():
        known = ", ".join(sorted(one.stem for one in TEMPLATES.glob("*.toml")))
        raise Problem(
            f"there are no templates for instructions in {language!r}",
            remedy=f"write your own under `templates`; there are some for {known}",
        )
    return tomllib.loads(path.read_text(encoding="utf-8"))


def _conversation(example: Example, phrasing: dict[str, str]) -> str:
    said = [_filled(phrasing[role], {"text": text}) for role, text in example.turns]
    return phrasing["between"].join(said)


def _filled(template: str, texts: dict[str, str]) -> str:
    return _HOLE.sub(lambda hole: texts[hole[1]], template)


def _number(key: str, count: int) -> int:
    digest = hashlib.blake2b(key.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "big") % count


def _whole(values: dict[str, Any]) -> str:
    return json.dumps(values, sort_keys=True, default=str)
