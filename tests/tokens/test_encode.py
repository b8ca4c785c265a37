"""The kernel gives the library's ids for every text and every vocabulary that it takes on, whatever is in its cache."""

import json
import random
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import sentencepiece
import tokenizers
from hypothesis import given, settings
from hypothesis import strategies as st
from sentencepiece import sentencepiece_model_pb2 as protocol

from lhama.tokens import encoder, merges, sentencepiece_model
from lhama.tokens.encoder import Encoded, Kernel, by_library, open_encoder
from lhama.tokens.merges import Tables, Unproven, of_json, of_model
from lhama.tokens.tokenizer_json import SPACE, tokenizer_json
from lhama.tokens.vocabulary import Vocabulary, VocabularySettings, train_vocabulary
from tests.tokens.conftest import small_text
from tests.tokens.test_vocabulary import BATTERY, CORPUS

BOS, EOS = 1, 2


def ids_of(encoded: Encoded) -> list[list[int]]:
    """Take the documents apart again; each must have its marks."""
    ends = np.cumsum(encoded.lengths).tolist()
    assert ends[-1] == len(encoded.ids)
    documents = [
        encoded.ids[end - length : end].tolist() for end, length in zip(ends, encoded.lengths.tolist(), strict=True)
    ]
    assert all(ids[0] == BOS and ids[-1] == EOS for ids in documents)
    return [ids[1:-1] for ids in documents]


def column(texts: list[str]) -> Any:
    return pa.array(texts, pa.large_string())


def kernel_of(tables: Tables, entries: int = 1 << 10) -> Kernel:
    return Kernel(tables, BOS, EOS, "uint32", entries)


@pytest.fixture(scope="session")
def kernel(vocabulary_folder: Path) -> Kernel:
    chosen = open_encoder(Vocabulary.load(vocabulary_folder))
    assert chosen.slow_because is None
    assert isinstance(chosen.encode, Kernel)
    return chosen.encode


@pytest.fixture(scope="session")
def processor(vocabulary_folder: Path) -> Any:
    return sentencepiece.SentencePieceProcessor(model_file=str(vocabulary_folder / "tokenizer.model"))


def pieces_of(processor: Any) -> list[str]:
    return [processor.id_to_piece(number).replace(SPACE, " ") for number in range(processor.get_piece_size())]


def test_the_hard_battery(kernel: Kernel, processor: Any) -> None:
    texts = [*BATTERY, "".join(BATTERY), *pieces_of(processor)]
    assert ids_of(kernel(column(texts))) == processor.encode(texts)


@settings(max_examples=300)
@given(texts=st.lists(st.text(), min_size=1, max_size=4))
def test_any_text(kernel: Kernel, processor: Any, texts: list[str]) -> None:
    assert ids_of(kernel(column(texts))) == processor.encode(texts)


ODD = [
    " ",
    "  ",
    "\n",
    "\t",
    "\r\n",
    "\x00",
    SPACE,
    "\u2580",
    "\u3041",
    "<s>",
    "</s>",
    "<0x41>",
    "7",
    "é",
    "e\u0301",
    "🦙",
    "-",
]


@settings(max_examples=300)
@given(drawn=st.lists(st.tuples(st.integers(0, 10**6), st.integers(1, 6)), min_size=1, max_size=30))
def test_pieces_and_odd_characters_joined(kernel: Kernel, processor: Any, drawn: list[tuple[int, int]]) -> None:
    parts = [*pieces_of(processor), *ODD * 12]
    text = "".join(parts[number % len(parts)] * times for number, times in drawn)
    assert ids_of(kernel(column([text]))) == [processor.encode(text)]


@pytest.mark.parametrize("unit", ["a", "ab", "não", " ", "-", "\u4e2d", "<s>", "0"])
def test_a_long_part_is_merged_like_a_short_one(kernel: Kernel, processor: Any, unit: str) -> None:
    """Quadratic work would take minutes here; the lengths around the kernel's own limits are all tried."""
    texts = [unit * times for times in (*range(40), *range(80, 90), *range(250, 260), 100_000)]
    assert ids_of(kernel(column(texts))) == processor.encode(texts)


def grown(alphabet: str, draws: list[tuple[int, int]]) -> list[str]:
    """Make pieces by joining two known ones again and again, across spaces and digits as no trainer would."""
    known = list(alphabet)
    for left, right in draws:
        piece = known[left % len(known)] + known[right % len(known)]
        if piece not in known and len(piece) <= 12:
            known.append(piece)
    return known[len(alphabet) :]


def singles(alphabet: str) -> list[str]:
    """Return the characters that need a piece of their own: always the space, never the newline, which has one."""
    return [character for character in dict.fromkeys(alphabet + SPACE) if character != "\n"]


METASPACE = {"type": "Metaspace", "replacement": SPACE, "prepend_scheme": "first", "split": False}
FORMS = ["replace", "prepend", "never", "first", "always"]
DRAWS = st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)), min_size=1, max_size=16)
ALPHABETS = st.sampled_from(
    [f"a{SPACE}", "ab", f"a1{SPACE}", "a-", f"éà{SPACE}", f"🦙中{SPACE}", "a\n", f"\u2580{SPACE}\u2040"]
)


def texts_over(alphabet: str, pieces: list[str], chance: random.Random) -> list[str]:
    signs = [*pieces, *alphabet, " ", "\n", "x", "ü"]
    return ["".join(chance.choices(signs, k=chance.randrange(1, 12))).replace(SPACE, " ") for _ in range(60)]


@settings(max_examples=100)
@given(alphabet=ALPHABETS, draws=DRAWS, levels=st.integers(1, 20), chance=st.randoms(use_true_random=False))
def test_any_vocabulary(alphabet: str, draws: list[tuple[int, int]], levels: int, chance: Any) -> None:
    """Pieces in any order, with equal scores, with characters that have no piece of their own."""
    pieces = grown(alphabet, draws)
    chance.shuffle(pieces)
    model = protocol.ModelProto.FromString(
        sentencepiece_model.build([*pieces, *singles(alphabet[chance.randrange(2) :])])
    )
    for number, entry in enumerate(model.pieces[len(sentencepiece_model.FIXED) :]):
        entry.score = -float(number % levels)
    texts = texts_over(alphabet, pieces, chance)
    library = sentencepiece.SentencePieceProcessor(model_proto=model.SerializeToString())
    assert ids_of(kernel_of(of_model(model))(column(texts))) == library.encode(texts, num_threads=1)


@settings(max_examples=100)
@given(
    alphabet=ALPHABETS | st.just("a\x00"),
    draws=DRAWS,
    form=st.sampled_from(FORMS),
    chance=st.randoms(use_true_random=False),
)
def test_any_tokenizer_json(alphabet: str, draws: list[tuple[int, int]], form: str, chance: Any) -> None:
    """Llama's forms with a list of pairs in any order, some of them missing."""
    pieces = grown(alphabet, draws)
    model = protocol.ModelProto.FromString(sentencepiece_model.build([*pieces, *singles(alphabet)]))
    told = described(model, form)
    pairs = told["model"]["merges"]
    kept = chance.sample(pairs, k=chance.randrange(len(pairs) + 1))
    told["model"]["merges"] = [" ".join(pair) for pair in kept] if chance.random() < 0.5 else kept
    library = tokenizers.Tokenizer.from_str(json.dumps(told))
    library.encode_special_tokens = True
    texts = texts_over(alphabet, pieces, chance)
    found = library.encode_batch(texts, add_special_tokens=False)
    assert ids_of(kernel_of(of_json(told))(column(texts))) == [one.ids for one in found]


def described(model: Any, form: str) -> dict[str, Any]:
    """Write a tokenizer.json; with a space in front the newline is a character like others, as in Llama 2."""
    model.normalizer_spec.add_dummy_prefix = form == "prepend"
    told: dict[str, Any] = json.loads(json.dumps(tokenizer_json(model)))
    if form not in ("replace", "never"):
        told["added_tokens"] = [entry for entry in told["added_tokens"] if entry["content"] != "\n"]
    if form in ("never", "first", "always"):
        told["normalizer"] = None
        told["pre_tokenizer"] = {**METASPACE, "prepend_scheme": form}
    return told


@pytest.mark.parametrize("form", FORMS)
def test_an_added_token_of_one_character_never_merges(form: str) -> None:
    model = protocol.ModelProto.FromString(sentencepiece_model.build(["a\n", "\na", "a", SPACE]))
    told = described(model, form)
    told["model"]["merges"] = [["a", "\n"], ["\n", "a"]]
    library = tokenizers.Tokenizer.from_str(json.dumps(told))
    texts = ["a\na", "\na", "a\n\n a\n", "\n", " a\n"]
    expected = [one.ids for one in library.encode_batch(texts, add_special_tokens=False)]
    assert ids_of(kernel_of(of_json(told))(column(texts))) == expected


def small_model() -> Any:
    return protocol.ModelProto.FromString(sentencepiece_model.build(["ab", f"{SPACE}a", "a", "b", SPACE]))


def test_where_text_may_be_cut() -> None:
    # The pairs are a+b and space+a: nothing else reaches over a place, and characters of several bytes stay whole.
    joined = of_model(small_model()).joined.reshape(256, 256)
    assert [tuple(pair) for pair in np.argwhere(joined[:, :128]).tolist()] == [(32, 97), (97, 98)]
    assert joined[:, 128:192].all()
    assert not joined[:, 192:].any()


def test_a_piece_with_a_space_inside_forbids_that_cut() -> None:
    model = protocol.ModelProto.FromString(sentencepiece_model.build([f"b{SPACE}", f"b{SPACE}a", "a", "b", SPACE]))
    joined = of_model(model).joined
    assert joined[256 * ord("b") + 32] and joined[256 * 32 + ord("a")]


def changed(**changes: Any) -> dict[str, Any]:
    told = described(small_model(), "replace")
    told["model"].update({key: value for key, value in changes.items() if key in told["model"]})
    told.update({key: value for key, value in changes.items() if key in told})
    return told


ADDED = {"id": 3, "content": "ab", "single_word": False, "lstrip": False, "rstrip": False, "special": False}
REFUSED = [
    ("no byte-pair model", {"dropout": 0.1}),
    ("rules of its own", {"normalizer": None}),
    ("rules of its own", {"normalizer": {"type": "NFC"}}),
    ("rules of its own", {"pre_tokenizer": {"type": "Whitespace"}}),
    ("rules of its own", {"normalizer": None, "pre_tokenizer": {**METASPACE, "split": True}}),
    ("cuts or fills", {"truncation": {"max_length": 8}}),
    ("end of words", {"end_of_word_suffix": "</w>"}),
    ("looks words up", {"ignore_merges": True}),
    ("fall back to bytes", {"byte_fallback": False}),
    ("merges bytes", {"merges": [["<0x41>", "a"]]}),
    ("added tokens", {"added_tokens": [ADDED]}),
    ("added tokens", {"added_tokens": [{**ADDED, "content": "\n", "rstrip": True}]}),
]


@pytest.mark.parametrize(("reason", "changes"), REFUSED)
def test_what_is_not_proven_is_refused(reason: str, changes: dict[str, Any]) -> None:
    of_json(changed())
    with pytest.raises(Unproven, match=reason):
        of_json(changed(**changes))


def test_a_model_that_is_not_proven_is_refused() -> None:
    def refused(change: Callable[[Any], None], reason: str) -> None:
        model = small_model()
        change(model)
        with pytest.raises(Unproven, match=reason):
            of_model(model)

    kinds = protocol.ModelProto.SentencePiece
    refused(lambda model: setattr(model.trainer_spec, "model_type", protocol.TrainerSpec.UNIGRAM), "no byte-pair")
    refused(lambda model: setattr(model.trainer_spec, "byte_fallback", False), "fall back")
    refused(lambda model: setattr(model.normalizer_spec, "add_dummy_prefix", True), "spaces in its own way")
    refused(lambda model: setattr(model.normalizer_spec, "precompiled_charsmap", b"x"), "normalizes")
    refused(lambda model: setattr(model.pieces[-1], "type", kinds.UNUSED), "not used")
    refused(lambda model: setattr(model.pieces[-2], "type", kinds.CONTROL), "special pieces of one")
    refused(lambda model: setattr(model.pieces[-5], "type", kinds.USER_DEFINED), "several characters")
    refused(lambda model: setattr(model.pieces[-5], "piece", "a b"), "real spaces")
    refused(lambda model: setattr(model.pieces[-5], "piece", "a\0b"), r"U\+0000")
    refused(lambda model: setattr(model.pieces[-1], "piece", "c"), "no piece for a space")


def test_a_tiny_cache_that_is_always_full_changes_nothing(
    kernel: Kernel, processor: Any, vocabulary_folder: Path
) -> None:
    tiny = kernel_of(merges.tables_of(vocabulary_folder), entries=4)
    texts = [text for _, _, text in small_text()]
    for _ in range(2):  # the second time with whatever the first has left
        assert ids_of(tiny(column(texts))) == processor.encode(texts)


def test_parts_that_differ_in_one_byte_are_told_apart() -> None:
    """All in one set of a cache of four entries, in every length around that of a key."""
    model = protocol.ModelProto.FromString(
        sentencepiece_model.build(["aa", "a" * 4, "a" * 8, "ab", "ba", "a", "b", SPACE])
    )
    library = sentencepiece.SentencePieceProcessor(model_proto=model.SerializeToString())
    texts = [("a" * at + "b" + "a" * length)[:length] for length in range(1, 34) for at in range(length + 1)]
    tiny = kernel_of(of_model(model), entries=4)
    assert ids_of(tiny(column(texts * 2))) == library.encode(texts * 2, num_threads=1)


def test_texts_come_in_order_from_any_number_of_threads(kernel: Kernel) -> None:
    jobs = [(number, column([text])) for number, (_, _, text) in enumerate(small_text()[:200])]
    runs = [list(encoder.Encoder(kernel, "uint16", workers).over(jobs)) for workers in (1, 3)]
    for (one, _, ours), (other, _, theirs), (number, _) in zip(*runs, jobs, strict=True):
        assert one == other == number
        assert np.array_equal(ours.ids, theirs.ids)


def test_a_slice_of_a_column_and_both_kinds_of_strings(kernel: Kernel, processor: Any) -> None:
    texts = [text for _, _, text in small_text()[:50]]
    for kind in (pa.string(), pa.large_string()):
        assert ids_of(kernel(pa.array(texts, kind)[7:31])) == processor.encode(texts[7:31])
    assert len(kernel(pa.array([], pa.string())).ids) == 0


def test_the_library_takes_over_where_nothing_is_proven(
    vocabulary_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    vocabulary = Vocabulary.load(vocabulary_folder)
    real = merges.tables_of(vocabulary_folder)
    wrong = real._replace(ids=np.where(real.ids == 400, 401, real.ids).astype(np.int32))
    monkeypatch.setattr(encoder, "tables_of", lambda folder: wrong)
    chosen = open_encoder(vocabulary)
    assert chosen.slow_because == "the kernel gives other ids for some of its pieces"
    texts = column(BATTERY)
    expected = by_library(vocabulary).encode(texts)
    assert np.array_equal(chosen.encode(texts).ids, expected.ids)


def test_without_numba_the_library_encodes(vocabulary_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from lhama import tokens

    monkeypatch.delattr(tokens, "kernels", raising=False)
    monkeypatch.setitem(sys.modules, "lhama.tokens.kernels", None)
    assert open_encoder(Vocabulary.load(vocabulary_folder)).slow_because == "numba is not installed"


@pytest.mark.skipif(not CORPUS.is_dir(), reason="the real corpus is not here")
def test_a_thousand_real_documents(tmp_path: Path) -> None:
    import zstandard

    texts: list[str] = []
    for path in sorted(CORPUS.glob("*.jsonl.zst")):
        with path.open("rb") as file:
            lines = zstandard.ZstdDecompressor().stream_reader(file).read(2_000_000).split(b"\n")[:-1][:60]
        texts += [json.loads(line)["text"][:30_000] for line in lines]
    texts = [text.encode("utf-8", "replace").decode() for text in texts][:1000]
    assert len(texts) == 1000
    documents = [("real", str(number), text) for number, text in enumerate(texts)]
    train_vocabulary(documents, VocabularySettings(size=4096, sample_bytes=10**7), tmp_path)
    chosen = open_encoder(Vocabulary.load(tmp_path))
    assert chosen.slow_because is None
    processor = sentencepiece.SentencePieceProcessor(model_file=str(tmp_path / "tokenizer.model"))
    assert ids_of(chosen.encode(column(texts))) == processor.encode(texts)
