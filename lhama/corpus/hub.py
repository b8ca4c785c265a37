"""Fetch a dataset of the Hugging Face Hub, at one commit, into a folder whose files are then read like any others.

In goes `org/name` and a commit, or a folder that holds a dataset as it was downloaded; out come its data files. Only
those of the wanted subset and split are fetched, and no code of a dataset runs. Which files belong to a subset or split
its card says (`configs` at the top of README.md), else the names of folders and files. The commit must be named in
full, because a branch moves and two runs of one recipe would read different text. HF_ENDPOINT and the Hub's own login
work as usual. What was fetched or listed once is not asked for again.
"""

import os
import re
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from lhama.plan.problem import Problem
from lhama.record.files import read_json, write_json

ENDINGS = (".parquet", ".jsonl", ".ndjson", ".csv", ".tsv", ".txt")
PACKED = ("", ".gz", ".zst", ".bz2")
NO_DATA = frozenset({"dataset_info.json", "dataset_infos.json", "dataset_dict.json", "state.json"})
COMMIT = re.compile(r"[0-9a-f]{40}")
CARD, LISTED = "README.md", ".files.json"
AT_ONCE = 8
SPLITS = {
    "train": "train|training",
    "test": "test|testing|eval|evaluation",
    "validation": "validation|valid|val|dev",
}
"""The words by which files belong to a split, as the library `datasets` reads them."""
OTHERS = f"{SPLITS['test']}|{SPLITS['validation']}"


class Wanted(NamedTuple):
    """What a recipe wants of a dataset; `key` names the recipe's source in problems."""

    subset: str | None
    split: str | None
    key: str
    more_endings: tuple[str, ...] = ()


Config = dict[str, list[str]]
"""The patterns of files by split."""


def fetched(name: str, revision: str | None, wanted: Wanted, cache: Path) -> tuple[Path, list[str]]:
    """Fetch the wanted files of a dataset at a commit; return the folder and their names."""
    if revision is None or not COMMIT.fullmatch(revision):
        raise Problem(
            f"{revision!r} is not a commit of 40 hexadecimal digits" if revision else "missing",
            key=f"{wanted.key}.revision",
            remedy="name the commit that the dataset's page on the Hub shows under Files, History",
        )
    folder = cache / f"{name.replace('/', '--')}@{revision}"
    fetch = _Fetch(name, revision, folder)
    try:
        every = fetch.listed()
        fetch.files([CARD] if CARD in every else [])
        names = data_files(every, folder / CARD, wanted)
        fetch.files(names)
    except (OSError, ValueError, RuntimeError) as error:  # the library's own errors derive from these
        raise Problem(
            f"cannot fetch {name} at {revision[:12]}: {error}",
            key=f"{wanted.key}.path",
            remedy="check the name, the commit, the network, and `hf auth login` for private datasets",
        ) from error
    return folder, names


def downloaded(folder: Path, wanted: Wanted) -> list[str]:
    """Return the wanted files of a dataset that lies in a folder."""
    if not folder.is_dir():
        raise Problem(f"{folder} is no folder", key=f"{wanted.key}.path", remedy="name the folder of the dataset")
    every = [path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()]
    return data_files(every, folder / CARD, wanted)


def data_files(every: Iterable[str], card: Path, wanted: Wanted) -> list[str]:
    """Choose among the files of a dataset those of the wanted subset and split, sorted by name."""
    endings = tuple(f"{ending}{packed}" for ending in (*ENDINGS, *wanted.more_endings) for packed in PACKED)
    names = [name for name in sorted(every) if name.endswith(endings) and not _is_no_data(name)]
    configs = _configs(card)
    config = _config(configs, wanted)
    if config is not None:
        return _by_card(names, config, wanted)
    if wanted.subset is not None:
        names = _of_subset(names, wanted.subset, wanted.key)
    return _by_words(names, wanted)


class _Fetch:
    """Ask the Hub for what is not there yet."""

    def __init__(self, name: str, revision: str, folder: Path) -> None:
        self._name, self._revision, self._folder = name, revision, folder

    def listed(self) -> list[str]:
        """Return the names of all files at the commit."""
        path = self._folder / LISTED
        if not path.is_file():
            listed = _library().HfApi(endpoint=_endpoint()).list_repo_files
            names = listed(self._name, repo_type="dataset", revision=self._revision)
            for name in names:
                if ".." in PurePosixPath(name).parts or name.startswith("/") or "\\" in name:
                    raise ValueError(f"{name!r} leads out of its folder")
            self._folder.mkdir(parents=True, exist_ok=True)
            write_json(path, sorted(names))
        return list(read_json(path))

    def files(self, names: list[str]) -> None:
        """Fetch files by name; each is there only when it is whole."""
        missing = [name for name in names if not (self._folder / name).is_file()]
        if missing:
            with ThreadPoolExecutor(AT_ONCE) as pool:
                list(pool.map(self._file(), missing))

    def _file(self) -> Callable[[str], Any]:
        download = _library().hf_hub_download
        place: dict[str, Any] = {"repo_type": "dataset", "revision": self._revision, "local_dir": self._folder}
        return lambda name: download(self._name, name, endpoint=_endpoint(), **place)


def _library() -> Any:
    try:
        import huggingface_hub
    except ModuleNotFoundError as missing:
        raise Problem("reading from the Hub needs huggingface_hub", remedy="pip install huggingface_hub") from missing
    return huggingface_hub


def _endpoint() -> str | None:
    return os.environ.get("HF_ENDPOINT")  # the library reads it only once, when it is imported


def _is_no_data(name: str) -> bool:
    return name.startswith(".") or "/." in name or PurePosixPath(name).name in NO_DATA


def _configs(card: Path) -> dict[str, Config]:
    """Read which files belong to which subset and split, as far as the card says so."""
    if not card.is_file():
        return {}
    library = _library()
    try:
        said = library.metadata_load(card)
    except Exception:  # a card that is no YAML says nothing; the names of files then tell
        return {}
    listed = said.get("configs") if isinstance(said, dict) else None
    configs: dict[str, Config] = {}
    for one in listed if isinstance(listed, list) else []:
        files = one.get("data_files") if isinstance(one, dict) else None
        if files:
            base = str(one.get("data_dir") or "").strip("/")
            name = "default" if one.get("default") else str(one.get("config_name"))
            configs[str(one.get("config_name"))] = config = _patterns(files, base)
            configs.setdefault(name, config)
    return configs


def _patterns(files: Any, base: str) -> Config:
    """Bring what a card may say of files into one form: a pattern, a list of them, or a list of split and path."""
    config: Config = {}
    for one in files if isinstance(files, list) else [files]:
        split, paths = (one.get("split", "train"), one.get("path")) if isinstance(one, dict) else ("train", one)
        for path in paths if isinstance(paths, list) else [paths]:
            config.setdefault(str(split), []).append(f"{base}/{path}".lstrip("/") if base else str(path))
    return config


def _config(configs: dict[str, Config], wanted: Wanted) -> Config | None:
    """Choose a configuration; None leaves the choice to the names of files."""
    if wanted.subset is not None:
        return configs.get(wanted.subset)
    if not configs or "default" in configs:
        return configs.get("default")
    if len(configs) > 1:
        remedy = f"name one of: {_some(configs)}"
        raise Problem("the dataset has several configurations", key=f"{wanted.key}.subset", remedy=remedy)
    return next(iter(configs.values()))


def _by_card(names: list[str], config: Config, wanted: Wanted) -> list[str]:
    if wanted.split is not None and wanted.split not in config:
        remedy = f"its card names: {_some(config)}"
        raise Problem(f"there is no split {wanted.split!r}", key=f"{wanted.key}.split", remedy=remedy)
    splits = [wanted.split] if wanted.split else [one for one in config if not re.fullmatch(OTHERS, one, re.I)]
    patterns = [tuple(pattern.split("/")) for split in splits for pattern in config[split]]
    return [name for name in names if any(_matches(tuple(name.split("/")), pattern) for pattern in patterns)]


def _matches(parts: tuple[str, ...], pattern: tuple[str, ...]) -> bool:
    """Tell whether a name matches a pattern, in which ** stands for any folders."""
    if not pattern or not parts:
        return not pattern and not parts
    if pattern[0] == "**":
        return any(_matches(parts[skip:], pattern[1:] or ("*",)) for skip in range(len(parts)))
    return fnmatchcase(parts[0], pattern[0]) and _matches(parts[1:], pattern[1:])


def _of_subset(names: list[str], subset: str, key: str) -> list[str]:
    """Choose the files in a folder of that name, or whose names begin so."""
    inside = [name for name in names if subset in name.split("/")[:-1] or name.split("/")[-1].startswith(subset)]
    if not inside:
        folders = sorted({part for name in names for part in name.split("/")[:-1]})
        remedy = f"folders: {_some(folders)}"
        raise Problem(f"no file belongs to the subset {subset!r}", key=f"{key}.subset", remedy=remedy)
    return inside


def _by_words(names: list[str], wanted: Wanted) -> list[str]:
    """Choose the files of a split by the words in their names; without any word they are for training."""
    training = list(_without(names, OTHERS))
    if wanted.split is None:
        return training
    words = SPLITS.get(wanted.split, re.escape(wanted.split))
    found = [name for name in names if _has(name, words)]
    if not found and wanted.split == "train":
        return training
    if not found:
        problem = f"no file's name says that it is of the split {wanted.split!r}"
        raise Problem(problem, key=f"{wanted.key}.split", remedy=f"there are {_some(names)}")
    return found


def _without(names: list[str], words: str) -> Iterator[str]:
    return (name for name in names if not _has(name, words))


def _has(name: str, words: str) -> bool:
    return re.search(rf"(^|[/_.-])({words})([/_.-]|$)", name, re.IGNORECASE) is not None


def _some(names: Iterable[str]) -> str:
    every = sorted(names)
    return ", ".join(every[:20]) + (f" and {len(every) - 20} more" if len(every) > 20 else "")
