"""Training: photographs in, a network out."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from erlangen.models import UNet
from erlangen.train.crops import Crops
from erlangen.train.data import Photographs, as_batch, find_photographs, split, statistics
from erlangen.train.memory import keep_freed_memory
from erlangen.train.metrics import intersection_over_union
from erlangen.train.segmenter import Segmenter
from erlangen.train.settings import Settings
from erlangen.train.state import restore_training, save_training

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

    model: Segmenter
    settings: Settings
    history: list[dict[str, float]] = field(default_factory=list)
    held_out: Photographs | None = None


def fit(
    data: str | Path | tuple[Photographs, Photographs],
    settings: Settings | None = None,
    *,
    net: torch.nn.Module | None = None,
    out: str | Path | None = None,
    resume: bool = False,
    progress: Progress | None = None,
    **changes: Any,
) -> Run:
    r"""Train a segmentation network on a folder of photographs.

    Minimizes binary cross-entropy plus ``1 - Dice`` with AdamW, the learning rate rising over the first
    tenth and falling as a cosine, on random crops that are flipped at random.

    Args:
        data: a folder with ``images`` and ``masks`` (files of equal stems), or with such folders in
            ``train`` and ``val``; or both sets of photographs themselves.
        settings: see `Settings`; `changes` replace single fields.
        net: another network to train, from 3 colours to 1 logit; None builds the `UNet`.
        out: a folder that a training which is stopped leaves its state in, every half minute.
        resume: go on from there. With steps or epochs the weights end the same, bit for bit, as if it had
            not been stopped; with minutes it goes on for the time that is left.
        progress: called after every step.

    Returns:
        A `Run`; its `model` is in eval mode.

    Raises:
        ValueError: for photographs that cannot be used, naming the file; for a loss that is not finite.

    Example:
        >>> run = er.fit("photos", minutes=20)        # doctest: +SKIP
        >>> er.save(run.model, "runs/photos")         # doctest: +SKIP
    """
    settings = replace(settings or Settings(), **changes)
    if resume and out is None:
        raise ValueError("resume=True without out=, expected the folder that the stopped training wrote to")
    learned, held_out = _sets(data, settings)
    images, masks = learned.load(settings.size)
    torch.manual_seed(settings.seed)
    keep_freed_memory()
    if net is None:
        net = UNet(settings.domain, 3, 1, settings.width, settings.depth, separable=settings.separable)
    model = Segmenter(net, *statistics(images), settings.size).to(_device(settings.device))
    training = Training(model, Crops(images, masks, settings), settings)
    if resume and out is not None:
        restore_training(training, out)
    training.run(held_out.load(settings.size), out, progress)
    return Run(model.cpu().eval(), settings, training.history, held_out)


class Training:
    """A training in progress, which can be saved, stopped and restored between any two steps."""

    def __init__(self, model: Segmenter, crops: Crops, settings: Settings) -> None:
        self.model, self.crops, self.settings = model, crops, settings
        self.optimizer = torch.optim.AdamW(
            model.parameters(), settings.lr, weight_decay=settings.weight_decay
        )
        self.total = settings.total_steps(len(crops.images))
        self.step, self.seconds, self.checked = 0, 0.0, 0
        self.losses: list[float] = []
        self.history: list[dict[str, float]] = []

    @property
    def fraction(self) -> float:
        """How much of the training is done."""
        done = self.step / self.total if self.total else self.seconds / (60 * self.settings.minutes)
        return min(done, 1.0)

    def run(
        self,
        held_out: tuple[list[Tensor], list[Tensor]],
        out: str | Path | None,
        progress: Progress | None,
    ) -> None:
        """Train to the end; if stopped, by whatever, leave the state in `out`."""
        report = progress or (lambda _step: None)
        saved = self.seconds
        try:
            while self.checked < self.settings.looks:
                if self.fraction >= (self.checked + 1) / self.settings.looks:
                    report(self._look(held_out))
                    continue
                start = time.monotonic()
                self.advance()
                self.seconds += time.monotonic() - start  # looking and saving is not training
                report(Step(self.step, self.seconds / 60, self.fraction, self.losses[-1], None))
                if out is not None and self.seconds - saved > SAVE_EVERY:
                    save_training(self, out)
                    saved = self.seconds
        except KeyboardInterrupt:
            if out is not None:
                save_training(self, out)
            raise

    def _look(self, held_out: tuple[list[Tensor], list[Tensor]]) -> Step:
        """Score the photographs held out."""
        self.checked += 1
        score = validate(self.model, *held_out)
        loss = sum(self.losses) / max(len(self.losses), 1)
        minutes = self.seconds / 60
        self.history.append({"step": self.step, "minutes": minutes, "loss": loss, "score": score})
        return Step(self.step, minutes, self.fraction, loss, score)

    def advance(self) -> None:
        """One step: a batch of crops, the gradient of the loss, the optimizer."""
        self.model.train()
        for group in self.optimizer.param_groups:
            group["lr"] = self.settings.lr * _schedule(self.fraction)
        device = self.model.mean.device
        image, mask = (x.to(device) for x in self.crops.batch())
        with torch.autocast(device.type, torch.bfloat16, enabled=self.settings.amp):
            logits = self.model(image)
        loss = segmentation_loss(logits.float(), mask)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        if not math.isfinite(loss.item()):
            raise ValueError(
                f"the loss is {loss.item()} at step {self.step}, expected a number; take a smaller learning "
                f"rate than lr={self.settings.lr}"
            )
        self.optimizer.step()
        self.losses = [*self.losses, loss.item()][-RECENT:]
        self.step += 1


def _sets(
    data: str | Path | tuple[Photographs, Photographs], settings: Settings
) -> tuple[Photographs, Photographs]:
    if isinstance(data, tuple):
        return data
    folder = Path(data)
    if (folder / "train").is_dir():
        training = find_photographs(folder / "train")
        if (folder / "val").is_dir():
            return training, find_photographs(folder / "val")
    else:
        training = find_photographs(folder)
    if len(training) < 2:
        raise ValueError(
            f"{folder} has {len(training)} photographs, expected at least 2: one to learn from, "
            "one to check on"
        )
    learn, check = split(len(training), settings.validation, settings.seed)
    return training.subset(learn), training.subset(check)


def _device(name: str) -> torch.device:
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise ValueError(
            f"device is {name!r}, which cannot be used here ({str(error).splitlines()[0]}); expected one "
            'that `erlangen doctor` lists; "cpu" always works'
        ) from error
    return device


def segmentation_loss(logits: Tensor, mask: Tensor) -> Tensor:
    """Binary cross-entropy plus one minus the (soft) Dice coefficient of the batch."""
    probability = torch.sigmoid(logits)
    overlap = (probability * mask).sum()
    dice = (2 * overlap + 1) / (probability.sum() + mask.sum() + 1)
    return F.binary_cross_entropy_with_logits(logits, mask) + 1 - dice


@torch.no_grad()
def validate(model: Segmenter, images: list[Tensor], masks: list[Tensor]) -> float:
    """The intersection over union, pooled over all pixels of all photographs."""
    model.eval()
    device = model.mean.device
    predicted = [model(as_batch([image]).to(device))[0, 0].cpu() > 0 for image in images]
    return intersection_over_union(predicted, masks)


def _schedule(fraction: float) -> float:
    warm = 0.1
    if fraction < warm:
        return max(fraction / warm, 0.02)
    return 0.5 * (1 + math.cos(math.pi * (fraction - warm) / (1 - warm))) + 1e-3
