"""The projective plane: the sphere with opposite points made one."""

import math
from functools import partial

import torch
from torch import Tensor

from erlangen.arguments import Around, Bandwidth, Rings, Rotations, checked
from erlangen.domains import Domain
from erlangen.geometry import Embedding, Frame, Geometry, Measure
from erlangen.groups import SO, fibre_of
from erlangen.spaces.projective_grid import half_rings
from erlangen.spaces.scattered import scattered
from erlangen.spaces.sphere import Builder, Sphere
from erlangen.spaces.spherical import RingGrid, fibonacci, halved, rings_of_kind
from erlangen.spaces.spherical.coordinates import on_sphere


class ProjectivePlane(Geometry):
    """RP^2, moved by the rotations of space: H = O(2), since a half turn mirrors the frame it brings home.

    A point is the unit vector p or -p whose last coordinate (or the one before, where that is 0) is positive;
    all else happens on the sphere, its cover.

    Args:
        measure: "space" (half of the sphere's area, 2 pi) or "tangent".
    """

    dim, ambient = 2, 3
    injectivity_radius = math.pi / 2

    @checked
    def __init__(self, *, measure: Measure = "space") -> None:
        self.measure: Measure = measure
        self.sphere = Sphere(symmetry="isometries", measure=measure)
        self.structure, self.group = self.sphere.structure, SO(3)
        self.origin = self.sphere.origin

    def __repr__(self) -> str:
        return f"ProjectivePlane(), H = {self.structure}"

    @property
    def sampling(self) -> str:
        return ".grid(64)"

    def home(self, p: Tensor) -> Tensor:
        return p * _side(p)[..., None]

    def frame(self, p: Tensor) -> Tensor:
        side = _side(p)[..., None]
        return side[..., None] * self.sphere.frame(p * side)

    def carry(self, u: Frame, v: Tensor) -> Frame:
        return _brought_home(self.sphere.carry(u, v))

    def coordinates(self, u: Frame, q: Tensor) -> Tensor:
        return self.sphere.coordinates(u, _nearer(u.point, q))

    def distance(self, p: Tensor, q: Tensor) -> Tensor:
        return self.sphere.distance(p, _nearer(p, q))

    def density(self, v: Tensor) -> Tensor:
        return self.sphere.density(v)

    @property
    def embedding(self) -> Embedding | None:
        """The upper half of the sphere."""
        return Embedding(lambda p: p, on_sphere, [(-math.pi, math.pi), (0.0, math.pi / 2)])

    def circuits(self) -> list[Tensor]:
        t = math.pi / 4 * torch.arange(1, 5, dtype=torch.float64)
        return [self.home(torch.stack([torch.sin(t), 0 * t, torch.cos(t)], -1))]

    def act(self, g: Tensor, u: Frame) -> Frame:
        """The rotation g, a 3 x 3 matrix."""
        return _brought_home(self.sphere.act(g, u))

    def mover(self, u: Frame) -> Tensor:
        g = self.sphere.mover(u)
        return torch.cat([g[..., :-1], g[..., -1:] * torch.linalg.det(g)[..., None, None].sign()], -1)

    samples = scattered

    def own_samples(self, count: int = 500) -> tuple[Tensor, None]:
        """The northern half of a spiral on the sphere."""
        return fibonacci(2 * count)[:count], None

    @checked
    def grid(
        self,
        latitudes: Rings,
        longitudes: Around | None = None,
        *,
        kind: str = "gauss-legendre",
        degrees: Bandwidth | None = None,
        rotations: Rotations | None = None,
        reflections: bool | None = None,
        mask: Tensor | None = None,
        builder: Builder = "weighted_sum",
    ) -> Domain:
        """The northern half of the sphere's grid of so many latitudes, an even number, without the poles.

        Kernels without a radius go through the sphere's harmonics.
        """
        rings = rings_of_kind(kind, latitudes)
        if latitudes % 2 or kind == "equiangular":
            raise ValueError(
                f"{latitudes} latitudes of kind {kind!r}, expected an even number: no ring on the equator, "
                "and none at the poles"
            )
        longitudes = 2 * latitudes if longitudes is None else longitudes
        options = {"kind": kind, "rotations": rotations, "builder": builder}
        build = partial(ProjectivePlane.grid, self, **options)
        whole = latitudes % 4 == longitudes % 4 == 0  # the coarser one is such a grid too
        domain = half_rings(
            self,
            RingGrid(rings, longitudes),
            degrees=degrees,
            fibre=fibre_of(self.structure, rotations, reflections),
            builder=builder,
            recipe=partial(build, latitudes, longitudes, degrees=degrees),
            coarse_recipe=partial(build, latitudes // 2, longitudes // 2, degrees=halved(degrees))
            if whole
            else None,
        )
        return domain.masked(mask)


def _nearer(p: Tensor, q: Tensor) -> Tensor:
    """q or -q, which are one point, on the side of p."""
    return torch.where(((p * q).sum(-1) < 0)[..., None], -q, q)


def _side(p: Tensor) -> Tensor:
    """1 where p is at home, -1 where -p is."""
    x, y, z = p.unbind(-1)
    ahead = torch.where(z != 0, z, torch.where(y != 0, y, x))
    return torch.where(ahead < 0, -1.0, 1.0).to(p)


def _brought_home(u: Frame) -> Frame:
    """The frame at p, or at -p that is the same point."""
    side = _side(u.point)[..., None]
    return Frame(u.point * side, u.basis * side[..., None])
