"""Spaces whose geodesics are integrated step by step: what follows from one walk."""

from abc import abstractmethod
from collections.abc import Callable
from functools import cached_property

import torch
from jaxtyping import Float
from torch import Tensor

from erlangen.geometry import Frame, Geometry
from erlangen.groups import StructureGroup
from erlangen.groups.closure import closure

Isometry = Callable[[Tensor], Tensor]


class Numerical(Geometry):
    """Geodesics by steps of Runge and Kutta; H is the holonomy group, enlarged by isometries.

    Attributes:
        steps: of Runge and Kutta, for a geodesic.
        symmetry: isometries, functions of points, that enlarge H so that kernels commute with them.
        given_radius: the injectivity radius, if it was given.
    """

    shoots = True
    steps: int
    symmetry: tuple[Isometry, ...]
    given_radius: float | None

    @property
    def knows_radius(self) -> bool:  # type: ignore[override]
        """Whether the injectivity radius was given."""
        return self.given_radius is not None

    @abstractmethod
    def walk(self, u: Frame, v: Tensor, steps: int | None = None) -> Frame:
        """`carry` before points are brought home, in so many steps."""

    @abstractmethod
    def glue(self, u: Frame) -> Frame:
        """The frame in the coordinates that `home` gives its point."""

    @cached_property
    def structure(self) -> StructureGroup:  # type: ignore[override]
        """The holonomy group, enlarged by the symmetries."""
        H = self.holonomy().structure
        if not self.symmetry:
            return H
        turns = torch.stack([self.turn_of(phi) for phi in self.symmetry])
        return closure(H.algebra, torch.cat([H.components, turns]))

    def turn_of(self, phi: Isometry) -> Float[Tensor, "n n"]:
        """How an isometry turns the frame at the origin, back along the way that its frame was carried."""
        moved = self.moved(phi, self.frames(self.origin))
        return self.gauge(self.frames(moved.point), moved)

    def frames(self, p: Tensor) -> Frame:
        """In float64, as everything that is integrated from them."""
        return super().frames(p.to(torch.float64))

    def carry(self, u: Frame, v: Tensor) -> Frame:
        return self.glue(self.walk(u, v.to(u.basis)))

    def rays(self, u: Frame, directions: Tensor, r: Tensor) -> Frame:
        """One geodesic for each direction, which stops at each distance."""
        rows, steps = len(u.point), max(1, -(-self.steps // len(r)))
        u = Frame(u.point[:, None], u.basis[:, None])
        stops, before = [], 0.0
        for distance in r.tolist():
            u = self.walk(u, (distance - before) * directions.expand(rows, -1, -1), steps)
            stops.append(u)
            before = distance
        point, basis = (torch.stack(parts, 1).flatten(1, 2) for parts in zip(*stops, strict=True))
        return self.glue(Frame(point, basis))

    def density(self, v: Tensor) -> Tensor:
        """J(v) seen from the origin."""
        return self.density_at(self.frames(self.origin), v)
