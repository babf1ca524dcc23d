"""Which photographs are learned from, and which are held out to score on."""

from dataclasses import replace
from pathlib import Path

import torch

from erlangen.train.data import Data, Photographs, Self
from erlangen.train.folders import find_data, pairs_in
from erlangen.train.listing import SPLITS, class_folders
from erlangen.train.masks import how_to_read


def learned_and_held_out(
    data: str | Path | tuple[Data, Data],
    classes: int | None = None,
    ignore: int | None = None,
    fraction: float = 0.2,
    seed: int = 0,
) -> tuple[Data, Data]:
    """The photographs to learn from and those to score on, whose masks are read alike.

    Args:
        data: a folder with ``train`` and ``val``; one that is split at random; or both sets themselves.
        classes, ignore: see `find_photographs`.
        fraction: what is held out, if there is no ``val``.
        seed: of the split.

    Raises:
        ValueError: for too few photographs, or sets whose classes differ.
    """
    if isinstance(data, tuple):
        if len(data) != 2 or not all(isinstance(part, Data) and len(part) for part in data):
            raise ValueError("data is a tuple, expected (Photographs to learn from, Photographs held out)")
        return alike(*data)
    folder, masks = Path(data), (classes, ignore)
    if has_parts(folder):
        training: Data = find_data(folder / "train", *masks)
        if (folder / "val").is_dir():
            held_out = find_data(folder / "val", *masks)
            return alike(training, held_out)
    else:
        training = find_data(folder, *masks)
    if len(training) < 2:
        raise ValueError(
            f"{folder} has {len(training)} photographs, expected at least 2: one to learn from, "
            "one to check on"
        )
    learned, held_out = split(training, fraction, seed)
    if not len(held_out):
        raise ValueError(f"{folder} has one photograph of each class, expected two of some: one to check on")
    return alike(learned, held_out)


def has_parts(folder: Path) -> bool:
    """Whether photographs lie in ``train``, and perhaps ``val``; one full of pictures may be a class.

    Raises:
        ValueError: for folders of other names that mean the same.
    """
    inside = {path.name: path for path in class_folders(folder)} if folder.is_dir() else {}
    near = [
        name
        for name in inside
        if name.lower() in SPLITS - {"test", "testing"} and name not in ("train", "val")
    ]
    if near and not {"train", "val"} <= set(inside):
        raise ValueError(f"{folder} holds the folder {near[0]}, expected the names train and val; rename it")
    if "val" in inside and "train" not in inside:
        raise ValueError(f"{folder} holds the folder val, expected the folder train beside it; add it")
    if "train" not in inside:
        return False
    train = inside["train"]
    alone = {name.lower() for name in inside} <= SPLITS  # else it may be a class of that name
    return "val" in inside or bool(class_folders(train)) or (alone and pairs_in(train) is not None)


def split(data: Self, fraction: float, seed: int) -> tuple[Self, Self]:
    """A random split: training, validation; of sorted photographs class by class.

    A class of one photograph is learned from.
    """
    generator = torch.Generator().manual_seed(seed)
    labels = getattr(data, "labels", (0,) * len(data))
    learned, held_out = [], []
    for label in sorted(set(labels)):
        places = [i for i, other in enumerate(labels) if other == label]
        order = [places[i] for i in torch.randperm(len(places), generator=generator)]
        count = min(max(1, round(fraction * len(places))), len(places) - 1)
        learned += order[count:]
        held_out += order[:count]
    return data.subset(sorted(learned)), data.subset(sorted(held_out))


def alike(learned: Data, held_out: Data) -> tuple[Data, Data]:
    """Both, with one decision about how the masks of all are read.

    Raises:
        ValueError: for other classes, or masks that `how_to_read` refuses.
    """
    if held_out.task != learned.task:
        raise ValueError(
            f"the photographs held out have the classes {', '.join(held_out.task.classes)}, expected those "
            f"of the photographs to learn from: {', '.join(learned.task.classes)}"
        )
    if type(learned) is not type(held_out):
        raise ValueError(
            f"there are {learned.what} to learn from and {held_out.what} held out, expected the same of both"
        )
    if not (isinstance(learned, Photographs) and isinstance(held_out, Photographs)):
        return learned, held_out
    if learned.ignore != held_out.ignore:
        raise ValueError(
            f"the photographs held out ignore the value {held_out.ignore}, expected that of the photographs "
            f"to learn from: {learned.ignore}"
        )
    masks = (*learned.masks, *held_out.masks)
    reading = learned.reading or how_to_read(masks, len(learned.classes), learned.ignore)
    return replace(learned, reading=reading), replace(held_out, reading=reading)
