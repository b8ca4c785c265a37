"""The only file that prints: words, tables, progress and training lines.

In: texts and figures. Out: the terminal, with colour and live bars; or, where the output is piped or logged, plain
lines at a calm pace. Quiet mode (for `--json`) holds back everything but the JSON document; problems always go to
standard error. A text given to `say`, `warn`, `heading` and `panel` may carry rich markup; `plain` shows every
character as it is.
"""

from __future__ import annotations

import json
import sys
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.panel import Panel
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.theme import Theme

PIPE_WIDTH = 1000  # a pipe has no width: nothing is folded there
WINDOW_SECONDS = 60.0  # the speed shown is that of the last minute: a slow start must not spoil the time left
MARK_SECONDS = 0.25
PLAIN_SECONDS = 5.0  # between two plain progress lines; a log of a long night stays readable

_THEME = Theme({"accent": "bold cyan", "figure": "cyan", "faint": "dim", "warning": "yellow", "problem": "bold red"})


class _State:
    quiet = False


def _out() -> Console:
    """Make the console for the present standard output; made anew each time, so that redirection is seen."""
    if _LIVE:
        return _LIVE[-1]
    width = None if sys.stdout.isatty() else PIPE_WIDTH
    return Console(theme=_THEME, highlight=False, soft_wrap=True, width=width)


_LIVE: list[Console] = []  # the console of a running bar, so that lines appear above it


def quiet(on: bool) -> None:
    """Hold back everything but JSON documents and problems, or stop doing so."""
    _State.quiet = on


def is_quiet() -> bool:
    """Say whether everything but JSON documents and problems is held back."""
    return _State.quiet


def is_terminal() -> bool:
    """Say whether a person looks at a terminal, not a pipe or a log."""
    return _out().is_terminal and not _State.quiet


def say(text: str) -> None:
    """Print a sentence."""
    if not _State.quiet:
        _out().print(text)


def plain(text: str) -> None:
    """Print a text exactly as it is, square brackets and all."""
    if not _State.quiet:
        _out().print(text, markup=False, emoji=False)


def stream(text: str) -> None:
    """Print a piece of text at once and stay on the line, for a model that writes as we watch."""
    if not _State.quiet:
        _out().print(text, end="", markup=False, emoji=False, soft_wrap=True)
        sys.stdout.flush()


def watch(draw: Callable[[], bool], seconds: float) -> None:
    """Draw; in a terminal again and again on a clean screen, until draw says that no more comes, or Ctrl-C."""
    try:
        while draw() and is_terminal():
            time.sleep(seconds)
            _out().clear()
    except KeyboardInterrupt:
        return


def ask(prompt: str) -> str:
    """Ask for a line of text; raises EOFError at the end of the input."""
    return _out().input(f"[accent]{escape(prompt)}[/accent] ")


def warn(text: str) -> None:
    """Print a sentence that deserves attention."""
    if not _State.quiet:
        _out().print(f"[warning]![/warning] {text}")


def fail(problem: Exception) -> None:
    """Print a problem on standard error: what is wrong, and what to do."""
    console = Console(theme=_THEME, highlight=False, stderr=True, soft_wrap=True)
    console.print(f"[problem]Problem:[/problem] {escape(str(problem))}")


def heading(text: str) -> None:
    """Announce a part of the work."""
    if _State.quiet:
        return
    if is_terminal():
        _out().rule(f"[accent]{text}[/accent]", align="left", style="faint")
    else:
        _out().print(f"== {text} ==")


def table(title: str | None, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Print a table; columns whose cells are all figures are set to the right."""
    if _State.quiet:
        return
    cells = [["" if cell is None else str(cell) for cell in row] for row in rows]
    if title:  # not rich's own title, which is padded to the width of the table
        _out().print(f"[accent]{escape(title)}[/accent]")
    shown = Table(header_style="faint", box=None, pad_edge=False, show_header=any(columns))
    for position, column in enumerate(columns):
        values = [row[position] for row in cells if row[position]]
        right = bool(values) and all(_is_figure(value) for value in values)
        shown.add_column(column, justify="right" if right else "left", overflow="fold")
    for row in cells:
        shown.add_row(*(escape(cell) for cell in row))
    _out().print(shown, soft_wrap=False)


def panel(text: str, title: str | None = None) -> None:
    """Print a text in a frame; without a terminal, below its title."""
    if _State.quiet:
        return
    if is_terminal():
        _out().print(
            Panel(text, title=title, title_align="left", border_style="cyan", expand=False, padding=(1, 2)),
            soft_wrap=False,
        )
    else:
        _out().print(f"-- {title} --\n{text}" if title else text)


def json_out(value: Any) -> None:
    """Print one JSON document on standard output, also in quiet mode."""
    print(json.dumps(value, ensure_ascii=False, indent=2, default=str))


def train_line(
    *,
    step: int,
    tokens: int,
    total_tokens: int,
    loss: float,
    tokens_per_second: float,
    seconds_left: float | None = None,
    kwh: float | None = None,
    **figures: float | str,
) -> None:
    """Print one line of training: where it stands, loss, speed, time left and energy so far."""
    share = 100 * tokens / total_tokens if total_tokens else 0.0
    parts = [f"step {step}", f"{count(tokens)} of {count(total_tokens)} tokens ({share:.0f}%)", f"loss {loss:.4f}"]
    parts += [f"{name} {_figure(value)}" for name, value in figures.items()]
    parts.append(f"{count(tokens_per_second)} tokens/s")
    if seconds_left is not None:
        parts.append(f"{duration(seconds_left)} left")
    if kwh is not None:
        parts.append(f"{energy(kwh)}")
    say("  ".join(parts))


class Bar:
    """Progress of one piece of work: a live bar in a terminal, a plain line now and then elsewhere."""

    def __init__(self, label: str, total: float | None, unit: str, live: Progress | None) -> None:
        self.label, self.total, self.unit = label, total, unit
        self.done = 0.0
        self._figures: dict[str, float | str] = {}
        self._live = live
        self._task: TaskID | None = live.add_task(label, total=total, text="") if live else None
        self._said = time.monotonic()
        self._marks = deque([(self._said, 0.0)])  # moments and work done, for the speed of late

    def start_at(self, done: float) -> None:
        """Begin at work done by an earlier process, which does not count for the speed."""
        self.done = done
        self._marks = deque([(time.monotonic(), done)])
        self._show()

    def advance(self, amount: float = 1, **figures: float | str) -> None:
        """Say that some more is done, with the newest figures."""
        self.update(self.done + amount, **figures)

    def update(self, done: float, **figures: float | str) -> None:
        """Say how much is done in all, with the newest figures."""
        self.done = done
        self._figures.update(figures)
        moment = time.monotonic()
        if len(self._marks) > 1 and moment - self._marks[-2][0] < MARK_SECONDS:
            self._marks.pop()
        self._marks.append((moment, done))
        while len(self._marks) > 2 and moment - self._marks[1][0] >= WINDOW_SECONDS:
            self._marks.popleft()
        self._show()

    def finish(self) -> None:
        """Say the last state; called when the `with` block ends."""
        if self._live is None and not _State.quiet:
            say(escape(self._text(self.label + ": ")))

    def _show(self) -> None:
        if self._live is not None and self._task is not None:
            self._live.update(self._task, completed=self.done, text=escape(self._text("")))
        elif not _State.quiet and time.monotonic() - self._said >= PLAIN_SECONDS:
            self._said = time.monotonic()
            say(escape(self._text(self.label + ": ")))

    def _text(self, start: str) -> str:
        (earlier, before), (later, after) = self._marks[0], self._marks[-1]
        seconds = max(later - earlier, 1e-9)
        speed = (after - before) / seconds
        goal = f" of {count(self.total)}" if self.total else ""
        parts = [f"{start}{count(self.done)}{goal} {self.unit}"]
        parts += [f"{name} {_figure(value)}" for name, value in self._figures.items()]
        if seconds >= 1 and speed > 0:
            parts.append(f"{count(speed)} {self.unit}/s")
            if self.total and self.done < self.total:
                parts.append(f"{duration((self.total - self.done) / speed)} left")
        return "  ".join(parts)


@contextmanager
def progress(label: str, total: float | None = None, unit: str = "items") -> Iterator[Bar]:
    """Show the progress of a block of work."""
    if not is_terminal() or _LIVE:
        bar = Bar(label, total, unit, None)
        yield bar
        bar.finish()
        return
    console = _out()
    columns = (
        SpinnerColumn(style="cyan"),
        TextColumn("[accent]{task.description}[/accent]"),
        BarColumn(bar_width=24, complete_style="cyan", finished_style="green"),
        TextColumn("{task.fields[text]}"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console, refresh_per_second=4) as live:
        _LIVE.append(console)
        try:
            yield Bar(label, total, unit, live)
        finally:
            _LIVE.pop()


def count(value: float | None) -> str:
    """Say a number as people do: 950, 12.3k, 4.56M, 3.75B, 3.00T."""
    if value is None:
        return "?"
    for limit, divisor, letter in ((1e4, 1, ""), (1e6, 1e3, "k"), (1e9, 1e6, "M"), (1e12, 1e9, "B")):
        if abs(value) < limit:
            scaled = value / divisor
            if not letter:
                return f"{scaled:.0f}" if scaled >= 10 or scaled == int(scaled) else f"{scaled:.1f}"
            return f"{scaled:.1f}{letter}" if scaled >= 100 else f"{scaled:.2f}{letter}"
    return f"{value / 1e12:.2f}T"


def duration(seconds: float) -> str:
    """Say a time span: 8 s, 3 min 05 s, 2 h 10 min, 3 d 4 h."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    if whole < 86400:
        return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
    return f"{whole // 86400} d {whole % 86400 // 3600} h"


def energy(kwh: float, digits: str = ".2f") -> str:
    """Say an amount of energy in the unit that leaves readable digits; a sentence takes ".3g" of them."""
    return f"{kwh * 1000:{digits}} Wh" if abs(kwh) < 0.1 else f"{kwh:{digits}} kWh"


def _figure(value: float | str) -> str:
    return value if isinstance(value, str) else f"{value:.4g}" if isinstance(value, float) else str(value)


def _is_figure(text: str) -> bool:
    return text[0].isdigit() or (text[0] in "-+~<>$€" and len(text) > 1 and text[1].isdigit()) or text == "-"
