"""Tokenizers on the same held-out words: counts by hand, passages from many documents, the user's files as they are."""

import json
from pathlib import Path
from typing import Any

import pyarrow as arrow
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import parquet
from tokenizers import Tokenizer
from tokenizers.models import BPE, WordLevel
from tokenizers.pre_tokenizers import WhitespaceSplit

from lhama.plan.problem import Problem
from lhama.release.comparison import OWN, beginning, compare, count, named, passages
from lhama.tokens.vocabulary import VocabularySettings, train_vocabulary

TEXTS = {"a": "o rato roeu a roupa", "b": "do rei de Roma"}
WORDS = ["<s>", "</s>", "<unk>", "o", "rato", "roeu", "a", "roupa", "do", "rei", "de"]


def of_words(folder: Path) -> Path:
    """Write a tokenizer that knows each word of TEXTS but Roma."""
    tokenizer = Tokenizer(WordLevel({word: number for number, word in enumerate(WORDS)}, unk_token="<unk>"))
    tokenizer.pre_tokenizer = WhitespaceSplit()
    folder.mkdir(parents=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    names = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"}
    (folder / "tokenizer_config.json").write_text(json.dumps(names))
    return folder


def of_letters(file: Path, *, cut: bool = False) -> Path:
    """Write a tokenizer that makes a token of each letter, if need be with the settings of some last use."""
    letters = {letter: number for number, letter in enumerate(sorted(set("".join(TEXTS.values())) - {" "}))}
    tokenizer = Tokenizer(BPE(letters, []))
    tokenizer.pre_tokenizer = WhitespaceSplit()
    if cut:
        tokenizer.enable_truncation(4)
        tokenizer.enable_padding(length=64)
    file.parent.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(file))
    return file


def hold_out(corpus: Path, texts: dict[str, str]) -> Path:
    (corpus / "data").mkdir(parents=True)
    columns = {"source": ["jornal"] * len(texts), "id": list(texts), "text": list(texts.values())}
    parquet.write_table(arrow.table(columns), corpus / "data" / "heldout-00000-of-00001.parquet")
    return corpus


def test_two_tokenizers_counted_by_hand(tmp_path: Path) -> None:
    corpus, tokens = hold_out(tmp_path / "corpus", TEXTS), of_words(tmp_path / "tokens")
    found = compare(corpus, tokens, {"letras": of_letters(tmp_path / "letras.json")})
    assert found is not None
    assert (found["words"], found["wanted"], found["passages"]) == (9, 7400, 2)
    assert found["bytes"] == 19 + 14
    own, letters = found["tokenizers"]
    # A token for each of 5 + 4 words; Roma is one that only says "unknown".
    assert (own["name"], own["own"], own["tokens"], own["unknown"], own["vocabulary"]) == (OWN, True, 9, 1, 11)
    assert own["tokens_per_word"] == 1.0 and own["fewer"] is None
    # o + rato + roeu + a + roupa = 1 + 4 + 4 + 1 + 5, do + rei + de + Roma = 2 + 3 + 2 + 4.
    assert (letters["name"], letters["tokens"], letters["unknown"]) == ("letras", 15 + 11, 0)
    assert letters["tokens_per_word"] == round(26 / 9, 4)
    assert letters["fewer"] == round(1 - 9 / 26, 4)  # the run's own needs 65.38 percent fewer
    assert own["sha256"] != letters["sha256"]


def test_settings_of_a_last_use_do_not_count(tmp_path: Path) -> None:
    """A tokenizer.json often carries truncation and padding; both would falsify every count."""
    plain, cut = of_letters(tmp_path / "a.json"), of_letters(tmp_path / "b.json", cut=True)
    assert count(cut, list(TEXTS.values())) == count(plain, list(TEXTS.values()))


def test_a_model_file_counts_like_the_json_beside_it(tmp_path: Path) -> None:
    texts = [f"Ana leu {number} cartas; João não leu a canção nº {number * 7}." for number in range(300)]
    rows = [("contos", str(number), text) for number, text in enumerate(texts)]
    train_vocabulary(rows, VocabularySettings(size=384, sample_bytes=10**6), tmp_path)
    one, other = (count(tmp_path / name, texts) for name in ("tokenizer.json", "tokenizer.model"))
    assert one == other and one.vocabulary == 384 and one.tokens > 300 * 8 and one.unknown == 0


def documents(lengths: list[int]) -> list[tuple[str, str, str]]:
    return [
        ("fonte", f"{place}", "\n".join(f"w{place}.{n}" for n in range(size))) for place, size in enumerate(lengths)
    ]


def test_many_documents_give_a_passage_each() -> None:
    rows = documents([120] * 200)
    found = passages(lambda: rows, 7400)
    assert len(found) == 74 and all(len(text.split()) == 100 for text in found)
    assert found == passages(lambda: rows[::-1], 7400)  # the order of the shards is of no account
    numbers = [int(text[1 : text.index(".")]) for text in found]
    assert numbers != sorted(numbers) and max(numbers) > 100  # not the first 74


def test_few_documents_give_longer_passages() -> None:
    rows = documents([5000, 5000, 30])
    found = passages(lambda: rows, 7400)
    assert sum(len(text.split()) for text in found) == 7400 and len(found) >= 2
    assert passages(lambda: documents([10]), 7400) == ["\n".join(f"w0.{n}" for n in range(10))]
    assert passages(lambda: [("fonte", "leer", " \n ")], 7400) == []


@given(lengths=st.lists(st.integers(0, 60), max_size=12), wanted=st.integers(1, 200))
def test_there_are_as_many_words_as_asked_for_or_all_there_are(lengths: list[int], wanted: int) -> None:
    rows = documents(lengths)
    found = passages(lambda: rows, wanted)
    assert sum(len(text.split()) for text in found) == min(wanted, sum(lengths))
    assert all(any(text[:1] and whole.startswith(text) for _, _, whole in rows) for text in found)


@given(text=st.text(max_size=60), words=st.integers(0, 8))
def test_a_beginning_has_the_first_words(text: str, words: int) -> None:
    assert beginning(text, words).split() == text.split()[:words]


def test_tokenizers_are_named_for_readers(tmp_path: Path) -> None:
    first = of_words(tmp_path / "llama-2")
    second = of_words(tmp_path / "other" / "llama-2")
    third = of_letters(tmp_path / "letras.json")
    found = named([first, second / "tokenizer.json", third])
    assert found == {
        "llama-2": first / "tokenizer.json",
        "llama-2 (2)": second / "tokenizer.json",
        "letras": third,
    }


@pytest.mark.parametrize("content", [None, "", "{}", "no tokenizer", '{"model": 7}'])
def test_what_is_no_tokenizer_is_refused_with_its_key(tmp_path: Path, content: str | None) -> None:
    path = tmp_path / "wrong.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(Problem) as refused:
        for file in named([path]).values():
            count(file, ["um"])
    assert refused.value.key == "release.compare_tokenizers" and "wrong.json" in str(refused.value)


@pytest.mark.parametrize("present", [(), ("corpus",), ("tokens",)])
def test_without_held_out_text_or_vocabulary_there_is_no_comparison(tmp_path: Path, present: Any) -> None:
    if "corpus" in present:
        hold_out(tmp_path / "corpus", TEXTS)
    if "tokens" in present:
        of_words(tmp_path / "tokens")
    assert compare(tmp_path / "corpus", tmp_path / "tokens", {}) is None
