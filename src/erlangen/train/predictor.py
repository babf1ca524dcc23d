"""A trained network, with the scale, the colours and the classes of the photographs it learned from."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from erlangen.train.scale import Values
from erlangen.train.task import Task


class Predictor(nn.Module):
    r"""Photographs in [0, 1] to logits: ``net((image - mean) / std)``.

    Args:
        net: from 3 colours to logits.
        mean, std: of the training photographs' colours.
        size: the longer side, in pixels, that photographs are shrunk to (None keeps them).
        task: what the logits say; None for one thing and its background.
        values: the numbers that are black and white in the photographs, 0 and 255 for those of 8 bits; None
            where they are not known.

    Shapes: ``(batch, 3, height, width)`` to ``(batch, task.logits, height, width)``, or to
    ``(batch, task.logits)`` where the whole photograph has one class.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        net: nn.Module,
        mean: Float[Tensor, "3"] | None = None,
        std: Float[Tensor, "3"] | None = None,
        size: int | None = None,
        task: Task | None = None,
        values: Values | None = None,
    ) -> None:
        super().__init__()
        self.values = values
        self.net, self.size, self.task = net, size, task or Task()
        self.register_buffer("mean", torch.zeros(3) if mean is None else mean)
        self.register_buffer("std", torch.ones(3) if std is None else std)

    def forward(self, image: Float[Tensor, "batch 3 height width"]) -> Tensor:
        return self.net((image - self.mean.view(3, 1, 1)) / self.std.view(3, 1, 1))

    def extra_repr(self) -> str:
        return f"size={self.size}, {self.task.name}, classes={', '.join(self.task.classes)}"


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
