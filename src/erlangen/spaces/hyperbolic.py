"""Hyperbolic space H^n, moved by SO+(1, n), or by all isometries."""

import math
from functools import cached_property
from typing import Annotated, Literal

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from erlangen.arguments import Around, Dimension, Range, Rings, Rotations, checked
from erlangen.domains import Domain
from erlangen.geometry import Embedding, Frame, Geometry, Measure
from erlangen.groups import SO, MatrixGroup, StructureGroup
from erlangen.spaces.scattered import scattered

Radius = Annotated[float, Range(above=0, high=100, limit="coordinates grow as exp(radius)")]


class Hyperbolic(Geometry):
    r"""The sheet ``x_0^2 - x_1^2 - ... - x_n^2 = 1``, ``x_0 > 0``, of curvature -1.

    With t = |v| and the direction ``e = E v / t``: ``q = cosh(t) p + sinh(t) e``, and the frame turns in
    the plane of p and e. ``J(v) = (sinh t / t)^{n-1}``. The origin is ``(1, 0, ..., 0)``, with the frame of
    the other axes; elsewhere the frame is carried from there. Frames are orthonormal for
    ``-x_0 y_0 + x_1 y_1 + ...``.

    Args:
        n: the dimension.
        symmetry: "rotations" (H = SO(n)) or "isometries" (H = O(n)).
        measure: "space" (the hyperbolic area) or "tangent".
    """

    @checked
    def __init__(
        self,
        n: Dimension = 2,
        symmetry: Literal["rotations", "isometries"] = "rotations",
        *,
        measure: Measure = "space",
    ) -> None:
        if n < 2:
            raise ValueError(f"n is {n}, expected at least 2; a line is er.Euclidean(1)")
        self.dim, self.ambient = n, n + 1
        rotations = symmetry == "rotations"
        self.structure = StructureGroup.special_orthogonal(n) if rotations else StructureGroup.orthogonal(n)
        self.measure = measure
        boosts = SO(1, n)
        self.group = boosts if rotations else MatrixGroup(boosts.generators, _mirrors(n), f"O+(1,{n})")

    def __repr__(self) -> str:
        return f"Hyperbolic({self.dim}), H = {self.structure}"

    @property
    def sampling(self) -> str:
        return ".grid(radius=2.0, rings=16)" if self.dim == 2 else super().sampling

    @cached_property
    def origin(self) -> Tensor:
        return torch.eye(self.ambient, dtype=torch.float64)[0]

    @property
    def embedding(self) -> Embedding | None:
        """The disc of Poincaré, or his ball."""
        n, t = self.dim, torch.linspace(0, 2 * math.pi, 241, dtype=torch.float64)
        rim = torch.stack([t.cos(), t.sin(), 0 * t], -1)
        if n > 3:
            return None
        return Embedding(lambda p: F.pad(p[..., 1:] / (1 + p[..., :1]), (0, 3 - n)), outline=[rim] * (n == 2))

    def frame(self, p: Tensor) -> Tensor:
        origin = torch.zeros_like(p)
        origin[..., 0] = 1.0
        axes = torch.eye(self.ambient, dtype=p.dtype, device=p.device)[:, 1:]
        u = Frame(origin, axes.expand(*p.shape[:-1], -1, -1))
        return self.carry(u, self.coordinates(u, p)).basis

    def carry(self, u: Frame, v: Tensor) -> Frame:
        t = v.norm(dim=-1)[..., None]
        w = u.tangent(v)
        small = t < 1e-4
        safe = torch.where(small, torch.ones_like(t), t)
        sinc = torch.where(small, 1 + t**2 / 6, torch.sinh(safe) / safe)
        versine = torch.where(small, 0.5 + t**2 / 24, 2 * torch.sinh(safe / 2) ** 2 / safe**2)
        point = torch.cosh(t) * u.point + sinc * w
        along = versine * w + sinc * u.point  # E + (e (cosh t - 1) + p sinh t) v^T / t
        return Frame(point, u.basis + along[..., :, None] * v[..., None, :])

    def coordinates(self, u: Frame, q: Tensor) -> Tensor:
        c = (u.basis.mT @ _lowered(q - u.point)[..., None])[..., 0]  # sinh(t) times the direction
        sine = c.norm(dim=-1, keepdim=True)
        return c * torch.where(sine < 1e-8, 1.0, torch.asinh(sine) / sine.clamp_min(1e-8))

    def distance(self, p: Tensor, q: Tensor) -> Tensor:
        r"""``2 asinh(s)`` with ``s = sinh(t / 2)``, to the rounding of coordinates at every distance.

        Where a point is near the origin, ``4 s^2 = |q - p|^2 - (q_0 - p_0)^2 = 2 (cosh t - 1)``; elsewhere,
        with r and n the distance and the direction from there,
        ``s^2 = sinh^2((r_q - r_p) / 2) + sinh r_p sinh r_q |n_q - n_p|^2 / 4``. The first coordinate of a
        point is taken from the others.
        """
        x, y = torch.broadcast_tensors(p[..., 1:], q[..., 1:])
        far = (x.norm(dim=-1) > 1) & (y.norm(dim=-1) > 1)
        axis = torch.eye(self.dim, dtype=x.dtype, device=x.device)[0]
        away = (torch.where(far[..., None], z, axis) for z in (x, y))
        return torch.where(far, _distance_far(*away), _distance_near(x, y))

    def components(self, u: Frame, w: Tensor) -> Tensor:
        return u.basis.mT @ _lowered(w.mT).mT

    def density(self, v: Tensor) -> Tensor:
        t = v.norm(dim=-1)
        safe = t.clamp_min(1e-4)
        return torch.where(t < 1e-4, 1 + t**2 / 6, torch.sinh(safe) / safe) ** (self.dim - 1)

    def act(self, g: Tensor, u: Frame) -> Frame:
        """The isometry g, an (n+1) x (n+1) matrix that keeps ``x_0^2 - x_1^2 - ...`` and the sheet."""
        g = g.to(u.point)
        return Frame((g @ u.point[..., None])[..., 0], g @ u.basis)

    def mover(self, u: Frame) -> Tensor:
        return torch.cat([u.point[..., None], u.basis], -1)

    samples = scattered

    @checked
    def grid(
        self,
        radius: Radius,
        rings: Rings,
        samples: Around | None = None,
        *,
        rotations: Rotations | None = None,
        reflections: bool | None = None,
        mask: Tensor | None = None,
    ) -> Domain:
        """A disc of H^2 about the origin: rings of equispaced samples, Gauss-Legendre in cosh(r).

        Args:
            radius: of the disc.
            rings: how many; samples: on each, twice as many unless told.
            rotations: the samples of the fibre SO(2), or O(2); None for scalar fields only.
            reflections: whether the fibre has mirrors, which H says; None does not ask.
            mask: as in `Domain.masked`.
        """
        if self.dim != 2:
            self.refuse_grid()
        samples = samples or 2 * rings
        t, w = (torch.from_numpy(x) for x in np.polynomial.legendre.leggauss(rings))
        half = (math.cosh(radius) - 1) / 2
        height = 1 + half * (t + 1)  # cosh r: the area is 2 pi (cosh r - 1)
        angle = 2 * math.pi * torch.arange(samples).double() / samples
        height, angle = torch.meshgrid(height, angle, indexing="ij")
        out = torch.sqrt(height**2 - 1)
        points = torch.stack([height, out * angle.cos(), out * angle.sin()], -1)
        weights = (half * w * 2 * math.pi / samples)[:, None].expand(-1, samples)
        return self.samples(points, weights, rotations=rotations, reflections=reflections, mask=mask)


def _mirrors(n: int) -> Tensor:
    """The identity, and the mirror of the last axis."""
    signs = torch.ones(2, n + 1, dtype=torch.float64)
    signs[1, -1] = -1.0
    return torch.diag_embed(signs)


def _lowered(x: Tensor) -> Tensor:
    """x with the sign of x_0 changed: the form ``-x_0 y_0 + x_1 y_1 + ...`` is its dot product with y."""
    return torch.cat([-x[..., :1], x[..., 1:]], -1)


def _distance_near(x: Tensor, y: Tensor) -> Tensor:
    """Between ``(x_0, x)`` and ``(y_0, y)``, one of them near the origin."""
    d, x_0, y_0 = x - y, _height(x), _height(y)
    rise = (d * (x + y)).sum(-1) / (x_0 + y_0)  # x_0 - y_0
    cosine = x_0 * y_0 - (x * y).sum(-1)
    square = torch.where(cosine > 2, (cosine - 1) / 2, (d.square().sum(-1) - rise.square()) / 4)
    apart = square > 0
    return torch.where(apart, 2 * torch.asinh(torch.where(apart, square, 1.0).sqrt()), 0.0)


def _distance_far(x: Tensor, y: Tensor) -> Tensor:
    """Between ``(x_0, x)`` and ``(y_0, y)``, neither of them at the origin."""
    a, b, x_0, y_0 = x.norm(dim=-1), y.norm(dim=-1), _height(x), _height(y)
    squares = ((x - y) * (x + y)).sum(-1).abs()  # a^2 - b^2
    longer = squares / (a + b) + squares / (x_0 + y_0)
    outward = torch.log1p(longer / torch.minimum(a + x_0, b + y_0))  # asinh(a) - asinh(b), without its sign
    n, m = x / a[..., None], y / b[..., None]
    short = torch.where(((y - x).norm(dim=-1) < b)[..., None], y - x, y)
    across = short - (short * n).sum(-1, keepdim=True) * n  # of y: b sin(angle), m - n without its rounding
    ahead = (n * m).sum(-1, keepdim=True) > 0
    middle = torch.where(ahead, n + m, n).norm(dim=-1, keepdim=True)
    turned = torch.where(
        ahead, (a / b).sqrt()[..., None] * across / middle, (a * b).sqrt()[..., None] / 2 * (n - m)
    )
    return 2 * torch.asinh(torch.cat([torch.sinh(outward / 2)[..., None], turned], -1).norm(dim=-1))


def _height(x: Tensor) -> Tensor:
    """``x_0`` over the other coordinates."""
    return torch.hypot(x.norm(dim=-1), torch.ones_like(x[..., 0]))
