"""The cone that paper makes when a sector is cut out and the cut is glued: flat, but for its tip."""

import math
from fractions import Fraction

import torch
from torch import Tensor

from erlangen.arguments import Length, Rotations, Size, checked
from erlangen.domains import Domain, Samples
from erlangen.geometry import Frame, Geometry
from erlangen.groups import StructureGroup, fibre_of
from erlangen.groups.structure import turn
from erlangen.spaces.scattered import scattered

TURN = 2 * math.pi


class Cone(Geometry):
    r"""A disc of paper without `missing` of its `sectors`, and without its tip.

    A point is its place on the paper, ``r (cos t, sin t)`` with ``0 <= t < angle``. Geodesics are straight
    lines there, ``carry((x, E), v) = (x + E v, E)``, and what crosses the glued cut is turned by the angle.
    So a frame that is carried once round the tip comes back turned by what is missing: H is cyclic.

    Args:
        missing, sectors: of the disc. The corner of a cube is a disc without 1 of its 4 quarters.
        tip: the radius of what is cut off there.
    """

    @checked
    def __init__(self, missing: Rotations = 1, sectors: Rotations = 4, *, tip: Length = 1.0) -> None:
        if not missing < sectors:
            raise ValueError(f"{missing} sectors of {sectors} are missing, expected fewer: no paper is left")
        self.dim = self.ambient = 2
        self.angle = TURN * (1 - missing / sectors)
        self.structure = StructureGroup.cyclic(Fraction(missing, sectors).denominator)
        self.length = self.tip = tip
        self.injectivity_radius = tip * math.sin(min(self.angle, math.pi) / 2)
        self.origin = torch.tensor([2 * tip, 0.0], dtype=torch.float64)

    def __repr__(self) -> str:
        return f"Cone of the angle {self.angle:.4g}, H = {self.structure}"

    def frame(self, p: Tensor) -> Tensor:
        """The axes of the paper."""
        return torch.eye(2).to(p).expand(*p.shape[:-1], -1, -1)

    def carry(self, u: Frame, v: Tensor) -> Frame:
        q = u.point + u.tangent(v)
        t = azimuth(u.point)
        t = t % TURN + (azimuth(q) - t + math.pi) % TURN - math.pi  # a straight line turns by less than pi
        h = turn(-self.angle * torch.floor(t / self.angle)).to(q)  # back over the cut
        return Frame((h @ q[..., None])[..., 0], h @ u.basis)

    def coordinates(self, u: Frame, q: Tensor) -> Tensor:
        apart = azimuth(q) % TURN - azimuth(u.point) % TURN
        h = turn(-self.angle * torch.round(apart / self.angle)).to(q)  # the short way round the tip
        d = (h @ q[..., None])[..., 0] - u.point
        return (u.basis.mT @ d[..., None])[..., 0]

    def circuits(self) -> list[Tensor]:
        """Once round the tip, back to the origin."""
        t = self.angle * (torch.arange(1, 7, dtype=torch.float64) / 6 % 1)
        return [2 * self.tip * torch.stack([t.cos(), t.sin()], -1)]

    samples = scattered  # at points of your own

    @checked
    def grid(
        self,
        rings: Size,
        around: Size,
        *,
        rim: Length = 3.0,
        rotations: Rotations | None = None,
        reflections: bool | None = None,
        mask: Tensor | None = None,
    ) -> Domain:
        """Samples on rings from the tip to the rim; the regular fibre is H."""
        step, angle = (rim - self.tip) / rings, self.angle / around
        r = self.tip + step * (torch.arange(rings).double() + 0.5)
        t = angle * (torch.arange(around).double() + 0.5)
        r, t = torch.meshgrid(r, t, indexing="ij")
        points = torch.stack([r * t.cos(), r * t.sin()], -1)
        fibre = fibre_of(self.structure, rotations, reflections)
        return Samples(self, points, r * step * angle, fibre=fibre).masked(mask)


def azimuth(p: Tensor) -> Tensor:
    """t, up to full turns."""
    return torch.atan2(p[..., 1], p[..., 0])
