"""How well a network segments photographs that were turned."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Float
from PIL import Image
from torch import Tensor

from erlangen.train.data import Photographs, numbers, read_image, read_mask, shrink
from erlangen.train.metrics import intersection_over_union
from erlangen.train.segmenter import Segmenter


def iou_by_angle(model: Segmenter, photographs: Photographs, angles: Sequence[float]) -> dict[float, float]:
    """The intersection over union at each angle, pooled over the pixels of the inscribed discs.

    Photographs and masks are turned at their full size by cubic interpolation, counter-clockwise, then
    shrunk to the network's size by the mean over areas; quarter turns permute pixels and interpolate nothing.

    Args:
        model: in eval mode or not, it is put there.
        photographs: with their masks.
        angles: in degrees.
    """
    model.eval()
    scores = {}
    for angle in angles:
        predicted, truth, inside = [], [], []
        for image_path, mask_path in zip(photographs.images, photographs.masks, strict=True):
            image, mask = turned_pair(image_path, mask_path, angle, model.size)
            with torch.no_grad():
                predicted.append(model(image)[0, 0] > 0)
            truth.append(mask)
            inside.append(inscribed_disc(*truth[-1].shape))
        scores[float(angle)] = intersection_over_union(predicted, truth, inside)
    return scores


def turned_pair(
    image: Path, mask: Path, degrees: float, size: int | None
) -> tuple[Float[Tensor, "1 3 height width"], Bool[Tensor, "height width"]]:
    """A photograph in [0, 1] and its mask, turned at their full size, then shrunk."""
    photograph = numbers(shrink(turned(read_image(image), degrees), size))
    return photograph, torch.from_numpy(np.array(shrink(turned(read_mask(mask), degrees), size))) >= 128


def turned(image: Image.Image, degrees: float) -> Image.Image:
    """The photograph turned counter-clockwise about its centre; quarter turns without interpolation."""
    quarters = {
        90: Image.Transpose.ROTATE_90,
        180: Image.Transpose.ROTATE_180,
        270: Image.Transpose.ROTATE_270,
    }
    degrees = degrees % 360
    if degrees == 0:
        return image
    if degrees in quarters:
        return image.transpose(quarters[int(degrees)])
    return image.rotate(degrees, Image.Resampling.BICUBIC)


def inscribed_disc(height: int, width: int) -> Tensor:
    """The pixels that every turn of the image about its centre keeps inside."""
    y = torch.arange(height) - (height - 1) / 2
    x = torch.arange(width) - (width - 1) / 2
    return torch.hypot(y[:, None], x[None, :]) <= min(height, width) / 2
