"""A training in progress: steps, looks at what is held out, stops."""

import copy
import math
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from erlangen.models import Classifier, UNet
from erlangen.train.cost import Cost, measure_cost
from erlangen.train.crops import Crops
from erlangen.train.data import Data
from erlangen.train.gradient import Gradient
from erlangen.train.images import as_batch
from erlangen.train.losses import Loss
from erlangen.train.predictor import Predictor
from erlangen.train.settings import Settings
from erlangen.train.state import save_training
from erlangen.train.survey import class_counts
from erlangen.train.tiles import answer

Progress = Callable[["Step"], None]
SAVE_EVERY = 30.0  # seconds of training
RECENT = 50  # steps whose mean loss is shown


@dataclass(frozen=True)
class Step:
    """Where a training stands."""

    step: int
    minutes: float
    fraction: float
    loss: float
    score: float | None


@dataclass(frozen=True, eq=False)
class Run:
    """What a training gave: the network, its curves, and the photographs it was not shown."""

    model: Predictor
    settings: Settings
    history: list[dict[str, float]]
    held_out: Data
    notes: tuple[str, ...] = ()


class Training:
    """A training in progress, which can be saved, stopped and restored between any two steps.

    Args:
        model, loss, crops, settings: what is trained, how, and on what.
        held_out: photographs that it is scored on.
        out: the folder for its state.
        notes: what the user should know of the photographs.
    """

    def __init__(
        self,
        model: Predictor,
        loss: Loss,
        crops: Crops,
        settings: Settings,
        held_out: Data,
        out: str | Path | None = None,
        notes: tuple[str, ...] = (),
    ) -> None:
        self.model, self.loss, self.crops, self.settings = model, loss, crops, settings
        self.held_out, self.out, self.notes = held_out, out, notes
        real = all(p.is_floating_point() for p in model.parameters())
        fused = True if real and model.mean.device.type == "cuda" else None
        self.optimizer = torch.optim.AdamW(
            model.parameters(), settings.lr, weight_decay=settings.weight_decay, fused=fused
        )
        self.gradient = Gradient(model, loss, settings.amp)
        self.total = settings.total_steps(len(crops.images))
        self.step, self.seconds, self.checked = 0, 0.0, 0
        self.losses: list[float] = []
        self.history: list[dict[str, float]] = []

    def facts(self) -> dict[str, str]:
        """What will be trained, on what, and what it will take; in words."""
        task, net = self.model.task, self.model.net
        counts = class_counts(task, self.crops.truths)
        shares = [
            f"{name} {100 * n / counts.sum():.3g} %" for name, n in zip(task.classes, counts, strict=True)
        ]
        parameters = sum(p.numel() for p in net.parameters())
        domain = f" on {net.domain}" if isinstance(net, UNet | Classifier) else ""
        return {
            "task": f"{task.name}: {', '.join(shares)}",
            "photographs": f"{len(self.crops.images)} to learn from, {len(self.held_out)} held out",
            "network": f"{type(net).__name__}{domain}, {parameters:,} parameters",
            "loss": self.loss.extra_repr(),
            "cost": str(self.cost()),
        }

    def cost(self) -> Cost:
        """What the rest of the training will take, measured on a copy, whose steps it never sees."""
        crops = Crops(self.crops.images, self.crops.truths, self.settings)
        still = replace(self.settings, lr=1e-12)
        trial = Training(copy.deepcopy(self.model), self.loss, crops, still, self.held_out)
        trial.step, trial.seconds, trial.checked = self.step, self.seconds, self.checked
        return measure_cost(trial)

    @property
    def fraction(self) -> float:
        """How much of the training is done."""
        done = self.step / self.total if self.total else self.seconds / (60 * self.settings.minutes)
        return min(done, 1.0)

    def run(self, progress: Progress | None = None) -> Run:
        """Train to the end; if stopped by Ctrl-C, leave the state in `out`."""
        report = progress or (lambda _step: None)
        saved = self.seconds
        if self.out is not None:  # whether there is room shows before the work, not after
            save_training(self, self.out)
        try:
            held_out = self.held_out.load(self.settings.size)
            if not class_counts(self.model.task, held_out[1]).any():
                raise ValueError("no pixel of the masks held out counts, expected some to score on")
            while self.checked < self.settings.looks:
                if self.fraction >= (self.checked + 1) / self.settings.looks:
                    report(self._look(*held_out))
                    continue
                start = time.monotonic()
                with whole_steps():
                    self.advance()
                self.seconds += time.monotonic() - start  # looking and saving is not training
                report(Step(self.step, self.seconds / 60, self.fraction, self.losses[-1], None))
                if self.out is not None and self.seconds - saved > SAVE_EVERY:
                    save_training(self, self.out)
                    saved = self.seconds
        except KeyboardInterrupt:
            if self.out is not None:
                save_training(self, self.out)
            raise
        self.gradient.forget()
        return Run(self.model.cpu().eval(), self.settings, self.history, self.held_out, self.notes)

    def _look(self, images: list[Tensor], truths: list[Tensor]) -> Step:
        """Score the photographs held out."""
        score = validate(self.model, images, truths)
        loss = sum(self.losses) / max(len(self.losses), 1)
        minutes = self.seconds / 60
        self.history.append({"step": self.step, "minutes": minutes, "loss": loss, "score": score})
        self.checked += 1
        return Step(self.step, minutes, self.fraction, loss, score)

    def advance(self) -> None:
        """One step: a batch of crops, the gradient of the loss, the optimizer."""
        self.model.train()
        for group in self.optimizer.param_groups:
            group["lr"] = self.settings.lr * _schedule(self.fraction)
        loss = self.gradient(*self.crops.batch())
        if not math.isfinite(loss):
            mend = f"take a smaller learning rate than lr={self.settings.lr}, anew (--overwrite)"
            raise ValueError(
                f"the loss is {loss} at step {self.step}, expected a number; "
                f"{mend if self.step else 'look at the photographs, the masks and the class weights'}"
            )
        self.optimizer.step()
        self.losses = [*self.losses, loss][-RECENT:]
        self.step += 1


@contextmanager
def whole_steps() -> Iterator[None]:
    """Ctrl-C waits for the end of the step: half of one could not be resumed."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    caught: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, _frame: caught.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
    if caught:
        raise KeyboardInterrupt


def validate(model: Predictor, images: list[Tensor], truths: list[Tensor]) -> float:
    """The score (`Task.score`), pooled over all photographs."""
    predicted = [model.task.decide(answer(model, as_batch([image])))[0] for image in images]
    return model.task.score(predicted, truths)


def _schedule(fraction: float) -> float:
    warm = 0.1
    if fraction < warm:
        return max(fraction / warm, 0.02)
    return 0.5 * (1 + math.cos(math.pi * (fraction - warm) / (1 - warm))) + 1e-3
