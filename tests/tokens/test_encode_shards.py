"""Shards to streams: the same bytes from the kernel and the library, from one thread and from several."""

from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lhama.plan.problem import Problem
from lhama.plan.recipe import load
from lhama.record.run import Run
from lhama.tokens import encode, stage
from lhama.tokens.encoder import Encoder, by_library, open_encoder
from lhama.tokens.tokenizer_json import TOKENIZER_FILES
from lhama.tokens.vocabulary import Vocabulary
from tests.tokens.conftest import small_text
from tests.tokens.test_stage import RECIPE, outputs, rows_of_corpus, write_corpus

Row = tuple[str, str]


def write_shard(path: Path, rows: list[Row], group: int = 100) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    sources, texts = (pa.array([row[i] for row in rows], pa.string()) for i in (0, 1))
    pq.write_table(pa.table({"source": sources, "text": texts}), path, row_group_size=group)
    return path


def mixed_rows() -> list[Row]:
    """Sources that come back, documents that are empty, and one of a megabyte without a space."""
    rows = [("a" if number % 300 < 200 else "b", text) for number, (_, _, text) in enumerate(small_text())]
    return [*rows, ("a", ""), ("c", "x" * 1_000_000), ("c", ""), ("a", "🦙\u2581 fim")]


def encoded(encoder: Encoder, shards: list[Path], folder: Path) -> dict[str, bytes]:
    (folder / encode.UNITS).mkdir(parents=True)
    before: Counter[str] = Counter()
    ticked: list[int] = []
    for shard in shards:
        before.update(encode.encode_shard(shard, folder, encoder, before, ticked.append).keys())
    assert sum(ticked) == sum(len(text.encode()) for shard in shards for text in texts_of(shard))
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def texts_of(shard: Path) -> list[str]:
    texts: list[str] = pq.read_table(shard, columns=["text"]).column("text").to_pylist()
    return texts


def test_the_files_are_the_same_byte_for_byte(
    vocabulary_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(encode, "SLICE_BYTES", 3_000)  # many slices, which end inside row groups and sources
    rows = mixed_rows()
    shards = [
        write_shard(tmp_path / "data" / "train-00000-of-00002.parquet", rows[:500]),
        write_shard(tmp_path / "data" / "train-00001-of-00002.parquet", rows[500:]),
        write_shard(tmp_path / "data" / "heldout-00000-of-00001.parquet", rows[100:140]),
    ]
    found = {}
    for threads in (1, 3):
        chosen = open_encoder(Vocabulary.load(vocabulary_folder, threads))
        assert (chosen.slow_because, chosen.workers) == (None, threads)
        found[f"kernel-{threads}"] = encoded(chosen, shards, tmp_path / f"kernel-{threads}")
    found["library"] = encoded(by_library(Vocabulary.load(vocabulary_folder)), shards, tmp_path / "library")
    assert found["kernel-1"] == found["kernel-3"] == found["library"]
    assert len([name for name in found["library"] if "stream-" in name]) == 5


def test_slices_hold_every_row_once_and_little_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encode, "SLICE_BYTES", 10_000)
    sizes = [*np.random.default_rng(0).integers(0, 3_000, 500).tolist(), 50_000, 0, 7]
    texts = [f"{number:05d}" + "x" * size for number, size in enumerate(sizes)]
    shard = write_shard(tmp_path / "train-0.parquet", [("a", text) for text in texts], group=200)
    found = [batch.column("text").to_pylist() for batch in encode.slices(shard, ["source", "text"])]
    assert [text for batch in found for text in batch] == texts
    longest = max(map(len, texts))
    assert all(sum(map(len, batch)) <= 10_000 + longest for batch in found)
    assert len(found) < 200


def test_a_text_that_is_not_utf8_names_its_shard(vocabulary_folder: Path, tmp_path: Path) -> None:
    broken = pa.array([b"bom", b"quebrado \xc3"], pa.binary()).cast(pa.string(), safe=False)
    shard = tmp_path / "train-00000-of-00001.parquet"
    pq.write_table(pa.table({"source": ["a", "a"], "text": broken}), shard)
    (tmp_path / "units").mkdir()
    vocabulary = Vocabulary.load(vocabulary_folder)
    for encoder in (open_encoder(vocabulary), by_library(vocabulary)):
        with pytest.raises(Problem, match=r"train-00000-of-00001\.parquet is damaged"):
            encode.encode_shard(shard, tmp_path, encoder, Counter(), lambda size: None)


def test_a_tokenizer_json_in_the_form_of_llama_is_fast_too(vocabulary_folder: Path, tmp_path: Path) -> None:
    for name in TOKENIZER_FILES:
        if name != "tokenizer.model" and (vocabulary_folder / name).exists():
            (tmp_path / name).write_bytes((vocabulary_folder / name).read_bytes())
    alone, whole = (Vocabulary.load(folder) for folder in (tmp_path, vocabulary_folder))
    assert open_encoder(alone).slow_because is None
    texts = pa.array([text for _, text in mixed_rows()])
    assert np.array_equal(open_encoder(alone).encode(texts).ids, open_encoder(whole).encode(texts).ids)


def test_the_stage_says_once_why_the_library_encodes_and_makes_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "contos.txt").write_text("x")
    (tmp_path / "pequeno.toml").write_text(RECIPE)
    recipe = load(tmp_path / "pequeno.toml", [])
    identities, said = [], []
    for name in ("kernel", "library"):
        run = Run.open(recipe, tmp_path / name)
        write_corpus(run, rows_of_corpus())
        stage.run_stage(recipe, run)
        assert outputs(run)
        identities.append(run.identity("tokens"))
        said.append(capsys.readouterr().out.count("numba is not installed"))
        monkeypatch.setattr(stage, "open_encoder", lambda vocabulary: by_library(vocabulary, "numba is not installed"))
    assert identities[0] == identities[1]
    assert said == [0, 1]
