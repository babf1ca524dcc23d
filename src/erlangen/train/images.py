"""Images and masks as files: read, shrunk, turned, as numbers."""

from collections.abc import Callable
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float, UInt8
from PIL import Image
from torch import Tensor

from erlangen.train.decoding import Decoded, decode, pixels
from erlangen.train.scale import Values, as_bytes_of, values_for

STRIP = 2**20  # numbers that are brought to 8 bits at once
Array = np.ndarray
Shrinking = Literal["cubic", "mean"]
FILTERS = {"cubic": Image.Resampling.BICUBIC, "mean": Image.Resampling.BOX}


def read_image(path: Path, values: Values | None = None) -> Image.Image:
    """A photograph as RGB of 8 bits, upright as its EXIF data says.

    Args:
        path: the file.
        values: the numbers that are black and white; None for what it tells itself (`values_for`).

    Raises:
        ValueError: for a file that is no image, or a truncated one, or of which a part would be lost; for
            numbers of another depth than these values have.
    """
    return as_rgb(decode(path), values)


def as_rgb(decoded: Decoded, values: Values | None = None) -> Image.Image:
    """What was decoded as RGB of 8 bits; black and white as in `read_image`."""
    values, numbers = values_for(decoded, values), decoded.values
    if decoded.palette is not None:
        return decoded.painted(decoded.palette)
    if not decoded.facts.is_deep and decoded.facts.top == 255:
        return Image.fromarray(numbers).convert("RGB") if numbers.ndim == 2 else Image.fromarray(numbers)
    scale = values if decoded.facts.is_deep else (0.0, float(decoded.facts.top))
    whole = Image.new("RGB", numbers.shape[1::-1])
    step = max(STRIP // numbers[0].size, 1)
    for top in range(0, len(numbers), step):  # all at once in double precision would take 8 times as much
        part = Image.fromarray(as_bytes_of(numbers[top : top + step], scale))
        whole.paste(part.convert("RGB"), (0, top))
    return whole


def shrink(image: Image.Image, size: int | None, by: Shrinking = "cubic") -> Image.Image:
    """The image with its longer side at most `size`.

    By a cubic kernel, four new pixels wide; or by the mean over each new pixel's area, which lets detail too
    fine for these pixels through in disguise, and differently at each angle.
    """
    longer = max(image.size)
    if size is None or longer <= size:
        return image
    target = (round(image.size[0] * size / longer), round(image.size[1] * size / longer))
    return image.resize((max(target[0], 1), max(target[1], 1)), FILTERS[by])


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


def turned_and_shrunk(
    image: Image.Image, degrees: float, size: int | None, by: Shrinking = "cubic"
) -> Image.Image:
    """Turned at full size, or at four times `size` where that is less; then shrunk to it."""
    if size is not None and degrees % 90:
        image = shrink(image, 4 * size, by)
    return shrink(turned(image, degrees), size, by)


def resampled(
    labels: UInt8[Array, "height width"], how: Callable[[Image.Image], Image.Image]
) -> UInt8[Tensor, "h w"]:
    """Classes after shrinking or turning: the one that covers most of a pixel, 0 beyond the edges."""
    present = [0, *(int(label) for label in np.unique(labels) if label)]
    shares = [np.array(how(Image.fromarray((labels == k).astype(np.uint8) * 255)), int) for k in present]
    shares[0] = 255 - sum(shares[1:], np.zeros_like(shares[0]))
    return torch.from_numpy(np.array(present, np.uint8)[np.stack(shares).argmax(0)])


def as_bytes(image: Image.Image) -> UInt8[Tensor, "3 height width"]:
    """A photograph as a tensor of bytes."""
    return torch.from_numpy(pixels(image)).permute(2, 0, 1)


def as_batch(images: list[Tensor]) -> Float[Tensor, "batch channel *space"]:
    """Bytes to numbers in [0, 1], other numbers as they are; all of one size."""
    batch = torch.stack(images)
    return batch if batch.is_floating_point() else batch.float() / 255


def numbers(image: Image.Image) -> Float[Tensor, "1 3 height width"]:
    """A photograph as a batch of one, in [0, 1]."""
    return as_batch([as_bytes(image)])
