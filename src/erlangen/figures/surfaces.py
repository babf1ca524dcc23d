"""Surfaces in space by two parameters, and the net of lines that is drawn on them."""

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

Place = Callable[[Tensor], Tensor]  # (..., k) parameters to (..., 3)
LINES = "#c4b9a3"


def strip_embedding(x: Tensor, length: float = 2 * math.pi, width: float = 1.0) -> Tensor:
    """The Möbius strip's coordinates, along and across, to the band that one glues from paper.

    No isometry: the band in space is not flat. It is drawn so that the mirror can be seen.
    """
    u, v = 2 * math.pi * x[..., 0] / length, x[..., 1] / width
    out = 1 + 0.55 * v * (u / 2).cos()
    return torch.stack([out * u.cos(), out * u.sin(), 0.55 * v * (u / 2).sin()], -1)


def parameters(extent: Sequence[tuple[float, float]], counts: tuple[int, int], fine: int) -> Tensor:
    """Even parameters over a rectangle, so many for each cell of a net: ``(a, b, 2)``."""
    u, v = (torch.linspace(*ends, fine * n + 1).double() for ends, n in zip(extent, counts, strict=True))
    return torch.stack(torch.meshgrid(u, v, indexing="ij"), -1)
