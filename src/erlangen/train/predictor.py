"""A trained network, with the scale, the colours and the classes of the photographs it learned from."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from erlangen.train.task import Task


class Predictor(nn.Module):
    r"""Photographs in [0, 1] to logits: ``net((image - mean) / std)``.

    Args:
        net: from 3 colours to logits.
        mean, std: of the training photographs' colours.
        size: the longer side, in pixels, that photographs are shrunk to (None keeps them).
        task: what the logits say; None for one thing and its background.

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
    ) -> None:
        super().__init__()
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
