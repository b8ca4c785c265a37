"""emissions.csv keeps CodeCarbon's figures and units, and nothing of where the machine stands."""

import csv
import io
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from lhama.record import emissions
from lhama.record.emissions import COLUMNS, published

WHERE = ("longitude", "latitude", "region", "cloud_region", "run_id", "experiment_id")
HEAD = "timestamp,project_name,run_id,duration,emissions,energy_consumed,country_iso_code,region,longitude,latitude"


def rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_what_is_published_says_nothing_of_the_place(tmp_path: Path) -> None:
    (tmp_path / "train").mkdir()
    (tmp_path / "corpus.again-x").mkdir()
    (tmp_path / "release").mkdir()
    own = f"{HEAD}\n2026-11-21T10:00:00,train,6b1f-4c,60.0,0.0036,0.0366,BRA,bahia,-38.51,-12.97\n"
    (tmp_path / "train" / "emissions.csv").write_text(own)
    earlier = f"{HEAD}\n2026-11-20T10:00:00,corpus,77aa-01,5.0,0.0001,0.001,BRA,bahia,-38.51,-12.97\n"
    (tmp_path / "corpus.again-x" / "emissions.csv").write_text(earlier)
    (tmp_path / "release" / "emissions.csv").write_text(own)  # an earlier publication is no source of the next
    text = published(tmp_path)
    for secret in ("-38.51", "-12.97", "bahia", "6b1f", "77aa", *WHERE):
        assert secret not in text
    assert [(row["project_name"], row["emissions"], row["country_iso_code"]) for row in rows(text)] == [
        ("corpus", "0.0001", "BRA"),
        ("train", "0.0036", "BRA"),
    ]


def test_a_run_without_codecarbon_publishes_none(tmp_path: Path) -> None:
    assert published(tmp_path) == ""
    (tmp_path / "emissions.csv").write_bytes(b"\xff\xfe\x00")
    assert published(tmp_path) == ""


def test_all_columns_of_codecarbon_are_kept_but_those_of_the_place() -> None:
    data = pytest.importorskip("codecarbon.output_methods.emissions_data")
    assert set(data.EmissionsData.__dataclass_fields__) == {*COLUMNS, *WHERE}


class FakeTracker:
    """CodeCarbon's tracker with a reading that grows."""

    def __init__(self, total: dict[str, Any], handlers: list[Any]) -> None:
        self.total, self.handlers = total, handlers

    def start(self) -> None:
        """Begin."""

    def flush(self) -> None:
        self.total["emissions"] += 0.5
        for handler in self.handlers:
            handler.out(SimpleNamespace(**self.total, values=dict(self.total)), None)


def test_each_process_keeps_one_line_that_grows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    codecarbon = pytest.importorskip("codecarbon")
    total = {"project_name": "train", "cpu_energy": 1.0, "gpu_energy": 0.0, "ram_energy": 0.0, "latitude": -12.97}

    def make(**given: Any) -> FakeTracker:
        assert given["project_name"] == "train" and given["output_methods"] == []
        return FakeTracker({**total, "emissions": 0.0, "run_id": "x"}, given["output_handlers"])

    monkeypatch.setattr(codecarbon, "OfflineEmissionsTracker", make)
    for process in range(2):
        tracker = emissions.CodeCarbon("BRA", 10, 1.0, None, "train", tmp_path)
        tracker.read()
        text = (tmp_path / "emissions.csv").read_text()
        assert "-12.97" not in text
        # Twice read, at the start and now: 2 x 0.5, and the line of the process before stays.
        assert [row["emissions"] for row in rows(text)] == ["1.0"] * (process + 1)
