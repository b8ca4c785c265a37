"""The recipe's table of one source of text: what it is, where it lies, how it is read, and how much of it.

Each key states its type, what a change of it redoes (plan/kinds.py), its limits and its documentation. A key that means
something for some kinds of sources only is refused for all others.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from lhama.plan.kinds import OPERATIONAL, POSITIVE, RESULT, Language, Name, Section
from lhama.plan.problem import Problem

# Keys that mean something only for some kinds of sources.
OF_ROWS = ("auto", "jsonl", "parquet", "csv", "hub")
WITH_ADDRESSES = (*OF_ROWS, "instruct", "warc")
ONLY_FOR = {
    "text_column": (*OF_ROWS, "code"),
    "id_column": (*OF_ROWS, "instruct", "code"),
    "url_column": (*OF_ROWS, "instruct", "code"),
    "layout": ("instruct",),
    "templates": ("instruct",),
    "licenses": ("code",),
    "extractor": ("warc", "auto"),
    "blocklist": WITH_ADDRESSES,
    "documents_per_domain": WITH_ADDRESSES,
    "split_at": (*WITH_ADDRESSES, "txt", "wikipedia", "code"),
    "split_characters": (*WITH_ADDRESSES, "txt", "wikipedia", "code"),
    "megabytes": (*WITH_ADDRESSES, "txt", "wikipedia", "code"),
}
ON_THE_HUB = (*OF_ROWS, "txt", "instruct", "code")
HUB = "hf://"


def is_folder(dataset: object) -> bool:
    """Tell the path of a downloaded dataset from the name of one on the Hub, which begins with a letter."""
    return isinstance(dataset, str) and dataset.startswith(("/", "./", "../", "~"))


class Source(Section):
    """One named body of text; all documents of it share a licence."""

    name: Annotated[Name, RESULT]
    """A short name: letters, digits, - and _; held-out documents are chosen by it, so keep it over the years."""
    kind: Annotated[
        Literal["auto", "jsonl", "parquet", "csv", "txt", "wikipedia", "warc", "instruct", "code", "hub", "tales"],
        RESULT,
    ] = "auto"
    """How to read it (docs/sources.md): `auto` goes by each file's ending, `wikipedia` is an XML dump, `warc` a web
    archive (WET too), `instruct` examples of instructions, `code` folders of source code, `hub` a dataset of Hugging
    Face, `tales` is embedded."""
    path: Annotated[str | tuple[str, ...] | None, OPERATIONAL] = None
    """A file, folder or glob, or a list of them, relative to the recipe; s3://, gs://, az:// and https:// are fetched;
    hf://datasets/ORG/NAME is a dataset of the Hub. The content is what counts: moving the same files redoes nothing."""
    language: Annotated[Language | None, RESULT] = None
    """The language of this source where it is not the recipe's."""
    license: Annotated[str, RESULT] = "unknown"
    """The licence of the text, best as an SPDX name; it follows each document into the dataset's card."""
    text_column: Annotated[str, RESULT] = "text"
    """The column or JSON key that holds the text."""
    id_column: Annotated[str, RESULT] = "id"
    """The column that holds a document's id; a document without one is named by its file and row."""
    url_column: Annotated[str, RESULT] = "url"
    """The column that holds a document's address; it may be missing."""
    revision: Annotated[str | None, RESULT, Field(pattern=r"^[0-9a-f]{40}$")] = None
    """The commit of a dataset of the Hub in full, 40 hexadecimal digits; a branch moves, a commit does not."""
    subset: Annotated[str | None, RESULT] = None
    """The configuration of a dataset of the Hub: as its card names it, else a folder or the beginning of file names."""
    split: Annotated[str | None, RESULT] = None
    """The split of a dataset of the Hub; absent means all but those for testing and validation."""
    layout: Annotated[Literal["auto", "alpaca", "prompt", "qa", "choices", "chat"], RESULT] = "auto"
    """How the rows of `instruct` are built; `auto` tells it by the columns of each row."""
    templates: Annotated[tuple[str, ...], RESULT] = ()
    """Your own phrasings for `instruct`, with columns in braces, such as "{pergunta}\\n{resposta}"; of several, each
    example gets one by its id. Absent means those of the source's language."""
    licenses: Annotated[Literal["any", "permissive"], RESULT] = "any"
    """Whose `code` is read: `permissive` leaves out files for which no permissive licence speaks."""
    extractor: Annotated[Literal["trafilatura", "resiliparse"], RESULT] = "trafilatura"
    """What finds the text in the pages of `warc`: `resiliparse` is ten times faster and keeps more menus."""
    blocklist: Annotated[str | None, OPERATIONAL] = None
    """A file of domains and addresses whose documents are not read, one a line; its content is what counts."""
    documents_per_domain: Annotated[int | None, RESULT, POSITIVE] = None
    """How many documents of one registered domain, such as exemplo.com.br, may stay; the first ones do."""
    split_at: Annotated[str | None, RESULT] = None
    """Split documents where this regular expression matches (^ and $ are ends of lines), such as "^[0-9]{4}$"."""
    split_characters: Annotated[int | None, RESULT, POSITIVE] = None
    """Split documents into parts of at most so many characters, at the end of a paragraph, line, sentence or word."""
    documents: Annotated[int | None, RESULT, POSITIVE] = None
    """How many documents to write (`tales`) or to read from the beginning (all other kinds); absent means all."""
    megabytes: Annotated[float | None, RESULT, POSITIVE] = None
    """How many megabytes (10^6 bytes) of text to read from the beginning; the document that reaches it is the last."""

    rules: Annotated[
        tuple[Literal["gopher-quality", "gopher-repetition", "c4", "fineweb", "code"], ...] | None, RESULT
    ] = None
    """The sets of rules for this source where they are not those of corpus.rules, such as [] for poems."""

    content: Annotated[Literal["text", "instruct", "code"] | None, RESULT] = None
    """What it holds, by which phases can mix (`@instruct`); absent goes by `kind`."""

    @property
    def holds(self) -> str:
        """Say what the source holds: text, instruct or code."""
        return self.content or (self.kind if self.kind in ("instruct", "code") else "text")

    @property
    def paths(self) -> tuple[str, ...]:
        """Return the path or paths as a tuple; it is empty for the embedded tales."""
        if self.path is None:
            return ()
        return (self.path,) if isinstance(self.path, str) else self.path

    @property
    def dataset(self) -> str | None:
        """Name the dataset of the Hub that the source is, or the folder that holds one as it was downloaded."""
        if self.kind == "hub" or any(path.startswith(HUB) for path in self.paths):
            return self.paths[0].removeprefix("hf://datasets/")
        return None

    @property
    def is_downloaded(self) -> bool:
        """Tell whether the dataset is a folder on this machine; its path is absolute once the recipe is loaded."""
        return self.dataset is not None and Path(self.dataset).is_absolute()

    @model_validator(mode="after")
    def _path_fits(self) -> Source:
        key = f"corpus.source.{self.name}"
        if self.kind == "tales":
            if self.path is not None:
                raise Problem("the embedded tales are written, not read", key=f"{key}.path", remedy="drop the path")
            if self.documents is None:
                raise Problem("missing", key=f"{key}.documents", remedy="say how many tales to write, such as 60000")
        elif not self.paths:
            raise Problem("missing", key=f"{key}.path", remedy="name a file, folder, glob or dataset")
        if self.dataset is None:
            for only_hub in ("revision", "subset", "split"):
                if getattr(self, only_hub) is not None:
                    raise Problem("means something only with kind hub", key=f"{key}.{only_hub}", remedy="drop it")
            return self
        if self.kind not in ON_THE_HUB:
            remedy = f"with hf:// the kind is one of {', '.join(ON_THE_HUB)}"
            raise Problem(f"{self.kind} is not read from the Hub", key=f"{key}.kind", remedy=remedy)
        if len(self.paths) != 1:
            raise Problem("a hub source is one dataset", key=f"{key}.path", remedy="write one source for each dataset")
        if self.is_downloaded and self.revision is not None:
            raise Problem("a folder has no commit", key=f"{key}.revision", remedy="drop it; the content counts")
        if not self.is_downloaded and self.revision is None:
            remedy = "name the commit that the dataset's page on the Hub shows under Files, History"
            raise Problem("missing", key=f"{key}.revision", remedy=remedy)
        return self

    @model_validator(mode="after")
    def _keys_fit_the_kind(self) -> Source:
        key = f"corpus.source.{self.name}"
        for name, kinds in ONLY_FOR.items():
            if self.kind not in kinds and getattr(self, name) != type(self).model_fields[name].default:
                problem = f"means nothing for kind {self.kind}, only for {', '.join(kinds)}"
                raise Problem(problem, key=f"{key}.{name}", remedy="drop it, or set the source's kind")
        if self.templates and self.layout != "auto":
            raise Problem("your own templates need no layout", key=f"{key}.layout", remedy="drop one of the two")
        for template in self.templates:
            if not re.search(r"\{\w+\}", template):
                remedy = 'write a column in braces, such as "{pergunta}\\n{resposta}"'
                raise Problem(f"{template!r} names no column", key=f"{key}.templates", remedy=remedy)
        try:
            re.compile(self.split_at or "", re.MULTILINE)
        except re.error as error:
            problem = f"{self.split_at!r} is no regular expression: {error}"
            raise Problem(problem, key=f"{key}.split_at", remedy="try it in Python's re") from error
        if self.documents is not None and self.megabytes is not None:
            raise Problem("there is a cap already", key=f"{key}.megabytes", remedy="cap by documents or by megabytes")
        return self
