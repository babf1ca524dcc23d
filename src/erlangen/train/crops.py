"""What a step sees: random squares of random photographs, or cubes of volumes."""

import hashlib
import math
from collections.abc import Sequence
from functools import cached_property
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from erlangen.spaces.centred import permuted
from erlangen.train.images import as_batch
from erlangen.train.settings import Settings
from erlangen.train.turning import lattice_turns, nearest_squares, turned_squares
from erlangen.train.volume_files import Spacing
from erlangen.train.volumes import resized


class View(NamedTuple):
    """What is seen of a photograph or volume, and of its truth, turned by an angle in radians."""

    image: Tensor
    truth: Tensor
    angle: float


class Crops:
    """Batches of crops, each photograph once in every round; it can be stopped and go on.

    Args:
        images: ``(channel, *space)``, bytes or numbers in [0, 1].
        truths: class indices, bytes: ``(*space)``, cropped with the image, or ``()``.
        settings: the size of crops and batches, the seed, and how crops are varied.
        spacing: the steps of volumes: crops have fewer voxels where these are longer, and are exchanged by
            turns that keep them.
    """

    def __init__(
        self,
        images: list[Tensor],
        truths: list[Tensor],
        settings: Settings,
        spacing: Spacing | None = None,
    ) -> None:
        self.images, self.truths, self.settings, self.spacing = images, truths, settings, spacing
        self.generator = torch.Generator().manual_seed(settings.seed)
        self.queue: list[int] = []
        side = settings.crop or settings.size or max(max(image.shape[1:]) for image in images)
        steps = spacing or (1.0,) * (images[0].dim() - 1)
        self.shape = tuple(max(1, round(side * min(steps) / step)) for step in steps)
        self.quarters = lattice_turns(steps)

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
        """Images ``(batch, channel, *crop)`` in about [0, 1], class indices ``(batch, [*crop])``.

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
        """Views of a random crop, flipped at random if flips do not matter; of two the second is turned."""
        image, truth = self.images[i], self.truths[i]
        zoom, angles = self._zoom(), self._angles(views)
        about = self._axis() if any(angles) else None
        shape = [max(1, round(length * zoom)) for length in self.shape]
        shown = [length if k == about else _needed(length, angles) for k, length in enumerate(shape)]
        both = torch.cat([image, truth[None].to(image.dtype)]) if truth.dim() else image  # cropped as one
        both = _continued(_continued(both, shape), shown, around=True)
        first = [self._integer(n - m + 1) for n, m in zip(both.shape[1:], shown, strict=True)]
        both = both[(slice(None), *(slice(a, a + n) for a, n in zip(first, shown, strict=True)))]
        flip = self._integer(2)
        both = both.flip(-1) if flip and self.settings.flips else both
        axes = self.quarters[self._integer(len(self.quarters)) if self.settings.quarter_turns else 0]
        seen = []
        for angle in angles:
            turned = _turned(both, angle, shape, bool(truth.dim()), about)
            view = permuted(_scaled(turned, self.shape, len(image)), axes)
            own = view[-1].to(torch.uint8) if truth.dim() else truth
            seen.append(View(view[: len(image)], own, angle))
        return seen

    def _zoom(self) -> float:
        """How much of the photograph a crop shows, relative to its own side."""
        zoom = self.settings.zoom
        if zoom == 0:
            return 1.0
        return (1 + zoom) ** (2 * float(torch.rand(1, generator=self.generator)) - 1)

    def _angles(self, views: int) -> list[float]:
        """By how much each view of a crop is turned, in radians: the first, of every other crop, by as much
        as the settings allow, the second by any angle more."""
        turned = self.settings.turns > 0 and not self._integer(2)
        first = self._angle(math.radians(self.settings.turns)) if turned else 0.0
        return [first] if views == 1 else [first, first + self._angle(math.pi)]

    def _axis(self) -> int | None:
        """The axis that crops of volumes are turned about: that of the settings, or one at random of those
        whose turns keep the steps; None for photographs."""
        if self.spacing is None:
            return None
        if self.settings.axis is not None:
            return self.settings.axis
        kept = [a for a in range(3) if self.spacing[a - 2] == self.spacing[a - 1]]
        return kept[self._integer(len(kept))]

    def _angle(self, limit: float) -> float:
        return limit * (2 * float(torch.rand(1, generator=self.generator)) - 1)

    def _jitter(self, image: Tensor) -> Tensor:
        """Brightness, contrast and the balance of colours, at random for each crop, all its views alike."""
        crops, channels = self.settings.crops, image.shape[1]
        of = torch.arange(len(image)) % crops
        mean = image[:crops].mean([*range(1, image.dim())], keepdim=True)[of]
        balance = 1 + (self._factor(crops, channels)[of] - 1) / 3
        contrast, brightness = self._factor(crops, 1)[of], self._factor(crops, 1)[of]
        return ((image - mean) * contrast + mean * brightness) * balance

    def _factor(self, count: int, channels: int) -> Tensor:
        shape = (count, channels, *[1] * len(self.shape))
        return 1 + self.settings.jitter * (2 * torch.rand(shape, generator=self.generator) - 1)


def _continued(image: Tensor, shape: Sequence[int], around: bool = False) -> Tensor:
    """What is smaller than that is continued by its mirror image: at the end of each axis, or all around."""
    lacking = [max(wanted - there, 0) for wanted, there in zip(shape, image.shape[1:], strict=True)]
    if not any(lacking):
        return image
    before = [(n + 1) // 2 if around else 0 for n in lacking]
    pads = [(a, n - a) for a, n in zip(before, lacking, strict=True)]
    mirrored = all(max(pad) < there for pad, there in zip(pads, image.shape[1:], strict=True))
    sides = [n for pad in reversed(pads) for n in pad]
    return F.pad(image[None].float(), sides, mode="reflect" if mirrored else "replicate")[0].to(image.dtype)


def _needed(side: int, angles: Sequence[float]) -> int:
    """The side of an upright square that holds turned ones, each with two pixels to interpolate between; all
    views have one centre."""
    most = max(
        math.ceil(side * (abs(math.cos(angle)) + abs(math.sin(angle)))) + 2 if angle else side
        for angle in angles
    )
    return most + (most - side) % 2


def _turned(
    both: Tensor, angle: float, shape: Sequence[int], masked: bool, about: int | None = None
) -> Tensor:
    """The crop of a shape in the middle; a square turned counter-clockwise, and so each plane across an axis:
    colours by splines, and the nearest class, which comes last where there is one."""
    if about is not None:
        order = [0, *(1 + (about + k) % 3 for k in range(3))]
        planes = both.permute(order)  # (channel, along the axis, two more)
        seen = [
            _turned(plane, angle, [shape[(about + k) % 3] for k in (1, 2)], masked)
            for plane in planes.unbind(1)
        ]
        return torch.stack(seen, 1).permute([order.index(k) for k in range(4)])
    if angle == 0:
        first = [(there - length) // 2 for there, length in zip(both.shape[1:], shape, strict=True)]
        return both[(slice(None), *(slice(a, a + n) for a, n in zip(first, shape, strict=True)))]
    values, angles = both[None].float(), torch.tensor([angle], dtype=torch.float64)
    colours = len(both) - masked
    turned = [turned_squares(values[:, :colours], angles, shape[0])]
    turned += [nearest_squares(values[:, colours:], angles, shape[0])] if masked else []
    result = torch.cat(turned, 1)[0]
    return result if both.is_floating_point() else result.round().clamp(0, 255).to(torch.uint8)


def _scaled(both: Tensor, shape: Sequence[int], channels: int) -> Tensor:
    """Image (so many channels) and mask at another size: means, or interpolated; the nearest class."""
    if tuple(both.shape[1:]) == tuple(shape):
        return both
    size = tuple(shape)
    image = both[None, :channels].float()
    if len(size) == 2:
        image = F.interpolate(image, size, mode="bilinear", antialias=True)[0].round()
    else:
        image = resized(image, size)[0]
    image = image.to(both.dtype)
    if len(both) == channels:
        return image
    return torch.cat([image, F.interpolate(both[None, channels:], size, mode="nearest-exact")[0]])
