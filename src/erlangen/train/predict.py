"""Prediction: photographs of any size in, probabilities of the same size out."""

from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float
from PIL import Image
from torch import Tensor

from erlangen.train.checkpoint import expect_segmenter
from erlangen.train.data import find_images, read_image, shrink
from erlangen.train.segmenter import Segmenter


def predict(
    model: Segmenter, images: str | Path | Image.Image | Tensor, *, out: str | Path | None = None
) -> list[Float[Tensor, "height width"]]:
    """The probability of the class at every pixel.

    Args:
        model: from `fit` or `load`.
        images: a file, a folder, a photograph, or a tensor ``(batch, 3, height, width)`` in [0, 1] that is
            used at the size it has.
        out: a folder for masks, PNG of the photographs' names and sizes.

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
            return list(torch.sigmoid(model.eval()(images))[:, 0])
    if isinstance(images, Image.Image):
        return [predict_photograph(model, images)]
    paths = find_images(images)
    results = []
    for path in paths:
        probability = predict_photograph(model, read_image(path))
        results.append(probability)
        if out is not None:
            Path(out).mkdir(parents=True, exist_ok=True)
            mask = Image.fromarray(((probability > 0.5).numpy() * 255).astype(np.uint8))
            mask.save(Path(out) / f"{path.stem}.png")
    return results


@torch.no_grad()
def predict_photograph(model: Segmenter, photograph: Image.Image) -> Float[Tensor, "height width"]:
    """The probability at every pixel of one photograph, computed at the network's scale."""
    small = torch.from_numpy(np.array(shrink(photograph, model.size))).permute(2, 0, 1)
    logits = model.eval()(small[None].float() / 255)
    size = photograph.size[::-1]
    if tuple(logits.shape[-2:]) != size:
        logits = F.interpolate(logits, size=size, mode="bilinear", align_corners=False)
    return torch.sigmoid(logits)[0, 0]
