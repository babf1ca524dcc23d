"""Curves on any space, made of geodesics: walks, small loops, and the curvature that they show."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float
from torch import Tensor

from erlangen.geometry.frame import Frame

if TYPE_CHECKING:
    from erlangen.geometry.geometry import Geometry

SAMPLES = 1025
# in lengths of the space
STRIDE = 2.0  # the longest step of a random walk where geodesics of any length are shortest
SIDE = 0.02  # half the side of the squares that show curvature


def sampled(curve: Float[Tensor, "k m"] | Callable[[Tensor], Tensor]) -> Float[Tensor, "k m"]:
    """Points on a curve, given as points or as a function of t in [0, 1]."""
    if callable(curve):
        curve = curve(torch.linspace(0.0, 1.0, SAMPLES, dtype=torch.float64))
    if curve.dim() != 2 or len(curve) < 2:
        raise ValueError(
            f"the curve has shape {tuple(curve.shape)}, expected points (k, m), at least two of them, "
            "or a function from t (k) to such points"
        )
    return curve.to(torch.float64)


def stride(geometry: "Geometry") -> float:
    """The length that geodesics may have while they are the shortest ones, with room to spare."""
    return min(0.45 * geometry.injectivity_radius, STRIDE * geometry.length)


def random_walks(geometry: "Geometry", count: int, seed: int, steps: int = 6) -> Float[Tensor, "count k m"]:
    """Polygons of random geodesics from the origin."""
    generator = torch.Generator().manual_seed(seed)
    u = geometry.frames(geometry.origin.expand(count, -1))
    points = []
    for _ in range(steps):
        v = torch.randn(count, geometry.dim, generator=generator, dtype=torch.float64)
        length = torch.rand(count, 1, generator=generator, dtype=torch.float64)
        u = geometry.carry(u, stride(geometry) * length * v / v.norm(dim=-1, keepdim=True))
        points.append(u.point)
    return torch.stack(points, 1)


def random_loops(
    geometry: "Geometry", u: Frame, size: Float[Tensor, "count"], corners: int = 24, seed: int = 0
) -> Float[Tensor, "count k m"]:
    """Closed polygons from each frame, which follow random smooth curves of the given sizes about it.

    They lie within the injectivity radius, hence can be contracted.
    """
    generator = torch.Generator().manual_seed(seed)
    count = len(u.point)
    t = 2 * torch.pi * torch.arange(1, corners + 1, dtype=torch.float64) / corners
    waves = torch.cat([torch.stack([torch.cos(k * t) - 1, torch.sin(k * t)]) for k in (1, 2)])  # (w, k)
    a = torch.randn(count, geometry.dim, len(waves), generator=generator, dtype=torch.float64)
    v = (a @ waves).mT  # (count, k, n)
    v = (size / v.norm(dim=-1).amax(1))[:, None, None] * v
    v[:, -1] = 0.0
    starts = Frame(u.point[:, None].expand(-1, corners, -1), u.basis[:, None].expand(-1, corners, -1, -1))
    return geometry.carry(starts, v).point


def curvature(geometry: "Geometry", u: Frame) -> Float[Tensor, "*#batch n n n n"]:
    """``R(e_i, e_j) = (1 - h) / area + O(area)``, with h the transport round a square about u."""
    n, side = geometry.dim, SIDE * geometry.length
    R = u.basis.new_zeros(*u.point.shape[:-1], n, n, n, n)
    one = torch.eye(n, dtype=u.basis.dtype)
    for i in range(n):
        for j in range(i):
            corners = [one[i] - one[j], one[i] + one[j], one[j] - one[i], -one[i] - one[j], one[i] - one[j]]
            v = side * torch.stack([*corners, 0 * one[i]])
            start = Frame(u.point[..., None, :], u.basis[..., None, :, :])
            square = geometry.carry(start, v.expand(*u.point.shape[:-1], -1, -1)).point
            h = geometry.gauge(u, geometry.along(u, square))
            R[..., i, j, :, :] = (h.mT - h) / (2 * 4 * side**2)
            R[..., j, i, :, :] = -R[..., i, j, :, :]
    return R
