"""Prediction: photographs of any size in, probabilities out."""

import csv
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from erlangen.train.checkpoint import expect_predictor
from erlangen.train.data import find_images
from erlangen.train.images import as_rgb, numbers, read_image, shrink
from erlangen.train.predictor import Predictor
from erlangen.train.tiles import TILE, answer


def predict(
    model: Predictor,
    images: str | Path | Image.Image | Tensor,
    *,
    out: str | Path | None = None,
    size: int | None = None,
    tile: int = TILE,
) -> list[Tensor]:
    """The probability of the thing at every pixel, or of each class, or of each class of the whole.

    Args:
        model: from `fit` or `load`.
        images: a file, a folder, a photograph, or a tensor ``(batch, 3, height, width)`` in [0, 1] that is
            used at the size it has.
        out: a folder for masks, PNG of the photographs' names and sizes (255 where the thing is, or the class
            indices), or for ``classes.csv``.
        size: shrink photographs to this longer side instead of the one that the network was trained at.
        tile: what is larger goes through the network in tiles of about so many pixels, with the same answer.

    Returns:
        For each photograph ``(height, width)``, of the photograph's size; with several classes
        ``(classes, height, width)``, or ``(classes,)`` for the whole.

    Raises:
        ValueError: for files that cannot be read, naming them.
    """
    expect_predictor(model)
    if isinstance(images, Tensor):
        if not images.is_floating_point():
            raise ValueError(
                f"the images are {images.dtype}, expected numbers in [0, 1]: images.float() / 255"
            )
        return list(_probabilities(model, answer(model, images, tile)))
    if isinstance(images, Image.Image):
        return [predict_photograph(model, as_rgb(images), size, tile)]
    return list(predict_files(model, images, out, size, tile))


def predict_files(
    model: Predictor,
    images: str | Path,
    out: str | Path | None = None,
    size: int | None = None,
    tile: int = TILE,
) -> Iterator[Tensor]:
    """`predict`, one photograph after the other: of those before, memory holds nothing."""
    expect_predictor(model)
    paths = find_images(images)
    if out is not None:
        Path(out).mkdir(parents=True, exist_ok=True)
        lost = {path.resolve() for path in paths} & {(Path(out) / f"{p.stem}.png").resolve() for p in paths}
        if lost and model.task.dense:
            raise ValueError(
                f"the mask of {min(lost).name} would be written over the photograph; expected another folder "
                f"than {out} for the masks"
            )
    if out is not None and not model.task.dense:
        write_class(model, Path(out) / "classes.csv")
    for path in paths:
        probabilities = predict_photograph(model, read_image(path), size, tile)
        if out is not None and model.task.dense:
            write_mask(decided(model, probabilities), Path(out) / f"{path.stem}.png", model.task.is_binary)
        elif out is not None:
            write_class(model, Path(out) / "classes.csv", path, probabilities)
        yield probabilities


def predict_photograph(
    model: Predictor, photograph: Image.Image, size: int | None = None, tile: int = TILE
) -> Tensor:
    """The probabilities of one photograph, computed at the network's scale."""
    logits = answer(model, numbers(shrink(photograph, size or model.size)), tile)
    whole = photograph.size[::-1]
    if model.task.dense and tuple(logits.shape[-2:]) != whole:
        logits = F.interpolate(logits, size=whole, mode="bilinear", align_corners=False)
    return _probabilities(model, logits)[0]


def decided(model: Predictor, probabilities: Tensor) -> Tensor:
    """The index of the likeliest class."""
    return (probabilities > 0.5).int() if model.task.is_binary else probabilities.argmax(0).int()


def write_mask(classes: Tensor, path: Path, binary: bool) -> None:
    """Class indices as PNG; 255 where the one thing is."""
    Image.fromarray((classes.numpy() * (255 if binary else 1)).astype(np.uint8)).save(path)


def write_class(model: Predictor, table: Path, image: Path | None = None, p: Tensor | None = None) -> None:
    """A line of the table: photograph, class, probabilities; without a photograph the headings."""
    names = model.task.classes
    line = ["image", "class", *names]
    if image is not None and p is not None:
        line = [image.name, names[int(decided(model, p))], *(f"{value:.4f}" for value in p.tolist())]
    with open(table, "a" if image else "w", newline="") as file:
        csv.writer(file).writerow(line)


def _probabilities(model: Predictor, logits: Tensor) -> Tensor:
    p = model.task.probabilities(logits)
    return p[:, 0] if model.task.is_binary else p
