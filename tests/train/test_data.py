"""Where the tokens lie changes nothing: memory, mapped files and streams train the same weights to the bit."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from lhama.cli import main
from lhama.plan.problem import Problem
from lhama.plan.recipe import load
from lhama.plan.schedule import phases
from lhama.record.files import write_json
from lhama.record.run import Run
from lhama.tokens import places
from lhama.tokens.loader import Loader
from lhama.tokens.streaming import Streamed
from lhama.tokens.streams import Local
from lhama.train import data
from tests.tokens.test_streaming import Server
from tests.train.conftest import MakePlace, Place, same_outcome


def send_away(place: Place) -> Path:
    """Move the run's tokens to where they must be streamed from."""
    away = place.folder / "away"
    shutil.move(place.folder / "runs" / "pequeno" / "tokens", away)
    return away


@pytest.fixture(autouse=True)
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(places, "WAITS", (0.01, 0.01))


def test_weights_are_the_same_wherever_the_tokens_lie(make_place: MakePlace) -> None:
    memory, mapped, far = make_place(), make_place(), make_place()
    memory.run("train.data=memory")
    mapped.run("train.data=mapped")
    same_outcome(memory.train, mapped.train)
    server = Server(send_away(far))
    import threading

    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        far.run(f"train.stream={server.url}", "train.cache_gigabytes=0.0001")
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
    same_outcome(mapped.train, far.train)
    ours, theirs = (Run.read(place.folder / "runs" / "pequeno") for place in (mapped, far))
    assert ours.identity("tokens") == theirs.identity("tokens")
    assert ours.identity("train") == theirs.identity("train")
    assert not list(theirs.path("tokens").rglob("stream-*.npy"))
    cache = theirs.folder / "cache" / "tokens-0"
    assert (cache / "blocks.bin").stat().st_size <= 65536


def test_a_run_goes_from_the_stream_to_files_and_back(
    make_place: MakePlace, finished: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The tokens of a stopped run may come from another place later; its checkpoints stand on their content alone."""
    moved = make_place()
    away = send_away(moved)
    honest = Loader.batch

    def lost(self: Loader, step: int, first: int = 0, count: int | None = None) -> object:
        if step == 10:
            raise Problem("the network is gone")
        return honest(self, step, first, count)

    with monkeypatch.context() as patch:
        patch.setattr(Loader, "batch", lost)
        with pytest.raises(Problem, match="network is gone"):
            moved.run(f"train.stream={away}")
    shutil.rmtree(moved.folder / "runs" / "pequeno" / "tokens")
    shutil.copytree(away, moved.folder / "runs" / "pequeno" / "tokens")
    moved.run("train.data=mapped")
    same_outcome(finished.train, moved.train)


def test_only_the_tokens_of_the_recipe_and_of_the_run_are_streamed(make_place: MakePlace) -> None:
    place = make_place()
    away = send_away(place)

    def refused(*changes: str) -> Problem:
        recipe = place.recipe(f"train.stream={away}", *changes)
        with pytest.raises(Problem) as problem:
            data.adopt(recipe, Run.open(recipe, place.folder / "runs"))
        assert problem.value.key == "train.stream"
        return problem.value

    assert "tokens.vocabulary 640 -> 768" in str(refused("tokens.vocabulary=768"))
    manifest = json.loads((away / "manifest.json").read_text())
    name = next(name for name in manifest["outputs"] if name.endswith("documents.npy"))
    whole = (away / name).read_bytes()
    (away / name).write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    assert f"{name} at {away} is not what was written" in str(refused())
    (away / name).write_bytes(whole)
    other = json.loads(json.dumps(manifest))
    other["outputs"][name]["sha256"] = "0" * 64
    write_json(away / "manifest.json", other)
    assert "do not make its identity" in str(refused())
    escaping = json.loads(json.dumps(manifest))
    escaping["outputs"] = {f"../{name}": output for name, output in manifest["outputs"].items()}
    with pytest.raises(Problem, match="leads out of its folder"):
        data._bring(places.Patient(places.Folder(away)), place.folder / "x", escaping["outputs"], escaping["outputs"])
    write_json(away / "manifest.json", manifest)
    recipe = place.recipe(f"train.stream={away}")
    run = Run.open(recipe, place.folder / "runs")
    data.adopt(recipe, run)
    assert run.identity("tokens") == manifest["identity"]
    from lhama.record.manifest import identity_of

    manifest["outputs"][name]["sha256"] = "1" * 64
    write_json(away / "manifest.json", {**manifest, "identity": identity_of(manifest["outputs"])})
    assert "are not those of this run" in str(refused())


def test_auto_takes_memory_where_the_tokens_fit_well(make_place: MakePlace, monkeypatch: pytest.MonkeyPatch) -> None:
    place = make_place()
    recipe = place.recipe()
    run = Run.open(recipe, place.folder / "runs")
    size = sum(path.stat().st_size for path in run.path("tokens").glob("*/stream-*.npy"))
    for free, processes, expected in ((4 * size, 1, True), (4 * size - 1, 1, False), (8 * size, 2, True)):
        monkeypatch.setattr(data, "available_memory", lambda free=free: free)
        assert data.open_streams(recipe, run, 0, processes) == Local(in_memory=expected)
    assert data.open_streams(place.recipe("train.data=memory"), run) == Local(in_memory=True)
    # A stream that is named is taken only where the run has no tokens of its own.
    assert not data.is_streamed(place.recipe(f"train.stream={place.folder}"), run)
    asked = place.recipe(f"train.stream={run.path('tokens')}", "train.data=streamed")
    assert data.is_streamed(asked, run)
    streams = data.open_streams(asked, run)
    assert isinstance(streams, Streamed)
    ours = Loader(run.path("tokens"), phases(asked), 64, "stream", 0, streams)
    local = Loader(run.path("tokens"), phases(asked), 64, "stream", 0)
    assert np.array_equal(ours.batch(5).tokens, local.batch(5).tokens)
    ours.close()


def test_memory_is_measured_where_the_system_tells() -> None:
    assert data.available_memory() >= 0
    if Path("/proc/meminfo").is_file():
        assert data.available_memory() > 1 << 20


def test_streaming_needs_a_place(prepared: Path) -> None:
    with pytest.raises(Problem, match="say where the tokens folder lies") as refused:
        load(prepared / "pequeno.toml", ["train.data=streamed"])
    assert refused.value.key == "train.stream"
    recipe = load(prepared / "pequeno.toml", ["train.stream=../dados"])
    assert recipe.train.stream == (prepared / "../dados").as_posix()


def test_a_machine_without_text_trains_from_the_command_line(
    finished: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The command once did the corpus stage first, which needs the text."""
    (tmp_path / "bare").mkdir()
    recipe = shutil.copy(finished.folder / "pequeno.toml", tmp_path / "bare")
    tokens, runs = finished.folder / "runs" / "pequeno" / "tokens", tmp_path / "bare" / "runs"
    monkeypatch.setattr("sys.argv", ["lhama", "train", recipe, "--runs", str(runs), "--set", f"train.stream={tokens}"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert not ended.value.code
    same_outcome(finished.train, runs / "pequeno" / "train")
