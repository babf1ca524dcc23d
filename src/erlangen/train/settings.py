"""How to train."""

import dataclasses
from dataclasses import dataclass, fields
from statistics import median
from typing import Annotated, Any

from torch import Tensor

from erlangen.arguments import TOO_MANY, Count, Depth, Oversampling, Positive, Range, check_fields, shown
from erlangen.spaces import Plane
from erlangen.train.losses import LossName
from erlangen.train.masks import IGNORED
from erlangen.train.task import Task

Share = Annotated[float, Range(0)]


@dataclass(frozen=True)
class Settings:
    """How to train.

    Attributes:
        minutes: how long all takes, reading photographs and scoring included (and the page, at the command
            line), unless epochs or steps say otherwise.
        epochs: train for so many rounds of the photographs instead.
        steps: train for so many steps instead.
        classes: how many the masks tell apart: 2 for the thing, where they are not zero, and its background;
            more where the values of mask pixels are the classes, from 0 on; None for as many as classes.txt
            names, or 2.
        ignore: the value of mask pixels that do not count, often 255; None if all do.
        loss: what is minimized: cross-entropy+dice (of masks, unless told otherwise), cross-entropy (of whole
            photographs), dice, or focal.
        class_weights: of the classes in the loss, one number for each, the background's first.
        balance: weigh classes by how rare they are, such that all weigh the same in sum.
        seed: of the weights, the crops and the split.
        rotations: how many turns the network knows (C_N): 8 for multiples of 45 degrees, 4 of 90; 0 for round
            kernels alone, which want more width (24).
        reflections: whether mirror images count as the same, as turned photographs do.
        width: fields at the finest level; None for 5, or 6 where the whole photograph has a class.
        depth: how often the resolution is halved.
        blocks: correlations at every level, on the way down and again on the way up; with 1
            (and width 6) a step takes 0.6 of the time and gives less. Classifiers have 2.
        separable: mix at each point, then correlate each channel by itself: fewer parameters for the width,
            so take more of it (8, with 1 block), and kernels of 5.
        kernel_size: of all correlations, in pixels of their level, odd. More exact between the angles that
            the pixel grid knows with 5, which takes twice as long as 3.
        oversampling: how finely ReLUs see the angles of the network, at least 1; with 2 and kernels of 5 it
            is more exact between them, and a step takes a tenth longer, 1.4 times as long where separable.
        size: photographs are shrunk to this longer side, in pixels.
        crop: side of the random square that a step sees of each photograph; None for half the size (at most
            the shorter side of most), or all of it where the whole photograph has a class.
        batch: crops in a step.
        lr: the largest learning rate.
        weight_decay: of AdamW.
        jitter: random brightness, contrast and colour of crops, relative.
        flips: flip crops from side to side at random; not for what differs from its mirror image.
        zoom: show crops larger or smaller, at random, by at most this relative amount.
        turns: turn every other crop by a random angle of at most so many degrees: what lies between the
            rotations that the network knows.
        quarter_turns: turn crops by random quarter turns: what a network that knows none needs.
        validation: fraction held out, if there is no folder val.
        looks: how often the photographs held out are scored, the last time at the end; fewer where they would
            take more than half of the minutes.
        device: where to compute, such as "cpu" or "cuda".
        amp: compute in bfloat16 where that is safe; not faster on most CPUs.
    """

    minutes: float = 20.0
    epochs: Positive | None = None
    steps: Annotated[int, Range(1)] | None = None
    classes: Annotated[int, Range(2, IGNORED)] | None = None
    ignore: Annotated[int, Range(0, 255)] | None = None
    loss: LossName | None = None
    class_weights: tuple[Share, ...] | None = None
    balance: bool = False
    seed: Annotated[int, Range(-(2**63), 2**63 - 1)] = 0
    rotations: Annotated[int, Range(0, 512, limit=TOO_MANY)] = 8
    reflections: bool = False
    width: Count | None = None
    depth: Depth = 3
    blocks: Count = 2
    separable: bool = False
    kernel_size: Count = 3
    oversampling: Oversampling = 1
    size: Count = 256
    crop: Count | None = None
    batch: Count = 8
    lr: Positive = 1e-2
    weight_decay: Share = 1e-4
    jitter: Share = 0.2
    flips: bool = True
    zoom: Share = 0.0
    turns: float = 0.0
    quarter_turns: bool = False
    validation: float = 0.2
    looks: Count = 10
    device: str = "cpu"
    amp: bool = False

    def __post_init__(self) -> None:
        check_fields(self)
        if self.kernel_size % 2 == 0:
            raise ValueError(f"kernel_size is {self.kernel_size}, expected an odd number of pixels")
        if self.class_weights is not None:
            object.__setattr__(self, "class_weights", tuple(self.class_weights))  # JSON has lists alone
        if self.steps is None and self.epochs is None and not self.minutes > 0:
            raise ValueError(f"minutes is {self.minutes}, expected a time above 0, or a number of steps")
        if not 0 <= self.turns <= 180:
            raise ValueError(f"turns is {self.turns}, expected an angle between 0 and 180 degrees")
        if self.steps is not None and self.epochs is not None:
            raise ValueError(f"epochs={self.epochs} and steps={self.steps}, expected one of them")
        if not 0 < self.validation < 1:
            raise ValueError(f"validation is {self.validation}, expected a fraction between 0 and 1")
        if self.balance and self.class_weights is not None:
            raise ValueError("both balance and class_weights, expected one of them")

    @classmethod
    def refusal(cls, name: str, value: object) -> str:
        """What an argument is told that should be settings."""
        return f"{name} is {shown(value)}, expected er.train.Settings(...), or its fields by name"

    @classmethod
    def of(cls, facts: dict[str, Any]) -> "Settings":
        """Those that `dataclasses.asdict` and JSON wrote.

        Raises:
            ValueError: for a setting that there is not.
        """
        unknown = sorted(set(facts) - {f.name for f in fields(cls)})
        if unknown:
            raise ValueError(f"there is no setting {unknown[0]}, expected those of this version")
        return cls(**facts)

    def for_photographs(self, task: Task, images: list[Tensor]) -> "Settings":
        """With what depends on the photographs filled in: the width, the crop, the number of classes."""
        sides = [image.shape[-2:] for image in images]
        if task.dense:
            most = min(max(1, self.size // 2), int(median(min(side) for side in sides)))
        else:
            most = max(max(side) for side in sides)
        width, crop = self.width_for(task), self.crop or most
        return dataclasses.replace(self, width=width, crop=crop, classes=len(task.classes))

    def width_for(self, task: Task) -> int:
        """Fields at the finest level."""
        return self.width or (5 if task.dense else 6)

    @property
    def domain(self) -> Plane:
        """The plane that these settings name."""
        return Plane(self.rotations, self.reflections) if self.rotations else Plane()

    def total_steps(self, photographs: int) -> int | None:
        """The number of steps; None if time decides."""
        if self.epochs is not None:
            return max(1, round(self.epochs * photographs / self.batch))
        return self.steps

    def differences(self, other: "Settings") -> list[str]:
        """The names of the fields that differ."""
        return [f.name for f in fields(self) if getattr(self, f.name) != getattr(other, f.name)]
