"""Convolutions of the longitude-latitude picture, to compare with, and random rotations."""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn


class Conv(nn.Conv2d):
    """`Conv2d` on ``(latitude, longitude)``: circular in longitude, zeros beyond the poles."""

    def __init__(self, in_channels: int, out_channels: int, kernel_size: int, **options) -> None:
        super().__init__(in_channels, out_channels, kernel_size, **options)
        self.reach = kernel_size // 2

    def forward(self, input: Tensor) -> Tensor:
        r = self.reach
        return super().forward(F.pad(F.pad(input, (r, r, 0, 0), mode="circular"), (0, 0, r, r)))


def block(in_channels: int, out_channels: int, kernel_size: int) -> list[nn.Module]:
    """Convolution, norm, ReLU."""
    return [
        Conv(in_channels, out_channels, kernel_size, bias=False),
        nn.BatchNorm2d(out_channels),
        nn.ReLU(),
    ]


def random_rotations(n: int, generator: torch.Generator) -> Float[Tensor, "n 3 3"]:
    """Rotations drawn evenly, by unit quaternions."""
    a, b, c, d = F.normalize(torch.randn(n, 4, generator=generator, dtype=torch.float64), dim=-1).unbind(-1)
    rows = [
        [a * a + b * b - c * c - d * d, 2 * (b * c - a * d), 2 * (b * d + a * c)],
        [2 * (b * c + a * d), a * a - b * b + c * c - d * d, 2 * (c * d - a * b)],
        [2 * (b * d - a * c), 2 * (c * d + a * b), a * a - b * b - c * c + d * d],
    ]
    return torch.stack([torch.stack(row, -1) for row in rows], -2)
