"""Prediction: photographs of any size in, probabilities out."""

import csv
import warnings
from collections import Counter
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import TextIO

import numpy as np
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from erlangen.train.decoding import Decoded, decode, decode_open
from erlangen.train.folders import find_images
from erlangen.train.images import as_rgb, numbers, shrink
from erlangen.train.predictor import Predictor, expect_predictor
from erlangen.train.task import Task
from erlangen.train.tiles import TILE, answer
from erlangen.train.writing import make_folder, write_whole, writing

Answers = Iterator[tuple[Path, Tensor]]  # photographs and their logits


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
        images: a file, a folder (and those within), a photograph, or a tensor ``(batch, 3, height, width)``
            in [0, 1] that is used at the size it has.
        out: a folder for masks, PNG of the photographs' names and sizes, in folders as theirs (255 where the
            thing is, or the class indices), or for ``classes.csv``.
        size: shrink photographs to this longer side instead of the one that the network was trained at.
        tile: what is larger goes through the network in tiles of about so many pixels, with the same answer.

    Returns:
        For each photograph ``(height, width)``, of the photograph's size; with several classes
        ``(classes, height, width)``, or ``(classes,)`` for the whole.

    Raises:
        ValueError: for files that cannot be read, naming them, with `out` after the others are written; for
            tensors that are no photographs; for `out` with what is no file.
    """
    expect_predictor(model)
    _expect_sizes(size, tile)
    if out is not None and isinstance(images, Tensor | Image.Image):
        raise ValueError(f"out is {out}, but a {type(images).__name__} has no name there, expected files")
    if not isinstance(images, str | Path | Tensor | Image.Image):
        raise ValueError(
            f"the images are a {type(images).__name__}, expected a file or folder, a PIL image, or a tensor "
            "(batch, 3, height, width); several files one after the other"
        )
    if isinstance(images, Tensor):
        _expect_photographs(images)
        return list(model.task.probabilities(answer(model, images, tile)))
    if isinstance(images, Image.Image):
        return [
            model.task.probabilities(
                predict_logits(model, as_photograph(model, decode_open(images)), size, tile)
            )[0]
        ]
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
    _expect_sizes(size, tile)
    found, unread = find_images(images, out), list[str]()
    aside = None if out is None or len(found) == 1 else unread
    photographs = (
        (path, photograph) for path in found if (photograph := _read(model, path, aside)) is not None
    )
    answers = ((path, predict_logits(model, photograph, size, tile)) for path, photograph in photographs)
    if out is not None and model.task.dense:
        answers = _with_masks(answers, model.task, mask_files(found, Path(out)))
    elif out is not None:
        answers = _with_table(answers, model.task, found, Path(out) / "classes.csv")
    for _, logits in answers:
        yield model.task.probabilities(logits)[0]
    if unread:
        what = f"{len(unread)} of {len(found)} photographs are left out, the others are in {out}: "
        raise ValueError(what + "; ".join(unread))


def predict_logits(
    model: Predictor, photograph: Image.Image, size: int | None = None, tile: int = TILE
) -> Tensor:
    """The logits of one photograph, ``(1, task.logits, *its size)``, computed at the network's scale."""
    logits = answer(model, numbers(shrink(photograph, size or model.size)), tile)
    whole = photograph.size[::-1]
    if model.task.dense and tuple(logits.shape[-2:]) != whole:
        logits = F.interpolate(logits, size=whole, mode="bilinear", align_corners=False)
    return logits


def mask_files(found: dict[Path, Path], out: Path) -> dict[Path, Path]:
    """Where the mask of each photograph goes; those that differ in their ending alone keep it: a.jpg.png.

    Raises:
        ValueError: if a mask would take the place of a photograph, or of another mask.
    """
    stems = Counter(path.with_suffix("") for path in found)
    masks = {}
    for path, name in found.items():
        alone = stems[path.with_suffix("")] == 1
        masks[path] = out / (name.with_suffix(".png") if alone else name.with_name(f"{name.name}.png"))
    twice = [mask for mask, count in Counter(masks.values()).items() if count > 1]
    if twice:
        raise ValueError(f"{len(twice)} masks would be written twice ({twice[0]} first), rename a photograph")
    lost = {path.resolve() for path in found} & {mask.resolve() for mask in masks.values()}
    if lost:
        raise ValueError(
            f"the mask of {min(lost).name} would be written over the photograph; expected another folder "
            f"than {out} for the masks"
        )
    return masks


def as_photograph(model: Predictor, decoded: Decoded) -> Image.Image:
    """As RGB of 8 bits, with black and white where the network has them.

    Raises:
        ValueError: for numbers of another depth than the network learned from.
    """
    if model.values is None and decoded.facts.is_deep:
        warnings.warn(
            "the network does not say which numbers are black and white: "
            "photographs of more than 8 bits are scaled each by its own; train anew to have that kept",
            stacklevel=2,
        )
    return as_rgb(decoded, model.values)


def _read(model: Predictor, path: Path, unread: list[str] | None) -> Image.Image | None:
    """The photograph; what is wrong with one that is none goes to `unread`, if there is such a list."""
    try:
        return as_photograph(model, decode(path))
    except ValueError as error:
        if unread is None:
            raise
        unread.append(str(error))
        return None


def _expect_sizes(size: int | None, tile: int) -> None:
    if (size is not None and size < 1) or tile < 1:
        raise ValueError(f"size is {size} and tile {tile}, expected pixels, at least 1")


def _expect_photographs(images: Tensor) -> None:
    if images.dim() != 4 or images.shape[1] != 3 or 0 in images.shape[2:]:
        raise ValueError(
            f"the images have shape {tuple(images.shape)}, expected (batch, 3, height, width); one alone is "
            "image[None], grey is gray.expand(-1, 3, -1, -1)"
        )
    if not images.is_floating_point():
        raise ValueError(f"the images are {images.dtype}, expected numbers in [0, 1]: images.float() / 255")
    low, high = (float(v) for v in images.aminmax()) if images.numel() else (0.0, 1.0)
    if not (low >= -0.5 and high <= 1.5):  # what interpolation overshoots is let through
        raise ValueError(
            f"the images have values from {low:.6g} to {high:.6g}, expected [0, 1]: divide bytes by 255, and "
            "undo a normalization, since the model has its own"
        )


def _with_masks(answers: Answers, task: Task, masks: dict[Path, Path]) -> Answers:
    """Class indices as PNG; 255 where the one thing is."""
    for path, logits in answers:
        values = task.decide(logits)[0].numpy() * (255 if task.is_binary else 1)
        png = BytesIO()
        Image.fromarray(values.astype(np.uint8)).save(png, "PNG")
        make_folder(masks[path].parent)
        write_whole(masks[path], png.getvalue())
        yield path, logits


def _opened(table: Path) -> TextIO:
    return open(table, "w", newline="", encoding="utf-8", errors="surrogateescape")  # names of any bytes


def _with_table(answers: Answers, task: Task, found: dict[Path, Path], table: Path) -> Answers:
    """A line for each photograph: its name, its class, the probability of each class."""
    make_folder(table.parent)
    with writing(table, "the lines before are there"), _opened(table) as file:
        lines = csv.writer(file)
        lines.writerow(["image", "class", *task.classes])
        for path, logits in answers:
            probabilities = [f"{p:.4f}" for p in task.probabilities(logits)[0].tolist()]
            name = task.classes[int(task.decide(logits))]
            lines.writerow([found[path].as_posix(), name, *probabilities])
            file.flush()
            yield path, logits
