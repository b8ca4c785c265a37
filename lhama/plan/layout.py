"""A whole recipe: all sections in pipeline order, and the contradictions that only show when they stand together."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

from pydantic import PrivateAttr, model_validator

from lhama.plan.fields_corpus import Corpus
from lhama.plan.fields_model import Model, PhaseSettings, Release, Serve, Train
from lhama.plan.fields_text import Budget, Hardware, Record, Tokens
from lhama.plan.kinds import OPERATIONAL, RESULT, Language, RunName, Section
from lhama.plan.problem import Problem

RECIPE_VERSION = 1


class Recipe(Section):
    """One run, from raw text to a released model."""

    recipe_version: Annotated[int, OPERATIONAL] = RECIPE_VERSION
    """The version of this format; a later Lhama says what changed."""
    name: Annotated[RunName, OPERATIONAL]
    """The name of the run and of its folder: letters, digits, dots, - and _."""
    language: Annotated[Language, RESULT] = "pt"
    """The main language of the text, as an ISO 639 code."""
    seed: Annotated[int, RESULT] = 0
    """The number all chance comes from; two seeds show how far luck goes."""
    budget: Budget = Budget()
    hardware: Hardware = Hardware()
    record: Record = Record()
    corpus: Corpus
    tokens: Tokens = Tokens()
    model: Model
    train: Train
    release: Release = Release()
    serve: Serve = Serve()

    _folder: Path = PrivateAttr(default_factory=Path.cwd)

    @property
    def folder(self) -> Path:
        """Return the folder that holds the recipe's file."""
        return self._folder

    def resolve(self, path: str) -> Path:
        """Return a path of the recipe, which is relative to its folder, as an absolute one."""
        return (self._folder / Path(path).expanduser()).absolute()

    def __eq__(self, other: object) -> bool:
        # Two recipes that say the same are equal, wherever their files lie.
        return isinstance(other, Recipe) and self.model_dump() == other.model_dump()

    def __hash__(self) -> int:
        return hash(json.dumps(self.model_dump(mode="json"), sort_keys=True))

    @model_validator(mode="after")
    def _batches_are_whole_rows(self) -> Recipe:
        asked = {"train.batch_tokens": self.train.batch_tokens}
        asked |= {f"train.phase.{one.name}.batch_tokens": one.batch_tokens or 0 for one in self.train.phase}
        sequence = self.tokens.sequence
        for key, batch in asked.items():
            if batch % sequence:
                raise Problem(
                    f"{batch} is not a multiple of tokens.sequence ({sequence})",
                    key=key,
                    remedy=f"try {sequence * max(1, round(batch / sequence))}",
                )
        return self

    @model_validator(mode="after")
    def _mixtures_name_sources(self) -> Recipe:
        contents = self.contents
        for phase in self.train.phase:
            self._check_mixture(phase, [*contents, *(f"@{content}" for content in dict.fromkeys(contents.values()))])
        return self

    @property
    def contents(self) -> dict[str, str]:
        """Say what each source holds, and each bucket that classifiers make of it."""
        buckets = [one.name for one in self.corpus.classifier if one.action == "bucket"]
        found = {source.name: source.holds for source in self.corpus.source}
        return found | {f"{name}-{bucket}": holds for name, holds in found.items() for bucket in buckets}

    @staticmethod
    def _check_mixture(phase: PhaseSettings, sources: list[str]) -> None:
        if phase.mixture is None:
            return
        key = f"train.phase.{phase.name}.mixture"
        for name in phase.mixture:
            if name not in sources:
                raise Problem(f"{name!r} is no source", key=key, remedy=f"sources: {', '.join(sources)}")
        if sum(phase.mixture.values()) <= 0:
            raise Problem("all weights are 0", key=key, remedy="give one source a weight, or drop the mixture")
