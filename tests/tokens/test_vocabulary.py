"""One text, the same ids from three readers, and the same text back."""

import json
import random
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sentencepiece
import tokenizers
from hypothesis import given, settings
from hypothesis import strategies as st
from sentencepiece import sentencepiece_model_pb2 as protocol

from lhama.plan.problem import Problem
from lhama.tokens import sentencepiece_model
from lhama.tokens.sentencepiece_model import FIXED, merges
from lhama.tokens.tokenizer_json import adopt, tokenizer_json
from lhama.tokens.vocabulary import LONG, Vocabulary, VocabularySettings, check_size, train_vocabulary
from tests.tokens.conftest import small_text

BATTERY = [
    "",
    "João pôs três pães à mesa; a avó não comeu.",
    "a\u0301 e\u0301 c\u0327 n\u0303 \u1e9b\u0323",  # decomposed: nothing may compose it
    "á é ç ñ ﬁ Å ½ ①",
    "🦙 👩‍👩‍👧 🇧🇷 👍🏽 \U0001f9ff",
    "0 12 345 6.789,01 ٣٤ ½ 2²",
    " um espaço antes",
    "   três antes e três depois   ",
    "  " * 40 + "fim",
    " ",
    "\t\tum\ttabulador\t",
    "\n",
    "\n\n \n  linhas\n\n",
    "windows\r\nmac\rlinux\n",
    "nulo \x00 sino \x07 apaga \x7f escape \x1b[0m",
    "<s> </s> <pad> <unk> <|reserved_00|> <0x41> <s><s>",
    "</s>Texto logo depois",
    "aaaaaaaaaaaaaaa ababababa ......... ---------- ======= kkkkkkk",
    "\ufeffBOM, \u00a0 \u2003 \u3000 \u200b espaços de outros",
    "\ufffd \u2585 \u2588 \U0010ffff \ue000",
    "日本語 русский עברית العربية ไทย",
]

Ids = Callable[[str], list[int]]


@pytest.fixture(scope="session")
def readers(vocabulary_folder: Path) -> dict[str, Any]:
    """Open the same folder in the three libraries."""
    import transformers

    fast = tokenizers.Tokenizer.from_file(str(vocabulary_folder / "tokenizer.json"))
    fast.encode_special_tokens = True
    return {
        "sentencepiece": sentencepiece.SentencePieceProcessor(model_file=str(vocabulary_folder / "tokenizer.model")),
        "tokenizers": fast,
        "transformers": transformers.AutoTokenizer.from_pretrained(vocabulary_folder),
    }


def ids_of(readers: dict[str, Any], text: str) -> dict[str, list[int]]:
    return {
        "sentencepiece": readers["sentencepiece"].encode(text),
        "tokenizers": readers["tokenizers"].encode(text, add_special_tokens=False).ids,
        "transformers": readers["transformers"].encode(text, add_special_tokens=False),
    }


def agree(readers: dict[str, Any], text: str) -> list[int]:
    """Check that all readers give the same ids and the same text back."""
    ids = ids_of(readers, text)
    assert ids["tokenizers"] == ids["sentencepiece"], text
    assert ids["transformers"] == ids["sentencepiece"], text
    back = readers["sentencepiece"].decode(ids["sentencepiece"])
    assert back == text
    assert readers["transformers"].decode(ids["sentencepiece"]) == text
    return ids["sentencepiece"]


@pytest.mark.parametrize("text", BATTERY)
def test_the_hard_battery(readers: dict[str, Any], text: str) -> None:
    agree(readers, text)


def test_all_of_the_battery_at_once(readers: dict[str, Any]) -> None:
    agree(readers, "".join(BATTERY))


@given(text=st.text().filter(lambda text: "\u2581" not in text))
def test_any_text_comes_back(readers: dict[str, Any], text: str) -> None:
    agree(readers, text)


@settings(max_examples=200)
@given(
    text=st.lists(
        st.tuples(st.text(alphabet="ab-. \n", min_size=1, max_size=3), st.integers(1, 12)), min_size=1, max_size=12
    ).map(lambda parts: "".join(part * times for part, times in parts))
)
def test_runs_and_repetitions(readers: dict[str, Any], text: str) -> None:
    agree(readers, text)


def random_joins(pieces: list[str], count: int, seed: int) -> list[str]:
    """Join pieces and parts of pieces at random: the strings in which orders of merging differ, if any do."""
    chance = random.Random(seed)
    found = []
    for _ in range(count):
        chosen = chance.choices(pieces, k=chance.randrange(1, 8))
        text = "".join(
            piece[: chance.randrange(1, len(piece) + 1)] * chance.choice([1, 1, 2, 3, 5]) for piece in chosen
        )
        found.append(text.replace("\u2581", " "))
    return found


def test_pieces_joined_at_random(readers: dict[str, Any]) -> None:
    processor = readers["sentencepiece"]
    pieces = [processor.id_to_piece(number) for number in range(len(FIXED), processor.get_piece_size())]
    texts = random_joins(pieces, 20_000, seed=0)
    fast = readers["tokenizers"].encode_batch(texts, add_special_tokens=False)
    assert [one.ids for one in fast] == processor.encode(texts)


def grown(draws: list[tuple[int, int]]) -> list[str]:
    """Make a vocabulary by joining two known pieces again and again, as byte-pair encoding does."""
    known = ["a", "b"]
    for left, right in draws:
        piece = known[left % len(known)] + known[right % len(known)]
        if piece not in known and len(piece) <= 12:
            known.append(piece)
    return known[2:]


@settings(max_examples=60)
@given(
    draws=st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)), min_size=1, max_size=14),
    order=st.randoms(use_true_random=False),
    backwards=st.booleans(),
)
def test_the_order_of_splits_does_not_matter(draws: list[tuple[int, int]], order: Any, backwards: bool) -> None:
    """The claim in sentencepiece_model.py's docstring, for vocabularies full of repetitions, ranked in any order."""
    pieces = grown(draws)
    order.shuffle(pieces)
    model = sentencepiece_model.build([*pieces, "a", "b"])
    described = tokenizer_json(protocol.ModelProto.FromString(model))
    pairs = merges(pieces, ["a", "b"])
    if backwards:  # the splits of each piece from right to left, the pieces in their order
        pairs = [pair for piece in pieces for pair in reversed([one for one in pairs if "".join(one) == piece])]
    described["model"]["merges"] = pairs
    fast = tokenizers.Tokenizer.from_str(json.dumps(described))
    texts = ["".join(order.choices([*pieces, "a", "b"], k=order.randrange(1, 9))) for _ in range(100)]
    ours = sentencepiece.SentencePieceProcessor(model_proto=model).encode(texts, num_threads=1)
    assert [one.ids for one in fast.encode_batch(texts, add_special_tokens=False)] == ours


def test_merges_list_every_split() -> None:
    assert merges(["ab", "ba", "aba", "xaba"], ["a", "b"]) == [("a", "b"), ("b", "a"), ("a", "ba"), ("ab", "a")]


def test_the_fixed_ids(readers: dict[str, Any], vocabulary_folder: Path) -> None:
    processor = readers["sentencepiece"]
    assert [processor.id_to_piece(number) for number in range(5)] == [
        "<unk>",
        "<s>",
        "</s>",
        "<pad>",
        "<|reserved_00|>",
    ]
    assert processor.id_to_piece(68) == "<0x00>"
    assert processor.encode("\n") == [324]
    vocabulary = Vocabulary.load(vocabulary_folder)
    assert (vocabulary.size, vocabulary.unk, vocabulary.bos, vocabulary.eos, vocabulary.pad) == (640, 0, 1, 2, 3)
    assert not sentencepiece_model.misread((vocabulary_folder / "tokenizer.model").read_bytes())


def test_transformers_puts_one_bos_in_front(readers: dict[str, Any]) -> None:
    fast = readers["transformers"]
    assert fast("Ana").input_ids == [1, *fast.encode("Ana", add_special_tokens=False)]
    assert (fast.bos_token_id, fast.eos_token_id, fast.pad_token_id, fast.unk_token_id) == (1, 2, 3, 0)
    assert fast.decode(fast("Ana").input_ids, skip_special_tokens=True) == "Ana"


def test_the_folder_of_a_llama_opens_without_lhama(vocabulary_folder: Path, tmp_path: Path) -> None:
    """Beside a Llama's config.json, transformers would put its own normalizer and prefix space into the tokenizer."""
    folder = shutil.copytree(vocabulary_folder, tmp_path / "model")
    (folder / "config.json").write_text(json.dumps({"model_type": "llama", "architectures": ["LlamaForCausalLM"]}))
    program = (
        "import json, sys, transformers\n"
        "tokenizer = transformers.AutoTokenizer.from_pretrained(sys.argv[1])\n"
        "ids = [tokenizer.encode(text, add_special_tokens=False) for text in json.load(sys.stdin)]\n"
        "assert 'lhama' not in sys.modules\n"
        "json.dump([ids, [tokenizer.decode(one) for one in ids]], sys.stdout)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(folder)],
        input=json.dumps(BATTERY), capture_output=True, text=True, check=True, cwd=tmp_path,
    )  # fmt: skip
    ids, texts = json.loads(done.stdout)
    vocabulary = Vocabulary.load(vocabulary_folder)
    assert ids == [vocabulary.encode(text) for text in BATTERY]
    assert texts == BATTERY


def test_training_is_deterministic(vocabulary_folder: Path, tmp_path: Path) -> None:
    wanted = VocabularySettings(size=640, sample_bytes=10**7, threads=2)
    train_vocabulary(reversed(small_text()), wanted, tmp_path)
    for name in ("tokenizer.model", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json"):
        assert (tmp_path / name).read_bytes() == (vocabulary_folder / name).read_bytes()


def test_too_little_text_says_which_size_would_do(tmp_path: Path) -> None:
    with pytest.raises(Problem, match=r"tokens\.vocabulary: .* give \d+ or less") as caught:
        train_vocabulary(small_text(), VocabularySettings(size=8192, sample_bytes=10**7), tmp_path)
    right = int(str(caught.value).split("give ")[1].split(" ")[0])
    train_vocabulary(small_text(), VocabularySettings(size=right, sample_bytes=10**7), tmp_path)
    assert Vocabulary.load(tmp_path).size == right
    with pytest.raises(Problem, match=f"give {right} or less"):
        train_vocabulary(small_text(), VocabularySettings(size=right + 128, sample_bytes=10**7), tmp_path)


def test_a_vocabulary_smaller_than_the_characters_says_so(tmp_path: Path) -> None:
    texts = [("f", "1", "".join(map(chr, range(0x4E00, 0x4E00 + 200))) * 20)]
    with pytest.raises(Problem, match="give 640 or more"):
        train_vocabulary(texts, VocabularySettings(size=384, sample_bytes=10**7), tmp_path)


def test_a_streamed_text_is_the_whole_text(vocabulary_folder: Path) -> None:
    vocabulary = Vocabulary.load(vocabulary_folder)
    for text in BATTERY:
        decoder = vocabulary.stream_decoder()
        parts = [decoder.feed(token) for token in vocabulary.encode(text)]
        assert "".join(parts) + decoder.finish() == text
        whole = [part for part in parts if "\ufffd" in part]
        assert not whole or "\ufffd" in text


def test_broken_bytes_are_shown_at_the_end_of_a_stream(vocabulary_folder: Path) -> None:
    decoder = Vocabulary.load(vocabulary_folder).stream_decoder()
    assert decoder.feed(68 + 0xC3) == ""
    assert decoder.finish() == "\ufffd"


def test_a_very_long_document_has_the_same_ids_in_stretches(vocabulary_folder: Path, readers: dict[str, Any]) -> None:
    text = ("Ana comeu o pão.\n" * 10 + "\n   ") * (LONG // 170 + 50) + "x" * 100
    assert len(text) > LONG
    assert Vocabulary.load(vocabulary_folder).encode(text) == readers["sentencepiece"].encode(text)


def test_the_users_tokenizer_json_is_read_as_it_is(vocabulary_folder: Path, tmp_path: Path) -> None:
    origin, folder = tmp_path / "origin", tmp_path / "folder"
    origin.mkdir()
    folder.mkdir()
    shutil.copy(vocabulary_folder / "tokenizer.json", origin)
    adopt(origin, folder)
    ours, theirs = Vocabulary.load(vocabulary_folder), Vocabulary.load(folder)
    assert (theirs.size, theirs.bos, theirs.eos, theirs.pad) == (640, 1, 2, 3)
    for text in BATTERY:
        assert theirs.encode(text) == ours.encode(text)
        assert theirs.decode(theirs.encode(text)) == text


def test_a_lone_tokenizer_model_is_enough(vocabulary_folder: Path, tmp_path: Path) -> None:
    origin, folder = tmp_path / "origin", tmp_path / "folder"
    origin.mkdir()
    folder.mkdir()
    shutil.copy(vocabulary_folder / "tokenizer.model", origin)
    adopt(origin, folder)
    assert (folder / "tokenizer.json").read_bytes() == (vocabulary_folder / "tokenizer.json").read_bytes()


def test_a_tokenizer_without_a_begin_of_sequence_is_a_problem(vocabulary_folder: Path, tmp_path: Path) -> None:
    shutil.copy(vocabulary_folder / "tokenizer.json", tmp_path)
    (tmp_path / "tokenizer_config.json").write_text('{"eos_token": "</s>"}')
    with pytest.raises(Problem, match="has no bos_token"):
        Vocabulary.load(tmp_path)


def test_a_wrong_size_tells_the_right_one(tmp_path: Path) -> None:
    check_size(32_000, 32_000)
    with pytest.raises(Problem, match=r"set tokens\.vocabulary = 50304"):
        check_size(50_257, 32_000)


CORPUS = Path(__file__).parents[3] / "shared" / "data" / "corpus"


@pytest.mark.skipif(not CORPUS.is_dir(), reason="the real corpus is not here")
def test_a_thousand_real_documents(readers: dict[str, Any], tmp_path: Path) -> None:
    import transformers
    import zstandard

    texts: list[str] = []
    for path in sorted(CORPUS.glob("*.jsonl.zst")):
        with path.open("rb") as file:
            lines = zstandard.ZstdDecompressor().stream_reader(file).read(3_000_000).split(b"\n")[:60]
        for line in lines:
            try:
                row = json.loads(line)
            except ValueError:
                continue
            if isinstance(row, dict) and isinstance(row.get("text"), str):
                texts.append(row["text"][:20_000].encode("utf-8", "replace").decode().replace("\u2581", " "))
    texts = texts[:1000]
    assert len(texts) == 1000
    documents = [("real", str(number), text) for number, text in enumerate(texts)]
    train_vocabulary(documents, VocabularySettings(size=4096, sample_bytes=10**7), tmp_path)
    processor = sentencepiece.SentencePieceProcessor(model_file=str(tmp_path / "tokenizer.model"))
    fast = transformers.AutoTokenizer.from_pretrained(tmp_path)
    ids = processor.encode(texts)
    assert fast(texts, add_special_tokens=False).input_ids == ids
    assert processor.decode(ids) == texts
    assert fast.batch_decode(ids) == texts
