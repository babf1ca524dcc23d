"""A trained network, with the scale, the colours and the classes of the photographs it learned from."""

from typing import Annotated

import torch
from jaxtyping import Float
from torch import Tensor, nn

from erlangen.arguments import Range, checked
from erlangen.nn.freeze import freeze, is_replaced
from erlangen.train.images import Shrinking
from erlangen.train.scale import Values
from erlangen.train.task import Task

MANY = 5  # calls, from which on freezing takes less time than it saves


class Predictor(nn.Module):
    r"""Photographs in [0, 1] to logits: ``net((image - mean) / std)``.

    Args:
        net: from 3 colours to logits.
        mean, std: of the training photographs' colours.
        size: the longer side, in pixels, that photographs are shrunk to (None keeps them).
        task: what the logits say; None for one thing and its background.
        values: the numbers that are black and white in the photographs, 0 and 255 for those of 8 bits; None
            where they are not known.
        shrinking: how photographs are shrunk, by a "cubic" kernel or the "mean" over areas.

    Photographs may be of another dtype than the network: they are cast to its own when they are scaled.

    Raises:
        ValueError: for a mean or std that are no tensors of 3 finite numbers, a std that is not positive, and
            values that are no range.

    Shapes: ``(batch, 3, height, width)`` to ``(batch, task.logits, height, width)``, or to
    ``(batch, task.logits)`` where the whole photograph has one class.
    """

    mean: Tensor
    std: Tensor

    @checked
    def __init__(
        self,
        net: nn.Module,
        mean: Float[Tensor, "3"] | None = None,
        std: Float[Tensor, "3"] | None = None,
        size: Annotated[int, Range(1)] | None = None,
        task: Task | None = None,
        values: Values | None = None,
        shrinking: Shrinking = "cubic",
    ) -> None:
        super().__init__()
        for name, statistic in (("mean", mean), ("std", std)):
            if statistic is not None:
                _expect_colours(name, statistic)
        if values is not None and not values[0] < values[1]:
            raise ValueError(f"values is {values!r}, expected (low, high) with low < high, or None")
        self.net, self.size, self.task, self.values = net, size, task or Task(), values
        self.shrinking: Shrinking = shrinking
        self.register_buffer("mean", torch.zeros(3) if mean is None else mean)
        self.register_buffer("std", torch.ones(3) if std is None else std)

    def forward(self, image: Float[Tensor, "batch 3 height width"]) -> Tensor:
        image = (image - self.mean.view(3, 1, 1)) / self.std.view(3, 1, 1)
        return self.net(image.to(self.dtype or image.dtype))

    @property
    def dtype(self) -> torch.dtype | None:
        """That of the network's weights; None if it has none."""
        return next((p.dtype for p in self.net.parameters() if p.is_floating_point()), None)

    def for_calls(self, count: int) -> "Predictor":
        """The model for so many answers: a frozen copy if they are many, unless it was compiled."""
        return self if count < MANY or is_replaced(self) else freeze(self)  # type: ignore[return-value]

    def extra_repr(self) -> str:
        return f"size={self.size}, {self.task.name}, classes={', '.join(self.task.classes)}"


def _expect_colours(name: str, statistic: Tensor) -> None:
    if statistic.shape != (3,) or not statistic.is_floating_point():
        raise ValueError(
            f"{name} has shape {tuple(statistic.shape)} and is {statistic.dtype}, expected 3 numbers, one "
            "for each colour; give those of the photographs, as float32"
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


def statistics(images: list[Tensor]) -> tuple[Float[Tensor, "3"], Float[Tensor, "3"]]:
    """Mean and standard deviation of each colour, over all pixels, in [0, 1]."""
    counts = torch.zeros(3, 256, dtype=torch.float64)
    for image in images:
        counts += torch.stack([torch.bincount(colour.flatten().int(), minlength=256) for colour in image])
    values, total = torch.arange(256, dtype=torch.float64) / 255, counts[0].sum()
    mean = counts @ values / total
    var = (counts * (values - mean[:, None]).square()).sum(1) / (total - 1).clamp_min(1)
    return mean.float(), var.sqrt().clamp_min(1e-3).float()
