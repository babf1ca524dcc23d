"""Digits on the sphere: projected onto the northern hemisphere, as in Cohen et al. 2018, and turned."""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

HALF_PICTURE = 4 / 3  # tan(theta / 2) in halves of a published picture


def on_sphere(
    pictures: Float[Tensor, "n h w"],
    points: Float[Tensor, "*space 3"],
    rotations: Float[Tensor, "n 3 3"] | None = None,
    strains: Float[Tensor, "n 2 2"] | None = None,
    warps: Float[Tensor, "n 2 k k"] | None = None,
    published: bool = True,
) -> Float[Tensor, "n 1 *space"]:
    """Each picture, turned by its rotation: ``(g f)(q) = f(g^{-1} q)``, with f read at every point q itself.

    f is the picture on the plane that touches the north pole, seen from the south pole: columns run along x,
    rows along -y, and it is zero outside the picture. `published` as in the digits of Cohen et al. 2018: the
    picture's edge is 73.7 degrees from the pole where it is nearest, and between pixels it is `interpolated`.
    Else the disc inscribed in the picture covers the northern hemisphere, bilinear between pixels. Strains
    are symmetric matrices, applied to places on that plane: they stretch a digit along two axes, and do not
    turn it. Warps are what such places are moved by, on an even grid of the picture, cubic between.
    """
    flat = points.reshape(-1, 3).to(pictures)
    q = flat.expand(len(pictures), -1, -1) if rotations is None else flat @ rotations.to(flat)  # g^{-1} q
    plane = q[..., :2] / (1 + q[..., 2:]).clamp_min(1e-6)
    if strains is not None:
        plane = plane @ strains.to(plane)
    grid = plane * plane.new_tensor([1.0, -1.0])
    if warps is not None:
        moved = F.grid_sample(warps.to(grid), grid[:, None], "bicubic", "border", align_corners=True)
        grid = grid + moved[:, :, 0].mT
    if published:
        f = interpolated(pictures, HALF_PICTURE * grid)
    else:
        f = F.grid_sample(pictures[:, None], grid[:, None], align_corners=False, padding_mode="zeros")
    return f.reshape(len(pictures), 1, *points.shape[:-1])


def interpolated(pictures: Float[Tensor, "n h w"], places: Float[Tensor, "n p 2"]) -> Float[Tensor, "n p"]:
    """``((1 - t) f[i - 1] + (1 + t) f[i + 1]) / 2`` along both axes at the pixel i + t; the brightest is 1.

    So the published digits were read. A pixel is seen in two places, three quarters of it up to one pixel
    before its own and one quarter one to two pixels after: which way is up can be read off every stroke.
    """
    size = pictures.shape[1]
    r = (places + 1) * (size / 2)
    i = r.floor()
    t, i = r - i, i.long()
    padded = F.pad(pictures, (1, 1, 1, 1)).flatten(1)
    index = [(i + step + 1).clamp(0, size + 1) for step in (-1, 1)]  # (x, y)
    share = [(1 - t) / 2, (1 + t) / 2]
    value = pictures.new_zeros(len(pictures), 1)
    for row, down in zip(index, share, strict=True):
        for column, along in zip(index, share, strict=True):
            pixel = padded.gather(1, row[..., 1] * (size + 2) + column[..., 0])
            value = value + down[..., 1] * along[..., 0] * pixel
    return value / value.amax(1, keepdim=True).clamp_min(1e-6)


def random_strains(count: int, size: float, draw: torch.Generator) -> Float[Tensor, "n 2 2"]:
    """``1 + [[a, c], [c, b]]``, with a, b and c drawn evenly from within `size`."""
    a, b, c = size * (2 * torch.rand(3, count, generator=draw) - 1)
    return torch.eye(2) + torch.stack([torch.stack([a, c], -1), torch.stack([c, b], -1)], -2)


def random_warps(count: int, size: float, draw: torch.Generator) -> Float[Tensor, "n 2 5 5"]:
    """Normal displacements of this size, in halves of the picture, without their mean and their mean turn."""
    d = size * torch.randn(count, 2, 5, 5, generator=draw)
    d = d - d.mean((2, 3), keepdim=True)
    t = torch.linspace(-1, 1, 5)
    turn = torch.stack([-t[:, None].expand(5, 5), t.expand(5, 5)])  # of (x, y), y downward
    along = (d * turn).sum((1, 2, 3), keepdim=True) / turn.square().sum()
    return d - along * turn
