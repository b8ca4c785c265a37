"""One probe of `lhama tune`, a process of its own: a job goes in as a JSON file, what its steps took comes out as one.

The process builds what training builds (assembly.py) and takes real steps of it. The first ones compile, warm up and
are compared: their losses, on the same batches, must be those of every other probe. The later ones are timed. The rate
rises to its peak within the compared steps, so that a wrong gradient shows in the losses after it.
The subtle thing is memory: where it ends, the answer says so and the process ends well. A limit on what may be taken
makes that likely before the kernel has to choose a victim, and if it must, it is to choose this process.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import torch

from lhama.model.device import Device, pick
from lhama.model.exact import before_cuda
from lhama.plan.problem import Problem
from lhama.plan.recipe import Recipe, load
from lhama.record import console
from lhama.record.files import write_json
from lhama.record.run import Run
from lhama.train.allocator import collector_at_rest, keep_freed_memory
from lhama.train.assembly import assemble
from lhama.train.launch import die_with_parent
from lhama.train.loop import Training
from lhama.train.tune_job import MEMORY, Job, speaks_of_memory
from lhama.train.world import ALONE

SIDE = {"cpu": 2_048, "cuda": 8_192, "mps": 4_096}  # of the square product whose speed stands for the device's best


def shortened(recipe: Recipe, job: Job) -> Recipe:
    """Return the recipe of the probe's few steps: one phase, and a rate that rises within the compared steps."""
    train = recipe.train.model_copy(
        update={
            "phase": (),
            "tokens": job.batch_tokens * 1_000_000,  # the probe never comes to the end
            "batch_tokens": job.batch_tokens,
            "schedule": "constant",
            "warmup_tokens": job.compared * job.batch_tokens,
            "decay_tokens": None,
            "log_every": 1,
            "spikes": "ignore",
            "not_finite": "stop",
            "mirror": None,
            "profile_steps": None,
        }
    )
    return recipe.model_copy(update={"train": train})


def probe(job: Job) -> dict[str, Any]:
    """Build, take steps, and say what they took."""
    recipe = load(job.recipe)
    before_cuda(recipe.train.deterministic and recipe.hardware.accelerator != "cpu")
    device = pick(recipe)
    device.start()
    if device.kind == "cuda":
        torch.cuda.reset_peak_memory_stats()
    keep_freed_memory()
    begun = time.perf_counter()
    program = resident("VmRSS")
    folder = Path(job.run)
    short = shortened(recipe, job)
    training = assemble(short, Run(folder, short), ALONE, device, folder, folder, {})
    training.tokenizer = None
    update = _timing_updates(training)
    with closing(training.saver), training.batches, training.meter, collector_at_rest():
        compared = [_step(training, update) for _ in range(job.compared)]
        ready = time.perf_counter()
        timed: list[dict[str, float]] = []
        while len(timed) < job.least or time.perf_counter() - ready < job.seconds:
            if job.save and not timed:
                training.save()
            timed.append(_step(training, update))
        training.saver.settle()
    return {
        "device": {key: value for key, value in device.describe().items() if not key.startswith("why_")},
        "why_compile": device.why_compile,
        "rows_at_once": training.batches.most_rows,
        "batch_tokens": job.batch_tokens,
        "compared": compared,
        "timed": timed,
        "ready_seconds": ready - begun,
        "program_bytes": program,
        "peak_bytes": max(program, peak(device)) if device.kind == "cpu" else peak(device),  # Linux rounds them apart
        "product_flops_per_second": square_product(device),
    }


def _step(training: Training, update: Callable[[], float]) -> dict[str, float]:
    """Take one step of training and say its seconds, those of the update in it, its loss and its gradient's norm."""
    begun = time.perf_counter()
    training.take_step()
    training.read()
    seconds = time.perf_counter() - begun
    return {"seconds": seconds, "update": update(), "loss": training.sums.loss, "norm": training.sums.norm}


def _timing_updates(training: Training) -> Callable[[], float]:
    """Watch the optimizer's clock; on a device that works behind the program's back, no clock is to be watched."""
    took = 0.0
    step = training.optimizer.step

    def timed(*given: Any) -> torch.Tensor:
        nonlocal took
        begun = time.perf_counter()
        norm = step(*given)
        took = time.perf_counter() - begun
        return norm

    if training.optimizer.halted.device.type == "cpu":
        training.optimizer.step = timed  # type: ignore[method-assign, assignment]
    return lambda: took


def resident(field: str) -> int:
    """Read VmRSS (bytes of memory that this process holds now) or VmHWM (the most it held); 0 where no system tells.

    Not getrusage: what it says of a process begins with the peak of the one that started it.
    """
    with suppress(OSError):
        for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
            if line.startswith(f"{field}:"):
                return int(line.split()[1]) * 1024
    return 0


def peak(device: Device) -> int:
    """Return the most memory that the work took: of the process on a processor, of torch's tensors on a GPU."""
    if device.kind == "cuda":
        return torch.cuda.max_memory_allocated()
    held = resident("VmHWM")
    if held or sys.platform == "win32":
        return held
    import resource  # absent on Windows

    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024  # macOS counts bytes


def square_product(device: Device) -> float:
    """Measure how many operations a second one large product makes, in the precision of the products of training."""
    side = SIDE.get(device.kind, 2_048)
    left, right = (torch.ones(side, side, dtype=device.dtype, device=device.place) for _ in range(2))
    best = 0.0
    for _ in range(5):
        begun = time.perf_counter()
        product = left @ right
        product[0, 0].item()  # waits for the device
        best = max(best, 2.0 * side**3 / (time.perf_counter() - begun))
    return best


def limit_memory(most: int | None) -> None:
    """Let this process take at most so much memory of its own, and be the first to go where the system runs out."""
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000", encoding="ascii")
    if most is None or sys.platform != "linux":
        return
    import resource  # absent on Windows

    resource.setrlimit(resource.RLIMIT_DATA, (most, most))


def answer(job: Job) -> dict[str, Any]:
    """Do the job; what memory or a recipe refuses is an answer, too."""
    try:
        return probe(job)
    except MemoryError:
        return {"error": MEMORY}
    except Problem as problem:
        return {"error": str(problem)}
    except RuntimeError as error:  # torch.OutOfMemoryError is one
        if speaks_of_memory(str(error)):
            return {"error": MEMORY}
        raise


def main(path: str) -> None:
    """Read the job, do it, write the answer."""
    console.quiet(True)
    die_with_parent()
    job = Job.read(Path(path))
    limit_memory(job.memory_bytes)
    write_json(Path(job.answer), answer(job))


if __name__ == "__main__":
    main(sys.argv[1])
