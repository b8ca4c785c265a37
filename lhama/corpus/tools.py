"""Make what cleaning needs before anything is read: trained classifiers, and the index of test sets.

In goes a recipe, out come a folder for each classifier that is trained here, with a report on labels it never saw, and
one file with the index of all test sets. Each is whole or absent, so a killed stage goes on where it was.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from lhama.corpus.cleaning import TESTS
from lhama.corpus.rows import rows
from lhama.corpus.tasks import files_of, items_of
from lhama.plan.problem import Problem
from lhama.plan.recipe import Classifier, Recipe
from lhama.record import console
from lhama.record.files import read_json, write_json

if TYPE_CHECKING:
    from lhama.corpus.words import Texts

REPORT = "report.json"


def files_read(recipe: Recipe) -> dict[str, Path]:
    """Name the files whose content decides what the tools are."""
    corpus = recipe.corpus
    found = {
        f"classifier/{one.name}/{number}": Path(path)
        for one in corpus.classifier
        for number, path in enumerate(one.label_files)
    }
    folder = Path(corpus.tasks) if corpus.tasks else None
    for number, name in enumerate(corpus.decontaminate):  # many tests have files of the same names
        for place, path in enumerate(files_of(name, folder)):
            found[f"test/{number}/{place}/{path.name}"] = path
    return found


def make_tools(recipe: Recipe, folder: Path) -> None:
    """Make all tools that a recipe asks for, unless they are there."""
    corpus = recipe.corpus
    folder.mkdir(parents=True, exist_ok=True)
    for one in corpus.classifier:
        if not (folder / one.name / REPORT).is_file():
            _make_classifier(one, folder / one.name)
    if corpus.decontaminate and not (folder / TESTS).is_file():
        from lhama.corpus.decontaminate import index_of

        items = items_of(corpus.decontaminate, Path(corpus.tasks) if corpus.tasks else None)
        index = index_of(items, corpus.decontaminate_words)
        index.save(folder / TESTS)
        console.say(f"{index.indexed:,} texts of {len(corpus.decontaminate)} test sets are to be found in no document.")


def reports(recipe: Recipe, folder: Path) -> dict[str, Any]:
    """Return what is known of the tools, at the thresholds that the recipe has now."""
    from lhama.corpus.bias import knows

    found: dict[str, Any] = {"classifiers": {}}
    for one in recipe.corpus.classifier:
        about = {"action": one.action, "threshold": one.threshold, "target": one.target}
        found["classifiers"][one.name] = about | read_json(folder / one.name / REPORT)
        if knows(recipe.language):
            found["classifiers"][one.name]["bias"] = _bias(one, folder / one.name)
    if recipe.corpus.decontaminate:
        from lhama.corpus.decontaminate import Index

        index = Index.load(folder / TESTS)
        found["tests"] = {"words": index.words, "texts": len(index.names), "indexed": index.indexed}
    return found


def _bias(one: Classifier, folder: Path) -> list[dict[str, Any]]:
    """Say how the score moves on sentences that differ in one identity term."""
    from lhama.corpus.bias import bias
    from lhama.corpus.classifier import load
    from lhama.corpus.sequence_classifier import SequenceClassifier

    classifier = SequenceClassifier(one.model, one.revision) if one.model is not None else load(folder)
    groups = bias(classifier.score, classifier.classes.index(one.target), one.threshold)
    return [{"group": group.group, "gap": group.gap, "terms": [vars(term) for term in group.terms]} for group in groups]


def _make_classifier(one: Classifier, folder: Path) -> None:
    from lhama.corpus.sequence_classifier import SequenceClassifier

    key = f"corpus.classifier.{one.name}"
    classes: tuple[str, ...]
    about: dict[str, Any]
    if one.model is not None:
        classifier = SequenceClassifier(one.model, one.revision)
        classes, about = classifier.classes, {"model": one.model, "revision": one.revision}
    else:
        texts, labels, classes = _labelled(one, key)
        if one.target in classes:
            console.say(f"Training the classifier {one.name} on {len(labels):,} labelled texts.")
            about = _train(texts, labels, classes, folder)
    if one.target not in classes:
        raise Problem(
            f"there is no label {one.target!r}", key=f"{key}.target", remedy=f"labels: {', '.join(classes[:20])}"
        )
    write_json(folder / REPORT, about)


def _labelled(one: Classifier, key: str) -> tuple[Texts, Any, tuple[str, ...]]:
    """Read all labelled texts; the classes are sorted by name."""
    texts: list[str] = []
    labels: list[str] = []
    for name in one.label_files:
        for number, row in rows(Path(name), f"{key}.labels"):
            text, label = row.get(one.text_column), row.get(one.label_column)
            if not isinstance(text, str) or label is None or label == "":
                missing = one.label_column if isinstance(text, str) else one.text_column
                raise Problem(
                    f"{name}:{number} has no {missing!r}",
                    key=f"{key}.labels",
                    remedy="mend the row, or set text_column and label_column",
                )
            texts.append(text)
            labels.append(str(label))
    classes = tuple(sorted(set(labels)))
    if len(classes) < 2:
        remedy = "give rows of two labels or more"
        raise Problem(f"all rows have the label {', '.join(classes)}", key=f"{key}.labels", remedy=remedy)
    from lhama.corpus.words import texts_of

    numbers = np.searchsorted(np.array(classes), np.array(labels)).astype(np.int64)
    return texts_of(pa.array(texts, pa.large_string())), numbers, classes


def _train(texts: Texts, labels: Any, classes: tuple[str, ...], folder: Path) -> dict[str, Any]:
    """Train on nine tenths of the texts and judge on the last; return what is known of the classifier."""
    from lhama.corpus.classifier_report import report
    from lhama.corpus.classifier_training import VALIDATION, chosen, deal, train

    held = deal(texts) == VALIDATION  # another tenth than the one on which training calibrates
    classifier = train(chosen(texts, ~held), labels[~held], classes)
    classifier.save(folder)
    judged = report(classifier.score(chosen(texts, held)), labels[held], classes)
    return {"classes": list(classes), "history": classifier.history, "judged": judged.as_dict()}
