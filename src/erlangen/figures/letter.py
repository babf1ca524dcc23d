"""The letter F: a shape that shows every turn and every mirror."""

import torch
from jaxtyping import Float
from torch import Tensor

CORNERS = (
    (-0.5, -0.8),
    (-0.2, -0.8),
    (-0.2, -0.08),
    (0.4, -0.08),
    (0.4, 0.22),
    (-0.2, 0.22),
    (-0.2, 0.5),
    (0.55, 0.5),
    (0.55, 0.8),
    (-0.5, 0.8),
)


def letter(points: int = 12) -> Float[Tensor, "k 2"]:
    """Its outline, in the unit disc, with so many points along each side."""
    t = torch.arange(points, dtype=torch.float64)[:, None] / points
    corners = torch.tensor(CORNERS, dtype=torch.float64)
    return torch.cat([a + t * (b - a) for a, b in zip(corners, corners.roll(-1, 0), strict=True)])
