"""MNIST on the Moebius strip: digits, shifts round it, small deformations."""

import sys
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

sys.path.insert(0, str(Path(__file__).parent.parent))
import mnist


def load(split: str) -> tuple[Tensor, Tensor]:
    """Digits ``(n, 1, 28, 28)`` on the strip, white on black, mean 0 and variance 1; and what they are.

    Axis 0 runs along the strip, as a line of writing does: it is the picture's columns, from left to right.
    Axis 1 runs across it, from the picture's top to its bottom.
    """
    pictures, labels = mnist.load(split)
    return (pictures.mT[:, None].contiguous() - 0.1307) / 0.3081, labels


def shifted(strips: Tensor, steps: Tensor) -> Tensor:
    """Each strip moved along by so many samples, ``(n,)``: what goes over the seam comes back mirrored."""
    length = strips.shape[2]
    cover = torch.cat([strips, strips.flip(3)], 2)  # the cylinder of twice the length
    index = (torch.arange(length) - steps[:, None]) % (2 * length)
    return cover.take_along_dim(index[:, None, :, None], 2)


def deformed(
    strips: Tensor, generator: torch.Generator, scale: float, shear: float, elastic: float
) -> Tensor:
    """Small random scalings, shears and elastic deformations, which move nothing as a whole.

    Args:
        strips: ``(n, 1, 28, 28)``.
        generator: of all that is random.
        scale: the largest relative change of either length; half of it changes both alike.
        shear: the largest slope.
        elastic: the standard deviation of a smooth displacement of mean zero, in samples.
    """
    n, size = len(strips), strips.shape[2]

    def uniform(*shape: int) -> Tensor:
        return 2 * torch.rand(*shape, generator=generator) - 1

    A = torch.eye(2).repeat(n, 1, 1)
    A[:, [0, 1], [0, 1]] += scale * uniform(n, 2)
    A[:, [0, 1], [1, 0]] += shear * uniform(n, 2)
    grid = F.affine_grid(torch.cat([A, torch.zeros(n, 2, 1)], 2), [n, 1, size, size], align_corners=False)
    field = torch.randn(n, 2, size // 4 + 3, size // 4 + 3, generator=generator)
    smooth = F.interpolate(field, size=(size + 12, size + 12), mode="bicubic", align_corners=False)
    smooth = smooth[..., 6:-6, 6:-6]
    smooth = smooth - smooth.mean((2, 3), keepdim=True)
    grid = grid + (2 * elastic / size) * smooth.permute(0, 2, 3, 1)
    black = float(strips.min())
    return F.grid_sample(strips - black, grid, align_corners=False) + black
