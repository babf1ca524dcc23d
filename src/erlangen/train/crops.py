"""What a step sees: random squares of random photographs."""

import hashlib
import math
from functools import cached_property
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from erlangen.train.images import as_batch
from erlangen.train.settings import Settings


class Crops:
    """Batches of crops, each photograph once in every round; it can be stopped and go on.

    Args:
        images: ``(3, h, w)``, bytes.
        truths: class indices, bytes: ``(h, w)``, cropped with the image, or ``()``.
        settings: the size of crops and batches, the seed, and how crops are varied.
    """

    def __init__(self, images: list[Tensor], truths: list[Tensor], settings: Settings) -> None:
        self.images, self.truths, self.settings = images, truths, settings
        self.generator = torch.Generator().manual_seed(settings.seed)
        self.queue: list[int] = []

    @cached_property
    def checksum(self) -> str:
        """Of all photographs and truths, in their order: a training that goes on asks for the same ones."""
        digest = hashlib.blake2b(digest_size=16)
        for tensor in (*self.images, *self.truths):
            digest.update(repr(tuple(tensor.shape)).encode() + tensor.contiguous().numpy().tobytes())
        return digest.hexdigest()

    def state(self) -> dict[str, Any]:
        """What `restore` needs to go on."""
        return {"generator": self.generator.get_state(), "queue": list(self.queue)}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on where `state` was taken."""
        self.generator.set_state(state["generator"])
        self.queue = list(state["queue"])

    def batch(self) -> tuple[Tensor, Tensor]:
        """Images ``(batch, 3, crop, crop)`` in about [0, 1], class indices ``(batch, [crop, crop])``."""
        images, truths = [], []
        for _ in range(self.settings.batch):
            if not self.queue:
                self.queue = torch.randperm(len(self.images), generator=self.generator).tolist()
            image, truth = self._crop(self.queue.pop())
            if self.settings.quarter_turns:
                turns = self._integer(4)
                image = image.rot90(turns, (-2, -1))
                truth = truth.rot90(turns, (-2, -1)) if truth.dim() else truth
            images.append(image)
            truths.append(truth)
        return self._jitter(as_batch(images)), torch.stack(truths)

    def _integer(self, below: int) -> int:
        return int(torch.randint(max(below, 1), (1,), generator=self.generator))

    def _crop(self, i: int) -> tuple[Tensor, Tensor]:
        """A random square, flipped from side to side at random, if flips do not matter."""
        image, truth = self.images[i], self.truths[i]
        side, angle = self._side(), self._angle()
        shown = math.ceil(side * (abs(math.cos(angle)) + abs(math.sin(angle)))) + 2 if angle else side
        both = torch.cat([image, truth[None]]) if truth.dim() else image  # they are cropped as one
        both = _continued(both, side)
        both = _continued(both, shown, around=True) if angle else both
        top, left = (self._integer(length - shown + 1) for length in both.shape[-2:])
        both = both[:, top : top + shown, left : left + shown]
        flip = self._integer(2)
        both = both.flip(-1) if flip and self.settings.flips else both
        both = _turned(both, angle, side) if angle else both
        both = _scaled(both, self.settings.crop or self.settings.size)
        return (both[:3], both[3]) if truth.dim() else (both, truth)

    def _side(self) -> int:
        """How much of the photograph the crop shows: its own side, or, zoomed, somewhat more or less."""
        side, zoom = self.settings.crop or self.settings.size, self.settings.zoom
        if zoom == 0:
            return side
        power = 2 * float(torch.rand(1, generator=self.generator)) - 1
        return max(1, round(side * (1 + zoom) ** power))

    def _angle(self) -> float:
        """By how much the crop is turned, in radians: every other one by none."""
        limit = math.radians(self.settings.turns)
        if limit == 0 or self._integer(2):
            return 0.0
        return limit * (2 * float(torch.rand(1, generator=self.generator)) - 1)

    def _jitter(self, image: Tensor) -> Tensor:
        """Brightness, contrast and the balance of colours, at random for each image."""
        mean = image.mean((1, 2, 3), keepdim=True)
        balance = 1 + (self._factor(len(image), 3) - 1) / 3
        contrast, brightness = self._factor(len(image), 1), self._factor(len(image), 1)
        return ((image - mean) * contrast + mean * brightness) * balance

    def _factor(self, count: int, channels: int) -> Tensor:
        shape = (count, channels, 1, 1)
        return 1 + self.settings.jitter * (2 * torch.rand(shape, generator=self.generator) - 1)


def _continued(image: Tensor, side: int, around: bool = False) -> Tensor:
    """A photograph smaller than that is continued by its mirror image: right and below, or all around."""
    height, width = image.shape[-2:]
    tall, wide = max(side - height, 0), max(side - width, 0)
    if not (tall or wide):
        return image
    top, left = ((tall + 1) // 2, (wide + 1) // 2) if around else (0, 0)
    pads = (left, wide - left, top, tall - top)
    mode = "reflect" if max(pads[:2]) < width and max(pads[2:]) < height else "replicate"
    return F.pad(image[None].float(), pads, mode=mode)[0].to(torch.uint8)


def _turned(both: Tensor, angle: float, side: int) -> Tensor:
    """The square of a side in the middle, turned counter-clockwise: cubic colours; the nearest class."""
    cos, sin = math.cos(angle), math.sin(angle)
    axes = torch.tensor([[[cos, -sin, 0.0], [sin, cos, 0.0]]]) * (side / both.shape[-1])
    grid = F.affine_grid(axes, [1, 1, side, side], align_corners=False)
    values = both[None].float()
    colours = F.grid_sample(values[:, :3], grid, mode="bicubic", align_corners=False)
    classes = F.grid_sample(values[:, 3:], grid, mode="nearest", align_corners=False)
    return torch.cat([colours, classes], 1)[0].round().clamp(0, 255).to(torch.uint8)


def _scaled(both: Tensor, side: int) -> Tensor:
    """Image (three channels) and mask at another size: means, or interpolated; the nearest class."""
    if both.shape[-1] == side:
        return both
    image = F.interpolate(both[None, :3].float(), (side, side), mode="bilinear", antialias=True)[0]
    image = image.round().to(torch.uint8)
    if len(both) == 3:
        return image
    return torch.cat([image, F.interpolate(both[None, 3:], (side, side), mode="nearest-exact")[0]])
