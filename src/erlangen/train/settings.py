"""How to train."""

import math
from dataclasses import dataclass, fields, replace
from statistics import median
from typing import Annotated, Any, Literal

from torch import Tensor

from erlangen.arguments import TOO_MANY, Count, NonNegative, Positive, Range, check_fields, checked, shown
from erlangen.models import Options
from erlangen.models.options import BEFORE as OPTIONS_BEFORE
from erlangen.models.options import NAMES as OPTIONS
from erlangen.spaces import Plane, Volume
from erlangen.train.data import Data
from erlangen.train.images import Shrinking
from erlangen.train.losses import LossName
from erlangen.train.masks import IGNORED
from erlangen.train.task import Task
from erlangen.train.volume_files import Spacing

BETWEEN = Range(above=0, high=math.nextafter(1, 0), kind="a fraction between 0 and 1")
# what stored settings say nothing of: no choice then
BEFORE = {**OPTIONS_BEFORE, "shrinking": "mean", "consistency": 0.0}
LARGEST_CROP = {2: 128, 3: 32}  # unless asked for: steps cost the same however large photographs, volumes are
COARSEST = 8  # samples of a crop of volumes, at least, at the coarsest level: deeper networks see too far
EITHER = (("steps", "epochs"), ("balance", "class_weights"))
FULL = Options(blocks=2, taps="smooth", nonlinearity="silu", separable=False)
Preset = Literal["fast", "exact"]
PRESETS: dict[Preset, Options] = {
    "fast": replace(FULL, kernel_size=3, oversampling=1),
    "exact": replace(FULL, kernel_size=5, oversampling=2, low_pass=True),
}


@checked
def network_of(preset: Preset) -> Options:
    """The network that goes by one name.

    "fast" has kernels of 3 x 3; a step costs 1.2 times a plain U-Net's. "exact" has kernels of 5 x 5,
    nonlinearities on twice as fine a fibre and a low-pass behind each: between the angles of the pixel grid
    its answers turn with photographs before it has learned anything, and a step costs 1.9 times as much.
    """
    return PRESETS[preset]


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
            kernels only, which want more width (24). Of volumes the turns about `axis`, or "cube" for all 24
            that exchange voxels. None for 8 or, of volumes whose voxels are cubes, "cube".
        axis: of the array, about which volumes are turned; None for the one across thick slices.
        degree: of the directions that functions of a place and a direction know, instead of `rotations`, on
            volumes: 1 or 2.
        spacing: volumes are brought to voxels of these steps, in the unit of their files: one for all axes
            or one for each; None for the median of the files.
        reflections: whether mirror images count as the same, as turned photographs do.
        network: the options that the network is built of. Some are one value for all levels, its resolutions,
            or one for each, the finest first; None leaves a choice to the network.
        size: photographs are shrunk to this longer side, in pixels; None for 512 where they have masks, 256
            where each has a class.
        shrinking: by a "cubic" kernel, or by the "mean" over areas, whose photographs turn less exactly.
        crop: side of the random square that a step sees of each photograph; None for half the size, at most
            128 and the shorter side of most, or for all of it where the whole photograph has a class. Of
            volumes the side of a cube, in the shortest steps of the voxels; None for at most 32. If `depth`
            is more, their network halves the resolution only as often as leaves 8 samples of it.
        batch: crops in a step.
        lr: the largest learning rate.
        weight_decay: of AdamW.
        jitter: random brightness, contrast and colour of crops, relative.
        flips: flip crops from side to side at random; not for what differs from its mirror image.
        zoom: show crops larger or smaller, at random, by at most this relative amount.
        turns: turn every other crop by a random angle of at most so many degrees: what lies between the
            rotations that the network knows. Of volumes about the axis of its turns, or any whose turns keep
            the steps of voxels.
        consistency: show every crop of a step twice, half as many of them, the second time turned by any
            angle, and add to the loss so many times how far logits are from turning with it, squared: about 1
            keeps a network exact that learns for long. It takes a sixth more time. None for 1 of masks, and 0
            where whole photographs have a class, where the network is to know no turns (``rotations=1``) or
            is one of your own; 0 on volumes.
        quarter_turns: turn crops by random quarter turns: what a network that knows none needs.
        validation: fraction held out, if there is no folder val.
        looks: how often the photographs held out are scored, the last time at the end; fewer where they would
            take more than half of the minutes.
        device: where to compute, such as "cpu" or "cuda".
        amp: compute in bfloat16 where that is safe; "auto" does where the processor multiplies such numbers
            (AMX, AVX512-BF16), which makes steps about 1.5 to 2 times as fast; a short training learned less.
    """

    minutes: Annotated[float, Range(above=0, kind="a time above 0, in minutes")] = 20.0
    epochs: Positive | None = None
    steps: Annotated[int, Range(1)] | None = None
    classes: Annotated[int, Range(2, IGNORED)] | None = None
    ignore: Annotated[int, Range(0, 255)] | None = None
    loss: LossName | None = None
    class_weights: tuple[NonNegative, ...] | None = None
    balance: bool = False
    seed: Annotated[int, Range(-(2**63), 2**63 - 1)] = 0
    rotations: Annotated[int, Range(0, 512, limit=TOO_MANY)] | Literal["cube"] | None = None
    axis: Literal[0, 1, 2] | None = None
    degree: Annotated[int, Range(0, 5)] | None = None
    spacing: Positive | tuple[Positive, Positive, Positive] | None = None
    reflections: bool = False
    network: Options = PRESETS["fast"]
    size: Count | None = None
    shrinking: Shrinking = "cubic"
    crop: Count | None = None
    batch: Count = 8
    lr: Positive = 2e-2
    weight_decay: NonNegative = 1e-4
    jitter: NonNegative = 0.2
    flips: bool = True
    zoom: NonNegative = 0.0
    turns: Annotated[float, Range(0, 180, kind="an angle between 0 and 180 degrees")] = 0.0
    consistency: NonNegative | None = None
    quarter_turns: bool = False
    validation: Annotated[float, BETWEEN] = 0.2
    looks: Count = 10
    device: str = "cpu"
    amp: bool | Literal["auto"] = False

    def __post_init__(self) -> None:
        check_fields(self)
        if self.class_weights is not None:
            object.__setattr__(self, "class_weights", tuple(self.class_weights))  # JSON has lists only
        for one, other in EITHER:
            if getattr(self, one) and getattr(self, other):
                both = f"both {one}={getattr(self, one)} and {other}={getattr(self, other)}"
                none = " or ".join(f"{f.name}={f.default}" for f in fields(self) if f.name in (one, other))
                raise ValueError(f"{both}, expected one of them; take {none}")
        if isinstance(self.spacing, list):
            object.__setattr__(self, "spacing", tuple(self.spacing))  # JSON has lists only
        if self.consistency and self.batch == 1:
            raise ValueError(
                f"batch is 1 and consistency={self.consistency} shows crops twice, expected at least 2; take "
                "batch=2, or consistency=0"
            )

    @classmethod
    def refusal(cls, name: str, value: object) -> str:
        """What an argument is told that should be settings."""
        return f"{name} is {shown(value)}, expected er.train.Settings(...), or its fields by name"

    @classmethod
    def of(cls, facts: dict[str, Any]) -> "Settings":
        """Those that `facts` told and JSON wrote; what they say nothing of is as before there was a choice.

        Raises:
            ValueError: for a setting that there is not.
        """
        unknown = sorted(set(facts) - {f.name for f in fields(cls)} - set(OPTIONS))
        if unknown:
            raise ValueError(f"there is no setting {unknown[0]}, expected those of this version")
        return cls().changed(**BEFORE | facts)

    def changed(self, **changes: Any) -> "Settings":
        """These, with other values of some: of a training, or of its network's `Options`, each by its name.

        Args:
            changes: the values. ``preset=``, "fast" or "exact", names all options of the network at once, and
                others change these.

        Example:
            >>> er.train.Settings().changed(minutes=5, width=8).network.width
            8
        """
        if "preset" in changes:
            changes = {"network": network_of(changes.pop("preset"))} | changes
        options = {name: changes.pop(name) for name in OPTIONS if name in changes}
        if options:
            changes["network"] = replace(changes.get("network", self.network), **options)
        return replace(self, **changes)

    def facts(self) -> dict[str, Any]:
        """All, by their names, those of the network's options among them: as at the command line."""
        own = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "network"}
        return own | vars(self.network)

    def for_data(self, data: Data) -> "Settings":
        """With what depends on the kind of data filled in: the turns, the size of photographs, the steps of
        volumes, and the consistency.

        Raises:
            ValueError: for settings that are of photographs only, or of volumes only.
        """
        if data.spacing is not None:
            return self._for_volumes(data.spacing)
        _expect_unset("photographs", axis=self.axis, degree=self.degree, spacing=self.spacing)
        if self.rotations == "cube":
            raise ValueError('rotations="cube" for photographs, expected a number of turns, such as 8')
        return self.for_task(data.task)

    def _for_volumes(self, spacing: Spacing) -> "Settings":
        _expect_unset("volumes", size=self.size, consistency=self.consistency or None)
        if self.turns:
            across(spacing)  # or there is nothing to turn about
        rotations, axis = self.rotations, self.axis
        if rotations is None and self.degree is None:
            rotations = "cube" if len(set(spacing)) == 1 and axis is None else 8
        if isinstance(rotations, int) and rotations and axis is None and len(set(spacing)) > 1:
            axis = across(spacing)
        side, network = self.crop or LARGEST_CROP[3], self.network
        if not any(isinstance(value, tuple) for value in vars(network).values()):
            network = replace(network, depth=min(network.depth, max(1, int(math.log2(side / COARSEST)))))
        turns = {"rotations": rotations, "axis": axis}
        return replace(self, **turns, spacing=spacing, consistency=0.0, network=network)

    def for_task(self, task: Task) -> "Settings":
        """With what depends on the task of photographs filled in: turns, size, and the consistency."""
        rotations = 8 if self.rotations is None else self.rotations
        known = {"size": self.size_for(task), "consistency": self.consistency_for(task)}
        return replace(self, rotations=rotations, **known)

    def for_images(self, task: Task, images: list[Tensor]) -> "Settings":
        """Those of `for_data`, with what depends on photographs or volumes themselves filled in, too: the
        width, the crop, the number of classes."""
        sides, dim = [image.shape[1:] for image in images], images[0].dim() - 1
        if task.dense:
            most = min(LARGEST_CROP[dim], int(median(min(side) if dim == 2 else max(side) for side in sides)))
            most = min(most, max(1, self.size_for(task) // 2)) if dim == 2 else most
        else:
            most = max(max(side) for side in sides)
        filled = replace(self, crop=self.crop or most, classes=len(task.classes))
        return filled.changed(width=self.width_for(task))

    def size_for(self, task: Task) -> int:
        """The longer side of photographs."""
        return self.size or (512 if task.dense else 256)

    def consistency_for(self, task: Task) -> float:
        """How much the consistency weighs."""
        if self.consistency is None:
            return 1.0 if task.dense and self.batch > 1 and self.rotations != 1 else 0.0
        return self.consistency

    def width_for(self, task: Task) -> int | tuple[int, ...]:
        """Fields, at the finest level or at each; unless told, so many that steps take about as long."""
        if self.network.width is not None:
            return self.network.width
        options, twice = self.network, 1 if task.dense else 2
        if self.rotations == 0:
            return 24
        if self.degree is not None:
            return 4 * twice
        if self.rotations == "cube":
            return (twice, *(3 * twice * 2**level for level in range(options.depth)))
        if options.separable:
            return 8 * twice
        if (options.at("kernel_size", 0) or 5) > 3:
            return 2 * twice
        return (2 * twice, *(3 * twice * 2**level for level in range(1, options.depth + 1)))

    @property
    def domain(self) -> Plane | Volume:
        """The plane, or the space, that these settings name, filled in."""
        if self.spacing is None:
            rotations = 8 if self.rotations is None else self.rotations
            return Plane(rotations, self.reflections) if rotations else Plane()  # type: ignore[arg-type]
        reflections = self.reflections and self.rotations != 0
        turns = {"rotations": self.rotations or None, "axis": self.axis, "degree": self.degree}
        return Volume(**turns, reflections=reflections, spacing=self.spacing)  # type: ignore[arg-type]

    @property
    def pairs(self) -> int:
        """How many crops of a step are shown a second time."""
        return self.batch // 2 if self.consistency else 0

    @property
    def crops(self) -> int:
        """How many crops a step shows, some of them twice."""
        return self.batch - self.pairs

    def total_steps(self, photographs: int) -> int | None:
        """The number of steps; None if time decides."""
        if self.epochs is not None:
            return max(1, round(self.epochs * photographs / self.crops))
        return self.steps

    def differences(self, other: "Settings") -> list[str]:
        """The names of those that differ."""
        mine, others = self.facts(), other.facts()
        return [name for name in mine if mine[name] != others[name]]


def across(spacing: Spacing) -> Literal[0, 1, 2]:
    """The axis about which voxels of these steps may be turned: the one whose step is unlike the others.

    Raises:
        ValueError: where all three differ.
    """
    for axis in (0, 1, 2):
        if spacing[axis - 2] == spacing[axis - 1]:
            return axis
    raise ValueError(
        f"the voxels are {' x '.join(f'{step:g}' for step in spacing)}, which no turns keep, expected two "
        "equal steps; bring the volumes to others (--spacing), such as "
        f"{max(spacing):g} {min(spacing):g} {min(spacing):g}, or take --rotations 0"
    )


def _expect_unset(what: str, **told: Any) -> None:
    """ValueError for a setting of another kind of data."""
    for name, value in told.items():
        if value is not None:
            raise ValueError(
                f"{name}={value} for {what}, which have no such setting, expected none; leave it out"
            )
