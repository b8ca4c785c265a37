"""Read folders of source code into rows: one for each file, its path as the id, its language and licence beside it.

In goes a file, out comes its row: a document, or the reason why nobody should learn from it: it is not text, it was
copied from elsewhere, made by a program, squeezed for machines, or its owner did not allow it. A link that leads out of
the folder is not followed, because a repository from the net may hold one to any file of this machine.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from lhama.corpus.languages_of_code import PROSE, language_of_code
from lhama.corpus.licenses import license_of
from lhama.corpus.readers import Columns, Row, as_json, broken, checked, storable

LONGEST_CODE = 1 << 20  # bytes; The Stack (Kocetkov et al. 2022) draws the same line
LONGEST_CODE_LINE = 1000  # characters, and the mean below: the limits of StarCoder (Li et al. 2023)
LONGEST_MEAN_LINE = 100
LOOKED_AT = 8000  # bytes in which git, too, looks for a NUL
VENDORED = frozenset(
    (
        *("node_modules", "bower_components", "vendor", "vendors", "third_party", "third-party", "thirdparty"),
        *("3rdparty", "site-packages", "dist-packages", "pods", "carthage", "godeps", "jspm_packages"),
    )
)
_GENERATED_NAME = re.compile(
    r"(\.min\.(js|css)|_pb2(_grpc)?\.pyi?|\.pb\.(go|cc|h)|\.g\.dart|\.designer\.(cs|vb)|\.generated\.\w+)$",
    re.IGNORECASE,
)
_GENERATED = re.compile(
    r"@generated\b|\bauto-?generated\b|\b(automatically|code) generated\b|\bgenerated (automatically|by|from)\b"
    r"|\bdo not (edit|modify)\b|\b(gerado|generado) automatic",
    re.IGNORECASE,
)
GENERATED_WITHIN = 1000  # characters


@dataclass(frozen=True)
class Code:
    """What a recipe says of a folder of code: whose licence must allow it."""

    licenses: Literal["any", "permissive"] = "any"


def read_code(
    path: Path, columns: Columns, skip: int = 0, *, label: str = "", root: Path | None = None, code: Code = Code()
) -> Iterator[Row]:
    """Read one file; `label` is its path below `root`, where the search for a licence ends."""
    if skip < 1:
        yield _row(path, label or path.name, root or path.parent, code)


def _row(path: Path, label: str, root: Path, code: Code) -> Row:
    row = Row(1, storable(label), "")
    unread = _not_to_be_read(path, label, root)
    if unread:
        return row._replace(reason=unread[0], detail=unread[1])
    with path.open("rb") as file:
        raw = file.read(LONGEST_CODE + 1)
    if b"\0" in raw[:LOOKED_AT]:
        return row._replace(reason="binary_file", detail=f"a NUL at byte {raw.index(0)}")
    if len(raw) > LONGEST_CODE:
        return row._replace(reason="too_large", detail=f"more than {LONGEST_CODE} bytes")
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        return broken(1, "bad_utf8", f"{error.reason} at byte {error.start}", raw)._replace(name=row.name)
    return _of_text(row, text, path, root, code)


def _not_to_be_read(path: Path, label: str, root: Path) -> tuple[str, str] | None:
    if not path.resolve().is_relative_to(root.resolve()):
        return "link_outside", "it is a link that leads out of the folder"
    vendored = next((part for part in Path(label).parts[:-1] if part.lower() in VENDORED), None)
    return ("vendored", f"it stands in {vendored}/") if vendored else None


def _of_text(row: Row, text: str, path: Path, root: Path, code: Code) -> Row:
    language, found = language_of_code(path.name), license_of(text, path, root)
    meta = {"language": language, "license": found.name if found else None}
    row = row._replace(meta=as_json({name: value for name, value in meta.items() if value}))
    if code.licenses == "permissive" and found is None:
        return row._replace(reason="no_license", detail="no licence file up to the source's folder")
    if code.licenses == "permissive" and found and not found.permissive:
        return row._replace(reason="other_license", detail=storable(found.name))
    reason, detail = _not_by_hand(path.name, text, language)
    row = checked(row._replace(text=text))
    return row._replace(reason=reason, detail=detail) if reason else row


def _not_by_hand(name: str, text: str, language: str | None) -> tuple[str, str]:
    """Say why a text was not written, or is not to be read, by people."""
    told = _GENERATED_NAME.search(name) or _GENERATED.search(text[:GENERATED_WITHIN])
    if told:
        return "generated", f"it says {told[0]!r}"
    if language not in PROSE and text:
        lengths = [len(line) for line in text.splitlines()]
        if max(lengths, default=0) > LONGEST_CODE_LINE:
            return "minified", f"a line of {max(lengths)} characters"
        if sum(lengths) > LONGEST_MEAN_LINE * len(lengths):
            return "minified", f"lines of {sum(lengths) / len(lengths):.0f} characters on average"
    return "", ""
