"""Volumes with what is true of them: the same steps for all, in the order that networks see."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, Num, UInt8
from torch import Tensor

from erlangen.train.data import Data, Self
from erlangen.train.masks import IGNORED
from erlangen.train.scale import Values, values_of_numbers
from erlangen.train.task import Task
from erlangen.train.volume_files import Scan, Source, Spacing, VolumeFacts, examine_volume, read_volume
from erlangen.train.volume_views import views

SAME = 0.01  # relative: steps that differ by less are one
Array = np.ndarray


@dataclass(frozen=True)
class Scans(Data):
    """Volumes in files, and the task that they are for: `Volumes` or `SortedVolumes`.

    Attributes:
        step: that of the voxels that networks see; None for the median of the files.
    """

    step: Spacing | None = field(default=None, kw_only=True)
    dim = 3
    what = "volumes"

    @cached_property
    def facts(self) -> tuple[VolumeFacts, ...]:
        """How each file holds its volume."""
        return tuple(map(examine_volume, self.images))

    @property
    def channels(self) -> int:
        """Numbers at each voxel.

        Raises:
            ValueError: naming two files that have another number of them.
        """
        first = self.facts[0]
        other = next((one for one in self.facts if one.channels != first.channels), None)
        if other is not None:
            raise ValueError(
                f"{first.name} has {first.channels} channels and {other.name} {other.channels}, expected as "
                "many in all volumes; export them again with the same ones"
            )
        return first.channels

    @property
    def spacing(self) -> Spacing:
        """The steps of the voxels that networks see: `step`, or the median of those that the files tell."""
        told = [one.spacing for one in self.facts if one.spacing is not None]
        if self.step is not None or not told:
            return self.step or (1.0, 1.0, 1.0)
        a, b, c = (statistics.median(steps) for steps in zip(*told, strict=True))
        return alike((a, b, c))

    def at_steps(self: Self, steps: float | Spacing | None) -> Self:
        step = (float(steps),) * 3 if isinstance(steps, int | float) else steps
        return self if step is None else replace(self, step=step)

    @cached_property
    def scale(self) -> Values:
        """The numbers that are 0 and 1: `values`, or what these files tell together."""
        if self.values is not None:
            return self.values
        scans = map(read_volume, self.images)
        return values_of_numbers((scan.facts.name, scan.values) for scan in scans)

    def decided(self) -> dict[str, Any]:
        return {"values": self.scale, "step": self.spacing}

    def pictured(self, image: Tensor, *truths: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Slices and a maximum projection, side by side."""
        masks = [truth for truth in truths if truth.dim()]
        up = bool(self.facts[0].orientation)
        picture, drawn = views(image, *masks, steps=self.spacing, anatomical=up)
        rest = iter(drawn)
        return picture, [next(rest) if truth.dim() else truth for truth in truths]

    def sizes(self, size: int | None) -> list[tuple[int, ...]]:
        return [shape_at(one, self.spacing) for one in self.facts]

    def load_one(
        self, i: int, size: int | None = None, degrees: float = 0.0, by: str = "cubic"
    ) -> tuple[Tensor, Tensor]:
        """Volume i ``(channel, *space)`` in [0, 1] and its class index (or indices), at `spacing`."""
        scan = read_volume(self.images[i])
        image = at_spacing(scaled(scan.values, self.scale), scan, self.spacing)
        return image, self.truth(i, scan.facts.shape, None, 0.0)


@dataclass(frozen=True)
class Volumes(Scans):
    """Pairs of files, a volume and the classes of its voxels.

    Attributes:
        images, masks: files; either may be put together of several.
        classes: names; of two the first is the background.
        ignore: the value of voxels that do not count.
    """

    images: tuple[Any, ...]  # of `Source`, as masks
    masks: tuple[Source, ...]
    classes: tuple[str, ...] = Task.classes
    ignore: int | None = None

    @property
    def task(self) -> Task:
        return Task(self.classes)

    @property
    def for_each(self) -> tuple[str, ...]:
        return ("images", "masks")

    def truth(self, i: int, whole: tuple[int, ...], size: int | None, degrees: float) -> Tensor:
        mask = read_volume(self.masks[i], mask=True)
        if mask.values.shape != (1, *whole):
            raise ValueError(
                f"{self.masks[i]} has {mask.facts.shape} voxels, expected {whole} as {self.images[i].name}; "
                "export it on the voxels of the volume"
            )
        labels = torch.from_numpy(as_classes(mask.values[0], self.masks[i], len(self.classes), self.ignore))
        shape = shape_at(self.facts[i], self.spacing)
        return labels if shape == tuple(labels.shape) else resampled_labels(labels, shape)


@dataclass(frozen=True)
class SortedVolumes(Scans):
    """Volumes sorted into folders, one for each class.

    Attributes:
        images: files.
        labels: the class index of each.
        classes: names.
    """

    labels: tuple[int, ...]
    classes: tuple[str, ...]
    paired: str = field(default="its folder is its class", kw_only=True, compare=False)

    @property
    def task(self) -> Task:
        return Task(self.classes, dense=False)

    @property
    def for_each(self) -> tuple[str, ...]:
        return ("images", "labels")

    def truth(self, i: int, whole: tuple[int, ...], size: int | None, degrees: float) -> Tensor:
        return torch.tensor(self.labels[i], dtype=torch.uint8)


def alike(spacing: Spacing) -> Spacing:
    """Steps of axes that differ by less than 1 % are one, so that turns may exchange them; 5 digits."""
    steps = [float(f"{step:.5g}") for step in spacing]
    for i, j in ((1, 0), (2, 0), (2, 1)):
        if abs(steps[i] - steps[j]) <= SAME * steps[j]:
            steps[i] = steps[j]
    return steps[0], steps[1], steps[2]


def shape_at(facts: VolumeFacts, spacing: Spacing) -> tuple[int, int, int]:
    """How many voxels of these steps a volume has; its own, where its steps are those, or not known."""
    own = facts.spacing or spacing
    a, b, c = (
        length if abs(step - wanted) <= SAME * wanted else max(1, round(length * step / wanted))
        for length, step, wanted in zip(facts.shape, own, spacing, strict=True)
    )
    return a, b, c


def at_spacing(
    values: Float[Tensor, "channel *space"], scan: Scan, spacing: Spacing
) -> Float[Tensor, "channel *space"]:
    """A volume in voxels of other steps: `resized` to as many as it has then."""
    return resized(values[None], shape_at(scan.facts, spacing))[0]


def resized(x: Float[Tensor, "batch channel *space"], shape: Sequence[int]) -> Tensor:
    """Linear interpolation axis by axis; towards fewer voxels, means with linear weights as wide as these."""
    for axis, length in enumerate(shape, 2):
        if x.shape[axis] != length:
            rows = x.movedim(axis, -1)
            flat = rows.reshape(1, 1, -1, rows.shape[-1])
            size = (flat.shape[2], length)
            flat = F.interpolate(flat, size, mode="bilinear", align_corners=False, antialias=True)
            x = flat.view(*rows.shape[:-1], length).movedim(-1, axis)
    return x


def resampled_labels(labels: UInt8[Tensor, "*space"], shape: Sequence[int]) -> UInt8[Tensor, "*space"]:
    """In other voxels, the class that has most of each."""
    best = torch.zeros(tuple(shape), dtype=torch.uint8)
    most = torch.full(tuple(shape), -1.0)
    for label in labels.unique():
        share = resized((labels == label).float()[None, None], shape)[0, 0]
        best[share > most] = label
        most = torch.maximum(share, most)
    return best


def scaled(numbers: Num[Array, "..."], values: Values) -> Float[Tensor, "..."]:
    """``(numbers - low) / (high - low)``, cut off at 0 and 1; what is no number is 0."""
    low, high = values
    x = torch.from_numpy(numbers.astype(np.float32))
    return x.sub_(low).div_(high - low).nan_to_num_(0.0, 1.0, 0.0).clamp_(0.0, 1.0)


def as_classes(
    numbers: Num[Array, "*space"], path: Source, classes: int, ignore: int | None
) -> UInt8[Array, "*space"]:
    """The class of each voxel; of two, what is not 0 is the thing.

    Raises:
        ValueError: for values that are no classes, naming the file.
    """
    found = np.unique(numbers)
    kept = found if ignore is None else found[found != ignore]
    if classes == 2 and len(kept) > 2:
        raise ValueError(
            f"{path} holds {len(kept)} values ({_some(kept)}), expected 0 where nothing is and one other; "
            "give the number of classes (--classes), or mark one thing only"
        )
    whole = bool(np.isfinite(kept).all() and (kept == np.rint(kept)).all() and (kept >= 0).all())
    if classes > 2 and not (whole and (kept < classes).all()):
        raise ValueError(
            f"{path} holds the values {_some(kept)}, expected whole numbers from 0 to {classes - 1}, the "
            "classes; give more --classes, or the value that does not count to --ignore"
        )
    labels = (
        (numbers != 0).astype(np.uint8)
        if classes == 2
        else np.where(numbers == (-1 if ignore is None else ignore), 0, numbers).astype(np.uint8)
    )
    if ignore is not None:
        labels[numbers == ignore] = IGNORED
    return labels


def _some(values: Array) -> str:
    shown = ", ".join(f"{value:g}" for value in values[:6].tolist())
    return shown + (", ..." if len(values) > 6 else "")
