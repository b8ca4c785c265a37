"""The recipe's sections before the network: what it may cost, on what machine, from which text, with which vocabulary.

Each field states its type, what a change of it redoes (plan/kinds.py), its limits and its documentation.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from lhama.plan.hardware import check_accelerator
from lhama.plan.kinds import NOT_NEGATIVE, OPERATIONAL, POSITIVE, RESULT, Language, Name, Section
from lhama.plan.problem import Problem


class Budget(Section):
    """What the run may cost; a plan over one of these limits is refused before anything is spent."""

    money: Annotated[float | None, OPERATIONAL, POSITIVE] = None
    """The most the machine may cost, in `currency`; absent means no limit."""
    currency: Annotated[str, OPERATIONAL, Field(pattern=r"^[A-Z]{3}$")] = "USD"
    """The currency of `money` and of hardware.price_per_hour, as an ISO 4217 code; nothing is converted."""
    hours: Annotated[float | None, OPERATIONAL, POSITIVE] = None
    """The most hours training may take; absent means no limit."""
    kwh: Annotated[float | None, OPERATIONAL, POSITIVE] = None
    """The most electricity in kilowatt hours, data centre overhead included; absent means no limit."""
    kgco2e: Annotated[float | None, OPERATIONAL, POSITIVE] = None
    """The most greenhouse gas in kilograms of CO2 equivalents; absent means no limit."""


class Hardware(Section):
    """The machine the plan is made for; it changes the plan and the ledger, never the model."""

    accelerator: Annotated[str, OPERATIONAL] = "auto"
    """A name of the table in docs/plan.md (such as h100 or cpu), or `auto` for what this machine has."""
    count: Annotated[int, OPERATIONAL, POSITIVE] = 1
    """How many accelerators work together."""
    price_per_hour: Annotated[float | None, OPERATIONAL, NOT_NEGATIVE] = None
    """The price of one accelerator for an hour in budget.currency; absent takes the table's price in USD."""
    country: Annotated[str, OPERATIONAL, Field(pattern=r"^[A-Z]{3}$")] = "BRA"
    """Where the electricity comes from, as an ISO 3166 alpha-3 code; it decides the carbon of a kilowatt hour."""
    grid_gco2e_per_kwh: Annotated[float | None, OPERATIONAL, NOT_NEGATIVE] = None
    """Grams of CO2 equivalents per kilowatt hour where you know better than the country's average."""
    pue: Annotated[float, OPERATIONAL, Field(ge=1)] = 1.0
    """Power usage effectiveness: all electricity of the building over that of the machine; 1.0 counts the machine."""
    watts: Annotated[float | None, OPERATIONAL, POSITIVE] = None
    """The draw of one busy accelerator; absent takes the table's."""
    host_watts: Annotated[float | None, OPERATIONAL, NOT_NEGATIVE] = None
    """The draw of the rest of the machine (processor, memory) per accelerator; absent takes the table's."""

    @model_validator(mode="after")
    def _known_accelerator(self) -> Hardware:
        check_accelerator(self.accelerator)
        return self


class Record(Section):
    """What is written down while the run works."""

    energy: Annotated[bool, OPERATIONAL] = True
    """Measure the electricity of each stage, offline; without it the ledger keeps only the seconds."""
    energy_every_seconds: Annotated[int, OPERATIONAL, POSITIVE] = 15
    """How often the energy ledger gets a row."""
    device_every_seconds: Annotated[int, OPERATIONAL, POSITIVE] = 15
    """How often memory, utilization, watts and temperature of the device are read."""


class Source(Section):
    """One named body of text; all documents of it share a licence."""

    name: Annotated[Name, RESULT]
    """A short name: letters, digits, - and _; held-out documents are chosen by it, so keep it over the years."""
    kind: Annotated[Literal["auto", "jsonl", "parquet", "csv", "txt", "hub", "tales"], RESULT] = "auto"
    """How to read it; `auto` goes by each file's extension, `hub` is a Hugging Face dataset, `tales` is embedded."""
    path: Annotated[str | tuple[str, ...] | None, OPERATIONAL] = None
    """A file, folder or glob, or a list of them, relative to the recipe; for `hub` the dataset's name. The content is
    what counts: moving the same files elsewhere redoes nothing."""
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
    """The commit of a `hub` dataset in full, 40 hexadecimal digits; a branch moves, a commit does not."""
    subset: Annotated[str | None, RESULT] = None
    """The configuration of a `hub` dataset."""
    documents: Annotated[int | None, RESULT, POSITIVE] = None
    """How many documents to write (`tales`) or to read from the beginning (all other kinds); absent means all."""

    @property
    def paths(self) -> tuple[str, ...]:
        """Return the path or paths as a tuple; it is empty for the embedded tales."""
        if self.path is None:
            return ()
        return (self.path,) if isinstance(self.path, str) else self.path

    @model_validator(mode="after")
    def _kind_fits(self) -> Source:
        key = f"corpus.source.{self.name}"
        if self.kind == "tales":
            if self.path is not None:
                raise Problem("the embedded tales are written, not read", key=f"{key}.path", remedy="drop the path")
            if self.documents is None:
                raise Problem("missing", key=f"{key}.documents", remedy="say how many tales to write, such as 60000")
        elif not self.paths:
            raise Problem("missing", key=f"{key}.path", remedy="name a file, folder, glob or dataset")
        for only_hub in ("revision", "subset"):
            if self.kind != "hub" and getattr(self, only_hub) is not None:
                raise Problem("means something only with kind hub", key=f"{key}.{only_hub}", remedy="drop it")
        if self.kind == "hub" and len(self.paths) != 1:
            raise Problem("a hub source is one dataset", key=f"{key}.path", remedy="write one source for each dataset")
        if self.kind == "hub" and self.revision is None:
            remedy = "name the commit that the dataset's page on the Hub shows under Files, History"
            raise Problem("missing", key=f"{key}.revision", remedy=remedy)
        return self


class Corpus(Section):
    """Text in, clean text out: what is kept of each source."""

    minimum_characters: Annotated[int, RESULT, NOT_NEGATIVE] = 50
    """Documents with fewer characters are dropped as tiny."""
    exact_duplicates: Annotated[bool, RESULT] = True
    """Drop a document whose text was already seen, over all sources, keeping the first."""
    keep_rejected: Annotated[bool, OPERATIONAL] = True
    """Keep dropped documents with their reason in corpus/rejected."""
    shard_megabytes: Annotated[int, RESULT, POSITIVE] = 256
    """The size of a parquet file of the clean corpus, counted as text before compression."""
    workers: Annotated[int | None, OPERATIONAL, POSITIVE] = None
    """How many processes or threads read and clean; absent means all cores."""
    source: Annotated[tuple[Source, ...], RESULT, Field(min_length=1)]
    """The texts, each a table [[corpus.source]]."""

    @model_validator(mode="after")
    def _names_differ(self) -> Corpus:
        names = [source.name for source in self.source]
        for name in names:
            if names.count(name) > 1:
                raise Problem(f"two sources are named {name!r}", key="corpus.source", remedy="rename one of them")
        return self


class Tokens(Section):
    """Clean text in, integers out: the vocabulary and the rows a model reads."""

    vocabulary: Annotated[int, RESULT, Field(ge=384, multiple_of=128)] = 32_000
    """The size of the vocabulary, reserved pieces included: a multiple of 128, which matrix units like."""
    from_: Annotated[str | None, RESULT, Field(alias="from")] = None
    """A folder with tokenizer.json or tokenizer.model to use instead of training a vocabulary."""
    sample_megabytes: Annotated[int, RESULT, POSITIVE] = 64
    """How much clean text the vocabulary is trained on; more costs memory and changes little."""
    sequence: Annotated[int, RESULT, Field(ge=8)] = 2_048
    """The tokens a model sees at once: the length of a training row and of the context."""
    packing: Annotated[Literal["stream", "best-fit", "alone"], RESULT] = "stream"
    """`stream` cuts one long stream into rows; `best-fit` keeps documents whole where they fit (Ding et al. 2024,
    arXiv 2404.10830), which small models and short documents like; `alone` gives each document rows of its own, whose
    padding counts as tokens."""
    workers: Annotated[int | None, OPERATIONAL, POSITIVE] = None
    """How many threads turn text into tokens; absent means all cores."""
