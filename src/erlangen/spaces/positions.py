"""Positions and directions: R^3 x S^2 = SE(3) / SO(2), half way between space and the group that moves it."""

import math
from functools import partial

import torch
from jaxtyping import Float
from torch import Tensor

from erlangen import groups
from erlangen.arguments import Length, Rotations, checked
from erlangen.domains import Domain
from erlangen.groups.compact import distinct
from erlangen.spaces.homogeneous import HomogeneousSpace
from erlangen.spaces.sphere import Sphere
from erlangen.spaces.spherical import expect_areas

SAME = 1e-6  # of unit vectors


class PositionsAndDirections(HomogeneousSpace):
    r"""R^3 x S^2: a place and a unit vector there, moved as one by SE(3); H = SO(2), about the direction.

    A point is ``(x, n)`` in R^6. Components of tangent vectors are a shift t and a turn (a, b) of the
    direction, seen from it: ``exp(length t, a, b)`` is the screw motion that leads there with no turn
    about n.

    Args:
        length: a shift by so much counts as much as a turn by one radian.

    Reference: Duits & Franken 2011; Bekkers et al. 2024 (the same space, other kernels).
    """

    @checked
    def __init__(self, length: Length = 1.0) -> None:
        self._shift = length  # that counts as a radian, the unit of this space
        super().__init__(
            groups.SE(3),
            torch.tensor([0.0, 0.0, 0.0, 0.0, 0.0, 1.0]),
            _move,
            log=partial(_log, length),
            metric=torch.diag(torch.tensor([length**-2.0] * 3 + [1.0] * 3, dtype=torch.float64)),
            injectivity_radius=math.pi,
            name=f"PositionsAndDirections({'' if length == 1 else f'length={length:g}'})",
        )

    @property
    def sampling(self) -> str:
        return ".grid(positions), such as er.Euclidean(3, 'roto-translations').grid(8, 8, 8)"

    def distance_at_least(self, p: Tensor, q: Tensor) -> Tensor:
        # a screw motion is no shorter than the straight way, and turns by the angle of the directions
        shift = (p[..., :3] - q[..., :3]).norm(dim=-1) / self._shift
        half = (p[..., 3:] - q[..., 3:]).norm(dim=-1) / 2
        return torch.hypot(shift, 2 * torch.asin(half.clamp(max=1.0))) * (1 - 1e-9)

    def chord(self, radius: float) -> float:
        return max(self._shift, 1.0) * radius * (1 + 1e-9)

    @checked
    def grid(
        self,
        positions: Domain,
        directions: Float[Tensor, "d 3"] | None = None,
        areas: Float[Tensor, "d"] | None = None,
        *,
        rotations: Rotations | None = None,
        reflections: bool | None = None,
        mask: Tensor | None = None,
    ) -> Domain:
        """Samples ``(d, *space)``: each of some directions at each position.

        Args:
            positions: samples of R^3, such as ``er.Euclidean(3, "roto-translations").grid(8, 8, 8)``.
            directions: unit vectors; None for the 12 vertices of an icosahedron.
            areas: what each direction has of the sphere; None for equal parts.
            rotations: refused, since H turns two planes at once; None for scalar fields.
            reflections: False or None, since H has no mirrors.
            mask: as in `Domain.masked`.

        Raises:
            ValueError: for directions all round whose areas are others, such as those of a grid with equal
                parts.
        """
        if directions is None:
            directions = distinct(groups.icosahedron().components @ _vertex(), SAME)
        x, n = positions.points[None], directions.to(torch.float64)
        areas = torch.full((len(n),), 4 * math.pi / len(n)) if areas is None else areas
        expect_areas(Sphere(), n, areas.to(n))
        shape = (len(n), *positions.points.shape[:-1])
        n = n.view(len(n), *[1] * (x.dim() - 2), 3)
        points = torch.cat([x.expand(*shape, 3), n.expand(*shape, 3)], -1)
        weights = positions.weights * areas.to(n).view(-1, *[1] * positions.weights.dim())
        return self.samples(points, weights, rotations=rotations, reflections=reflections, mask=mask)


def _move(g: Tensor, p: Tensor) -> Tensor:
    R, x, n = g[..., :3, :3], p[..., :3, None], p[..., 3:, None]
    return torch.cat([(R @ x)[..., 0] + g[..., :3, 3], (R @ n)[..., 0]], -1)


def _vertex() -> Tensor:
    """A vertex of the icosahedron that `groups.icosahedron` turns."""
    v = torch.tensor([0.0, 1.0, (1 + 5**0.5) / 2], dtype=torch.float64)
    return v / v.norm()


def _log(length: float, p: Tensor) -> Tensor:
    x, n = p[..., :3], p[..., 3:]
    sine = n[..., :2].norm(dim=-1)
    angle = torch.atan2(sine, n[..., 2])
    # the turn in the plane of (0, 0, 1) and n; to the antipode any of them leads
    ratio = torch.where(sine > 0, angle / torch.where(sine > 0, sine, 1.0), 1.0)
    a, b = -ratio * n[..., 0], -ratio * n[..., 1]
    antipode = (sine < 1e-14) & (n[..., 2] < 0)
    a, b = torch.where(antipode, -math.pi, a), torch.where(antipode, 0.0, b)
    W = torch.zeros(*p.shape[:-1], 3, 3, dtype=p.dtype, device=p.device)
    W[..., 2, 0], W[..., 0, 2], W[..., 2, 1], W[..., 1, 2] = a, -a, b, -b
    # x = V t with V = int_0^1 exp(s W) ds, whose inverse is 1 - W / 2 + c W^2
    small = angle < 1e-3
    safe = torch.where(small, torch.ones_like(angle), angle)
    c = torch.where(small, 1 / 12 + angle**2 / 720, 1 / safe**2 - 0.5 / (safe * torch.tan(safe / 2)))
    one = torch.eye(3, dtype=p.dtype, device=p.device)
    t = ((one - W / 2 + c[..., None, None] * W @ W) @ x[..., None])[..., 0]
    return torch.cat([t / length, a[..., None], b[..., None]], -1)
