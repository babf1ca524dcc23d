"""Photographs with what is true of them."""

from abc import ABC, abstractmethod
from contextlib import closing, suppress
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any, TypeVar

import torch
from jaxtyping import UInt8
from torch import Tensor

from erlangen.train.ahead import ahead
from erlangen.train.decoding import Source, examine
from erlangen.train.images import Shrinking, as_bytes, read_image, resampled, turned_and_shrunk
from erlangen.train.masks import MaskReading, how_to_read, read_mask
from erlangen.train.pairing import EQUAL
from erlangen.train.parts import files_of
from erlangen.train.scale import Values, values_of
from erlangen.train.task import Task
from erlangen.train.volume_files import Spacing

MOST = 4  # photographs in memory at their full size at once
Self = TypeVar("Self", bound="Data")


@dataclass(frozen=True)
class Data(ABC):
    """Photographs or volumes in files, and the task that they are for: `Photographs`, `SortedPhotographs` or
    `Volumes`.

    Attributes:
        images: files.
        values: the numbers that are black and white in all of them; None for what each tells by itself.
        paired: by which rule each has what is true of it.
        named_by: the file that names the classes, if one does.
        dim: axes of space.
        what: a word for them.
    """

    images: tuple[Path, ...]
    values: Values | None = field(default=None, kw_only=True)
    paired: str = field(default=EQUAL, kw_only=True, compare=False)
    named_by: Path | None = field(default=None, kw_only=True, compare=False)
    dim = 2
    what = "photographs"

    @property
    def channels(self) -> int:
        """Numbers at each sample."""
        return 3

    @property
    def spacing(self) -> Spacing | None:
        """The steps of the voxels that networks see; None for photographs."""
        return None

    def __len__(self) -> int:
        return len(self.images)

    @property
    @abstractmethod
    def task(self) -> Task:
        """What is asked of each."""

    def subset(self: Self, indices: list[int]) -> Self:
        """The photographs at the given places."""
        some: dict[str, Any] = {
            name: tuple(getattr(self, name)[i] for i in indices) for name in self.for_each
        }
        return replace(self, **some)

    @property
    def files(self) -> tuple[Path, ...]:
        """All of them, those that hold what is true among them."""
        return tuple(file for name in self.for_each for x in getattr(self, name) for file in files_of(x))

    @property
    @abstractmethod
    def for_each(self) -> tuple[str, ...]:
        """The fields with an entry for each photograph."""

    def sizes(self, size: int | None) -> list[tuple[int, ...]]:
        """How many samples they have on each axis, their longer side at most `size`; what cannot be read is
        left out."""
        found = []
        for path in self.images:
            with suppress(ValueError, OSError):
                width, height = examine(path).size
                part = min(1.0, (size or max(width, height)) / max(width, height))
                found.append((max(1, round(part * height)), max(1, round(part * width))))
        return found

    def pictured(self, image: Tensor, *truths: Tensor) -> tuple[Tensor, list[Tensor]]:
        """As pictures: an image ``(3, height, width)``, and class indices ``(height, width)``."""
        return image, list(truths)

    @abstractmethod
    def truth(self, i: int, whole: tuple[int, ...], size: int | None, degrees: float) -> UInt8[Tensor, "..."]:
        """The class index (or indices) of image i, whose width and height, or voxels, are `whole`."""

    def at_steps(self: Self, steps: float | Spacing | None) -> Self:
        """Volumes, to be brought to voxels of these steps, the same for all axes or one for each; photographs
        as they are."""
        return self

    def on_one_scale(self: Self, *others: Self) -> tuple[Self, ...]:
        """These photographs and others, with the numbers for black and white that these have."""
        decided = self.decided()
        return tuple(replace(data, **decided) for data in (self, *others))

    def decided(self) -> dict[str, Any]:
        """What these files decide for all that are read with them."""
        return {"values": self.values or values_of(self.images)}

    def load(self, size: int | None, by: Shrinking = "cubic") -> tuple[list[Tensor], list[Tensor]]:
        """All images ``(channels, *space)`` and class indices as bytes, the longer side at most `size`.

        Several at a time, by as many threads as torch has; of those that cannot be read, the first is named.
        """
        one = partial(self.load_one, size=size, by=by)
        first = [one(0)] if len(self) else []  # decides how all masks are read
        threads = min(torch.get_num_threads(), MOST)
        others = range(1, len(self))
        if threads > 1:
            with closing(ahead(one, others, threads)) as reads:  # threads end here, whatever one raises
                pairs = [*first, *(read() for read in reads)]
        else:
            pairs = [*first, *map(one, others)]
        return [image for image, _ in pairs], [truth for _, truth in pairs]

    def load_one(
        self, i: int, size: int | None, degrees: float = 0.0, by: Shrinking = "cubic"
    ) -> tuple[Tensor, Tensor]:
        """Photograph i ``(3, h, w)`` and its class index (or indices), turned, then shrunk."""
        image = read_image(self.images[i], self.values)
        small = as_bytes(turned_and_shrunk(image, degrees, size, by))
        return small, self.truth(i, image.size, size, degrees)


@dataclass(frozen=True)
class Photographs(Data):
    """Pairs of files, an image and its mask.

    Attributes:
        images, masks: files; a mask may be put together of several.
        classes: names; of two the first is the background.
        ignore: the value of mask pixels that do not count.
        reading: how all masks are read; None decides it from these.
    """

    masks: tuple[Source, ...]
    classes: tuple[str, ...] = Task.classes
    ignore: int | None = None
    reading: MaskReading | None = None

    @cached_property
    def how(self) -> MaskReading:
        """How masks are read: as told, or decided from these."""
        if self.reading is not None:
            return self.reading
        return how_to_read(self.masks, len(self.classes), self.ignore)

    @property
    def task(self) -> Task:
        return Task(self.classes)

    @property
    def for_each(self) -> tuple[str, ...]:
        return ("images", "masks")

    def truth(self, i: int, whole: tuple[int, ...], size: int | None, degrees: float) -> Tensor:
        mask = read_mask(self.masks[i], len(self.classes), self.ignore, self.how)
        self.expect_size(i, whole, mask.shape[::-1])
        return resampled(mask, lambda m: turned_and_shrunk(m, degrees, size, "mean"))

    def expect_size(self, i: int, whole: tuple[int, ...], mask: tuple[int, ...]) -> None:
        """ValueError for a mask of another width and height than its photograph."""
        if whole != mask:
            raise ValueError(
                f"{self.masks[i]} has {mask[0]} x {mask[1]} pixels, expected "
                f"{whole[0]} x {whole[1]} as {self.images[i].name}; export it at that size"
            )


@dataclass(frozen=True)
class SortedPhotographs(Data):
    """Photographs sorted into folders, one for each class.

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
