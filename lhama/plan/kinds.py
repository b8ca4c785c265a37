"""What a change of a recipe key means for work that is already done, declared beside each key's type.

RESULT: the numbers change, so the stage is done anew. EXTEND: the work continues from where it is. OPERATIONAL: the
result is the same, only made in another way. `Section` is the strict, frozen base of every part of a recipe; the
plain string under each field is its documentation, which `lhama explain` and docs/recipe.md show.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

KindName = Literal["result", "extend", "operational"]


@dataclass(frozen=True)
class Kind:
    """The mark a field carries in its type."""

    name: KindName
    meaning: str


RESULT = Kind("result", "a change needs the stage anew")
EXTEND = Kind("extend", "a change continues from the last checkpoint")
OPERATIONAL = Kind("operational", "a change redoes nothing")

POSITIVE = Field(gt=0)
NOT_NEGATIVE = Field(ge=0)
SHARE = Field(ge=0, le=1)
# A source or phase becomes a folder name and a part of a dotted key, so no dots, slashes or spaces.
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$", max_length=100)]
# A run's name is a folder only, so dots are welcome in it: tinyllama-1.1b.
RunName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=100)]
Language = Annotated[str, Field(pattern=r"^[a-z]{2,3}(_[A-Z][a-z]{3})?$")]


class Section(BaseModel):
    """A part of a recipe: unknown keys are refused, nothing changes after loading."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, use_attribute_docstrings=True, allow_inf_nan=False, validate_by_name=True
    )
