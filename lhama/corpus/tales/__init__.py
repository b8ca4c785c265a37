"""The embedded corpus: a seed goes in, short Brazilian Portuguese stories and other teaching texts come out.

It is a teaching corpus, written for this project: small, clean and regular on purpose, so that a tiny model can learn
it on a laptop and a checker can judge what the model writes. It shows whether the pipeline learns syntax, agreement,
reference and a few facts; it says nothing about how a model handles real Portuguese. docs/tales.md tells more.
"""

from lhama.corpus.tales.check import faults
from lhama.corpus.tales.documents import HELD_OUT, Prompt, Tale, document, documents, prompts
from lhama.corpus.tales.rows import LABELS, instructions, labelled, multiple_choice, preferences

__all__ = [
    "HELD_OUT",
    "LABELS",
    "Prompt",
    "Tale",
    "document",
    "documents",
    "faults",
    "instructions",
    "labelled",
    "multiple_choice",
    "preferences",
    "prompts",
]
