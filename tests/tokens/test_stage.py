"""The tokens stage on a small corpus: what lies where, going on after a kill, and what a step saw."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lhama.plan.problem import Problem
from lhama.plan.recipe import Recipe, load
from lhama.record.run import Run
from lhama.tokens import encode, stage
from lhama.tokens.blocks import BLOCK, read_blocks
from lhama.tokens.loader import heldout
from lhama.tokens.show import show_step
from lhama.tokens.vocabulary import Vocabulary
from tests.tokens.conftest import small_text

RECIPE = """
name = "pequeno"
[record]
energy = false
[[corpus.source]]
name = "contos"
path = "contos.txt"
[tokens]
vocabulary = 640
sequence = 32
workers = 1
[model]
hidden_size = 64
intermediate_size = 128
layers = 2
heads = 2
[train]
tokens = 51200
batch_tokens = 512
learning_rate = 1e-3
"""

Rows = list[tuple[str, str, str]]


def rows_of_corpus() -> dict[str, list[Rows]]:
    """Return the shards of a corpus of two sources, of which one lies in two shards."""
    texts = small_text()
    odd = [("Fábulas/Ímpar", f"f{number}", text) for _, number, text in texts[:300]]
    train = texts[:600] + odd
    held = [("contos", "h1", "Ana comeu o pão e\n\nJoão  não."), ("contos", "h2", "🦙 três"), ("so-aqui", "h3", "Zé")]
    return {"train": [train[:400], train[400:]], "heldout": [held]}


def write_corpus(run: Run, shards: dict[str, list[Rows]]) -> None:
    with run.stage("corpus", inputs={}) as corpus:
        if corpus.done:
            return
        (corpus.folder / "data").mkdir()
        for split, parts in shards.items():
            for number, rows in enumerate(parts):
                source, identifier, text = ([row[i] for row in rows] for i in range(3))
                table = pa.table({"id": identifier, "text": text, "source": source})
                pq.write_table(table, corpus.folder / "data" / f"{split}-{number:05d}-of-{len(parts):05d}.parquet")


MakeRun = Callable[..., tuple[Recipe, Run]]


@pytest.fixture
def make_run(tmp_path: Path) -> MakeRun:
    def make(*overrides: str, runs: str = "runs") -> tuple[Recipe, Run]:
        (tmp_path / "contos.txt").write_text("x")
        (tmp_path / "pequeno.toml").write_text(RECIPE)
        recipe = load(tmp_path / "pequeno.toml", list(overrides))
        run = Run.open(recipe, tmp_path / runs)
        write_corpus(run, rows_of_corpus())
        return recipe, run

    return make


def outputs(run: Run) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((run.path("tokens") / "manifest.json").read_text())["outputs"]
    return found


def test_streams_hold_every_document(make_run: MakeRun) -> None:
    recipe, run = make_run()
    stage.run_stage(recipe, run)
    folder = run.path("tokens")
    index = json.loads((folder / "tokens.json").read_text())
    vocabulary = Vocabulary.load(folder)
    train = [row for shard in rows_of_corpus()["train"] for row in shard]
    assert [entry["name"] for entry in index["sources"]] == ["Fábulas/Ímpar", "contos", "so-aqui"]
    for entry in index["sources"]:
        texts = [text for source, _, text in train if source == entry["name"]]
        streams = [np.load(folder / entry["folder"] / one["file"]) for one in entry["streams"]]
        offsets = np.load(folder / entry["folder"] / "documents.npy")
        stream = np.concatenate([np.empty(0, dtype=np.uint16), *streams])
        assert stream.dtype == np.uint16
        assert len(offsets) == len(texts) + 1 == entry["documents"] + 1
        assert (entry["tokens"], entry["bytes"]) == (len(stream), sum(len(text.encode()) for text in texts))
        for number, text in enumerate(texts):
            ids = stream[offsets[number] : offsets[number + 1]].tolist()
            assert (ids[0], ids[-1]) == (vocabulary.bos, vocabulary.eos)
            assert vocabulary.decode(ids[1:-1]) == text
    assert [len(entry["streams"]) for entry in index["sources"]] == [1, 2, 0]
    assert not list(folder.rglob("*part*")) + list(folder.rglob("units"))


def test_held_out_text_keeps_its_raw_bytes(make_run: MakeRun) -> None:
    recipe, run = make_run()
    stage.run_stage(recipe, run)
    vocabulary = Vocabulary.load(run.path("tokens"))
    held = {one.source: one for one in heldout(run.path("tokens"))}
    assert list(held) == ["contos", "so-aqui"]
    assert held["contos"].bytes.tolist() == [len("Ana comeu o pão e\n\nJoão  não.".encode()), len("🦙 três".encode())]
    start, stop = held["contos"].offsets[1:3]
    assert vocabulary.decode(held["contos"].stream[start:stop].tolist()[1:-1]) == "🦙 três"
    measured = json.loads((run.path("tokens") / "fertility.json").read_text())
    assert measured["words"] == 7 + 2 + 1
    assert measured["tokens"] == sum(len(one.stream) - 2 * len(one.bytes) for one in held.values())


def test_a_killed_stage_goes_on_and_makes_the_same_bytes(make_run: MakeRun, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe, run = make_run(runs="whole")
    stage.run_stage(recipe, run)
    recipe, killed = make_run(runs="killed")
    real = encode.encode_shard
    done: list[Path] = []

    def dying(shard: Path, *rest: Any) -> dict[str, encode.Entry]:
        if len(done) == 1:
            raise KeyboardInterrupt
        done.append(shard)
        return real(shard, *rest)

    monkeypatch.setattr(encode, "encode_shard", dying)
    with pytest.raises(KeyboardInterrupt):
        stage.run_stage(recipe, killed)
    part = killed.folder / "tokens.part"
    trained = (part / "tokenizer.model").stat().st_mtime_ns
    encoded = (part / "contos" / "stream-00000.npy").stat().st_mtime_ns
    monkeypatch.setattr(encode, "encode_shard", real)
    stage.run_stage(recipe, killed)
    folder = killed.path("tokens")
    assert (folder / "tokenizer.model").stat().st_mtime_ns == trained
    assert (folder / "contos" / "stream-00000.npy").stat().st_mtime_ns == encoded
    assert outputs(killed).keys() == outputs(run).keys()
    assert killed.identity("tokens") == run.identity("tokens")


def test_another_sequence_or_packing_does_not_tokenize_again(make_run: MakeRun) -> None:
    recipe, run = make_run()
    stage.run_stage(recipe, run)
    before = (run.path("tokens") / "tokens.json").stat().st_mtime_ns
    recipe, run = make_run("tokens.sequence=64", "tokens.packing=best-fit")
    stage.run_stage(recipe, run)
    assert (run.path("tokens") / "tokens.json").stat().st_mtime_ns == before


@pytest.mark.parametrize("packing", ["stream", "best-fit", "alone"])
def test_show_prints_the_documents_of_a_batch(make_run: MakeRun, packing: str) -> None:
    recipe, run = make_run(f"tokens.packing={packing}")
    stage.run_stage(recipe, run)
    texts = {(source, name): text for shard in rows_of_corpus()["train"] for source, name, text in shard}
    rows = show_step(run, 3)
    assert len(rows) == 512 // 32
    for row in rows:
        assert len(row["documents"]) == len(row["texts"]) > 0
        for name, text in zip(row["documents"], row["texts"], strict=True):
            whole = texts[row["source"], name]
            # A row may begin or end inside a character that is written in bytes.
            assert text.strip("\ufffd") in whole
    with pytest.raises(Problem, match="its steps are 1 to 100"):
        show_step(run, 101)


def test_the_users_own_tokenizer(make_run: MakeRun, vocabulary_folder: Path) -> None:
    recipe, run = make_run(f"tokens.from={vocabulary_folder}")
    stage.run_stage(recipe, run)
    for name in ("tokenizer.json", "tokenizer.model"):
        assert (run.path("tokens") / name).read_bytes() == (vocabulary_folder / name).read_bytes()
    recipe, run = make_run(f"tokens.from={vocabulary_folder}", "tokens.vocabulary=1024", runs="other")
    with pytest.raises(Problem, match=r"set tokens\.vocabulary = 640"):
        stage.run_stage(recipe, run)


def test_folder_names_are_safe() -> None:
    assert encode.folder_of("contos") == "contos"
    names = ["Contos", "../../etc", "con tos", "units", "", "á", "a" * 200]
    folders = [encode.folder_of(name) for name in names]
    assert len({folder.lower() for folder in [*folders, "contos"]}) == len(names) + 1
    assert all(folder.replace("-", "").isalnum() and len(folder) < 64 for folder in folders)


def test_every_block_has_its_hash_and_the_identity_knows_nothing_of_them(make_run: MakeRun) -> None:
    recipe, run = make_run()
    stage.run_stage(recipe, run)
    folder, made = run.path("tokens"), outputs(run)
    blocks = read_blocks(folder)
    assert sorted(blocks.names) == sorted(name for name in made if "/stream-" in name)
    found = []
    for name in blocks.names:
        data = (folder / name).read_bytes()
        assert made[name]["sha256"] == hashlib.sha256(data).hexdigest()
        found += [hashlib.sha256(data[begin : begin + BLOCK]).digest() for begin in range(0, len(data), BLOCK)]
    assert [blocks.hashes[number].tobytes() for number in range(len(blocks))] == found
    assert [made[name]["identity"] for name in ("blocks.json", "blocks.npy", "tokens.json")] == [False, False, True]
