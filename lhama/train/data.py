"""Where training reads its tokens: from memory, from mapped files, or as a stream from elsewhere.

In go a recipe and a run, out come the streams for the loader; what they give is the same to the bit. Of tokens that lie
elsewhere all but the streams themselves is fetched first (vocabulary, offsets of documents, held-out text, hashes of
blocks), proven by the manifest and put where the run's tokens belong, so every later stage finds them. The subtle thing
is whom to believe: the manifest's identity is the hash of all hashes in it, training writes it down when it begins, and
a stream whose identity is another one later is refused.
"""

import json
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path, PurePosixPath
from typing import Any

from lhama.plan.problem import Problem
from lhama.plan.recipe import Recipe, slice_for
from lhama.plan.schedule import total_steps
from lhama.record import files
from lhama.record.identity import differences
from lhama.record.manifest import BEGIN, MANIFEST, identity_of, read_manifest
from lhama.record.parts import finish, part_of
from lhama.record.run import Run
from lhama.record.stages import stage_lock
from lhama.tokens.blocks import read_blocks
from lhama.tokens.loader import read_index
from lhama.tokens.places import KEY, Patient, open_place
from lhama.tokens.slots import ENTRY
from lhama.tokens.streaming import Streamed
from lhama.tokens.streams import Local, Streams

MARK = "streamed.json"
FITS = 4  # tokens are read into memory where they take a quarter of what is available
PIECE = 8 << 20
CACHE = "cache"


def is_streamed(recipe: Recipe, run: Run) -> bool:
    """Say whether a run's tokens come from elsewhere; `auto` prefers those that are here."""
    if recipe.train.data != "auto":
        return recipe.train.data == "streamed"
    home = run.path("tokens")
    return recipe.train.stream is not None and not ((home / MANIFEST).is_file() and not (home / MARK).is_file())


def adopt(recipe: Recipe, run: Run) -> None:
    """Bring everything but the streams of tokens that lie elsewhere, or prove what was brought before."""
    address = recipe.train.stream
    if address is None or not is_streamed(recipe, run):
        return
    home = run.path("tokens")
    with closing(Patient(open_place(address))) as place, _alone(run):
        manifest = _manifest(place, recipe)
        here = read_manifest(home)
        if here is not None and here["identity"] != manifest["identity"]:
            raise Problem(
                f"the tokens at {address} are not those of this run",
                key=KEY,
                remedy="name the right place, give the recipe another name, or move the run's tokens folder away",
            )
        folder = home if here is not None else part_of(home)
        _bring(place, folder, manifest["outputs"], ("tokens.json",))
        elsewhere = _streams(folder)
        _bring(place, folder, manifest["outputs"], (name for name in manifest["outputs"] if name not in elsewhere))
        if here is None:
            begun = {key: manifest[key] for key in ("stage", "format", "slice", "inputs", "versions")}
            files.write_json(folder / BEGIN, {**begun, "begun": manifest["finished"], "in_place": False})
            files.write_json(folder / MARK, {"from": address})
            files.write_json(folder / MANIFEST, manifest)
            finish(home)


@contextmanager
def _alone(run: Run) -> Iterator[None]:
    lock = stage_lock(run.folder, "tokens")
    lock.take()
    try:
        yield
    finally:
        lock.free()


def open_streams(recipe: Recipe, run: Run, rank: int = 0, processes: int = 1) -> Streams:
    """Open the streams as the recipe wants them, for one of so many processes on this machine."""
    folder = run.path("tokens")
    if is_streamed(recipe, run):
        assert recipe.train.stream is not None
        blocks, outputs = read_blocks(folder), (read_manifest(folder) or {"outputs": {}})["outputs"]
        for name, size in zip(blocks.names, blocks.sizes.tolist(), strict=True):
            if outputs.get(name, {}).get("bytes") != size:
                raise Problem(f"the hashes of blocks in {folder} are not of its {name}", remedy="fetch the tokens anew")
        cache = run.folder / CACHE / f"tokens-{rank}"
        most = _cache_bytes(recipe, cache.parent) // processes
        place = open_place(recipe.train.stream)
        owner = run.identity("tokens")
        return Streamed(place, blocks, cache, most // (blocks.block + ENTRY), owner, total_steps(recipe))
    if recipe.train.data != "auto":
        return Local(in_memory=recipe.train.data == "memory")
    size = sum((folder / name).stat().st_size for name in _streams(folder))
    return Local(in_memory=size * processes * FITS <= available_memory())


def available_memory() -> int:
    """Return the bytes of memory that may still be taken here, or 0 where the system does not say."""
    try:
        words = (line.split() for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines())
        available = next(int(line[1]) * 1024 for line in words if line[0] == "MemAvailable:")
    except (OSError, StopIteration):
        return 0
    try:
        limit, used = (Path(f"/sys/fs/cgroup/memory.{name}").read_text(encoding="ascii") for name in ("max", "current"))
        return min(available, int(limit) - int(used))
    except (OSError, ValueError):  # no such group, or "max": no limit
        return available


def _manifest(place: Patient, recipe: Recipe) -> dict[str, Any]:
    """Read the manifest of tokens that lie elsewhere; it must be whole, and of a recipe like this one."""
    try:
        manifest: dict[str, Any] = json.loads(place.read(MANIFEST))
        whole = manifest["stage"] == "tokens" and manifest["identity"] == identity_of(manifest["outputs"])
    except (ValueError, KeyError, TypeError) as error:
        raise Problem(f"the manifest at {place.address} is damaged: {error}", key=KEY) from error
    if not whole:
        raise Problem(f"the manifest at {place.address} is damaged: its hashes do not make its identity", key=KEY)
    changes = differences(manifest["slice"], slice_for(recipe, "tokens"), finished=True)
    if changes:
        listed = ", ".join(map(str, changes))
        problem = f"the tokens at {place.address} were made by another recipe ({listed})"
        raise Problem(problem, key=KEY, remedy="take the recipe that they were made with")
    return manifest


def _bring(place: Patient, folder: Path, outputs: dict[str, Any], names: Iterable[str]) -> None:
    """Fetch files that are not here, or not what they should be."""
    for name in names:
        path, output = folder / _safe(name), outputs[name]
        if path.is_file() and path.stat().st_size == output["bytes"] and files.sha256_file(path) == output["sha256"]:
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        with files.writing(path) as temporary:
            with temporary.open("wb") as file:
                for begin in range(0, output["bytes"], PIECE):
                    file.write(place.read(name, begin, min(PIECE, output["bytes"] - begin)))
            if files.sha256_file(temporary) != output["sha256"]:
                problem = f"{name} at {place.address} is not what was written (its hash differs)"
                raise Problem(problem, key=KEY, remedy="copy the tokens folder there anew")


def _safe(name: str) -> str:
    """Refuse a name that would lead out of its folder."""
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or "\\" in name or ":" in name:
        raise Problem(f"the manifest names a file {name!r}, which leads out of its folder", key=KEY)
    return name


def _streams(folder: Path) -> set[str]:
    return {f"{entry['folder']}/{one['file']}" for entry in read_index(folder)["sources"] for one in entry["streams"]}


def _cache_bytes(recipe: Recipe, cache: Path) -> int:
    """Return how much the caches of all processes may hold: what the recipe says, or half of what is free."""
    if recipe.train.cache_gigabytes is not None:
        return int(recipe.train.cache_gigabytes * 1e9)
    held = sum(path.stat().st_size for path in cache.rglob("*") if path.is_file())
    return (files.free_bytes(cache) + held) // 2
