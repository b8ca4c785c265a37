"""The training loop: once in a while save, log, validate and sample; then take one step.

In: a Training, built by the stage. Out: checkpoints and rows, until the last step, a signal or the end of the time.
What is due at a step is a function of the tokens seen, so a resumed run does the same things in the same places.
The subtle thing is the order: a checkpoint is taken before anything else at its step. On resume (resume.py) the records
are cut back to the step BEFORE it and the rows of its own step are made again, so a kill at any line leaves no gap and
no double row. The learning rate is a closed form of the tokens seen, and batch n a function of (seed, n).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from lhama.model.device import memory_in_use
from lhama.model.llama import Llama
from lhama.plan.recipe import Recipe
from lhama.plan.schedule import crosses, learning_rate, phase_of, tokens_after, total_steps, total_tokens
from lhama.record import console
from lhama.record.device import device_reading
from lhama.record.energy import totals
from lhama.record.meter import Meter
from lhama.record.run import Until
from lhama.train.allocator import collector_at_rest
from lhama.train.batches import Batches
from lhama.train.figures import Clock, Due, Sums, Taken
from lhama.train.guard import Guard, RollBack
from lhama.train.parallel import expect, share_of, writes
from lhama.train.profile import profiled
from lhama.train.save import Snapshot
from lhama.train.saver import Saver
from lhama.train.signals import Interrupted, StopSignals
from lhama.train.world import ALONE, World

if TYPE_CHECKING:
    from lhama.train.parallel import Optimizer

# Where time is limited, the last save begins so long before its end: another may be in flight, a step just begun.
RESERVE, SPARE_SECONDS = 2.0, 2.0


@dataclass
class Training:
    """A run of training at a step: what the stage built, and what changes while it runs."""

    recipe: Recipe
    folder: Path
    model: Llama
    optimizer: Optimizer
    loss: Callable[[Tensor, Tensor, Tensor | None, Tensor | None], Tensor]
    batches: Batches
    meter: Meter
    validate: Callable[[], Mapping[str, Any] | None]
    sample: Callable[[], list[tuple[str, str]]]
    guard: Guard
    saver: Saver
    tokenizer: Path | None
    inputs: Mapping[str, Any]
    environment: Mapping[str, Any]
    until: Until = field(default_factory=Until)
    world: World = ALONE
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
        if self.guard.skips(self.step + 1):
            self.read()
            self.step += 1
            self.guard.pass_by(self.step)
            return
        batch = self.batches.get(self.step, self.last)
        self.clock.waiting += time.perf_counter() - begun
        nats = torch.zeros((), device=self.optimizer.halted.device)
        scale = self.optimizer.loss_scale.value if self.optimizer.loss_scale else None
        for number, micro in enumerate(batch.micro, start=1):
            expect(self.optimizer, last=number == len(batch.micro))
            loss = self.loss(micro.ids, micro.targets, scale, micro.starts)
            loss.backward()  # type: ignore[no-untyped-call]
            self.optimizer.gather()
            nats += loss.detach()
        before = self.tokens
        self.step += 1
        norm = self.optimizer.step(learning_rate(self.recipe, self.tokens), batch.targets, nats)
        self.taken.append(Taken(self.step, batch.targets, nats, norm))
        if nats.device.type == "cpu":
            self.read()  # costs nothing here; an accelerator is only asked when a row, a save or a stop is due
        self.clock.last_step = time.perf_counter() - begun
        self.clock.tokens += self.tokens - before
        self.clock.stepping += self.clock.last_step

    def read(self) -> None:
        """Fetch the figures of the steps taken; the guard may stop or go back at a bad one."""
        begun = time.perf_counter()
        figures = [torch.stack((taken.nats, taken.norm)).tolist() for taken in self.taken]
        for taken, (nats, norm) in zip(self.taken, figures, strict=True):
            if self.guard.examine(taken.step, nats / taken.targets, norm):
                self.sums.add(nats, taken.targets, norm)
        if self.taken and self.taken[0].nats.device.type != "cpu":
            self.clock.stepping += time.perf_counter() - begun
        self.taken.clear()

    def save(self) -> None:
        """Take a checkpoint of this step, unless there is one; it may still be on its way to the disk."""
        if self.step in (self.saved, 0):
            return
        self.read()
        snapshot = self.snapshot()
        if writes(self.optimizer, self.world):
            self.clock.saving += self.saver.save(snapshot, before=self.meter.flush)
        self.saved = self.step

    def snapshot(self) -> Snapshot:
        """Gather what a checkpoint of this step holds; the tensors are the optimizer's own."""
        phase = phase_of(self.recipe, self.step)
        state = {
            "tokens": self.tokens,
            "updates": self.optimizer.updates(),
            "phase": phase.name,
            "row": (self.step - phase.first_step) * (phase.batch_tokens // self.recipe.tokens.sequence),
            "sums": asdict(self.sums),
            "loss_scale": self.optimizer.loss_scale.state() if self.optimizer.loss_scale else None,
            "guard": self.guard.state(),
            "seconds": self.clock.seconds(),
            "inputs": dict(self.inputs),
            "environment": dict(self.environment),
        }
        masters, moments = self.optimizer.masters(), self.optimizer.moments()
        suite = self.due().suite
        share = share_of(self.optimizer, self.world)
        return Snapshot(self.step, suite, self.model.config, masters, moments, state, self.tokenizer, share)

    def finish_saving(self) -> None:
        """Wait until what was saved is whole on the disk, and write down what the last saves cost."""
        self.saver.settle()
        if self.saver.timings:
            self.meter.metrics(step=self.step, tokens=self.tokens, saves=self.saver.take_timings())

    def stop_moment(self) -> float | None:
        """Say when to stop so that a checkpoint is whole in time, by what steps and saves took; None for never."""
        if self.until.moment is None:
            return None
        count = sum(weight.numel() for weight in self.optimizer.parameters.values())
        return self.until.moment - SPARE_SECONDS - RESERVE * (self.saver.seconds(count) + self.clock.last_step)

    def log(self, bar: console.Bar) -> None:
        """Write down the mean loss since the last row, and how the machine did."""
        self.read()
        sums = self.sums
        rate = learning_rate(self.recipe, self.tokens)
        figures = {"loss": sums.loss, "learning_rate": rate, "gradient_norm": sums.norm}
        self.meter.loss(self.step, self.tokens, **figures)
        clock, self.clock = self.clock, self.clock.next()
        if not clock.tokens:
            return  # the row was made before, by a process that stopped right after it
        device: dict[str, Any] = {}
        due = time.perf_counter() - clock.device_read >= self.recipe.record.device_every_seconds
        if due and self.world.first:
            self.clock.device_read = time.perf_counter()
            device = {"device": device_reading() | memory_in_use(self.optimizer.halted.device.type)}
            bar.update(self.tokens, energy=console.energy(totals(self.folder.parent)["kwh"]))
        bar.update(self.tokens, loss=figures["loss"])
        self.meter.metrics(
            step=self.step,
            tokens=self.tokens,
            tokens_per_second=clock.tokens / clock.stepping,
            waiting_share=clock.waiting / clock.stepping,
            saving_seconds=clock.saving,
            seconds=clock.seconds(),
            **figures,
            **device,
            **({"saves": self.saver.take_timings()} if self.saver.timings else {}),
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


def fit(training: Training, go_back: Callable[[Training], None]) -> bool:
    """Train to the last step; return False where a signal or the time stopped it before."""
    with (
        closing(training.saver),
        StopSignals(many=not training.world.alone) as signals,
        training.batches,
        training.meter,
        collector_at_rest(),
        console.progress("train", total_tokens(training.recipe), "tokens") as bar,
        profiled(training.recipe.train.profile_steps, training.step, training.meter.folder) as watched,
    ):
        while True:
            try:
                finished = _until_stopped(training, signals, bar, watched)
                training.finish_saving()
                return finished
            except RollBack:
                go_back(training)


def _until_stopped(training: Training, signals: StopSignals, bar: console.Bar, watched: Callable[[], None]) -> bool:
    bar.start_at(training.tokens)
    while True:
        due, last = training.due(), training.step == training.last
        signals.stop_at(training.stop_moment(), training.step == training.until.step and not last)
        # once in a while: save (also before the end and before a stop)
        training.saver.check()
        stopping = training.world.agree(bool(signals.asked))
        if due.save or last or stopping:
            training.save()
        if stopping:
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
        watched()
