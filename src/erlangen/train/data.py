"""Photographs with what is true of them, found in folders."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import torch
from jaxtyping import Float, UInt8
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

    def subset(self: Self, indices: list[int]) -> Self:
        """The photographs at the given places."""
        some: dict[str, Any] = {
            name: tuple(getattr(self, name)[i] for i in indices) for name in self.for_each
        }
        return replace(self, **some)

    @property
    @abstractmethod
    def for_each(self) -> tuple[str, ...]:
        """The fields with an entry for each photograph."""

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

    @property
    def for_each(self) -> tuple[str, ...]:
        return ("images", "masks")

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

    @property
    def for_each(self) -> tuple[str, ...]:
        return ("images", "labels")

    def truth(self, i: int, whole: tuple[int, int], size: int | None, degrees: float) -> Tensor:
        return torch.tensor(self.labels[i], dtype=torch.uint8)


def find_data(
    folder: str | Path, classes: int | None = None, ignore: int | None = None
) -> Photographs | SortedPhotographs:
    """Photographs with masks, if there is a folder ``images``; else those of ``folder/CLASS/``.

    Args:
        folder, classes, ignore: see `find_photographs`.

    Raises:
        ValueError: naming the folder or file that is missing, and what was expected.
    """
    folder = Path(folder)
    inside = _folders(folder) if folder.is_dir() else []
    lower = {name.lower() for name in inside}
    if inside and not {"images", "masks"} & set(inside) and not (PHOTOGRAPHS & lower and MASKS & lower):
        found = find_sorted(folder)
        if ignore is not None or classes not in (None, len(found.classes)):
            raise ValueError(
                f"classes={classes} and ignore={ignore}, but {folder} holds folders of classes "
                f"({', '.join(found.classes)}), not images and masks; leave both away"
            )
        return found
    return find_photographs(folder, classes, ignore)


def find_photographs(
    folder: str | Path, classes: int | None = None, ignore: int | None = None
) -> Photographs:
    """The pairs in ``folder/images`` and ``folder/masks``, sorted by name.

    The names of the classes are the lines of ``folder/classes.txt`` (or of that beside ``folder``), if there
    is one; a single line names the thing.

    Args:
        folder: holds both.
        classes: 2 for masks that are not zero where the thing is; more where the values are the classes;
            None for as many as ``classes.txt`` names, or 2.
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
        files = list(_images_below(folder / name))
        if not files:
            raise ValueError(f"{folder / name} holds no images, expected those of the class {name}")
        images += files
        labels += [label] * len(files)
    return SortedPhotographs(tuple(images), tuple(labels), names)


def find_images(path: str | Path) -> dict[Path, Path]:
    """An image file itself, or the images in a folder and those within: their paths from there.

    Of a folder that holds ``images``, these alone; hidden files are left out.

    Raises:
        ValueError: if there are none.
    """
    path = Path(path)
    if path.is_file():
        return {path: Path(path.name)}
    if not path.is_dir():
        raise ValueError(f"{path} is no folder, expected a photograph, or a folder of them")
    if (path / "images").is_dir():
        path = path / "images"
    found = {file: file.relative_to(path) for file in _images_below(path)}
    if not found:
        raise ValueError(f"{path} holds no images, expected PNG, JPEG, TIFF or the like")
    return found


def statistics(images: list[Tensor]) -> tuple[Float[Tensor, "3"], Float[Tensor, "3"]]:
    """Mean and standard deviation of each colour, over all pixels, in [0, 1]."""
    counts = torch.zeros(3, 256, dtype=torch.float64)
    for image in images:
        counts += torch.stack([torch.bincount(colour.flatten().int(), minlength=256) for colour in image])
    values, total = torch.arange(256, dtype=torch.float64) / 255, counts[0].sum()
    mean = counts @ values / total
    var = (counts * (values - mean[:, None]).square()).sum(1) / (total - 1).clamp_min(1)
    return mean.float(), var.sqrt().clamp_min(1e-3).float()


def split(data: Self, fraction: float, seed: int) -> tuple[Self, Self]:
    """A random split: training, validation; of sorted photographs class by class.

    A class of one photograph is learned from.
    """
    generator = torch.Generator().manual_seed(seed)
    labels = data.labels if isinstance(data, SortedPhotographs) else (0,) * len(data)
    learned, held_out = [], []
    for label in sorted(set(labels)):
        places = [i for i, other in enumerate(labels) if other == label]
        order = [places[i] for i in torch.randperm(len(places), generator=generator)]
        count = min(max(1, round(fraction * len(places))), len(places) - 1)
        learned += order[count:]
        held_out += order[:count]
    return data.subset(sorted(learned)), data.subset(sorted(held_out))


def _folders(folder: Path) -> list[str]:
    """The folders inside; not hidden ones, nor those that a training wrote."""
    return sorted(
        p.name
        for p in folder.iterdir()
        if p.is_dir() and not p.name.startswith((".", "_")) and not any(p.rglob("*.safetensors"))
    )


def _images_below(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.iterdir()):
        if path.name.startswith(".") or (path.name == "masks" and (folder / "images").is_dir()):
            continue
        if path.is_dir():
            yield from _images_below(path)
        elif path.suffix.lower() in ENDINGS:
            yield path


def _class_names(folder: Path, classes: int | None) -> tuple[str, ...]:
    file = next((f for f in (folder / "classes.txt", folder.parent / "classes.txt") if f.is_file()), None)
    if file is None:
        return Task.classes if classes in (None, 2) else tuple(str(k) for k in range(classes or 2))
    try:
        names = tuple(line.strip() for line in file.read_text("utf-8-sig").splitlines() if line.strip())
    except UnicodeDecodeError as error:
        raise ValueError(f"{file} cannot be read ({error}), expected UTF-8; save it as that") from error
    if len(names) == 1:
        names = (Task.classes[0], *names)
    if not names or len(set(names)) < len(names) or classes not in (None, len(names)):
        raise ValueError(
            f"{file} names {len(names)} classes ({', '.join(names)}), expected a name of its own for each of "
            f"{classes or 'several'} classes, one in a line"
        )
    return names


def _by_stem(folder: Path) -> dict[str, Path]:
    if not folder.is_dir():
        raise ValueError(
            f"{folder} is no folder, expected the photographs there: DIR/images and DIR/masks with files of "
            "equal stems"
        )
    files: dict[str, Path] = {}
    for file in sorted(folder.iterdir()):
        if file.suffix.lower() in ENDINGS and not file.name.startswith("."):
            if file.stem in files:
                raise ValueError(
                    f"{files[file.stem]} and {file.name} have one stem, expected one file of each; rename one"
                )
            files[file.stem] = file
    if not files:
        raise ValueError(f"{folder} holds no images, expected PNG, JPEG, TIFF or the like")
    return files
