"""Keep code from the rules of prose: which lines of a document are code, and which are code that was translated.

In go documents as bytes and offsets, out come the same documents without their lines of code, for the rules of prose to
measure, and two numbers for each: the share of its bytes that is code, and how many lines are machine-translated code,
as in `importar torch` (the paper on TeenyTinyLlama, footnote 12). Nothing is taken out of the text that is kept: what
is left out here is left out of the measurements alone.
"""

import tomllib
from functools import cache
from importlib.resources import files
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from lhama.corpus.kernels.blocks import block_marks
from lhama.corpus.kernels.characters import character_kinds
from lhama.corpus.kernels.measure import hash_table, known_hashes
from lhama.corpus.kernels.prose import flag_lines, part_documents
from lhama.corpus.kernels.translated import ROLES
from lhama.corpus.words import Texts, room, tables

MEASURES = {"code_share": pa.float32(), "translated_lines": pa.int32()}
"""What is measured about code: the share of bytes in lines of code (0 to 1), and lines of translated code."""


class Prose(NamedTuple):
    """Documents without their code, and what there was of it."""

    texts: Texts
    code_share: npt.NDArray[np.float32]
    translated_lines: npt.NDArray[np.int32]


class Roles(NamedTuple):
    """A hash table of the words that translated code is known by, each with what it may stand for."""

    hashes: npt.NDArray[np.uint64]
    roles: npt.NDArray[np.int64]


@cache
def roles_of(language: str) -> Roles:
    """Read the words of translated code of a language; a language without them has none."""
    name = files("lhama.corpus.languages") / f"{language}.toml"
    table = tomllib.loads(name.read_text(encoding="utf-8")) if name.is_file() else {}
    roles: dict[int, int] = {}
    for role, words in table.get("translated-code", {}).items():
        for word in known_hashes(tuple(words.split())):
            roles[word] = roles.get(word, 0) | ROLES[role]
    hashes = hash_table(roles)
    bits = np.array([roles.get(int(word), 0) for word in hashes], np.int64)
    return Roles(hashes, bits)


def without_code(texts: Texts, language: str) -> Prose:
    """Return the documents (of long ones the first 16 MB) without their lines of code."""
    documents = len(texts.offsets) - 1
    words = room(texts)
    size = len(words.begins) + 1
    out, places = np.empty(len(texts.data), np.uint8), np.zeros(documents + 1, np.int64)
    code_share, translated = np.zeros(documents, np.float32), np.zeros(documents, np.int32)
    part_documents(
        *(texts.data, texts.offsets, character_kinds(), tables().plain, tuple(words)),
        *(np.empty(size, np.int32), np.empty(size, np.int32), np.empty(size, np.uint8)),
        *(block_marks(), tuple(roles_of(language)), out, places, code_share, translated),
    )
    return Prose(Texts(out[: places[-1]], places), code_share, translated)


def flags_of(text: str, language: str) -> list[int]:
    """Say of each line of a text what it is: 0 for prose, else the bits CODE and TRANSLATED."""
    data: Any = np.frombuffer(text.encode(), np.uint8).copy()
    size = len(data) + 2
    flags = np.zeros(size, np.uint8)
    lines = flag_lines(
        *(data, character_kinds(), tables().plain, tuple(room(Texts(data, np.array([0, len(data)]))))),
        *(np.empty(size, np.int32), np.empty(size, np.int32), flags, *block_marks(), *roles_of(language)),
    )
    return [int(flag) & 3 for flag in flags[:lines]]
