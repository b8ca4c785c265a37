"""Train a SentencePiece BPE model whose ids every reader agrees on.

In go short items of text, out come the bytes of a `tokenizer.model`. SentencePiece merges by the score of the piece
that results, leftmost first; `tokenizers` merges by the rank of a pair. A piece with several splits has several pairs,
so the two disagree in three cases, each of which is removed here:
  1. a long piece with a better score than a part of it: the order is changed so that parts come before wholes;
  2. two overlapping places for one piece, `xy` and `yz` in `xyz`: `merges` lists the left one's split first;
  3. a repetition like "aaa", where in turn both splits would have to come first: the piece is taken out.
With 1, both readers finish all places of one piece before they turn to the next; with 2 and 3, they choose the same
places. BPE: Sennrich et al. 2016 (arXiv:1508.07909); SentencePiece: Kudo and Richardson 2018 (arXiv:1808.06226).
"""

import io
from collections.abc import Iterable, Sequence

import sentencepiece
from sentencepiece import sentencepiece_model_pb2 as protocol

from lhama.plan.problem import Problem

SPECIAL = ("<unk>", "<s>", "</s>", "<pad>")
RESERVED = tuple(f"<|reserved_{number:02d}|>" for number in range(64))
BYTES = tuple(f"<0x{number:02X}>" for number in range(256))
NEWLINE = "\n"
FIXED = (*SPECIAL, *RESERVED, *BYTES, NEWLINE)  # the ids that do not depend on any text, in their order

MARK = "lhama"  # written into the model, to know our own vocabularies by
LONGEST_ITEM = 4192  # bytes; SentencePiece's own limit, beyond which it leaves an item out and does not say so
COVERAGE = 0.99995  # share of all characters that get a piece of their own, as in Llama 2's tokenizer.model
UNUSABLE = "\t\x00\u2585"  # SentencePiece uses these as marks while it trains and skips items or splits at them


def train(items: Iterable[str], vocabulary: int, threads: int) -> bytes:
    """Train a model of exactly this size; the items must be short and hold no newline (see sample.py)."""
    learned = vocabulary - len(FIXED)
    items = list(items)
    slack = max(128, learned // 16)
    while True:
        pieces, characters = _learn(items, learned + slack, threads)
        ranked = arrange(pieces, characters)
        room = learned - len(characters)
        model, dead = b"", set[str]()
        while room >= 0 and len(ranked) >= room:
            model = build([*ranked[:room], *characters])
            dead = misread(model)
            if not dead:
                return model
            ranked = arrange([piece for piece in ranked if piece not in dead], characters)
        if room < 0 or len(pieces) + len(characters) < learned + slack:
            raise _too_large(len(FIXED) + len(characters), len(ranked), vocabulary)
        slack *= 2


def _too_large(fixed: int, learned: int, vocabulary: int) -> Problem:
    least = -(-fixed // 128) * 128
    most = (fixed + learned) // 128 * 128
    if vocabulary < fixed:
        what, remedy = (
            f"{vocabulary} is less than the {fixed} single characters and bytes need",
            f"give {least} or more",
        )
    else:
        what = f"the text has only enough different words for a vocabulary of {most}"
        remedy = f"give {most} or less" if most >= fixed else "give more text"
    return Problem(what, key="tokens.vocabulary", remedy=remedy)


def _learn(items: list[str], size: int, threads: int) -> tuple[list[str], list[str]]:
    """Return the pieces of several characters in the order of their merges, and the single characters."""
    target = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(items),
        model_writer=target,
        model_type="bpe",
        vocab_size=size + 3 + len(BYTES),  # <unk>, <s> and </s> are its own
        hard_vocab_limit=False,
        character_coverage=COVERAGE,
        byte_fallback=True,
        split_digits=True,
        normalization_rule_name="identity",
        add_dummy_prefix=False,
        remove_extra_whitespaces=False,
        allow_whitespace_only_pieces=True,
        max_sentence_length=LONGEST_ITEM,
        shuffle_input_sentence=False,
        num_threads=threads,
        minloglevel=2,
    )
    model = protocol.ModelProto.FromString(target.getvalue())
    normal = [entry.piece for entry in model.pieces if entry.type == protocol.ModelProto.SentencePiece.NORMAL]
    return [piece for piece in normal if len(piece) > 1], [piece for piece in normal if len(piece) == 1]


def splits(piece: str, known: set[str] | dict[str, int]) -> list[int]:
    """Return the places at which a piece can be joined from two known ones."""
    return [at for at in range(1, len(piece)) if piece[:at] in known and piece[at:] in known]


def contradictory(piece: str, places: list[int]) -> bool:
    """Say whether, of two splits k and L-k, each would have to come before the other (case 3)."""
    length = len(piece)
    return any(
        length - k in places and piece[:k] == piece[length - k :] and piece[: length - k] == piece[k:]
        for k in places
        if 2 * k < length
    )


def arrange(ranked: list[str], characters: list[str]) -> list[str]:
    """Take out contradictory pieces and put parts before wholes, changing the learned order as little as possible."""
    rank = {piece: number for number, piece in enumerate(ranked)}
    earliest = dict.fromkeys(characters, -1)
    for piece in sorted(rank, key=len):
        places = splits(piece, earliest)
        if places and not contradictory(piece, places):
            parts = max(max(earliest[piece[:at]], earliest[piece[at:]]) for at in places)
            earliest[piece] = max(rank[piece], parts)
    kept = [piece for piece in ranked if piece in earliest]
    return sorted(kept, key=lambda piece: (earliest[piece], len(piece), rank[piece]))


def merges(pieces: Sequence[str], characters: Sequence[str]) -> list[tuple[str, str]]:
    """List every pair that makes a piece, in the order of the pieces.

    Of two overlapping places `xy` and `yz` for one piece, SentencePiece takes the left one. There y is the piece's
    beginning and its end, so `yz` is the split whose left part is also the piece's end: such splits come last.
    """
    known = {*characters, *pieces}
    pairs = []
    for piece in pieces:
        places = sorted(splits(piece, known), key=lambda at: (piece.endswith(piece[:at]), at))
        pairs += [(piece[:at], piece[at:]) for at in places]
    return pairs


def build(learned: list[str]) -> bytes:
    """Write a model with the fixed pieces and the learned ones, scored by their order."""
    kinds = protocol.ModelProto.SentencePiece
    fixed_kinds = [kinds.UNKNOWN, *[kinds.CONTROL] * (len(SPECIAL) - 1 + len(RESERVED)), *[kinds.BYTE] * len(BYTES)]
    model = protocol.ModelProto()
    for piece, kind in zip(FIXED, [*fixed_kinds, kinds.USER_DEFINED], strict=True):
        model.pieces.add(piece=piece, score=0.0, type=kind)
    for number, piece in enumerate(learned):
        model.pieces.add(piece=piece, score=-float(number), type=kinds.NORMAL)
    trainer = model.trainer_spec
    trainer.model_prefix = MARK
    trainer.model_type = protocol.TrainerSpec.BPE
    trainer.vocab_size = len(model.pieces)
    trainer.byte_fallback = trainer.split_digits = trainer.allow_whitespace_only_pieces = True
    trainer.character_coverage = COVERAGE
    trainer.unk_id, trainer.bos_id, trainer.eos_id, trainer.pad_id = range(4)
    trainer.control_symbols.extend(RESERVED)
    trainer.user_defined_symbols.append(NEWLINE)
    normalizer = model.normalizer_spec
    normalizer.name = "identity"
    normalizer.add_dummy_prefix = normalizer.remove_extra_whitespaces = False
    normalizer.escape_whitespaces = True
    written: bytes = model.SerializeToString(deterministic=True)
    return written


def misread(model: bytes) -> set[str]:
    """Return the learned pieces that the model itself reads as something else: they would never be used."""
    processor = sentencepiece.SentencePieceProcessor(model_proto=model)
    numbers = range(len(FIXED), processor.get_piece_size())
    pieces = [processor.id_to_piece(number) for number in numbers]
    read = processor.encode([piece.replace("\u2581", " ") for piece in pieces], num_threads=1)
    return {piece for piece, number, ids in zip(pieces, numbers, read, strict=True) if ids != [number]}
