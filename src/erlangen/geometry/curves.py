"""Curves on any space, made of geodesics: random walks, small loops."""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from erlangen.geometry.frame import Frame

Carry = Callable[[Frame, Tensor], Frame]
SAMPLES = 1025


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


def random_walks(
    carry: Carry, u: Frame, stride: float, seed: int, steps: int = 6
) -> Float[Tensor, "count k m"]:
    """A polygon of random geodesics from each frame, none longer than a stride."""
    generator = torch.Generator().manual_seed(seed)
    (count, _, n), points = u.basis.shape, []
    for _ in range(steps):
        v = torch.randn(count, n, generator=generator, dtype=torch.float64)
        length = torch.rand(count, 1, generator=generator, dtype=torch.float64)
        u = carry(u, stride * length * v / v.norm(dim=-1, keepdim=True))
        points.append(u.point)
    return torch.stack(points, 1)


def random_loops(
    carry: Carry, u: Frame, size: Float[Tensor, "count"], corners: int = 24, seed: int = 0
) -> Float[Tensor, "count k m"]:
    """Closed polygons from each frame, which follow random smooth curves of the given sizes about it.

    They lie within the injectivity radius, so they can be contracted.
    """
    generator = torch.Generator().manual_seed(seed)
    count, _, n = u.basis.shape
    t = 2 * torch.pi * torch.arange(1, corners + 1, dtype=torch.float64) / corners
    waves = torch.cat([torch.stack([torch.cos(k * t) - 1, torch.sin(k * t)]) for k in (1, 2)])  # (w, k)
    a = torch.randn(count, n, len(waves), generator=generator, dtype=torch.float64)
    v = (a @ waves).mT  # (count, k, n)
    v = (size / v.norm(dim=-1).amax(1))[:, None, None] * v
    v[:, -1] = 0.0
    starts = Frame(u.point[:, None].expand(-1, corners, -1), u.basis[:, None].expand(-1, corners, -1, -1))
    return carry(starts, v).point


def squares(carry: Carry, u: Frame, i: int, j: int, side: float) -> Float[Tensor, "*batch k m"]:
    """Closed polygons from each frame round a square about it, in the plane of two axes."""
    one = torch.eye(u.basis.shape[-1], dtype=u.basis.dtype)
    corners = [one[i] - one[j], one[i] + one[j], one[j] - one[i], -one[i] - one[j], one[i] - one[j]]
    v = side * torch.stack([*corners, 0 * one[i]])
    start = Frame(u.point[..., None, :], u.basis[..., None, :, :])
    return carry(start, v.expand(*u.point.shape[:-1], -1, -1)).point
