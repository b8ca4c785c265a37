"""The release stage: both files, skipped when nothing changed, made anew when the record did."""

from collections.abc import Callable
from pathlib import Path

from lhama.plan.recipe import load
from lhama.record.meter import without_lost
from lhama.record.run import Run
from lhama.release.stage import run_stage

MakeRun = Callable[..., Run]


def made(run: Run) -> int:
    return (run.path("release") / "report.html").stat().st_mtime_ns


def test_it_writes_both_files_and_redoes_nothing_unasked(made_run: MakeRun) -> None:
    run = made_run()
    run_stage(run.recipe, run)
    assert {path.name for path in run.path("release").glob("*.*")} >= {"report.html", "README.md", "manifest.json"}
    before = made(run)
    run_stage(run.recipe, run)
    assert made(run) == before


def test_a_longer_record_and_a_new_price_make_it_anew(made_run: MakeRun, tmp_path: Path) -> None:
    run = made_run()
    run_stage(run.recipe, run)
    before = made(run)
    with (run.folder / "train" / "loss.jsonl").open("a") as file:
        file.write('{"step": 368, "tokens": 3014656, "loss": 1.2, "learning_rate": 0.0}\n')
    run_stage(run.recipe, run)
    after = made(run)
    assert after > before
    dearer = load(run.folder / "recipe.toml", ["hardware.price_per_hour=9"])
    run_stage(dearer, Run(run.folder, dearer))
    assert made(run) > after


def test_a_run_that_has_not_begun_gets_its_page(made_run: MakeRun) -> None:
    run = made_run(without=("*/*", "*/*/*", "plan.json"))
    run_stage(run.recipe, run)
    assert "Training is not finished" in (run.path("release") / "report.html").read_text(encoding="utf-8")


def test_lost_rows_leave_and_what_came_after_stays() -> None:
    rows = [{"step": step, "speed": step} for step in (10, 20, 30)]
    again = [{"step": step, "speed": -step} for step in (20, 30)]
    lost = {"lost": {"after_step": 10, "until_step": 30, "rows": 2}}
    assert without_lost([*rows, lost, *again]) == [rows[0], *again]
    assert without_lost([{"lost": "what"}, *rows]) == rows
