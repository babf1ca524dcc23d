"""Photographs with what is true of them, found in folders."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor

from erlangen.train.images import as_bytes, read_image, read_mask, resampled, shrink, turned
from erlangen.train.task import Task

ENDINGS = {".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp", ".gif", ".ppm", ".pgm"}
PHOTOGRAPHS = {"images", "image", "imgs", "img", "photos"}
MASKS = {"masks", "mask", "labels", "label", "annotations", "annotation", "gt"}
Self = TypeVar("Self", bound="Data")


@dataclass(frozen=True)
class Data(ABC):
    """Photographs in files, and the task that they are for: `Photographs` or `SortedPhotographs`."""

    images: tuple[Path, ...]

    def __len__(self) -> int:
        return len(self.images)

    @property
    @abstractmethod
    def task(self) -> Task:
        """What is asked of each."""

    @abstractmethod
    def subset(self: Self, indices: list[int]) -> Self:
        """The photographs at the given places."""

    @abstractmethod
    def truth(self, i: int, whole: tuple[int, int], size: int | None, degrees: float) -> UInt8[Tensor, "..."]:
        """The class index (or indices) of photograph i, whose width and height are `whole`."""

    def load(self, size: int | None) -> tuple[list[Tensor], list[Tensor]]:
        """All images ``(3, h, w)`` and class indices as bytes, the longer side at most `size`."""
        pairs = [self.load_one(i, size) for i in range(len(self))]
        return [image for image, _ in pairs], [truth for _, truth in pairs]

    def load_one(self, i: int, size: int | None, degrees: float = 0.0) -> tuple[Tensor, Tensor]:
        """Photograph i ``(3, h, w)`` and its class index (or indices), turned at full size, then shrunk."""
        image = read_image(self.images[i])
        small = as_bytes(shrink(turned(image, degrees), size))
        return small, self.truth(i, image.size, size, degrees)


@dataclass(frozen=True)
class Photographs(Data):
    """Pairs of files, an image and its mask with the same stem.

    Attributes:
        images, masks: files.
        classes: names; of two the first is the background.
        ignore: the value of mask pixels that do not count.
    """

    masks: tuple[Path, ...]
    classes: tuple[str, ...] = Task.classes
    ignore: int | None = None

    @property
    def task(self) -> Task:
        return Task(self.classes)

    def subset(self, indices: list[int]) -> "Photographs":
        images, masks = (tuple(files[i] for i in indices) for files in (self.images, self.masks))
        return Photographs(images, masks, self.classes, self.ignore)

    def truth(self, i: int, whole: tuple[int, int], size: int | None, degrees: float) -> Tensor:
        mask = read_mask(self.masks[i], len(self.classes), self.ignore)
        if whole != mask.shape[::-1]:
            raise ValueError(
                f"{self.masks[i]} has {mask.shape[1]} x {mask.shape[0]} pixels, expected "
                f"{whole[0]} x {whole[1]} as {self.images[i].name}; export it at that size"
            )
        return resampled(mask, lambda m: shrink(turned(m, degrees), size))


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

    @property
    def task(self) -> Task:
        return Task(self.classes, dense=False)

    def subset(self, indices: list[int]) -> "SortedPhotographs":
        labels = tuple(self.labels[i] for i in indices)
        return SortedPhotographs(tuple(self.images[i] for i in indices), labels, self.classes)

    def truth(self, i: int, whole: tuple[int, int], size: int | None, degrees: float) -> Tensor:
        return torch.tensor(self.labels[i], dtype=torch.uint8)


def find_data(
    folder: str | Path, classes: int = 2, ignore: int | None = None
) -> Photographs | SortedPhotographs:
    """Photographs with masks, if there is a folder ``images``; else those of ``folder/CLASS/``.

    Raises:
        ValueError: naming the folder or file that is missing, and what was expected.
    """
    folder = Path(folder)
    inside = _folders(folder) if folder.is_dir() else []
    lower = {name.lower() for name in inside}
    if inside and not {"images", "masks"} & set(inside) and not (PHOTOGRAPHS & lower and MASKS & lower):
        return find_sorted(folder)
    return find_photographs(folder, classes, ignore)


def find_photographs(folder: str | Path, classes: int = 2, ignore: int | None = None) -> Photographs:
    """The pairs in ``folder/images`` and ``folder/masks``, sorted by name.

    The names of the classes are the lines of ``folder/classes.txt`` (or of that beside ``folder``), if there
    is one; then `classes` is their number.

    Args:
        folder: holds both.
        classes: 2 for masks that are not zero where the thing is; more where the values are the classes.
        ignore: the value of mask pixels that do not count.

    Raises:
        ValueError: naming the folder or file that is missing, and what was expected.
    """
    folder = Path(folder)
    images, masks = (_by_stem(folder / name) for name in ("images", "masks"))
    missing = sorted(set(images) - set(masks))
    if missing:
        names = ", ".join(images[stem].name for stem in missing[:5])
        raise ValueError(
            f"{len(missing)} of {len(images)} images have no mask: {names}; expected a file of the same stem "
            f"in {folder / 'masks'}; add it, or take the image away"
        )
    stems = sorted(images)
    names = _class_names(folder, classes)
    return Photographs(tuple(images[s] for s in stems), tuple(masks[s] for s in stems), names, ignore)


def find_sorted(folder: str | Path) -> SortedPhotographs:
    """The photographs in ``folder/CLASS/``, for each class a folder of its name.

    Raises:
        ValueError: for fewer than two classes, or one without photographs.
    """
    folder = Path(folder)
    names = tuple(_folders(folder))
    if len(names) < 2:
        raise ValueError(
            f"{folder} holds {len(names)} folders ({', '.join(names)}), expected images/ and masks/, or a "
            "folder of photographs for each of two classes or more"
        )
    images, labels = [], []
    for label, name in enumerate(names):
        files = sorted(f for f in (folder / name).rglob("*") if f.suffix.lower() in ENDINGS)
        if not files:
            raise ValueError(f"{folder / name} holds no images, expected those of the class {name}")
        images += files
        labels += [label] * len(files)
    return SortedPhotographs(tuple(images), tuple(labels), names)


def find_images(path: str | Path) -> list[Path]:
    """An image file itself, or the images in a folder (or in its ``images``), sorted by name."""
    path = Path(path)
    if path.is_file():
        return [path]
    if (path / "images").is_dir():
        path = path / "images"
    return [file for _, file in sorted(_by_stem(path).items())]


def statistics(images: list[Tensor]) -> tuple[Float[Tensor, "3"], Float[Tensor, "3"]]:
    """Mean and standard deviation of each colour, over all pixels, in [0, 1]."""
    counts = torch.zeros(3, 256, dtype=torch.float64)
    for image in images:
        counts += torch.stack([torch.bincount(colour.flatten().int(), minlength=256) for colour in image])
    values, total = torch.arange(256, dtype=torch.float64) / 255, counts[0].sum()
    mean = counts @ values / total
    var = (counts * (values - mean[:, None]).square()).sum(1) / (total - 1).clamp_min(1)
    return mean.float(), var.sqrt().clamp_min(1e-3).float()


def split(count: int, fraction: float, seed: int) -> tuple[list[int], list[int]]:
    """A random split of so many photographs: training, validation."""
    order: Int[Tensor, count] = torch.randperm(count, generator=torch.Generator().manual_seed(seed))
    held_out = min(max(1, round(fraction * count)), count - 1)
    return sorted(order[held_out:].tolist()), sorted(order[:held_out].tolist())


def _folders(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir() if p.is_dir() and not p.name.startswith((".", "_")))


def _class_names(folder: Path, classes: int) -> tuple[str, ...]:
    file = next((f for f in (folder / "classes.txt", folder.parent / "classes.txt") if f.is_file()), None)
    if file is None:
        return Task.classes if classes == 2 else tuple(str(k) for k in range(classes))
    try:
        names = tuple(line.strip() for line in file.read_text("utf-8-sig").splitlines() if line.strip())
    except UnicodeDecodeError as error:
        raise ValueError(f"{file} cannot be read ({error}), expected UTF-8; save it as that") from error
    if len(names) < 2 or len(set(names)) < len(names) or classes not in (2, len(names)):
        raise ValueError(
            f"{file} names {len(names)} classes ({', '.join(names)}), expected a name of its own for each of "
            f"{max(classes, 2)} classes, one in a line"
        )
    return names


def _by_stem(folder: Path) -> dict[str, Path]:
    if not folder.is_dir():
        expected = "a photograph, or a folder of them"
        if folder.name in ("images", "masks"):
            expected = "the photographs there: DIR/images and DIR/masks with files of equal stems"
        raise ValueError(f"{folder} is no folder, expected {expected}")
    files: dict[str, Path] = {}
    for file in sorted(folder.iterdir()):
        if file.suffix.lower() in ENDINGS:
            if file.stem in files:
                raise ValueError(
                    f"{files[file.stem]} and {file.name} have one stem, expected one file of each; rename one"
                )
            files[file.stem] = file
    if not files:
        raise ValueError(f"{folder} holds no images, expected PNG, JPEG, TIFF or the like")
    return files
