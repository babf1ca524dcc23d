"""The ellipsoid, and the sphere's grid on it."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import torch
from jaxtyping import Float
from torch import Tensor

from erlangen.arguments import Around, Length, Rings, Rotations, Steps, checked
from erlangen.domains import Domain, Interpolation, NodeQuadrature, Samples
from erlangen.domains.builders import Boundary
from erlangen.geometry import Embedding, Frame
from erlangen.groups import fibre_of
from erlangen.spaces.implicit import Implicit
from erlangen.spaces.numerical import Isometry
from erlangen.spaces.sphere import WORLD, Sphere
from erlangen.spaces.spherical.coordinates import on_sphere


@checked
def Ellipsoid(
    axes: tuple[Length, Length, Length] = (1.0, 1.2, 1.5),
    *,
    symmetry: Sequence[Isometry] = (),
    steps: Steps = 16,
) -> Implicit:
    """``(x/a)^2 + (y/b)^2 + (z/c)^2 = 1``, with the sphere's grid, stretched; H = SO(2).

    Args:
        axes: a, b, c.
        symmetry: isometries, functions of points of R^3, that enlarge H so that kernels commute with them.
        steps: of Runge and Kutta, for a geodesic.

    Example:
        >>> import erlangen as er
        >>> er.Ellipsoid((1.0, 1.2, 1.5)).grid(4).shape
        (4, 8)
    """
    if len(axes) != 3 or not min(axes) > 0:
        raise ValueError(f"axes are {axes}, expected three positive lengths")
    stretched = StretchedSphere(torch.tensor(axes, dtype=torch.float64))
    return Implicit(
        stretched.equation,
        [0.0, 0.0, axes[2]],
        extent=2 * max(axes),
        steps=steps,
        symmetry=symmetry,
        name=f"Ellipsoid{tuple(axes)}",
        embedding=Embedding(_itself, stretched.embed, WORLD),
        grid=stretched.grid,
    )


def _itself(p: Tensor) -> Tensor:
    return p


@dataclass(frozen=True, eq=False)
class StretchedSphere:
    """The unit sphere, each axis times a length: where an ellipsoid has its equation and its grid from."""

    axes: Float[Tensor, "3"]

    def equation(self, x: Float[Tensor, "*batch 3"]) -> Float[Tensor, "*batch"]:
        """``sum_i (x_i / a_i)^2 - 1``."""
        return (x / self.axes.to(x)).square().sum(-1) - 1

    def embed(self, x: Float[Tensor, "*batch 2"]) -> Float[Tensor, "*batch 3"]:
        """Colatitude and longitude to the surface."""
        return self.axes.to(x) * on_sphere(x)

    @checked
    def grid(
        self,
        surface: Implicit,
        latitudes: Rings,
        longitudes: Around | None = None,
        *,
        rotations: Rotations | None = None,
        reflections: bool | None = None,
        mask: Tensor | None = None,
        boundary: Boundary = "zero",
        nodes: Steps = 8,
        pooling: Length | None = None,
    ) -> Domain:
        """The sphere's grid, stretched: weights are its own times ``a b c |(x/a, y/b, z/c)|`` on the sphere.

        Frames lie along the meridians.

        Args:
            surface: with this equation.
            latitudes, longitudes: as on the sphere.
            rotations: the samples of the fibre, where H is SO(2) or O(2); None for scalar fields.
            reflections: whether the fibre has mirrors, which H says; None does not ask.
            mask: as in `Domain.masked`.
            boundary: there is no edge.
            nodes: of a kernel along its radius.
            pooling: the radius of the means that down-sampling takes; None for 2.5 distances of samples.
        """
        round_one = Sphere().grid(latitudes, longitudes)
        stretch = self.axes.prod() * (round_one.points / self.axes).norm(dim=-1)
        options = {"rotations": rotations, "boundary": boundary, "nodes": nodes}
        rings, around = round_one.weights.shape
        half = partial(self.grid, surface, -(-rings // 2), around // 2, **options)
        domain = Samples(
            surface,
            round_one.points * self.axes,
            round_one.weights * stretch,
            Stretched(round_one.interpolation, self.axes),
            fibre=fibre_of(surface.structure, rotations, reflections),
            builder=partial(NodeQuadrature, nodes=nodes, boundary=boundary, pooling=pooling),
            frames=self._along_meridians(surface, round_one.frames),
            recipe=partial(self.grid, surface, latitudes, longitudes, **options, pooling=pooling),
            coarse_recipe=partial(half, pooling=pooling and 2 * pooling),
        )
        return domain.masked(mask)

    def _along_meridians(self, surface: Implicit, u: Frame) -> Frame:
        """The frames of the sphere, stretched and made orthonormal, on the side of the geometry's own."""
        E = torch.linalg.qr(self.axes[:, None] * u.basis).Q
        E = E * torch.sign((self.axes[:, None] * u.basis * E).sum(-2, keepdim=True))
        u = Frame(u.point * self.axes, E)
        p = u.at((0, 0))
        side = torch.linalg.det(surface.gauge(surface.frames(p.point), p)).sign()
        return u.turn(torch.diag(torch.stack([torch.ones_like(side), side])))


class Stretched(Interpolation):
    """Reading on the unit sphere, at the point of which p is the stretched one."""

    @checked
    def __init__(self, inner: Interpolation, axes: Float[Tensor, "3"]) -> None:
        self.inner, self.axes = inner, axes

    def read(self, p: Tensor) -> tuple[Tensor, Tensor]:
        x = p / self.axes
        return self.inner.read(x / x.norm(dim=-1, keepdim=True))
