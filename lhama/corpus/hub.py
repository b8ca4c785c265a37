"""Fetch a dataset of the Hugging Face Hub, at one commit, into a folder whose files are then read like any others.

In goes `org/name` (or `hf://datasets/org/name`) and a commit, out comes the folder with its data files. No code of the
dataset runs: only parquet, jsonl, csv and txt files are fetched. The commit must be named in full, because a branch
moves and two runs of one recipe would read different text. HF_ENDPOINT and the Hub's own login work as usual.
"""

import os
import re
from collections.abc import Iterator
from pathlib import Path

from lhama.plan.problem import Problem

ENDINGS = (".parquet", ".jsonl", ".ndjson", ".csv", ".tsv", ".txt")
PATTERNS = [f"*{ending}{packed}" for ending in ENDINGS for packed in ("", ".gz", ".zst")]
COMMIT = re.compile(r"[0-9a-f]{40}")
OTHER_SPLITS = re.compile(r"(^|[/_.-])(test|dev|valid|validation|eval)([/_.-]|$)", re.IGNORECASE)


def snapshot(name: str, revision: str | None, key: str, cache: Path) -> Path:
    """Fetch the data files of a dataset at a commit; what is there already is not fetched again."""
    if revision is None or not COMMIT.fullmatch(revision):
        raise Problem(
            f"{revision!r} is not a commit of 40 hexadecimal digits" if revision else "missing",
            key=f"{key}.revision",
            remedy="name the commit that the dataset's page on the Hub shows under Files, History",
        )
    try:
        from huggingface_hub import snapshot_download
    except ModuleNotFoundError as missing:
        raise Problem("reading from the Hub needs huggingface_hub", remedy="pip install huggingface_hub") from missing
    repository = name.removeprefix("hf://datasets/")
    folder = cache / f"{repository.replace('/', '--')}@{revision}"
    complete = folder / ".complete"
    if not complete.is_file():
        try:
            snapshot_download(
                repository,
                repo_type="dataset",
                revision=revision,
                allow_patterns=PATTERNS,
                local_dir=folder,
                endpoint=os.environ.get("HF_ENDPOINT"),  # the library reads it only once, when it is imported
            )
        except (OSError, ValueError, RuntimeError) as error:  # the library's own errors derive from these
            raise Problem(
                f"cannot fetch {repository} at {revision[:12]}: {error}",
                key=f"{key}.path",
                remedy="check the name, the commit, the network, and `hf auth login` for private datasets",
            ) from error
        complete.touch()
    return folder


def data_files(folder: Path, subset: str | None, key: str) -> Iterator[tuple[Path, str]]:
    """Yield the training files of a dataset by name; a subset is a folder of it, or the beginning of its file names."""
    found = {path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob("*")) if path.is_file()}
    named = {label: path for label, path in found.items() if any(Path(label).match(one) for one in PATTERNS)}
    named = {label: path for label, path in named.items() if not label.startswith(".")}
    if subset is not None:
        inside = {
            label: path for label, path in named.items() if subset in Path(label).parts or path.name.startswith(subset)
        }
        if not inside:
            folders = sorted({part for label in named for part in Path(label).parts[:-1]})
            raise Problem(f"no file belongs to the subset {subset!r}", key=key, remedy=f"folders: {', '.join(folders)}")
        named = inside
    training = {label: path for label, path in named.items() if not OTHER_SPLITS.search(label)}
    yield from ((path, label) for label, path in training.items())
