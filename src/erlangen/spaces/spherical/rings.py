"""Samples on rings of equal length: the domain with its harmonics, and reading between the rings."""

import math
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor

from erlangen.domains import Interpolation, Samples, Symmetry, lagrange
from erlangen.domains.builders import gather, weighted_sum
from erlangen.domains.resampling import Resampler, averaging, neighbour_distance
from erlangen.engines import Folded, RingOperator, Scattered, SparseOperator, Stencil
from erlangen.geometry import Frame, Geometry
from erlangen.groups import Fibre, Representation, fibre_of
from erlangen.harmonics import Harmonics, Parallels, Transform, doubled
from erlangen.spaces.spherical.harmonic import Harmonic
from erlangen.spaces.spherical.latitudes import Latitudes
from erlangen.spaces.spherical.points import half_way_round, halved

POLE = 1e-9


class RingSamples(Harmonic, Samples):
    r"""Rings of equal length on S^2, shape (latitudes, longitudes): row 0 nearest the north pole, eastward.

    On a ring at a pole every sample is that pole, seen along its own meridian: its frame is the limit of the
    frames on the meridian, as wind is given there in files.

    Args:
        geometry: the sphere.
        latitudes: the rings and their weights.
        longitudes: samples on each, an even number.
        first: the longitude of the first sample, in radians.
        degrees: the bandwidth L that fields are taken to have; None for what the rings carry.
        fibre, builder, recipe, coarse_recipe: as in `Samples`.
    """

    def __init__(
        self,
        geometry: Geometry,
        latitudes: Latitudes,
        longitudes: int,
        *,
        first: float = 0.0,
        degrees: int | None = None,
        fibre: Fibre | None = None,
        builder: Literal["weighted_sum", "gather"] = "weighted_sum",
        recipe: "partial[Any] | None" = None,
        coarse_recipe: "partial[Any] | None" = None,
    ) -> None:
        theta = latitudes.theta
        n = len(theta)
        if n < 2 or longitudes < 2 or longitudes % 2:
            raise ValueError(
                f"the grid is {n} x {longitudes}, expected at least 2 rings, of an even number of "
                "samples: beyond a pole every meridian goes on as another one"
            )
        if recipe is None:
            options = {"first": first, "degrees": degrees, "fibre": fibre, "builder": builder}
            options |= {"coarse_recipe": coarse_recipe}
            recipe = partial(RingSamples, geometry, latitudes, longitudes, **options)
        self.latitudes, self.longitudes, self.first = latitudes, longitudes, first
        self.phi = first + 2 * math.pi * torch.arange(longitudes).double() / longitudes
        theta_, phi_ = torch.meshgrid(theta, self.phi, indexing="ij")
        rho = torch.where(self._at_pole, torch.zeros_like(theta), theta.sin())[:, None]
        points = torch.stack([rho * phi_.cos(), rho * phi_.sin(), theta_.cos()], -1)
        weights = (latitudes.weights[:, None] * (2 * math.pi / longitudes)).expand(-1, longitudes)
        super().__init__(
            geometry,
            points,
            weights,
            fibre=fibre,
            interpolation=RingInterpolation(theta, longitudes, first),
            builder=builder,
            recipe=recipe,
            coarse_recipe=coarse_recipe,
        )
        self._rings, self._asked = parallels(latitudes, longitudes, first), degrees
        if degrees is not None:
            self.transform.prepare(self._known["scalar"])  # or refuses
        elif self._rings is not None:
            _ = self.transform  # made now, and not while a layer is being traced

    def _make_transform(self) -> Harmonics:
        if self._rings is not None:
            return Transform(self._rings, self._asked)
        theta, phi = torch.meshgrid(self.latitudes.theta, self.phi, indexing="ij")
        return Scattered.of(theta.flatten(), phi.flatten(), self.weights, self._asked)

    @property
    def is_band_limited(self) -> bool:
        return self._rings is not None or self._asked is not None

    def symmetries(self) -> list[Symmetry]:
        """Turns about the axis, which permute the samples but for those at poles, mirrors, and tilts."""
        step = 2 * math.pi / self.longitudes
        counts = {1, self.longitudes // 4, self.longitudes // 2} - {0}
        turns = {f"turn {math.degrees(k * step):.4g} about the axis": _turn(k * step) for k in sorted(counts)}
        swap = torch.tensor([[0.0, 0, 1], [1, 0, 0], [0, 1, 0]], dtype=torch.float64)
        tilts = {f"tilt {degrees}": swap.T @ _turn(math.radians(degrees)) @ swap for degrees in (20, 90)}
        signs = {"turn 180 about axis 0": (1, -1, -1)}
        signs |= {f"mirror of axis {axis}": [1 - 2 * (i == axis) for i in range(3)] for axis in range(3)}
        others = {name: torch.diag(torch.tensor(sign).double()) for name, sign in signs.items()}
        found = [self.symmetry_of(g, name) for name, g in (turns | others | tilts).items()]
        return [g for g in found if g.is_exact or g.name not in others]

    def _own_frames(self) -> Frame:
        u = self.geometry.frames(self.points)
        basis = u.basis.clone()
        for ring in self._at_pole.nonzero().flatten().tolist():
            for place, phi in enumerate(self.phi.tolist()):
                basis[ring, place] = self.geometry.act(_turn(phi), u.at((ring, place))).basis
        return Frame(u.point, basis)

    def _stencil(self, radius: float, turns: bool) -> Stencil:
        build = weighted_sum if self.builder == "weighted_sum" else gather
        return build(
            self, radius, self.frames.at((slice(None), 0)) if self.turns_with_frames else None, turns
        )

    def _operator(self, entries: Folded) -> RingOperator | SparseOperator:
        return RingOperator(entries, self.longitudes) if self.turns_with_frames else SparseOperator(entries)

    def _downsampler(self, rho: Representation) -> Resampler:
        coarse = self.coarser()
        if not self.turns_with_frames or 2 * coarse.weights.shape[-1] != self.longitudes:
            return super()._downsampler(rho)
        u = coarse.frames.at((slice(None), 0))
        stencil = averaging(self, u, neighbour_distance(coarse) / 2)
        return Resampler(rho, stencil, (len(u.point), self.longitudes), self._operator, every=2)

    def reframed(self, h: Tensor) -> Samples:
        other = super().reframed(h)
        vars(other).pop("turns_with_frames", None)
        return other

    @cached_property
    def turns_with_frames(self) -> bool:
        """Whether turns about the axis take the frames of a ring to each other."""
        u = self.frames
        for place in {1, self.longitudes // 2}:
            moved = self.geometry.act(_turn(float(self.phi[place] - self.phi[0])), u.at((slice(None), 0)))
            if float((moved.basis - u.basis[:, place]).abs().max()) > 1e-12:
                return False
        return True

    @property
    def _at_pole(self) -> Tensor:
        return torch.minimum(self.latitudes.theta, math.pi - self.latitudes.theta) < POLE


def rings(
    sphere: Any,
    latitudes: Latitudes,
    longitudes: int,
    *,
    first: float = 0.0,
    degrees: int | None = None,
    rotations: int | None = None,
    builder: Literal["weighted_sum", "gather"] = "weighted_sum",
) -> RingSamples:
    """Any rings, such as those of a file; the coarser domain has half as many."""
    options: dict[str, Any] = {"first": first, "rotations": rotations, "builder": builder}
    return RingSamples(
        sphere,
        latitudes,
        longitudes,
        first=first,
        degrees=degrees,
        fibre=fibre_of(sphere.structure, rotations),
        builder=builder,
        recipe=partial(rings, sphere, latitudes, longitudes, degrees=degrees, **options),
        coarse_recipe=partial(_half_of_rings, sphere, latitudes, longitudes, degrees, **options),
    )


def _half_of_rings(
    sphere: Any,
    latitudes: Latitudes,
    longitudes: int,
    degrees: int | None,
    **options: Any,
) -> RingSamples:
    latitudes, longitudes = latitudes.half, half_way_round(longitudes)
    if degrees is not None:
        fewer: Any = parallels(latitudes, longitudes, options["first"])
        degrees = min(halved(degrees), fewer.degrees)
    return rings(sphere, latitudes, longitudes, degrees=degrees, **options)


@dataclass(frozen=True, eq=False)
class RingInterpolation(Interpolation):
    """Cubic interpolation in theta and phi on rings of equal length, over the poles as well.

    Args:
        theta: the colatitude of each ring, ascending.
        longitudes: the number of samples on each ring, an even one.
        first: the longitude of the first sample.
    """

    theta: Float[Tensor, "n"]
    longitudes: int
    first: float = 0.0

    @cached_property
    def _extended(self) -> tuple[Tensor, Tensor, Tensor]:
        """The rings and two beyond each pole, where the meridian goes on half a turn further."""
        n = len(self.theta)
        north, south = int(self.theta[0] < POLE), int(math.pi - self.theta[-1] < POLE)
        above = [north + 1, north]
        below = [n - 1 - south, n - 2 - south]
        ring = torch.tensor([*above, *range(n), *below])
        theta = torch.cat([-self.theta[above], self.theta, 2 * math.pi - self.theta[below]])
        over = torch.tensor([True] * 2 + [False] * n + [True] * 2)
        return theta, ring, over

    def read(self, p: Tensor) -> tuple[Tensor, Tensor]:
        extended, rings, over = self._extended
        theta = torch.atan2(torch.hypot(p[..., 0], p[..., 1]), p[..., 2])
        first = (torch.searchsorted(extended, theta, right=True) - 2).clamp(0, len(extended) - 4)
        near = first[:, None] + torch.arange(4)  # in the extended rings
        across = lagrange(extended[near], theta)
        step = 2 * math.pi / self.longitudes
        phi = (torch.atan2(p[..., 1], p[..., 0]) - self.first) / step  # in samples
        start = torch.floor(phi)[:, None] - 1 + torch.arange(4)
        along = lagrange(start, phi)
        place = start[:, None, :].long() + over[near][..., None] * (self.longitudes // 2)
        index = rings[near][..., None] * self.longitudes + place % self.longitudes
        return index.flatten(1), (across[:, :, None] * along[:, None, :]).flatten(1)


def _turn(angle: float) -> Float[Tensor, "3 3"]:
    c, s = math.cos(angle), math.sin(angle)
    return torch.tensor([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]], dtype=torch.float64)


def parallels(latitudes: Latitudes, longitudes: int, first: float) -> Parallels | None:
    """The rings as harmonics see them, at their full bandwidth; None if they are not mirror images."""
    theta, n, most = latitudes.theta, len(latitudes.theta), (longitudes + 1) // 2
    if float((theta - math.pi + theta.flip(0)).abs().max()) > 1e-9:
        return None
    if latitudes.degree < 2 * min(n, most) - 2:  # the weights are not exact for products
        for poles in (True, False):
            N = n - poles
            even = math.pi * (torch.arange(n).double() + (0.0 if poles else 0.5)) / N
            if float((theta - even).abs().max()) < 1e-9:
                return doubled(n, longitudes, poles, first)
    degrees = min(n, most, latitudes.degree // 2 + 1)
    weights = latitudes.weights * (2 * math.pi / longitudes)
    return Parallels(theta, longitudes, weights, degrees, first)
