"""Rotated MNIST, own rotation: digits turned once, as the published files' were; and what a step sees."""

import math
import sys
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

sys.path.insert(0, str(Path(__file__).parent.parent))
import mnist

TRAINED_ON, TESTED_ON, SEED = 12_000, 50_000, 2007
MEAN, DEVIATION = 0.1307, 0.3081  # of the training digits


def rotated(split: str) -> mnist.Digits:
    """Digits ``(n, 1, 28, 28)`` within [0, 1], each turned once by its own angle, and what they are.

    "train" is the training digits 0 to 11,999 of the original order, "test" the training digits 12,000 to
    51,999 and all 10,000 test digits; the last 8,000 training digits are in neither. Angles are uniform in
    [0, 360) degrees, drawn in that order. A turn is about the picture's middle; between pixels it is bicubic
    (a = -0.75), cut off at 0 and 1 and rounded to 256 greys.
    """
    parts = [mnist.load("train"), mnist.load("test")]
    x, y = (torch.cat([part[i] for part in parts]) for i in (0, 1))
    total = TRAINED_ON + TESTED_ON
    order = torch.cat([torch.arange(total - 10_000), torch.arange(len(x) - 10_000, len(x))])
    angles = 2 * math.pi * torch.rand(total, generator=torch.Generator().manual_seed(SEED))
    chosen = slice(TRAINED_ON) if split == "train" else slice(TRAINED_ON, None)
    pictures = moved(x[order[chosen], None], turns(angles[chosen]))
    return (255 * pictures.clamp(0, 1)).round() / 255, y[order[chosen]]


def turns(angles: Tensor) -> Tensor:
    """Rotations ``(n, 2, 2)``."""
    cos, sin = torch.cos(angles), torch.sin(angles)
    return torch.stack([torch.stack([cos, -sin], -1), torch.stack([sin, cos], -1)], -2)


def moved(pictures: Tensor, A: Tensor, displacement: Tensor | None = None) -> Tensor:
    """Each picture read at ``y + displacement(y)``, ``y = A x`` from its middle, bicubically; black outside.

    Shapes: pictures ``(n, 1, size, size)``, A ``(n, 2, 2)``, displacement ``(n, 2, size, size)`` in pixels.
    """
    grid = F.affine_grid(F.pad(A, (0, 1)), list(pictures.shape), align_corners=False)  # the middle is at 0
    if displacement is not None:
        there = F.grid_sample(displacement, grid, padding_mode="border", align_corners=False)
        grid = grid + (2 / pictures.shape[-1]) * there.permute(0, 2, 3, 1)
    parts = zip(pictures.split(2000), grid.split(2000), strict=True)
    return torch.cat([F.grid_sample(f, g, mode="bicubic", align_corners=False) for f, g in parts])


def augmented(
    pictures: Tensor,
    generator: torch.Generator,
    turned: bool = True,
    scale: float = 0.0,
    shear: float = 0.0,
    elastic: float = 0.0,
    shift: float = 0.0,
) -> Tensor:
    """Turned by any angle, scaled, sheared, bent and shifted at random, in one interpolation.

    Args:
        pictures: ``(n, 1, size, size)``.
        generator: of all that is random.
        turned: by an angle uniform in [0, 360) degrees.
        scale: the largest relative change of either length.
        shear: the largest slope.
        elastic: the standard deviation of a smooth displacement, in pixels; its mean over the ink is 0.
        shift: the largest shift along either axis, in pixels.
    """
    n, size = len(pictures), pictures.shape[-1]

    def uniform(*shape: int) -> Tensor:
        return 2 * torch.rand(*shape, generator=generator) - 1

    A = torch.eye(2).repeat(n, 1, 1)
    A[:, [0, 1], [0, 1]] += scale * uniform(n, 2)
    A[:, [0, 1], [1, 0]] += shear * uniform(n, 2)
    if turned:
        A = A @ turns(math.pi * uniform(n))
    field = torch.randn(n, 2, size // 4 + 3, size // 4 + 3, generator=generator)
    smooth = F.interpolate(field, size=(size + 12, size + 12), mode="bicubic", align_corners=False)
    smooth = smooth[..., 6:-6, 6:-6]
    ink = pictures / pictures.sum((2, 3), keepdim=True)
    smooth = smooth - (ink * smooth).sum((2, 3), keepdim=True)  # the digit stays where it is
    return moved(pictures, A, elastic * smooth + shift * uniform(n, 2, 1, 1))
