"""The sphere S^n, moved by rotations, or by all isometries."""

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from erlangen.domains import Interpolation, lagrange
from erlangen.geometry import Frame, Geometry, Measure
from erlangen.groups import CircleFibre, StructureGroup
from erlangen.harmonics import gauss_legendre
from erlangen.spaces.sphere_grid import SphereGrid


class Sphere(Geometry):
    r"""The unit sphere in R^{n+1}; carrying walks the great circle.

    With t = |v| and the direction ``e = E v / t``: ``q = cos(t) p + sin(t) e``, and the frame turns
    in the plane of p and e. ``J(v) = (sin t / t)^{n-1}``. The north pole ``p0 = (0, ..., 0, 1)`` has
    the frame of the first n axes; on S^2 the frame at p is ``Rz(phi) Ry(theta)`` applied to it
    (south, then east), elsewhere it is carried from p0.

    Args:
        n: the dimension.
        symmetry: "rotations" (H = SO(n)) or "isometries" (H = O(n)).
        measure: "space" (the sphere's area, 4 pi for n = 2) or "tangent".
    """

    injectivity_radius = math.pi

    def __init__(
        self,
        n: int = 2,
        symmetry: Literal["rotations", "isometries"] = "rotations",
        *,
        measure: Measure = "space",
    ) -> None:
        if n < 2:
            raise ValueError(f"n is {n}, expected at least 2; a circle is er.Cylinder's first axis")
        if symmetry not in ("rotations", "isometries"):
            raise ValueError(f'symmetry is {symmetry!r}, expected "rotations" or "isometries"')
        self.dim, self.ambient = n, n + 1
        rotations = symmetry == "rotations"
        self.structure = StructureGroup.special_orthogonal(n) if rotations else StructureGroup.orthogonal(n)
        self.measure = measure

    def __repr__(self) -> str:
        return f"Sphere({self.dim}), H = {self.structure}"

    def stabilizer(self) -> StructureGroup:
        """The symmetries that keep a point, as they turn the frames there."""
        return self.structure

    def frame(self, p: Tensor) -> Tensor:
        if self.dim == 2:
            return _south_east(p)
        pole = torch.zeros_like(p)
        pole[..., -1] = 1.0
        axes = torch.eye(self.ambient, dtype=p.dtype, device=p.device)[:, :-1]
        u = Frame(pole, axes.expand(*p.shape[:-1], -1, -1))
        return self.carry(u, self.coordinates(u, p)).basis

    def carry(self, u: Frame, v: Tensor) -> Frame:
        t = v.norm(dim=-1)[..., None]
        w = u.tangent(v)
        sinc = torch.sinc(t / math.pi)
        point = torch.cos(t) * u.point + sinc * w
        # the frame turns in span(p, e): E + e (cos t - 1) e^T E - p sin t e^T E, and e^T E = v^T / t
        versine = (torch.sinc(t / (2 * math.pi)) ** 2) / 2  # (1 - cos t) / t^2
        along = -versine * w - sinc * u.point
        return Frame(point, u.basis + along[..., :, None] * v[..., None, :])

    def coordinates(self, u: Frame, q: Tensor) -> Tensor:
        c = (u.basis.mT @ q[..., None])[..., 0]  # sin(t) times the direction
        sine, cosine = c.norm(dim=-1), (u.point * q).sum(-1)
        t = torch.atan2(sine, cosine)
        v = c * (t / sine.clamp_min(torch.finfo(sine.dtype).tiny))[..., None]
        # next to the antipode every direction is as good: take the first axis
        antipode = (sine < 1e-14) & (cosine < 0)
        first = torch.zeros_like(v)
        first[..., 0] = math.pi
        return torch.where(antipode[..., None], first, torch.where((sine == 0)[..., None], c, v))

    def density(self, v: Tensor) -> Tensor:
        return torch.sinc(v.norm(dim=-1) / math.pi) ** (self.dim - 1)

    def distance(self, p: Tensor, q: Tensor) -> Tensor:
        return torch.arccos((p * q).sum(-1).clamp(-1.0, 1.0))

    def act(self, g: Tensor, u: Frame) -> Frame:
        """The rotation (or mirror) g, an (n+1) x (n+1) matrix."""
        g = g.to(u.point)
        return Frame(u.point @ g.T, g @ u.basis)

    def grid(
        self, latitudes: int, longitudes: int | None = None, *, rotations: int | None = None
    ) -> SphereGrid:
        """The Gauss-Legendre grid of S^2: row 0 nearest the north pole, longitude eastward from x.

        Its quadrature is exact for spherical harmonics of degree below 2 `latitudes`.

        Args:
            latitudes: the number of rings.
            longitudes: samples on each ring; twice as many unless told.
            rotations: the samples of the fibre SO(2); None for scalar fields only.
        """
        if self.dim != 2:
            raise ValueError(f"this grid lies on S^2, not on S^{self.dim}; give Samples your own points")
        longitudes = longitudes or 2 * latitudes
        if latitudes < 2 or longitudes < 2 or longitudes % 2:
            raise ValueError(
                f"the grid is {latitudes} x {longitudes}, expected at least 2 rings, of an even number of "
                "samples: beyond a pole every meridian goes on as another one"
            )
        rings = gauss_legendre(latitudes, longitudes)
        reflections = bool((torch.linalg.det(self.structure.components) < 0).any())
        fibre = CircleFibre(rotations, reflections, 2 * math.pi) if rotations else None
        reading = RingInterpolation(rings.theta, longitudes)
        return SphereGrid(self, rings, fibre=fibre, interpolation=reading)


@dataclass(frozen=True, eq=False)
class RingInterpolation(Interpolation):
    """Cubic interpolation in theta and phi on rings of equal length, over the poles as well.

    Args:
        theta: the colatitude of each ring, ascending.
        longitudes: the number of samples on each ring, an even one.
    """

    theta: Tensor
    longitudes: int

    def read(self, p: Tensor) -> tuple[Tensor, Tensor]:
        # beyond a pole the meridian goes on, half a turn further
        south = self.theta.flip(0)
        extended = torch.cat([-self.theta[:2].flip(0), self.theta, 2 * math.pi - south[:2]])
        theta = torch.arccos(p[..., 2].clamp(-1.0, 1.0))
        first = (torch.searchsorted(extended, theta, right=True) - 2).clamp(0, len(extended) - 4)
        rings = first[:, None] + torch.arange(4)  # in the extended rings
        across = lagrange(extended[rings], theta)
        count = len(self.theta)
        ring = rings - 2
        over = (ring < 0) | (ring >= count)
        ring = torch.where(ring < 0, -1 - ring, torch.where(ring >= count, 2 * count - 1 - ring, ring))
        step = 2 * math.pi / self.longitudes
        phi = torch.atan2(p[..., 1], p[..., 0]) / step  # in samples
        start = torch.floor(phi)[:, None] - 1 + torch.arange(4)
        along = lagrange(start, phi)
        turned = start[:, None, :].long() + over[..., None] * (self.longitudes // 2)
        index = ring[..., None] * self.longitudes + turned % self.longitudes
        return index.flatten(1), (across[:, :, None] * along[:, None, :]).flatten(1)


def _south_east(p: Tensor) -> Tensor:
    """The columns e_theta, e_phi of Rz(phi) Ry(theta); phi = 0 at the poles."""
    x, y, z = p.unbind(-1)
    rho = torch.hypot(x, y)
    pole, divisor = rho == 0, rho.clamp_min(torch.finfo(rho.dtype).tiny)
    c = torch.where(pole, torch.ones_like(x), x / divisor)
    s = torch.where(pole, torch.zeros_like(y), y / divisor)
    south = torch.stack([z * c, z * s, -rho], -1)
    east = torch.stack([-s, c, torch.zeros_like(x)], -1)
    return torch.stack([south, east], -1)
