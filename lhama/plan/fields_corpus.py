"""The recipe's section about text: where it comes from, and what becomes of it before a model may read it.

The keys of [corpus] stand in the order in which a document meets them. Each field states its type, what a change of it
redoes (plan/kinds.py), its limits and its documentation.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from lhama.plan.fields_source import Source
from lhama.plan.kinds import NOT_NEGATIVE, OPERATIONAL, POSITIVE, RESULT, SHARE, Language, Name, Section
from lhama.plan.problem import Problem


def is_file_name(name: str) -> bool:
    """Tell a path to a test set's file from the name of a task."""
    return "/" in name or "." in name


class Classifier(Section):
    """A classifier that looks at each document: trained here from labelled rows, or one of Hugging Face's kind."""

    name: Annotated[Name, RESULT]
    """A short name: the column of its scores and the reason under which it drops."""
    labels: Annotated[str | tuple[str, ...] | None, OPERATIONAL] = None
    """Labelled rows to train it on: a jsonl, csv or parquet file, or a list of them; their content is what counts. A
    tenth of the texts, chosen by their hash, is never learned: on it the classifier is judged."""
    model: Annotated[str | None, RESULT] = None
    """Instead of labels: a folder or Hub name of a sequence classifier in safetensors."""
    revision: Annotated[str | None, RESULT, Field(pattern=r"^[0-9a-f]{40}$")] = None
    """The commit of a model from the Hub, in full."""
    text_column: Annotated[str, RESULT] = "text"
    """The column of the labelled rows that holds the text."""
    label_column: Annotated[str, RESULT] = "label"
    """The column of the labelled rows that holds the label."""
    target: Annotated[str, RESULT] = "1"
    """The label whose probability is the score."""
    action: Annotated[Literal["drop", "score", "bucket"], RESULT] = "score"
    """`drop` takes documents out whose score reaches the threshold, `score` writes it beside them, `bucket` makes a
    source of its own, named SOURCE-NAME, of those that reach it, which training phases can mix."""
    threshold: Annotated[float, RESULT, SHARE] = 0.5
    """The score from which a document is dropped or goes into the bucket."""

    @property
    def label_files(self) -> tuple[str, ...]:
        """Return the file or files of labelled rows as a tuple."""
        if self.labels is None:
            return ()
        return (self.labels,) if isinstance(self.labels, str) else self.labels

    @model_validator(mode="after")
    def _one_origin(self) -> Classifier:
        key = f"corpus.classifier.{self.name}"
        if (self.labels is None) == (self.model is None):
            raise Problem("needs either labels or a model", key=key, remedy="give one of the two")
        return self


class Corpus(Section):
    """Text in, clean text out. Steps are off until they are named, and come in this order."""

    source: Annotated[tuple[Source, ...], RESULT, Field(min_length=1)]
    """The texts, each a table [[corpus.source]]; of two equal documents the one of the earlier source stays."""
    opt_out: Annotated[str | None, OPERATIONAL] = None
    """A file with the ids of documents whose owners want them out, one a line; its content is what counts."""
    repair: Annotated[tuple[Literal["unicode", "front-matter", "markup", "pages", "spaces"], ...], RESULT] = ()
    """What is mended first: `unicode` (composed forms, wrong encodings, control characters), `front-matter`,
    `markup` (HTML remains), `pages` (line breaks, hyphens and page numbers of PDFs and old editions), `spaces` (white
    space at the ends of lines, piles of empty lines)."""
    minimum_characters: Annotated[int, RESULT, NOT_NEGATIVE] = 50
    """Documents with fewer characters are dropped as tiny."""
    languages: Annotated[tuple[Language, ...], RESULT] = ()
    """Documents in other languages than these are dropped; empty means that nobody looks."""
    language_score: Annotated[float, RESULT, SHARE] = 0.5
    """How sure the identification must be that a document is in one of `languages`."""
    variety: Annotated[Literal["any", "brazilian"], RESULT] = "any"
    """`brazilian` drops Portuguese that is surely European."""
    variety_score: Annotated[float, RESULT, SHARE] = 0.9
    """From which chance on Portuguese counts as surely European; lower finds more of it and spares less."""
    rules: Annotated[tuple[Literal["gopher-quality", "gopher-repetition", "c4", "fineweb", "code"], ...], RESULT] = ()
    """Sets of rules about single documents, with thresholds of each source's language (docs/rules.md)."""
    thresholds: Annotated[dict[str, float | Literal["off"]], RESULT] = Field(default={})
    """Thresholds of rules that are to differ from the language's, such as gopher_above_avg_threshold = 14, or "off"."""
    thresholds_file: Annotated[str | None, OPERATIONAL] = None
    """Thresholds and stop words of the recipe's language, as `lhama calibrate` writes them; the content counts."""
    upper_case: Annotated[Literal["keep", "drop"], RESULT] = "keep"
    """Documents mostly in capitals, such as old speeches: `keep` judges them like all others, without looking at the
    case of stop words."""
    lines: Annotated[
        tuple[Literal["terminal", "words", "longest", "javascript", "policy", "citations"], ...], RESULT
    ] = ()
    """Rules of C4 by which single lines leave a document: that do not end a sentence, that have fewer than 3 words or
    one of more than 1,000 characters, that speak of JavaScript or of cookies; `citations` takes out [1] and [edit]."""
    classifier: Annotated[tuple[Classifier, ...], RESULT] = ()
    """Classifiers, each a table [[corpus.classifier]]."""
    personal_data: Annotated[Literal["keep", "mask", "drop"], RESULT] = "keep"
    """E-mail and IP addresses, Brazilian phone numbers, CPF, CNPJ and card numbers: `mask` puts reserved values in
    their place, `drop` takes the document out."""
    exact_duplicates: Annotated[bool, RESULT] = True
    """Drop a document whose text was already seen, over all sources, keeping the first."""
    near_duplicates: Annotated[bool, RESULT] = False
    """Drop a document that is nearly the same as an earlier one: MinHash over runs of words (Broder 1997)."""
    near_bands: Annotated[int, RESULT, POSITIVE, Field(le=64)] = 14
    """How many bands a signature has; a pair of similarity s is found with probability 1 - (1 - s^rows)^bands."""
    near_rows: Annotated[int, RESULT, POSITIVE, Field(le=32)] = 8
    """How many hashes make a band."""
    near_words: Annotated[int, RESULT, POSITIVE, Field(le=32)] = 5
    """How many words make a run."""
    contained: Annotated[float | None, RESULT, SHARE] = None
    """Drop a document of which at least this share stands in one document before it, such as 0.8: truncated copies."""
    repeated_lines: Annotated[int | None, RESULT, POSITIVE] = None
    """A line that stands in more documents of a source than this is boilerplate and goes, the first one excepted."""
    decontaminate: Annotated[tuple[str, ...], RESULT] = ()
    """Names of evaluation and tuning sets, or paths to their files; what stands in them leaves training."""
    decontaminate_words: Annotated[int, RESULT, Field(ge=4, le=64)] = 13
    """How many words in a row count as taken from a test; shorter items count whole."""
    tasks: Annotated[str | None, OPERATIONAL] = None
    """The folder with the files of evaluation tasks that `decontaminate` names."""
    keep_rejected: Annotated[bool, OPERATIONAL] = True
    """Keep dropped documents with their reason in corpus/rejected."""
    shard_megabytes: Annotated[int, RESULT, POSITIVE] = 256
    """The size of a parquet file of the clean corpus, counted as text before compression."""
    engine: Annotated[Literal["local", "ray"], OPERATIONAL] = "local"
    """Who works: processes on this machine, or the Ray cluster that RAY_ADDRESS names, whose nodes all see the same
    folders. The result is the same to the byte."""
    workers: Annotated[int | None, OPERATIONAL, POSITIVE] = None
    """How many processes or threads read and clean; absent means all cores."""

    @model_validator(mode="after")
    def _names_differ(self) -> Corpus:
        for what, names in (
            ("source", [source.name for source in self.source]),
            ("classifier", [classifier.name for classifier in self.classifier]),
        ):
            for name in names:
                if names.count(name) > 1:
                    problem = f"two of them are named {name!r}"
                    raise Problem(problem, key=f"corpus.{what}", remedy="rename one of them")
        return self

    @model_validator(mode="after")
    def _steps_have_what_they_need(self) -> Corpus:
        if self.variety == "brazilian" and self.languages and "pt" not in self.languages:
            raise Problem("Portuguese is not among corpus.languages", key="corpus.variety", remedy='add "pt" to them')
        named = [name for name in self.decontaminate if not is_file_name(name)]
        if named and self.tasks is None:
            raise Problem(
                f"{named[0]!r} names a task, and no folder holds the tasks",
                key="corpus.tasks",
                remedy="name the folder with the tasks' files, or give paths in corpus.decontaminate",
            )
        return self
