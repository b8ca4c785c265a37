"""What a byte-pair tokenizer does with text, as arrays that a kernel can follow, or the reason why that is not proven.

In goes a tokenizer folder, out come `Tables`. Text changes only by merges: two neighbouring symbols become one if
their pair is listed, best rank first, leftmost first among equals. A merge reaches over a place in the text only if its
left symbol ends with the byte before that place and its right symbol begins with the byte after it. So where no pair of
the whole vocabulary does, the text can be cut and each part merged alone: `joined` says where not to cut. Nothing is
assumed about spaces, digits or line ends; that most words stand alone follows from the pairs that were learned.
"""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from lhama.tokens.sentencepiece_model import BYTES, MARK
from lhama.tokens.tokenizer_json import SPACE

NOTHING = (1 << 64) - 1  # an empty slot of the table of pairs, and the answer for a pair that is not in it
CONTINUES = range(0x80, 0xC0)  # UTF-8's bytes inside a character
POINTS = 0x110000

NO_PREFIX, PREFIX, PREFIX_IF_NONE = 0, 1, 2

Pairs = dict[tuple[str, str], int]


class Unproven(Exception):  # noqa: N818 - not a fault: the library takes over
    """The kernel might give other ids than the library, for the reason that the message tells."""


class Tables(NamedTuple):
    """A tokenizer as arrays; symbols are numbered, -1 stands for a character that is in no pair and has no piece."""

    joined: NDArray[np.uint8]
    """joined[256 * a + b] is 1 where a merge could reach over the place between the bytes a and b."""
    characters: NDArray[np.int32]
    """The symbol of each code point."""
    pairs: NDArray[np.uint64]
    """Open addressing by `slot_of`, two words a slot: left symbol * 2^32 + right symbol, or NOTHING; then
    rank * 2^32 + the symbol that the pair becomes."""
    ids: NDArray[np.int32]
    """The id of each symbol, -1 for a character without a piece: it is written in bytes."""
    bytes: NDArray[np.int32]
    """The ids of the 256 bytes."""
    prefix: int
    """NO_PREFIX, PREFIX or PREFIX_IF_NONE: whether a space is put in front of a text that is not empty."""


def tables_of(folder: Path) -> Tables:
    """Read the tokenizer that `Vocabulary.load` would open; raise Unproven where its ids might differ."""
    model = folder / "tokenizer.model"
    if model.is_file():
        from sentencepiece import sentencepiece_model_pb2 as protocol

        read = protocol.ModelProto.FromString(model.read_bytes())
        if read.trainer_spec.model_prefix == MARK:
            return of_model(read)
    return of_json(json.loads((folder / "tokenizer.json").read_text(encoding="utf-8")))


def of_model(model: Any) -> Tables:
    """Make the tables of a SentencePiece BPE model: a piece may come from any two symbols that make its text."""
    kinds = type(model).SentencePiece
    spec, normalizer = model.trainer_spec, model.normalizer_spec
    plain = {entry.piece: entry for entry in model.pieces if entry.type == kinds.NORMAL}
    apart = {entry.piece for entry in model.pieces if entry.type == kinds.USER_DEFINED}
    reserved = {entry.piece for entry in model.pieces} - plain.keys() - apart
    numbers = {entry.piece: number for number, entry in enumerate(model.pieces)}
    _demand(
        {
            "it is no byte-pair model": spec.model_type == type(spec).BPE,
            "it normalizes text": not normalizer.precompiled_charsmap and not normalizer.remove_extra_whitespaces,
            "it treats spaces in its own way": normalizer.escape_whitespaces and not normalizer.add_dummy_prefix,
            "it does not fall back to bytes": spec.byte_fallback and not set(BYTES) - reserved,
            "it has pieces that are not used": not any(entry.type == kinds.UNUSED for entry in model.pieces),
            "it has pieces with U+0000, which SentencePiece does not find": not any("\0" in piece for piece in plain),
            "it has special pieces of one character": all(len(piece) > 1 for piece in reserved),
            "it has pieces of the user's with several characters": all(len(piece) == 1 for piece in apart),
        }
    )
    known = {*plain, *(character for piece in plain for character in piece)} - apart
    order = np.unique([-plain[piece].score for piece in plain if len(piece) > 1])  # equal scores share a rank
    pairs = {
        (piece[:at], piece[at:]): int(np.searchsorted(order, -plain[piece].score))
        for piece in plain
        for at in range(1, len(piece))
        if piece[:at] in known and piece[at:] in known
    }
    return _tables(pairs, {piece: numbers[piece] for piece in (*plain, *apart)}, numbers, NO_PREFIX)


def of_json(told: dict[str, Any]) -> Tables:
    """Make the tables of a `tokenizers` file in the form of Llama's: its own list of pairs, spaces kept as U+2581."""
    model, added = told["model"], [entry for entry in told.get("added_tokens", []) if not entry["special"]]
    prefix = _prefix(told.get("normalizer"), told.get("pre_tokenizer"))
    listed = [tuple(pair.split(" ") if isinstance(pair, str) else pair) for pair in model.get("merges", [])]
    ids = model["vocab"]
    _demand(
        {
            "it is no byte-pair model": model.get("type") == "BPE" and not model.get("dropout"),
            "it changes or splits text by rules of its own": prefix is not None,
            "it cuts or fills texts": not told.get("truncation") and not told.get("padding"),
            "it marks the inside or the end of words": not model.get("continuing_subword_prefix")
            and not model.get("end_of_word_suffix"),
            "it looks words up before it merges": not model.get("ignore_merges"),
            "it does not fall back to bytes": model.get("byte_fallback") and not set(BYTES) - set(ids),
            "it merges bytes": not {side for pair in listed for side in pair} & set(BYTES),
            "it has added tokens that are found before it merges": all(_is_apart(one, prefix) for one in added),
        }
    )
    apart = {entry["content"] for entry in added}
    pairs = {(left, right): rank for rank, (left, right) in enumerate(listed) if not apart & {*left, *right}}
    return _tables(pairs, {**ids, **{entry["content"]: entry["id"] for entry in added}}, ids, prefix or NO_PREFIX)


def _demand(conditions: dict[str, Any]) -> None:
    for reason, holds in conditions.items():
        if not holds:
            raise Unproven(reason)


def _prefix(normalizer: Any, splitter: Any) -> int | None:
    """Tell from the two forms that Llama's tokenizers come in what is put in front; None for any other form."""
    replace = {"type": "Replace", "pattern": {"String": " "}, "content": SPACE}
    if splitter is None:
        steps = (normalizer or {}).get("normalizers", [normalizer])
        known = {NO_PREFIX: [replace], PREFIX: [{"type": "Prepend", "prepend": SPACE}, replace]}
        return next((prefix for prefix, form in known.items() if steps == form), None)
    schemes = {"never": NO_PREFIX, "first": PREFIX_IF_NONE, "always": PREFIX_IF_NONE}
    scheme = splitter.get("prepend_scheme")
    form = {"type": "Metaspace", "replacement": SPACE, "prepend_scheme": scheme, "split": False}
    return schemes.get(scheme) if normalizer is None and splitter == form else None


def _is_apart(entry: dict[str, Any], prefix: int | None) -> bool:
    """Tell whether an added token does no more than stand alone: a second prefix would follow it otherwise."""
    strips = entry["single_word"] or entry["lstrip"] or entry["rstrip"]
    return len(entry["content"]) == 1 and entry["content"] not in (" ", SPACE) and not strips and not prefix


def _tables(pairs: Pairs, ids: dict[str, int], numbers: dict[str, int], prefix: int) -> Tables:
    """Number the symbols and lay the pairs out; a text's U+2581 and its spaces are one and the same."""
    _demand(
        {
            "it has pieces with real spaces": not any(" " in piece for piece in ids),
            "it has no piece for a space": SPACE in ids,
        }
    )
    characters = {piece for piece in ids if len(piece) == 1}
    symbols = {text: number for number, text in enumerate(sorted({*characters, *_texts(pairs)}))}
    joined = np.zeros(1 << 16, dtype=np.uint8)
    joined.reshape(256, 256)[:, CONTINUES] = 1
    for left, right in pairs:
        joined[256 * _bytes(left)[-1] + _bytes(right)[0]] = 1
    points = np.full(POINTS, -1, dtype=np.int32)
    for text, number in symbols.items():
        if len(text) == 1:
            points[ord(text)] = number
    points[ord(" ")] = points[ord(SPACE)]
    of_symbols = np.array([ids.get(text, -1) for text in symbols], dtype=np.int32)
    table = _laid_out(pairs, symbols)
    return Tables(joined, points, table, of_symbols, np.array([numbers[b] for b in BYTES], np.int32), prefix)


def _texts(pairs: Pairs) -> Iterable[str]:
    return (text for left, right in pairs for text in (left, right, left + right))


def _bytes(text: str) -> bytes:
    return text.replace(SPACE, " ").encode()


def slot_of(key: int, slots: int) -> int:
    """Return where to begin to look for a pair; the kernel has the same formula."""
    return (key * 0x9E3779B97F4A7C15 & NOTHING) >> 32 & (slots - 1)


def _laid_out(pairs: Pairs, symbols: dict[str, int]) -> NDArray[np.uint64]:
    """Put the pairs into a table that is at most half full."""
    slots = 1 << (2 * len(pairs) + 1).bit_length()
    table = [NOTHING] * (2 * slots)
    for (left, right), rank in pairs.items():
        key = symbols[left] << 32 | symbols[right]
        slot = slot_of(key, slots)
        while table[2 * slot] != NOTHING:
            slot = (slot + 1) & (slots - 1)
        table[2 * slot : 2 * slot + 2] = [key, rank << 32 | symbols[left + right]]
    return np.array(table, dtype=np.uint64)
