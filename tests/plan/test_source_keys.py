"""The keys of a source: each belongs to some kinds, and what contradicts itself is refused with key and remedy."""

import re
from pathlib import Path
from typing import get_args

import pytest

from lhama.plan.fields_source import ON_THE_HUB, ONLY_FOR, Source
from lhama.plan.problem import Problem
from lhama.plan.recipe import loads, slice_for

ROOT = Path(__file__).parents[2]
SHIPPED = (ROOT / "recipes/demo.toml").read_text(encoding="utf-8")
COMMIT = "a" * 40


def with_source(lines: str) -> str:
    """Put another source into a recipe."""
    return f'{SHIPPED}\n[[corpus.source]]\nname = "fonte"\n{lines}\n'


def one(lines: str) -> Source:
    return loads(with_source(lines), folder=Path("/casa")).corpus.source[-1]


@pytest.mark.parametrize(
    "lines, key, says",
    [
        ('kind = "txt"\npath = "a"\nlayout = "alpaca"', "layout", "only for instruct"),
        ('kind = "jsonl"\npath = "a"\ntemplates = ["{a}"]', "templates", "only for instruct"),
        ('kind = "txt"\npath = "a"\nlicenses = "permissive"', "licenses", "only for code"),
        ('kind = "wikipedia"\npath = "a"\nextractor = "resiliparse"', "extractor", "only for warc, auto"),
        ('kind = "code"\npath = "a"\nblocklist = "b"', "blocklist", "kind code"),
        ('kind = "wikipedia"\npath = "a"\ndocuments_per_domain = 3', "documents_per_domain", "kind wikipedia"),
        ('kind = "warc"\npath = "a"\ntext_column = "b"', "text_column", "set the source's kind"),
        ('kind = "instruct"\npath = "a"\ntext_column = "b"', "text_column", "kind instruct"),
        ('kind = "tales"\ndocuments = 3\nsplit_characters = 100', "split_characters", "kind tales"),
        ('kind = "tales"\ndocuments = 3\nmegabytes = 1.0', "megabytes", "kind tales"),
        ('kind = "instruct"\npath = "a"\nlayout = "qa"\ntemplates = ["{a}"]', "layout", "drop one"),
        ('kind = "instruct"\npath = "a"\ntemplates = ["nada"]', "templates", "names no column"),
        ("path = \"a\"\nsplit_at = '('", "split_at", "no regular expression"),
        ('path = "a"\ndocuments = 3\nmegabytes = 1.0', "megabytes", "by documents or by megabytes"),
        ('path = "a"\nmegabytes = 0.0', "megabytes", "more than 0"),
        ('path = "a"\nsplit = "train"', "split", "kind hub"),
        (f'kind = "warc"\npath = "hf://datasets/a/b"\nrevision = "{COMMIT}"', "kind", "not read from the Hub"),
        ('path = "hf://datasets/a/b"', "revision", "Files, History"),
        (f'kind = "hub"\npath = "./b"\nrevision = "{COMMIT}"', "revision", "a folder has no commit"),
        (f'path = ["hf://datasets/a/b", "c"]\nrevision = "{COMMIT}"', "path", "one dataset"),
        ('kind = "pdf"\npath = "a"', "kind", "wikipedia"),
    ],
)
def test_contradictions_are_refused(lines: str, key: str, says: str) -> None:
    with pytest.raises(Problem) as caught:
        one(lines)
    assert f"corpus.source.fonte.{key}" in str(caught.value) and says in str(caught.value)


def test_every_key_that_only_some_kinds_know_names_real_kinds() -> None:
    kinds = set(get_args(Source.model_fields["kind"].annotation))
    assert set(ONLY_FOR) < set(Source.model_fields)
    assert all(set(named) < kinds for named in ONLY_FOR.values())
    assert set(ON_THE_HUB) < kinds


BLOCKS = re.findall(r"^```toml\n(.*?)^```", (ROOT / "docs/sources.md").read_text(encoding="utf-8"), re.M | re.S)


@pytest.mark.parametrize("block", BLOCKS, ids=range(len(BLOCKS)))
def test_the_examples_of_the_chapter_load(block: str) -> None:
    text = SHIPPED.replace("[corpus]\n", block, 1) if block.startswith("[corpus]") else f"{SHIPPED}\n{block}"
    recipe = loads(text, folder=ROOT)
    assert len(recipe.corpus.source) == 1 + block.count("[[corpus.source]]")


def test_datasets_by_name_by_address_and_in_a_folder() -> None:
    by_name, by_address = (
        one(f'kind = "{kind}"\npath = "{path}"\nrevision = "{COMMIT}"')
        for kind, path in (("hub", "org/conjunto"), ("instruct", "hf://datasets/org/conjunto"))
    )
    assert by_name.dataset == by_address.dataset == "org/conjunto"
    assert not by_name.is_downloaded and not by_address.is_downloaded
    folder = one('kind = "hub"\npath = "../conjunto"')
    assert folder.dataset == "/casa/../conjunto" and folder.is_downloaded
    assert one('path = "textos"').dataset is None


def test_the_place_of_a_blocklist_is_no_part_of_what_is_read() -> None:
    recipe = loads(with_source('path = "a"\nblocklist = "b.txt"'), folder=Path("/casa"))
    assert recipe.corpus.source[-1].blocklist == "/casa/b.txt"
    assert slice_for(recipe, "read")["corpus.source"][-1] == {"name": "fonte"}
    changed = loads(with_source('path = "a"'), ["corpus.source.fonte.blocklist=c.txt"], Path("/casa"))
    assert changed.corpus.source[-1].blocklist == (Path.cwd() / "c.txt").as_posix()
