"""The training loop: once in a while save, log, validate and sample; then take one step.

In: a Training, built by the stage. Out: checkpoints and rows, until the last step or a signal. What is due at a step is
a function of the tokens seen, so a resumed run does the same things in the same places.
The subtle thing is the order: a checkpoint is written before anything else at its step. On resume the records are cut
back to the step BEFORE it and the rows of its own step are made again, so a kill at any line leaves no gap and no
double row. The learning rate is a closed form of the tokens seen, and batch n a function of (seed, n).
"""

import gc
import math
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from lhama.model.llama import Llama
from lhama.plan.recipe import Recipe
from lhama.plan.schedule import crosses, learning_rate, phase_of, tokens_after, total_steps, total_tokens
from lhama.record import console
from lhama.record.device import device_reading
from lhama.record.energy import totals
from lhama.record.meter import Meter
from lhama.train import save
from lhama.train.batches import Batches
from lhama.train.optim import AdamW
from lhama.train.signals import Interrupted, StopSignals


@dataclass
class Sums:
    """What has come together since the last row of loss.jsonl; part of the checkpoint."""

    nats: float = 0.0
    targets: int = 0
    steps: int = 0
    norms: float = 0.0


@dataclass
class Clock:
    """How long things took; no result depends on it."""

    before: float = 0.0
    started: float = field(default_factory=time.perf_counter)
    stepping: float = 0.0
    waiting: float = 0.0
    tokens: int = 0
    device_read: float = -math.inf

    def seconds(self) -> float:
        """Say how long training took, earlier processes included."""
        return self.before + time.perf_counter() - self.started


@dataclass(frozen=True)
class Taken:
    """A step whose figures may still be on their way from the device."""

    step: int
    targets: int
    nats: Tensor
    norm: Tensor


@dataclass(frozen=True)
class Due:
    """What the tokens seen call for at a step."""

    save: bool
    suite: bool
    log: bool
    validate: bool
    sample: bool


@dataclass
class Training:
    """A run of training at a step: what the stage built, and what changes while it runs."""

    recipe: Recipe
    folder: Path
    model: Llama
    optimizer: AdamW
    loss: Callable[[Tensor, Tensor], Tensor]
    batches: Batches
    meter: Meter
    validate: Callable[[], Mapping[str, Any] | None]
    sample: Callable[[], list[tuple[str, str]]]
    on_not_finite: Callable[[int, float, float], object]
    tokenizer: Path | None
    inputs: Mapping[str, Any]
    environment: Mapping[str, Any]
    step: int = 0
    saved: int = -1
    sums: Sums = field(default_factory=Sums)
    clock: Clock = field(default_factory=Clock)
    taken: list[Taken] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.last = total_steps(self.recipe)

    @property
    def tokens(self) -> int:
        """The tokens seen so far."""
        return tokens_after(self.recipe, self.step)

    def due(self) -> Due:
        """Say what is due at this step, as a function of the step alone."""
        train = self.recipe.train
        before = tokens_after(self.recipe, max(0, self.step - 1))

        def passed(every: int | None) -> bool:
            return crosses(every, before, self.tokens)

        suite = passed(train.suite_every)
        return Due(
            save=suite or passed(train.save_every),
            suite=suite,
            log=passed(train.log_every),
            validate=passed(train.validate_every),
            sample=passed(train.sample_every),
        )

    def take_step(self) -> None:
        """Learn from the next batch."""
        begun = time.perf_counter()
        if self.due().log:
            self.sums = Sums()  # only now, so that a checkpoint made after the row can make the row again
        batch = self.batches.get(self.step, self.last)
        self.clock.waiting += time.perf_counter() - begun
        nats = torch.zeros((), device=self.optimizer.halted.device)
        for micro in batch.micro:
            loss = self.loss(micro.ids, micro.targets)
            loss.backward()  # type: ignore[no-untyped-call]
            self.optimizer.gather()
            nats += loss.detach()
        before = self.tokens
        self.step += 1
        norm = self.optimizer.step(learning_rate(self.recipe, self.tokens), batch.targets, nats)
        self.taken.append(Taken(self.step, batch.targets, nats, norm))
        if nats.device.type == "cpu":
            self.read()  # costs nothing here; an accelerator is only asked when a row, a save or a stop is due
        self.clock.tokens += self.tokens - before
        self.clock.stepping += time.perf_counter() - begun

    def read(self) -> None:
        """Fetch the figures of the steps taken and stop at the first that is not finite."""
        begun = time.perf_counter()
        figures = [torch.stack((taken.nats, taken.norm)).tolist() for taken in self.taken]
        for taken, (nats, norm) in zip(self.taken, figures, strict=True):
            if not (math.isfinite(nats) and math.isfinite(norm)):
                self.on_not_finite(taken.step, nats / taken.targets, norm)
            self.sums.nats += nats
            self.sums.targets += taken.targets
            self.sums.norms += norm
            self.sums.steps += 1
        if self.taken and self.taken[0].nats.device.type != "cpu":
            self.clock.stepping += time.perf_counter() - begun
        self.taken.clear()

    def save(self) -> None:
        """Write a checkpoint of this step, unless there is one."""
        if self.step in (self.saved, 0):
            return
        self.read()
        self.meter.flush()
        phase = phase_of(self.recipe, self.step)
        state = {
            "tokens": self.tokens,
            "phase": phase.name,
            "row": (self.step - phase.first_step) * (phase.batch_tokens // self.recipe.tokens.sequence),
            "sums": asdict(self.sums),
            "seconds": self.clock.seconds(),
            "inputs": dict(self.inputs),
            "environment": dict(self.environment),
        }
        masters, moments = self.optimizer.masters(), self.optimizer.moments()
        suite = self.due().suite
        snapshot = save.Snapshot(self.step, suite, self.model.config, masters, moments, state, self.tokenizer)
        save.write(snapshot, self.folder)
        self.saved = self.step
        save.prune(self.folder, self.recipe.train.keep)

    def log(self, bar: console.Bar) -> None:
        """Write down the mean loss since the last row, and how the machine did."""
        self.read()
        sums = self.sums
        rate = learning_rate(self.recipe, self.tokens)
        figures = {"loss": sums.nats / sums.targets, "learning_rate": rate, "gradient_norm": sums.norms / sums.steps}
        self.meter.loss(self.step, self.tokens, **figures)
        clock, self.clock = self.clock, Clock(self.clock.seconds(), device_read=self.clock.device_read)
        if not clock.tokens:
            return  # the row was made before, by a process that stopped right after it
        device: dict[str, Any] = {}
        if time.perf_counter() - clock.device_read >= self.recipe.record.device_every_seconds:
            self.clock.device_read = time.perf_counter()
            device = {"device": device_reading()}
            bar.update(self.tokens, energy=console.energy(totals(self.folder.parent)["kwh"]))
        bar.update(self.tokens, loss=figures["loss"])
        self.meter.metrics(
            step=self.step,
            tokens=self.tokens,
            tokens_per_second=clock.tokens / clock.stepping,
            waiting_share=clock.waiting / clock.stepping,
            seconds=clock.seconds(),
            **figures,
            **device,
        )

    def record(self, validation: Mapping[str, Any] | None, samples: list[tuple[str, str]]) -> None:
        """Write down and show what validation and sampling gave."""
        if validation is not None:
            self.meter.validation(self.step, self.tokens, **validation)
            console.say(
                f"step {self.step}: {validation['bits_per_byte']:.4f} bits per byte on held-out text, "
                f"perplexity {validation['perplexity']:.2f}"
            )
        for prompt, text in samples:
            self.meter.sample(self.step, self.tokens, prompt, text)
            console.plain(f"  {prompt}{text}")


def fit(training: Training) -> bool:
    """Train to the last step; return False where a signal stopped it before."""
    total = total_tokens(training.recipe)
    with (
        StopSignals() as signals,
        training.batches,
        training.meter,
        collector_at_rest(),
        console.progress("train", total, "tokens") as bar,
    ):
        bar.start_at(training.tokens)
        while True:
            due, last = training.due(), training.step == training.last
            # once in a while: save (also before the end and before a stop)
            if due.save or last or signals.asked:
                training.save()
            if signals.asked:
                return False
            # once in a while: log
            if due.log or last:
                training.log(bar)
            # once in a while: validate and sample
            try:
                with signals.interruptible():
                    validation = training.validate() if due.validate or last else None
                    samples = training.sample() if due.sample or last else []
            except Interrupted:
                training.save()
                return False
            training.record(validation, samples)
            if last:
                return True
            # a single training step
            training.take_step()


def resume(training: Training) -> None:
    """Continue from the newest checkpoint that is whole, if there is one, and cut the records back to it."""
    save.tidy(training.folder)
    save.set_damaged_aside(training.folder)
    folder = next(reversed(save.checkpoints(training.folder).values()), None)
    if folder is not None:
        found = save.read(folder)
        training.step = training.saved = int(found.state["step"])
        training.optimizer.load(found.weights, found.moments, training.step)
        training.sums = Sums(**found.state["sums"])
        training.clock.before = float(found.state["seconds"])
        console.say(f"Continuing after step {training.step} from {folder.name}.")
        _compare_environment(found.state["environment"], training.environment)
    training.meter.cut_back(training.step - 1)


def _compare_environment(then: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    differing = [f"{key} {then.get(key)} -> {value}" for key, value in now.items() if then.get(key) != value]
    if differing:
        console.warn(
            f"This is not how the checkpoint was made: {', '.join(differing)}. "
            "Training goes on, equal up to rounding but not bit for bit."
        )


@contextmanager
def collector_at_rest() -> Iterator[None]:
    """Keep Python's garbage collector out of the steps; nothing in the loop makes cycles worth a pause."""
    gc.collect()
    gc.freeze()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
        gc.unfreeze()
