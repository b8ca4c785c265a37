"""The record that stands beside a page, for the tests of the page."""

import json
from collections.abc import Callable
from typing import Any

from lhama.record.run import Run

MakeRun = Callable[..., Run]


def document(run: Run, name: str) -> Any:
    return json.loads((run.folder / name).read_text(encoding="utf-8"))


def rows(run: Run, name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run.folder / name).read_text(encoding="utf-8").splitlines()]
