"""Prediction: photographs of any size in, probabilities of the same size out."""

from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float
from PIL import Image
from torch import Tensor

from erlangen.models import UNet
from erlangen.train.checkpoint import expect_segmenter
from erlangen.train.data import find_images, numbers, read_image, shrink
from erlangen.train.segmenter import Segmenter
from erlangen.train.tiles import in_tiles


def predict(
    model: Segmenter,
    images: str | Path | Image.Image | Tensor,
    *,
    out: str | Path | None = None,
    size: int | None = None,
    tile: int = 1024,
) -> list[Float[Tensor, "height width"]]:
    """The probability of the class at every pixel.

    Args:
        model: from `fit` or `load`.
        images: a file, a folder, a photograph, or a tensor ``(batch, 3, height, width)`` in [0, 1] that is
            used at the size it has.
        out: a folder for masks, PNG of the photographs' names and sizes.
        size: shrink photographs to this longer side instead of the one that the network was trained at.
        tile: what is larger goes through the network in tiles of about so many pixels, with the same answer.

    Returns:
        One tensor for each photograph, of the photograph's size.

    Raises:
        ValueError: for files that cannot be read, naming them.
    """
    expect_segmenter(model)
    if isinstance(images, Tensor):
        if not images.is_floating_point():
            raise ValueError(
                f"the images are {images.dtype}, expected numbers in [0, 1]: images.float() / 255"
            )
        with torch.no_grad():
            return list(torch.sigmoid(_logits(model, images, tile))[:, 0])
    if isinstance(images, Image.Image):
        return [predict_photograph(model, images, size, tile)]
    paths = find_images(images)
    results = []
    for path in paths:
        probability = predict_photograph(model, read_image(path), size, tile)
        results.append(probability)
        if out is not None:
            Path(out).mkdir(parents=True, exist_ok=True)
            mask = Image.fromarray(((probability > 0.5).numpy() * 255).astype(np.uint8))
            mask.save(Path(out) / f"{path.stem}.png")
    return results


@torch.no_grad()
def predict_photograph(
    model: Segmenter, photograph: Image.Image, size: int | None = None, tile: int = 1024
) -> Float[Tensor, "height width"]:
    """The probability at every pixel of one photograph, computed at the network's scale."""
    logits = _logits(model, numbers(shrink(photograph, size or model.size)), tile)
    whole = photograph.size[::-1]
    if tuple(logits.shape[-2:]) != whole:
        logits = F.interpolate(logits, size=whole, mode="bilinear", align_corners=False)
    return torch.sigmoid(logits)[0, 0]


def _logits(model: Segmenter, image: Tensor, tile: int) -> Tensor:
    """The network's answer, in tiles where the image is larger than one."""
    model.eval()
    if max(image.shape[-2:]) <= tile or not isinstance(model.net, UNet):
        return model(image)
    return in_tiles(model, image, tile, model.net)
