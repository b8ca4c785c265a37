"""Give a text its paragraphs and lines where tags were.

In goes text with the marks of tags.py, out comes text without them: one blank line between paragraphs, no line that
held nothing but what was left out, and each row of a Markdown table in one line.
"""

import re

from lhama.corpus.repairs.tags import LINE, NOTHING, PARAGRAPH

MARKS = re.compile(rf"[ \t]*[{PARAGRAPH}{LINE}][ \t{PARAGRAPH}{LINE}]*")


def shaped(text: str) -> str:
    """Put paragraphs and lines where the marks are, without more blank lines than one."""
    if "|" in text and (PARAGRAPH in text or LINE in text):
        text = "\n".join(map(_row, text.split("\n")))
    parts = text.split(PARAGRAPH)
    last = len(parts) - 1
    trimmed = (
        part.lstrip(" \t\n" if number else "").rstrip(" \t\n" if number < last else "")
        for number, part in enumerate(map(_lined, parts))
    )
    return "\n\n".join(part for part in trimmed if part)


def _row(line: str) -> str:
    """Keep a row of a Markdown table in one line: its cells cannot hold any other shape."""
    if not line.lstrip().startswith("|") or "```" in line:
        return line
    return MARKS.sub(" ", line)


def _lined(part: str) -> str:
    """End lines where the marks are; a line that held nothing but what is left out goes whole."""
    if NOTHING in part:
        part = _without_empty_lines(part)
    if LINE not in part:
        return part
    lines = part.split(LINE)
    last = len(lines) - 1
    begun = (line.lstrip(" \t").removeprefix("\n") if number else line for number, line in enumerate(lines))
    ended = (line.rstrip(" \t").removesuffix("\n") if number < last else line for number, line in enumerate(begun))
    return "\n".join(ended)


def _without_empty_lines(part: str) -> str:
    first, *pieces = part.split(NOTHING)
    kept = [first]
    for piece in pieces:
        before, feed, line = kept[-1].rpartition("\n")
        end = piece.find("\n")
        alone = not line.strip() and (bool(feed) or len(kept) == 1) and end >= 0 and not piece[:end].strip()
        if not alone:
            kept.append(piece)
            continue
        kept[-1] = before + feed
        after = piece[end + 1 :]
        enough = before.endswith("\n") or not (before or feed)  # one blank line is, and none at the beginning
        kept.append(after.removeprefix("\n") if enough else after)
    return "".join(kept)
