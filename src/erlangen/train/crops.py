"""What a step sees: random squares of random photographs."""

import hashlib
import math
from functools import cached_property
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from erlangen.train.images import as_batch
from erlangen.train.settings import Settings
from erlangen.train.turning import nearest_squares, turned_squares


class View(NamedTuple):
    """What is seen of a photograph, and of its truth, turned by an angle in radians."""

    image: Tensor
    truth: Tensor
    angle: float


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
        self.crop = settings.crop or settings.size or max(max(image.shape[-2:]) for image in images)

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

    def batch(self) -> tuple[Tensor, ...]:
        """Images ``(batch, 3, crop, crop)`` in about [0, 1], class indices ``(batch, [crop, crop])``.

        With `consistency` the last half shows what the first one does, turned, and by how many radians,
        counter-clockwise, comes third, ``(batch // 2,)``.
        """
        pairs = self.settings.pairs
        crops = [self._crop(self._next(), 2 if k < pairs else 1) for k in range(self.settings.crops)]
        views = [crop[0] for crop in crops] + [crop[1] for crop in crops[:pairs]]
        image = self._jitter(as_batch([view.image for view in views]))
        batch = image, torch.stack([view.truth for view in views])
        if not pairs:
            return batch
        return (*batch, torch.tensor([there.angle - here.angle for here, there in crops[:pairs]]))

    def _next(self) -> int:
        """The photograph that comes next."""
        if not self.queue:
            self.queue = torch.randperm(len(self.images), generator=self.generator).tolist()
        return self.queue.pop()

    def _integer(self, below: int) -> int:
        return int(torch.randint(max(below, 1), (1,), generator=self.generator))

    def _crop(self, i: int, views: int) -> list[View]:
        """Views of a random square, flipped at random if flips do not matter; of two the second is turned."""
        image, truth = self.images[i], self.truths[i]
        side, angles = self._side(), self._angles(views)
        shown = max(_needed(side, angle) for angle in angles)
        shown += (shown - side) % 2  # all views have one centre
        both = torch.cat([image, truth[None]]) if truth.dim() else image  # they are cropped as one
        both = _continued(_continued(both, side), shown, around=True)
        top, left = (self._integer(length - shown + 1) for length in both.shape[-2:])
        both = both[:, top : top + shown, left : left + shown]
        flip = self._integer(2)
        both = both.flip(-1) if flip and self.settings.flips else both
        quarters = self._integer(4) if self.settings.quarter_turns else 0
        seen = []
        for angle in angles:
            view = _scaled(_turned(both, angle, side), self.crop)
            view = view.rot90(quarters, (-2, -1))
            seen.append(View(view[:3], view[3] if truth.dim() else truth, angle))
        return seen

    def _side(self) -> int:
        """How much of the photograph the crop shows: its own side, or, zoomed, somewhat more or less."""
        side, zoom = self.crop, self.settings.zoom
        if zoom == 0:
            return side
        power = 2 * float(torch.rand(1, generator=self.generator)) - 1
        return max(1, round(side * (1 + zoom) ** power))

    def _angles(self, views: int) -> list[float]:
        """By how much each view of a crop is turned, in radians: the first, of every other crop, by as much
        as the settings allow, the second by any angle more."""
        turned = self.settings.turns > 0 and not self._integer(2)
        first = self._angle(math.radians(self.settings.turns)) if turned else 0.0
        return [first] if views == 1 else [first, first + self._angle(math.pi)]

    def _angle(self, limit: float) -> float:
        return limit * (2 * float(torch.rand(1, generator=self.generator)) - 1)

    def _jitter(self, image: Tensor) -> Tensor:
        """Brightness, contrast and the balance of colours, at random for each crop, all its views alike."""
        crops = self.settings.crops
        of = torch.arange(len(image)) % crops
        mean = image[:crops].mean((1, 2, 3), keepdim=True)[of]
        balance = 1 + (self._factor(crops, 3)[of] - 1) / 3
        contrast, brightness = self._factor(crops, 1)[of], self._factor(crops, 1)[of]
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


def _needed(side: int, angle: float) -> int:
    """The side of an upright square that holds a turned one, and two pixels to interpolate between."""
    return math.ceil(side * (abs(math.cos(angle)) + abs(math.sin(angle)))) + 2 if angle else side


def _turned(both: Tensor, angle: float, side: int) -> Tensor:
    """The square of a side in the middle, turned counter-clockwise: colours by splines; the nearest class."""
    if angle == 0:
        first = (both.shape[-1] - side) // 2
        return both[:, first : first + side, first : first + side]
    values, angles = both[None].float(), torch.tensor([angle], dtype=torch.float64)
    colours, classes = (
        turned_squares(values[:, :3], angles, side),
        nearest_squares(values[:, 3:], angles, side),
    )
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
