"""Training: photographs in, a network out."""

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from erlangen.models import UNet
from erlangen.spaces import Plane
from erlangen.train.data import Photographs, as_batch, find_photographs, split, statistics
from erlangen.train.memory import keep_freed_memory
from erlangen.train.metrics import intersection_over_union
from erlangen.train.segmenter import Segmenter

Progress = Callable[["Step"], None]


@dataclass(frozen=True)
class Settings:
    """How to train. Every field is a flag of ``erlangen train``.

    Attributes:
        minutes: how long to train.
        steps: train for so many steps instead.
        seed: of the weights, the crops and the split.
        rotations: N of C_N; 0 for isotropic kernels on scalar fields.
        reflections: whether flips belong to the group.
        width: fields at the finest level.
        depth: how often the resolution is halved.
        separable: mix at each point, then correlate each channel by itself.
        size: photographs are shrunk to this longer side, in pixels.
        crop: side of the random square that a step sees of each photograph.
        batch: crops in a step.
        lr: the largest learning rate.
        weight_decay: of AdamW.
        jitter: random brightness, contrast and colour of crops, relative.
        quarter_turns: turn crops by random quarter turns: what a network that knows none needs.
        looks: how often the photographs held out are scored; the last time at the end.
        validation: fraction held out, if there is no folder ``val``.
    """

    minutes: float = 20.0
    steps: int | None = None
    seed: int = 0
    rotations: int = 8
    reflections: bool = False
    width: int = 8
    depth: int = 3
    separable: bool = True
    size: int = 256
    crop: int = 128
    batch: int = 8
    lr: float = 5e-3
    weight_decay: float = 1e-4
    jitter: float = 0.2
    quarter_turns: bool = False
    looks: int = 10
    validation: float = 0.2

    def __post_init__(self) -> None:
        least = {"rotations": 0, "width": 1, "depth": 0, "size": 1, "crop": 1, "batch": 1, "looks": 1}
        for name, low in least.items():
            if getattr(self, name) < low:
                raise ValueError(f"{name} is {getattr(self, name)}, expected at least {low}")
        if self.steps is None and not self.minutes > 0:
            raise ValueError(f"minutes is {self.minutes}, expected a time above 0, or a number of steps")
        if self.steps is not None and self.steps < 1:
            raise ValueError(f"steps is {self.steps}, expected at least 1, or None to train for minutes")
        if not 0 < self.validation < 1:
            raise ValueError(f"validation is {self.validation}, expected a fraction between 0 and 1")
        if not self.lr > 0:
            raise ValueError(f"lr is {self.lr}, expected a learning rate above 0")

    @property
    def domain(self) -> Plane:
        """The plane that these settings name."""
        return Plane(self.rotations, self.reflections) if self.rotations else Plane()


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
    training, held_out = _sets(data, settings)
    images, masks = training.load(settings.size)
    torch.manual_seed(settings.seed)
    keep_freed_memory()
    if net is None:
        net = UNet(settings.domain, 3, 1, settings.width, settings.depth, separable=settings.separable)
    model = Segmenter(net, *statistics(images), settings.size)
    history = _train(model, images, masks, held_out.load(settings.size), settings, progress)
    return Run(model.eval(), settings, history, held_out)


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


def _train(
    model: Segmenter,
    images: list[Tensor],
    masks: list[Tensor],
    held_out: tuple[list[Tensor], list[Tensor]],
    settings: Settings,
    progress: Progress | None,
) -> list[dict[str, float]]:
    optimizer = torch.optim.AdamW(model.parameters(), settings.lr, weight_decay=settings.weight_decay)
    batches = _crops(images, masks, settings)
    history: list[dict[str, float]] = []
    losses: list[float] = []
    start, step, fraction, checked = time.monotonic(), 0, 0.0, 0
    model.train()
    while fraction < 1:
        minutes = (time.monotonic() - start) / 60
        fraction = step / settings.steps if settings.steps else minutes / settings.minutes
        fraction = min(fraction, 1.0)
        if fraction >= (checked + 1) / settings.looks:
            checked += 1
            paused = time.monotonic()
            score = validate(model, *held_out)
            model.train()
            loss = sum(losses[-50:]) / max(len(losses[-50:]), 1)
            history.append({"step": step, "minutes": minutes, "loss": loss, "score": score})
            if progress:
                progress(Step(step, minutes, fraction, loss, score))
            start += time.monotonic() - paused  # looking is not training
            if fraction >= 1:
                break
        for group in optimizer.param_groups:
            group["lr"] = settings.lr * _schedule(fraction)
        image, mask = next(batches)
        loss = segmentation_loss(model(image), mask)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        losses.append(loss.item())
        step += 1
        if not math.isfinite(losses[-1]):
            raise ValueError(
                f"the loss is {losses[-1]} at step {step}, expected a number; take a smaller learning "
                f"rate than lr={settings.lr}"
            )
        if progress:
            progress(Step(step, minutes, fraction, losses[-1], None))
    return history


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
    predicted = [model(as_batch([image]))[0, 0] > 0 for image in images]
    return intersection_over_union(predicted, masks)


def _schedule(fraction: float) -> float:
    warm = 0.1
    if fraction < warm:
        return max(fraction / warm, 0.02)
    return 0.5 * (1 + math.cos(math.pi * (fraction - warm) / (1 - warm))) + 1e-3


def _crops(images: list[Tensor], masks: list[Tensor], settings: Settings) -> Iterator[tuple[Tensor, Tensor]]:
    """Random squares of random photographs, each photograph once in every round."""
    generator = torch.Generator().manual_seed(settings.seed)

    def integer(below: int) -> int:
        return int(torch.randint(max(below, 1), (1,), generator=generator))

    queue: list[int] = []
    while True:
        pairs = []
        for _ in range(settings.batch):
            if not queue:
                queue = torch.randperm(len(images), generator=generator).tolist()
            image, mask = _crop(images, masks, queue.pop(), settings.crop, integer)
            if settings.quarter_turns:
                turns = integer(4)
                image, mask = image.rot90(turns, (-2, -1)), mask.rot90(turns, (-2, -1))
            pairs.append((image, mask))
        batch = as_batch([image for image, _ in pairs])
        target = torch.stack([mask for _, mask in pairs])[:, None].float()
        yield _jitter(batch, settings.jitter, generator), target


def _crop(
    images: list[Tensor], masks: list[Tensor], i: int, side: int, integer: Callable[[int], int]
) -> tuple[Tensor, Tensor]:
    image, mask = images[i], masks[i]
    height, width = mask.shape
    short = [max(side - height, 0), max(side - width, 0)]
    if any(short):  # a photograph smaller than the crop is continued by its mirror image
        amounts = (0, short[1], 0, short[0])
        mode = "reflect" if short[0] < height and short[1] < width else "replicate"
        image = F.pad(image[None].float(), amounts, mode=mode)[0].to(torch.uint8)
        mask = F.pad(mask[None, None].float(), amounts, mode=mode)[0, 0].to(torch.uint8)
    top, left = integer(mask.shape[0] - side + 1), integer(mask.shape[1] - side + 1)
    image = image[:, top : top + side, left : left + side]
    mask = mask[top : top + side, left : left + side]
    return (image.flip(-1), mask.flip(-1)) if integer(2) else (image, mask)


def _jitter(image: Tensor, amount: float, generator: torch.Generator) -> Tensor:
    """Brightness, contrast and the balance of colours, at random for each image."""

    def factor(channels: int) -> Tensor:
        shape = (len(image), channels, 1, 1)
        return 1 + amount * (2 * torch.rand(shape, generator=generator) - 1)

    mean = image.mean((1, 2, 3), keepdim=True)
    balance = 1 + (factor(3) - 1) / 3
    return ((image - mean) * factor(1) + mean * factor(1)) * balance
