"""A profile of some training steps: where their time goes, as a trace to look at and a table to read.

In: how many steps the recipe asks for. Out: `train/profile/steps-A-B.json`, which chrome://tracing and Perfetto open,
and `steps-A-B.txt`, the operations by their share of the time. The first steps of a process compile and warm up and are
left out. The subtle thing: a profile slows the steps that it watches, so it says shares, not speeds.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from torch.profiler import ProfilerActivity, profile, schedule

from lhama.record import console
from lhama.record.files import write_text, writing

FOLDER = "profile"
UNWATCHED = 3  # steps: compilation, memory that is touched for the first time
ROWS = 40  # of the table


@contextmanager
def profiled(steps: int | None, begun: int, folder: Path) -> Iterator[Callable[[], None]]:
    """Watch `steps` steps of a process that goes on after step `begun`; yield what is to be called after each step."""
    if not steps:
        yield lambda: None
        return
    name = f"steps-{begun + UNWATCHED + 1}-{begun + UNWATCHED + steps}"

    def keep(found: profile) -> None:
        place = folder / FOLDER
        place.mkdir(exist_ok=True)
        with writing(place / f"{name}.json") as temporary:
            found.export_chrome_trace(str(temporary))
        by = "self_cuda_time_total" if torch.cuda.is_available() else "self_cpu_time_total"
        write_text(place / f"{name}.txt", found.key_averages().table(sort_by=by, row_limit=ROWS))
        console.say(f"The profile of {steps} steps is in {place}: {name}.json for a browser, {name}.txt to read.")

    activities = [ProfilerActivity.CPU] + ([ProfilerActivity.CUDA] if torch.cuda.is_available() else [])
    plan = schedule(wait=UNWATCHED - 1, warmup=1, active=steps, repeat=1)
    with profile(activities=activities, schedule=plan, on_trace_ready=keep, acc_events=True) as watching:
        yield watching.step
