"""The projective plane: the sphere with opposite points made one."""

import math
from functools import partial

import torch
from torch import Tensor

from erlangen.arguments import Around, Bandwidth, Rings, Rotations, checked
from erlangen.domains import Domain
from erlangen.geometry import Embedding, Frame, Measure
from erlangen.groups import SO, fibre_of
from erlangen.spaces.projective_grid import HalfRings
from erlangen.spaces.sphere import Builder, Sphere
from erlangen.spaces.spherical import KINDS, RingSamples, halved


class ProjectivePlane(Sphere):
    """RP^2, moved by the rotations of space: H = O(2), since a half turn mirrors the frame it brings home.

    A point is the unit vector p or -p whose last coordinate (or the one before, where that is 0) is positive;
    all else happens on the sphere.

    Args:
        measure: "space" (half of the sphere's area, 2 pi) or "tangent".
    """

    injectivity_radius = math.pi / 2

    @checked
    def __init__(self, *, measure: Measure = "space") -> None:
        super().__init__(2, "isometries", measure=measure)
        self.group = SO(3)

    def __repr__(self) -> str:
        return f"ProjectivePlane(), H = {self.structure}"

    def home(self, p: Tensor) -> Tensor:
        return p * _side(p)[..., None]

    def frame(self, p: Tensor) -> Tensor:
        side = _side(p)[..., None]
        return side[..., None] * super().frame(p * side)

    def carry(self, u: Frame, v: Tensor) -> Frame:
        arrived = super().carry(u, v)
        side = _side(arrived.point)[..., None]
        return Frame(arrived.point * side, arrived.basis * side[..., None])

    def coordinates(self, u: Frame, q: Tensor) -> Tensor:
        return super().coordinates(u, _nearer(u.point, q))

    def distance(self, p: Tensor, q: Tensor) -> Tensor:
        return super().distance(p, _nearer(p, q))

    @property
    def embedding(self) -> Embedding | None:
        """The upper half of the sphere."""
        whole = super().embedding
        return (
            None
            if whole is None
            else Embedding(whole.place, whole.patch, [*whole.extent[:1], (0.0, math.pi / 2)])
        )

    def circuits(self) -> list[Tensor]:
        t = math.pi / 4 * torch.arange(1, 5, dtype=torch.float64)
        return [self.home(torch.stack([torch.sin(t), 0 * t, torch.cos(t)], -1))]

    def chord(self, radius: float) -> float:
        return math.inf  # p and -p are one point

    def act(self, g: Tensor, u: Frame) -> Frame:
        """The rotation g, a 3 x 3 matrix."""
        moved = super().act(g, u)
        side = _side(moved.point)[..., None]
        return Frame(moved.point * side, moved.basis * side[..., None])

    def mover(self, u: Frame) -> Tensor:
        g = super().mover(u)
        return torch.cat([g[..., :-1], g[..., -1:] * torch.linalg.det(g)[..., None, None].sign()], -1)

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
        if kind not in KINDS:
            raise ValueError(f"kind is {kind!r}, expected one of {', '.join(map(repr, KINDS))}")
        if latitudes % 2 or kind == "equiangular":
            raise ValueError(
                f"{latitudes} latitudes of kind {kind!r}, expected an even number: no ring on the equator, "
                "and none at the poles"
            )
        longitudes = 2 * latitudes if longitudes is None else longitudes
        options = {"kind": kind, "rotations": rotations, "builder": builder}
        build = partial(ProjectivePlane.grid, self, **options)
        whole = latitudes % 4 == longitudes % 4 == 0  # the coarser one is such a grid too
        domain = HalfRings(
            self,
            RingSamples(Sphere(), KINDS[kind](latitudes), longitudes, degrees=degrees),
            fibre=fibre_of(self.structure, rotations, reflections),
            builder=builder,
            recipe=partial(build, latitudes, longitudes, degrees=degrees),
            coarse_recipe=partial(build, latitudes // 2, longitudes // 2, degrees=halved(degrees))
            if whole
            else None,
        )
        return domain.masked(mask)

    def _expect_surface(self) -> None:
        raise ValueError(
            "this grid covers the sphere, and the projective plane twice, expected half of it; take "
            "er.ProjectivePlane().grid, or give points to erlangen.domains.Samples"
        )


def _nearer(p: Tensor, q: Tensor) -> Tensor:
    """q or -q, which are one point, on the side of p."""
    return torch.where(((p * q).sum(-1) < 0)[..., None], -q, q)


def _side(p: Tensor) -> Tensor:
    """1 where p is at home, -1 where -p is."""
    x, y, z = p.unbind(-1)
    ahead = torch.where(z != 0, z, torch.where(y != 0, y, x))
    return torch.where(ahead < 0, -1.0, 1.0).to(p)
