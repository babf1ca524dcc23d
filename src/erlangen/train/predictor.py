"""A trained network, with the scale, the colours and the classes of what it learned from."""

from typing import Annotated

import torch
from jaxtyping import Float
from torch import Tensor, nn

from erlangen.arguments import Range, checked
from erlangen.nn.freeze import freeze, is_replaced
from erlangen.train.images import Shrinking
from erlangen.train.scale import Values
from erlangen.train.task import Task
from erlangen.train.volume_files import Spacing

MANY = 5  # calls, from which on freezing takes less time than it saves


class Predictor(nn.Module):
    r"""Photographs or volumes in [0, 1] to logits: ``net((image - mean) / std)``.

    Args:
        net: from 3 colours to logits, or from the channels of volumes.
        mean, std: of each colour, or channel, in what it learned from; None for 0 and 1.
        size: the longer side, in pixels, that photographs are shrunk to (None keeps them).
        task: what the logits say; None for one thing and its background.
        values: the numbers that are black and white in the photographs, 0 and 255 for those of 8 bits; None
            where they are not known.
        shrinking: how photographs are shrunk, by a "cubic" kernel or the "mean" over areas.
        spacing: the steps of the voxels that it sees, in the unit of the files; None for photographs.

    Photographs may be of another dtype than the network: they are cast to its own when they are scaled.

    Raises:
        ValueError: for a mean or std that do not hold a finite number for each channel, a std that is not
            positive, values that are no range, and steps that are not positive.

    Shapes: ``(batch, channels, *space)`` to ``(batch, task.logits, *space)``, or to ``(batch, task.logits)``
    where the whole photograph has one class.
    """

    mean: Tensor
    std: Tensor

    @checked
    def __init__(
        self,
        net: nn.Module,
        mean: Float[Tensor, "channels"] | None = None,
        std: Float[Tensor, "channels"] | None = None,
        size: Annotated[int, Range(1)] | None = None,
        task: Task | None = None,
        values: Values | None = None,
        shrinking: Shrinking = "cubic",
        spacing: Spacing | None = None,
    ) -> None:
        super().__init__()
        usual = 3 if spacing is None or mean is None else mean.numel()
        channels = int(getattr(net, "in_channels", usual))
        for name, statistic in (("mean", mean), ("std", std)):
            if statistic is not None:
                _expect_colours(name, statistic, channels)
        if spacing is not None and not min(spacing) > 0:
            raise ValueError(f"spacing is {spacing}, expected three lengths above 0")
        if values is not None and not values[0] < values[1]:
            raise ValueError(f"values is {values!r}, expected (low, high) with low < high, or None")
        self.net, self.size, self.task, self.values = net, size, task or Task(), values
        self.shrinking: Shrinking = shrinking
        self.spacing = spacing
        self.register_buffer("mean", torch.zeros(channels) if mean is None else mean)
        self.register_buffer("std", torch.ones(channels) if std is None else std)

    def forward(self, image: Float[Tensor, "batch channels *space"]) -> Tensor:
        return self.net(self.normalized(image).to(self.dtype or image.dtype))

    def normalized(self, image: Float[Tensor, "batch channels *space"]) -> Tensor:
        """``(image - mean) / std``."""
        per_channel = (-1, *[1] * (image.dim() - 2))
        return (image - self.mean.view(per_channel)) / self.std.view(per_channel)

    @property
    def dim(self) -> int:
        """Axes of space: 2 of photographs, 3 of volumes."""
        return 2 if self.spacing is None else 3

    @property
    def channels(self) -> int:
        """Numbers at each pixel or voxel."""
        return self.mean.numel()

    @property
    def dtype(self) -> torch.dtype | None:
        """That of the network's weights; None if it has none."""
        return next((p.dtype for p in self.net.parameters() if p.is_floating_point()), None)

    def for_calls(self, count: int) -> "Predictor":
        """The model for so many answers: a frozen copy if they are many, unless it was compiled."""
        return self if count < MANY or is_replaced(self) else freeze(self)  # type: ignore[return-value]

    def extra_repr(self) -> str:
        return f"size={self.size}, {self.task.name}, classes={', '.join(self.task.classes)}"


def _expect_colours(name: str, statistic: Tensor, channels: int) -> None:
    if statistic.shape != (channels,) or not statistic.is_floating_point():
        raise ValueError(
            f"{name} has shape {tuple(statistic.shape)} and is {statistic.dtype}, expected {channels} "
            "numbers, one for each colour; give those of the photographs, as float32"
        )
    if not statistic.isfinite().all() or (name == "std" and not (statistic > 0).all()):
        raise ValueError(
            f"{name} is {statistic.tolist()}, expected finite numbers{', above 0' * (name == 'std')}; give "
            "those of the photographs"
        )


def expect_predictor(model: object) -> None:
    """ValueError for what is no `Predictor`."""
    if not isinstance(model, Predictor):
        raise ValueError(
            f"the model is a {type(model).__name__}, expected the Predictor that er.fit trains (run.model) "
            "or er.load reads; wrap a network of your own: erlangen.train.Predictor(net)"
        )


def statistics(images: list[Tensor]) -> tuple[Float[Tensor, "channels"], Float[Tensor, "channels"]]:
    """Mean and standard deviation of each channel, over all samples, in [0, 1]; never 0."""
    if images[0].is_floating_point():
        total, mean, square = _moments(images)
    else:
        counts = torch.zeros(len(images[0]), 256, dtype=torch.float64)
        for image in images:
            counts += torch.stack([torch.bincount(c.flatten().int(), minlength=256) for c in image])
        values, total = torch.arange(256, dtype=torch.float64) / 255, float(counts[0].sum())
        mean = counts @ values / total
        square = (counts * (values - mean[:, None]).square()).sum(1)
    var = square / max(total - 1, 1)
    return mean.float(), var.sqrt().clamp_min(1e-3).float()


def _moments(images: list[Tensor]) -> tuple[float, Tensor, Tensor]:
    """How many samples there are, the mean of each channel, and the sum of squared distances from it."""
    flat = [image.flatten(1) for image in images]
    total = sum(image.shape[1] for image in flat)
    mean = torch.stack([image.double().sum(1) for image in flat]).sum(0) / total
    return total, mean, torch.stack([(i.double() - mean[:, None]).square().sum(1) for i in flat]).sum(0)
