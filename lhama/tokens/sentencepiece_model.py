"""Train a SentencePiece BPE model whose ids every reader agrees on.

In go short items of text, out come the bytes of a `tokenizer.model`. SentencePiece merges by the score of the piece
that results, leftmost first; `tokenizers` merges by the rank of a pair, of which a piece has as many as it has splits.
Yet the ids are the same as long as no two pieces have one score and every split is listed: the merges inside a stretch
of text between two ends of symbols are those that the stretch alone would see, in the same order. So if `xy` and `zt`
are the same best piece at one moment, both are that piece's text after all merges but one: x = z. There is never a
choice between two splits of one piece (tests/tokens/test_vocabulary.py tries to find one in random vocabularies).
BPE: Sennrich et al. 2016 (arXiv:1508.07909); SentencePiece: Kudo and Richardson 2018 (arXiv:1808.06226).
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


SLACK = 128  # pieces learned beyond need, to take the place of those that the model never uses


def train(items: Iterable[str], vocabulary: int, threads: int) -> bytes:
    """Train a model of exactly this size; the items must be short and hold no newline (see sample.py)."""
    wanted = vocabulary - len(FIXED)
    items = list(items)
    different = len(set().union(*items))  # the trainer fails where its vocabulary cannot hold them all
    ranked, characters = _learn(items, max(wanted, different) + SLACK, threads)
    room = wanted - len(characters)
    while 0 <= room <= len(ranked):
        model = build([*ranked[:room], *characters])
        unused = misread(model)
        if not unused:
            return model
        ranked = [piece for piece in ranked if piece not in unused]
    raise _impossible(vocabulary, len(FIXED) + len(characters), len(ranked))


def _impossible(vocabulary: int, least: int, learned: int) -> Problem:
    key, most = "tokens.vocabulary", (least + learned) // 128 * 128
    if vocabulary < least:
        what = f"{vocabulary} is less than the {least} pieces that the bytes and single characters need"
        return Problem(what, key=key, remedy=f"give {-(-least // 128) * 128} or more")
    remedy = f"give {most} or less" if most >= least else "give more text"
    return Problem(f"the text has too few different words for {vocabulary} pieces", key=key, remedy=remedy)


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


def merges(pieces: Sequence[str], characters: Sequence[str]) -> list[tuple[str, str]]:
    """List every pair of known pieces that makes a piece, in the order of the pieces."""
    known = {*characters, *pieces}
    return [
        (piece[:at], piece[at:])
        for piece in pieces
        for at in range(1, len(piece))
        if piece[:at] in known and piece[at:] in known
    ]


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
