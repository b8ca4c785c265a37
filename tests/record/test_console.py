"""What people and pipes see."""

import io
import json
import sys
from collections.abc import Iterator

import pytest

from lhama.plan.problem import Problem
from lhama.record import console


class Terminal(io.StringIO):
    """An output that says a person looks at it."""

    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def loud() -> Iterator[None]:
    yield
    console.quiet(False)


def open_terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    out = Terminal()
    monkeypatch.setattr(sys, "stdout", out)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.delenv("NO_COLOR", raising=False)
    return out


def test_a_pipe_gets_plain_whole_lines(capsys: pytest.CaptureFixture[str]) -> None:
    long = "uma lhama " * 40
    console.say(long)
    console.heading("corpus")
    console.panel("everything", title="Report")
    console.table("Sources", ["name", "tokens"], [["a" * 300, "12"], ["[b]", 3]])
    out = capsys.readouterr().out
    assert out.splitlines()[:4] == [long, "== corpus ==", "-- Report --", "everything"]
    assert "\x1b" not in out
    assert "a" * 300 in out
    assert "[b]" in out
    assert max(map(len, out.splitlines())) < 420


def test_quiet_lets_only_json_and_problems_through(capsys: pytest.CaptureFixture[str]) -> None:
    console.quiet(True)
    console.say("no")
    console.warn("no")
    console.plain("no")
    console.stream("no")
    console.heading("no")
    console.panel("no")
    console.table("no", ["no"], [["no"]])
    with console.progress("no", 10) as bar:
        bar.advance(10)
    console.json_out({"línguas": ["pt"]})
    console.fail(Problem("wrong [bold]", key="a.b", remedy="mend it"))
    captured = capsys.readouterr()
    assert json.loads(captured.out) == {"línguas": ["pt"]}
    assert captured.err == "Problem: a.b: wrong [bold]; mend it\n"


def test_plain_and_stream_show_square_brackets_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    console.plain("list[int] :smile:")
    console.stream("[bold]a")
    console.stream("b")
    assert capsys.readouterr().out == "list[int] :smile:\n[bold]ab"


def test_a_piped_bar_is_calm_and_always_says_the_end(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    seconds = iter(range(0, 10_000))
    monkeypatch.setattr("lhama.record.console.time.monotonic", lambda: float(next(seconds)))
    with console.progress("train", 1000, "tokens") as bar:
        for _ in range(10):
            bar.advance(100, loss=2.34567, kwh="3 Wh")
    lines = capsys.readouterr().out.splitlines()
    assert 2 <= len(lines) <= 5
    assert lines[-1].startswith("train: 1000 of 1000 tokens  loss 2.346  kwh 3 Wh")
    assert "tokens/s" in lines[0]
    assert "left" in lines[0]


def test_a_bar_that_starts_late_counts_only_its_own_speed(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    moments = {"now": 0.0}
    monkeypatch.setattr("lhama.record.console.time.monotonic", lambda: moments["now"])
    with console.progress("train", 1000, "tokens") as bar:
        bar.start_at(900)
        moments["now"] = 10.0
        bar.advance(50)
        # 50 tokens in 10 seconds are 5 a second, and the other 50 take 10 seconds more
    assert capsys.readouterr().out.splitlines()[0] == "train: 950 of 1000 tokens  5 tokens/s  10 s left"


def test_the_speed_shown_is_that_of_the_last_minute(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    moments = {"now": 0.0}
    monkeypatch.setattr("lhama.record.console.time.monotonic", lambda: moments["now"])
    with console.progress("train", 2000, "tokens") as bar:
        for second in range(0, 201, 10):
            moments["now"] = float(second)
            bar.update(max(0, second - 100) * 10)  # 100 seconds of compiling, then 10 tokens a second
    assert capsys.readouterr().out.splitlines()[-1] == "train: 1000 of 2000 tokens  10 tokens/s  1 min 40 s left"


def test_a_terminal_gets_a_live_bar_and_lines_above_it(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = open_terminal(monkeypatch)
    with console.progress("train", 100, "tokens") as bar, console.progress("inner", 5, "files") as inner:
        bar.advance(40, loss=1.5)
        inner.advance(5)
        console.say("a sample [bold]above[/bold] the bar")
        bar.advance(60, loss=1.25)
    out = terminal.getvalue()
    assert "\x1b[" in out
    assert "train" in out
    assert "100 of 100 tokens" in out
    assert "loss 1.25" in out
    assert "a sample" in out
    console.heading("tokens")
    console.panel("framed", title="Done")
    assert "╭" in terminal.getvalue()


def test_a_line_of_training_says_all_that_matters(capsys: pytest.CaptureFixture[str]) -> None:
    console.train_line(
        step=1200,
        tokens=9_830_400,
        total_tokens=19_660_800,
        loss=2.34567,
        tokens_per_second=6100.4,
        seconds_left=1611.0,
        kwh=0.0123,
        rate=3e-4,
    )
    assert capsys.readouterr().out == (
        "step 1200  9.83M of 19.66M tokens (50%)  loss 2.3457  rate 0.0003  6100 tokens/s  26 min 51 s left  12.30 Wh\n"
    )


def test_numbers_as_people_say_them() -> None:
    assert [console.count(n) for n in (0, 0.5, 950, 9999, 12345, 999_500, 4.56e6, 3.75e9, 3e12, None)] == [
        "0", "0.5", "950", "9999", "12.35k", "999.5k", "4.56M", "3.75B", "3.00T", "?",
    ]  # fmt: skip
    assert [console.duration(s) for s in (0.2, 59, 60, 3599, 3600, 90000, 270000)] == [
        "0 s", "59 s", "1 min 00 s", "59 min 59 s", "1 h 00 min", "1 d 1 h", "3 d 3 h",
    ]  # fmt: skip
    assert [console.energy(kwh, ".3g") for kwh in (0.0012345, 0.5, 6.044)] == ["1.23 Wh", "0.5 kWh", "6.04 kWh"]
    assert [console.energy(kwh) for kwh in (0.0, 0.00123, 0.5, 115.69)] == [
        "0.00 Wh", "1.23 Wh", "0.50 kWh", "115.69 kWh",
    ]  # fmt: skip
