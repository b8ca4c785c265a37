"""Find the licence of a file of code: what it says itself, or the nearest licence file up the tree.

In goes a path and the folder in which the search ends, out comes an SPDX name and whether the licence is permissive.
Licences are told by phrases that their texts share, whatever names, years and line breaks stand around them. A text
that holds any phrase of a licence that asks for something in return is taken for that one; of several licence files in
a folder the most permissive counts, because the owner offers a choice (LICENSE-MIT beside LICENSE-APACHE).
"""

import re
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

LONGEST_LICENSE = 256 << 10  # bytes looked at
FILES = re.compile(r"(un)?licen[sc]e|copying|copyright|mit-license", re.IGNORECASE)
ENDINGS = frozenset({"", ".md", ".txt", ".rst", ".mit", ".apache", ".bsd"})
FOLDERS_REMEMBERED = 1 << 14
_SAID = re.compile(r"SPDX-License-Identifier:\s*([^\n*]{1,200})")
_SPACE = re.compile(r"[\s*#/]+")

PERMISSIVE = frozenset(
    (
        *("0BSD", "AFL-3.0", "Apache-2.0", "Artistic-2.0", "BlueOak-1.0.0", "BSD-2-Clause", "BSD-3-Clause", "BSL-1.0"),
        *("BSD-3-Clause-Clear", "CC-BY-4.0", "CC0-1.0", "ECL-2.0", "ISC", "MIT", "MIT-0", "MS-PL", "NCSA", "PHP-3.01"),
        *("PostgreSQL", "PSF-2.0", "Python-2.0", "Ruby", "Unlicense", "UPL-1.0", "W3C", "WTFPL", "X11", "Zlib"),
    )
)
# In the order of the question: licences with conditions first, because their texts may stand among others.
_PHRASES: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("AGPL-3.0", ("gnu affero general public license",)),
    ("LGPL-3.0", ("gnu lesser general public license", "version 3")),
    ("LGPL-2.1", ("gnu lesser general public license",)),
    ("LGPL-2.0", ("gnu library general public license",)),
    ("MPL-2.0", ("mozilla public license",)),
    ("GPL-3.0", ("gnu general public license", "version 3")),
    ("GPL-2.0", ("gnu general public license",)),
    ("EPL-2.0", ("eclipse public license",)),
    ("CDDL-1.0", ("common development and distribution license",)),
    ("EUPL-1.2", ("european union public licence",)),
    ("SSPL-1.0", ("server side public license",)),
    ("BUSL-1.1", ("business source license",)),
    ("CC-BY-NC-SA-4.0", ("noncommercial", "sharealike")),
    ("CC-BY-NC-4.0", ("noncommercial",)),
    ("CC-BY-SA-4.0", ("attribution-sharealike",)),
    ("Apache-2.0", ("apache license", "version 2.0")),
    ("MIT", ("permission is hereby granted, free of charge, to any person obtaining", "permission notice shall be")),
    ("MIT-0", ("permission is hereby granted, free of charge, to any person obtaining",)),
    ("BSD-4-Clause", ("redistribution and use in source and binary forms", "all advertising materials")),
    ("BSD-3-Clause", ("redistribution and use in source and binary forms", "neither the name")),
    ("BSD-2-Clause", ("redistribution and use in source and binary forms",)),
    ("ISC", ("distribute this software for any purpose with or without fee is hereby granted, provided",)),
    ("0BSD", ("distribute this software for any purpose with or without fee is hereby granted",)),
    ("Unlicense", ("this is free and unencumbered software released into the public domain",)),
    ("CC0-1.0", ("cc0 1.0 universal",)),
    ("Zlib", ("altered source versions must be plainly marked",)),
    ("BSL-1.0", ("boost software license",)),
    ("WTFPL", ("do what the fuck you want to",)),
    ("PSF-2.0", ("psf license agreement",)),
    ("CC-BY-4.0", ("creative commons attribution 4.0 international",)),
)


class License(NamedTuple):
    """A licence by its SPDX name; `other` is one that we do not know."""

    name: str
    permissive: bool


def license_of(text: str, path: Path, root: Path) -> License | None:
    """Return the licence of a file with its text; None if nobody says one between it and the root."""
    said = _SAID.search(text[:2048])
    if said:
        return _from_expression(said[1])
    for folder in path.parents:
        found = _of_folder(folder)
        if found or folder == root:
            return found
    return None


def license_in(text: str) -> License:
    """Tell the licence that a text is."""
    said = _SAID.search(text[:2048])
    if said:
        return _from_expression(said[1])
    plain = _SPACE.sub(" ", text).lower()
    for name, phrases in _PHRASES:
        if all(phrase in plain for phrase in phrases):
            return License(name, name in PERMISSIVE)
    return License("other", False)


def _from_expression(expression: str) -> License:
    """Read an SPDX expression: OR offers a choice, AND and WITH add conditions."""
    clean = expression.strip().removesuffix("-->").strip()
    choices = re.split(r"\bOR\b", clean.replace("(", " ").replace(")", " "))
    for choice in choices:
        parts = [part.strip() for part in re.split(r"\bAND\b", choice)]
        if all(part in PERMISSIVE for part in parts):
            return License(clean, True)
    return License(clean, False)


@lru_cache(maxsize=FOLDERS_REMEMBERED)
def _of_folder(folder: Path) -> License | None:
    """Return what the licence files of a folder say, if it has any."""
    found = []
    try:
        for path in sorted(path for path in folder.iterdir() if FILES.match(path.name)):
            if path.suffix.lower() in ENDINGS and path.is_file():
                with path.open("rb") as file:
                    found.append(license_in(file.read(LONGEST_LICENSE).decode("utf-8", "replace")))
    except OSError:  # a folder that may not be listed says nothing
        return None
    return next((one for one in found if one.permissive), found[0] if found else None)
