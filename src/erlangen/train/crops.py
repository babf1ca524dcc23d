"""What a step sees: random squares of random photographs."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from erlangen.train.data import as_batch
from erlangen.train.settings import Settings


class Crops:
    """Batches of crops, each photograph once in every round; it can be stopped and go on.

    Args:
        images: ``(3, h, w)``, bytes.
        masks: ``(h, w)``, bytes.
        settings: the size of crops and batches, the seed, and how crops are varied.
    """

    def __init__(self, images: list[Tensor], masks: list[Tensor], settings: Settings) -> None:
        self.images, self.masks, self.settings = images, masks, settings
        self.generator = torch.Generator().manual_seed(settings.seed)
        self.queue: list[int] = []

    def state(self) -> dict[str, Any]:
        """What `restore` needs to go on."""
        return {"generator": self.generator.get_state(), "queue": list(self.queue)}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on where `state` was taken."""
        self.generator.set_state(state["generator"])
        self.queue = list(state["queue"])

    def batch(self) -> tuple[Tensor, Tensor]:
        """Images ``(batch, 3, crop, crop)`` in about [0, 1], masks ``(batch, 1, crop, crop)``."""
        images, masks = [], []
        for _ in range(self.settings.batch):
            if not self.queue:
                self.queue = torch.randperm(len(self.images), generator=self.generator).tolist()
            image, mask = self._crop(self.queue.pop())
            if self.settings.quarter_turns:
                turns = self._integer(4)
                image, mask = image.rot90(turns, (-2, -1)), mask.rot90(turns, (-2, -1))
            images.append(image)
            masks.append(mask)
        return self._jitter(as_batch(images)), torch.stack(masks)[:, None].float()

    def _integer(self, below: int) -> int:
        return int(torch.randint(max(below, 1), (1,), generator=self.generator))

    def _crop(self, i: int) -> tuple[Tensor, Tensor]:
        """A random square, flipped from side to side at random."""
        image, mask, side = self.images[i], self.masks[i], self.settings.crop
        height, width = mask.shape
        short = [max(side - height, 0), max(side - width, 0)]
        if any(short):  # a photograph smaller than the crop is continued by its mirror image
            amounts = (0, short[1], 0, short[0])
            mode = "reflect" if short[0] < height and short[1] < width else "replicate"
            image = F.pad(image[None].float(), amounts, mode=mode)[0].to(torch.uint8)
            mask = F.pad(mask[None, None].float(), amounts, mode=mode)[0, 0].to(torch.uint8)
        top, left = self._integer(mask.shape[0] - side + 1), self._integer(mask.shape[1] - side + 1)
        image = image[:, top : top + side, left : left + side]
        mask = mask[top : top + side, left : left + side]
        return (image.flip(-1), mask.flip(-1)) if self._integer(2) else (image, mask)

    def _jitter(self, image: Tensor) -> Tensor:
        """Brightness, contrast and the balance of colours, at random for each image."""
        mean = image.mean((1, 2, 3), keepdim=True)
        balance = 1 + (self._factor(len(image), 3) - 1) / 3
        contrast, brightness = self._factor(len(image), 1), self._factor(len(image), 1)
        return ((image - mean) * contrast + mean * brightness) * balance

    def _factor(self, count: int, channels: int) -> Tensor:
        shape = (count, channels, 1, 1)
        return 1 + self.settings.jitter * (2 * torch.rand(shape, generator=self.generator) - 1)
